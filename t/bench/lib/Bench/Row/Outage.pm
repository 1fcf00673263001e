package Bench::Row::Outage;

# Rows 7 and 13: Segment is away, and comes back.  Both wait through the same
# minute, each with an nginx and a Segment of its own; then the one of row 13
# is let go and measured while the other still waits, and then that one.

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

sub outage {
	my ($bench, $table) = @_;
	my @end;
	if ($bench->wants('13a') || $bench->wants('13b')) {
		push @end, _debt($bench, $table);
	}
	if ($bench->wants(7)) {
		push @end, _crowd($bench, $table);
	}
	$_->() for @end;
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
	my ($bench, $table) = @_;
	my $seconds = $bench->size('outage');
	my $s = $bench->stage('new');
	$s->live;
	$s->answer(503);
	my $load = $s->load_start('/1/upload', @load, '-d' => $seconds);

	return sub {
		my $acks = _over($bench, $s, $load)->{acks};
		my $before = $s->stats;
		my $since = Bench::Proc::monotonic_ns();
		$s->answer(200);
		_until($bench, 'delivery', 180, sub {
			$s->stats->{distinct} >= $s->{acked}
		});
		my $stats = $bench->end($s);
		$bench->fault("$before->{distinct} events arrived meanwhile")
			if $before->{distinct};

		$table->add('13a', ($stats->{first_ns} - $since) / 1e9,
			'outage, s' => $seconds, 'events waiting' => $acks,
			'refused batches' => $before->{refused});
		$table->add('13b', ($stats->{last_ns} - $stats->{first_ns})
			/ 1e9);
	};
}

# Row 7: memory of the worker's own, looked at every 50 ms: a long log, many
# exports that wait for their day, one of everything and a live one under way,
# events coming in, and Segment away; then all of the log is sent.

sub _crowd {
	my ($bench, $table) = @_;
	my $seconds = $bench->size('outage');
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

	my $all = $s->days(60, 0);
	my $live = $s->live;
	$s->answer(503);
	my $since = time;
	my $load = $s->load_start('/1/upload', @load, '-d' => $seconds);

	return sub {
		_over($bench, $s, $load);
		my $away = time - $since;
		my $during = $most;
		$s->answer(200);
		$since = time;

		# events come in until all that waited is sent

		do {
			my $more = $s->load_start('/1/upload', @load,
				'-d' => 2);
			_over($bench, $s, $more);
			die "the export of the log does not end\n"
				if time > $since + 180;
		} until $s->call('GET', "/exports/$all")->{status} eq 'DONE';
		my $took = time - $since;
		_until($bench, 'live export', 60, sub {
			$s->call('GET', "/exports/$live")->{progress}{sent}
				>= $s->{acked}
		});
		my $after = $look->();
		delete $bench->{looks}{$s};
		$s->arrived($s->{next});
		$bench->end($s);

		$table->add(7, $most, 'at rest' => $rest,
			$bench->size('exports') . ' exports' => $many,
			'outage, s' => $away, 'most in it' => $during,
			'all sent after, s' => $took, 'after it' => $after,
			'looks' => $looks);
	};
}

1;
