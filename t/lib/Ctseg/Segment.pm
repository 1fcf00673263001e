package Ctseg::Segment;

# A mock of Segment's batch endpoint (see Ctseg::Mock for what it has of all
# mocks).  It checks every documented rule of a batch, answers as a script says
# and writes down what it saw.
#
#	my $s = Ctseg::Segment->new(dir => $t->testdir);
#	$t->set_port(9, $s->port);
#	$s->script({ status => 500 }, { status => 429,
#		headers => { 'Retry-After' => 1 } });
#	...
#	is_deeply([ $s->violations ], []);
#	is($s->count_accepted, 1000);
#
# Events count as accepted when their request was answered 2xx (or "accept"
# said so) and they broke no rule: Segment, too, answers 200 and drops the
# others.
#
# A handler's request has also: write_key, events (count).  An answer's body is
# {"success":true} for a 2xx, else {"success":false}, and it may have
#	accept	0 or 1: whether the events count as accepted, if not as the
#		status says (e.g. close => 'before', accept => 1: taken, but
#		the sender cannot know)
# Conditions of a rule beside "contains" and "method":
#	event => 'Name', write_key => 'k', min_events => n, max_events => n,
#	min_bytes => n, path => '/v1/x'
# Figures of stats() beside those of all mocks: events.  A request's record has
# also: accepted, events, write_key.

use strict;
use warnings;

use JSON::PP ();

use Ctseg::Segment::Server;

use parent 'Ctseg::Mock';

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub server { return 'Ctseg::Segment::Server' }
sub files { return 'events' }
sub url { return $_[0]->SUPER::url($_[1] // '/v1/batch') }


# ---- what was recorded ----

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

# requests with more bytes than ctseg promises (475,000)

sub oversize {
	my ($self) = @_;
	my $most = $Ctseg::Segment::Server::OUR_BODY;
	return grep { $_->{bytes} > $most } $self->requests;
}

1;
