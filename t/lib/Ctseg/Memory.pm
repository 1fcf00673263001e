package Ctseg::Memory;

# What memory a worker has for itself: pages that are not of a file, so neither
# the store's mapping nor the text of the program.  It is looked at while
# something goes on, since what matters is the most it ever was.
#
#	my $memory = Ctseg::Memory->new($t);	# a worker at rest
#	$memory->during(sub { ... });		# a child does something
#	cmp_ok($memory->growth, '<', 40 * 1024);

use strict;
use warnings;

use POSIX ();
use Time::HiRes qw/ sleep /;

sub new {
	my ($class, $t) = @_;
	my $self = bless { t => $t }, $class;
	return $self->rest;
}

# from here on growth counts; a worker that comes later is measured by the
# others

sub rest {
	my ($self) = @_;
	my @now = sort { $a <=> $b } map { kb($_) } $self->{t}->worker_pids;
	die "no figures of workers\n" unless @now;
	$self->{rest} = $now[0];
	return $self->again;
}

# forget what was seen so far

sub again {
	my ($self) = @_;
	$self->{most} = $self->{rest};
	$self->{looks} = 0;
	return $self;
}

sub look {
	my ($self) = @_;
	for my $kb (map { kb($_) } $self->{t}->worker_pids) {
		$self->{most} = $kb if $kb > $self->{most};
		$self->{looks}++;
	}
	return $self;
}

# KB of the worker that had most, above what one had at rest

sub growth { return $_[0]->{most} - $_[0]->{rest} }
sub looks { return $_[0]->{looks} }

# Look again and again while a child runs the code; what that returns, a
# string, is the result.  It dies when the code did.

sub during {
	my ($self, $code) = @_;

	pipe my $in, my $out or die "pipe: $!\n";
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		close $in;
		my $text = eval { $code->() };
		print $out defined $text ? "+$text" : "-$@";
		close $out;
		POSIX::_exit(0);
	}
	close $out;

	my $text = '';
	while (1) {
		$self->look;
		my $bits = '';
		vec($bits, fileno $in, 1) = 1;
		select($bits, undef, undef, 0.02) or next;
		sysread $in, $text, 65536, length $text or last;
	}
	waitpid $pid, 0;
	die substr($text, 1) || "the child died\n" unless $text =~ s/^\+//;
	return $text;
}

# nothing of one that is gone

sub kb {
	my ($pid) = @_;
	open my $f, '<', "/proc/$pid/smaps_rollup" or return ();
	my $kb;
	/^Pss_Anon:\s+(\d+)/ and $kb = $1 while <$f>;
	return defined $kb ? $kb : ();
}

1;
