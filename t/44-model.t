#!/usr/bin/env perl

# Random sequences of what operators, clients, the clock and fate do, against
# the rules in Ctseg::Model.  After every step all that the API shows of each
# export and run, and all that Segment received, must be what the rules say.
#
# A seed gives the same sequence everywhere: the generator is our own, and no
# choice depends on an answer.  To replay one that failed:
#
#	CTSEG_SEED=17 t/tools/prove.sh t/44-model.t
#
# CTSEG_STEPS sets the length, CTSEG_SEEDS=1..100 is for an evening.
#
# What could fool it: a state that is right and would not have stayed so.  So
# it must be right, then an export is made and done, by which a worker has
# looked at everything that was due, and then it must be right still.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use List::Util qw/ first /;
use Test::More;
use Time::HiRes qw/ sleep time /;

use Ctseg::Api;
use Ctseg::Client qw/ http_json json_encode /;
use Ctseg::Clock qw/ epoch iso /;
use Ctseg::Data qw/ record /;
use Ctseg::Model;
use Ctseg::Nginx;
use Ctseg::Segment;

my $DEADLINE = 40;		# seconds for a step to come to rest
my $STEP = 60;			# seconds that the clock moves between steps
my $HOUR = 3600;
my $DAY = 86400;

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
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_read_timeout 600s;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000
                      concurrency=64;
    }
}

EOC

# the numbers of one sequence, and what it is about

my ($rand, $m, $t, $s, $clock, $api, $witness, $steps, @trace);
my (%id, %owner, %extra, $witnesses, $again);

# Without a wish: seeds whose sequences find each of the faults that were put
# in on trial.

my @seeds = map { /^(\d+)(?:\.\.(\d+))?$/
	or die "CTSEG_SEED=17, CTSEG_SEEDS=2,3,10..20\n"; $1 .. $2 // $1 }
	split /,/, $ENV{CTSEG_SEEDS} // $ENV{CTSEG_SEED} // '2,3,6,15';

for my $seed (@seeds) {
	note "seed $seed";
	my $ok = eval { sequence($seed, $ENV{CTSEG_STEPS} || 40); 1 };
	my $why = $@;
	ok($ok, "seed $seed, $steps steps") or diag(join "\n", @trace,
		"seed $seed, step $steps: $why", 'replay: CTSEG_SEED='
		. "$seed t/tools/prove.sh t/44-model.t");
	next unless $t;
	$s->script;
	$s->default;
	$s->release;
	$t->finish;
}

done_testing;


# ---- a sequence ----

sub sequence {
	my ($seed, $n) = @_;

	$rand = $seed;
	roll(1) for 1 .. 5;
	$steps = $witnesses = $again = 0;
	@trace = ('');
	%id = %owner = %extra = ();

	# before summer time begins, before it ends, or on some other day

	my $start = epoch(one('2026-03-05', '2026-10-29', '2026-07-30')
		. 'T15:30:00Z');
	$m = Ctseg::Model->new($start);
	$clock = Ctseg::Clock->new;
	$clock->set($start);
	$t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
		env => $clock->env(TZ => 'EST5EDT,M3.2.0,M11.1.0'));
	$s = Ctseg::Segment->new(dir => $t->testdir);
	$t->set_port(9, $s->port)->conf($conf)->run;

	$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
	$witness = $api->partner(nickname => 'witness');
	partner();

	while ($steps++ < $n) {
		push @trace, '' if $trace[-1] ne '';
		my $now = $m->{now} + $STEP;

		# no full hour may come within a step, so it has its own

		my $hour = $now - $now % $HOUR + $HOUR;
		if ($hour - $now <= $STEP) {
			tick($hour + 1, 'the next hour');
		} else {
			clock($now);
			act();
		}
		compare();
	}

	if ($m->{held}) {
		push @trace, '';
		let_go();
		compare();
	}
	is_deeply([ grep { !/with other content$/ } $s->violations ], [],
		'no rule of Segment is broken');
	is_deeply([ $api->wrong ], [], 'no event got lost in any answer');
	return;
}

sub act {
	my $live = grep { !Ctseg::Model::is_final($_) } $m->exports;
	my @all = (([ \&upload, 1 ]) x 6, ([ \&ticks, 1 ]) x 6,
		([ \&edit, 1 ]) x 4, ([ \&stop, 1 ]) x 2,
		([ \&create, 1 ]) x ($live < 8 ? 5 : 1), [ \&partner ],
		([ \&partner_edit ]) x 2, ([ \&fate ]) x 3,
		([ $m->{held} ? \&let_go : \&hold ]) x ($m->{held} ? 6 : 2));
	my ($what, $more) = @{$all[roll(scalar @all)]};

	if (!$m->{held} && roll(8) == 0) {
		my $how = one('refuse', 'lose', 'fail');
		told("Segment will $how");
		$again = 1;
		$s->script({ times => 1 + roll(2), %{{
			refuse => { status => 429 },
			fail => { status => 500 },
			lose => { close => 'before', accept => 1 },
		}->{$how}}});
	}
	$what->();
	fate() if $more && roll(5) == 0;
	return;
}

# The generator: of a fixed kind, so that it is the same in each perl.  The
# low bits of it are poor.

sub roll {
	my ($n) = @_;
	$rand = ($rand * 1103515245 + 12345) & 0x7fffffff;
	return ($rand >> 8) % $n;
}

sub one { return $_[roll(scalar @_)] }

# some of a list, at least one, in its order

sub some {
	my @of = @_;
	my $must = roll(scalar @of);
	return @of[grep { $_ == $must || roll(3) == 0 } 0 .. $#of];
}

sub told {
	$trace[-1] .= ($trace[-1] eq '' ? "$steps. " . iso($m->{now}) . ' '
		: ', ') . $_[0];
	return;
}


# ---- steps ----

sub clock {
	$m->{now} = $_[0];
	$clock->set($_[0]);
	return;
}

sub tick {
	my ($to, $what) = @_;
	$to = int $to;
	my $over = $to % $HOUR;
	$to += $HOUR - $over + 1 if $over >= $HOUR - $STEP;
	$to++ if $over == 0;
	clock($to);
	told("clock: $what");
	return;
}

sub ticks {
	my $now = $m->{now};
	my @slots = map { $_->{next} // () } $m->exports;
	my $slot = @slots ? one(@slots) : $now + $HOUR;
	my ($to, $what) = @{one(
		([ $slot + 1, 'just after a slot' ]) x 4,
		([ $slot - $STEP - 40, 'just before a slot' ]) x 2,
		[ $slot + $HOUR * (1 + roll(30)), 'hours after a slot' ],
		[ $now + 60 * (1 + roll(300)), 'minutes on' ],
		[ $now + $HOUR * (1 + roll(30)), 'hours on' ],
		[ $now + $DAY * (1 + roll(3)), 'days on' ],
		[ $now + 7 * $DAY, 'a week on' ],
		([ $now - 60 * (1 + roll(150)), 'back' ]) x 2)};

	# a start date a year ahead is not waited for

	($to, $what) = ($now + $DAY, 'a day on') if $to > $now + 20 * $DAY;
	tick($to, $what);

	# what comes now has an earlier time than what was there before

	create('live') if $what eq 'back' && roll(2);
	return;
}

sub upload {
	my $today = Ctseg::Model::day($m->{now});
	my (@events, @records);

	for (1 .. 1 + roll(8)) {
		my $ids = one([ 'identity' ], [ 'identity', 'email' ],
			[ 'objectId' ], [ 'objectId', 'phone' ], [ 'FBID' ],
			[ 'FBID', 'email' ], []);
		my $edge = Ctseg::Model::midnight($today, 1 - roll(4));
		my $time = one(undef, $m->{now}, $edge, $edge, $edge,
			$edge - 0.001, $edge - 1, $m->{now} - roll(70 * $DAY),
			$m->{now} + roll(3 * $DAY));
		my $name = one('App Launched', 'App Installed',
			'Notification Sent', 'Notification Sent',
			'Notification Delivered', 'Charged');
		my $n = $m->head + @events + 1;
		my $id = join ',', map { "\"$_\":\"" . ($_ eq 'FBID' ? 'fbid'
			: $_) . "$n\"" } @$ids;

		push @records, record(n => $n, name => $name,
			id => $id || 'none', defined $time
			? (ts => sprintf '%.0f', $time * 1000) : ());

		# a record without any of its ids is refused and has no number

		push @events, { name => $name, time => $time, ids => { map {
			($_ eq 'FBID' ? 'fbid' : $_) => 1 } @$ids } } if @$ids;
	}

	my $a = http_json('POST', $t->url(1, '/1/upload'), '{"d":['
		. join(',', @records) . ']}');
	told('upload ' . join(' ', map { $m->head + $_ + 1 . ':'
		. $events[$_]{name} =~ s/[a-z ]//gr . ':'
		. join('+', sort keys %{$events[$_]{ids}})
		. (defined $events[$_]{time} ? '@' . iso($events[$_]{time})
		: '') } 0 .. $#events));
	$m->upload(@events);
	same('upload', [ $a->{status}, $a->{json}{processed} ],
		[ 200, scalar @events ]);
	return;
}

sub partner {
	my $name = 'p' . (1 + keys %{$m->{partners}});
	told("partner $name");
	$m->partner_create($name);
	$id{$name} = $api->partner(nickname => $name, write_key => "$name-1");
	$owner{"$name-1"} = $name;
	return $name;
}

sub partner_edit {
	my ($name, $how) = @_;
	my ($want, $a);

	$name //= one(sort keys %{$m->{partners}});
	$how //= one(qw/ delete rename rename key /);
	my $p = $m->{partners}{$name};
	my $path = "/partners/$id{$name}";
	if ($how eq 'delete') {
		told("delete $name");
		$want = $m->partner_delete($name);
		$a = $api->delete($path);
	} elsif ($how eq 'key') {
		my $to = $name . '-' . (1 + keys %owner);
		told("another key for $name");
		$owner{$to} = $name;
		$want = $p->{deleted} ? 404 : 200;
		$a = $api->patch($path, { write_key => $to });
	} else {
		my $to = one($name, "$name again", 'p1', 'shared');
		told("rename $name to $to");
		$want = $m->partner_rename($name, $to);
		$a = $api->patch($path, { nickname => $to });
	}
	same('status', $a->{status}, $want);
	return;
}

sub choice {
	return { set => one('system', 'engagement', 'all') } if roll(2);
	return { set => 'selected', names => [ some('App Launched',
		'App Installed', 'Notification Sent',
		'Notification Delivered', roll(12) ? () : 'Charged') ] };
}

sub frequency {
	my ($kind) = @_;
	my $today = Ctseg::Model::day($m->{now});
	my $day = sub { Ctseg::Model::day_plus($today, one(@_)) };

	return { kind => 'live' } if $kind eq 'live';
	return { kind => $kind, every_hours => one(4 .. 8, 12, 24, 4, 6,
		roll(8) ? 9 : 3), roll(3) ? (start_date => $day->(-1, 0, 0, 1,
		-2, -30, 2, roll(4) ? 0 : -61)) : () } if $kind eq 'recurring';
	return { kind => $kind, range => one(qw/ today yesterday last_7_days
		last_30_days current_month previous_month /) } if roll(2);
	return { kind => $kind, from => $day->(0, -1, -2, -10, -60,
		roll(4) ? -3 : -61), to => $day->(0, 0, -1, -2,
		roll(4) ? -1 : 1) };
}

# a definition, or some of its fields

sub body {
	my ($kind, $partner, @fields) = @_;
	my %field = map { $_ => 1 } @fields;
	my %all = (partner => $partner, frequency => frequency($kind),
		events => choice(), identifier_priority => [ some(
			roll(2) ? qw/ identity email phone fbid /
			: qw/ fbid phone email gpid /) ]);
	return { map { $_ => $all{$_} } grep { $field{$_} } keys %all };
}

sub sent {
	my ($body) = @_;
	my %sent = %$body;
	$sent{partner_id} = $id{delete $sent{partner}} if $sent{partner};
	return \%sent;
}

sub create {
	my $kind = $_[0] // one(qw/ one_time one_time recurring recurring
		live /);
	my $to = roll(3) ? partner() : one(sort keys %{$m->{partners}});
	my $body = body($kind, $to, 'partner', 'frequency', some('events',
		'identifier_priority'));
	my $name = 'e' . (1 + $m->exports);

	told("create $name " . json_encode($body));
	my $want = $m->create($name, $body);
	my $a = $api->post('/exports', sent($body));
	same("status of $a->{body}", $a->{status}, $want);
	return if $want != 201;

	$id{$name} = $a->{json}{id};
	my $e = $m->{exports}{$name};
	my $at = epoch($a->{json}{created_at});
	same("created at $a->{json}{created_at}", $at > $m->{now} - 1
		&& $at < $m->{now} + $STEP, !!1);
	$e->{created_at} = $a->{json}{created_at};
	shows($e, $a->{json}, 'soon');
	hastily($e);
	return;
}

# sometimes there is no time between two calls: an edit or a stop at once, or
# events when a live export was told to end its run

sub hastily {
	my ($e) = @_;
	return if roll($e->{kind} eq 'live' ? 2 : 4)
		|| $e->{kind} eq 'one_time'
		|| ($e->{kind} eq 'recurring' && !defined $e->{next});

	my $what = one(\&upload, \&upload, \&edit, \&stop);
	if ($what != \&upload) {
		$m->hasten($e);
		return $what->($e);
	}

	return if $m->{held} || $e->{kind} ne 'live'
		|| ($e->{revision} == 1 && $e->{status} ne 'STOPPED');
	$m->settle;
	upload();
	$m->blur($e);
	return;
}

sub any_export {
	my @all = $m->exports;
	my @open = grep { !Ctseg::Model::is_final($_) } @all;
	return one(@open && roll(6) ? @open : @all);
}

sub edit {
	return create() unless $m->exports;
	my $e = $_[0] // any_export();
	my $body = body($e->{kind}, one(sort keys %{$m->{partners}}),
		some(roll(2) ? 'events' : (), 'frequency',
			'identifier_priority'), roll(2) ? 'partner' : ());
	$body->{type} = 'profile' if roll(12) == 0;
	$body->{frequency} = frequency(one(qw/ one_time recurring live /))
		if roll(12) == 0;

	my $run = Ctseg::Model::last_run($e);

	told("edit $e->{name} " . json_encode($body));
	my $want = $m->patch($e->{name}, $body);
	my $a = $api->patch("/exports/$id{$e->{name}}", sent($body));
	same("status of $a->{body}", $a->{status}, $want);
	return if $want != 200;

	same('applies_from', $a->{json}{applies_from},
		$e->{kind} eq 'live' ? 'next_batch' : 'next_run');
	shows($e, $a->{json}, 'soon');

	# a run may still need the partner that its export has no more

	return partner_edit($run->{partner}, 'delete') if $run && roll(2)
		&& $run->{partner} ne $e->{partner}
		&& $run->{status} eq 'running' && $m->is_stuck($run);
	hastily($e);
	return;
}

sub stop {
	return create() unless $m->exports;
	my $e = $_[0] // any_export();
	told("stop $e->{name}");
	my $want = $m->stop($e->{name});
	my $a = $api->post("/exports/$id{$e->{name}}/stop");
	same("status of $a->{body}", $a->{status}, $want);
	return if $want != 200;
	shows($e, $a->{json});
	hastily($e) if $e->{kind} eq 'live';
	return;
}

# nginx is reloaded, or killed, or begins anew

sub fate {
	my $how = one('reload', 'reload', 'kill a worker', 'kill all',
		$m->{held} ? () : 'quit');
	told($how);
	$m->handed_over($how =~ /^kill/);
	$again = 1 if $how =~ /^kill/;

	if ($how eq 'reload') {
		$t->reload;
	} elsif ($how eq 'kill a worker') {
		$t->kill_worker(($t->worker_pids)[roll(2)]);
	} elsif ($how eq 'kill all') {
		$t->kill9->run;
	} else {
		$t->quit->run;
	}
	return;
}

# Segment takes requests and does not answer; answers all

sub hold {
	told('Segment holds its answers');
	$m->{held} = 1;
	$s->script;
	$s->default(hold => 1);
	return;
}

sub let_go {
	told('Segment answers');
	$m->{held} = 0;
	$s->default;
	$s->release;
	return;
}


# ---- comparing ----

sub same {
	my ($what, $have, $want) = @_;
	my ($h, $w) = map { json_encode($_) } $have, $want;
	die "$what\n  have $h\n  want $w\n" if $h ne $w;
	return;
}

# an export as an answer has it, by the model

sub shows {
	my ($e, $json, $soon) = @_;
	my $want = $m->view($e);
	my %have = map { $_ => $json->{$_} } grep { $_ ne 'partner' }
		keys %$want;
	my $p = $json->{partner_id};

	$have{partner} = first { $id{$_} eq $p } keys %{$m->{partners}};
	$want->{next_run_at} = $e->{created_at}
		if ($want->{next_run_at} // '') eq 'at once';

	# begun or not: nobody has waited for it

	@{$want}{qw/ status next_run_at /} = ('PENDING', $e->{created_at})
		if $soon && $have{status} eq 'PENDING'
			&& $want->{status} eq 'RUNNING'
			&& !grep { !$_->{optional} } @{$e->{runs}};
	for my $x ($want, \%have) {
		$x->{events}{names} = [ sort @{$x->{events}{names}} ]
			if $x->{events}{names};
	}
	same("created_at of $e->{name}", $json->{created_at},
		$e->{created_at});
	same("export $e->{name}", \%have, $want);
	return;
}

sub runs {
	my ($e) = @_;
	my (@have, $list);
	for (my $page = 1; !$list || $page <= $list->{pages}; $page++) {
		$list = $api->get("/exports/$id{$e->{name}}/runs?per_page=40"
			. "&page=$page")->{json};
		push @have, @{$list->{items}};
	}
	@have = reverse @have;

	$m->had_runs($e, map { $_->{export_revision} } @have)
		if $e->{status} eq 'STOPPED'
			? !grep { $_->{status} eq 'running' } @have
			: @have && @{$e->{runs}} && $e->{runs}[-1]{revision}
				== $have[-1]{export_revision};
	$m->ended_at($e, $_->{number}, $_->{to_sequence}) for @have;
	same("number of runs of $e->{name}", scalar @have,
		scalar @{$e->{runs}});
	for my $run (@{$e->{runs}}) {
		my $want = $m->run_view($e, $run);
		my $have = shift @have;
		my %h = map { $_ => $have->{$_} } keys %$want;

		$h{no_id} = $have->{rejected_by_reason}{no_id}
			if exists $h{no_id};
		$h{status} = $want->{status} if $want->{status} eq 'any'
			|| ($want->{status} eq 'either' && $h{status}
				=~ /^(?:succeeded|stopped)$/);
		same("run $run->{number} of $e->{name}", \%h, $want);
		same("finished_at of run $run->{number} of $e->{name}",
			defined $have->{finished_at},
			$have->{status} ne 'running');
	}
	return;
}

sub all_shows {
	for my $e ($m->exports) {
		my $have = $api->show($id{$e->{name}});
		shows($e, $have);
		runs($e);
		same("number of the last run of $e->{name}",
			$have->{last_run} ? $have->{last_run}{number} : 0,
			scalar @{$e->{runs}});
	}
	return;
}

# What Segment got: partner => message => how often; whatever the answer, or
# only what was accepted.  Two exports to one partner may name the person of an
# event differently, under one id; that is no matter of this test.

sub got {
	my ($all) = @_;
	my %of = map { $_->{n} => $owner{$_->{write_key} // ''} // '' }
		grep { $all || $_->{accepted} } $s->requests;
	my %got;

	for my $ev ($s->events(all => 1)) {
		my $to = $of{$ev->{request}} // next;
		my ($n) = $ev->{raw} =~ /"properties":\{"n":(\d+)\}/;
		same('event', $ev->{raw}, 'a number') unless $n;
		my $timed = $n <= $m->head && $m->{events}[$n - 1]{timed};

		same("messageId of $n", hex substr($ev->{id}, -16), $n);
		$got{$to}{join ' ', $n, map({ $_ eq '' ? '-' : $_ }
			@{$ev}{qw/ user anonymous /}), $ev->{name},
			$timed ? $ev->{timestamp} : '-'}++;
	}
	return \%got;
}

# what a run that is stuck has to send is on its way

sub all_under_way {
	my $got = got('all');
	for my $e ($m->exports) {
		my $run = Ctseg::Model::last_run($e) or next;
		next if $run->{status} ne 'running' || $run->{unsure};
		for my $n (grep { $m->wants($run, $_) }
			Ctseg::Model::acked($run) + 1
			.. $run->{sure} // $run->{hi})
		{
			same("under way for $e->{name}: $n", !!$got->{
				$run->{partner}}{$m->message($run, $n)}, !!1);
		}
	}
	return;
}

sub received {
	my ($must, $may) = $m->received;
	my $got = got();

	for my $p (sort keys %{$m->{partners}}) {
		my %all = map { $_ => 1 } map { keys %{$_->{$p} || {}} } $must,
			$may, $got;
		for my $text (sort { $a cmp $b } keys %all) {
			my ($want, $have, $more, $old) = map {
				$_->{$p}{$text} // 0 } $must, $got, $may,
				\%extra;
			my $least = $want + ($again ? 0 : $old);
			my $most = $again && $want + $more ? 9e9
				: $want + $old + $more;

			same("how often $p has \"$text\"", $have,
				$have < $least ? $least : $most)
				if $have < $least || $have > $most;
			$extra{$p}{$text} = $have - $want;
		}
	}
	$again = $s->script_left ? 1 : 0;
	return;
}

sub compare {
	my $end = time + $DEADLINE;
	my $failed;

	told('then') if $trace[-1] eq '';
	$m->settle;
	do {
		sleep 0.02 if defined $failed;
		eval {
			all_shows();
			all_under_way() if $m->{held};
			1;
		};
		$failed = $@;
	} while ($failed ne '' && time < $end);
	die $failed if $failed ne '';

	# whoever makes a witness has looked at everything

	my $w = $api->export($witness, events => { set => 'selected',
		names => [ 'Geocluster Exited' ] });
	$witnesses++;
	$api->until($w, 'DONE', $DEADLINE);

	all_shows();
	received() unless $m->{held};

	my @open = grep { !Ctseg::Model::is_final($_) } $m->exports;
	my %count = (PENDING => 0, RUNNING => 0, DONE => $witnesses,
		STOPPED => 0);
	$count{$_->{status}}++ for $m->exports;

	same('GET /status', $api->get('/status')->{json}{exports}, \%count);
	same('exports that are not final', [ sort map { $_->{id} } @{$api->get(
		'/exports?per_page=40&status=PENDING,RUNNING')->{json}{items}}
		], [ sort map { $id{$_->{name}} } @open ]);
	same('number of partners', $api->get('/partners')->{json}{total},
		1 + grep { !$_->{deleted} } values %{$m->{partners}});
	return;
}
