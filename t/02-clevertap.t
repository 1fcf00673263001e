#!/usr/bin/env perl

# The mock of CleverTap's Get Events API: tests of imports are worth what it
# notices, and what it can do to a client.  A small client of this file's own
# walks through its pages as the API's documentation says, and then breaks each
# rule in turn.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use IO::Uncompress::Gunzip ();
use Test::More;

use Ctseg::CleverTap qw/ pulled /;
use Ctseg::Client qw/ http json_decode json_encode wait_for /;

my $dir = File::Temp::tempdir('ctseg-mock-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $ct = Ctseg::CleverTap->new(dir => $dir, accounts => { A => 'secret-a',
	B => 'secret-b' });
my $name = 'Product Viewed';
my $path = '/1/events.json?batch_size=5000&app=true&events=false'
	. '&profile=false';

$ct->add($name, [ map { pulled(n => $_, ts => "202601020304$_") } 10 .. 16 ]);
$ct->add($name, [ pulled(n => 17, ts => 20260104000000) ]);


# ---- a walk ----

my $a = opened();
is($a->{status}, 200, 'a walk is opened');
is($a->{json}{status}, 'success', '... with success');
cmp_ok(length $a->{json}{cursor}, '>', 2048, '... and a cursor above 2 KB');
like($a->{json}{cursor}, qr/%2B.*%2F|%2F.*%2B/, '... that is encoded');

my $first = $a->{json}{cursor};
my $p = page($first);
is_deeply([ n($p) ], [ 10 .. 16 ], 'all records of these days are a page');
ok(!exists $p->{json}{next_cursor}, '... which is the last one');
is_deeply([ $ct->violations ], [], 'nobody did wrong');
is_deeply([ $ct->trail ], [ 'Product Viewed 20260101-20260103', 1 ],
	'the trail of it');

$ct->set(page => 3);
is_deeply([ walk() ], [ [ 10 .. 12 ], [ 13 .. 15 ], [ 16 ] ], 'in pages');
is_deeply([ walk(to => 20260104) ], [ [ 10 .. 12 ], [ 13 .. 15 ], [ 16, 17 ]
	], 'days are inclusive');
is_deeply([ walk(from => 20260102, to => 20260102) ], [ [ 10 .. 12 ],
	[ 13 .. 15 ], [ 16 ] ], '... on both sides');
is_deeply([ walk(from => 20260103, to => 20260103) ], [ [] ],
	'a day without any');
is_deeply([ walk(name => 'productVIEWED') ], [ walk() ],
	'names are the same whatever their case and spaces');
is_deeply([ walk(name => 'Other') ], [ [] ], 'one that nobody knows');
is_deeply([ walk(account => 'B') ], [ [] ], 'accounts have their own');
is_deeply([ walk(to => 20260104, path => $path =~ s/5000/2/r) ], [ [ 10, 11 ],
	[ 12, 13 ], [ 14, 15 ], [ 16, 17 ] ], 'smaller pages when asked for');

for my $style (qw/ partial null empty /) {
	$ct->set(style => $style);
	is_deeply([ walk() ], [ [ 10 .. 12 ], [ 13 .. 15 ], [ 16 ] ],
		"the same with the end as $style");
}
$ct->set(style => 'partial');
$p = page(opened()->{json}{cursor});
ok($p->{json}{status} eq 'partial' && $p->{json}{cursor}
	&& !$p->{json}{next_cursor}, 'partial has a cursor and no next one');
$ct->set(style => 'next_cursor', blank => 1);
is_deeply([ walk() ], [ [], [ 10 .. 12 ], [ 13 .. 15 ], [ 16 ] ],
	'a page may be empty and not the last');
$ct->set(blank => 0, busy => 2);
is_deeply([ walk() ], [ 'busy', 'busy', [ 10 .. 12 ], 'busy', 'busy',
	[ 13 .. 15 ], 'busy', 'busy', [ 16 ] ], 'busy before each page');
$ct->set(busy => 0);

my $cursor = opened()->{json}{cursor};
is(page($cursor)->{body}, page($cursor)->{body},
	'the same cursor gives the same page');
my $next = page($cursor)->{json}{next_cursor};
$ct->stop;
$ct->start->set(page => 3);
is_deeply([ n(page($next)) ], [ 13 .. 15 ], 'also after a restart');

$ct->add($name, [ '{"ts":0}', pulled(n => 2, who => 'none',
	ts => 20260201000000) ], account => 'B', day => 20260201);
is_deeply([ walk(account => 'B', from => 20260201, to => 20260201) ],
	[ [ undef, 2 ] ], 'broken records pass as they are');
is_deeply([ $ct->violations ], [], 'all of this was within the rules');


# ---- a record ----

is_deeply(json_decode(pulled(n => 5, ts => 20260102030405, who => 'all',
	props => '"x":[]', session => '"s":1', profile => '"Name":"N"',
	items => '[{"Items|name":"i"}]')), { profile => {
	objectId => '_o5', identity => 'u5', email => 'u5@example.com',
	phone => '+15550000005', all_identities => [ 'u5', 'u5@example.com' ],
	name => 'User 5', platform => 'Android', app_version => '4.2',
	make => 'Acme', model => 'X 1', os_version => '14',
	profileData => { Name => 'N' } }, ts => 20260102030405,
	event_props => { n => 5, x => [] }, session_props => { s => 1 },
	items => [ { 'Items|name' => 'i' } ] }, 'a record with all there is');
is(pulled(who => 'phone', ts => '"x"'),
	'{"profile":{"phone":"+15550000000"},"ts":"x"}', 'one with little');


# ---- what it answers ----

is(opened(passcode => 'wrong')->{status}, 401, 'a wrong passcode');
is(opened(account => 'C')->{json}{status}, 'fail', 'no such account');
$ct->set(forbidden => [ 'Notification Sent' ]);
$a = opened(name => 'notification sent');
is("$a->{status} $a->{json}{error}", '400 Export not allowed for this event',
	'a name that is not for export');

$cursor = opened()->{json}{cursor};
for my $case ([ 'busy', 200, 2 ], [ 'throttled', 429, 429 ],
	[ 'throttled_code', 200, 429 ], [ 'refused', 400, 400 ],
	[ 'denied', 401, 401 ], [ 'expired', 400, 400 ])
{
	my ($as, $status, $code) = @$case;
	$ct->script({ as => $as, headers => { 'Retry-After' => 7 } });
	$a = page($cursor);
	is_deeply([ @$a{qw/ status /}, @{$a->{json}}{qw/ status code /} ],
		[ $status, 'fail', $code ], "as $as");
	is($a->{headers}{'retry-after'}, 7, '... with a header');
}
$ct->script({ as => 'junk' }, { as => 'repeat' }, { status => 503 });
ok(!defined page($cursor)->{json}, 'as junk');
$a = page($cursor);
is($a->{json}{next_cursor}, $cursor, 'a cursor that repeats');
is_deeply([ n($a) ], [ 10 .. 12 ], '... with its page');
is(page($cursor)->{status}, 503, 'a server that failed');

$ct->rules({ when => { page => 2, event => $name }, times => 1, status => 500,
	what => 'ill' }, { when => { method => 'POST', account => 'B' },
	status => 502 });
is_deeply([ walk() ], [ [ 10 .. 12 ], 500, [ 13 .. 15 ], [ 16 ] ],
	'a rule for a page');
is((grep { ($_->{what} // '') eq 'ill' } $ct->requests)[0]{page}, 2,
	'... which is on record');
is(opened(account => 'B')->{status}, 502, 'a rule for an account');
$ct->rules;

$cursor = opened()->{json}{cursor};
$ct->script({ close => 'before', rst => 1 }, { close => 'mid_body' });
eval { page($cursor) };
like($@, qr/before the answer/, 'a reset');
eval { page($cursor) };
like($@, qr/in the answer/, 'an answer that is cut');
is_deeply([ n(page($cursor)) ], [ 10 .. 12 ], 'and then the page');

$ct->expire;
is_deeply([ @{page($cursor)->{json}}{qw/ status error /} ], [ 'fail',
	'Invalid cursor' ], 'a cursor that is not known any more');
is_deeply([ walk() ], [ [ 10 .. 12 ], [ 13 .. 15 ], [ 16 ] ],
	'... a new walk is');

$ct->set(gzip => 1);
ok(!defined opened()->{headers}{'content-encoding'}, 'plain unless accepted');
$a = opened(accept => 'deflate, gzip');
is($a->{headers}{'content-encoding'}, 'gzip', 'packed when it is');
IO::Uncompress::Gunzip::gunzip(\$a->{body}, \my $plain);
ok(json_decode($plain)->{cursor}, '... the same');
$ct->set(gzip => 0);
is_deeply([ $ct->violations ], [], 'and the client did nothing wrong');


# ---- what it takes ill ----

my $seen = 0;

opened(path => $path =~ s/5000/5001/r);
noticed('pages that are too large', qr/batch_size is 5001/);
opened(path => "$path&x=1");
noticed('an unknown argument', qr/unknown x in the query/);
is(opened(from => 20260231)->{status}, 400, 'no such day');
noticed('it', qr/no days 20260231/);
opened(from => 20260104);
noticed('days that are reversed', qr/no days 20260104 to 20260103/);
opened(from => '"20260101"');
noticed('a day that is text', qr/dates are no integers/);
opened(name => '');
noticed('no name', qr/no event_name/);
opened(type => 'text/plain');
noticed('another content type', qr{content type is text/plain});
http('GET', $ct->url('/1/profile.json'));
noticed('another path', qr{unexpected GET /1/profile.json});
http('GET', $ct->url("/1/events.json?cursor=$first"));
noticed('no headers', qr/no X-CleverTap-|another account/);

my $old = opened()->{json}{cursor};
$next = page($old)->{json}{next_cursor};
page($next);
page($old);
noticed('a way back', qr/page 1 after page 2/);
my $other = opened()->{json}{cursor};
page($other);
is(@{[ news() ]}, 0, 'a new walk is fine');
page($next);
noticed('... but not to go on with the old one', qr/goes on after/);
page($other =~ s/%/%25/gr);
noticed('a cursor that is encoded twice', qr/encoded twice/);
page($other =~ s/%2B/+/gr);
noticed('one that is not encoded', qr/never given/);
page('x' x 3000);
noticed('one of its own', qr/never given/);
page($other, account => 'B');
noticed('one of somebody else', qr/another account/);

$ct->script({ hold => 1 });
my $c = Ctseg::Client->new($ct->port)->connect;
$c->send_bytes(Ctseg::Client::format_request($ct->port, 'GET',
	"/1/events.json?cursor=$other", { headers() }));
wait_for { $ct->stats->{held} } 10, 'a held answer';
opened(account => 'B');
is(@{[ news() ]}, 0, 'two accounts at a time');
page($other);
noticed('two requests of one', qr/another request of the account/);
$ct->release;
is_deeply([ n($c->read_answer) ], [ 10 .. 12 ], 'the held one arrives');
page($other);
is(@{[ news() ]}, 0, 'and then there is room');

done_testing;


# ---- the client ----

sub headers {
	my (%o) = @_;
	my $account = $o{account} // 'A';
	return ('X-CleverTap-Account-Id' => $account,
		'X-CleverTap-Passcode' => $o{passcode} // 'secret-'
			. lc $account,
		'Content-Type' => $o{type}
			// 'application/json; charset=utf-8',
		'Accept-Encoding' => $o{accept});
}

sub opened {
	my (%o) = @_;
	return http('POST', $ct->url($o{path} // $path), { headers(%o) },
		'{"event_name":' . json_encode($o{name} // $name)
		. ',"from":' . ($o{from} // 20260101) . ',"to":'
		. ($o{to} // 20260103) . '}');
}

sub page {
	my ($cursor, %o) = @_;
	return http('GET', $ct->url("/1/events.json?cursor=$cursor"),
		{ headers(%o) });
}

sub n {
	my ($page) = @_;
	return map { $_->{event_props}{n} } @{$page->{json}{records}};
}

# all pages: the numbers of each, or how it failed

sub walk {
	my (%o) = @_;
	my $cursor = opened(%o)->{json}{cursor};
	my @pages;
	while (defined $cursor && length $cursor) {
		my $a = page($cursor, %o);
		if ($a->{status} != 200) {
			push @pages, $a->{status};
			next;
		}
		if ($a->{json}{status} eq 'fail') {
			push @pages, 'busy';
			next;
		}
		push @pages, [ n($a) ];
		$cursor = $a->{json}{next_cursor} // $a->{json}{cursor};
	}
	return @pages;
}

# violations that were not told yet

sub news {
	my @all = $ct->violations;
	return splice @all, $seen;
}

sub noticed {
	my ($what, $re) = @_;
	my @new = news();
	$seen += @new;
	ok(@new && !grep({ !/$re/ } @new), "$what: noticed")
		or diag(join "\n", @new ? @new : 'nothing');
	return;
}
