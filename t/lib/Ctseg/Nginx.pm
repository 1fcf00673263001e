package Ctseg::Nginx;

# One nginx of a test: configuration, start, reload, stop, crash, remains.
#
#	my $t = Ctseg::Nginx->new(workers => 2)->conf(<<'EOC')->run;
#	...
#	$t->finish;
#	done_testing;
#
# finish() stops the server and adds the checks that no test may forget: no
# [alert] or [emerg] in the error log, no sanitizer output, no core file, no
# process left.  A test that ends without it fails.  See t/README.md.

use strict;
use warnings;

use Cwd ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Socket qw/ SOCK_DGRAM /;
use Test::More ();
use Time::HiRes qw/ sleep time /;

our %live;		# address of an object => the object (weak)

my $deadline = $ENV{CTSEG_TEST_DEADLINE} || ($ENV{CTSEG_ASAN} ? 60 : 20);


# ---- making one ----

# workers => n	worker_processes (1)
# env => {}	environment of nginx, e.g. TZ
# preload => []	shared objects for LD_PRELOAD
# nginx => path	default $CTSEG_NGINX or /usr/sbin/nginx
# guard => 0|1	the loop guard of t/fault (CTSEG_GUARD)
# daemon => 0|1	nginx leaves the test's process tree, as upgrade() needs it
# module => path  default $CTSEG_MODULE or build/ngx_http_ctseg_module.so;
#		'' loads none

sub new {
	my ($class, %opt) = @_;

	my $self = bless {
		owner	=> $$,
		workers	=> $opt{workers} || 1,
		env	=> $opt{env} || {},
		preload	=> $opt{preload} || [],
		daemon	=> $opt{daemon},
		guard	=> $opt{guard} // $ENV{CTSEG_GUARD},
		nginx	=> $opt{nginx} || $ENV{CTSEG_NGINX}
				|| '/usr/sbin/nginx',
		module	=> $opt{module} // $ENV{CTSEG_MODULE}
				// top() . '/build/ngx_http_ctseg_module.so',
		ports	=> {},
		locks	=> [],
		allowed	=> [],
		seen	=> {},
	}, $class;

	# nginx compares paths, /proc shows them without symbolic links

	$self->{dir} = Cwd::realpath(File::Temp::tempdir('ctseg-XXXXXXXX',
		DIR => $ENV{TMPDIR} || '/tmp'));

	$live{$self + 0} = $self;
	require Scalar::Util;
	Scalar::Util::weaken($live{$self + 0});

	return $self;
}

# top of the source tree

sub top {
	my $file = Cwd::realpath(__FILE__);
	$file =~ s{/t/lib/Ctseg/Nginx\.pm$}{};
	return $file;
}

# path of a shared object for LD_PRELOAD, see "make shims"

sub shim {
	my ($name) = @_;
	my $so = ($ENV{CTSEG_BUILD} || top() . '/build') . "/$name.so";
	-e $so or die "$so: not built, see make shims\n";
	return $so;
}

sub testdir { return $_[0]->{dir} }

# a port of 127.0.0.1 that belongs to this test until its end.  It lies below
# the range of outgoing connections, so that a restarted server finds it free;
# a bound UDP socket of the same number is the lock among tests.

sub port {
	my ($self, $n) = @_;
	$n //= 1;
	return $self->{ports}{$n} //= $self->_free_port;
}

sub _free_port {
	my ($self) = @_;
	my ($port, $lock) = free_port();
	push @{$self->{locks}}, $lock;
	return $port;
}

# (port, lock): the port is ours while the lock lives

sub free_port {
	my $low = 32768;
	if (open my $f, '<', '/proc/sys/net/ipv4/ip_local_port_range') {
		($low) = split ' ', <$f>;
	}
	$low = 32768 if $low < 12000;

	for (1 .. 1000) {
		my $port = 10000 + int(rand($low - 10000));

		my $lock = IO::Socket::INET->new(Proto => 'udp',
			LocalAddr => '127.0.0.1', LocalPort => $port) or next;
		my $probe = IO::Socket::INET->new(Proto => 'tcp',
			LocalAddr => '127.0.0.1', LocalPort => $port,
			Listen => 1, ReuseAddr => 1) or next;
		close $probe;

		return ($port, $lock);
	}

	die "no free port\n";
}

# a name for the next %%PORT_n%%: the mock's port, for example

sub set_port {
	my ($self, $n, $port) = @_;
	$self->{ports}{$n} = $port;
	return $self;
}

sub url {
	my ($self, $n, $path) = @_;
	return 'http://127.0.0.1:' . $self->port($n) . ($path // '/');
}


# ---- files ----

sub write_file {
	my ($self, $name, $data) = @_;
	my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
	if ($path =~ m{^(.*)/} && ! -d $1) {
		File::Path::make_path($1);
	}
	open my $f, '>:raw', $path or die "$path: $!\n";
	print $f $data;
	close $f or die "$path: $!\n";
	return $self;
}

sub read_file {
	my ($self, $name) = @_;
	my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
	open my $f, '<:raw', $path or return '';
	local $/;
	return <$f> // '';
}

sub error_log { return $_[0]->read_file('error.log') }

# The whole configuration with %%TESTDIR%%, %%MODULE%%, %%PORT_n%%,
# %%GLOBALS%% (main context) and %%GLOBALS_HTTP%% (http context).  May be
# called again before a reload; extra names as hash: conf($text, KEY => 'x').

sub conf {
	my ($self, $text, %extra) = @_;
	return $self->write_file('nginx.conf', $self->expand($text, %extra));
}

sub expand {
	my ($self, $text, %extra) = @_;

	my $level = $ENV{CTSEG_TEST_DEBUG} ? 'debug' : 'info';
	my $d = $self->{dir};

	my $globals = join "\n",
		'daemon ' . ($self->{daemon} ? 'on;' : 'off;'),
		"master_process on;",
		"pid $d/nginx.pid;",
		"error_log $d/error.log $level;",
		"working_directory $d;",
		"worker_rlimit_core 512m;",
		"worker_processes $self->{workers};",
		"thread_pool ctseg threads=4 max_queue=65536;",
		($self->{module} ne '' ? "load_module $self->{module};" : ()),
		($> == 0 ? "user root;" : ()),

		# a new binary gets what the old one names, see upgrade()

		(map { "env $_;" } qw/ LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS /,
			sort keys %{$self->{env}}),
		'';

	my $http = join "\n",
		"access_log $d/access.log;",
		(map { "${_}_temp_path $d/temp_$_;" }
			qw/ client_body proxy fastcgi uwsgi scgi /),
		"root $d;",
		'';

	my %map = (GLOBALS => $globals, GLOBALS_HTTP => $http,
		TESTDIR => $d, MODULE => $self->{module}, %extra);

	$text =~ s/%%([A-Z_]+?)%%/$map{$1} \/\/ "%%$1%%"/ge;
	$text =~ s/%%PORT_(\w+?)%%/$self->port($1)/ge;
	$text =~ s/%%TESTDIR%%/$d/g;

	die "unknown name in conf: $1\n" if $text =~ /(%%\w+%%)/;

	return $text;
}


# ---- running ----

# what each process of this nginx loads before all else

sub _preload {
	my ($self) = @_;
	return ((split ' ', $ENV{CTSEG_PRELOAD} // ''), @{$self->{preload}},
		$self->{guard} ? shim('ctseg_guard') : ());
}

sub _exec {
	my ($self, @args) = @_;

	chdir $self->{dir} or POSIX::_exit(126);

	my @preload = $self->_preload;
	$ENV{LD_PRELOAD} = join ' ', @preload if @preload;

	if ($ENV{CTSEG_ASAN}) {
		my $common = "log_path=$self->{dir}/sanitizer"
			. ":handle_abort=1:exitcode=77";
		$ENV{ASAN_OPTIONS} = "detect_leaks=0"
			. ":alloc_dealloc_mismatch=0:$common";
		$ENV{UBSAN_OPTIONS} = "print_stacktrace=1:$common";
	}

	for my $name (keys %{$self->{env}}) {
		$ENV{$name} = $self->{env}{$name};
	}

	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', "$self->{dir}/nginx.out";
	open STDERR, '>&', \*STDOUT;

	# master and workers form a group of their own, so that a ^C ends the
	# test first, which then ends them

	POSIX::setpgid(0, 0);

	exec {$self->{nginx}} $self->{nginx}, '-p', "$self->{dir}/",
		'-c', "$self->{dir}/nginx.conf",
		'-e', "$self->{dir}/error.log", @args
		or POSIX::_exit(127);
}

# nginx -t: (exit code, output)

sub test_config {
	my ($self) = @_;

	my $mark = length $self->read_file('nginx.out');
	my $log = length $self->error_log;

	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		$self->_exec('-t');
	}
	waitpid $pid, 0;
	my $code = $? >> 8 || ($? & 127);

	# what -t writes to the error log is its answer, not a fault

	my $out = substr $self->read_file('nginx.out'), $mark;
	if (length $self->error_log > $log) {
		truncate "$self->{dir}/error.log", $log;
	}

	return ($code, $out);
}

# start and wait until every listening port accepts and all workers are up

sub run {
	my ($self) = @_;

	die "already running\n" if $self->{pid};

	-x $self->{nginx} or die "$self->{nginx}: cannot be executed\n";
	if ($self->{module} ne '' && ! -e $self->{module}) {
		die "$self->{module}: not built, see make build\n";
	}

	my $mark = length $self->error_log;

	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		$self->_exec();
	}
	$pid = $self->_daemon($pid) if $self->{daemon};
	$self->{pid} = $pid;
	$self->{ran} = 1;

	my $conf = $self->read_file('nginx.conf');
	$conf =~ s/^\s*#.*$//mg;
	my @ports = $conf =~ /\blisten\s+(?:127\.0\.0\.1:)?(\d+)\b/g;
	my ($want) = $conf =~ /\bworker_processes\s+(\d+)/;
	$want ||= 1;

	my $end = time + $deadline;
	while (1) {
		if ($self->_ended($pid)) {
			$self->{pid} = undef;
			die "nginx ended with status $?\n"
				. substr($self->error_log, $mark)
				. $self->read_file('nginx.out');
		}

		my @workers = $self->worker_pids;
		if (@workers >= $want && !grep { !_answers($_) } @ports) {
			last;
		}

		if (time > $end) {
			my $log = substr $self->error_log, $mark;
			$self->kill9;
			die "nginx did not start within $deadline s\n$log";
		}

		sleep 0.01;
	}

	return $self;
}

# the process that was started leaves when the master is there

sub _daemon {
	my ($self, $pid) = @_;
	waitpid $pid, 0;
	die "nginx ended with status $?\n" . $self->read_file('nginx.out')
		if $?;
	return $self->_pid_file || die "nginx left no pid\n";
}

sub _pid_file {
	my ($self) = @_;
	return $self->read_file('nginx.pid') =~ /^(\d+)\n/ ? $1 : undef;
}

# has a master ended?  The status of one that is not our child is unknown

sub _ended {
	my ($self, $pid) = @_;
	my $got = waitpid $pid, POSIX::WNOHANG();
	$self->{status} = $? if $got == $pid;
	return 1 if $got == $pid;
	return $got == -1 && !_alive($pid);
}

# the same directory and ports again

sub restart {
	my ($self) = @_;
	$self->stop if $self->{pid};
	return $self->run;
}

sub _answers {
	my ($port) = @_;
	my $s = IO::Socket::INET->new(Proto => 'tcp', Timeout => 1,
		PeerAddr => '127.0.0.1', PeerPort => $port);
	return defined $s;
}

sub master_pid { return $_[0]->{pid} }
sub running { return defined $_[0]->{pid} }

# pid => title of the master's children

sub _children {
	my ($self) = @_;
	my %child;

	return %child unless $self->{pid};

	opendir my $d, '/proc' or die "/proc: $!\n";
	for my $pid (grep { /^\d+$/ } readdir $d) {
		open my $f, '<', "/proc/$pid/stat" or next;
		my $stat = <$f> // next;
		$stat =~ /^\d+ \(.*\) (\S) (\d+) /s or next;
		next if $2 != $self->{pid} || $1 eq 'Z';

		open my $c, '<', "/proc/$pid/cmdline" or next;
		my $title = do { local $/; <$c> } // '';
		$title =~ s/\0.*//s;

		$child{$pid} = $title;
		$self->_loaded($pid) if $title =~ /worker process/
			&& !$self->{seen}{$pid}++;
	}

	return %child;
}

# does a worker have what was to be loaded?  One of a new master may not.

sub _loaded {
	my ($self, $pid) = @_;
	my $maps = $self->read_file("/proc/$pid/maps") or return;
	my @bare = grep { index($maps, Cwd::realpath($_)) < 0 }
		$self->_preload or return;

	# of one that is just dying a part of the maps may be gone already:
	# its flags say so (PF_EXITING)

	my $stat = $self->read_file("/proc/$pid/stat") or return;
	return if (split ' ', $stat =~ s/.*\)//r)[6] & 4;

	push @{$self->{bare}}, map { "worker $pid: without $_" } @bare;
	return;
}

# pids of workers that take requests, ascending; worker_pids(all => 1) adds
# those that are shutting down

sub worker_pids {
	my ($self, %opt) = @_;
	my %child;

	# a title that is being written says nothing yet: look once more

	for (1 .. 100) {
		%child = $self->_children;
		last unless grep { !/process/ } values %child;
	}

	return sort { $a <=> $b } grep {
		$child{$_} =~ /worker process/
		&& ($opt{all} || $child{$_} !~ /shutting down/)
	} keys %child;
}

sub signal {
	my ($self, $sig) = @_;
	die "not running\n" unless $self->{pid};
	kill $sig, $self->{pid} or die "kill $sig $self->{pid}: $!\n";
	return $self;
}

# HUP, then wait until the old workers are gone or shutting down and as many
# new ones are up as the configuration says.  reload(wait_old => 1) waits for
# the end of the old ones too.  Dies when nginx refuses the configuration.

sub reload {
	my ($self, %opt) = @_;

	my %old = map { $_ => 1 } $self->worker_pids;
	my $mark = length $self->error_log;

	my $conf = $self->read_file('nginx.conf');
	my ($want) = $conf =~ /^\s*worker_processes\s+(\d+)/m;
	$want ||= 1;

	$self->signal('HUP');

	my $end = time + $deadline;
	while (1) {
		my @now = $self->worker_pids;
		my @new = grep { !$old{$_} } @now;

		if (@new >= $want && @new == @now) {
			last if !$opt{wait_old};
			last if !grep { $old{$_} }
				$self->worker_pids(all => 1);
		}

		my $log = substr $self->error_log, $mark;
		die "reload refused\n$log" if $log =~ /\[emerg\]/;
		die "no new workers within $deadline s\n$log" if time > $end;

		sleep 0.01;
	}

	return $self;
}

# fast stop; the exit status of the master is kept in $t->{status}

sub stop { return $_[0]->_end('TERM') }

# graceful: waits for requests and tasks

sub quit { return $_[0]->_end('QUIT') }

sub _end {
	my ($self, $sig) = @_;

	my $pid = $self->{pid} or return $self;
	$self->worker_pids(all => 1);
	kill $sig, $pid;

	my $end = time + $deadline;
	$self->{status} = undef;
	while (!$self->_ended($pid)) {
		if (time > $end) {
			my $log = $self->error_log;
			$self->kill9;
			Test::More::fail("nginx ends on $sig within "
				. "$deadline s");
			Test::More::diag(substr $log, -2000);
			return $self;
		}
		sleep 0.005;
	}

	$self->{pid} = undef;
	return $self;
}

# USR2: a new master beside the old one, both with workers.  Returns the pid
# of the old one; what is done from here on concerns the new one, until
# master() says otherwise.

sub upgrade {
	my ($self) = @_;

	my $old = $self->{pid};
	my $mark = length $self->error_log;
	$self->signal('USR2');

	my $end = time + $deadline;
	while (1) {
		my $pid = $self->_pid_file;
		$self->{pid} = $pid if $pid && $pid != $old;
		last if $self->{pid} != $old
			&& $self->{workers} <= (() = $self->worker_pids);

		die "no new master within $deadline s\n"
			. substr $self->error_log, $mark if time > $end;
		sleep 0.01;
	}

	return $old;
}

# which of several masters is meant

sub master {
	my ($self, $pid) = @_;
	$self->{pid} = $pid;
	return $self;
}

# the power cut: master and all workers at once, nobody gets to say goodbye

sub kill9 {
	my ($self) = @_;

	my $pid = $self->{pid} or return $self;

	# the master must not notice a dead worker, so it stops first

	kill 'STOP', $pid;
	my @workers = keys %{{ $self->_children }};
	kill 'KILL', $pid;
	kill 'KILL', @workers if @workers;

	waitpid $pid, 0;
	$self->{pid} = undef;

	my $end = time + $deadline;
	while (grep { _alive($_) } $pid, @workers) {
		die "workers outlive SIGKILL\n" if time > $end;
		sleep 0.002;
	}

	return $self;
}

# SIGKILL to one worker; waits until the master has put another in its place

sub kill_worker {
	my ($self, $pid) = @_;

	my @old = $self->worker_pids;
	$pid //= $old[0];
	$self->allow_alert(qr/worker process $pid exited on signal 9/);
	kill 'KILL', $pid or die "kill $pid: $!\n";

	my $end = time + $deadline;
	while (1) {
		my @now = $self->worker_pids;
		last if @now >= @old && !grep { $_ == $pid } @now;
		die "worker was not replaced\n" if time > $end;
		sleep 0.01;
	}

	return $self;
}

# A process whose first thread has ended is shown as a zombie while others are
# still on their way out, with its sockets.

sub _alive {
	my ($pid) = @_;
	for my $path (glob "/proc/$pid/task/*/stat") {
		open my $f, '<', $path or next;
		my $stat = <$f> // next;
		return 1 if $stat =~ /^\d+ \(.*\) (\S)/s && $1 ne 'Z'
			&& $1 ne 'X';
	}
	return 0;
}


# ---- the end ----

# lines with [alert] or [emerg] that match are this test's intention

sub allow_alert {
	my ($self, @re) = @_;
	push @{$self->{allowed}}, @re;
	return $self;
}

# processes whose working directory is ours: whatever it was that started
# them, they belong to this test

sub _remaining {
	my ($self) = @_;
	my @left;

	opendir my $d, '/proc' or die "/proc: $!\n";
	for my $pid (grep { /^\d+$/ } readdir $d) {
		my $cwd = readlink "/proc/$pid/cwd" // next;
		$cwd =~ s/ \(deleted\)$//;
		next if $pid == $$ || !_alive($pid);
		push @left, $pid if $cwd eq $self->{dir};
	}

	return @left;
}

my $sanitizer = qr/ERROR:\ [A-Z]\w+Sanitizer | runtime\ error:
	| SUMMARY:\ \w+Sanitizer/x;

# what is wrong with the remains: ([name, list of texts], ...)

sub _checks {
	my ($self) = @_;

	my @lines = split /\n/, $self->error_log;

	my $unwanted = sub {
		my ($level) = @_;
		return grep {
			my $line = $_;
			$line =~ /\[$level\]/
			&& !grep { $line =~ $_ } @{$self->{allowed}};
		} @lines;
	};

	my @sanitizer = grep { /$sanitizer/ } @lines,
		split /\n/, $self->read_file('nginx.out');
	for my $file (glob "$self->{dir}/sanitizer.*") {
		push @sanitizer, split /\n/, $self->read_file($file);
	}

	# a process that has just been reaped may still be shown for a moment

	my $end = time + 3;
	my @left;
	while (@left = $self->_remaining) {
		last if time > $end;
		sleep 0.02;
	}

	# a guard who slept has seen nothing

	my $awake = grep { /loop guard: watching/ } @lines;
	my @asleep = $awake || !$self->{ran} || $self->{module} eq '' ? ()
		: 'the loop guard did not watch';
	my @asked = $self->_preload;
	my @bare = @{$self->{bare} || []};

	return (
		[ 'no alert in the error log', $unwanted->('alert') ],
		[ 'no emergency in the error log', $unwanted->('emerg') ],
		[ 'no sanitizer output', @sanitizer ],
		[ 'no core file', glob("$self->{dir}/core*") ],
		[ 'no process left', @left ],
		($self->{guard} ? [ 'the loop was watched', @asleep ] : ()),
		(@asked ? [ 'in each worker all was loaded', @bare ] : ()),
	);
}

sub finish {
	my ($self) = @_;

	return if $self->{finished};
	$self->stop;
	$self->{finished} = 1;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	for my $check ($self->_checks) {
		my ($name, @wrong) = @$check;
		splice @wrong, 40 if @wrong > 40;
		Test::More::ok(!@wrong, $name)
			or Test::More::diag(join "\n", @wrong);
	}

	$self->_remove;
	return;
}

sub _remove {
	my ($self) = @_;

	for my $pid ($self->_remaining) {
		kill 'KILL', $pid;
	}

	if ($ENV{CTSEG_TEST_LEAVE}) {
		Test::More::diag("remains: $self->{dir}");
	} else {
		File::Path::remove_tree($self->{dir});
	}
	$self->{locks} = [];
	delete $live{$self + 0};
	return;
}

sub _abandon {
	my ($self) = @_;

	return if $self->{finished} || $self->{owner} != $$;
	$self->{finished} = 1;

	local ($?, $!, $@);
	eval { $self->kill9 };

	my $tb = Test::More->builder;
	my $log = $self->read_file('error.log');
	$tb->diag("finish() was not called; end of the error log:\n"
		. (length $log > 4000 ? substr $log, -4000 : $log));
	print STDOUT "not ok - the test reached finish()\n";

	$self->_remove;
	return;
}

sub DESTROY {
	my ($self) = @_;
	return if $self->{finished} || $self->{owner} != $$;
	$self->_abandon;
	$? ||= 1 if ${^GLOBAL_PHASE} ne 'RUN';
	$Ctseg::Nginx::abandoned = 1;
	return;
}

our $abandoned;

END {
	for my $self (grep { defined } values %live) {
		next if $self->{finished} || $self->{owner} != $$;
		$self->_abandon;
		$abandoned = 1;
	}
	$? ||= 1 if $abandoned;
}

for my $sig (qw/ INT TERM HUP /) {
	$SIG{$sig} = sub { exit 1 } unless $SIG{$sig};
}
$SIG{PIPE} = 'IGNORE';

1;
