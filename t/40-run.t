#!/usr/bin/env perl

# A one-time export from its creation to its end: the states that an operator
# sees, which events it takes, whose id they carry, and how a stop ends it.
# The account zone is five and a half hours east of Greenwich, so that a day
# cut in UTC is a day cut wrong.  What could fool these tests is an answer
# that comes by luck: the mock holds its answers wherever the order matters,
# and the counts are compared exactly.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for json_encode /;
use Ctseg::Data qw/ upload_body upload_bodies record @system @engagement
	@catalog /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'IST-5:30' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store          %%TESTDIR%%/store events=256m state=64m;
    ctseg_thread_pool    ctseg;
    ctseg_custom_events  on;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size     8m;
        client_body_buffer_size  1m;

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

        ctseg_segment us /segment/us events=1000000 concurrency=2;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $now = time;


# ---- nothing collected yet ----

my $id = $api->export($api->partner);
my $e = $api->until($id, 'DONE');
is_deeply([ @{$e->{last_run}}{qw/ status scanned sent waiting batches / } ],
	[ 'succeeded', 0, 0, 0, 0 ], 'an export of an empty log is done');
is($e->{progress}{percent}, 100, 'to a hundred percent');
is(scalar $s->requests, 0, 'and sends nothing');


# ---- PENDING, RUNNING, DONE ----

upload(upload_body(100, ts => $now));

$s->default(hold => 1);
$id = $api->export($api->partner(write_key => 'states'),
	events => { set => 'all' });
my $created = $api->{created};
is($created->{status}, 'PENDING', 'a new export is pending');
is($created->{last_run}, undef, 'and never ran');
is_deeply($created->{progress}, { sent => 0, rejected => 0, filtered => 0,
	waiting => 0, percent => 0, eta_seconds => undef },
	'nor did anything');

held(1);
$e = $api->show($id);
is($e->{status}, 'RUNNING', 'running while its batch is under way');
is($e->{last_run}{number}, 1, 'its first run');
is_deeply([ @{$e->{last_run}}{qw/ status scanned waiting finished_at / } ],
	[ 'running', 0, 100, undef ], 'nothing counts before the answer');
is($e->{progress}{percent}, 0, 'nor as progress');
is($e->{next_run_at}, undef, 'no other run is planned');
my $health = $api->get("/partners/$e->{partner_id}")->{json}{health};
is($health->{state}, 'ok', 'a slow answer is no illness of the partner');

$s->release;
$e = $api->until($id, 'DONE');
is_deeply([ @{$e->{last_run}}{qw/ status scanned sent waiting batches
	retries last_error / } ], [ 'succeeded', 100, 100, 0, 1, 0, undef ],
	'done after the answer');
is($e->{stop_reason}, undef, 'and not stopped');
is($e->{progress}{percent}, 100, 'to a hundred percent');
like($e->{last_run}{$_}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
	"$_ is an instant") for qw/ scheduled_for started_at finished_at /;
is_deeply($api->get("/exports/$id/runs/1")->{json}, $e->{last_run},
	'the run by itself says the same');
$s->default();


# ---- an event that comes after the start ----

# More batches than are ever loaded at once: the late events are there when
# the last ones are read.

upload(upload_bodies(3, 100, from => 200, ts => $now, pad => 20_000));

$s->default(hold => 1);
$id = $api->export($api->partner(write_key => 'cut1'),
	events => { set => 'all' });
held(2);
upload(upload_body(5, from => 1000, ts => $now));
$s->default();
$s->release;
$e = $api->until($id, 'DONE');
is($e->{last_run}{to_sequence}, 400, 'the end of the cut is fixed');
is(scalar(my @cut = received('cut1')), 400, 'later events are not in the run');
cmp_ok($e->{last_run}{batches}, '>', 10, '... which read on after they came');

$id = $api->export($api->partner(write_key => 'cut2'),
	events => { set => 'all' });
is($api->until($id, 'DONE')->{last_run}{sent}, 405, 'a second export');
is_deeply([ sort grep { $_ >= 1000 } map { $_->{properties}{n} }
	received('cut2') ], [ 1000 .. 1004 ], 'has them');
my %by = map { $_->{messageId} => 1 } received('cut1');
is(scalar(grep { $by{$_->{messageId}} } received('cut2')), 0,
	'another write key has other message ids');


# ---- which events ----

my @custom = ('Charged', "Caf\xc3\xa9", 'App_Launched',
	'App Launched Today');
my $then = $now - 40 * 86400;
my $day = day($then);
my $i = 2000;
upload('{"d":[' . join(',', map { record(n => $i++, name => $_, ts => $then) }
	@catalog, @custom) . ']}');

for my $case (
	[ 'system', { set => 'system' }, @system ],
	[ 'engagement', { set => 'engagement' }, @engagement ],
	[ 'selected', { set => 'selected', names => [ 'Webhook Delivered',
		'App Launched' ] }, 'App Launched', 'Webhook Delivered' ],
	[ 'all', { set => 'all' }, @catalog, @custom ],
	[ 'default', undef, @system ],
	)
{
	my ($name, $events, @want) = @$case;
	my $key = "choice$name";
	$id = $api->export($api->partner(write_key => $key),
		($events ? (events => $events) : ()),
		frequency => { kind => 'one_time', from => $day,
			to => $day });
	$e = $api->until($id, 'DONE');
	is_deeply([ sort map { $_->{event} } received($key) ],
		[ sort map { utf($_) } @want ], "the names of $name");
	is_deeply([ @{$e->{last_run}}{qw/ sent filtered rejected / } ],
		[ scalar @want, 405 + 27 - @want, 0 ],
		'... and the rest is filtered');
}


# ---- the days are those of the account zone ----

my $at = ($now - 20 * 86400) * 1000;
$at -= ($at + 19800_000) % 86400_000;		# 00:00 there, 18:30 UTC
$day = day($at / 1000);
upload('{"d":[' . join(',', map { record(n => $_->[0], ts => $_->[1]) }
	[ 3000, $at - 1 ], [ 3001, $at ], [ 3002, $at + 86400_000 - 1 ],
	[ 3003, $at + 86400_000 ]) . ']}');

$id = $api->export($api->partner(write_key => 'window'),
	frequency => { kind => 'one_time', from => $day, to => $day });
$api->until($id, 'DONE');
is_deeply([ sort map { $_->{properties}{n} } received('window') ],
	[ 3001, 3002 ], 'from 00:00 to before 24:00, in the account zone');
like($api->get('/status')->{json}{time_zone}, qr/IST/,
	'which the status names');
is((received('window'))[0]{timestamp}, strftime('%Y-%m-%dT%H:%M:%S.000Z',
	gmtime($at / 1000)), 'but timestamps are UTC');


# ---- whose id ----

$then = $now - 30 * 86400;
$day = day($then);
my $one = { kind => 'one_time', from => $day, to => $day };
$i = 4000;
my @who = (
	'"identity":"I","objectId":"O","email":"E","phone":"P","FBID":"F"',
	'"identity":"I","phone":"P"',
	'"objectId":"O"',
	'"identity":"","objectId":"O","email":"  "',
	'"identity":12345678901234567890',
	'"identity":"I \u00e9 \"q\"","GPID":"G"',
	);
upload('{"d":[' . join(',', map { record(n => $i++, id => $_, ts => $then,
	props => '"dev":"D' . $i . '","num":7,"flag":true,"nil":null') } @who)
	. ']}');

ids('mapdefault', {}, {}, [ 'I', 'O' ], [ 'I', undef ], [ undef, 'O' ],
	[ undef, 'O' ], [ '12345678901234567890', undef ],
	[ "I \x{e9} \"q\"", undef ]);
ids('mapemail', { user_id => 'email' }, { identifier_priority => [ 'phone',
	'identity' ] }, [ 'E', 'O' ], [ 'P', undef ], [ undef, 'O' ],
	[ undef, 'O' ], [ '12345678901234567890', undef ],
	[ "I \x{e9} \"q\"", undef ]);
ids('mapprop', { user_id => 'property:dev', anonymous_id => 'property:num' },
	{}, map { [ "D$_", 7 ] } 4001 .. 4006);
ids('mapflag', { user_id => 'property:flag', anonymous_id =>
	'property:nil' }, { identifier_priority => [ 'fbid', 'gpid' ] },
	[ 'F', undef ], undef, undef, undef, undef, [ 'G', undef ]);
is_deeply($e->{last_run}{rejected_by_reason}, { no_id => 4, too_large => 0,
	refused => 0, expired => 0, no_name => 0, damaged => 0,
	future_time => 0 },
	'an event that nobody can be found for is rejected');
like($t->error_log, qr/4 events in \(\d+, \d+\] can never be sent: 4 without/,
	'... and the error log says so');

$then = $now - 25 * 86400;
$day = day($then);
upload('{"d":[' . join(',', map { record(n => 5000 + $_, ts => $then,
	props => "\"who\":\"" . ('w' x $_) . '"') } 15, 27_000, 20) . ']}');
$id = $api->export($api->partner(write_key => 'toolarge',
	user_id => 'property:who'), frequency => { kind => 'one_time',
	from => $day, to => $day });
$e = $api->until($id, 'DONE');
is_deeply($e->{last_run}{rejected_by_reason}, { no_id => 0, too_large => 1,
	refused => 0, expired => 0, no_name => 0, damaged => 0,
	future_time => 0 },
	'a message that would be too large is rejected');
is_deeply([ map { $_->{properties}{n} } received('toolarge') ],
	[ 5015, 5020 ], '... and its neighbours are sent');


# ---- stop ----

# The owner of the run sees the stop at its next checkpoint.  Until then what
# was loaded may still go out: as many batches as are in flight, no more.

upload(upload_bodies(6, 100, from => 10_000, ts => $now, pad => 20_000));

$s->default(hold => 1);
$id = $api->export($api->partner(write_key => 'stopped'));
held(2);
is($api->show($id)->{status}, 'RUNNING', 'two batches are under way');
my $r = $api->post("/exports/$id/stop");
is("$r->{status} $r->{json}{status} $r->{json}{stop_reason}",
	'200 STOPPED user', 'a stop holds at once');
my $run;
wait_for {
	$s->release;
	$run = $api->show($id)->{last_run};
	$run->{status} ne 'running';
} 10, 'the end of the stopped run';
$s->default();
is($run->{status}, 'stopped', 'its run ends when they are answered');
cmp_ok($run->{batches}, '>=', 2, 'both count');
cmp_ok($run->{batches}, '<=', 4, 'and at most two more');
is($run->{sent}, scalar(my @sent = received('stopped')), 'as sent');
cmp_ok($run->{waiting}, '>', 600, 'the rest stays waiting');
my $of_stopped = requests_of('stopped');
is($of_stopped, $run->{batches}, 'no other batch was sent');
$r = $api->post("/exports/$id/stop");
is($r->{status}, 409, 'a second stop is refused');
like($r->{json}{detail}, qr/PENDING or RUNNING.*STOPPED/, 'with the rule');

# a stop before the scheduler has looked, which it does at once; a loss of that
# race is tried again, and so is a run that was made and never began

my ($pending, $runs);
for (1 .. 100) {
	$id = $api->export($api->partner(write_key => "early$_"));
	$r = $api->post("/exports/$id/stop");
	$pending = $r->{json};
	$runs = $api->get("/exports/$id/runs")->{json}{total};
	last if !defined $pending->{last_run} && $runs == 0;
}
is($pending->{last_run}, undef, 'stopped before it ran');
is($pending->{status}, 'STOPPED', 'is stopped');
is($runs, 0, 'without a run');
is($pending->{next_run_at}, undef, 'and without one to come');

$s->default(status => 503, headers => { 'Retry-After' => 300 });
$id = $api->export($api->partner(write_key => 'backoff'));
wait_for { $e = $api->show($id); $e->{last_run}
	&& $e->{last_run}{last_error} } 10, 'the first failure';
is($e->{status}, 'RUNNING', 'a run that waits for a retry is running');
is($api->post("/exports/$id/stop")->{json}{status}, 'STOPPED',
	'stopped while it waits five minutes');
$run = $api->run_ended($id, 10);
is_deeply([ @{$run}{qw/ status sent retry_at / } ], [ 'stopped', 0, undef ],
	'its run does not wait that long');
my $of_backoff = requests_of('backoff');
$s->default();


# ---- the sum of it ----

my @partners = @{$api->get('/partners?per_page=40')->{json}{items}};
cmp_ok(scalar @partners, '>', 15, 'many partners were used');
is_deeply([ grep { $_ != 204 } map { $api->delete("/partners/$_->{id}")
	->{status} } @partners ], [], 'nothing uses one of them any more');
is(requests_of('stopped'), $of_stopped, 'a stopped export sends no more');
is(requests_of('backoff'), $of_backoff, 'nor does one that waited');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');
cmp_ok($api->{polls}, '>', 20, 'of many');

$t->finish;
done_testing;


# ---- helpers ----

sub upload { return $api->upload($t->url(1, '/1/upload'), @_) }

sub held {
	my ($n) = @_;
	wait_for { $s->stats->{held} == $n } 10, "$n held answers";
	return;
}

# the day of an instant in the account zone

sub day { return strftime('%Y-%m-%d', gmtime($_[0] + 19800)) }

sub utf {
	my ($text) = @_;
	utf8::decode($text);
	return $text;
}

# decoded events of a write key, in the order of the log

sub received {
	my ($key) = @_;
	my %mine = map { $_->{n} => 1 } grep { ($_->{write_key} // '') eq $key
		} $s->requests;

	# JSON::PP takes its time for the padding

	my @events = sort { $a->{messageId} cmp $b->{messageId} } map {
		$_->{raw} =~ s/"pad":"x+"/"pad":0/; $s->decode($_) }
		grep { $mine{$_->{request}} } $s->events;
	return @events;
}

sub requests_of {
	my ($key) = @_;
	return scalar grep { ($_->{write_key} // '') eq $key } $s->requests;
}

# userId and anonymousId by event, undef: not sent

sub ids {
	my ($key, $partner, $export, @want) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$id = $api->export($api->partner(write_key => $key, %$partner),
		frequency => $one, %$export);
	$e = $api->until($id, 'DONE');

	my %got = map { $_->{properties}{n} => [ $_->{userId},
		$_->{anonymousId} ] } received($key);
	is_deeply([ @got{4000 .. 4005} ], \@want, "identifiers of $key");
	return;
}
