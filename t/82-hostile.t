#!/usr/bin/env perl

# Segment's side is ill by chance, in each way of Ctseg::Segment::Hostile,
# while events are uploaded, the clock goes from slot to slot, nginx is
# reloaded and workers are killed.  Then it gets well, all comes to rest, and
# the history is checked.  Each event that was acknowledged to its sender has
# one end in each export: sent, filtered or rejected, and none is left waiting.
# Of each run the numbers are those that the events of its cut give, one by
# one, and what counts as sent is what Segment took.  What must hold all the
# time is in Ctseg::History.
#
# A seed gives the same uploads, steps and choices of illness; which request
# meets which illness depends on the order in which they arrive.
#
#	CTSEG_SEED=17 t/tools/prove.sh t/82-hostile.t
#
# CTSEG_STEPS sets the length, CTSEG_SEEDS=1..100 is for an evening.
#
# What could fool it: a storm in which nothing happens, so the illnesses are
# counted; and an upload whose answer was lost with its worker: its events may
# be there or not, but all of them or none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ http_json json_encode wait_for /;
use Ctseg::Clock qw/ epoch iso /;
use Ctseg::Data qw/ record @system /;
use Ctseg::History;
use Ctseg::Nginx;
use Ctseg::Segment;
use Ctseg::Segment::Hostile qw/ hostile calm /;

my $DEADLINE = 75;		# seconds to come to rest

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store         %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool   ctseg;
    ctseg_custom_events on;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
            client_max_body_size 8m;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_read_timeout 1s;
            proxy_set_header X-Export $ctseg_export;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

# one sequence: its generator, its actors, what was uploaded and what there is

my ($rand, $t, $s, $clock, $api, $h, @trace);
my (@bodies, @events, %export, %partner, $polls, $edits);

my @seeds = map { /^(\d+)(?:\.\.(\d+))?$/
	or die "CTSEG_SEED=17, CTSEG_SEEDS=2,3,10..20\n"; $1 .. $2 // $1 }
	split /,/, $ENV{CTSEG_SEEDS} // $ENV{CTSEG_SEED} // '1';

for my $seed (@seeds) {
	my $began = time;
	my @wrong = eval { sequence($seed, $ENV{CTSEG_STEPS} || 12) };
	push @wrong, $@ if $@;
	splice @wrong, 40 if @wrong > 40;
	ok(!@wrong, "seed $seed") or diag(join "\n", @trace, @wrong,
		"replay: CTSEG_SEED=$seed t/tools/prove.sh t/82-hostile.t");
	note sprintf 'seed %d: %.1f s', $seed, time - $began;
	next unless $t;
	$t->finish;
	$t = undef;
}

done_testing;


# ---- a sequence: what was wrong with it ----

sub sequence {
	my ($seed, $steps) = @_;

	$rand = $seed;
	roll(1) for 1 .. 5;
	@trace = @bodies = @events = ();
	%export = %partner = ();
	$polls = $edits = 0;

	$clock = Ctseg::Clock->new;
	$clock->set('2026-11-23T09:30:00Z');
	$t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
		env => $clock->env(TZ => 'UTC'));
	$s = Ctseg::Segment->new(dir => $t->testdir,
		handler => hostile($seed));
	$t->set_port(9, $s->port)->conf($conf)->run;
	$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
	$h = Ctseg::History->new;

	$partner{$_} = $api->partner(write_key => "key-$_", nickname => $_)
		for qw/ a b /;
	create('live', 'a', { set => 'all' }, { kind => 'live' });
	create('recurring', 'b', { set => 'selected',
		names => [ 'App Launched' ] }, { kind => 'recurring',
		every_hours => 4 });

	my $once = 1 + roll($steps - 1);
	for my $step (1 .. $steps) {
		push @trace, "$step. " . iso($clock->now) . ':';
		create('once', one('a', 'b'), { set => 'system' },
			{ kind => 'one_time', range => 'last_7_days' })
			if $step == $once;
		step();
	}

	calm_down();
	return (judge(), $h->wrong, $api->wrong);
}

# The generator: of a fixed kind, so that it is the same in each perl.  The
# low bits of it are poor.

sub roll {
	my ($n) = @_;
	$rand = ($rand * 1103515245 + 12345) & 0x7fffffff;
	return ($rand >> 8) % $n;
}

sub one { return $_[roll(scalar @_)] }
sub told { $trace[-1] .= " $_[0];"; return }

sub create {
	my ($name, $to, $events, $frequency) = @_;
	my $a = trying(sub { $api->post('/exports', {
		partner_id => $partner{$to}, events => $events,
		frequency => $frequency }, { 'Idempotency-Key' => $name }) });
	$export{$name} = { id => $a->{json}{id}, key => "key-$to",
		names => $events->{names} || ($events->{set} eq 'system'
			? \@system : undef), today => $name eq 'once' };
	push @trace, '' unless @trace;
	told("$name to $to");
	return;
}

# a call that must get through, also while workers come and go

sub trying {
	my ($sub) = @_;
	my $a;
	wait_for { $a = eval { $sub->() }; $a && $a->{status} =~ /^2/ } 30,
		'an answer of the API';
	return $a;
}


# ---- the storm ----

sub step {
	my $pid = upload(map { body() } 0 .. roll(3));
	my $before = $s->stats->{requests};

	my $what = one(('nothing') x 5, ('kill') x 2, 'kill all', 'reload',
		('slot') x 2);
	told($what);
	if ($what eq 'kill') {
		$t->kill_worker(($t->worker_pids)[roll(2)]);
	} elsif ($what eq 'kill all' && !roll(2)) {
		$t->kill9->run;
	} elsif ($what eq 'reload') {
		$t->reload;
	} elsif ($what eq 'slot' && $clock->now < epoch(
		'2026-11-23T16:00:00Z'))
	{
		next_slot();
	}

	my $enough = 3 + roll(10);
	my $end = time + 1.5;
	wait_for { look(); time > $end
		|| $s->stats->{requests} >= $before + $enough } 30, 'requests';
	waitpid $pid, 0;
	return;
}

# A body: {name, kind} of its events, the text.  The first is one that each
# export wants, so the number of that tells those of all others.

sub body {
	my $size = one((1) x 2, (5) x 3, 40, 40, 300, 900);
	my $count = 1 + roll($size);
	my $pad = roll(7) == 0 && $count <= 40 ? 26_000 : 0;
	my ($from, @list, @records) = (scalar @events);

	for my $i (0 .. $count - 1) {
		my $kind = $i == 0 ? 'good' : one(('good') x 46, ('poison') x
			($size > 40 ? 0 : 2), 'no_id', 'old');
		my $name = $i == 0 ? 'App Launched' : one('App Launched',
			'Notification Sent', 'Charged');
		push @list, { n => $from + $i, kind => $kind, name => $name,
			body => scalar @bodies };
		push @records, record(n => $from + $i, name => $name,
			pad => $pad ? roll($pad) : 0,
			id => $kind eq 'no_id' ? "\"FBID\":\"f$from\"" : undef,
			ts => $kind eq 'old' ? 1_790_000_000 : undef,
			props => $kind eq 'poison' ? '"p":"Poison"' : '');
	}
	push @events, @list;
	push @bodies, { events => \@list, no => scalar @bodies,
		text => '{"d":[' . join(',', @records) . ']}' };
	return $bodies[-1];
}

# another process sends them, and writes down what was answered

sub upload {
	my (@mine) = @_;
	told('uploads of ' . join ', ', map { scalar @{$_->{events}} } @mine);

	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;

	open my $f, '>>', $t->testdir . '/answers' or POSIX::_exit(1);
	for my $body (@mine) {

		# on a connection of its own, since it must not be sent again

		my $a = eval { http_json('POST', $t->url(1, '/1/upload'),
			$body->{text}) };
		my $ok = $a && $a->{json} && $a->{json}{status} // '';
		syswrite $f, "$body->{no} " . ($a ? $a->{status} : 0)
			. " $ok\n";
	}
	POSIX::_exit(0);
}

sub next_slot {
	my $hour = 4 * (1 + int(int($clock->now % 86400) / 14400));
	$clock->set(epoch(sprintf '2026-11-23T%02d:00:01Z', $hour));
	return;
}

# One look at everything.  A partner that pauses is edited, which is the cure:
# it is tried at once.

sub look {
	for my $x (values %export) {
		my $now = eval { $api->show($x->{id}) } or next;
		$h->poll($now);
		$x->{now} = $now;
		$polls++;
	}
	for my $name (sort keys %partner) {
		my $a = eval { $api->get("/partners/$partner{$name}") };
		next if !$a || $a->{status} != 200
			|| $a->{json}{health}{state} ne 'paused';
		$a = eval { $api->patch("/partners/$partner{$name}",
			{ nickname => $name . ++$edits }) };
	}
	return;
}


# ---- rest ----

# Segment is well from here on, and the last slot takes the rest

sub calm_down {
	push @trace, 'calm:';
	$s->rules(calm());

	my $head = trying(sub { $api->get('/status') })->{json}{sequence}
		{last};
	my $rest = sub { return $_[0] && $_[0]{to_sequence} == $head
		&& $_[0]{waiting} == 0 };
	my $slots = 0;
	my $end = time + $DEADLINE;

	while (time < $end) {
		look();
		my ($live, $recurring, $once) = map { $export{$_}{now} }
			qw/ live recurring once /;

		if ($recurring->{status} eq 'PENDING' && !$rest->(
			$recurring->{last_run}) && !$slots++)
		{
			next_slot();
		}
		return if $once->{status} eq 'DONE'
			&& $rest->($live->{last_run})
			&& $recurring->{status} eq 'PENDING'
			&& $rest->($recurring->{last_run});
		select undef, undef, undef, 0.02;
	}
	die "no rest after $DEADLINE s\n" . join '', map { "$_: "
		. json_encode($export{$_}{now}) . "\n" } sort keys %export;
}


# ---- the judgment ----

sub judge {
	my @wrong;
	my $got = $h->requests($s);

	# where the events are in the log

	my %answer = map { /^(\d+) (\d+) (\w*)/ ? ($1 => "$2 $3") : () }
		split /\n/, $t->read_file('answers');
	my %at = map { $got->{n}{$_} => $_ } keys %{$got->{n}};
	my ($unsure, $stored, @log) = (0, 0);
	for my $body (@bodies) {
		my $how = $answer{$body->{no}} // 'none';
		my $first = $at{$body->{events}[0]{n}};

		push @wrong, "body $body->{no}: $how, and it is not there"
			if !$first && $how eq '200 success';
		push @wrong, "body $body->{no}: $how"
			if $how !~ /^(?:200 success|503 fail|0 )$/;
		push @wrong, "body $body->{no}: $how, and it is there"
			if $first && $how eq '503 fail';
		$unsure++ if $how ne '200 success';
		next unless $first;
		$stored++;
		for my $e (@{$body->{events}}) {
			my $sequence = $first + $e->{n}
				- $body->{events}[0]{n};
			push @wrong, "two events at $sequence"
				if $log[$sequence];
			push @wrong, "event $e->{n} is at $at{$e->{n}}, not "
				. "at $sequence"
				if $at{$e->{n}} && $at{$e->{n}} != $sequence;
			$log[$sequence] = $e;
		}
	}
	my $head = $api->get('/status')->{json}{sequence}{last};
	push @wrong, "the log has $head events, found are $#log"
		if $#log != $head;
	push @wrong, map { "nothing is known of $_" }
		grep { !$log[$_] } 1 .. $#log;
	return @wrong if @wrong;

	push @wrong, map { ends($_, \@log, $got->{taken}{$export{$_}{id}}
		|| {}) } sort keys %export;

	my %what;
	$what{$_->{what} // '?'}++ for $s->requests;
	note join ', ', map { "$_ $what{$_}" } sort keys %what;
	note sprintf '%d bodies, %d of them without an answer; %d events; %d '
		. 'polls; %d retries; %d edits', $stored, $unsure, $#log,
		$polls, $h->{retries}, $edits;
	delete @what{qw/ taken refused calm ? /};
	push @wrong, 'hardly anything was ill' if keys %what < 8;
	return @wrong;
}

# the end of each event in one export

sub ends {
	my ($name, $log, $taken) = @_;
	my $x = $export{$name};
	my (@wrong, %sent, %refused);
	my $runs = $api->get("/exports/$x->{id}/runs?per_page=40")
		->{json}{items};
	my $before;

	for my $run (reverse @$runs) {
		my $of = "$name, run $run->{number}";
		my %n = map { $_ => 0 } qw/ sent filtered no_id refused /;
		for my $i ($run->{after_sequence} + 1 .. $run->{to_sequence}) {
			my $v = verdict($x, $log->[$i]);
			$n{$v}++;
			push @wrong, "$of: $i is in two runs" if $sent{$i};
			$sent{$i} = 1 if $v eq 'sent';
			$refused{$i} = 1 if $v eq 'refused';
		}
		my %have = (sent => $run->{sent}, filtered => $run->{filtered},
			map { $_ => $run->{rejected_by_reason}{$_} }
				qw/ no_id refused /);
		push @wrong, "$of: $_ is $have{$_}, not $n{$_}"
			for grep { $have{$_} != $n{$_} } sort keys %n;
		push @wrong, "$of: $run->{waiting} wait" if $run->{waiting};
		push @wrong, "$of begins at $run->{after_sequence}, not at "
			. $before if defined $before
			&& $run->{after_sequence} != $before;
		$before = $run->{to_sequence};
	}

	push @wrong, map { "$name: $_ is lost" } grep { !$taken->{$_} }
		sort { $a <=> $b } keys %sent;
	push @wrong, map { "$name: $_ was taken" } grep { !$sent{$_} }
		sort { $a <=> $b } keys %$taken;
	return @wrong, rejected($name, \%refused);
}

# what is kept of those that were refused

sub rejected {
	my ($name, $refused) = @_;
	my (@wrong, %kept, $list);

	for (my $page = 1; !$list || $page <= $list->{pages}; $page++) {
		$list = $api->get("/exports/$export{$name}{id}/rejected"
			. "?per_page=40&page=$page")->{json};
		for my $r (grep { $_->{reason} eq 'refused' }
			@{$list->{items}})
		{
			push @wrong, "$name: $r->{sequence} is kept twice"
				if $kept{$r->{sequence}}++;
			push @wrong, "$name: $r->{sequence} is kept for "
				. ($r->{status} // 'nothing')
				if ($r->{status} // 0) !~ /^4(?:00|13)$/;
		}
	}
	push @wrong, map { "$name: $_ is not kept" } grep { !$kept{$_} }
		sort { $a <=> $b } keys %$refused;
	push @wrong, map { "$name: $_ is kept" } grep { !$refused->{$_} }
		sort { $a <=> $b } keys %kept;
	return @wrong;
}

sub verdict {
	my ($x, $e) = @_;
	return 'filtered' if $x->{names}
		&& !grep { $_ eq $e->{name} } @{$x->{names}};
	return 'filtered' if $x->{today} && $e->{kind} eq 'old';
	return $e->{kind} eq 'no_id' ? 'no_id'
		: $e->{kind} eq 'poison' ? 'refused' : 'sent';
}
