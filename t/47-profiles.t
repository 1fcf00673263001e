#!/usr/bin/env perl

# Exports of profiles: uploads of events and of profiles, mixed, become
# identify messages for an export of profiles and track messages for one of
# events, and neither sends what is the other's.  The stories: one time, with
# the traits that are documented, to the byte; the preview shows what is sent;
# live; every 24 hours, what has changed since the run before; and profiles
# that Segment refuses, which are found by halving.
# What could fool it: an update that was put together with another one, so the
# updates of a profile lie next to each other as well as apart; and what other
# exports send, so each has a key of its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http parallel_posts wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
$clock->set('2026-11-23T10:00:00Z');
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%% reuseport;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $now = int $clock->now;
my $iso = Ctseg::Clock::iso($now);
my (%key, $day);

sub upload {
	my @records = @_;
	my ($r) = parallel_posts($t->port(1), '/1/upload',
		[ '{"d":[' . join(',', @records) . ']}' ]);
	is($r->{status}, 200, scalar(@records) . ' records');
}

sub profile {
	my ($who, $data) = @_;
	return "{\"type\":\"profile\",$who,\"ts\":$now,"
		. "\"profileData\":{$data}}";
}

sub partner {
	my ($name) = @_;
	my $r = $api->post('/partners', { nickname => $name,
		write_key => $key{$name} = "key-$name" });
	is($r->{status}, 201, "a partner $name");
	return $r->{json}{id};
}

sub create {
	my ($name, %more) = @_;
	my $r = $api->post('/exports', { partner_id => partner($name),
		type => 'profile', %more });
	is($r->{status}, 201, "an export $name") or diag $r->{body};
	return $r->{json};
}

# the messages for a key as text, without their messageIds; what is sent again
# after a 400 was not taken the first time

sub sent {
	my ($name) = @_;
	my @messages;
	for my $r ($s->requests) {
		next unless ($r->{status} // 0) == 200;
		my $body = $s->body($r);
		next unless $body =~ s/^\{"writeKey":"\Q$key{$name}\E",//;
		$body =~ s/^"batch":\[(.*)\],"context":.*$/$1/s or die $body;
		$body =~ s/"messageId":"[^"]*",//g;
		push @messages, split /(?<=\}),(?=\{"type")/, $body;
	}
	return @messages;
}

sub identify {
	my ($who, $traits) = @_;
	return "{\"type\":\"identify\",$who,\"timestamp\":\"$iso\","
		. "\"traits\":{$traits}}";
}

sub ended {
	my ($number) = @_;
	my $last;
	wait_for {
		$last = $api->show($day->{id})->{last_run};
		$last && $last->{number} == $number
			&& $last->{status} eq 'succeeded';
	} 20, "the end of run $number";
	return $last;
}

my $today = { kind => 'one_time', range => 'today' };


# ---- one time ----

upload(record(n => 1, ts => $now),
	profile('"identity":"ann"', '"Name":"Ann","EMAIL":"ann@example.com",'
		. '"DOB":"$D_631152000","Photo":"https://x/\u00e9.png",'
		. '"plan":"free","big":12345678901234567890'),
	record(n => 2, ts => $now),
	profile('"identity":"bob","objectId":"d-1","email":"bob@example.com",'
		. '"phone":"+15550100"', '"tags":{"$set":["a","b"]},'
		. '"old":{"$delete":1},"score":{"$incr":5}'),
	profile('"objectId":"d-2"', '"tags":{"$add":["c"]}'),
	profile('"identity":"ann"', '"plan":"gold","dob":{"$delete":1}'));

# an update of its own block

upload(profile('"identity":"ann"', '"n":3,"likes":["x",1,null]'));

my $preview = $api->post('/exports/preview', { partner_id => partner('shown'),
	type => 'profile', frequency => $today });
is($preview->{status}, 200, 'a preview') or diag $preview->{body};

my $one = create('once', frequency => $today);
my $done = $api->until($one->{id}, 'DONE');

my @expected = (
	identify('"userId":"bob","anonymousId":"d-1"', '"tags":["a","b"],'
		. '"old":null,"email":"bob@example.com",'
		. '"phone":"+15550100"'),
	identify('"anonymousId":"d-2"', ''),
	identify('"userId":"ann"', '"name":"Ann","email":"ann@example.com",'
		. '"birthday":null,"avatar":"https://x/\u00e9.png",'
		. '"plan":"gold","big":12345678901234567890,"n":3,'
		. '"likes":["x",1,null]'));

is_deeply([ sent('once') ], \@expected, 'profiles as documented');
is_deeply([ @{$done->{last_run}}{qw/ scanned sent filtered rejected
	waiting /} ], [ 7, 3, 4, 0, 0 ], '... and every record counted once');

my ($shown) = $preview->{body} =~ /"messages":\[(.*)\]\}$/s;
$shown =~ s/"messageId":"[^"]*",//g;
is($shown, join(',', @expected), 'the preview showed them as they are');
is($preview->{json}{sent}, 3, '... and how many');


# ---- an export of events ----

create('events', type => 'event', frequency => $today,
	events => { set => 'system' });
wait_for { sent('events') == 2 } 10, 'the events';
is(scalar(grep { /"type":"track"/ } sent('events')), 2,
	'an export of events sends events');
is(scalar(grep { /identify|ann/ } sent('events')), 0, '... and no profile');


# ---- live, and every 24 hours ----

my $live = create('live', frequency => { kind => 'live' });
wait_for { $api->show($live->{id})->{status} eq 'RUNNING' } 10, 'RUNNING';

$day = create('daily', frequency => { kind => 'recurring',
	every_hours => 24 });
ended(1);
my $before = sent('daily');

upload(profile('"identity":"cy"', '"a":1'), record(n => 9, ts => $now));
wait_for { sent('live') == 1 } 10, 'a live profile';
upload(profile('"identity":"cy"', '"a":2'));
wait_for { sent('live') == 2 } 10, 'its update';
is_deeply([ sent('live') ], [ identify('"userId":"cy"', '"a":1'),
	identify('"userId":"cy"', '"a":2') ], 'live, each as it comes');

my $waits = sent('daily');
is($waits, $before, 'the daily one waits for its day');
$clock->advance(24 * 3600 + 60);
my $run = ended(2);
is($run->{sent}, 1, '... is sent');
is_deeply([ (sent('daily'))[$before .. sent('daily') - 1] ],
	[ identify('"userId":"cy"', '"a":2') ],
	'the next day it sends what has changed, once and at its latest');


# ---- one batch after the other ----

# an older state that is sent once more must not come behind a newer one: the
# next batch waits for the first, which fails at first

for my $part (1 .. 4) {
	upload(map { profile("\"identity\":\"o$part-$_\"", '"a":1') }
		1 .. 900);
}
$s->rules({ when => { write_key => 'key-order' }, times => 1,
	status => 500 });
my $order = create('order', frequency => { kind => 'recurring',
	every_hours => 24 });
wait_for { my $x = $api->show($order->{id})->{last_run};
	$x && $x->{status} eq 'succeeded' } 30, 'the end of a run';
my @order = grep { $_->{write_key} eq 'key-order' } $s->requests;
cmp_ok(scalar @order, '>', 2, 'more than one batch');
is($s->body($order[0]), $s->body($order[1]),
	'the next waits for one that is tried again');
is_deeply([ map { $_->{status} } @order ], [ 500, (200) x $#order ],
	'... and they come in order');


# ---- what is wrong is found ----

# of eight profiles with two updates each, one that Segment does not take: the
# others arrive, in one piece each or in two, and the culprit is kept

$s->rules({ when => { contains => 'poison' }, status => 400 });
upload(map { my $n = $_; map { profile("\"identity\":\"h$n\"",
	"\"k$_\":" . ($n == 3 ? '"poison"' : $n)) } 1, 2 } 1 .. 8);
my $half = create('half', frequency => { kind => 'recurring',
	every_hours => 24 });
my $last = wait_for { my $x = $api->show($half->{id})->{last_run};
	$x && $x->{status} eq 'succeeded' && $x } 20, 'the end of the halving';
is($last->{scanned}, $last->{sent} + $last->{filtered} + $last->{rejected},
	'every update has one verdict');
cmp_ok($last->{rejected}, '>=', 1, '... and the culprit its own');
my $kept = $api->get("/exports/$half->{id}/rejected")->{json};
is(scalar(grep { $_->{message}{userId} ne 'h3'
	|| $_->{message}{type} ne 'identify' } @{$kept->{items}}), 0,
	'nothing else was kept');
cmp_ok($kept->{total}, '==', $last->{rejected}, '... and that was');
my @half = sent('half');
for my $n (1, 2, 4 .. 8) {
	my %got = map { map { $_ => 1 } /"(k[12])":\d/g }
		grep { /"userId":"h$n"/ } @half;
	is_deeply([ sort keys %got ], [ 'k1', 'k2' ], "h$n arrived whole");
}
is(scalar(grep { /poison/ } @half), 0, 'the culprit did not');


is_deeply([ $s->violations ], [], 'Segment found nothing wrong');
$api->post("/exports/$_->{id}/stop") for $live, $day;
is_deeply([ $api->wrong ], [], 'every answer was as the API says');
$t->finish;
done_testing;
