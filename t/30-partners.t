#!/usr/bin/env perl

# Partners by REST: the exact shapes that scripts depend on, every error with
# the field it names, revisions, pages.  Above all the write key: it goes in
# and must not come out, in no answer, log or file that a person reads; so
# the last check looks for it in all that this test has left behind.  Names
# are unique also when two workers are asked at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Find ();
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http http_json wait_for parallel_posts json_encode
	json_decode raw /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2);
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool  ctseg;

    log_format bodies  '$request $status $http_if_match';

    server {
        listen 127.0.0.1:%%PORT_1%%;
        access_log %%TESTDIR%%/access.log bodies;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
            client_max_body_size 100k;
        }

        location /read/ {
            ctseg_api;
        }

        location /nobar {
            ctseg_api write=off;
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
my $read = Ctseg::Api->new($t->url(1, '/read'));
my $secret = 'S3cretKeyOfProduction';
my $instant = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
my @bodies;


# ---- the life of a partner ----

my $r = call('POST', '/partners', { nickname => 'Production',
	write_key => $secret });
is($r->{status}, 201, 'created');
is($r->{headers}{'content-type'}, 'application/json', 'as JSON');
is($r->{headers}{etag}, '"1"', 'with its revision');
my $p = $r->{json};
my $id = $p->{id};
like($id, qr/^[0-9a-f]{20}$/, 'it has an id');
like($r->{headers}{location}, qr{(?:^|/)ctseg/api/partners/$id$},
	'and a place');
like($p->{created_at}, $instant, 'and a time');
is_deeply($p, { id => $id, nickname => 'Production', region => 'us',
	write_key_hint => 'tion', user_id => 'identity',
	anonymous_id => 'objectId', revision => 1,
	created_at => $p->{created_at}, updated_at => $p->{created_at},
	health => { state => 'ok', reason => undef, since => undef,
		retry_at => undef } }, 'and this shape');

$r = call('GET', "/partners/$id");
is_deeply([ $r->{status}, $r->{headers}{etag}, $r->{json} ],
	[ 200, '"1"', $p ], 'it can be got');
is_deeply(call('GET', '/partners')->{json}, { items => [ $p ], page => 1,
	per_page => 20, total => 1, pages => 1 }, 'and listed');
$r = http('HEAD', $t->url(1, "/ctseg/api/partners/$id"));
is_deeply([ $r->{status}, $r->{body}, $r->{headers}{etag} ],
	[ 200, '', '"1"' ], 'HEAD is a GET without body');

$r = call('PATCH', "/partners/$id", { nickname => 'Prod', region => 'eu',
	user_id => 'property:Customer Id', anonymous_id => 'gpid' });
is("$r->{status} $r->{headers}{etag}", '200 "2"', 'patched');
my $new = $r->{json};
like($new->{updated_at}, $instant, 'at another time');
is_deeply($new, { %$p, nickname => 'Prod', region => 'eu', revision => 2,
	user_id => 'property:Customer Id', anonymous_id => 'gpid',
	updated_at => $new->{updated_at} }, 'what was named is changed');
is_deeply(call('GET', "/partners/$id")->{json}, $new, 'for good');
is(call('PATCH', "/partners/$id", { write_key => "New$secret$secret" })
	->{json}{write_key_hint}, 'tion', 'another key');
is(call('PATCH', "/partners/$id", {})->{status}, 200, 'an empty patch');

is(call('POST', '/partners', { nickname => 'Production',
	write_key => 'k' })->{json}{write_key_hint}, '',
	'the old name is free, and a short key gives no hint');

$r = call('DELETE', "/partners/$id");
is("$r->{status}:$r->{body}", '204:', 'deleted');
problem('GET', "/partners/$id", undef, 404, qr/no such partner/);
problem('DELETE', "/partners/$id", undef, 404, qr/no such partner/);
problem('PATCH', "/partners/$id", {}, 404, qr/no such partner/);
is(call('POST', '/partners', { nickname => 'Prod', write_key => $secret })
	->{status}, 201, 'its name is free');


# ---- names ----

problem('POST', '/partners', { nickname => 'Prod', write_key => 'x' }, 409,
	qr/nickname/, [ 'nickname', qr/taken/ ]);
my ($production) = map { $_->{id} } grep { $_->{nickname} eq 'Production' }
	@{call('GET', '/partners')->{json}{items}};
problem('PATCH', "/partners/$production", { nickname => 'Prod' }, 409,
	qr/nickname/, [ 'nickname', qr/taken/ ]);
is(call('PATCH', "/partners/$production", { nickname => 'Production' })
	->{status}, 200, 'a partner may keep its name');
is(call('POST', '/partners', { nickname => 'prod', write_key => 'x' })
	->{status}, 201, 'another case is another name');

my $wide = "\x{1f600}\x{e4}\x{4e2d}b" x 16;
$r = call('POST', '/partners', { nickname => $wide, write_key => 'x' });
is($r->{status}, 201, 'a name of 64 characters, 160 bytes');
is($r->{json}{nickname}, $wide, 'comes back');
for my $case ([ '', qr/1 to 64/ ], [ $wide . 'x', qr/1 to 64/ ],
	[ ' a', qr/space/ ], [ "a\n", qr/control/ ])
{
	problem('POST', '/partners', { nickname => $case->[0],
		write_key => 'x' }, 422, qr/wrong fields/,
		[ 'nickname', $case->[1] ]);
}

# 16 at once over as many connections to two workers, again and again: a race
# that is won by two would be seen by their number

my $twice = 0;
for my $i (1 .. 20) {
	my @race = parallel_posts($t->port(1), '/ctseg/api/partners', [ map {
		json_encode({ nickname => "race $i", write_key =>
			"racekey$_" }) } 1 .. 16 ], connections => 16);
	my %count;
	$count{$_->{status}}++ for @race;
	push @bodies, map { $_->{body} // '' } @race;
	$twice++ if join(' ', map { "$_:$count{$_}" } sort keys %count)
		ne '201:1 409:15';
}
is($twice, 0, 'of those who want a name at once, one gets it');


# ---- wrong fields, all of them in one answer ----

problem('POST', '/partners', { nickname => 7, write_key => [],
	region => 'mars', user_id => 'name', anonymous_id => 'property:',
	id => 'x', revision => 1, created_at => '', updated_at => '',
	write_key_hint => '', health => {}, colour => 1,
	'a b' => 1, "\x{e9}" => undef }, 422, qr/wrong fields/,
	[ nickname => qr/string/ ], [ write_key => qr/string/ ],
	[ region => qr/us or eu/ ], [ user_id => qr/identity, .*property:/ ],
	[ anonymous_id => qr/property:/ ], [ id => qr/read-only/ ],
	[ revision => qr/read-only/ ], [ created_at => qr/read-only/ ],
	[ updated_at => qr/read-only/ ], [ write_key_hint => qr/read-only/ ],
	[ health => qr/read-only/ ], [ colour => qr/not a known/ ],
	[ 'a b' => qr/not a known/ ], [ "\x{e9}" => qr/not a known/ ]);
problem('POST', '/partners', {}, 422, qr/wrong fields/,
	[ nickname => qr/required/ ], [ write_key => qr/required/ ]);
problem('POST', '/partners', [], 422, qr/wrong fields/,
	[ '' => qr/object/ ]);
for my $key ('', 'a b', 'a:b', "a\x{e9}", 'x' x 129, $secret x 7,
	"$secret $secret")
{
	problem('POST', '/partners', { nickname => 'n', write_key => $key },
		422, qr/wrong fields/, [ write_key => qr/./ ]);
}
is(call('POST', '/partners', { nickname => 'long key',
	write_key => 'x' x 128 })->{status}, 201, '128 characters are a key');
problem('PATCH', "/partners/$production", { nickname => 'other',
	region => 'mars' }, 422, qr/wrong fields/, [ region => qr/us or eu/ ]);
is(call('GET', "/partners/$production")->{json}{nickname}, 'Production',
	'a patch with one wrong field changes nothing');
is(scalar @{problem('POST', '/partners', { nickname => 'n',
	write_key => 'w', map { ("f$_" => 1) } 1 .. 100 }, 422,
	qr/wrong fields/)->{json}{errors}}, 32, 'errors end somewhere');


# ---- bodies ----

# the parser may name the byte of the mistake or the one behind it

for my $case (
	[ '', qr/malformed JSON/ ],
	[ '{', qr/at byte 1\b/ ],
	[ '{"nickname":"a",}', qr/at byte 1[67]\b/ ],
	[ '{"nickname":tru}', qr/at byte 1[2-5]\b/ ],
	[ '{}{}', qr/at byte [23]\b/ ],
	[ "{\"nickname\":\"\xff\"}", qr/UTF-8 at byte 13\b/ ],
	[ '{"nickname":"a","nickname":"b"}', qr/twice|duplicate/ ],
	[ '[' x 5_000, qr/nested deeper than 16/ ],
	[ '[' . join(',', (1) x 5_000) . ']', qr/values|large|more than/ ],
	)
{
	my ($text, $re) = @$case;
	$r = problem('POST', '/partners', $text, 400, $re);
	unlike($r->{json}{detail} // '', qr/\xff|tru\b/,
		'... without the bytes of the body');
}
my @json = (nickname => 'type', write_key => 'x');
for my $type ('text/plain', 'application/x-www-form-urlencoded', '',
	'application/jsonx', 'multipart/form-data; boundary=x')
{
	problem('POST', '/partners', { @json }, 415,
		qr{application/json}, { 'Content-Type' => $type });
}
problem('POST', '/partners', { @json }, 415, qr/Content-Encoding/,
	{ 'Content-Encoding' => 'gzip' });
is(call('POST', '/partners', { @json },
	{ 'Content-Type' => 'Application/JSON; charset=utf-8' })->{status},
	201, 'a content type with a parameter');
is(call('PATCH', "/partners/$production", {}, { 'Content-Type' =>
	'application/merge-patch+json' })->{status}, 200, 'a merge patch');
is(call('POST', '/partners', { nickname => 'x' x 110_000,
	write_key => 'x' })->{status}, 413, 'a body that is too large');
like(raw($t->port(1), "POST /ctseg/api/partners HTTP/1.1\r\nHost: x\r\nConn"
	. "ection: close\r\nContent-Type: application/json\r\nTransfer-Encodi"
	. "ng: chunked\r\n\r\n" . join('', map { sprintf "%x\r\n%s\r\n",
	length $_, $_ } '{"nickname":"chu', 'nked","write_key":"x"}')
	. "0\r\n\r\n"), qr{^HTTP/1.1 201 }, 'a chunked body');


# ---- paths and methods ----

for my $path ('/', '/partner', '/partners/', '/partnersx', '/partners/a/b',
	'/exports/', '/exports/x/y', '/status/x')
{
	problem('GET', $path, undef, 404, qr/no such resource/);
}
for my $no ('x', '0' x 20, 'f' x 20, 'x' x 3000,
	"\xc3\xa4", '01a208c2..')
{
	problem('GET', "/partners/$no", undef, 404, qr/no such partner/);
}
is(http('GET', $t->url(1, '/ctseg/api/partners/..%2f..'))->{status}, 404,
	'no way out of the API');
is(http('GET', $t->url(1, '/ctseg/api/partners/%00'))->{status}, 400,
	'nginx itself refuses a NUL');
for my $case (
	[ 'PUT', '/partners', 'GET, HEAD, POST' ],
	[ 'DELETE', '/partners', 'GET, HEAD, POST' ],
	[ 'POST', "/partners/$production", 'GET, HEAD, PATCH, DELETE' ],
	[ 'OPTIONS', "/partners/$production", 'GET, HEAD, PATCH, DELETE' ],
	[ 'POST', '/status', 'GET, HEAD' ],
	[ 'DELETE', '/catalog', 'GET, HEAD' ],
	[ 'GET', '/exports/x/stop', 'POST' ],
	)
{
	my ($method, $path, $allow) = @$case;
	$r = problem($method, $path, undef, 405, qr/no such method/);
	is($r->{headers}{allow}, $allow, '... but others');
}


# ---- reading only ----

for my $case ([ 'POST', '/partners', { nickname => 'r', write_key => 'x' } ],
	[ 'PATCH', "/partners/$production", { nickname => 'r' } ],
	[ 'DELETE', "/partners/$production" ],
	[ 'POST', '/exports', {} ], [ 'POST', '/exports/x/stop' ])
{
	$r = $read->call(@$case);
	is("$r->{status} $r->{headers}{'content-type'}",
		'403 application/problem+json', "$case->[0] $case->[1] needs"
		. ' write=on');
	like($r->{json}{detail}, qr/write=on/, '... and says so');
}
is($read->get("/partners/$production")->{json}{nickname}, 'Production',
	'reading does not');
is(http('GET', $t->url(1, '/nobar/partners'))->{status}, 200,
	'a prefix without a slash at its end');


# ---- revisions ----

my $etag = call('GET', "/partners/$production")->{headers}{etag};
my ($rev) = $etag =~ /^"(\d+)"$/;
problem('PATCH', "/partners/$production", { region => 'eu' }, 412,
	qr/revision/, { 'If-Match' => '"' . ($rev + 1) . '"' });
problem('DELETE', "/partners/$production", undef, 412, qr/revision/,
	{ 'If-Match' => '"0"' });
is(call('GET', "/partners/$production")->{json}{region}, 'us',
	'a change of another revision is none');
$r = call('PATCH', "/partners/$production", { region => 'eu' },
	{ 'If-Match' => $etag });
is("$r->{status} $r->{headers}{etag}", '200 "' . ($rev + 1) . '"',
	'of this one it is');
is(call('PATCH', "/partners/$production", { region => 'us' },
	{ 'If-Match' => "\"77\", \"" . ($rev + 1) . '"' })->{status}, 200,
	'one of a list');
is(call('PATCH', "/partners/$production", { region => 'us' },
	{ 'If-Match' => '*' })->{status}, 200, 'whatever it is');

# health changes without the revision, so there is no 304

for my $old ('"999"', $etag, '"' . ($rev + 3) . '"') {
	is(call('GET', "/partners/$production", undef, { 'If-None-Match' =>
		$old })->{status}, 200, "a GET that knows revision $old");
}


# ---- pages ----

my $have = call('GET', '/partners')->{json}{total};
for my $i ($have + 1 .. 45) {
	call('POST', '/partners', { nickname => "page $i",
		write_key => "pagekey$i" });
}
my @seen;
for my $page (1 .. 6) {
	my $list = call('GET', "/partners?per_page=10&page=$page")->{json};
	is_deeply([ @{$list}{qw/ page per_page total pages /} ],
		[ $page, 10, 45, 5 ], "page $page of five");
	is(scalar @{$list->{items}}, (10, 10, 10, 10, 5, 0)[$page - 1],
		'... has its items');
	push @seen, @{$list->{items}};
}
my %ids = map { $_->{id} => 1 } @seen;
is(scalar keys %ids, 45, 'every partner is on one page');
is_deeply([ map { $_->{id} } @seen ], [ reverse sort keys %ids ],
	'newest first');
is(scalar @{call('GET', "/partners?per_page=$_")->{json}{items}}, $_,
	"$_ of them") for 20, 30, 40;
is(scalar @{call('GET', '/partners')->{json}{items}}, 20, '20 unless asked');
for my $query ('per_page=15', 'per_page=0', 'per_page=', 'per_page', 'page=0',
	'page=-1', 'page=x', 'page=99999999999999999999', 'colour=red',
	'per_page=50', 'page=1.0')
{
	my ($name) = $query =~ /^(\w+)/;
	problem('GET', "/partners?$query", undef, 400, qr/query/,
		[ $name => qr/./ ]);
}
problem('GET', '/partners?page=0&per_page=1&x=1', undef, 400, qr/query/,
	[ page => qr/./ ], [ per_page => qr/./ ], [ x => qr/./ ]);


# ---- a partner in use ----

$api->upload($t->url(1, '/1/upload'), upload_body(10, ts => time));
$s->default(hold => 1);
my $export = $api->export($production);
wait_for { $s->stats->{held} == 1 } 10, 'the export at work';
problem('DELETE', "/partners/$production", undef, 409,
	qr/DONE or STOPPED; export $export is not/);
is(call('GET', "/partners/$production")->{status}, 200, 'it is still there');
is(call('PATCH', "/partners/$production", { nickname => 'in use' })->{status},
	200, 'it may be changed');
$api->post("/exports/$export/stop");
is(call('DELETE', "/partners/$production")->{status}, 204,
	'after a stop nothing uses it any more');
$s->default();
$s->release;
$api->run_ended($export);
is($api->show($export)->{partner_id}, $production,
	'the export remembers whose it was');


# ---- the secret ----

my %text = (answers => join("\n", @bodies));
File::Find::find({ no_chdir => 1, wanted => sub {
	my $name = $_;
	return if !-f $name || $name =~ m{/(?:data|lock)\.mdb$}
		|| $name =~ m{/segment\.};
	$text{$name} = $t->read_file($name);
} }, $t->testdir);
cmp_ok(scalar keys %text, '>=', 4, 'answers, logs and more are searched');
cmp_ok(length $text{answers}, '>', 10_000, 'many answers among them');
for my $key ($secret, 'racekey', 'pagekey', 'S3cret') {
	is_deeply([ grep { index($text{$_}, $key) >= 0 } sort keys %text ],
		[], "$key is in none of them");
}

$t->finish;


# ---- a store that is full ----

my $full = Ctseg::Nginx->new->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=1m state=1m;
    ctseg_thread_pool  ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ctseg/api/ {
            ctseg_api write=on;
        }
    }
}

EOC

$api = Ctseg::Api->new($full->url(1, '/ctseg/api'));
my $conn = Ctseg::Client->new($full->port(1));
my $taken = 0;
while ($taken < 20_000) {
	$r = $conn->request('POST', '/ctseg/api/partners', {}, { write_key =>
		'k', nickname => 'n' x 50 . $taken });
	last if $r->{status} != 201;
	$taken++;
}
cmp_ok($taken, '>', 100, 'a small store takes some partners');
is("$r->{status} $r->{headers}{'content-type'}",
	'503 application/problem+json', '... until it is full');
like($r->{headers}{'retry-after'}, qr/^\d+$/, '... which may pass');
is($api->get('/partners')->{json}{total}, $taken,
	'... what was taken can be read');
my ($any) = map { $_->{id} } @{$api->get('/partners')->{json}{items}};
is($api->delete("/partners/$any")->{status}, 204, '... and deleted');
$full->finish;

done_testing;


# ---- helpers ----

sub call {
	my ($method, $path, $data, $headers) = @_;
	my $a = $api->call($method, $path, $data, $headers);
	push @bodies, join "\n", $a->{body}, %{$a->{headers}};
	return $a;
}

# an answer as problem+json; errors as [field, message], all of them in any
# order; headers of the request as hash

sub problem {
	my ($method, $path, $data, $status, $detail, @rest) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my ($headers) = grep { ref eq 'HASH' } @rest;
	my @errors = grep { ref eq 'ARRAY' } @rest;
	my $a = call($method, $path, $data, $headers);
	my $json = $a->{json} || {};

	my $name = "$method " . substr($path, 0, 40);
	my $ok = $a->{status} == $status
		&& ($a->{headers}{'content-type'} // '')
			eq 'application/problem+json'
		&& ($json->{status} // '') eq $status
		&& ($json->{type} // '') eq 'about:blank'
		&& length($json->{title} // '')
		&& ($json->{detail} // '') =~ $detail;

	if (@errors) {
		my %got;
		push @{$got{$_->{field}}}, $_->{message}
			for @{$json->{errors} || []};
		for my $want (@errors) {
			my $texts = delete $got{$want->[0]} || [];
			$ok = 0 unless @$texts == 1
				&& $texts->[0] =~ $want->[1];
		}
		$ok = 0 if %got;
	}

	ok($ok, "$name: $status") or diag("$a->{status} $a->{body}");
	return $a;
}
