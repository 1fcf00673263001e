package Ctseg::Client;

# A small HTTP/1.1 client.  Every wait has a deadline, kept by select().
#
#	my $c = Ctseg::Client->new($port);		# keep-alive
#	my $a = $c->request('POST', '/1/upload', {}, $body);
#	is($a->{status}, 200);
#	is($a->{json}{status}, 'success');

use strict;
use warnings;

use Errno qw/ EINPROGRESS EINTR EWOULDBLOCK EAGAIN /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw/ sleep time /;

our @EXPORT_OK = qw/ http http_json raw wait_for parallel_posts
	json_decode json_encode /;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub json_encode { return $json->encode($_[0]) }
sub json_decode { return $json->decode($_[0]) }


# ---- a connection ----

# new(port, timeout => 20): connects on the first request, and again when the
# server has closed an idle connection

sub new {
	my ($class, $port, %opt) = @_;
	$port = $1 if $port =~ m{^http://127\.0\.0\.1:(\d+)};
	return bless { port => $port, timeout => $opt{timeout} || 20,
		in => '', used => 0 }, $class;
}

sub connect {
	my ($self) = @_;
	$self->{sock} = IO::Socket::INET->new(Proto => 'tcp',
		PeerAddr => '127.0.0.1', PeerPort => $self->{port},
		Timeout => $self->{timeout})
		or die "connect to port $self->{port}: $@\n";
	$self->{sock}->blocking(0);
	$self->{in} = '';
	$self->{used} = 0;
	return $self;
}

sub close {
	my ($self) = @_;
	CORE::close $self->{sock} if $self->{sock};
	$self->{sock} = undef;
	return;
}

sub sock { return $_[0]->{sock} }

# request(method, path, {headers}, body): { status, reason, headers (lower
# case; a repeated one joined with ', '), body, json (decoded, or undef) }.
# A body that is a reference is encoded as JSON.  Dies at the deadline and
# when the connection breaks.

sub request {
	my ($self, $method, $path, $headers, $body) = @_;

	my $bytes = format_request($self->{port}, $method, $path, $headers,
		$body);

	for my $try (1, 2) {
		my $reused = $self->{sock} && $self->{used};
		$self->connect unless $self->{sock};
		$self->{used}++;

		my $answer = eval {
			$self->send_bytes($bytes);
			$self->read_answer($method eq 'HEAD');
		};
		return $answer if $answer;

		# a keep-alive connection may have been closed meanwhile

		my $err = $@;
		$self->close;
		die $err unless $reused && $try == 1
			&& $err =~ /before the answer/;
	}
}

sub format_request {
	my ($port, $method, $path, $headers, $body) = @_;

	my %h = %{$headers || {}};
	my %lc = map { lc($_) => 1 } keys %h;

	if (ref $body) {
		$body = json_encode($body);
		$h{'Content-Type'} = 'application/json' unless
			$lc{'content-type'};
	}
	if (defined $body && !$lc{'content-length'}
		&& !$lc{'transfer-encoding'})
	{
		$h{'Content-Length'} = length $body;
	}
	$h{Host} = "127.0.0.1:$port" unless $lc{host};

	return "$method $path HTTP/1.1\r\n"
		. join('', map { "$_: $h{$_}\r\n" } sort grep {
			defined $h{$_} } keys %h)
		. "\r\n" . ($body // '');
}

sub send_bytes {
	my ($self, $bytes) = @_;
	my $end = time + $self->{timeout};
	my $off = 0;

	while ($off < length $bytes) {
		my $n = syswrite $self->{sock}, $bytes, 65536, $off;
		if (defined $n) {
			$off += $n;
			next;
		}
		next if $!{EINTR};

		# an early answer (413) may precede the end of the body

		return if $!{EPIPE} || $!{ECONNRESET};
		die "write: $!\n" unless $!{EAGAIN} || $!{EWOULDBLOCK};
		my $left = $end - time;
		die "deadline while sending\n" if $left <= 0;
		my $bits = my $r = '';
		vec($bits, fileno $self->{sock}, 1) = 1;
		vec($r, fileno $self->{sock}, 1) = 1;
		select $r, $bits, undef, $left;
		return if vec($r, fileno $self->{sock}, 1)
			&& !vec($bits, fileno $self->{sock}, 1);
	}
	return;
}

sub read_answer {
	my ($self, $head) = @_;
	my $end = time + $self->{timeout};

	while (1) {
		my ($answer, $used) = parse_answer(\$self->{in}, $head,
			$self->{eof});
		if ($answer) {
			substr($self->{in}, 0, $used) = '';
			next if $answer->{status} == 100;
			$self->close if $self->{eof} || ($answer->{headers}
				{connection} // '') =~ /close/i;
			$self->{eof} = 0;
			return $answer;
		}
		if ($self->{eof}) {
			$self->{eof} = 0;
			my $got = length $self->{in};
			$self->close;
			die $got ? "connection closed in the answer\n"
				: "connection closed before the answer\n";
		}

		my $left = $end - time;
		die "deadline before the answer\n" if $left <= 0;
		my $bits = '';
		vec($bits, fileno $self->{sock}, 1) = 1;
		select $bits, undef, undef, $left;

		my $n = sysread $self->{sock}, $self->{in}, 65536,
			length $self->{in};
		next if !defined $n && ($!{EAGAIN} || $!{EINTR}
			|| $!{EWOULDBLOCK});
		$self->{eof} = 1 if !$n;
	}
}

# (answer, bytes used), or nothing while it is incomplete

sub parse_answer {
	my ($in, $head, $eof) = @_;

	my $pos = index $$in, "\r\n\r\n";
	return if $pos < 0;

	my ($line, @lines) = split /\r\n/, substr $$in, 0, $pos;
	$line =~ m{^HTTP/1\.[01] (\d{3}) ?(.*)} or die "bad answer: $line\n";
	my %answer = (status => $1, reason => $2, headers => {});

	for (@lines) {
		my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/
			or die "bad header: $_\n";
		$name = lc $name;
		$answer{headers}{$name} = defined $answer{headers}{$name}
			? "$answer{headers}{$name}, $value" : $value;
	}

	my $h = $answer{headers};
	my $off = $pos + 4;

	if ($head || $answer{status} =~ /^(?:1\d\d|204|304)$/) {
		$answer{body} = '';

	} elsif (($h->{'transfer-encoding'} // '') =~ /chunked/i) {
		$answer{body} = '';
		while (1) {
			pos($$in) = $off;
			$$in =~ /\G([0-9a-fA-F]+)[^\r\n]*\r\n/gc or return;
			my $len = hex $1;
			$off = pos($$in) + $len + 2;
			return if length $$in < $off;
			last if $len == 0;
			$answer{body} .= substr $$in, $off - $len - 2, $len;
		}

	} elsif (defined $h->{'content-length'}) {
		my $len = $h->{'content-length'};
		return if length $$in < $off + $len;
		$answer{body} = substr $$in, $off, $len;
		$off += $len;

	} else {
		return unless $eof;
		$answer{body} = substr $$in, $off;
		$off = length $$in;
	}

	if (($h->{'content-type'} // '') =~ m{\bjson\b}
		&& length $answer{body})
	{
		$answer{json} = eval { json_decode($answer{body}) };
	}

	return (\%answer, $off);
}


# ---- functions ----

# one request on a connection of its own

sub http {
	my ($method, $url, $headers, $body) = @_;
	$url =~ m{^http://127\.0\.0\.1:(\d+)(/.*)?$} or die "bad url $url\n";
	my $c = Ctseg::Client->new($1);
	return $c->request($method, $2 // '/', { Connection => 'close',
		%{$headers || {}} }, $body);
}

# data (a reference, or ready JSON text) goes out as application/json

sub http_json {
	my ($method, $url, $data, $headers) = @_;
	return http($method, $url, { Accept => 'application/json',
		(defined $data ? ('Content-Type' => 'application/json') : ()),
		%{$headers || {}} },
		ref $data ? json_encode($data) : $data);
}

# bytes as they are; everything the server sends until it closes, or until
# nothing came for `idle` seconds

sub raw {
	my ($port, $bytes, %opt) = @_;
	my $idle = $opt{idle} || 5;
	my $c = Ctseg::Client->new($port)->connect;
	$c->send_bytes($bytes);
	shutdown $c->{sock}, 1 if $opt{half_close};

	my $out = '';
	while (1) {
		my $bits = '';
		vec($bits, fileno $c->{sock}, 1) = 1;
		select($bits, undef, undef, $idle) or last;
		my $n = sysread $c->{sock}, $out, 65536, length $out;
		last if !$n;
	}
	$c->close;
	return $out;
}

# poll the condition every 20 ms; its true value is the result

sub wait_for (&@) {
	my ($cond, $seconds, $what) = @_;
	my $end = time + $seconds;

	while (1) {
		my $value = $cond->();
		return $value if $value;
		die 'waited ' . $seconds . ' s for '
			. ($what // 'a condition') . "\n" if time > $end;
		sleep 0.02;
	}
}

# Post every body once over many keep-alive connections.  A list of { status
# (0: no answer), body, error, seconds }, in the order of the bodies.
#
# connections => 16, headers => {}, timeout => 30 (for one answer),
# on_answer => sub ($index, $answer), where false stops sending new ones.
#
# A connection that dies takes the answer of its request with it: that body
# is never sent again, since the server may have taken it.

sub parallel_posts {
	my ($port, $path, $bodies, %opt) = @_;

	my $timeout = $opt{timeout} || 30;
	my $headers = { 'Content-Type' => 'application/json',
		%{$opt{headers} || {}} };
	my @result = map { { status => 0, body => undef,
		error => 'not sent' } } @$bodies;
	my $next = 0;
	my $refused = 0;
	my $stopped;
	my %conn;
	local $SIG{PIPE} = 'IGNORE';

	my $open = sub {
		my $s = IO::Socket::INET->new(Proto => 'tcp',
			PeerAddr => '127.0.0.1', PeerPort => $port,
			Timeout => $timeout) or do { $refused++; return };
		$s->blocking(0);
		$conn{fileno $s} = { s => $s, in => '' };
		return $conn{fileno $s};
	};

	my $assign = sub {
		my ($c) = @_;
		if ($stopped || $next >= @$bodies) {
			delete $conn{fileno $c->{s}};
			CORE::close $c->{s};
			return;
		}
		$c->{i} = $next++;
		$c->{out} = format_request($port, 'POST', $path, $headers,
			$bodies->[$c->{i}]);
		$c->{off} = 0;
		$c->{start} = time;
		$result[$c->{i}]{error} = 'no answer';
		return;
	};

	my $done = sub {
		my ($c, $answer, $error) = @_;
		my $i = $c->{i};
		my $r = $result[$i];
		$r->{seconds} = time - $c->{start};
		$r->{error} = $error;
		if ($answer) {
			$r->{status} = $answer->{status};
			$r->{body} = $answer->{body};
			$r->{headers} = $answer->{headers};
		}
		if ($opt{on_answer} && !$opt{on_answer}->($i, $r)) {
			$stopped = 1;
		}

		my $close = $error || ($answer->{headers}{connection} // '')
			=~ /close/i;
		if (!$close) {
			$assign->($c);
			return;
		}

		delete $conn{fileno $c->{s}};
		CORE::close $c->{s};
		if (!$stopped && $next < @$bodies) {
			my $new = $open->();
			$assign->($new) if $new;
		}
		return;
	};

	my $n = $opt{connections} || 16;
	for (1 .. $n) {
		last if $next >= @$bodies;
		my $c = $open->() or last;
		$assign->($c);
	}

	while (%conn) {
		my ($r, $w) = ('', '');
		for my $fd (keys %conn) {
			vec($r, $fd, 1) = 1;
			vec($w, $fd, 1) = 1
				if $conn{$fd}{off} < length $conn{$fd}{out};
		}
		select $r, $w, undef, 0.2;

		for my $fd (keys %conn) {
			my $c = $conn{$fd} or next;

			if (vec($w, $fd, 1)
				&& $c->{off} < length $c->{out})
			{
				my $n = syswrite $c->{s}, $c->{out}, 262144,
					$c->{off};
				$c->{off} += $n if $n;
			}

			if (vec($r, $fd, 1)) {
				my $n = sysread $c->{s}, $c->{in}, 65536,
					length $c->{in};
				my $lost = defined $n ? $n == 0
					: !($!{EAGAIN} || $!{EINTR});
				my ($answer, $used) = parse_answer(\$c->{in},
					0, $lost);
				if ($answer) {
					substr($c->{in}, 0, $used) = '';
					$done->($c, $answer,
						$lost ? 'closed' : undef);
					next;
				}
				if ($lost) {
					$done->($c, undef, 'no answer');
					next;
				}
			}

			if (time - $c->{start} > $timeout) {
				$done->($c, undef, 'deadline');
			}
		}

		# the server is gone: what was not sent stays "not sent"

		last if !%conn && $refused;
	}

	return @result;
}

1;
