package Ctseg::Segment::Server;

# The child of the mock: the loop that accepts, reads, judges and answers.
# Used by Ctseg::Segment only, which also says what the answers can be.

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;
use Errno;
use Fcntl ();
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw/ encode_base64 decode_base64 /;
use POSIX ();
use Socket;
use Time::HiRes qw/ time /;

# Segment's limits ("HTTP API Source"), and what ctseg promises to keep to

our $MAX_BODY = 500_000;
our $MAX_EVENTS = 2_500;
our $MAX_EVENT = 32_000;		# an event is smaller than this
our $OUR_BODY = 475_000;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

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
		cut	=> 0,
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
				cut => $self->{cut},
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
		$self->{cut}++ if !$c->{served} || $c->{head};
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
	$c->{served} = 1;
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
	$r->{what} = $a->{what};

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
		what => $r->{what}, answered_at => time }) . "\n");
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
	$c->{rst} = $a->{rst};
	return $self->drip($c, $out, $end, $a->{drip}) if $a->{drip};

	$c->{out} .= $out;
	$c->{end} = 1 if $end;
	$self->flush($c);

	$self->parse($c) if $self->{conn}{$c->{fd}} && length $c->{in};
	return;
}

# an answer in eight pieces, so many seconds apart

sub drip {
	my ($self, $c, $out, $end, $seconds) = @_;
	my $n = int(length($out) / 8) + 1;

	return if !$self->{conn}{$c->{fd}} || $self->{conn}{$c->{fd}} != $c;
	$c->{out} .= substr $out, 0, $n, '';
	if (length $out) {
		push @{$self->{timers}}, [ time + $seconds,
			sub { $self->drip($c, $out, $end, $seconds) } ];
	} else {
		$c->{end} = 1 if $end;
	}
	$self->flush($c);
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

	if ($r->{bytes} > $MAX_BODY) {
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
		> $MAX_EVENTS;
	push @wrong, 'empty batch' if $top->{batch} && !$r->{events};

	# the events behind the limit are dropped, and so is every one of a
	# request without a valid key

	if ($r->{events} > $MAX_EVENTS || !defined $auth) {
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

	push @wrong, "$len bytes" if $len >= $MAX_EVENT;

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
