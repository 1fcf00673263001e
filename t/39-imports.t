#!/usr/bin/env perl

# Imports by REST: what may be asked for and what is refused, field by field;
# how they are shown, listed and stopped; that nobody sees a passcode.  Nothing
# listens where CleverTap should be, so no import ends by itself, and whether
# one has begun is left open: what becomes of imports is told by the tests of
# pulls.  What could fool it: a day that depends on the clock, so the clock is
# set; a list that is right because nothing is left out, so some are stopped;
# a record that only the process knows, so nginx is started again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ json_decode /;
use Ctseg::Clock;
use Ctseg::Nginx;
use Ctseg::Source qw/ slurp /;

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'IST-5:30'));

# half past three in the morning of the 12th in the account zone

$clock->set('2026-05-11T22:00:00Z');

my $conf = <<'EOC';

%%GLOBALS%%

thread_pool history threads=2;

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=16m state=16m;
    ctseg_thread_pool  ctseg imports=history;
    %%ACCOUNTS%%

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ctseg/api/ {
            ctseg_api write=on;
            client_max_body_size 256k;
        }

        location /read/ {
            ctseg_api;
        }
    }
}

EOC

my $true = json_decode('true');
my $one = 'ctseg_clevertap ONE-1 one url=http://127.0.0.1:%%PORT_8%%;';
my $two = 'ctseg_clevertap "TWO\"2" two url=http://127.0.0.1:%%PORT_8%%;';
$t->write_file('one', "Sesame-open-1\n");
$t->write_file('two', "Sesame-open-2\n");

my $api;
my %import = (events => [ 'App Launched' ], from => '2026-05-01',
	to => '2026-05-12');


# ---- nobody to import from ----

house('');
is_deeply($api->get('/imports')->{json}, { items => [], page => 1,
	per_page => 20, total => 0, pages => 0 }, 'no imports');
for my $body (\%import, {}) {
	my $a = $api->post('/imports', $body);
	is($a->{status}, 409, 'without an account: 409');
	like($a->{json}{detail}, qr/"ctseg_clevertap"/, '... what is needed');
}
is($api->get('/imports')->{json}{total}, 0, '... and nothing is created');


# ---- one account ----

house($one);
my $a = $api->post('/imports', \%import);
is("$a->{status} $a->{headers}{etag}", '201 "1"', 'created');
my $im = $a->{json};
like($a->{headers}{location}, qr{^/ctseg/api/imports/\Q$im->{id}\E$},
	'somewhere');
is_deeply($im, { %import, id => $im->{id}, account_id => 'ONE-1',
	profiles => json_decode('false'), status => 'PENDING',
	stop_reason => undef, revision => 1, created_at => $im->{created_at},
	started_at => undef, finished_at => undef,
	progress => { event => undef, from => undef, to => undef, page => 0,
		pages => 0, received => 0, stored => 0, known => 0,
		refused => 0, profiles => 0, retries => 0, percent => 0,
		retry_at => undef },
	forbidden_events => [], errors => [], last_error => undef },
	'with this shape');
like($im->{created_at}, qr/^2026-05-11T22:/, '... at an instant');
$a = $api->get("/imports/$im->{id}");
is("$a->{status} $a->{headers}{etag}", '200 "1"', 'shown');
is_deeply([ what($a->{json}) ], [ what($im) ], '... as it was created');
is($api->call('HEAD', "/imports/$im->{id}")->{status}, 200, 'HEAD');

$a = $api->post('/imports', { %import, account_id => 'ONE-1',
	profiles => $true, from => '2016-05-05', events => [
	'app launched', ' Notification  CLICKED',
	"K\x{e4}se \"a\\b\" \x{1f600}", 'x' x 512 ] });
is($a->{status}, 201, 'everything that may be given') or diag $a->{body};
is_deeply($api->get("/imports/$a->{json}{id}")->{json}{events},
	[ 'App Launched', 'Notification Clicked',
	"K\x{e4}se \"a\\b\" \x{1f600}", 'x' x 512 ],
	'names of the catalog get its spelling, others keep theirs');
ok($a->{json}{profiles}, '... with profiles');
is($a->{json}{from}, '2016-05-05', '... 3,660 days');


# ---- wrong fields ----

my @names = map { "name $_" } 0 .. 100;
for my $case (
	[ {}, events => 'is required', from => 'is required',
		to => 'is required' ],
	[ { %import, colour => 1, status => 'DONE', id => 'x',
		progress => {} }, colour => 'is not a known field',
		status => 'is read-only', id => 'is read-only',
		progress => 'is read-only' ],
	[ { %import, events => [] },
		events => 'must be an array of 1 to 100 names of events' ],
	[ { %import, events => \@names },
		events => 'must be an array of 1 to 100 names of events' ],
	[ { %import, events => 'App Launched' },
		events => 'must be an array of 1 to 100 names of events' ],
	[ { %import, events => [ 1, '', '  ', 'x' x 513, "a\tb", 'good',
		'G ood' ] },
		'events[0]' => 'must be a string',
		'events[1]' => 'may not be empty',
		'events[2]' => 'may not be empty',
		'events[3]' => 'may have at most 512 characters',
		'events[4]' => 'may not have control characters',
		'events[6]' => 'occurs twice' ],
	[ { %import, events => [ map { "\x{e4}" x 480 . $_ } 1 .. 40 ] },
		events => 'the names may have at most 32768 bytes together' ],
	[ { %import, from => '2026-02-30', to => 'yesterday' },
		from => 'must be an existing day, written YYYY-MM-DD',
		to => 'must be an existing day, written YYYY-MM-DD' ],
	[ { %import, from => 20260501 }, from => 'must be a string' ],
	[ { %import, to => '2026-05-13' }, to => 'may not lie after today' ],
	[ { %import, to => '2026-04-30' }, from => 'may not lie after to' ],
	[ { %import, from => '2016-05-04' }, from => 'may lie so far back '
		. 'that there are at most 3660 days' ],
	[ { %import, account_id => 'NO' }, account_id => 'names no account of '
		. 'a ctseg_clevertap in nginx.conf' ],
	[ { %import, account_id => 1 }, account_id => 'must be a string' ],
	[ { %import, profiles => 'true' },
		profiles => 'must be true or false' ],
	)
{
	my ($body, %wrong) = @$case;
	my $a = $api->post('/imports', $body);
	my %got = map { $_->{field} => $_->{message} }
		@{$a->{json}{errors} || []};
	is($a->{status}, 422, 'refused: ' . join ', ', sort keys %wrong);
	is_deeply(\%got, \%wrong, '... each by its field');
}
for my $case ([ 400, '{"events":' ], [ 422, '[]' ], [ 422, '7' ]) {
	is($api->post('/imports', $case->[1])->{status}, $case->[0],
		"$case->[0] for $case->[1]");
}
is($api->get('/imports')->{json}{total}, 2, 'nothing of it is created');


# ---- once ----

my %key = ('Idempotency-Key' => 'once');
my @same = map { $api->post('/imports', \%import, \%key) } 1, 2;
is($same[0]{json}{id}, $same[1]{json}{id}, 'a key creates one import');
is($same[1]{headers}{location}, $same[0]{headers}{location},
	'... and tells where again');
is($api->post('/imports', { %import, from => '2026-05-02' }, \%key)
	->{status}, 422, '... and is for one body');
%key = ('Idempotency-Key' => 'better');
is($api->post('/imports', { %import, to => 'x' }, \%key)->{status}, 422,
	'what is refused');
is($api->post('/imports', \%import, \%key)->{status}, 201,
	'... does not use the key up');


# ---- stopped ----

my $id = $im->{id};
is($api->post("/imports/$id/stop", undef, { 'If-Match' => '"7"' })->{status},
	412, 'a stop of another revision');
isnt($api->get("/imports/$id")->{json}{status}, 'STOPPED',
	'... stops nothing');
$a = $api->post("/imports/$id/stop", undef, { 'If-Match' => '"1"' });
is("$a->{status} $a->{headers}{etag}", '200 "2"', 'stopped');
my $stopped = $a->{json};
is("$stopped->{status} $stopped->{stop_reason} $stopped->{revision}",
	'STOPPED user 2', '... by a user');
like($stopped->{finished_at}, qr/^2026-05-1/, '... at an instant');
is($stopped->{progress}{retry_at}, undef, '... and waits for nothing');
$a = $api->post("/imports/$id/stop");
is("$a->{status} $a->{json}{detail}", '409 only a PENDING or RUNNING import '
	. 'can be stopped, this one is STOPPED', 'once');
is_deeply([ what($api->get("/imports/$id")->{json}) ], [ what($stopped) ],
	'... and it stays so');
for my $no ('x', '01a208be53713cd88867', '..') {
	is($api->call(@$_)->{status}, 404, "there is no $no: $_->[0]")
		for [ GET => "/imports/$no" ], [ POST => "/imports/$no/stop" ];
}
for my $case ([ '/imports', 'GET, HEAD, POST' ], [ "/imports/$id",
	'GET, HEAD' ], [ "/imports/$id/stop", 'POST' ])
{
	my $a = $api->call('DELETE', $case->[0]);
	is("$a->{status} $a->{headers}{allow}", "405 $case->[1]",
		"methods of $case->[0]");
}


# ---- two accounts, after another start ----

my @all = map { $_->{id} } @{$api->get('/imports')->{json}{items}};
house("$one $two");
is_deeply([ map { $_->{id} } @{$api->get('/imports')->{json}{items}} ],
	\@all, 'they are still there');
is_deeply([ what($api->get("/imports/$id")->{json}) ], [ what($stopped) ],
	'... as they were');
$a = $api->post('/imports', \%import);
is("$a->{status} $a->{json}{errors}[0]{field}", '422 account_id',
	'one of two accounts has to be named');
like($a->{json}{errors}[0]{message}, qr/names 2 accounts/, '... which');
$a = $api->post('/imports', { %import, account_id => 'TWO"2' });
is("$a->{status} $a->{json}{account_id}", '201 TWO"2', 'the second one');
unshift @all, $a->{json}{id};

# 25 more, every third of them stopped

my %stopped = ($id => 1);
for my $i (1 .. 25) {
	my $new = $api->post('/imports', { %import, account_id => 'ONE-1',
		events => [ "event $i" ] })->{json}{id};
	unshift @all, $new;
	next if $i % 3;
	$api->post("/imports/$new/stop");
	$stopped{$new} = 1;
}
is_deeply(listed(''), \@all, 'newest first');
is_deeply(listed('status=STOPPED'), [ grep { $stopped{$_} } @all ],
	'those that are stopped');
is_deeply(listed($_), [ grep { !$stopped{$_} } @all ], "... and not: $_")
	for 'status=PENDING,RUNNING,DONE',
		'status=PENDING&status=RUNNING%2CDONE';
is_deeply(listed('status=DONE'), [], 'none is done');
my $page = $api->get('/imports?page=3&per_page=10')->{json};
is_deeply([ map { $_->{id} } @{$page->{items}} ], [ @all[20 .. $#all] ],
	'the third page');
is_deeply([ @$page{qw/ page per_page total pages /} ],
	[ 3, 10, scalar @all, 4 - (@all <= 30) ], '... says which it is');
is_deeply($api->get('/imports?page=9')->{json}{items}, [],
	'a page behind the last is empty');
for my $case ([ 'page=0', 'page' ], [ 'per_page=25', 'per_page' ],
	[ 'status=done', 'status' ], [ 'status=', 'status' ],
	[ 'type=event', 'type' ], [ 'partner=x', 'partner' ],
	[ 'exported_from=2026-05-01', 'exported_from' ], [ 'x=1', 'x' ])
{
	my $a = $api->get("/imports?$case->[0]");
	is("$a->{status} $a->{json}{errors}[0]{field}", "400 $case->[1]",
		"not a list: $case->[0]");
}


# ---- so many ----

my $open = grep { !$stopped{$_} } @all;
for my $i ($open + 1 .. 100) {
	$a = $api->post('/imports', { %import, account_id => 'ONE-1' });
	next if $a->{status} == 201;
	fail("import $i: $a->{status}");
	last;
}
my $last = $a->{json}{id};
$a = $api->post('/imports', { %import, account_id => 'ONE-1' });
is($a->{status}, 409, 'one hundred that are not over are enough');
like($a->{json}{detail}, qr/^too many imports are PENDING or RUNNING/,
	'... so it says');
is($api->post("/imports/$last/stop")->{status}, 200, 'with one less');
is($api->post('/imports', { %import, account_id => 'ONE-1' })->{status}, 201,
	'... there is room for one');


# ---- who may ----

my $read = Ctseg::Api->new($t->url(1, '/read'));
my $total = $api->get('/imports')->{json}{total};
is($read->get($_)->{status}, 200, "write=off: GET $_")
	for '/imports', "/imports/$all[0]";
for my $path ('/imports', "/imports/$all[0]/stop") {
	my $a = $read->post($path, $path eq '/imports' ? \%import : undef);
	is($a->{status}, 403, "write=off: POST $path");
}
is($api->get('/imports')->{json}{total}, $total, '... creates nothing');
is($api->get("/imports/$all[0]")->{json}{stop_reason}, undef,
	'... stops nothing');

my $seen = join "\n", map { $_->{body} } $api->get('/imports?per_page=40'),
	$api->get('/status'), $api->get("/imports/$all[0]");
unlike($seen, qr/Sesame/, 'no answer tells a passcode');
is_deeply([ $api->wrong, $read->wrong ], [], 'every answer is as documented');
$t->stop;
unlike(slurp($t->testdir . '/error.log'), qr/Sesame/, '... nor does the log');
unlike(slurp($t->testdir . '/store/state/data.mdb'), qr/Sesame/,
	'... nor does the store');

$t->finish;
done_testing;


# nginx, started with these accounts

sub house {
	my ($accounts) = @_;

	$t->stop if $api;
	$t->conf($conf =~ s/%%ACCOUNTS%%/$accounts/r)->run;
	$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
	return;
}

# what work on an import does not change; of a final one also its end

sub what {
	my ($im) = @_;

	return map { $_ => $im->{$_} } qw/ id account_id events from to
		profiles stop_reason revision created_at /,
		$im->{status} eq 'STOPPED' ? qw/ status finished_at / : ();
}

# ids of all pages of a list

sub listed {
	my ($query) = @_;

	my @ids;
	for (my $page = 1; ; $page++) {
		my $json = $api->get("/imports?$query" . ($query ? '&' : '')
			. "per_page=10&page=$page")->{json};
		return \@ids unless @{$json->{items}};
		push @ids, map { $_->{id} } @{$json->{items}};
	}
}
