package Ctseg::Segment::Server;

# The child of the mock of Segment: what it knows of a batch.  Used by
# Ctseg::Segment only.

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;
use MIME::Base64 qw/ encode_base64 /;

use parent 'Ctseg::Mock::Server';

# Segment's limits ("HTTP API Source"), and what ctseg promises to keep to

our $MAX_BODY = 500_000;
our $MAX_EVENTS = 2_500;
our $MAX_EVENT = 32_000;		# an event is smaller than this
our $OUR_BODY = 475_000;

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

sub begin {
	my ($self) = @_;
	$self->{ids} ||= {};
	$self->{events} = 0;
	return;
}

# after a restart: numbers and ids of the record go on

sub learn {
	my ($self) = @_;
	$self->SUPER::learn;

	open my $b, '<:raw', "$self->{prefix}.bodies" or return;
	my $bodies = do { local $/; <$b> } // '';
	open my $e, '<:raw', "$self->{prefix}.events" or return;
	while (<$e>) {
		my (undef, undef, $off, $len, $id) = split /\t/;
		$self->{ids}{$id} //= md5(substr $bodies, $off, $len);
	}
	return;
}

sub rows {
	my ($self, $r) = @_;
	$self->note('events', delete $r->{rows}) if length($r->{rows} // '');
	return;
}

sub record {
	my ($self, $r) = @_;
	return (events => $r->{events}, write_key => $r->{write_key});
}

sub figures { return (events => $_[0]->{events}) }

sub matches {
	my ($self, $w, $r) = @_;

	return 0 if defined $w->{contains}
		&& index($r->{body}, $w->{contains}) < 0;
	return 0 if defined $w->{event} && $r->{body}
		!~ /"event"\s*:\s*"\Q$w->{event}\E"/;
	return 0 if defined $w->{write_key}
		&& ($r->{write_key} // '') ne $w->{write_key};
	return 0 if defined $w->{path} && $r->{path} ne $w->{path};
	return 0 if defined $w->{min_events}
		&& $r->{events} < $w->{min_events};
	return 0 if defined $w->{max_events}
		&& $r->{events} > $w->{max_events};
	return 0 if defined $w->{min_bytes}
		&& $r->{bytes} < $w->{min_bytes};
	return 1;
}

# what Segment itself would refuse

sub natural {
	my ($self, $r) = @_;
	return { status => 404 } if $r->{path} ne '/v1/batch';
	return { status => 405 } if $r->{method} ne 'POST';
	return { status => 400, body => 'Bad Request' } if $r->{refuse};
	return $self->{default};
}

sub complete {
	my ($self, $r, $a) = @_;
	return { body => ($a->{status} // 200) =~ /^2/ ? '{"success":true}'
		: '{"success":false}', %$a };
}

# whether the events of a request that is over count as accepted

sub ended {
	my ($self, $r, $status, $a) = @_;
	return (accepted => $a->{accept} // ($status =~ /^2/ && !$r->{refuse})
		? 1 : 0);
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
