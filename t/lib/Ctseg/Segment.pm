package Ctseg::Segment;

# A mock of Segment's batch endpoint: one child process with its own loop on a
# port of 127.0.0.1.  It checks every documented rule of a batch, answers as a
# script says and writes down what it saw.
#
#	my $s = Ctseg::Segment->new(dir => $t->testdir);
#	$t->set_port(9, $s->port);
#	$s->script({ status => 500 }, { status => 429,
#		headers => { 'Retry-After' => 1 } });
#	...
#	is_deeply([ $s->violations ], []);
#	is($s->count_accepted, 1000);
#
# The record is on file before an answer leaves, so whatever the sender knows
# can be read here.  Events count as accepted when their request was answered
# 2xx (or "accept" said so) and they broke no rule: Segment, too, answers 200
# and drops the others.

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;
use Errno;
use Fcntl ();
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw/ encode_base64 /;
use POSIX ();
use Scalar::Util ();
use Socket;
use Time::HiRes qw/ sleep time /;

use Ctseg::Nginx ();

our $MAX_BODY = 500_000;
our $MAX_EVENTS = 2_500;
our $MAX_EVENT = 32_000;		# an event is smaller than this
our $OUR_BODY = 475_000;		# what ctseg promises to keep to

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %live;


# ---- the parent's side ----

# dir => directory of the record (needed)
# name => prefix of its files ('segment'); several mocks may share a dir
# port => a port of one's own choice
# keepalive => 0: close after each answer
# handler => sub ($request): runs in the child when neither script nor rule
#	has an answer; returns one or undef.  $request: n, method, path,
#	headers, body, write_key, events (count), bytes
#
# An answer is a hash, all parts optional:
#	status	200
#	headers	{ name => value }
#	body	{"success":true} for 200, else {"success":false}
#	delay	seconds before it is sent
#	close	'before' | 'mid_header' | 'mid_body' | 'after': the connection
#		ends there, with a reset when rst => 1
#	early	answer when the header was read, without the body
#	hang	never answer
#	hold	answer after release()
#	accept	0 or 1: whether the events count as accepted, if not as the
#		status says (e.g. close => 'before', accept => 1: taken, but
#		the sender cannot know)
#	raw	bytes to send instead of all that

sub new {
	my ($class, %opt) = @_;

	my $dir = $opt{dir} or die "Ctseg::Segment: dir?\n";
	my $name = $opt{name} || 'segment';

	my ($port, $lock) = $opt{port} ? ($opt{port}, undef)
		: Ctseg::Nginx::free_port();

	my $self = bless {
		owner	=> $$,
		dir	=> $dir,
		prefix	=> "$dir/$name",
		port	=> $port,
		lock	=> $lock,
		opt	=> \%opt,
		first	=> 1,
	}, $class;

	for my $ext (qw/ requests bodies events violations /) {
		open my $f, '>', "$self->{prefix}.$ext"
			or die "$self->{prefix}.$ext: $!\n";
	}

	$live{$self + 0} = $self;
	Scalar::Util::weaken($live{$self + 0});

	$self->start;
	return $self;
}

# start (again): after stop() the same port, record and numbering go on, and
# ids seen before stay known

sub start {
	my ($self) = @_;

	my $listen = IO::Socket::INET->new(Proto => 'tcp', Listen => 1024,
		LocalAddr => '127.0.0.1', LocalPort => $self->{port},
		ReuseAddr => 1) or die "listen on $self->{port}: $@\n";

	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
		or die "socketpair: $!\n";

	my $fresh = delete $self->{first};
	my $pid = fork // die "fork: $!\n";

	if ($pid == 0) {
		CORE::close $ours;
		$SIG{$_} = 'DEFAULT' for qw/ TERM INT HUP /;
		$SIG{PIPE} = 'IGNORE';
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		chdir '/';
		eval {
			Ctseg::Segment::Server->new($self, $listen, $theirs,
				$fresh)->loop;
			1;
		} or print STDERR "mock Segment: $@";
		POSIX::_exit(0);
	}

	CORE::close $theirs;
	CORE::close $listen;
	$self->{pid} = $pid;
	$self->{control} = $ours;
	$self->{in} = '';

	return $self;
}

sub port { return $_[0]->{port} }
sub pid { return $_[0]->{pid} }
sub url { return "http://127.0.0.1:$_[0]->{port}" . ($_[1] // '/v1/batch') }

# new connections are refused from here on, open ones end

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	CORE::close delete $self->{control};
	return;
}

sub _command {
	my ($self, %cmd) = @_;

	die "the mock is not running\n" unless $self->{pid};
	my $line = $json->encode(\%cmd) . "\n";
	syswrite $self->{control}, $line;

	my $end = time + 20;
	my $pos;
	while (($pos = index $self->{in}, "\n") < 0) {
		my $bits = '';
		vec($bits, fileno $self->{control}, 1) = 1;
		select $bits, undef, undef, $end - time > 0 ? $end - time : 0
			or die "the mock does not answer\n";
		sysread $self->{control}, $self->{in}, 65536,
			length $self->{in}
			or die "the mock has ended\n";
	}
	return $json->decode(substr $self->{in}, 0, $pos + 1, '');
}

# answers for the next requests, in order of arrival; replaces what is left
# of an earlier script.  { times => n, ... } stands for n answers.

sub script {
	my ($self, @answers) = @_;
	@answers = @{$answers[0]} if ref $answers[0] eq 'ARRAY';
	$self->_command(cmd => 'script', answers => \@answers);
	return $self;
}

# answers of the script not yet used

sub script_left { return $_[0]->_command(cmd => 'left')->{left} }

# the answer when there is nothing else

sub default {
	my ($self, %answer) = @_;
	%answer = %{$_[1]} if ref $_[1];
	$self->_command(cmd => 'default', answer => \%answer);
	return $self;
}

# Answers by content, the first that matches; replaces earlier ones.
#	{ when => { contains => 'text', event => 'Name', write_key => 'k',
#		min_events => n, max_events => n, min_bytes => n,
#		path => '/v1/x' }, times => n, status => ... }
# All conditions must hold.  A script comes first.

sub rules {
	my ($self, @rules) = @_;
	@rules = @{$rules[0]} if ref $rules[0] eq 'ARRAY';
	$self->_command(cmd => 'rules', rules => \@rules);
	return $self;
}

# let the oldest n held answers go (all)

sub release {
	my ($self, $n) = @_;
	return $self->_command(cmd => 'release', n => $n)->{released};
}

# figures kept by the child: requests, held, connections (open), accepted
# (connections ever accepted), events, bytes

sub stats { return $_[0]->_command(cmd => 'stats') }

# forget the record (not the ids seen)

sub forget {
	my ($self) = @_;
	$self->_command(cmd => 'forget');
	return $self;
}


# ---- what was recorded ----

sub _slurp {
	my ($self, $ext) = @_;
	open my $f, '<:raw', "$self->{prefix}.$ext" or return '';
	local $/;
	my $data = <$f> // '';

	# an unfinished last line belongs to the next reader

	$data =~ s/[^\n]+\z// if $ext ne 'bodies';
	return $data;
}

# every request, by arrival: { n, at, method, path, headers (lower case),
# status (0: no answer, undef: not yet), accepted, answered_at, events, bytes,
# write_key, offset, conn }.  $s->body($request) gives its body.

sub requests {
	my ($self) = @_;
	my @list;
	my %by;

	for my $line (split /\n/, $self->_slurp('requests')) {
		my $r = $json->decode($line);
		if (my $old = $by{$r->{n}}) {
			%$old = (%$old, %$r);
			next;
		}
		push @list, $r;
		$by{$r->{n}} = $r;
	}
	return @list;
}

sub body {
	my ($self, $r) = @_;
	open my $f, '<:raw', "$self->{prefix}.bodies" or die "bodies: $!\n";
	seek $f, $r->{offset}, 0;
	read $f, my $data, $r->{bytes};
	return $data;
}

# requests to /v1/batch that were answered 2xx, with their bodies; (all => 1):
# whatever the answer

sub batches {
	my ($self, %opt) = @_;
	return map { { %$_, body => $self->body($_) } }
		grep { $_->{path} eq '/v1/batch' && ($opt{all}
			|| ($_->{status} // 0) =~ /^2/) } $self->requests;
}

# One hash per event: { request, accepted, ok, id, type, name, user, anonymous,
# timestamp, bytes, raw }.  Strings are raw JSON (without quotes, escapes as
# sent).  `raw` is the whole event; $s->decode($e) gives it decoded, including
# properties.  Only accepted ones, unless all => 1.  raw => 0 is faster.

sub events {
	my ($self, %opt) = @_;
	my @out;
	$self->each_event(sub { push @out, $_[0] }, %opt);
	return @out;
}

sub each_event {
	my ($self, $cb, %opt) = @_;

	my %accepted;
	for my $r ($self->requests) {
		$accepted{$r->{n}} = 1 if $r->{accepted};
	}

	my $bodies = ($opt{raw} // 1) ? $self->_slurp('bodies') : undef;

	for my $line (split /\n/, $self->_slurp('events')) {
		my ($n, $ok, $off, $len, $id, $type, $name, $user, $anon,
			$ts) = split /\t/, $line, -1;
		my $accepted = $accepted{$n} && $ok ? 1 : 0;
		next unless $accepted || $opt{all};
		$cb->({ request => $n, ok => $ok, accepted => $accepted,
			id => $id, type => $type, name => $name,
			user => $user, anonymous => $anon, timestamp => $ts,
			bytes => $len, (defined $bodies
				? (raw => substr $bodies, $off, $len) : ()) });
	}
	return;
}

sub decode { return $json->decode($_[1]{raw}) }

# accepted events, each messageId once / with repetitions

sub count_unique { return scalar keys %{{ $_[0]->unique_ids }} }

sub count_accepted {
	my ($self) = @_;
	my $n = 0;
	$self->each_event(sub { $n++ }, raw => 0);
	return $n;
}

# messageId => how often it was accepted

sub unique_ids {
	my ($self) = @_;
	my %id;
	$self->each_event(sub { $id{$_[0]{id}}++ }, raw => 0);
	return %id;
}

# value of a property => number of different messageIds that carry it, over
# the accepted events; numbers and strings as written (strings unquoted)

sub property_counts {
	my ($self, $property, %opt) = @_;
	my (%seen, %count);
	my $re = qr/"\Q$property\E":(?:"((?:[^"\\]|\\.)*)"|([-\d.eE+]+))/;

	$self->each_event(sub {
		my ($e) = @_;
		return if $seen{$e->{id}}++;
		$count{$1 // $2}++ if $e->{raw} =~ $re;
	}, %opt);

	return %count;
}

# texts "request N: what is wrong", of all requests

sub violations { return split /\n/, $_[0]->_slurp('violations') }

# requests with more bytes than ctseg promises (475,000)

sub oversize {
	my ($self) = @_;
	return grep { $_->{bytes} > $OUR_BODY } $self->requests;
}


sub DESTROY {
	my ($self) = @_;
	return unless $self->{owner} && $self->{owner} == $$;
	local ($?, $!, $@);
	$self->stop;
	delete $live{$self + 0};
}

END {
	for my $self (grep { defined } values %live) {
		next unless $self->{owner} == $$;
		local ($?, $!, $@);
		$self->stop;
	}
}


# ---- the child's side ----

package Ctseg::Segment::Server;

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;
use MIME::Base64 qw/ encode_base64 decode_base64 /;
use Time::HiRes qw/ time /;

# JSON by regular expression: strict about the grammar, and about a hundred
# times as fast as JSON::PP.  Only containers recurse.

my $ws = qr/[ \t\r\n]*+/;
my $str = qr/"(?:[^"\\\x00-\x1f]++|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*+"/;
my $num = qr/-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?+[0-9]++)?+/;
my $flat = qr/$str|$num|true|false|null/;
my $value = qr/(?:$flat|(?<box>
	\{$ws(?:$str$ws:$ws(?:$flat|(?&box))$ws
		(?:,$ws$str$ws:$ws(?:$flat|(?&box))$ws)*+)?+\}
	|\[$ws(?:(?:$flat|(?&box))$ws(?:,$ws(?:$flat|(?&box))$ws)*+)?+\]
	))/x;

sub new {
	my ($class, $mock, $listen, $control, $fresh) = @_;

	$listen->blocking(0);

	my $self = bless {
		opt	=> $mock->{opt},
		prefix	=> $mock->{prefix},
		listen	=> $listen,
		control	=> $control,
		cin	=> '',
		script	=> [],
		rules	=> [],
		default	=> {},
		conn	=> {},
		n	=> 0,
		nconn	=> 0,
		ids	=> {},
		held	=> [],
		timers	=> [],
		events	=> 0,
		bytes	=> 0,
	}, $class;

	$self->open_files;
	$self->learn unless $fresh;
	return $self;
}

sub open_files {
	my ($self) = @_;
	for my $ext (qw/ requests bodies events violations /) {
		open $self->{file}{$ext}, '>>:raw', "$self->{prefix}.$ext"
			or die "$self->{prefix}.$ext: $!\n";
	}
	$self->{offset} = -s $self->{file}{bodies};
	return;
}

# after a restart: numbers and ids of the record go on

sub learn {
	my ($self) = @_;

	open my $r, '<:raw', "$self->{prefix}.requests" or return;
	while (<$r>) {
		$self->{n} = $1 if /"n":(\d+)/ && $1 > $self->{n};
	}

	open my $b, '<:raw', "$self->{prefix}.bodies" or return;
	my $bodies = do { local $/; <$b> } // '';
	open my $e, '<:raw', "$self->{prefix}.events" or return;
	while (<$e>) {
		my (undef, undef, $off, $len, $id) = split /\t/;
		$self->{ids}{$id} //= md5(substr $bodies, $off, $len);
	}
	return;
}

sub note {
	my ($self, $ext, $data) = @_;
	my $off = 0;
	while ($off < length $data) {
		my $n = syswrite $self->{file}{$ext}, $data,
			length($data) - $off, $off;
		die "$self->{prefix}.$ext: $!\n" unless defined $n;
		$off += $n;
	}
	return;
}

sub loop {
	my ($self) = @_;

	my $parent = getppid();

	while (1) {
		my ($r, $w) = ('', '');
		vec($r, fileno $self->{listen}, 1) = 1;
		vec($r, fileno $self->{control}, 1) = 1;

		for my $fd (keys %{$self->{conn}}) {
			my $c = $self->{conn}{$fd};
			vec($r, $fd, 1) = 1;
			vec($w, $fd, 1) = 1 if length $c->{out};
		}

		my $wait = 1;
		my $now = time;
		for my $timer (@{$self->{timers}}) {
			my $left = $timer->[0] - $now;
			$wait = $left if $left < $wait;
		}
		$wait = 0 if $wait < 0;

		my $n = select $r, $w, undef, $wait;

		return if getppid() != $parent;

		$self->run_timers;
		next if $n <= 0;

		if (vec($r, fileno $self->{control}, 1)) {
			$self->control or return;
		}
		if (vec($r, fileno $self->{listen}, 1)) {
			$self->accept;
		}
		for my $fd (keys %{$self->{conn}}) {
			my $c = $self->{conn}{$fd} or next;
			$self->flush($c) if vec($w, $fd, 1);
			next unless $self->{conn}{$fd};
			$self->read($c) if vec($r, $fd, 1);
		}
	}
}

sub run_timers {
	my ($self) = @_;
	my $now = time;
	my @due = grep { $_->[0] <= $now } @{$self->{timers}};
	return unless @due;
	$self->{timers} = [ grep { $_->[0] > $now } @{$self->{timers}} ];
	$_->[1]->() for sort { $a->[0] <=> $b->[0] } @due;
	return;
}

sub control {
	my ($self) = @_;

	sysread $self->{control}, $self->{cin}, 65536, length $self->{cin}
		or return 0;

	while ($self->{cin} =~ s/^(.*)\n//) {
		my $cmd = $json->decode($1);
		my $what = $cmd->{cmd};
		my $answer = { ok => 1 };

		if ($what eq 'script') {
			$self->{script} = [ map {
				my $a = $_;
				my $times = delete $a->{times} // 1;
				map { { %$a } } 1 .. $times;
			} @{$cmd->{answers}} ];

		} elsif ($what eq 'left') {
			$answer->{left} = scalar @{$self->{script}};

		} elsif ($what eq 'default') {
			$self->{default} = $cmd->{answer};

		} elsif ($what eq 'rules') {
			$self->{rules} = $cmd->{rules};

		} elsif ($what eq 'release') {
			my $n = $cmd->{n} // @{$self->{held}};
			my @go = splice @{$self->{held}}, 0, $n;
			$answer->{released} = scalar @go;
			$_->() for @go;

		} elsif ($what eq 'forget') {
			for my $ext (keys %{$self->{file}}) {
				truncate $self->{file}{$ext}, 0;
			}
			$self->{offset} = 0;

		} elsif ($what eq 'stats') {
			$answer = {
				requests => $self->{n},
				held => scalar @{$self->{held}},
				connections => scalar keys %{$self->{conn}},
				accepted => $self->{nconn},
				events => $self->{events},
				bytes => $self->{bytes},
			};
		}

		syswrite $self->{control}, $json->encode($answer) . "\n";
	}
	return 1;
}

sub accept {
	my ($self) = @_;
	while (my $s = $self->{listen}->accept) {
		$s->blocking(0);
		setsockopt $s, Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1;
		$self->{conn}{fileno $s} = { s => $s, fd => fileno $s,
			in => '', out => '', id => ++$self->{nconn} };
	}
	return;
}

sub drop {
	my ($self, $c, $rst) = @_;
	return unless $self->{conn}{$c->{fd}}
		&& $self->{conn}{$c->{fd}} == $c;
	if ($rst) {
		setsockopt $c->{s}, Socket::SOL_SOCKET, Socket::SO_LINGER,
			pack('ii', 1, 0);
	}
	delete $self->{conn}{$c->{fd}};
	close $c->{s};
	return;
}

sub flush {
	my ($self, $c) = @_;
	while (length $c->{out}) {
		my $n = syswrite $c->{s}, $c->{out};
		if (!defined $n) {
			return if $!{EAGAIN} || $!{EINTR};
			$self->drop($c);
			return;
		}
		substr($c->{out}, 0, $n) = '';
	}
	$self->drop($c, $c->{rst}) if $c->{end};
	return;
}

sub read {
	my ($self, $c) = @_;

	my $n = sysread $c->{s}, $c->{in}, 1048576, length $c->{in};
	if (!defined $n) {
		return if $!{EAGAIN} || $!{EINTR};
		$n = 0;
	}
	if ($n == 0) {

		# the sender went away: what was due is never answered

		if (my $r = $c->{request}) {
			$self->answered($r, 0, $r->{accept_lost} // 0);
			$r->{gone} = 1;
		}
		$self->drop($c);
		return;
	}

	$self->parse($c);
	return;
}

sub parse {
	my ($self, $c) = @_;

	while (!$c->{request} && !$c->{end}) {

		if (!$c->{head}) {
			my $pos = index $c->{in}, "\r\n\r\n";
			return if $pos < 0;

			my ($line, @lines) = split /\r\n/,
				substr $c->{in}, 0, $pos;
			substr($c->{in}, 0, $pos + 4) = '';
			my ($method, $path, $v) = $line
				=~ m{^(\S+) (\S+) HTTP/1\.([01])$};

			my (%h, @twice);
			for (@lines) {
				my ($name, $val) = /^([^:]+):\s*(.*?)\s*$/;
				next unless defined $name;
				push @twice, lc $name if exists $h{lc $name};
				$h{lc $name} = $val;
			}
			$c->{head} = { method => $method // '?',
				path => $path // '?', headers => \%h,
				v => $v // 0, twice => \@twice,
				started => time };
		}

		my $head = $c->{head};
		my $h = $head->{headers};
		my $body;

		if (!$head->{early}++) {
			my $next = $self->{script}[0];
			if ($next && $next->{early}) {
				$c->{head} = undef;
				$c->{in} = '';
				$next->{close} //= 'after';
				$self->request($c, $head, '', 1);
				return;
			}
		}

		if (($h->{'transfer-encoding'} // '') =~ /chunked/i) {
			my $off = 0;
			$body = '';
			while (1) {
				pos($c->{in}) = $off;
				$c->{in} =~ /\G([0-9a-fA-F]+)[^\r\n]*\r\n/gc
					or return;
				my $len = hex $1;
				$off = pos($c->{in}) + $len + 2;
				return if length $c->{in} < $off;
				last if $len == 0;
				$body .= substr $c->{in}, $off - $len - 2,
					$len;
			}
			substr($c->{in}, 0, $off) = '';

		} else {
			my $len = $h->{'content-length'} // 0;
			return if length $c->{in} < $len;
			$body = substr $c->{in}, 0, $len;
			substr($c->{in}, 0, $len) = '';
		}

		$c->{head} = undef;
		$self->request($c, $head, $body);
	}
	return;
}

# ---- one request ----

sub request {
	my ($self, $c, $head, $body, $early) = @_;

	my $r = { %$head, n => ++$self->{n}, body => $body, conn => $c };
	$c->{request} = $r;
	$r->{bytes} = length $body;
	$self->{bytes} += $r->{bytes};

	my @wrong = $early ? () : $self->check($r);

	# the body first, then what refers to it

	$self->note('bodies', $body) if length $body;
	$self->note('events', delete $r->{rows}) if length($r->{rows} // '');
	$self->note('violations', join '', map { "request $r->{n}: $_\n" }
		@wrong) if @wrong;
	$self->note('requests', $json->encode({ n => $r->{n}, at => time,
		method => $r->{method}, path => $r->{path},
		headers => $r->{headers}, events => $r->{events},
		bytes => $r->{bytes}, write_key => $r->{write_key},
		offset => $self->{offset}, conn => $c->{id},
		violations => scalar @wrong }) . "\n");
	$self->{offset} += length $body;

	my $a = $self->choose($r);
	delete $r->{body};

	if (defined $a->{accept}) {
		$r->{accept_lost} = $a->{accept};
	}
	if ($a->{hang}) {
		$self->answered($r, 0, $a->{accept} // 0);
		$r->{done} = 1;
		return;
	}

	my $go = sub { $self->answer($c, $r, $a) };

	if ($a->{hold}) {
		push @{$self->{held}}, $go;
	} elsif ($a->{delay}) {
		push @{$self->{timers}}, [ time + $a->{delay}, $go ];
	} else {
		$go->();
	}
	return;
}

sub choose {
	my ($self, $r) = @_;

	if (@{$self->{script}}) {
		return shift @{$self->{script}};
	}

	for my $rule (@{$self->{rules}}) {
		my $w = $rule->{when} || {};
		next if defined $rule->{times} && $rule->{times} <= 0;
		next if defined $w->{contains}
			&& index($r->{body}, $w->{contains}) < 0;
		next if defined $w->{event} && $r->{body}
			!~ /"event"\s*:\s*"\Q$w->{event}\E"/;
		next if defined $w->{write_key}
			&& ($r->{write_key} // '') ne $w->{write_key};
		next if defined $w->{path} && $r->{path} ne $w->{path};
		next if defined $w->{min_events}
			&& $r->{events} < $w->{min_events};
		next if defined $w->{max_events}
			&& $r->{events} > $w->{max_events};
		next if defined $w->{min_bytes}
			&& $r->{bytes} < $w->{min_bytes};
		$rule->{times}-- if defined $rule->{times};
		return $rule;
	}

	if (my $handler = $self->{opt}{handler}) {
		my $a = $handler->($r);
		return $a if $a;
	}

	# what Segment itself would refuse

	return { status => 404 } if $r->{path} ne '/v1/batch';
	return { status => 405 } if $r->{method} ne 'POST';
	return { status => 400, body => 'Bad Request' } if $r->{refuse};

	return $self->{default};
}

sub answered {
	my ($self, $r, $status, $accepted) = @_;
	return if $r->{done};
	$r->{done} = 1;
	$self->note('requests', $json->encode({ n => $r->{n},
		status => $status + 0, accepted => $accepted ? 1 : 0,
		answered_at => time }) . "\n");
	return;
}

sub answer {
	my ($self, $c, $r, $a) = @_;

	return if $r->{gone};

	my $status = $a->{status} // 200;
	my $close = $a->{close} // '';
	my $accepted = $a->{accept} // ($status =~ /^2/ && !$r->{refuse}
		&& $close ne 'before' ? 1 : 0);

	$self->answered($r, $close eq 'before' ? 0 : $status, $accepted);

	my $body = $a->{body} // ($status =~ /^2/ ? '{"success":true}'
		: '{"success":false}');
	$body = $json->encode($body) if ref $body;

	my %h = ('Content-Type' => 'application/json',
		'Content-Length' => length $body, %{$a->{headers} || {}});
	delete $h{'Content-Length'} if $status =~ /^(?:1..|204|304)$/;
	$body = '' if $status =~ /^(?:1..|204|304)$/;

	my $end = $close ne '' || $r->{v} == 0
		|| ($r->{headers}{connection} // '') =~ /close/i
		|| (exists $self->{opt}{keepalive}
			&& !$self->{opt}{keepalive});
	$h{Connection} = 'close' if $end && !$close;

	my $head = "HTTP/1.1 $status "
		. ($status =~ /^2/ ? 'OK' : 'Answer') . "\r\n"
		. join('', map { "$_: $h{$_}\r\n" } sort keys %h) . "\r\n";
	my $out = $a->{raw} // ($close eq 'before' ? ''
		: $close eq 'mid_header' ? substr($head, 0, length($head) / 2)
		: $close eq 'mid_body' ? $head . substr($body, 0,
			length($body) / 2)
		: $head . $body);

	$c->{request} = undef;
	$c->{out} .= $out;
	$c->{end} = 1 if $end;
	$c->{rst} = $a->{rst};
	$self->flush($c);

	$self->parse($c) if $self->{conn}{$c->{fd}} && length $c->{in};
	return;
}


# ---- the rules of a batch ----

# texts of violations; fills write_key, events, rows (for the record), and
# refuse: Segment answers such a request 400

sub check {
	my ($self, $r) = @_;
	my @wrong;
	my $h = $r->{headers};

	$r->{events} = 0;
	$r->{rows} = '';

	if ($r->{method} ne 'POST' || $r->{path} ne '/v1/batch') {
		return "unexpected $r->{method} $r->{path}";
	}

	push @wrong, "header sent twice: $_" for @{$r->{twice}};
	push @wrong, 'no Host' unless length($h->{host} // '');
	push @wrong, 'content type is ' . ($h->{'content-type'} // 'absent')
		unless ($h->{'content-type'} // '')
			=~ m{^application/json(?:;\s*charset=utf-8)?$}i;
	push @wrong, "content encoding $h->{'content-encoding'}"
		if defined $h->{'content-encoding'};

	if ($r->{bytes} > $Ctseg::Segment::MAX_BODY) {
		push @wrong, "body of $r->{bytes} bytes";
		$r->{refuse} = 1;
	}

	my $ok = \$r->{body};

	if ($$ok =~ /[\x80-\xff]/) {
		my $copy = $$ok;
		if (!utf8::decode($copy)) {
			push @wrong, 'body is not UTF-8';
			$r->{refuse} = 1;
		}
	}

	my ($top, $error) = $self->slices($r);
	if ($error) {
		push @wrong, "not JSON: $error";
		$r->{refuse} = 1;
		$r->{rows} = '';
		$r->{events} = 0;
		return @wrong;
	}

	push @wrong, @{delete $r->{event_wrong}};

	for my $name (sort keys %$top) {
		push @wrong, "$name at the top"
			if $name =~ /^(?:sentAt|timestamp|messageId|type)$/;
		push @wrong, "unknown $name at the top" if $name
			!~ /^(?:batch|writeKey|context|integrations|sentAt
				|timestamp|messageId|type)$/x;
		push @wrong, "$name twice at the top" if $top->{$name}[1] > 1;
	}
	push @wrong, 'no batch' unless $top->{batch};

	my $key = $top->{writeKey} ? $top->{writeKey}[0] : '';
	if ($key !~ s/^"(.+)"$/$1/s) {
		push @wrong, 'no writeKey';
		$key = undef;
	}
	$r->{write_key} = $key;

	my $auth = $h->{authorization};
	if (!defined $auth) {
		push @wrong, 'no Authorization';
	} elsif (defined $key && $auth ne 'Basic '
		. encode_base64("$key:", ''))
	{
		push @wrong, 'Authorization does not belong to the writeKey';
	}

	push @wrong, "$r->{events} events" if $r->{events}
		> $Ctseg::Segment::MAX_EVENTS;
	push @wrong, 'empty batch' if $top->{batch} && !$r->{events};

	# the events behind the limit are dropped, and so is every one of a
	# request without a valid key

	if ($r->{events} > $Ctseg::Segment::MAX_EVENTS || !defined $auth) {
		$r->{rows} =~ s/^(\d+)\t1/$1\t0/mg;
	}

	$self->{events} += $r->{events};
	return @wrong;
}

# walk over the body: ({ top name => [raw value, times] }, error)

sub slices {
	my ($self, $r) = @_;
	my %top;
	my @rows;
	$r->{event_wrong} = [];

	# lexical matching on a copy keeps pos() fast

	my $b = $r->{body};
	my $fail = sub { (undef, $_[0] . ' at byte ' . (pos($b) // 0)) };

	$b =~ /\G$ws\{$ws/gc or return $fail->('no object');
	if ($b !~ /\G\}/gc) {
		while (1) {
			$b =~ /\G"([^"\\\x00-\x1f]*+)"$ws:$ws/gco
				or return $fail->('no member');
			my $name = $1;
			my $times = ($top{$name} ? $top{$name}[1] : 0) + 1;

			if ($name eq 'batch' && $b =~ /\G\[$ws/gco) {
				$top{$name} = [ '[', $times ];
				if ($b !~ /\G\]/gc) {
					while (1) {
						my $e = $self->event($r, \$b,
							\@rows);
						return $fail->($e) if $e;
						$b =~ /\G$ws([,\]])$ws/gco
							or return $fail->(
							'no end of event');
						last if $1 eq ']';
					}
				}
			} else {
				my $start = pos $b;
				$b =~ /\G$value/gco
					or return $fail->('no value');
				$top{$name} = [ substr($b, $start,
					pos($b) - $start), $times ];
			}

			$b =~ /\G$ws([,}])$ws/gco
				or return $fail->('no end of object');
			last if $1 eq '}';
		}
	}
	$b =~ /\G$ws\z/gc or return $fail->('something behind the end');

	$r->{rows} = join '', @rows;
	return (\%top);
}

my %known = map { $_ => 1 } qw/ type event userId anonymousId properties
	traits context integrations timestamp messageId /;

sub event {
	my ($self, $r, $b, $rows) = @_;

	my $start = pos $$b;
	my %m;
	my @wrong;

	$$b =~ /\G\{$ws/gco or return 'event is no object';
	if ($$b !~ /\G\}/gc) {
		while (1) {
			$$b =~ /\G"([^"\\\x00-\x1f]*+)"$ws:$ws/gco
				or return 'no member of an event';
			my $name = $1;
			push @wrong, "$name twice" if exists $m{$name};
			my $from = pos $$b;
			$$b =~ /\G$value$ws/gco
				or return "no value of $name";
			$m{$name} = substr $$b, $from, pos($$b) - $from;
			$$b =~ /\G([,}])$ws/gco or return 'no end of event';
			last if $1 eq '}';
		}
	}

	my $len = pos($$b) - $start;
	my $no = ++$r->{events};

	push @wrong, "$len bytes" if $len >= $Ctseg::Segment::MAX_EVENT;

	# the raw inside of a string; undef: absent, '': empty or no string

	my %s;
	for my $name (qw/ messageId type event userId anonymousId timestamp /)
	{
		next unless exists $m{$name};
		my $v = $m{$name};
		if (substr($v, 0, 1) eq '"') {
			$v =~ s/[ \t\r\n]+\z//;
			$s{$name} = substr $v, 1, -1;
		} else {
			$s{$name} = '';
			push @wrong, "$name is no string";
		}
	}

	my $type = $s{type} // '';
	if ($type eq 'track') {
		push @wrong, 'track without event'
			unless length($s{event} // '');
		push @wrong, 'track with traits' if exists $m{traits};
	} elsif ($type eq 'identify') {
		push @wrong, 'identify with event' if exists $m{event};
		push @wrong, 'identify with properties'
			if exists $m{properties};
	} else {
		push @wrong, 'type is ' . ($type eq '' ? 'absent' : $type);
	}

	for my $name (qw/ properties traits context integrations /) {
		push @wrong, "$name is no object" if exists $m{$name}
			&& substr($m{$name}, 0, 1) ne '{';
	}

	push @wrong, 'neither userId nor anonymousId'
		unless length($s{userId} // '')
			|| length($s{anonymousId} // '');
	for my $name (qw/ userId anonymousId /) {
		push @wrong, "empty $name" if exists $s{$name}
			&& $s{$name} eq '';
	}

	my $ts = $s{timestamp};
	push @wrong, 'timestamp is ' . ($ts // 'absent')
		unless defined $ts && $ts =~ /^\d{4}-(?:0[1-9]|1[0-2])-
			(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d
			:[0-5]\d\.\d{3}Z\z/x;

	push @wrong, 'sentAt in an event' if exists $m{sentAt};
	for my $name (sort keys %m) {
		push @wrong, "unknown $name" unless $known{$name}
			|| $name eq 'sentAt';
	}

	my $id = $s{messageId} // '';
	if ($id eq '') {
		push @wrong, 'no messageId';
	} elsif (length $id >= 100) {
		push @wrong, 'messageId of ' . length($id) . ' characters';
	} else {
		my $sum = md5(substr $$b, $start, $len);
		my $old = $self->{ids}{$id};
		if (!defined $old) {
			$self->{ids}{$id} = $sum;
		} elsif ($old ne $sum) {
			push @wrong, "messageId $id with other content";
		} elsif (($r->{ids_here} ||= {})->{$id}) {
			push @wrong, "messageId $id twice in a batch";
		}
		$r->{ids_here}{$id} = 1;
	}

	push @{$r->{event_wrong}}, map { "event $no: $_" } @wrong;
	push @$rows, join("\t", $r->{n}, @wrong ? 0 : 1,
		$self->{offset} + $start, $len, $id, $type, $s{event} // '',
		$s{userId} // '', $s{anonymousId} // '', $ts // '') . "\n";

	return;
}

1;
