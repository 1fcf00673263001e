package Bench::Row::Outage;

# Rows 7 and 13: Segment is away, and comes back.  Both wait through the same
# minute, each with an nginx and a Segment of its own, and also for the next
# attempt at the same time.  But what row 7 then has to send, which is much,
# comes behind the measurement of row 13: until then its Segment takes what it
# gets and answers nothing.
#
# That takes long.  In the runs behind the first one row 7 has a shorter
# outage, and is through with all of it while row 13 still waits.

use strict;
use warnings;

use List::Util qw/ max /;
use Time::HiRes qw/ sleep time /;

use Bench::Proc;
use Bench::Stage;

sub measures {
	return ([ 'outage', [ 7, '13a', '13b' ], \&outage ]);
}

# one event a post
my @load = ('-n' => 1, '-c' => 16, '-r' => 1000);

# each is: over, when its minute is; back, Segment is; end, it is measured

sub outage {
	my ($bench, $table) = @_;
	my $seconds = $bench->size('outage');
	my ($debt, $crowd);
	$bench->prepare('big') if $bench->wants(7);
	$debt = _debt($bench, $table, $seconds)
		if $bench->wants('13a') || $bench->wants('13b');
	my $short = $debt && $bench->{outages}++;
	$crowd = _crowd($bench, $table, $short ? int($seconds / 3) || 1
		: $seconds, $short) if $bench->wants(7);
	if ($short && $crowd) {
		$crowd->{$_}->() for qw/ over back end /;
		$crowd = undef;
	}

	my @both = grep { defined } $crowd, $debt;
	$_->{over}->() for @both;
	$_->{back}->() for @both;
	$_->{end}->() for reverse @both;
	return;
}

# until it is so; the memory of those that are looked at is

sub _until {
	my ($bench, $what, $seconds, $code) = @_;
	my $end = time + $seconds;
	until ($code->()) {
		die "$what: not within $seconds s\n" if time > $end;
		$_->() for values %{$bench->{looks}};
		sleep 0.05;
	}
	return;
}

# the load of the outage, as soon as it is over

sub _over {
	my ($bench, $s, $load) = @_;
	_until($bench, 'load', $bench->size('outage') + 60,
		sub { $load->{proc}->ended });
	return $s->loaded($load);
}

# Row 13: a live export that could send nothing.  The times are those of
# Segment's side.

sub _debt {
	my ($bench, $table, $seconds) = @_;
	my $s = $bench->stage('new');
	$s->live;
	$s->answer(503);
	my $load = $s->load_start('/1/upload', @load, '-d' => $seconds);

	my ($load_of, $before, $since, $away);
	my $start = time;
	return { over => sub {
		$load_of = _over($bench, $s, $load);

	}, back => sub {
		$before = $s->stats;
		$away = time - $start;
		$since = Bench::Proc::monotonic_ns();
		$s->answer(200);

	}, end => sub {
		_until($bench, 'delivery', 180, sub {
			$s->stats->{distinct} >= $s->{acked}
		});
		my $stats = $bench->end($s);
		$bench->fault("$before->{distinct} events arrived meanwhile")
			if $before->{distinct};

		$table->add('13a', ($stats->{first_ns} - $since) / 1e9,
			'outage, s' => $away,
			'events waiting' => $load_of->{acks},
			'refused batches' => $before->{refused});
		$table->add('13b', ($stats->{last_ns} - $stats->{first_ns})
			/ 1e9);
	} };
}

# Row 7: memory of the worker's own, looked at every 50 ms: a long log, many
# exports that wait for their day, one of everything and a live one under way,
# events coming in, and Segment away; then all of the log is sent.

sub _crowd {
	my ($bench, $table, $seconds, $short) = @_;
	my $s = $bench->stage('big');
	my ($most, $looks) = (0, 0);
	my $worker = $s->server->worker;
	my $look = $bench->{looks}{$s} = sub {
		my $mb = Bench::Proc::private_kb($worker) / 1024;
		$most = max($mb, $most);
		$looks++;
		return $mb;
	};
	my $rest = $look->();

	for (1 .. $bench->size('exports')) {
		$s->export({ kind => 'recurring', every_hours => 4,
			start_date => Bench::Stage::day(-2) });
	}
	my $many = $look->();

	$s->answer(503);
	my $all = $s->days(60, 0);
	my $live = $s->live;
	my $since = time;
	my $load = $s->load_start('/1/upload', @load, '-d' => $seconds);

	my ($away, $during);
	return { over => sub {
		_over($bench, $s, $load);

	}, back => sub {
		$s->latency(600_000);
		$s->answer(200);

	}, end => sub {
		$away = time - $since;
		$during = $most;
		$s->latency(0);
		$since = time;

		# for a while events come in, beside which an export of the
		# past rests; then it sends all that is left as fast as it can

		my $more = $s->load_start('/1/upload', @load,
			'-d' => $bench->size('open'));
		_over($bench, $s, $more);
		_until($bench, 'the export of the log', 180, sub {
			$s->call('GET', "/exports/$all")->{status} eq 'DONE'
		});
		my $took = time - $since;
		_until($bench, 'live export', 60, sub {
			$s->call('GET', "/exports/$live")->{progress}{sent}
				>= $s->{acked}
		});
		my $after = $look->();
		delete $bench->{looks}{$s};
		$s->arrived($s->{next});
		$bench->end($s);

		return $table->beside(7, "most with an outage of $seconds s"
			=> $most) if $short;
		$table->add(7, $most, 'at rest' => $rest,
			$bench->size('exports') . ' exports' => $many,
			'outage, s' => $away, 'most in it' => $during,
			'all sent after, s' => $took, 'after it' => $after,
			'looks' => $looks);
	} };
}

1;
