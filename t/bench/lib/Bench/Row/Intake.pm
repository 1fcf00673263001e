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

# The yardstick first; then CPU seconds and rates of all, from the first event
# sent to the last one arrived.  Peers are measured by the same code.

sub through {
	my ($bench, $s, $events, @load) = @_;
	my %r;
	$r{yard} = $s->yard(@load, '-d' => $bench->size('yard'));

	$s->live;
	$s->reset;
	my $since = Bench::Proc::monotonic_ns();
	my $cpu = $s->cpu_of(sub {
		$r{load} = $s->load('/1/upload', @load, '-e' => $events);
		$s->arrived($s->{acked});
	});
	$r{own_kb} = $s->server->own_kb;
	$r{resident_kb} = $s->server->resident_kb;
	$r{stats} = $bench->end($s);

	my $acks = $r{load}{acks} or die "nothing was acknowledged\n";
	$r{cpu} = $cpu / $acks * 1e6;
	$r{delivered} = $r{stats}{distinct}
		/ ($r{stats}{last_ns} - $since) * 1e9;
	return \%r;
}

# an open loop: a client that comes late because another one waited counts

sub steady {
	my ($bench, $s) = @_;
	my @load = ('-n' => 1, '-c' => 16, '-r' => 1000);
	my %r;
	$r{yard} = $s->yard(@load, '-d' => $bench->size('plain'));
	$s->live;
	$s->reset;
	$r{load} = $s->load('/1/upload', @load, '-d' => $bench->size('open'));
	$s->arrived($s->{acked});
	$r{stats} = $bench->end($s);
	return \%r;
}

sub batched {
	my ($bench, $table) = @_;
	my $r = through($bench, $bench->stage('new'), $bench->size('batched'),
		'-n' => 200, '-c' => 16);
	$table->add(1, $r->{cpu}, yardstick => $r->{yard}{us});
	$table->add(3, $r->{delivered} / $r->{yard}{rate},
		'delivered/s' => $r->{delivered},
		'yardstick/s' => $r->{yard}{rate},
		'acknowledged/s' => $r->{load}{rate},
		'MB/s taken' => $r->{load}{bytes} / $r->{load}{seconds} / 1e6,
		'MB/s of the disk' => 524288 / $bench->{disk}{large_p50_us});
	return;
}

sub single {
	my ($bench, $table) = @_;
	my $r = through($bench, $bench->stage('new'), $bench->size('single'),
		'-n' => 1, '-c' => 64);
	$table->add(2, $r->{cpu}, yardstick => $r->{yard}{us});
	$table->add(4, $r->{load}{rate} / $r->{yard}{rate},
		'acknowledged/s' => $r->{load}{rate},
		'yardstick/s' => $r->{yard}{rate},
		'p99 ms' => $r->{load}{p99_us} / 1000);
	return;
}

sub latency {
	my ($bench, $table) = @_;
	my $r = steady($bench, $bench->stage('new'));
	my ($load, $yard) = @$r{qw/ load yard /};
	$table->add(5, $load->{p99_us} / 1000, 'p50' => $load->{p50_us} / 1000,
		'p99.9' => $load->{p999_us} / 1000,
		'yardstick p50' => $yard->{p50_us} / 1000,
		'yardstick p99' => $yard->{p99_us} / 1000,
		'commit p50' => $bench->{disk}{append_p50_us} / 1000,
		'commit p99' => $bench->{disk}{append_p99_us} / 1000);
	return;
}

1;
