package Bench::Row::Intake;

# Rows 1 to 5: what an event costs from the client to Segment, and how long its
# client waits.  A live export runs meanwhile, and each row ends when all has
# arrived.

use strict;
use warnings;

use Bench::Proc;

sub measures {
	return ([ 'batched', [ 1, 3 ], \&batched ],
		[ 'single', [ 2, 4 ], \&single ],
		[ 'latency', [ 5 ], \&latency ]);
}

# the yardstick first; then CPU seconds and rates of all, from the first event
# sent to the last one arrived

sub _through {
	my ($bench, $events, @load) = @_;
	my $s = $bench->stage('new');

	my %r;
	$r{yard_cpu} = $s->cpu_of(sub {
		$r{yard} = $s->yard(@load, '-d' => $bench->size('yard'));
	}) / $r{yard}{acks} * 1e6;

	$s->live;
	$s->reset;
	my $since = Bench::Proc::monotonic_ns();
	$r{cpu} = $s->cpu_of(sub {
		$r{load} = $s->load('/1/upload', @load, '-e' => $events);
		$s->arrived($s->{acked});
	}) / $events * 1e6;

	my $stats = $bench->end($s);
	$r{delivered} = $events / ($stats->{last_ns} - $since) * 1e9;
	return \%r;
}

sub batched {
	my ($bench, $table) = @_;
	my $r = _through($bench, $bench->size('batched'),
		'-n' => 200, '-c' => 16);
	$table->add(1, $r->{cpu}, yardstick => $r->{yard_cpu});
	$table->add(3, $r->{delivered} / $r->{yard}{rate},
		'delivered/s' => $r->{delivered},
		'yardstick/s' => $r->{yard}{rate},
		'acknowledged/s' => $r->{load}{rate});
	return;
}

sub single {
	my ($bench, $table) = @_;
	my $r = _through($bench, $bench->size('single'),
		'-n' => 1, '-c' => 64);
	$table->add(2, $r->{cpu}, yardstick => $r->{yard_cpu});
	$table->add(4, $r->{load}{rate} / $r->{yard}{rate},
		'acknowledged/s' => $r->{load}{rate},
		'yardstick/s' => $r->{yard}{rate},
		'p99 ms' => $r->{load}{p99_us} / 1000);
	return;
}

# an open loop: a client that comes late because another one waited counts

sub latency {
	my ($bench, $table) = @_;
	my @load = ('-n' => 1, '-c' => 16, '-r' => 1000,
		'-d' => $bench->size('open'));
	my $s = $bench->stage('new');
	my $yard = $s->yard(@load);
	$s->live;
	$s->reset;
	my $r = $s->load('/1/upload', @load);
	$s->arrived($s->{acked});
	$bench->end($s);
	$table->add(5, $r->{p99_us} / 1000, 'p50' => $r->{p50_us} / 1000,
		'p99.9' => $r->{p999_us} / 1000,
		'yardstick p50' => $yard->{p50_us} / 1000,
		'yardstick p99' => $yard->{p99_us} / 1000);
	return;
}

1;
