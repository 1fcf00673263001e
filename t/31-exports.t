#!/usr/bin/env perl

# Exports by REST: what may be asked for and what is refused, field by field;
# how they are shown, listed and stopped; their runs, the catalog and the
# status.  Days belong to the account zone, here five and a half hours east
# of Greenwich, and are reckoned from the day that the answer itself calls
# today, so that midnight does not break the test.  What becomes of an export
# is told by the tests of runs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
use Test::More;
use Time::Local qw/ timegm /;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for json_encode /;
use Ctseg::Data qw/ upload_body @system @engagement @catalog /;
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

        ctseg_segment us /segment/us;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $instant = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
my $us = $api->partner;
my $eu = $api->partner(region => 'eu');


# ---- a fresh house ----

my $status = $api->get('/status')->{json};
is_deeply([ sort keys %$status ], [ sort qw/ version installation_id
	time_zone now health sequence store exports activity damaged
	write custom_events / ], 'the status');
like($status->{now}, $instant, '... has a clock');
like($status->{installation_id}, qr/^[0-9a-f]{16}$/, '... a name');
like($status->{time_zone}, qr/\S/, '... the account zone');
is_deeply($status->{exports}, { PENDING => 0, RUNNING => 0, DONE => 0,
	STOPPED => 0 }, '... exports by status');
is($status->{sequence}{last}, 0, '... nothing collected');
is($status->{store}{events}{capacity_bytes}, 64 * 1048576,
	'... the size of the store');
is_deeply($api->get('/exports')->{json}, { items => [], page => 1,
	per_page => 20, total => 0, pages => 0 }, 'no exports');


# ---- the catalog ----

my $catalog = $api->get('/catalog')->{json};
my @sys = map { $_->{name} } @{$catalog->{system}};
my @eng = map { $_->{name} } @{$catalog->{engagement}};
is_deeply([ sort @sys ], [ sort @system ], '21 system events, each once');
is_deeply([ sort @eng ], [ sort @engagement ], '18 engagement events');
my %names = map { $_ => 1 } @sys, @eng;
is(scalar keys %names, 23, '23 names in all');
is_deeply([ sort keys %names ], [ sort @catalog ], 'of CleverTap');
is_deeply([ grep { length($_->{description} // '') < 10 }
	map { @$_ } values %$catalog ], [], 'each is described');


# ---- the smallest one ----

my $r = $api->post('/exports', { partner_id => $us,
	frequency => { kind => 'one_time', range => 'today' } });
is("$r->{status} $r->{headers}{etag}", '201 "1"', 'created');
my $e = $r->{json};
like($r->{headers}{location}, qr{/exports/$e->{id}$}, 'somewhere');
my $today = $e->{exported_on};
like($today, qr/^\d{4}-\d\d-\d\d$/, 'on a day');
my $no = $e->{mapping}{context};
ok(defined $no && !$no, 'no context of its own');
is_deeply($e, { id => $e->{id}, partner_id => $us, type => 'event',
	format => 'json', events => { set => 'system' },
	identifier_priority => [ qw/ identity email phone / ],
	frequency => { kind => 'one_time', range => 'today', from => $today,
		to => $today },
	mapping => { context => $no, names => 'original',
		integrations => undef, future => 'keep' },
	status => 'PENDING', stop_reason => undef, revision => 1,
	created_at => $e->{created_at}, exported_on => $today,
	next_run_at => $e->{created_at}, last_run => undef,
	progress => { sent => 0, rejected => 0, filtered => 0, waiting => 0,
		percent => 0, eta_seconds => undef } }, 'with this shape');
like($e->{created_at}, $instant, '... at an instant');
is(strftime('%Y-%m-%d', gmtime(instant($e->{created_at}) + 19800)), $today,
	'today is a day of the account zone');

$e = $api->until($e->{id}, 'DONE');
my $run = $e->{last_run};
is_deeply($run, { number => 1, status => 'succeeded',
	scheduled_for => $e->{created_at}, started_at => $run->{started_at},
	finished_at => $run->{finished_at}, after_sequence => 0,
	to_sequence => 0, export_revision => 1, scanned => 0, sent => 0,
	filtered => 0, rejected => 0, rejected_by_reason => { no_id => 0,
	too_large => 0, refused => 0, expired => 0, no_name => 0,
	damaged => 0, future_time => 0 },
	waiting => 0, batches => 0, retries => 0, coalesced_slots => 1,
	retry_at => undef, last_error => undef },
	'its run has this shape');
is($e->{revision}, 1, 'a run is no change of the definition');


# ---- days ----

$today = $api->post('/exports', one(range => 'today'))->{json}{exported_on};
my ($y, $m) = $today =~ /^(\d+)-(\d+)/;
my $before = day(-1, "$y-$m-01");
my $oldest = day(-60);
my $previous = $before =~ s/\d\d$/01/r;
$previous = $oldest if $previous lt $oldest;

for my $case (
	[ 'today', $today, $today ],
	[ 'yesterday', day(-1), day(-1) ],
	[ 'last_7_days', day(-6), $today ],
	[ 'last_30_days', day(-29), $today ],
	[ 'current_month', "$y-$m-01", $today ],
	[ 'previous_month', $previous, $before ],
	)
{
	my ($range, $from, $to) = @$case;
	$r = $api->post('/exports', one(range => $range));
	is_deeply($r->{json}{frequency}, { kind => 'one_time',
		range => $range, from => $from, to => $to },
		"$range is $from to $to");
}
for my $case ([ $today, $today ], [ $oldest, $oldest ], [ $oldest, $today ]) {
	my ($from, $to) = @$case;
	$r = $api->post('/exports', one(from => $from, to => $to));
	is_deeply($r->{json}{frequency}, { kind => 'one_time',
		from => $from, to => $to }, "from $from to $to");
}

wrong(one(from => day(-61), to => $today), 'frequency.from',
	qr/60 days back, on $oldest/);
wrong(one(from => $today, to => day(1)), 'frequency.to', qr/after today/);
wrong(one(from => day(-1), to => day(-2)), 'frequency.to', qr/before/);
wrong(one(from => $today), 'frequency.to', qr/required/);
wrong(one(to => $today), 'frequency.from', qr/required/);
wrong(one(), 'frequency', qr/from and to, or a range/);
wrong(one(from => $today, to => $today, range => 'today'), 'frequency.range',
	qr/together/);
wrong(one(range => 'tomorrow'), 'frequency.range', qr/previous_month/);
wrong(one(range => 7), 'frequency.range', qr/string/);
for my $bad ('2026-02-30', '2026-2-3', '26-02-03', '2026-02-03T00:00:00Z',
	'', 'today', '2026-13-01', ' 2026-01-01')
{
	wrong(one(from => $bad, to => $today), 'frequency.from',
		qr/YYYY-MM-DD/);
}
wrong(one(from => 20260101, to => $today), 'frequency.from', qr/string/);
wrong(one(range => 'today', every_hours => 4), 'frequency.every_hours',
	qr/recurring only/);
wrong(one(range => 'today', start_date => $today), 'frequency.start_date',
	qr/recurring only/);
wrong(one(range => 'today', x => 1), 'frequency.x', qr/not a known/);


# ---- the other fields ----

my @ok = (partner_id => $us, frequency => { kind => 'one_time',
	range => 'today' });

for my $names ([ 'App Launched' ], [ @catalog ], [ 'UTM Visited',
	'App Launched', 'UTM Visited' ])
{
	$r = $api->post('/exports', { @ok, events => { set => 'selected',
		names => $names } });
	my %set = map { $_ => 1 } @$names;
	is_deeply([ sort @{$r->{json}{events}{names} || []} ],
		[ sort keys %set ], scalar(@$names) . ' selected');
}
is($api->post('/exports', { @ok, events => { set => 'engagement' } })
	->{json}{events}{set}, 'engagement', 'the engagement set');
is_deeply($api->post('/exports', { @ok, identifier_priority => [ qw/ gpid
	fbid objectId phone email identity / ] })->{json}
	{identifier_priority}, [ qw/ gpid fbid objectId phone email
	identity / ], 'every identifier in another order');
is($api->post('/exports', { @ok, type => 'event', format => 'json' })
	->{status}, 201, 'what is the default may be said');

wrong({ @ok, events => { set => 'some' } }, 'events.set', qr/engagement/);
wrong({ @ok, events => {} }, 'events.set', qr/required/);
wrong({ @ok, events => { set => 1 } }, 'events.set', qr/string/);
wrong({ @ok, events => 'system' }, 'events', qr/object/);
wrong({ @ok, events => { set => 'system', names => [ 'App Launched' ] } },
	'events.names', qr/selected only/);
wrong({ @ok, events => { set => 'selected' } }, 'events.names',
	qr/required/);
wrong({ @ok, events => { set => 'selected', names => [] } },
	'events.names', qr/at least one/);
wrong({ @ok, events => { set => 'selected', names => 'App Launched' } },
	'events.names', qr/array/);
wrong({ @ok, events => { set => 'selected', names => [ 'App Launched',
	'Charged', 'app launched', 5 ] } }, 'events.names[1]', qr/catalog/,
	'events.names[2]', qr/catalog/, 'events.names[3]', qr/string/);
wrong({ @ok, events => { set => 'all' } }, 'events.set',
	qr/ctseg_custom_events on/);
wrong({ @ok, events => { set => 'system', colour => 1 } }, 'events.colour',
	qr/not a known/);
wrong({ @ok, partner_id => $eu }, 'partner_id',
	qr/"eu", .*no ctseg_segment/);
wrong({ @ok, partner_id => 'f' x 20 }, 'partner_id', qr/no partner/);
wrong({ @ok, partner_id => 'x/../y' }, 'partner_id', qr/no partner/);
wrong({ @ok, partner_id => '' }, 'partner_id', qr/id of a partner/);
wrong({ @ok, partner_id => 5 }, 'partner_id', qr/string/);
wrong({ @ok[2, 3] }, 'partner_id', qr/required/);
wrong({ partner_id => $us }, 'frequency', qr/required/);
wrong({ @ok, frequency => 'one_time' }, 'frequency', qr/object/);
wrong({ @ok, frequency => {} }, 'frequency.kind', qr/required/);
wrong({ @ok, frequency => { kind => 'daily' } }, 'frequency.kind',
	qr/one_time, recurring or live/);
wrong({ @ok, type => 'user' }, 'type', qr/event or profile/);
wrong({ @ok, format => 'csv' }, 'format', qr/json/);
wrong({ @ok, identifier_priority => [] }, 'identifier_priority', qr/1 to 6/);
wrong({ @ok, identifier_priority => 'email' }, 'identifier_priority',
	qr/array/);
wrong({ @ok, identifier_priority => [ 'email', 'name', 'email', undef ] },
	'identifier_priority[1]', qr/identity/, 'identifier_priority[2]',
	qr/twice/, 'identifier_priority[3]', qr/identity/);
wrong({ @ok, map { $_ => 1 } qw/ id status revision created_at exported_on
	next_run_at last_run progress stop_reason / }, map { ($_,
	qr/read-only/) } qw/ id status revision created_at exported_on
	next_run_at last_run progress stop_reason /);

# all at once: one answer names them all

wrong({ partner_id => 'f' x 20, type => 'x', format => 7, colour => 1,
	events => { set => 'x', more => 1 }, identifier_priority => [ 'x' ],
	frequency => { kind => 'one_time', from => 'x', to => day(2),
	more => 1 } }, partner_id => qr/no partner/, type => qr/event/,
	format => qr/string/, colour => qr/not a known/,
	'events.set' => qr/selected/, 'events.more' => qr/not a known/,
	'identifier_priority[0]' => qr/identity/,
	'frequency.from' => qr/YYYY/, 'frequency.to' => qr/after today/,
	'frequency.more' => qr/not a known/);

is($api->post('/exports', '{"partner_id":')->{status}, 400, 'no JSON');
is($api->post('/exports', { @ok }, { 'Content-Type' => 'text/csv' })
	->{status}, 415, 'another content type');
is($api->get("/exports/$_")->{status}, 404, "no export $_")
	for 'x', 'f' x 20, $us;


# ---- the list ----

my $list = $api->get('/exports?per_page=40')->{json};
my $total = $list->{total};
is($total, scalar @{$list->{items}}, 'what was refused is not there');
is($total, 17, 'what was created is');
my @ids = map { $_->{id} } @{$list->{items}};
is_deeply(\@ids, [ reverse sort @ids ], 'newest first');
my @paged = map { map { $_->{id} } @{$api->get("/exports?per_page=10&page=$_")
	->{json}{items}} } 1 .. 3;
is_deeply(\@paged, \@ids, 'on two pages and an empty one');
is($api->get('/exports?per_page=11')->{status}, 400, 'pages of another size');
is($api->get('/exports?sort=name')->{status}, 400, 'an unknown parameter');
$api->until($_, 'DONE') for @ids;
is_deeply($api->get('/status')->{json}{exports}, { PENDING => 0,
	RUNNING => 0, DONE => $total, STOPPED => 0 },
	'the status counts them');


# ---- profiles ----

# none are collected yet, so there is nothing to send

$api->upload($t->url(1, '/1/upload'), upload_body(10, ts => time));
$r = $api->post('/exports', { @ok, type => 'profile' });
is($r->{status}, 201, 'an export of profiles');
is($r->{json}{type}, 'profile', '... is one');
ok(!exists $r->{json}{events}, '... without a choice of events');
my $profiles = $api->until($r->{json}{id}, 'DONE');
is_deeply([ @{$profiles->{last_run}}{qw/ scanned sent filtered / } ],
	[ 10, 0, 10 ], 'and no event goes out by it');
is_deeply([ map { $_->{id} } @{$api->get('/exports?type=profile')
	->{json}{items}} ], [ $profiles->{id} ], 'the list tells it apart');
wrong({ @ok, type => 'profile', events => { set => 'system' } },
	'events', qr/type profile/);
wrong({ partner_id => $us, type => 'profile', frequency => {
	kind => 'recurring', every_hours => 4 } },
	'frequency.every_hours', qr/24 with the type profile/);
$r = $api->post('/exports', { partner_id => $us, type => 'profile',
	frequency => { kind => 'recurring', every_hours => 24 } });
is($r->{status}, 201, 'once a day');
$api->until($r->{json}{id}, 'PENDING');
is($api->patch("/exports/$r->{json}{id}", { type => 'event' })->{status},
	409, 'it does not become one of events');
is($api->patch("/exports/$r->{json}{id}", { frequency => {
	kind => 'recurring', every_hours => 12 } })->{status}, 422,
	'nor twice a day');
is($api->post("/exports/$r->{json}{id}/stop")->{status}, 200, 'a stop');


# ---- runs and a stop ----

$api->upload($t->url(1, '/1/upload'), upload_body(10, ts => time));
$s->default(hold => 1);
my $id = $api->export($us);
wait_for { $s->stats->{held} == 1 } 10, 'a run at work';
is($api->get('/status')->{json}{exports}{RUNNING}, 1, 'one is running');
is_deeply([ @{$api->get('/status')->{json}{sequence}}{qw/ first last / } ],
	[ 1, 20 ], 'over twenty events');

my $list_of_runs = $api->get("/exports/$id/runs")->{json};
is_deeply([ @{$list_of_runs}{qw/ page per_page total pages / } ],
	[ 1, 20, 1, 1 ], 'a list of runs');
is($list_of_runs->{items}[0]{status}, 'running', 'with the run');
is_deeply($api->get("/exports/$id/runs/1")->{json},
	$list_of_runs->{items}[0], 'which can be got alone');
is($api->get("/exports/$id/runs/$_")->{status}, 404, "no run $_")
	for 0, 2, -1, 'x', '99999999999999999999';
is($api->get('/exports/x/runs')->{status}, 404, 'no runs of no export');
is($api->get("/exports/$id/runs?page=2")->{json}{total}, 1,
	'a page past the end');

is($api->post("/exports/$id/stop", undef, { 'If-Match' => '"7"' })->{status},
	412, 'a stop of another revision');
$r = $api->post("/exports/$id/stop");
is_deeply([ $r->{status}, @{$r->{json}}{qw/ id status stop_reason revision
	/ } ], [ 200, $id, 'STOPPED', 'user', 1 ], 'a stop');
$r = $api->post("/exports/$id/stop");
is("$r->{status} $r->{headers}{'content-type'}",
	'409 application/problem+json', 'a second one');
like($r->{json}{detail}, qr/PENDING or RUNNING.*STOPPED/, 'says the rule');
$r = $api->post("/exports/$ids[0]/stop");
like("$r->{status} $r->{json}{detail}", qr/^409 .*DONE/,
	'what is done cannot be stopped');
is($api->post('/exports/x/stop')->{status}, 404, 'nor what is not there');
$s->default();
$s->release;
$api->run_ended($id);
is($api->show($id)->{status}, 'STOPPED', 'stopped it stays');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');

$t->finish;
done_testing;


# ---- helpers ----

sub one {
	return { partner_id => $us, frequency => { kind => 'one_time', @_ } };
}

# n days from today, or from a day

sub day {
	my ($n, $from) = @_;
	my ($year, $month, $mday) = split /-/, $from // $today;
	return strftime('%Y-%m-%d', gmtime(timegm(0, 0, 12, $mday,
		$month - 1, $year) + $n * 86400));
}

sub instant {
	my ($year, $month, $mday, $h, $min, $sec) = split /[-T:.Z]/, $_[0];
	return timegm($sec, $min, $h, $mday, $month - 1, $year);
}

# a creation is refused, and these are the fields, and no others

sub wrong {
	my ($body, %want) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $a = $api->post('/exports', $body);
	my %got;
	push @{$got{$_->{field}}}, $_->{message}
		for @{$a->{json}{errors} || []};
	my $ok = $a->{status} == 422 && $a->{headers}{'content-type'}
		eq 'application/problem+json';
	for my $field (keys %want) {
		my $texts = delete $got{$field} || [];
		$ok = 0 unless @$texts == 1 && $texts->[0] =~ $want{$field};
	}
	ok($ok && !%got, 'refused: ' . join ', ', sort keys %want)
		or diag(json_encode($body) . "\n$a->{status} $a->{body}");
	return;
}
