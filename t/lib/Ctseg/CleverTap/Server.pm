package Ctseg::CleverTap::Server;

# The child of the mock of CleverTap: walks, cursors and pages.  Used by
# Ctseg::CleverTap only.

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;
use Errno ();
use IO::Compress::Gzip ();
use JSON::PP ();
use MIME::Base64 qw/ encode_base64 decode_base64 /;
use Socket qw/ MSG_DONTWAIT MSG_PEEK /;
use Time::Local qw/ timegm_modern /;

use parent 'Ctseg::Mock::Server';

our $MAX_BATCH = 5000;
our $MAX_CALLS = 3;			# at a time, of an account

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my %as = (
	busy => { status => 200, body => fail(2,
		'Request still in progress, please retry later') },
	throttled => { status => 429, body => fail(429,
		'Too many concurrent requests') },
	throttled_code => { status => 200, body => fail(429,
		'Too many concurrent requests') },
	refused => { status => 400, body => fail(400,
		'Export not allowed for this event') },
	denied => { status => 401, body => fail(401, 'Invalid credentials') },
	expired => { status => 400, body => fail(400, 'Invalid cursor') },
	junk => { status => 200, body => '<html>Bad Gateway</html>',
		headers => { 'Content-Type' => 'text/html' } },
);

sub fail {
	my ($code, $error) = @_;
	return "{\"status\":\"fail\",\"error\":\"$error\",\"code\":$code}";
}

sub begin {
	my ($self) = @_;
	$self->{set} = { style => 'next_cursor',
		accounts => $self->{opt}{accounts} };
	$self->{data} = {};
	$self->{loaded} = 0;
	$self->{walks} = 0;
	$self->{current} = {};		# account => its last walk
	$self->{reached} = {};		# walk => last page asked for
	$self->{asked} = {};		# cursor => how often
	$self->{expired} = 0;		# walks up to this one
	$self->load;
	return;
}

sub load {
	my ($self) = @_;
	open my $f, '<:raw', "$self->{prefix}.data" or return;
	seek $f, $self->{loaded}, 0;
	while (<$f>) {
		chomp;
		my ($account, $name, $day, $text) = split /\t/, $_, 4;
		push @{$self->{data}{$account}{key($name)}},
			[ $day, $text ];
	}
	$self->{loaded} = tell $f;
	return;
}

# names are the same whatever their case and spaces

sub key { return lc $_[0] =~ s/\s+//gr }

sub command {
	my ($self, $cmd) = @_;
	my $what = $cmd->{cmd};

	if ($what eq 'load') {
		$self->load;
	} elsif ($what eq 'set') {
		$self->{set} = { %{$self->{set}}, %{$cmd->{set}} };
	} elsif ($what eq 'expire') {
		$self->{expired} = $self->{n};
	}
	return;
}

sub figures { return (walks => $_[0]->{walks}) }

sub record {
	my ($self, $r) = @_;
	return map { $_ => $r->{$_} } grep { defined $r->{$_} }
		qw/ account event from to walk page /;
}

sub matches {
	my ($self, $w, $r) = @_;
	return 0 if defined $w->{contains}
		&& index("$r->{path}\n$r->{body}", $w->{contains}) < 0;
	for my $name (qw/ account event page /) {
		return 0 if defined $w->{$name}
			&& ($r->{$name} // '') ne $w->{$name};
	}
	return 1;
}


# ---- what a client must keep to ----

# did the client go?  Its end may not have been read yet when the request of
# its successor is.

sub _gone {
	my ($socket) = @_;
	my $read = defined recv $socket, my $bytes, 1, MSG_PEEK | MSG_DONTWAIT;
	return $read ? $bytes eq '' : $!{ECONNRESET};
}

sub check {
	my ($self, $r) = @_;
	my $h = $r->{headers};
	my ($path, $query) = split /\?/, $r->{path}, 2;

	return "unexpected $r->{method} $r->{path}" if $path
		ne '/1/events.json' || $r->{method} !~ /^(?:GET|POST)$/;

	my @wrong = map { "header sent twice: $_" } @{$r->{twice}};
	push @wrong, 'no Host' unless length($h->{host} // '');
	for my $name (qw/ account-id passcode /) {
		push @wrong, "no X-CleverTap-$name"
			unless length($h->{"x-clevertap-$name"} // '');
	}

	my $account = $r->{account} = $h->{'x-clevertap-account-id'} // '';
	my $busy = grep { $_->{request} && ($_->{request}{account} // '')
		eq $account && !_gone($_->{s}) } values %{$self->{conn}};
	push @wrong, 'another request of the account is under way'
		if $busy > 1;
	$r->{crowd} = 1 if $busy > $MAX_CALLS;

	my %q;
	for my $pair (split /&/, $query // '') {
		my ($name, $value) = split /=/, $pair, 2;
		push @wrong, "$name twice in the query" if exists $q{$name};
		$q{$name} = $value // '';
	}

	return @wrong, $r->{method} eq 'POST' ? $self->check_open($r, \%q)
		: $self->check_page($r, \%q);
}

sub check_open {
	my ($self, $r, $q) = @_;
	my @wrong;

	push @wrong, 'content type is ' . ($r->{headers}{'content-type'}
		// 'absent') unless ($r->{headers}{'content-type'} // '')
			=~ m{^application/json(?:;\s*charset=utf-8)?$}i;

	my $size = delete $q->{batch_size} // 10;
	push @wrong, "batch_size is $size" unless $size =~ /^[1-9]\d{0,3}$/
		&& $size <= $MAX_BATCH;
	for my $name (qw/ app events profile /) {
		my $value = delete $q->{$name} // next;
		push @wrong, "$name is $value" if $value !~ /^(?:true|false)$/;
	}
	push @wrong, map { "unknown $_ in the query" } sort keys %$q;

	my $body = eval { $json->decode($r->{body}) };
	if (ref $body ne 'HASH') {
		$r->{malformed} = 1;
		return @wrong, 'the body is no object';
	}

	my ($name, $from, $to) = delete @$body{qw/ event_name from to /};
	push @wrong, 'no event_name' unless length($name // '')
		&& !ref $name;
	push @wrong, "dates are no integers" unless $r->{body}
		=~ /"from"\s*:\s*\d{8}\b/ && $r->{body} =~ /"to"\s*:\s*\d{8}\b/;
	push @wrong, 'no days ' . ($from // '') . ' to ' . ($to // '')
		unless day($from) && day($to) && $from <= $to;
	push @wrong, map { "unknown $_ in the body" } sort keys %$body;

	$r->{malformed} = 1 if @wrong;
	utf8::encode($name) if defined $name;
	@$r{qw/ event from to page walk size /} = ($name, $from, $to, 0,
		$r->{n}, $size);
	return @wrong;
}

sub check_page {
	my ($self, $r, $q) = @_;
	my @wrong;

	my $cursor = delete $q->{cursor} // '';
	push @wrong, map { "unknown $_ in the query" } sort keys %$q;
	push @wrong, 'a GET with a body' if $r->{bytes};
	push @wrong, 'an encoding that is none' if $cursor
		=~ /%(?![0-9A-Fa-f]{2})/;

	$cursor =~ tr/+/ /;
	$cursor =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
	$r->{cursor} = $cursor;
	my $c = $self->cursor_read($cursor);
	if (!$c) {
		push @wrong, $cursor =~ /%[0-9A-Fa-f]{2}/
			? 'a cursor that is encoded twice'
			: 'a cursor that was never given';
		return @wrong;
	}
	@$r{keys %$c} = values %$c;
	if ($c->{account} ne ($r->{headers}{'x-clevertap-account-id'} // '')) {
		$r->{foreign} = 1;
		return @wrong, 'a cursor of another account';
	}

	my $last = $self->{current}{$c->{account}} // 0;
	push @wrong, "walk $c->{walk} goes on after $last was opened"
		if $c->{walk} < $last;
	my $reached = $self->{reached}{$c->{walk}} // 0;
	push @wrong, "page $c->{page} after page $reached"
		if $c->{page} < $reached;
	$self->{reached}{$c->{walk}} = $c->{page} if $c->{page} > $reached;
	return @wrong;
}

sub day {
	my ($n) = @_;
	($n // '') =~ /^(\d{4})(\d\d)(\d\d)$/ or return 0;
	return eval { timegm_modern(0, 0, 0, $3, $2 - 1, $1); 1 };
}


# ---- cursors: more than 2 KB, and full of what must be encoded ----

sub cursor {
	my ($self, $r, $page) = @_;
	my $text = $json->encode({ (map { $_ => $r->{$_} } qw/ account event
		from to walk size /), page => $page });
	my $pad = md5($text);
	$pad .= md5($pad) while length $pad < 1800;
	return encode_base64("$text\n$pad", '');
}

sub cursor_read {
	my ($self, $cursor) = @_;
	return if length $cursor < 2000 || $cursor !~ m{^[A-Za-z0-9+/]+=*$};
	my ($text) = split /\n/, decode_base64($cursor), 2;
	my $c = eval { $json->decode($text) } or return;
	return $self->cursor($c, $c->{page}) eq $cursor ? $c : undef;
}


# ---- answers ----

sub complete {
	my ($self, $r, $a) = @_;
	my $real = grep { defined $a->{$_} } qw/ status body raw /;
	my $as = $a->{as} // '';

	my %a = $as ne '' && $as ne 'repeat' ? (%{$as{$as}
			|| die "an answer as $as?\n" }, %$a)
		: $real ? (body => fail($a->{status} // 200, 'Error'), %$a)
		: (%{$self->real($r, $as eq 'repeat')}, %$a);
	$a{what} //= $as if $as ne '';
	$a{body} = $json->encode($a{body}) if ref $a{body};

	my $gzip = $self->{set}{gzip} // 0;
	if ($gzip > 1 || $gzip && ($r->{headers}{'accept-encoding'} // '')
		=~ /\bgzip\b/)
	{
		IO::Compress::Gzip::gzip(\(my $plain = $a{body}), \my $packed);
		$a{body} = $packed;
		$a{headers} = { %{$a{headers} || {}},
			'Content-Encoding' => 'gzip' };
	}
	return \%a;
}

# what CleverTap itself answers

sub real {
	my ($self, $r, $repeat) = @_;
	my $set = $self->{set};
	my $h = $r->{headers};

	return { status => 404, body => fail(404, 'Not found') }
		if $r->{path} !~ m{^/1/events\.json(?:\?|$)};
	return { status => 405, body => fail(405, 'Not allowed') }
		if $r->{method} !~ /^(?:GET|POST)$/;

	my $passcode = $set->{accounts}{$r->{account}};
	return $as{denied} unless defined $passcode
		&& $passcode eq ($h->{'x-clevertap-passcode'} // '');
	return $as{throttled} if $r->{crowd};

	if ($r->{method} eq 'POST') {
		return { status => 400, body => fail(400,
			'Malformed request') } if $r->{malformed};
		return $as{refused} if grep { key($_) eq key($r->{event}) }
			@{$set->{forbidden} || []};
		$self->{walks}++;
		$self->{current}{$r->{account}} = $r->{walk};
		return good('"status":"success","cursor":'
			. encoded($self->cursor($r, 1)));
	}

	return $as{expired} if !$r->{walk} || $r->{foreign}
		|| $r->{walk} <= $self->{expired};
	return $as{busy} if ++$self->{asked}{"$r->{walk}/$r->{page}"}
		<= ($set->{busy} // 0);
	return $self->page($r, $repeat);
}

sub page {
	my ($self, $r, $repeat) = @_;
	my $set = $self->{set};

	my @all = map { $_->[1] } grep { $_->[0] >= $r->{from}
		&& $_->[0] <= $r->{to} }
		@{$self->{data}{$r->{account}}{key($r->{event})} || []};
	my $size = $set->{page} && $set->{page} < $r->{size} ? $set->{page}
		: $r->{size};
	my $page = $r->{page} - ($set->{blank} ? 1 : 0);
	my $start = ($page - 1) * $size;
	my @records = $page < 1 || $start >= @all ? ()
		: splice @all, $start, $size;
	my $more = $page < 1 || @all > $start;

	my $next = encoded($self->cursor($r, $repeat ? $r->{page}
		: $r->{page} + 1));
	my $style = $set->{style};
	my $tail = $more || $repeat ? $style eq 'partial'
			? ",\"status\":\"partial\",\"cursor\":$next"
			: ",\"status\":\"success\",\"next_cursor\":$next"
		: ',"status":"success"' . ($style eq 'null'
			? ',"next_cursor":null' : $style eq 'empty'
			? ',"next_cursor":""' : '');
	return good('"records":[' . join(',', @records) . "]$tail");
}

sub good { return { status => 200, body => "{$_[0]}" } }

sub encoded {
	my ($text) = @_;
	$text =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge;
	return "\"$text\"";
}

1;
