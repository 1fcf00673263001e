#!/usr/bin/env perl

# A recurring export through the weeks: when it runs, what each run takes,
# and what holds when the clock, nginx or an operator does something odd.
# The clock is in the hand of the test.  That nothing ran is shown by a
# witness, an export that is made afterwards and done: whoever claimed it has
# looked at everything that was due.  Events are numbered as the log numbers
# them, so what a run says about its cut and what Segment got are compared
# with the same numbers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Path ();
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for json_encode /;
use Ctseg::Clock qw/ epoch iso /;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'EST5EDT,M3.2.0,M11.1.0'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

# ten in the morning of a Monday, eastern standard time

$clock->set('2026-03-02T15:00:00Z');

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool  ctseg;

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
        }

        ctseg_segment us /segment/us events=1000000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $witness = $api->partner(nickname => 'witness');
my $last = 0;				# number of the newest event
my ($id, $e, $r, $run, @runs);


# ---- before the first slot ----

upload(5);
$id = recurring('first', 4, '2026-03-03');
$e = $api->{created};
is("$e->{status} $e->{next_run_at}", 'PENDING 2026-03-03T05:00:00.000Z',
	'a new export waits for midnight in the account zone');
is_deeply($e->{frequency}, { kind => 'recurring', every_hours => 4,
	start_date => '2026-03-03' }, 'as it was asked for');
is($e->{last_run}, undef, 'and never ran');
is($e->{exported_on}, '2026-03-02', 'it was made the day before');

$clock->set('2026-03-03T04:59:00Z');
upload(5);
nothing_runs();
$e = $api->show($id);
is("$e->{status} $e->{next_run_at}", 'PENDING 2026-03-03T05:00:00.000Z',
	'a minute before it still waits');
is($api->get("/exports/$id/runs")->{json}{total}, 0, '... without a run');


# ---- slot after slot ----

$clock->set('2026-03-03T05:00:01Z');
$e = ran($id, 1);
is($e->{next_run_at}, '2026-03-03T09:00:00.000Z', 'then the next is at four');
cut($e->{last_run}, 1, '2026-03-03T05:00:00.000Z', 10, 10,
	'what came before the start date is not in it');

upload(6);
upload(1, ts => int($clock->now) - 40 * 86400);
$clock->set('2026-03-03T09:00:30Z');
$e = ran($id, 2);
is($e->{next_run_at}, '2026-03-03T13:00:00.000Z', 'slot after slot');
cut($e->{last_run}, 1, '2026-03-03T09:00:00.000Z', 10, 17,
	'what came since');
is_deeply([ received('first') ], [ 11 .. 17 ],
	'also an event that happened long before');
is_deeply($e->{progress}, { sent => 7, rejected => 0, filtered => 0,
	waiting => 0, percent => 100, eta_seconds => undef }, 'the progress');

$clock->set('2026-03-03T13:00:00Z');
$e = ran($id, 3);
cut($e->{last_run}, 1, '2026-03-03T13:00:00.000Z', 17, 17, 'nothing came');
is_deeply([ @{$e->{last_run}}{qw/ status batches retries last_error / } ],
	[ 'succeeded', 0, 0, undef ], '... and the run succeeds');

# an upload while a run is under way is the next one's

upload(2);
$s->default(hold => 1);
$clock->set('2026-03-03T17:00:10Z');
held(1);
$e = $api->show($id);
is("$e->{status} $e->{last_run}{number}", 'RUNNING 4', 'running');
upload(1);
$s->default();
$s->release;
$e = ran($id, 4);
cut($e->{last_run}, 1, '2026-03-03T17:00:00.000Z', 17, 19, 'the cut is fixed');
history($id, 4, 'four slots');
my $first = $id;


# ---- a start date that is past ----

# it is 12:00 in the account zone; 11 arrived first after midnight

$id = recurring('past', 6, '2026-03-03');
is($api->{created}{status}, 'PENDING', 'a start in the past');
is($api->{created}{next_run_at}, $api->{created}{created_at},
	'... means at once');
$e = ran($id, 1);
cut($e->{last_run}, 3, undef, 10, 20, 'what arrived since that day');
is($e->{next_run_at}, '2026-03-03T23:00:00.000Z', 'and then by the grid');
is_deeply([ received('past') ], [ 11 .. 20 ], 'nothing from before');
stop($id);

$id = recurring('today', 24);
is($api->{created}{frequency}{start_date}, '2026-03-03', 'today is default');
cut(ran($id, 1)->{last_run}, 1, undef, 10, 20, '... and is past as well');
stop($id);

$id = recurring('oldest', 24, '2026-01-02');
cut(ran($id, 1)->{last_run}, 61, undef, 0, 20, 'sixty days back');
stop($id);


# ---- stop while it waits ----

$id = $first;
$e = $api->show($id);
is($api->delete("/partners/$e->{partner_id}")->{status}, 409,
	'an export that waits needs its partner');
$r = $api->post("/exports/$id/stop");
is("$r->{status} $r->{json}{status} $r->{json}{stop_reason}",
	'200 STOPPED user', 'a stop between two slots holds at once');
is($r->{json}{next_run_at}, undef, 'no other run is planned');
is($r->{json}{last_run}{status}, 'succeeded', 'the last run is as it was');
upload(1);
$clock->set('2026-03-04T05:00:01Z');
nothing_runs();
history($id, 4, 'a stopped export runs no more');
is($api->show($id)->{status}, 'STOPPED', '... and stays so');
is_deeply([ received('first') ], [ 11 .. 19 ], '... and sends no more');


# ---- wrong fields ----

my $p = $api->partner;
for my $case (
	[ { every_hours => 3 }, 'every_hours' ],
	[ { every_hours => 25 }, 'every_hours' ],
	[ { every_hours => 4.5 }, 'every_hours' ],
	[ { every_hours => '4' }, 'every_hours' ],
	[ { every_hours => -4 }, 'every_hours' ],
	[ { every_hours => undef }, 'every_hours' ],
	[ {}, 'every_hours' ],
	[ { every_hours => 4, start_date => '2026-02-29' }, 'start_date' ],
	[ { every_hours => 4, start_date => '2026-01-02' }, 'start_date' ],
	[ { every_hours => 4, start_date => 20260304 }, 'start_date' ],
	[ { every_hours => 4, from => '2026-03-01' }, 'from' ],
	[ { every_hours => 4, range => 'today' }, 'range' ],
	[ { every_hours => 4, until => 1 }, 'until' ],
	[ { every_hours => 2, start_date => 'x' }, 'every_hours',
		'start_date' ],
	)
{
	my ($freq, @fields) = @$case;
	$r = $api->post('/exports', { partner_id => $p,
		frequency => { kind => 'recurring', %$freq } });
	is($r->{status}, 422, 'refused: ' . json_encode($freq));
	is_deeply([ sort map { $_->{field} } @{$r->{json}{errors}} ],
		[ map { "frequency.$_" } @fields ], '... by name');
}


# ---- PATCH while it waits ----

$clock->set('2026-03-04T15:30:00Z');		# 10:30
$id = recurring('patch', 4);
$e = ran($id, 1);
is($e->{next_run_at}, '2026-03-04T17:00:00.000Z', 'every four hours');

$r = $api->patch("/exports/$id", freq(5), { 'If-Match' => '"1"' });
is("$r->{status} $r->{headers}{etag}", '200 "2"', 'every five');
is($r->{json}{applies_from}, 'next_run', 'from the next run on');
is("$r->{json}{revision} $r->{json}{status} $r->{json}{next_run_at}",
	'2 PENDING 2026-03-04T20:00:00.000Z', 'on the new grid, after now');
is_deeply($r->{json}{frequency}, { kind => 'recurring', every_hours => 5,
	start_date => '2026-03-04' }, 'which begins today');
ok(!exists $api->show($id)->{applies_from}, 'no part of the export itself');

upload(3);
$clock->set('2026-03-04T17:00:30Z');
nothing_runs();
is($api->show($id)->{last_run}{number}, 1, 'the old slot passes');
$clock->set('2026-03-04T20:00:30Z');
$run = ran($id, 2)->{last_run};
cut($run, 1, '2026-03-04T20:00:00.000Z', 21, 24, 'the new slot');
is($run->{export_revision}, 2, '... runs the new revision');

for my $case (
	[ 422, freq(3), {}, qr/every_hours/ ],
	[ 422, { identifier_priority => [ 'x' ], %{freq(25)} }, {},
		qr/identifier_priority.*every_hours/ ],
	[ 422, { partner_id => '00' }, {}, qr/partner_id/ ],
	[ 422, { status => 'DONE' }, {}, qr/status.*read-only/ ],
	[ 422, { colour => 'red' }, {}, qr/colour/ ],
	[ 422, { events => { set => 'all' } }, {}, qr/events\.set/ ],
	[ 409, { frequency => { kind => 'live' } }, {}, qr/kind/ ],
	[ 409, { type => 'profile' }, {}, qr/type/ ],
	[ 412, freq(8), { 'If-Match' => '"1"' }, qr/If-Match|revision/ ],
	[ 400, '{', {}, qr/malformed/ ],
	)
{
	my ($status, $body, $headers, $like) = @$case;
	my $text = ref $body ? json_encode($body) : $body;
	$r = $api->patch("/exports/$id", $body, $headers);
	is($r->{status}, $status, "PATCH $text");
	like($r->{body}, $like, '... says why');
}
$r = $api->patch('/exports/00000000000000000000', freq(8));
is($r->{status}, 404, 'no export, nothing to change');
$e = $api->show($id);
is("$e->{revision} $e->{frequency}{every_hours} $e->{next_run_at}",
	'2 5 2026-03-05T01:00:00.000Z', 'none of them changed anything');

# a definition without its frequency leaves the slots; a start date that is
# past does not bring a run at once, one to come waits for it

$r = $api->patch("/exports/$id", { identifier_priority => [ 'email' ] });
is("$r->{status} $r->{json}{revision} $r->{json}{next_run_at}",
	'200 3 2026-03-05T01:00:00.000Z', 'other identifiers, same slots');
is($api->patch("/exports/$id", freq(6, '2026-03-01'))->{json}{next_run_at},
	'2026-03-04T23:00:00.000Z', 'another start that is past');
nothing_runs();
is($api->patch("/exports/$id", freq(7, '2026-03-06'))->{json}{next_run_at},
	'2026-03-06T05:00:00.000Z', 'a start to come');
is($api->patch("/exports/$id", freq(7))->{json}{next_run_at},
	'2026-03-05T02:00:00.000Z', 'and today again');
upload(1);
$clock->set('2026-03-05T02:00:30Z');
$run = ran($id, 3)->{last_run};
cut($run, 1, '2026-03-05T02:00:00.000Z', 24, 25, 'what was cut stays cut');
is($run->{export_revision}, 6, '... and every edit counts');

$clock->set('2026-03-05T07:30:00Z');		# 02:30
is($api->patch("/exports/$id", freq(4, '2026-03-04'))->{json}{next_run_at},
	'2026-03-05T09:00:00.000Z', 'a grid that had a slot at midnight');
$clock->set('2026-03-05T09:00:30Z');
cut(ran($id, 4)->{last_run}, 1, '2026-03-05T09:00:00.000Z', 25, 25,
	'... does not make up for it');

stop($id);
$r = $api->patch("/exports/$id", freq(8));
is($r->{status}, 409, 'a stopped export is not edited');
like($r->{json}{detail}, qr/STOPPED/, '... by a rule');

$id = $api->export($witness);
$r = $api->patch("/exports/$id", { identifier_priority => [ 'email' ] });
is($r->{status}, 409, 'nor is one of one time');
like($r->{json}{detail}, qr/one.time/i, '... by another');
is($api->until($id, 'DONE')->{revision}, 1, '... and it is as it was');


# ---- PATCH while it runs ----

$clock->set('2026-03-05T17:00:30Z');		# 12:00
$id = recurring('edited', 6);
$e = ran($id, 1);
$e = $api->show($id);
my $partner = $e->{partner_id};
upload(2);
upload(2, name => 'App Installed');
my $from = $last - 4;
my $other = $api->partner(write_key => 'other');

$s->default(hold => 1);
$clock->set('2026-03-05T23:00:10Z');
held(1);
$r = $api->patch("/exports/$id", { partner_id => $other,
	events => { set => 'selected', names => [ 'App Installed' ] },
	%{freq(8)} });
is("$r->{status} $r->{json}{status} $r->{json}{revision}", '200 RUNNING 2',
	'edited while it runs');
is($r->{json}{applies_from}, 'next_run', 'from the next run on');
is($r->{json}{last_run}{export_revision}, 1, 'the run keeps what it has');
is($api->delete("/partners/$partner")->{status}, 409,
	'... its partner among it');
$s->default();
$s->release;
$e = ran($id, 2);
cut($e->{last_run}, 1, '2026-03-05T23:00:00.000Z', $from, $last,
	'this one goes to its end');
is_deeply([ @{$e->{last_run}}{qw/ export_revision sent filtered / } ],
	[ 1, 4, 0 ], '... by the old revision');
is($e->{next_run_at}, '2026-03-06T05:00:00.000Z', 'the new grid afterwards');
is($api->delete("/partners/$partner")->{status}, 204,
	'the old partner is not needed any more');

upload(2);
upload(3, name => 'App Installed');
$clock->set('2026-03-06T05:00:10Z');
$e = ran($id, 3);
cut($e->{last_run}, 1, '2026-03-06T05:00:00.000Z', $last - 5, $last,
	'the next one');
is_deeply([ @{$e->{last_run}}{qw/ export_revision sent filtered / } ],
	[ 2, 3, 2 ], '... has the new revision');
is_deeply([ received('other') ], [ $last - 2 .. $last ],
	'... and the new partner');
stop($id);


# ---- a run that takes longer than a period ----

$clock->set('2026-03-06T05:10:00Z');		# 00:10
$id = recurring('slow', 4);
ran($id, 1);
$from = upload(2);
$s->default(hold => 1);
$clock->set('2026-03-06T09:00:10Z');
held(1);
upload(2);
$clock->set('2026-03-06T17:30:00Z');
nothing_runs();
is($api->show($id)->{last_run}{number}, 2, 'its slots wait for it');
$s->default();
$s->release;
ran($id, 3);
@runs = history($id, 3, 'then there is one run for them');
cut($runs[1], 1, '2026-03-06T09:00:00.000Z', $from, $from + 2, 'the long one');
cut($runs[0], 2, undef, $from + 2, $last, '... and the one for two slots');


# ---- stop while it runs ----

upload(2);
$s->default(hold => 1);
$clock->set('2026-03-06T21:00:10Z');
held(1);
$r = $api->post("/exports/$id/stop");
is("$r->{status} $r->{json}{status}", '200 STOPPED', 'stopped in a run');
$s->default();
$s->release;
like($api->run_ended($id)->{status}, qr/^(?:stopped|succeeded)$/,
	'its run ends with what was under way');
$clock->set('2026-03-07T01:00:10Z');
nothing_runs();
$e = $api->show($id);
is_deeply([ @{$e}{qw/ status next_run_at / }, $e->{last_run}{number} ],
	[ 'STOPPED', undef, 4 ], 'and there is no other');


# ---- a crash in the middle ----

# The second time two slots have gone by when it comes up again: the run ends
# first, then those two are one run.

$clock->set('2026-03-07T16:00:00Z');		# 11:00
$id = recurring('crash', 4);
ran($id, 1);
$from = upload(3);
$s->default(hold => 1);
$clock->set('2026-03-07T17:00:10Z');
held(1);
$t->kill9;
$s->release;
$clock->set('2026-03-07T17:10:00Z');
$s->default();
$t->run;
$e = ran($id, 2);
cut($e->{last_run}, 1, '2026-03-07T17:00:00.000Z', $from, $last,
	'a run goes on after a crash');
is($e->{next_run_at}, '2026-03-07T21:00:00.000Z', 'the next slot is kept');

my $mid = upload(2);
$s->default(hold => 1);
$clock->set('2026-03-07T21:00:10Z');
held(1);
$t->kill9;
$s->release;
$clock->set('2026-03-08T05:30:00Z');
$s->default();
$t->run;
upload(1);
$e = ran($id, 4);
is($e->{next_run_at}, '2026-03-08T08:00:00.000Z', 'eight hours down');
@runs = history($id, 4, 'the run that was cut short, and one more');
cut($runs[1], 1, '2026-03-07T21:00:00.000Z', $mid, $mid + 2, 'the one');
is($runs[0]{coalesced_slots}, 2, 'the other stands for two slots');
is_deeply([ received('crash') ], [ received_in(@runs) ],
	'Segment has each event once');
stop($id);


# ---- a week down ----

$clock->set('2026-03-09T14:30:00Z');		# 10:30
$id = recurring('week', 4);
ran($id, 1);
$from = upload(3);
$t->stop;
$clock->advance(7 * 86400);
$t->run;
$e = ran($id, 2);
cut($e->{last_run}, 42, undef, $from, $last, 'one run for a week');
cmp_ok($e->{last_run}{scheduled_for}, 'le', $e->{last_run}{started_at},
	'... of a slot that was missed');
cmp_ok($e->{last_run}{scheduled_for}, 'ge', '2026-03-09T16:00:00.000Z',
	'... by it');
is($e->{next_run_at}, '2026-03-16T16:00:00.000Z', 'the next on the grid');
nothing_runs();
history($id, 2, 'and no other');


# ---- the clock is set back ----

$clock->set('2026-03-16T16:00:30Z');
ran($id, 3);
$clock->advance(-7200);
upload(2);
nothing_runs();
$t->reload;
nothing_runs();
$clock->set('2026-03-16T16:00:30Z');
nothing_runs();
$e = $api->show($id);
is("$e->{last_run}{number} $e->{next_run_at}", '3 2026-03-16T20:00:00.000Z',
	'a slot that comes again does not run again');
upload(1);
$clock->set('2026-03-16T20:00:30Z');
$e = ran($id, 4);
cut($e->{last_run}, 1, '2026-03-16T20:00:00.000Z', $last - 3, $last,
	'what came while the clock was back is in the next');

# while a run is under way, too

upload(1);
$s->default(hold => 1);
$clock->set('2026-03-17T00:00:30Z');
held(1);
$clock->advance(-7200);
$s->default();
$s->release;
$e = ran($id, 5);
is($e->{next_run_at}, '2026-03-17T04:00:00.000Z', 'back during a run');
$clock->set('2026-03-17T00:00:30Z');
nothing_runs();
@runs = history($id, 5, 'no slot ran twice');
is_deeply([ received('week') ], [ received_in(@runs) ],
	'and no event was sent twice');
stop($id);


# ---- summer time ends ----

# At two it is one.  The hour that comes twice has its slot the first time.
# Meanwhile the workers are replaced again and again.

$clock->set('2026-10-31T16:10:00Z');		# 12:10
dst('2026-11-01', 3.5, '2026-10-31', {
	4 => [ 6, 4, 9, 13, 17, 21, 25, 29 ],
	5 => [ 5, 5, 11, 16, 21, 26 ],
	6 => [ 4, 4, 11, 17, 23, 29 ],
	8 => [ 3, 4, 13, 21, 29 ],
	12 => [ 2, 4, 17, 29 ],
	24 => [ 1, 4, 29 ],
}, 'reload');


# ---- summer time begins ----

# At two it is three.  The slot that falls into the gap is at its end.

$clock->set('2027-03-13T17:10:00Z');		# 12:10
dst('2027-03-14', 4.5, '2027-03-12', {
	4 => [ 12, 5, 8, 12, 16, 20, 24, 28 ],
	5 => [ 10, 7, 11, 16, 21, 26 ],
	6 => [ 8, 5, 10, 16, 22, 28 ],
	8 => [ 6, 5, 12, 20, 28 ],
	12 => [ 4, 5, 16, 28 ],
	24 => [ 2, 5, 28 ],
});


# ---- the log is lost ----

# What came into the new log is new, though its numbers were there before.

$clock->set('2027-03-16T14:10:00Z');		# 10:10
$id = recurring('anew', 4);
ran($id, 1);
$t->stop;
File::Path::remove_tree($t->testdir . '/store/events');
$t->run;
upload(3);
$clock->set('2027-03-16T16:00:10Z');
$run = ran($id, 2)->{last_run};
is_deeply([ @{$run}{qw/ status after_sequence to_sequence sent / } ],
	[ 'succeeded', 0, 3, 3 ], 'a log made anew is taken from its begin');
upload(2);
$clock->set('2027-03-16T20:00:10Z');
$run = ran($id, 3)->{last_run};
is_deeply([ @{$run}{qw/ after_sequence to_sequence / } ], [ 3, 5 ],
	'... and on');
is_deeply([ received('anew') ], [ $last - 4 .. $last ], '... to Segment');
stop($id);


# ---- the sum of it ----

is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');
is_deeply([ map { $_->{id} } grep { $_->{status} !~ /DONE|STOPPED/ }
	map { @{$api->get("/exports?per_page=40&page=$_")->{json}{items}} }
	1 .. 3 ], [], 'every export came to its end');

$t->finish;
done_testing;


# ---- helpers ----

# the next n events; answers the number of the one before

sub upload {
	my ($n, %o) = @_;
	my $before = $last;
	$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map {
		record(n => ++$last, ts => int($clock->now), %o) } 1 .. $n)
		. ']}');
	return $before;
}

# id of an export to a partner whose write key is the name

sub recurring {
	my ($name, $hours, $start) = @_;
	return $api->export($api->partner(write_key => $name), %{freq($hours,
		$start)});
}

sub freq {
	my ($hours, $start) = @_;
	return { frequency => { kind => 'recurring', every_hours => 0 + $hours,
		($start ? (start_date => $start) : ()) } };
}

# the export when run n is over

sub ran {
	my ($ex, $n) = @_;
	my $now;
	eval {
		wait_for {
			$now = $api->show($ex);
			$now->{status} eq 'PENDING' && $now->{last_run}
				&& $now->{last_run}{number} == $n;
		} 10, "run $n";
		1;
	} or die $@ . iso($clock->now) . ' ' . json_encode($now) . "\n";
	return $now;
}

sub nothing_runs {
	my $before = runs();
	my $ex = $api->export($witness, events => { set => 'selected',
		names => [ 'Geocluster Exited' ] });
	$api->until($ex, 'DONE', 10);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(runs(), $before, 'nothing runs at ' . iso($clock->now));
	return;
}

# how often the exports that may run have run

sub runs {
	my $all = $api->get('/exports?per_page=40&frequency=recurring');
	return join ' ', map { "$_->{id}:"
		. ($_->{last_run} ? $_->{last_run}{number} : 0) }
		@{$all->{json}{items}};
}

sub held {
	my ($n) = @_;
	wait_for { $s->stats->{held} == $n } 10, "$n held answers";
	return;
}

sub stop {
	my ($ex) = @_;
	my $a = $api->post("/exports/$ex/stop");
	die "stop: $a->{status} $a->{body}" unless $a->{status} == 200;
	return;
}

# slots, scheduled_for (undef: any), after_sequence, to_sequence of a run

sub cut {
	my ($have, $slots, $at, $after, $to, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply([ @{$have}{qw/ status coalesced_slots after_sequence
		to_sequence waiting /}, $at ? $have->{scheduled_for} : () ],
		[ 'succeeded', $slots, $after, $to, 0, $at // () ], $what)
		or diag(json_encode($have));
	return;
}

# the runs, newest first; n of them without a gap or an overlap

sub history {
	my ($ex, $n, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $list = $api->get("/exports/$ex/runs?per_page=40")->{json};
	my @items = @{$list->{items}};
	my @wrong;

	push @wrong, "$list->{total} in all" if $list->{total} != $n;
	push @wrong, 'numbers ' . join ' ', map { $_->{number} } @items
		if "@{[ map { $_->{number} } @items ]}"
			ne "@{[ reverse 1 .. $n ]}";
	for my $i (1 .. $#items) {
		my ($new, $old) = @items[$i - 1, $i];
		push @wrong, "run $new->{number} begins after "
			. "$new->{after_sequence}"
			if $new->{after_sequence} != $old->{to_sequence};
		push @wrong, "run $new->{number} at $new->{scheduled_for}"
			if $new->{scheduled_for} le $old->{scheduled_for};
	}
	push @wrong, map { "run $_->{number} $_->{status}" }
		grep { $_->{status} ne 'succeeded' } @items;
	is_deeply($api->get("/exports/$ex/runs/$n")->{json}, $items[0],
		'the newest comes first');
	is_deeply(\@wrong, [], $what);
	return @items;
}

# numbers of the events of a write key, ascending, each message id once

sub received {
	my ($key) = @_;
	my %mine = map { $_->{n} => 1 } grep {
		($_->{write_key} // '') eq $key } $s->requests;
	my %id = map { $_->{id} => ($_->{raw} =~ /"n":(\d+)/)[0] }
		grep { $mine{$_->{request}} } $s->events;
	return sort { $a <=> $b } values %id;
}

# what the runs say they took

sub received_in {
	return sort { $a <=> $b } map { $_->{after_sequence} + 1
		.. $_->{to_sequence} } @_;
}

# Exports of each period through a day on which the clock changes.  Slots are
# hours of that day by Greenwich; before them stands how many there were since
# the start date, up to the hour $eve.

sub dst {
	my ($day, $eve, $start, $slots, $reload) = @_;
	my $midnight = epoch("${day}T00:00:00Z");
	my %id = map { $_ => recurring("$day-$_", $_, $start) } keys %$slots;
	my %runs = map { $_ => 0 } keys %id;
	my %due;

	# at once, for a start date that is past; and in the evening those that
	# had another slot

	ran($id{$_}, ++$runs{$_}) for keys %id;
	$clock->set($midnight + $eve * 3600);
	for my $hours (keys %id) {
		my ($all, @at) = @{$slots->{$hours}};
		ran($id{$hours}, ++$runs{$hours}) if $hours < 12;
		push @{$due{$_}}, $hours for @at;
	}

	# also the hours between, where there must be nothing

	for my $hour (4 .. 29) {
		next unless $due{$hour} || ($hour >= 5 && $hour <= 8);
		upload(1);
		$clock->set($midnight + $hour * 3600 + 5);
		$t->reload if $reload && $hour % 3 == 0;
		ran($id{$_}, ++$runs{$_}) for @{$due{$hour} || []};
		nothing_runs() unless $due{$hour};
	}

	for my $hours (sort { $a <=> $b } keys %id) {
		my ($all, @at) = @{$slots->{$hours}};
		my @have = history($id{$hours}, $runs{$hours},
			"every $hours hours on $day");
		my $n = 0;
		$n += $_->{coalesced_slots} for @have;
		is($n, $all + @at, '... each slot is counted once');
		is_deeply([ map { $_->{scheduled_for} } reverse
			@have[0 .. $#at] ], [ map {
			iso($midnight + $_ * 3600) } @at ],
			'... and is at its hour');
		is_deeply([ received("$day-$hours") ],
			[ received_in(@have) ], '... with its events');
		stop($id{$hours});
	}
	return;
}
