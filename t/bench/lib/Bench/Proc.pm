package Bench::Proc;

# Processes of the benchmark: each in a group of its own, and none of them left
# when the benchmark ends, however it ends.  And what /proc says of a process.
#
#	my $p = Bench::Proc->start([ $program, @arguments ], out => $file);
#	...
#	my ($text, $code) = $p->wait(60);	# its output

use strict;
use warnings;

use POSIX ();
use Time::HiRes qw/ sleep time /;

my $owner = $$;
my %running;		# pid => object, of those that have not been reaped

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());

# out => file for what it prints, err => for its complaints, in => directory
# to run in

sub start {
	my ($class, $command, %o) = @_;
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		POSIX::setpgid(0, 0);
		chdir $o{in} if $o{in};
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $o{out} || '/dev/null';
		open STDERR, '>', $o{err} if $o{err};
		exec {$command->[0]} @$command or POSIX::_exit(127);
	}

	# whoever comes first: a signal to the group finds it

	POSIX::setpgid($pid, $pid);
	return $running{$pid} = bless { pid => $pid, out => $o{out},
		name => $command->[0] =~ s{.*/}{}r }, $class;
}

sub pid { return $_[0]->{pid} }

# has it ended?

sub ended {
	my ($self) = @_;
	return 1 if defined $self->{status};
	return 0 unless waitpid $self->{pid}, POSIX::WNOHANG();
	$self->{status} = $?;
	delete $running{$self->{pid}};
	return 1;
}

# its output and exit code, as soon as it has ended

sub wait {
	my ($self, $seconds) = @_;
	my $end = time + $seconds;
	until ($self->ended) {
		if (time > $end) {
			$self->stop('KILL');
			die "$self->{name} did not end within $seconds s\n";
		}
		sleep 0.002;
	}
	my $text = '';
	if ($self->{out} && open my $f, '<', $self->{out}) {
		local $/;
		$text = <$f> // '';
	}
	my $s = $self->{status};
	return ($text, $s & 127 ? 128 + ($s & 127) : $s >> 8);
}

# end it, and what it started with it

sub stop {
	my ($self, $signal) = @_;
	return if defined $self->{status};
	kill $signal || 'TERM', $self->{pid};
	my $end = time + 15;
	until ($self->ended) {
		kill 'KILL', -$self->{pid} if time > $end;
		sleep 0.002;
	}
	kill 'KILL', -$self->{pid};
	return;
}

# ---- what /proc says ----

sub slurp {
	my ($file) = @_;
	open my $f, '<', $file or return '';
	local $/;
	return <$f> // '';
}

# CPU seconds so far, all threads, those that ended included

sub cpu {
	my $sum = 0;
	for my $pid (@_) {
		my @f = split ' ', slurp("/proc/$pid/stat") =~ s/.*\)//sr
			or die "process $pid is gone\n";
		$sum += $f[11] + $f[12];
	}
	return $sum / $ticks;
}

# what that is counted in

sub tick { return 1 / $ticks }

# private memory in KB, and bytes that went to the disk on its account

sub private_kb {
	my ($pid) = @_;
	return slurp("/proc/$pid/smaps_rollup") =~ /^Pss_Anon:\s+(\d+)/m
		? $1 : 0;
}

# what is in memory on its account, and what of that no file is behind, its
# part of shared memory included

sub resident_kb {
	my ($pid) = @_;
	return slurp("/proc/$pid/smaps_rollup") =~ /^Pss:\s+(\d+)/m ? $1 : 0;
}

sub own_kb {
	my ($pid) = @_;
	my $text = slurp("/proc/$pid/smaps_rollup");
	my $sum = 0;
	$sum += $1 while $text =~ /^Pss_(?:Anon|Shmem):\s+(\d+)/mg;
	return $sum;
}

sub written {
	my ($pid) = @_;
	return slurp("/proc/$pid/io") =~ /^write_bytes: (\d+)/m ? $1
		: die "no /proc/$pid/io\n";
}

sub children {
	my ($pid) = @_;
	return split ' ', slurp("/proc/$pid/task/$pid/children");
}

sub monotonic_ns {
	return int(1e9 * Time::HiRes::clock_gettime(
		Time::HiRes::CLOCK_MONOTONIC()));
}

# none is left

sub stop_all {
	return if $$ != $owner;
	local $?;
	$_->stop for values %running;
	return;
}

1;
