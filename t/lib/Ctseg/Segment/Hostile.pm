package Ctseg::Segment::Hostile;

# A Segment that is ill by chance, as a handler of Ctseg::Segment: each request
# gets any answer or any failure of the wire that we know of, before or after
# its batch was taken.
#
#	my $s = Ctseg::Segment->new(dir => $t->testdir,
#		handler => hostile(17));
#	...
#	$s->rules(calm());
#
# What it does not do is lie: a batch with "Poison" in it is never taken, it is
# refused whenever it gets an answer about its content; and a 2xx that arrives
# whole is only given for a batch that was taken.  One that is cut short proves
# nothing.  The more attempts a batch
# has had, the more likely it is that it gets through.

use strict;
use warnings;

use Exporter qw/ import /;

our @EXPORT_OK = qw/ hostile calm /;

my $chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
my $refusal = '{"code":"invalid_request","message":"malformed JSON"}';

# statuses that pass by themselves, and those that somebody has to cure

my @passes = (408, 410, 429, 429, 460, 500, 500, 502, 503, 504, 506, 520, 599);
my @pauses = (401, 403, 404, 301, 302, 307, 100, 102, 199, 402, 418, 499, 501,
	505, 511, 799, 999);

# (weight, name, sub ($ok, $roll): the answer).  $ok: the batch is free of
# poison.

my @fates = (
	[ 30, 'passes', sub { my ($ok, $roll) = @_;
		+{ status => $passes[$roll->(scalar @passes)], accept => 0 } } ],
	[ 4, 'later', sub { +{ status => 429, accept => 0,
		headers => { 'Retry-After' => 1 } } } ],
	[ 3, 'reset at', sub { +{ status => 429, accept => 0,
		headers => { 'X-RateLimit-Reset' => 1 } } } ],
	[ 2, '503 later', sub { +{ status => 503, accept => 0,
		headers => { 'Retry-After' => 1 } } } ],
	[ 3, 'pauses', sub { my ($ok, $roll) = @_;
		+{ status => $pauses[$roll->(scalar @pauses)], accept => 0 } } ],
	[ 2, 'taken, and 500', sub { +{ status => 500, accept => $_[0] } } ],
	[ 5, 'closed', sub { +{ close => 'before', accept => 0 } } ],
	[ 5, 'taken and closed', sub { +{ close => 'before',
		accept => $_[0] } } ],
	[ 4, 'a reset', sub { +{ close => 'before', rst => 1, accept => 0 } } ],
	[ 4, 'taken and a reset', sub { +{ close => 'before', rst => 1,
		accept => $_[0] } } ],
	[ 4, 'half a header', sub { +{ half(@_), close => 'mid_header' } } ],
	[ 3, 'half a header and a reset', sub { +{ half(@_), rst => 1,
		close => 'mid_header' } } ],
	[ 6, 'half a body', sub { +{ half(@_), close => 'mid_body' } } ],
	[ 3, 'half a body and a reset', sub { +{ half(@_), rst => 1,
		close => 'mid_body' } } ],
	[ 2, 'half a 500', sub { +{ status => 500, close => 'mid_body',
		accept => 0 } } ],
	[ 3, 'a chunk cut', sub { +{ raw => $chunked . "10\r\n{\"succ",
		close => 'after', taken(@_) } } ],
	[ 2, 'no last chunk', sub { +{ raw => $chunked . "4\r\ntrue\r\n",
		close => 'after', taken(@_) } } ],
	[ 2, 'a status line', sub { +{ raw => "HTTP/1.1 200 OK\r\n",
		close => 'after', taken(@_) } } ],
	[ 2, 'status 000', sub { +{ raw => "HTTP/1.1 000 Zero\r\n\r\n",
		close => 'after', taken(@_) } } ],
	[ 3, 'junk', sub { my ($ok, $roll) = @_;
		+{ raw => join('', map { chr $roll->(256) } 0 .. $roll->(300)),
			close => 'after', taken(@_) } } ],
	[ 1, 'HTTP/0.9', sub { +{ raw => '{"success":true}',
		close => 'after', taken(@_) } } ],
	[ 2, 'a hang', sub { +{ hang => 1, accept => 0 } } ],
	[ 2, 'taken and a hang', sub { +{ hang => 1, accept => $_[0] } } ],
	[ 2, 'too late', sub { +{ whole(@_), delay => 1.3 } } ],
	[ 3, 'drops', sub { +{ whole(@_), drip => 0.1 } } ],
	);

my $sum = 0;
$sum += $_->[0] for @fates;

# what an honest Segment says

sub whole {
	my ($ok, $roll) = @_;
	return $ok ? (status => one($roll, 200, 200, 202, 204, 299),
		accept => 1)
		: (status => one($roll, 400, 400, 413), accept => 0,
			body => $refusal);
}

# what is cut short or says nothing may come from somebody who only passed it on

sub half {
	my ($ok, $roll) = @_;
	return (whole($ok, $roll), taken($ok, $roll),
		$ok ? (status => 200) : ());	# a 204 has no body to be cut
}

sub taken {
	my ($ok, $roll) = @_;
	return (accept => $ok && $roll->(2));
}

sub one {
	my ($roll, @of) = @_;
	return $of[$roll->(scalar @of)];
}

# the generator is our own; which request comes when is up to the sender

sub hostile {
	my ($seed) = @_;
	my $rand = $seed;
	my $roll = sub {
		$rand = ($rand * 1103515245 + 12345) & 0x7fffffff;
		return ($rand >> 8) % $_[0];
	};
	$roll->(1) for 1 .. 5;

	return sub {
		my ($r) = @_;
		return if $r->{path} ne '/v1/batch' || $r->{refuse};

		my $ok = index($r->{body}, 'Poison') < 0 ? 1 : 0;
		my $retry = $r->{headers}{'x-retry-count'} // 0;

		if ($roll->(4 + $retry) < 2) {
			my $n = $roll->($sum);
			for my $fate (@fates) {
				$n -= $fate->[0];
				next if $n >= 0;
				return { what => $fate->[1],
					%{$fate->[2]->($ok, $roll)} };
			}
		}

		# it may blame a batch as a whole that is free of poison

		return { what => 'blamed', status => 413, body => $refusal }
			if $ok && $r->{events} > 1 && $roll->(40) == 0;
		return { what => $ok ? 'taken' : 'refused',
			whole($ok, $roll) };
	};
}

# rules of a Segment that is well

sub calm {
	return ({ when => { contains => 'Poison' }, status => 400,
		what => 'calm', body => $refusal }, { what => 'calm',
		when => { path => '/v1/batch' }, status => 200 });
}

1;
