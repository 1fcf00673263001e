package Ctseg::History;

# What must be true of everything that Segment got and of everything the API
# said meanwhile, whatever happened:
#
#	my $h = Ctseg::History->new;
#	$h->poll($api->show($id));		# as often as you like
#	...
#	$h->requests($s);			# at the end
#	is_deeply([ $h->wrong ], []);
#
# Of the API: counters of a run never fall, its end and its number neither.
# Of Segment: a messageId has one content, in whichever batch; an event has one
# messageId for a write key; no batch and no message is above the limits; the
# attempts of a batch are counted without a gap.
#
# An event is known by "n" of its properties, and an export by the header
# X-Export, which the location adds (proxy_set_header X-Export $ctseg_export).

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;

my @rising = qw/ scanned sent filtered rejected batches retries to_sequence
	after_sequence /;

sub new {
	my ($class) = @_;
	return bless { wrong => [], last => {}, polls => 0, retries => 0 },
		$class;
}

# texts of what was wrong

sub wrong { return @{$_[0]->{wrong}} }

sub _wrong {
	my ($self, $what) = @_;
	push @{$self->{wrong}}, $what if @{$self->{wrong}} < 100;
	return;
}

# an export, or one of its runs, as the API shows it

sub poll {
	my ($self, $export) = @_;
	return $self->run($export->{id}, $export->{last_run})
		if $export->{last_run};
	return;
}

sub run {
	my ($self, $id, $run) = @_;
	my $old = $self->{last}{$id} || { number => 0 };

	$self->{polls}++;
	if ($run->{number} < $old->{number}) {
		return $self->_wrong("$id: run $run->{number} after "
			. "$old->{number}");
	}
	for my $name ($run->{number} == $old->{number} ? @rising : ()) {
		$self->_wrong("$id, run $run->{number}: $name falls from "
			. "$old->{$name} to $run->{$name}")
			if $run->{$name} < $old->{$name};
	}
	$self->{last}{$id} = { number => $run->{number},
		map { $_ => $run->{$_} } @rising };
	return;
}

# The record of a mock.  Returns { taken, n }: taken has export => sequence =>
# how often, n has the number of an event by its sequence.

sub requests {
	my ($self, $s) = @_;
	my (%request, %batch, %content, %id, %taken, %n);

	for my $r ($s->requests) {
		$request{$r->{n}} = $r;
		$self->_wrong("request $r->{n}: $r->{bytes} bytes")
			if $r->{bytes} > 475_000;
		$self->_wrong("request $r->{n}: $r->{events} messages")
			if ($r->{events} // 0) > 2_500;
	}

	$s->each_event(sub {
		my ($e) = @_;
		my $r = $request{$e->{request}};
		my $sum = md5($e->{raw});
		my ($n) = $e->{raw} =~ /"properties":\{"n":(\d+)/;
		my $sequence = hex substr $e->{id}, -16;
		my $export = $r->{headers}{'x-export'};

		$self->_wrong("message $e->{id} has two contents")
			if ($content{$e->{id}} //= $sum) ne $sum;
		$self->_wrong("event $n has two ids")
			if ($id{$r->{write_key}}{$n} //= $e->{id}) ne $e->{id};
		$self->_wrong("number $sequence is two events")
			if ($n{$sequence} //= $n) != $n;
		$self->_wrong("message $e->{id}: $e->{bytes} bytes")
			if $e->{bytes} >= 32_000;

		$batch{$e->{request}} //= "$export: $r->{events} events from "
			. $sequence;
		$taken{$export}{$sequence}++ if $e->{accepted};
	}, all => 1);

	$self->_attempts($s, \%request, \%batch);
	$self->_wrong($_) for $s->violations;
	return { taken => \%taken, n => \%n };
}

# Each owner of a batch begins to count at none.  A request that was cut was
# not recorded, so as many attempts may be missing.

sub _attempts {
	my ($self, $s, $request, $batch) = @_;
	my (%seen, @gaps);

	for my $n (sort { $a <=> $b } keys %$batch) {
		my $count = $request->{$n}{headers}{'x-retry-count'};
		if (defined $count && $count !~ /^[1-9]\d{0,3}\z/) {
			$self->_wrong("request $n: X-Retry-Count is $count");
			next;
		}
		$seen{$batch->{$n}}{$count // 0} = 1;
		$self->{retries}++ if $count;
	}
	for my $what (sort keys %seen) {
		for my $count (keys %{$seen{$what}}) {
			push @gaps, "$what: attempt $count and none before it"
				if $count && !$seen{$what}{$count - 1};
		}
	}
	if (@gaps > $s->stats->{cut}) {
		$self->_wrong($_) for @gaps;
	}
	return;
}

1;
