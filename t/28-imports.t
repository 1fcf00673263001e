#!/usr/bin/env perl

# History is pulled from CleverTap: names of events and days of the account go
# in, and what comes out at Segment's side is each record once, by whom, when
# and with what it was.  The same history again adds nothing, and what was
# uploaded before is known, but only as often as it was: two events that are
# equal in all stay two.  It could be fooled by a log that drops what looks
# alike, so each such story has an event beside it that differs in one thing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ http http_json json_encode wait_for /;
use Ctseg::CleverTap qw/ pulled /;
use Ctseg::Pulls;

my ($t, $ct, $s, $api) = pulls(workers => 2);


# ---- two names, three days, one of which has an hour twice ----

my @inside = (
	pulled(n => 1, ts => 20261031000000, who => 'all'),
	pulled(n => 2, ts => 20261031235959, who => 'objectId'),
	pulled(n => 3, ts => 20261101003000, who => 'email'),
	pulled(n => 4, ts => 20261101013000),
	pulled(n => 5, ts => 20261101020000, who => 'phone'),
	pulled(n => 6, ts => 20261102235959, session => '"utm_source":"x"'),
	pulled(n => 7, ts => 20261102120000, props =>
		'"text":"\u00e9 \" \u20ac"'),
	(pulled(n => 8, ts => 20261102120000)) x 2,
);
$ct->set(page => 2)->add('Product Viewed', [
	pulled(n => 90, ts => 20261030235959), @inside,
	pulled(n => 91, ts => 20261103000000) ]);
$ct->add('Charged', [ pulled(n => 10, ts => 20261101120000, props =>
	'"Amount":5', items => '[{"Items|name":"a"},{"Items|name":"b"}]'),
	map { pulled(n => $_, ts => 20261101120000) } 11 .. 13 ]);

my $a = $api->post('/imports', { events => [ 'Product Viewed', 'Charged' ],
	from => '2026-10-31', to => '2026-11-02' });
is($a->{status}, 201, 'an import is taken');
is($a->{json}{status}, 'PENDING', '... and waits');
my $id = $a->{json}{id};
my $im = finished($id);
is_deeply(progress($im), { received => 13, stored => 13, known => 0,
	refused => 0 }, 'all records were stored');
is($im->{progress}{percent}, 100, '... of all days');
is_deeply([ @$im{qw/ forbidden_events errors last_error stop_reason / } ],
	[ [], [], undef, undef ], '... and nothing went wrong');
is_deeply(covered('Product Viewed'), { 20261031 => 1, 20261101 => 1,
	20261102 => 1 }, 'each day was asked for once');
is_deeply(covered('Charged'), covered('Product Viewed'), '... of each name');
is_deeply([ map { $_->{id} } @{$api->get('/imports')->{json}{items}} ],
	[ $id ], 'it is in the list');

my $n = exported();
my $all = { (map { $_ => 1 } 1 .. 7, 10 .. 13), 8 => 2 };
is_deeply({ map { $_ => scalar @{$n->{$_}} } keys %$n }, $all,
	'all are at Segment, those that are equal twice');
is($n->{1}[0]{event}, 'Product Viewed', 'by their name');
is_deeply([ map { $n->{$_}[0]{timestamp} } 1 .. 6 ], [
	'2026-10-31T04:00:00.000Z', '2026-11-01T03:59:59.000Z',
	'2026-11-01T04:30:00.000Z', '2026-11-01T05:30:00.000Z',
	'2026-11-01T07:00:00.000Z', '2026-11-03T04:59:59.000Z' ],
	'at their time in the account zone, before and after it is set back');
is_deeply([ @{$n->{1}[0]}{qw/ userId anonymousId / } ], [ 'u1', '_o1' ],
	'with both ids');
is_deeply([ map { $n->{$_}[0]{userId} // $n->{$_}[0]{anonymousId} } 2, 3, 5 ],
	[ '_o2', 'u3@example.com', '+15550000005' ], '... or with the one');
is($n->{6}[0]{properties}{utm_source}, 'x', 'what the session says, too');
is($n->{7}[0]{properties}{text}, "\x{e9} \" \x{20ac}", 'text as it was');
is($n->{10}[0]{properties}{Amount}, 5, 'Charged');
like(json_encode($n->{10}[0]{properties}), qr/"a".*"b"/, '... with items');


# ---- the same again ----

$im = finished(pull([ 'Product Viewed', 'Charged' ]));
is_deeply(progress($im), { received => 13, stored => 0, known => 13,
	refused => 0 }, 'the same history is known');
is_deeply(numbers(), $all, '... and stored once');
$im = finished(pull('charged', from => '2026-11-01', to => '2026-11-01'));
is($im->{progress}{known}, 4, '... in another spelling, of one day');


# ---- what was uploaded before ----

# 20261101120000 is 1793552400, 20261031120000 is 1793462400

upload(map { event($_) } 21, 22, 22, 23, 24);
upload(event(25, 'Uploaded', '"x":1'), event(26, 'Uploaded', '"x":1'));
$ct->add('Uploaded', [ (map { record($_) } 21, 22, 23, 23, 24), record(25,
	'"x":2'), record(26, '"CT Source":"API","x":1.0') ]);
$im = finished(pull('Uploaded'));
is_deeply(progress($im), { received => 7, stored => 2, known => 5,
	refused => 0 }, 'what was uploaded is known');
is_deeply(some(21 .. 26), { 21 => 1, 22 => 2, 23 => 2, 24 => 1, 25 => 2,
	26 => 1 }, '... as often as it was, and only what is the same');

is(http('PUT', $t->url(1, '/files/x'), {}, join "\n", 'From File', map {
	"{\"profile\":{\"identity\":\"u$_\"},\"ts\":20261101120000,"
	. "\"eventProps\":{\"n\":$_}}" } 31 .. 33)->{json}{processed}, 3,
	'an export file');
$ct->add('From File', [ map { record($_) } 31 .. 34 ]);
$im = finished(pull('From File'));
is_deeply(progress($im), { received => 4, stored => 1, known => 3,
	refused => 0 }, '... is known as well');
is_deeply(some(31 .. 34), { map { $_ => 1 } 31 .. 34 }, '... each once');


# ---- what is wrong ----

$ct->set(page => 4, forbidden => [ 'Notification Sent' ]);
$ct->add('Mixed', [ record(41), pulled(n => 42, who => 'none',
	ts => 20261101120000), record(43), '{"profile":{"identity":"u44"},'
	. '"ts":20261101250000}', '7', record(45), '{}' ], day => 20261101);
$im = finished(pull([ 'Notification Sent', 'Mixed' ]));
is_deeply($im->{forbidden_events}, [ 'Notification Sent' ],
	'a name that CleverTap does not export is told');
is_deeply(progress($im), { received => 7, stored => 3, known => 0,
	refused => 4 }, '... and the rest is imported');
is_deeply([ map { [ @$_{qw/ record code / } ] } @{$im->{errors}} ],
	[ [ 2, 523 ], [ 4, 525 ], [ 1, 512 ], [ 3, 523 ] ],
	'records that are none are told by their number in the page');
is_deeply(some(41 .. 45), { 41 => 1, 43 => 1, 45 => 1 },
	'... and nothing else is lost');

$ct->set(accounts => { 'TEST-ACC-1' => 'another-one' });
$im = finished(pull('Mixed'), 'STOPPED');
is($im->{stop_reason}, 'errors', 'a passcode that is not taken any more');
is($im->{last_error}{status}, 401, '... is told');
$ct->set(accounts => { 'TEST-ACC-1' => 'pass-of-acc-1' });


# ---- stop ----

$ct->rules({ when => { event => 'Product Viewed', page => 2 }, hold => 1 });
$id = pull('Product Viewed');
wait_for { $ct->stats->{held} } 20, 'a held page';
$a = $api->post("/imports/$id/stop");
is($a->{status}, 200, 'an import is stopped');
is($a->{json}{status}, 'STOPPED', '... at once');
is($api->post("/imports/$id/stop")->{status}, 409, '... and not again');
wait_for { !grep { ($_->{page} // 0) == 2 && !defined $_->{status} }
	$ct->requests } 20, 'the end of its request';
my $before = $ct->stats->{requests};
$ct->rules;
$ct->release;

# another one of the account begins when nothing of the first one is left

is(finished(pull('Charged'))->{status}, 'DONE', 'the next one is done');
is_deeply([ grep { $_->{n} > $before && ($_->{event} // '') ne 'Charged' }
	$ct->requests ], [], '... and nobody goes on with the first');
is(show($id)->{stop_reason}, 'user', '... which says why');


# ---- profiles ----

$ct->add('Seen', [ pulled(n => 51, ts => 20261101120000, who => 'all',
	profile => '"Name":"First","Plan":"free"'), pulled(n => 51,
	ts => 20261101130000, who => 'all', profile =>
	'"Name":"Last","Plan":"gold"') ]);
$im = finished(pull('Seen', profiles => JSON::PP::true));
is($im->{progress}{stored}, 2, 'events');
cmp_ok($im->{progress}{profiles}, '>=', 1, '... and what is said of people');
my $who = exported(type => 'profile', frequency => { kind => 'one_time',
	range => 'last_7_days' });
is($who->{u51}[-1]{traits}{Plan}, 'gold', 'the last of it is at Segment');


# ---- the whole ----

like(join(' ', secrets('TEST-ACC-1')), qr{/store/}, 'the account is known');
is_deeply([ secrets('pass-of-acc-1', 'another-one') ], [],
	'the passcode is in no log and not in the store');
unlike(json_encode($api->get('/imports')->{json}), qr/pass-of/,
	'... nor in an answer');
is_deeply([ $ct->violations ], [], 'CleverTap has nothing to complain of');
is_deeply([ $s->violations ], [], '... nor Segment');
is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
done_testing;


# ---- helpers ----

# an event of an upload, and the same as CleverTap tells it later

sub event {
	my ($n, $name, $props) = @_;
	return "{\"identity\":\"u$n\",\"ts\":1793552400,\"type\":\"event\","
		. '"evtName":"' . ($name // 'Uploaded') . "\",\"evtData\":{"
		. "\"n\":$n" . (defined $props ? ",$props" : '') . '}}';
}

sub record {
	my ($n, $props) = @_;
	return pulled(n => $n, ts => 20261101120000, who => 'all',
		props => $props);
}

sub upload {
	$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', @_) . ']}');
	return;
}

# those numbers, of what is at Segment

sub some {
	my $n = numbers();
	return { map { $_ => $n->{$_} } grep { $n->{$_} } @_ };
}

# day => how many walks were for it

sub covered {
	my ($name) = @_;
	my %day;
	for my $r (grep { defined $_->{page} && !$_->{page}
		&& $_->{event} eq $name } $ct->requests)
	{
		$day{$_}++ for grep { $_ >= $r->{from} && $_ <= $r->{to} }
			20261030 .. 20261031, 20261101 .. 20261103;
	}
	return \%day;
}
