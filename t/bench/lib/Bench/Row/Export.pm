package Bench::Row::Export;

# Rows 8, 9, 11 and 12: exports of what lies in the log, while nothing else
# goes on.

use strict;
use warnings;

use List::Util qw/ min sum0 /;

use Bench::Run;

# a batch may have so many bytes and messages
my $bytes = 475_000;
my $messages = 2_500;

sub measures {
	return ([ 'drain', [ 8, '11a', '11b' ], \&drain ],
		[ 'skip', [ '9a', '9b' ], \&skip ],
		[ 'far', [ 12 ], \&far ]);
}

# An export of all that the log has: events a CPU second, kept for the row that
# compares itself with it.

sub drain {
	my ($bench, $table) = @_;
	my $s = $bench->stage('small')->warm;
	my $events = $s->{next};
	my $run;
	my $cpu = $s->cpu_of(sub {
		my $id = $s->days(1, 0);
		$s->arrived($events);
		$run = $s->done($id);
	});
	my $stats = $bench->end($s);
	$bench->fault("$run->{sent} events sent, $stats->{distinct} arrived, "
		. "$events in the log") if $run->{sent} != $events
		|| $stats->{distinct} != $events;

	$bench->{drained} = $events / $cpu;
	$table->add(8, $stats->{bytes} / 1e6 / $cpu,
		'CPU s a million events' => $cpu / $events * 1e6,
		'bytes an event' => $stats->{bytes} / $events);

	# the last batch of an export has what is left

	my @fill = sort { $a <=> $b } map { 100 * ($_->[0] / $bytes
		> $_->[1] / $messages ? $_->[0] / $bytes
		: $_->[1] / $messages) } @{$stats->{sizes}};
	shift @fill if @fill > 1;
	$table->add('11a', sum0(@fill) / @fill, least => min(@fill),
		batches => $stats->{batches});
	$table->add('11b', $stats->{over_limit},
		'largest, bytes' => $stats->{largest_bytes},
		'largest, events' => $stats->{largest_events});
	return;
}

# exports that send little of what they look at

sub skip {
	my ($bench, $table) = @_;
	drain($bench, Bench::Table->new) unless $bench->{drained};

	my $s = $bench->stage('big')->warm;
	for my $case ([ '9a', 60, 0, events => { set => 'selected',
		names => [ $Bench::Run::seldom ] } ], [ '9b', 30, 30 ])
	{
		my ($row, $from, $to, @o) = @$case;
		my $run;
		$s->reset;
		my $cpu = $s->cpu_of(sub {
			$run = $s->done($s->days($from, $to, @o));
		});
		my $stats = $s->stats;
		$bench->fault("row $row: $run->{sent} events sent, "
			. "$stats->{distinct} arrived")
			if $run->{sent} != $stats->{distinct};
		$bench->fault("row $row: nothing sent") if !$run->{sent};

		# what was sent alone would have cost as much as in row 8

		my $skipped = $cpu - $run->{sent} / $bench->{drained};
		my $rate = $run->{scanned} / $cpu;
		$table->add($row, $rate / $bench->{drained},
			'million events a CPU s' => $rate / 1e6,
			'% sent' => 100 * $run->{sent} / $run->{scanned},
			'limit by what is sent' => $run->{scanned}
				/ $run->{sent},
			'us an event skipped' => $skipped * 1e6
				/ ($run->{scanned} - $run->{sent}));
	}
	$bench->end($s);
	return;
}

# a Segment that is far away

sub far {
	my ($bench, $table) = @_;
	my $s = $bench->stage('new', delay => 100);
	$s->load('/1/upload', '-n' => 200, '-c' => 4,
		'-e' => $bench->size('far'));
	my $id = $s->days(1, 0);
	$s->arrived($s->{acked});
	$s->done($id);
	my $stats = $bench->end($s);
	$table->add(12, $stats->{events} / ($stats->{last_ns}
		- $stats->{first_ns} + 100e6) * 1e9,
		'batches' => $stats->{batches},
		'in flight' => $stats->{in_flight_max});
	return;
}

1;
