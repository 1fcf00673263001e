#!/usr/bin/env perl

# What no client should send, and some do: broken JSON, broken UTF-8, towers
# of brackets, far too much, the wrong types, and connections that break in
# the middle.  Each gets a documented answer that says what is wrong and at
# which byte; no worker dies of it, and what others had acknowledged stays.
# The answer alone would not show a worker that died and came back, so their
# pids are compared; and a request that hangs for ever would hold up the exit
# at the end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Socket qw/ SOL_SOCKET SO_LINGER /;
use Test::More;

use Ctseg::Client qw/ http http_json wait_for /;
use Ctseg::Data qw/ record upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOF')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size 4m;

        location = /1/upload {
            ctseg_collect;
        }

        location = /1/file {
            ctseg_collect;
            client_body_buffer_size 1k;
        }

        location = /1/denied {
            ctseg_collect;
            deny all;
        }

        location = /1/page {
            ctseg_collect;
            client_max_body_size 1k;
            error_page 413 /page;
        }

        location = /page {
            return 413 "a page of ours";
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=100000;
    }
}

EOF

my @workers = $t->worker_pids;
my $c = Ctseg::Client->new($t->port(1));
my $n = 0;
my %acked;

good('before all of it');


# ---- not JSON ----

# a body that has a bit of everything, cut off at each byte

my $whole = '{"d":[' . join(',', record(n => 900_001, props =>
	"\"a\":\"\\u00e9\\\"\xc3\xa9\",\"b\":-1.5e+3,\"c\":[true,false],"
	. '"d":null', key => 'k'), record(n => 900_002, ts => 1700000000,
	id => 'objectId')) . '],"e":{}}';

my @odd;
for my $k (0 .. length($whole) - 1) {
	my $a = post(substr $whole, 0, $k);
	my ($at) = ($a->{json}{detail} // '') =~ / at byte (\d+)$/;
	push @odd, "$k: $a->{status} $a->{body}" unless $a->{status} == 400
		&& $a->{json}{status} eq 'fail' && $a->{json}{code} == 400
		&& $a->{json}{error} eq 'Malformed request'
		&& defined $at && $at <= $k;
}
is(join("\n", @odd), '', 'a body cut off at each of its '
	. length($whole) . ' bytes');
is(post($whole, '?dryRun=1')->{status}, 200, 'the whole of it is JSON');

for my $case (
	[ 'a space alone',		' ',			1 ],
	[ 'a word',			'hello',		0 ],
	[ 'a quoted name alone',	'{"d"}',		4 ],
	[ 'a comma too many',		'{"d":[],}',		8 ],
	[ 'a comma in an array',	'{"d":[{},]}',		9 ],
	[ 'no comma',			'{"d":[{}{}]}',		8 ],
	[ 'single quotes',		"{'d':[]}",		1 ],
	[ 'a name without quotes',	'{d:[]}',		1 ],
	[ 'a comment',			'{"d":[/**/]}',		6 ],
	[ 'a tab in a string',		"{\"d\":[\"\t\"]}",	7 ],
	[ 'a zero byte in a string',	"{\"d\":[\"\0\"]}",	7 ],
	[ 'a zero byte outside',	"{\"d\":[]\0}",		7 ],
	[ 'an unknown escape',		'{"d":["\x"]}',		8 ],
	[ 'a short \u',			'{"d":["\u12"]}',	11 ],
	[ 'a leading zero',		'{"d":[01]}',		7 ],
	[ 'a plus',			'{"d":[+1]}',		6 ],
	[ 'a point without digits',	'{"d":[1.]}',		8 ],
	[ 'an exponent without digits',	'{"d":[1e]}',		8 ],
	[ 'NaN',			'{"d":[NaN]}',		6 ],
	[ 'True',			'{"d":[True]}',		6 ],
	[ 'a vertical tab',		"{\"d\":\x0b[]}",	5 ],
	[ 'two bodies',			'{"d":[]}{"d":[]}',	8 ],
	[ 'something behind the end',	'{"d":[]} x',		9 ],
	[ 'an open string behind it',	'{"d":[]} "',		9 ],
	[ 'a byte order mark',		"\xef\xbb\xbf{\"d\":[]}", 0 ],
	[ 'UTF-16',			"\0{\0\"\0d\0\"\0:\0[\0]\0}", 0 ],
	[ 'the wrong bracket',		'{"d":[}',		6 ],
	[ 'a form',			'd=%5B%5D',		0 ],
	)
{
	my ($name, $body, $at) = @$case;
	refused($body, $name, qr/./, $at, 3);
}


# ---- JSON, but no upload ----

for my $case (
	[ 'an array',		'[]',		'the body must be an obj', 0 ],
	[ 'a number',		'7',		'the body must be an obj', 0 ],
	[ 'a string',		' "d"',		'the body must be an obj', 1 ],
	[ 'null',		'null',		'the body must be an obj', 0 ],
	[ 'no d',		'{}',		'"d" is missing', 2 ],
	[ 'D',			'{"D":[]}',	'"d" is missing', 8 ],
	[ 'd too deep',		'{"a":{"d":[]}}', '"d" is missing', 14 ],
	[ 'd an object',	'{"d":{}}',	'"d" must be an array', 5 ],
	[ 'd a string',		'{"d": "[]"}',	'"d" must be an array', 6 ],
	[ 'd a number',		'{"d":0}',	'"d" must be an array', 5 ],
	[ 'd null',		'{"d":null}',	'"d" must be an array', 5 ],
	[ 'd true',		'{"d":true}',	'"d" must be an array', 5 ],
	[ 'd twice',		'{"d":[],"d":[]}', '"d" occurs twice', 8 ],
	)
{
	my ($name, $body, $text, $at) = @$case;
	refused($body, $name, qr/\Q$text\E/, $at, 0);
}

# every field with every type: a verdict, never an accident

@odd = ();
my ($tried, %verdict) = 0;
for my $field (qw/ type identity objectId email phone FBID GPID evtName
	evtData ts nonsense /)
{
	for my $value ('null', 'true', 'false', '0', '-1', '1e400', '-0.0',
		'99999999999999999999', '""', '" "', '"x"', '"\u0000"',
		'"' . ('x' x 2000) . '"', '[]', '[{}]', '{}', '{"a":[]}')
	{
		my %m = (type => '"event"', identity => '"u"',
			evtName => '"App Launched"', $field => $value);
		my $a = post('{"d":[{' . join(',', map { "\"$_\":$m{$_}" }
			sort keys %m) . '}]}', '?dryRun=1');
		my $u = $a->{json}{unprocessed};
		$tried++;
		my $ok = $a->{status} == 200 && ref $u eq 'ARRAY'
			&& $a->{json}{processed} + @$u == 1
			&& (!@$u || $u->[0]{error} =~ /\w/
			&& $u->[0]{code} =~ /^(?:509|51[24-6]|52[2-6]|555)$/);
		push @odd, "$field $value: $a->{status} $a->{body}" if !$ok;
		$verdict{@{$u || []} ? $u->[0]{code} : 'taken'}++;
	}
}
is(join("\n", @odd), '', "$tried wrong types, each with its verdict");
is(join(' ', sort keys %verdict), '509 512 523 524 525 526 taken',
	'of every kind');


# ---- towers ----

my $deep = 'nested deeper than 16 levels';

for my $case (
	[ 'arrays',		'[' x 100_000, 'must be an object', 0 ],
	[ 'objects',		'{"d":' x 100_000, 'must be an array', 5 ],
	[ 'closed arrays',	'[' x 100_000 . ']' x 100_000,
		'must be an object', 0 ],
	[ 'arrays in a member',	'{"x":' . '[' x 100_000, $deep, 20 ],
	[ 'objects in a member', '{"x":' x 100_000, $deep, 80 ],
	[ 'arrays in d',	'{"d":' . '[' x 100_000, $deep, 20 ],
	[ 'arrays in evtData',	'{"d":[{"evtData":{"a":' . '[' x 100_000,
		$deep, 34 ],
	[ 'arrays in a field',	'{"d":[{"ts":' . '[' x 100_000, $deep, 25 ],
	)
{
	my ($name, $body, $why, $at) = @$case;
	my $a = post($body);
	is($a->{status}, 400, "100,000 $name");
	like($a->{json}{detail}, qr/$why at byte $at$/, '... is told');
}


# ---- not UTF-8 ----

for my $case (
	[ 'a continuation alone',	"\x80" ],
	[ 'Latin-1',			"\xe9" ],
	[ 'FF',				"\xff" ],
	[ 'an overlong slash',		"\xc0\xaf" ],
	[ 'an overlong slash, longer',	"\xe0\x80\xaf" ],
	[ 'an overlong slash, longest',	"\xf0\x80\x80\xaf" ],
	[ 'half of a surrogate',	"\xed\xa0\x80" ],
	[ 'a pair of surrogates',	"\xed\xa0\xbd\xed\xb8\x80" ],
	[ 'beyond Unicode',		"\xf4\x90\x80\x80" ],
	[ 'five bytes',			"\xf8\x88\x80\x80\x80" ],
	[ 'a cut off one',		"\xe2\x82" ],
	[ 'a broken one',		"\xf0\x9f\x98x" ],
	)
{
	my ($name, $bytes) = @$case;
	for my $place (
		[ 'a value',	'{"d":[{"evtData":{"a":"', '"}}]}' ],
		[ 'a name',	'{"d":[{"evtData":{"', '":1}}]}' ],
		[ 'an event',	'{"d":[{"evtName":"', '"}]}' ],
		[ 'an id',	'{"d":[{"identity":"ok ', '"}]}' ],
		[ 'the open',	'{"d":[{},', ']}' ],
		)
	{
		my ($where, $before, $after) = @$place;
		refused("$before$bytes$after", "$name in $where",
			qr/invalid UTF-8/, length $before, 0);
	}
}


# ---- too much ----

my $huge = upload_body(1000, from => 900_000, pad => 10_300);
cmp_ok(length $huge, '>', 10_000_000, 'a body of 10 MB');
my $a = http_json('POST', $t->url(1, '/1/upload'), $huge);
is($a->{status}, 413, '... is too large');
is($a->{body}, '{"status":"fail","error":"Content Too Large","code":413,'
	. '"detail":"the body is larger than the 4194304 bytes of client_'
	. "max_body_size\"}\n", '... and told so, in JSON');
is(sent(head('Transfer-Encoding: chunked') . join('', map {
	sprintf "%x\r\n%s\r\n", length, $_ } unpack '(a65536)*', $huge))
	->{body}, $a->{body}, '... in chunks, too');
is(sent(head('Content-Length: 99999999999', 'Expect: 100-continue'))
	->{body}, $a->{body}, '... and when announced');
is(sent(head('Transfer-Encoding: chunked') . "5\r\n{\"d\":\r\nzzz\r\n")
	->{json}{code}, 400, 'a broken chunk');
is(http_json('POST', $t->url(1, '/1/denied'), $whole)->{json}{code}, 403,
	'who is not allowed is told so in JSON, too');
is(http('HEAD', $t->url(1, '/1/denied'))->{body}, '', '... or not at all');
is(http_json('POST', $t->url(1, '/1/page'), $huge)->{body}, 'a page of ours',
	'an error_page of the operator stays');


# ---- not the right request ----

for my $method (qw/ GET PUT DELETE PATCH OPTIONS /) {
	$a = http($method, $t->url(1, '/1/upload'), {},
		$method eq 'GET' ? undef : $whole);
	is($a->{status}, 405, "$method is refused");
	is($a->{headers}{allow}, 'POST', '... POST is the way');
	is($a->{body}, '{"status":"fail","error":"Method not allowed",'
		. '"code":405,"detail":"events are sent by POST"}' . "\n",
		'... says the body');
}
$a = http('HEAD', $t->url(1, '/1/upload'));
is("$a->{status} $a->{headers}{allow} $a->{body}", '405 POST ', 'HEAD, too');

for my $type ('text/plain', 'application/x-www-form-urlencoded',
	'multipart/form-data; boundary=x', 'application/jsonx',
	'application/json-seq', 'text/json', 'application', 'json', '*/*')
{
	$a = post($whole, '', 'Content-Type' => $type);
	is("$a->{status} $a->{json}{status} $a->{json}{detail}", '415 fail '
		. 'Content-Type must be application/json', "type $type");
}

for my $encoding (qw/ deflate br zstd /, 'gzip, gzip') {
	$a = post($whole, '', 'Content-Encoding' => $encoding);
	is("$a->{status} $a->{json}{status}", '415 fail',
		"encoding $encoding");
	like($a->{json}{error}, qr/encoding/, '... is named');
}

good('after all of that');
is(last_sequence(), scalar keys %acked, 'nothing of it was stored');


# ---- clients that leave ----

# a reset or a polite end, at some byte of the body

for my $path (qw{ /1/upload /1/file }) {
	for my $k (0, 1, 100, 5_000, 60_000) {
		my $body = upload_body(200, from => 900_000, pad => 200);
		for my $how (qw/ reset end /) {
			leave($how, $path, $body, $k);
		}
	}
}

# the head of a chunk, and no more

for my $part ("5\r\n", "5\r\n{\"d\"", "5\r\n{\"d\":\r\n", "zzz\r\n") {
	leave('reset', '/1/upload', undef, 0,
		head('Transfer-Encoding: chunked') . $part);
}
good('after clients left while sending');
is(last_sequence(), scalar keys %acked, 'nothing of theirs was stored');

# behind a whole body: it may be stored, or not; the answer has nowhere to go

for my $round (1 .. 5) {
	my @conn = map { leave(undef, $_ % 2 ? '/1/upload' : '/1/file',
		upload_body(300, from => 500_000, pad => 100)) } 1 .. 32;
	reset_($_) for @conn;
	good("after 32 clients left while waiting, $round");
}

# pipelined requests, and nobody who reads the answers

for (1 .. 20) {
	my $k = Ctseg::Client->new($t->port(1))->connect;
	my $body = upload_body(2, from => 500_000);
	$k->send_bytes((head('Content-Length: ' . length $body) . $body) x 50);
	reset_($k);
}
good('after those who pipelined and left');


# ---- what is left of it ----

is(join(' ', $t->worker_pids), "@workers", 'no worker has died');

my $partner = api('POST', '/partners', { nickname => 'p', write_key => 'k' });
my $export = api('POST', '/exports', { partner_id => $partner->{id},
	type => 'event', events => { set => 'system' },
	frequency => { kind => 'one_time', range => 'last_7_days' } });
wait_for { api('GET', "/exports/$export->{id}")->{status} eq 'DONE' } 30,
	'the export';

my %sent = $s->property_counts('n');
is(scalar(grep { !$sent{$_} } keys %acked), 0,
	'every acknowledged event is exported');
is(scalar(grep { $sent{$_} > 1 } keys %acked), 0, '... once');
is(scalar(grep { $_ >= 900_000 } keys %sent), 0,
	'... and none that was not sent whole');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');

$t->quit;
$t->finish;
done_testing;


sub post {
	my ($body, $query, %headers) = @_;
	return $c->request('POST', '/1/upload' . ($query // ''), {
		'Content-Type' => 'application/json', %headers }, $body);
}

# one good event, acknowledged

sub good {
	my ($name) = @_;
	$n++;
	my $a = post('{"d":[' . record(n => $n) . ']}');
	my $ok = $a->{status} == 200 && $a->{json}{processed} == 1;
	$acked{$n} = 1 if $ok;
	ok($ok, "a good event $name") or diag $a->{body};
	return;
}

# answered 400, with the reason, at that byte; yajl stands up to `more` bytes
# behind it

sub refused {
	my ($body, $name, $text, $at, $more) = @_;
	my $a = post($body);
	my $told = $a->{json}{detail} // '';
	my ($is) = $told =~ / at byte (\d+)$/;
	my $ok = $a->{status} == 400 && $a->{json}{status} eq 'fail'
		&& $a->{json}{code} == 400 && $told =~ $text
		&& defined $is && $is >= $at && $is <= $at + $more;
	ok($ok, $name) or diag "$a->{status} $a->{body}, not at $at";
	return;
}

sub head {
	my (@headers) = @_;
	return join "\r\n", 'POST /1/upload HTTP/1.1', 'Host: x', @headers,
		'', '';
}

# bytes on a connection of their own, and the answer

sub sent {
	my ($bytes) = @_;
	my $k = Ctseg::Client->new($t->port(1))->connect;
	$k->send_bytes($bytes);
	my $answer = $k->read_answer;
	$k->close;
	return $answer;
}

# send $k bytes of the body and leave; the connection, if no way is given

sub leave {
	my ($how, $path, $body, $k, $bytes) = @_;
	my $k1 = Ctseg::Client->new($t->port(1))->connect;
	$bytes //= head('Content-Length: ' . length $body)
		=~ s{/1/upload}{$path}r . substr $body, 0, $k // length $body;
	$k1->send_bytes($bytes);
	return $k1 if !$how;
	$how eq 'reset' ? reset_($k1) : $k1->close;
	return;
}

sub reset_ {
	my ($k) = @_;
	setsockopt $k->sock, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
	$k->close;
	return;
}

sub api {
	my ($method, $path, $data) = @_;
	return http_json($method, $t->url(1, "/ctseg/api$path"),
		$data)->{json};
}

sub last_sequence { return api('GET', '/status')->{sequence}{last} }
