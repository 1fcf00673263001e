package Bench::Row::Calm;

# Rows 6, 10 and 16: what ctseg does to others and to the machine.

use strict;
use warnings;

use Time::HiRes qw/ sleep /;

use Bench::Proc;
use Bench::Table;

sub measures {
	return ([ 'neighbors', [ 6 ], \&neighbors ],
		[ 'rest', [ 10 ], \&rest ],
		[ 'written', [ '16a', '16b', '16c' ], \&written ]);
}

# Other requests of the same worker, 500/s, while 20,000 events/s come in: to
# the yardstick first, then to ctseg, with an export of the whole log and a
# live one beside it.

sub neighbors {
	my ($bench, $table) = @_;
	my $seconds = $bench->size('open');
	my @intake = ('-n' => 20, '-c' => 16, '-r' => 1000,
		'-d' => $seconds + 0.6);
	my @plain = ('-c' => 8, '-r' => 500, '-d' => $seconds);
	my $s = $bench->stage('big');

	my $beside = sub {
		my ($path) = @_;
		my $intake = $s->load_start($path, @intake);
		sleep 0.3;
		my $plain = $s->load('/plain', @plain);
		return ($plain, $s->loaded($intake));
	};
	my ($yard) = $beside->('/yard');

	my $all = $s->days(60, 0);
	$s->until($all, sub { $_[0]{last_run} });
	my $live = $s->live;
	my ($plain, $intake) = $beside->('/1/upload');
	my $still = $s->call('GET', "/exports/$all");
	$s->call('POST', "/exports/$all/stop") if $still->{status} ne 'DONE';

	my $e = $s->until($live, sub {
		$_[0]{progress}{sent} >= $intake->{acks}
	});
	my $sent = $e->{progress}{sent};
	$bench->fault("live: $sent events sent, $intake->{acks} taken")
		if $sent != $intake->{acks};
	$s->until($all, sub { $_[0]{status} =~ /DONE|STOPPED/ });
	$bench->end($s);

	$table->add(6, $plain->{p99_us} / $yard->{p99_us},
		'p99 ms' => $plain->{p99_us} / 1000,
		'yardstick p99 ms' => $yard->{p99_us} / 1000,
		'p50 ms' => $plain->{p50_us} / 1000,
		'yardstick p50 ms' => $yard->{p50_us} / 1000,
		'% of the log exported meanwhile'
			=> $still->{progress}{percent});
	return;
}

# live, 20 events/s, each alone

sub rest {
	my ($bench, $table) = @_;
	my ($acks, $arrivals) = map { $bench->dir . "/$_" }
		qw/ acks arrivals /;
	my $events = 20 * $bench->size('rest');
	my $s = $bench->stage('new', room => $events,
		arrivals => $arrivals);
	$s->live;
	$s->load('/1/upload', '-n' => 1, '-c' => 4, '-r' => 20,
		'-e' => $events, '-a' => $acks);
	$s->arrived($s->{acked});
	$bench->end($s);

	my @ack = unpack 'q*', Bench::Proc::slurp($acks);
	my @arrival = unpack 'q*', Bench::Proc::slurp($arrivals);
	my @ms = map { $arrival[$_] > $ack[$_]
		? ($arrival[$_] - $ack[$_]) / 1e6 : 0 }
		grep { $ack[$_] && $arrival[$_] } 0 .. $#ack;
	$bench->fault(@ms . " times of $events events")
		if @ms != $events;
	unlink $acks, $arrivals;

	$table->add(10, Bench::Table::part(0.99, @ms),
		'p50' => Bench::Table::part(0.5, @ms),
		'most' => Bench::Table::part(1, @ms), 'events' => scalar @ms);
	return;
}

# Bytes that the disk had to write, whoever asked for them: nobody else has
# anything to do.  What the kernel counts for the worker is less exact: it
# counts all of a large folio for each page of it that is written to.

sub written {
	my ($bench, $table) = @_;
	my $seconds = $bench->size('written');
	for my $case ([ '16a', 1, 10 ], [ '16b', 1, 1000 ],
		[ '16c', 50, 1000 ])
	{
		my ($row, $events, $posts) = @$case;
		my $s = $bench->stage('new');
		my $worker = $s->server->worker;
		my $device = device($bench->dir);
		my $before = Bench::Proc::written($worker);
		my $r = $s->load('/1/upload', '-n' => $events, '-c' => 16,
			'-r' => $posts, '-d' => $seconds);
		my $bytes = Bench::Proc::written($worker) - $before;
		my $after = device($bench->dir);
		my $commits = $s->call('GET', '/status')
			->{store}{events}{commits};
		$bench->end($s);
		my $disk = defined $device ? $after - $device : $bytes;
		$table->add($row, $disk / $r->{bytes},
			'events a commit' => $r->{acks} / $commits,
			'events/s' => $r->{rate},
			'counted for the worker' => $bytes / $r->{bytes});
	}
	return;
}

# bytes written so far to the device where the directory is, by whomever

sub device {
	my ($dir) = @_;
	my $id = (stat $dir)[0] // return;
	my @f = split ' ', Bench::Proc::slurp(sprintf
		'/sys/dev/block/%d:%d/stat', $id >> 8 & 0xfff,
		$id & 0xff | $id >> 12 & 0xfff00);
	return @f > 6 ? $f[6] * 512 : undef;
}

1;
