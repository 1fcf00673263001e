package Ctseg::Mock::Server;

# The child of a mock: the loop that accepts, reads, judges and answers.  Used
# by the classes of Ctseg::Mock only; what is theirs alone, a class derived
# from this one says:
#
#	begin		before the first request
#	check($r)	texts of what is wrong with a request; notes in it what
#			is to be recorded
#	rows($r)	more to be recorded, before the request itself
#	record($r)	of the record of a request, what is the class's own
#	matches($w, $r)	do the conditions of a rule hold?
#	natural($r)	the answer when nothing else was asked for
#	complete($r, $a)  whatever was chosen, with what it leaves open
#	ended($r, $a)	of the record of an answer, what is the class's own
#	command($cmd)	a command of its own: the answer, or undef
#	figures		of stats(), what it counts

use strict;
use warnings;

use Errno;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket;
use Time::HiRes qw/ time /;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub begin { return }
sub check { return () }
sub rows { return }
sub record { return () }
sub natural { return $_[0]->{default} }
sub ended { return () }
sub command { return }
sub figures { return () }

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
		held	=> [],
		timers	=> [],
		cut	=> 0,
		bytes	=> 0,
		file	=> {},
	}, $class;

	for my $ext (qw/ requests bodies violations /, $mock->files) {
		open $self->{file}{$ext}, '>>:raw', "$self->{prefix}.$ext"
			or die "$self->{prefix}.$ext: $!\n";
	}
	$self->{offset} = -s $self->{file}{bodies};

	$self->learn unless $fresh;
	$self->begin;
	return $self;
}

# after a restart: what the record knows

sub learn {
	my ($self) = @_;

	open my $r, '<:raw', "$self->{prefix}.requests" or return;
	while (<$r>) {
		$self->{n} = $1 if /"n":(\d+)/ && $1 > $self->{n};
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
				bytes => $self->{bytes},
				$self->figures,
			};

		} else {
			$answer = $self->command($cmd) // $answer;
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
			$self->answered($r, 0, $r->{lost});
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
	$self->rows($r);
	$self->violation($r, @wrong);
	$self->note('requests', $json->encode({ n => $r->{n}, at => time,
		method => $r->{method}, path => $r->{path},
		headers => $r->{headers}, bytes => $r->{bytes},
		offset => $self->{offset}, conn => $c->{id},
		violations => scalar @wrong, $self->record($r) }) . "\n");
	$self->{offset} += length $body;

	my $a = $self->complete($r, $self->choose($r));
	delete $r->{body};
	$r->{what} = $a->{what};
	$r->{lost} = $a;

	if ($a->{hang}) {
		$self->answered($r, 0, $a);
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

sub violation {
	my ($self, $r, @wrong) = @_;
	$self->note('violations', join '', map { "request $r->{n}: $_\n" }
		@wrong) if @wrong;
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
		next if defined $w->{method} && $r->{method} ne $w->{method};
		next unless $self->matches($w, $r);
		$rule->{times}-- if defined $rule->{times};
		return $rule;
	}

	if (my $handler = $self->{opt}{handler}) {
		my $a = $handler->($r);
		return $a if $a;
	}

	return $self->natural($r);
}

sub answered {
	my ($self, $r, $status, $a) = @_;
	return if $r->{done};
	$r->{done} = 1;
	$self->note('requests', $json->encode({ n => $r->{n},
		status => $status + 0, what => $r->{what},
		answered_at => time, $self->ended($r, $status, $a) }) . "\n");
	return;
}

sub answer {
	my ($self, $c, $r, $a) = @_;

	return if $r->{gone};

	my $status = $a->{status} // 200;
	my $close = $a->{close} // '';

	$self->answered($r, $close eq 'before' ? 0 : $status, $a);

	my $body = $a->{body} // '';
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

1;
