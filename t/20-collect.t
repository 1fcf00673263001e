#!/usr/bin/env perl

# Collecting, from the client's side: what is taken, what each record is told,
# and that what was taken reaches Segment as it came, byte by byte.  Answers
# are compared as text, since clients of CleverTap read them with parsers of
# their own.  JSON::PP would round a number of 20 digits or 1e400 and would
# not show a changed escape, so bodies are text, and so is what the mock got.
# At the end every record that was acknowledged, and none else, is exported.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Client qw/ http http_json raw wait_for /;
use Ctseg::Data qw/ upload_body @catalog /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOF')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    log_format ctseg '$uri $status $ctseg_collected';
    access_log %%TESTDIR%%/ctseg.log ctseg;

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;
    ctseg_custom_events on;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size 2m;

        location = /1/upload {
            ctseg_collect;
        }

        location = /1/file {
            ctseg_collect format=upload;
            client_body_buffer_size 1k;
        }

        location = /1/clean {
            ctseg_collect;
            client_body_in_file_only clean;
        }

        location = /tapped {
            mirror /1/mirror;
            proxy_pass http://127.0.0.1:%%PORT_1%%/clevertap;
        }

        location = /1/mirror {
            internal;
            ctseg_collect;
        }

        location = /clevertap {
            return 200 "clevertap\n";
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

my $now = int(time) - 7200;
my $n = 0;
my %want;		# property n => what the event must look like


# ---- answers ----

is(upload([ good() ]), '{"status":"success","processed":1,"unprocessed":[]}',
	'a good record');
is(upload([ map { good() } 1 .. 3 ]),
	'{"status":"success","processed":3,"unprocessed":[]}', 'three');
is(upload([]), '{"status":"success","processed":0,"unprocessed":[]}',
	'none at all');

my $bad = '{"type":"event","identity":"x","evtData":{"b": [] }}';
my $item = '{"status":"fail","error":"Event name is missing: evtName must be'
	. ' a string that is not empty","code":509,"record":' . $bad . '}';
is(upload([ $bad ]),
	"{\"status\":\"fail\",\"processed\":0,\"unprocessed\":[$item]}",
	'a bad record is given back as it came');
is(upload([ good(), $bad, good(), $bad ]), '{"status":"partial","processed"'
	. ":2,\"unprocessed\":[$item,$item]}", 'a bad one among good ones');
is(last_sequence(), 6, 'only the good ones are stored');

my $answer = http_json('POST', url(), "{\"x\":[{}],\"d\":[${\ good()}],\"y\":"
	. '{"d":[1]}}');
is($answer->{json}{processed}, 1, 'other members beside d are no matter');
is($answer->{headers}{'content-type'}, 'application/json',
	'the answer is JSON');


# ---- a verdict for each record ----

my $long = 'x' x 512;
my $props = join ',', map { "\"p$_\":$_" } 1 .. 256;
my $items = join ',', map { "{\"sku\":$_}" } 1 .. 256;

my @refused = (
	[ 509, 'no evtName',		e(evtName => undef) ],
	[ 509, 'empty evtName',		e(evtName => '""') ],
	[ 509, 'blank evtName',		e(evtName => '"  "') ],
	[ 509, 'evtName null',		e(evtName => 'null') ],
	[ 509, 'evtName a number',	e(evtName => '7') ],
	[ 509, 'evtName an array',	e(evtName => '["App Launched"]') ],
	[ 512, 'a number',		'17' ],
	[ 512, 'a string',		'"event"' ],
	[ 512, 'null',			'null' ],
	[ 512, 'an array',		'[{"type":"event"}]' ],
	[ 512, 'evtData a string',	e(evtData => '"a"') ],
	[ 512, 'evtData an array',	e(evtData => '[]') ],
	[ 512, 'evtData a number',	e(evtData => '0') ],
	[ 512, 'object as property',	e(evtData => '{"a":{"b":1}}') ],
	[ 512, 'array as property',	e(evtData => '{"a":[1]}') ],
	[ 512, 'Items without Charged',	e(evtData => '{"Items":[]}') ],
	[ 512, 'Items too deep',	e(evtName => '"Charged"',
		evtData => '{"Items":[{"a":{}}]}') ],
	[ 512, 'evtName of 1,025 bytes', e(evtName => '"'
		. ('x' x 1025) . '"') ],
	[ 512, 'evtData of 28,001 bytes', e(evtData => '{"a":"'
		. ('x' x (28_001 - 8)) . '"}') ],
	[ 512, 'identity an object',	e(identity => '{}') ],
	[ 512, 'identity true',		e(identity => 'true') ],
	[ 512, 'identity of 513 bytes',	e(identity => "\"x$long\"") ],
	[ 512, 'email an array',	e(email => '[]') ],
	[ 522, '257 properties',	e(evtData => "{$props,\"q\":0}") ],
	[ 522, '257 Items',		e(evtName => '"Charged"',
		evtData => "{\"Items\":[$items,{}]}") ],
	[ 523, 'no identity',		e(identity => undef) ],
	[ 523, 'empty identity',	e(identity => '""') ],
	[ 523, 'blank identity',	e(identity => '"   "') ],
	[ 523, 'identity null',		e(identity => 'null') ],
	[ 523, 'email alone',		e(identity => undef,
		email => '"a@example.com"') ],
	[ 524, 'no type',		e(type => undef) ],
	[ 524, 'type page',		e(type => '"page"') ],
	[ 524, 'type Event',		e(type => '"Event"') ],
	[ 524, 'type a number',		e(type => '1') ],
	[ 524, 'an empty object',	'{}' ],
	[ 525, 'ts a word',		e(ts => '"yesterday"') ],
	[ 525, 'ts empty',		e(ts => '""') ],
	[ 525, 'ts negative',		e(ts => '-1') ],
	[ 525, 'ts with a fraction',	e(ts => '1700000000.5') ],
	[ 525, 'ts with an exponent',	e(ts => '17e8') ],
	[ 525, 'ts of 14 digits',	e(ts => '20260102030405') ],
	[ 525, 'ts of 30 digits',	e(ts => '1' x 30) ],
	[ 525, 'ts true',		e(ts => 'true') ],
	[ 525, 'ts an object',		e(ts => '{"$date":1700000000}') ],
	[ 525, 'ts an array',		e(ts => '[1700000000]') ],
	[ 526, 'objectId an array',	e(objectId => '["a"]') ],
	[ 526, 'objectId true',		e(objectId => 'true') ],
	[ 526, 'objectId of 513 bytes',	e(objectId => "\"x$long\"") ],
	[ 514, 'a gender',		'{"type":"profile","identity":"x",'
		. '"profileData":{"Gender":"y"}}' ],
);

my $before = last_sequence();

for my $case (@refused) {
	my ($code, $name, $record) = @$case;
	my $got = upload([ $record ]);
	ok($got =~ /^\{"status":"fail","processed":0,"unprocessed":\[
		\{"status":"fail","error":"([^"]+)","code":$code,
		"record":\Q$record\E\}\]\}$/x, "$code: $name")
		or diag substr $got, 0, 500;
}

is(last_sequence(), $before, 'nothing of that is stored');

my $mixed = http_json('POST', url(), '{"d":[' . join(',', map {
	($_->[2], good()) } @refused) . ']}')->{json};
is($mixed->{status}, 'partial', 'all of them among good ones');
is($mixed->{processed}, scalar @refused, '... which are taken');
is(join(' ', map { $_->{code} } @{$mixed->{unprocessed}}),
	join(' ', map { $_->[0] } @refused), '... and told apart, in order');
is(last_sequence(), $before + @refused, '... and stored');


# ---- dry runs ----

$before = last_sequence();
my $commits = status()->{store}{events}{commits};
is(upload([ e(), $bad ], '?dryRun=1'), '{"status":"partial","processed":1,'
	. "\"unprocessed\":[$item]}", 'a dry run answers the same');
is(upload([ e() ], '?a=b&dryRun=1'), '{"status":"success","processed":1,'
	. '"unprocessed":[]}', 'with other arguments, too');
is(last_sequence(), $before, 'and stores nothing');
is(status()->{store}{events}{commits}, $commits, 'nor does it commit');
upload([ good() ], '?dryRun=0');
is(last_sequence(), $before + 1, 'dryRun=0 is none');


# ---- time ----

ok_upload(good(ts => $now, time => $now * 1000), 'ts in seconds');
ok_upload(good(ts => $now * 1000 + 123, time => $now * 1000 + 123),
	'ts in milliseconds');
ok_upload(good(ts => "\"$now\"", time => $now * 1000),
	'ts in seconds as a string');
ok_upload(good(ts => undef, time => undef), 'no ts: now');
ok_upload(good(ts => 'null', time => undef), 'ts null: now');
ok_upload(good(ts => 0, time => 0, export => 0), 'ts 0 is long ago');


# ---- names and identities ----

ok_upload(good(evtName => "\"$_\""), "the system event $_") for @catalog;
ok_upload(good(evtName => '"A name \u00e9 \"quoted\" \\\\ of ours"'),
	'a custom event, escaped');
ok_upload(good(evtName => "\"Caf\xc3\xa9 \xf0\x9f\x98\x80\""),
	'a custom event in UTF-8');
ok_upload(good(evtName => '"App \u004caunched"', name => 'App Launched'),
	'a system event, escaped');
ok_upload(good(evtName => '"' . ('n' x 1024) . '"'),
	'an event name of 1,024 bytes');

ok_upload(good(identity => '12345678901234567890',
	user => '12345678901234567890'), 'a numeric identity');
ok_upload(good(identity => '"a\/b \u00fc\ud83d\ude00\""',
	user => 'a\/b \u00fc\ud83d\ude00\"'), 'an escaped identity');
ok_upload(good(identity => "\"$long\""), 'an identity of 512 bytes');
ok_upload(good(objectId => '"_o1"'), 'identity and objectId');
ok_upload(good(identity => undef, objectId => '"_o2"', user => ''),
	'objectId alone');
ok_upload(good(identity => undef, FBID => '"f"', user => '',
	export => 0), 'FBID alone: taken, though nothing to send it by');
ok_upload(good(identity => undef, GPID => '7', email => '"m@example.com"',
	user => 'm@example.com'), 'GPID alone, email as a fallback');
ok_upload(good(identity => '"  "', objectId => '"_o3"', user => ''),
	'a blank identity is none');


# ---- properties ----

ok_upload(good(evtData => undef), 'no evtData');
ok_upload(good(evtData => 'null'), 'evtData null');
ok_upload(good(evtData => '{}'), 'empty evtData');
ok_upload(good(evtData => '{"a":12345678901234567890}'), 'a 20-digit integer');
ok_upload(good(evtData => '{"a":1e400,"b":-1E-400,"c":1.0e+2}'),
	'numbers that no double holds');
ok_upload(good(evtData => '{"a":-0.0,"b":-0,"c":0.10,"d":1.000}'),
	'signs and zeros of numbers');
ok_upload(good(evtData => '{"a":3.14159265358979323846264338327950288}'),
	'a long fraction');
ok_upload(good(evtData => '{"a":"\"\\\\\/\b\f\n\r\t","\u0041":"\u00e9\u0000'
	. '\uFFFF\ud83d\ude00"}'), 'all the escapes');
ok_upload(good(evtData => '{"a":"\ud83d","b":"\ude00\ud83d"}'),
	'halves of surrogates');
ok_upload(good(evtData => "{\"\xc3\xa9\":\"\xe2\x82\xac \xf0\x9f\x98\x80"
	. "\x7f\"}"), 'UTF-8');
ok_upload(good(evtData => "{\"a\" :\ttrue\r\n, \"b\": 1 }"),
	'white space');
ok_upload(good(evtData => '{"a":1,"a":2}'), 'a name twice');
ok_upload(good(evtData => '{"":null,"t":true,"f":false}'), 'an empty name');
ok_upload(good(evtData => "{$props}" =~ s/"p1":1,//r), '256 properties');
ok_upload(good(evtData => '{"a":"' . ('x' x (28_000 - 8 - length
	'"n":' . ($n + 1) . ',')) . '"}'), '28,000 bytes of evtData');
ok_upload(good(evtData => '{"d":"$D_1700000000"}', props => '{"n":' . ($n + 1)
	. ',"d":"2023-11-14T22:13:20.000Z"}'), 'CleverTap\'s dates');
ok_upload(good(evtName => '"Charged"', evtData => '{"Amount":300.50,'
	. '"Items":[{"sku":"a","n":1},{"sku":"b"}]}'), 'Charged with Items');
ok_upload(good(evtName => '"Charged"', evtData => "{\"Items\":[$items]}"),
	'256 Items');

# members in any order; the last of two counts, as JSON parsers have it

ok_upload("{\"evtData\":{\"o\":1},\"ts\":$now,"
	. '"evtName":"App Installed",'
	. '"unknown":{"type":[1]},"evtName":"App Launched","identity":"old",'
	. '"identity":"last","type":"event"}',
	'members in any order, unknown ones, and some twice');
$want{last} = { props => '{"o":1}', name => 'App Launched', user => 'last',
	anonymous => '', time => $now * 1000 };


# ---- how many ----

my $thousand = join ',', map { good() } 1 .. 1000;
is(http_json('POST', url(), "{\"d\":[$thousand]}")->{json}{processed}, 1000,
	'1,000 records');
$before = last_sequence();
my $over = http_json('POST', url(), '{"d":['
	. join(',', map { e() } 1 .. 1001) . ']}');
is($over->{status}, 413, '1,001 are too many');
like($over->{body}, qr/^\{"status":"fail","error":"Too\ many\ records",
	"code":413,"detail":".*1000.*at\ byte\ \d+"\}$/x, '... and told so');
my ($byte) = $over->{body} =~ /at byte (\d+)/;
is($byte, length('{"d":[') + 1000 * (1 + length e()),
	'... at the first that is');
is(last_sequence(), $before, '... and none of them is stored');


# ---- how it may come in ----

my $c = Ctseg::Client->new($t->port(1));
my @kept = map { $c->request('POST', '/1/upload', {}, body(good()))->{json}
	{processed} . ' ' . fileno $c->sock } 1 .. 5;
is(join(' ', @kept), join(' ', ($kept[0]) x 5),
	'five requests by one connection');
$c->close;

my $two = raw($t->port(1), join '',
	request(body(good(), good()), 'Connection: keep-alive'),
	request('{"d":[', 'Connection: keep-alive'),
	request(body(good()), 'Connection: close'));
is(join(' ', $two =~ m{^HTTP/1\.1 (\d+)}mg), '200 400 200', 'pipelined');
is(join(' ', $two =~ /"processed":(\d+)/g), '2 1', '... in their order');

my $text = body(map { good() } 1 .. 20);
my $chunked = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
	unpack '(a97)*', $text;
like(raw($t->port(1), request('', 'Transfer-Encoding: chunked',
	'Connection: close') . "${chunked}0\r\n\r\n"), qr/"processed":20\b/,
	'a chunked body');

$c = Ctseg::Client->new($t->port(1))->connect;
$text = body(good());
$c->send_bytes(request('', 'Expect: 100-continue', 'Connection: close',
	'Content-Length: ' . length $text));
wait_for { sysread $c->sock, $c->{in}, 4096, length $c->{in};
	$c->{in} =~ m{^HTTP/1\.1 100 .*\r\n\r\n} } 5, '100 Continue';
pass('Expect: 100-continue is answered');
$c->send_bytes($text);
is($c->read_answer->{json}{processed}, 1, '... and then the body');

like(raw($t->port(1), request(body(good())) =~ s{HTTP/1\.1}{HTTP/1.0}r),
	qr{^HTTP/1\.1 200 .*"processed":1\b}s, 'HTTP/1.0');
is(http('POST', url(), { 'Content-Type' => "application/json; charset=utf-8" },
	body(good()))->{json}{processed}, 1, 'a type with a charset');
is(http('POST', url(), {}, body(good()))->{json}{processed}, 1, 'no type');
is(http_json('POST', url(), body(good()), { 'Content-Encoding' =>
	'identity' })->{json}{processed}, 1, 'the encoding "identity"');

$text = body(map { good() } 1 .. 900);
is(http_json('POST', url('/1/file'), $text)->{json}{processed}, 900,
	'a body larger than the buffer');
like($t->error_log, qr/request body is buffered to a temporary file/,
	'... went through a file');
is(http_json('POST', url('/1/clean'), body(map { good() } 1 .. 30))->{json}
	{processed}, 30, 'a body that is always in a file');
is(http_json('POST', url('/1/file'), '')->{status}, 400, 'no body at all');

# nginx's own mirror taps a location that goes on to CleverTap

$before = last_sequence();
is(http_json('POST', url('/tapped'), body(good(), good()))->{body},
	"clevertap\n", 'a tapped location answers for itself');
wait_for { last_sequence() == $before + 2 } 10, 'mirrored events';
pass('... and its events are stored');


# ---- what was collected ----

$t->quit;

my @log = split /\n/, $t->read_file('ctseg.log');
is($log[0], '/1/upload 200 1', 'events accepted are in the access log');
is($log[3], '/1/upload 200 0', '... none of a bad one');
is($log[4], '/1/upload 200 2', '... two of four');
is((grep { m{^/1/file} } @log)[0], '/1/file 200 900', '... 900 by file');
is(scalar(grep { $_ eq '/1/upload 400 0' } @log), 1, '... none of bad JSON');
is(scalar(grep { m{^/ctseg/api} && !/ 200 -$/ } @log), 0,
	'... and no number where nothing is collected');

$t->run;


# ---- and what of it arrives ----

my $partner = api('POST', '/partners', { nickname => 'p', write_key => 'k' });
my $export = api('POST', '/exports', { partner_id => $partner->{id},
	type => 'event', events => { set => 'all' },
	frequency => { kind => 'one_time', map { $_ => strftime('%Y-%m-%d',
		gmtime($_ eq 'from' ? $now : time)) } qw/ from to / } });
$export = wait_for { my $e = api('GET', "/exports/$export->{id}");
	$e->{status} eq 'DONE' && $e } 30, 'the export';

my %got;
my $wrong = 0;
$s->each_event(sub {
	my ($e) = @_;
	my ($props) = $e->{raw} =~ /"properties":(\{.*\})\}\z/s;
	my ($key) = $props =~ /^\{"n":(\d+)/;

	# what has no number is known by its user

	push @{$got{$key // $e->{user}}}, { %$e, props => $props };
});

my $sent = 0;
for my $key (sort keys %want) {
	my $w = $want{$key};
	my $list = delete $got{$key} || [];
	my $times = $w->{export} // 1;
	$sent += $times;
	my $why = @$list == $times ? '' : 'sent ' . @$list . ' times';

	for my $e (@$list) {
		my $ts = $e->{timestamp};
		$why .= " properties $e->{props}"
			if $e->{props} ne $w->{props};
		$why .= " event $e->{name}" if $e->{name} ne $w->{name};
		$why .= " userId $e->{user}" if $e->{user} ne $w->{user};
		$why .= " anonymousId $e->{anonymous}"
			if $e->{anonymous} ne $w->{anonymous};
		$why .= " timestamp $ts" if defined $w->{time}
			? $ts ne rfc3339($w->{time})
			: $ts lt rfc3339(($now + 7200) * 1000 - 1000)
				|| $ts gt rfc3339(time * 1000);
	}
	next if $why eq '';
	$wrong++;
	diag substr "event $key: $why", 0, 1000;
}

is($wrong, 0, 'all that was acknowledged arrives as it came');
is(join(' ', keys %got), '', 'and nothing else');
is_deeply([ $s->violations ], [], 'without breaking a rule of Segment');
is($export->{last_run}{sent}, $sent, 'as the run says');
is_deeply($export->{last_run}{rejected_by_reason}, { no_id => 1,
	too_large => 0, refused => 0, expired => 0, no_name => 0,
	damaged => 0, future_time => 0 },
	'but for the one without an id');
cmp_ok($sent, '>', 2000, 'which are many');

$t->finish;
done_testing;


# one record with these members, as JSON text; undef leaves one out

sub e {
	my (%o) = @_;
	my %m = (type => '"event"', identity => '"x"',
		evtName => '"App Launched"', ts => $now, evtData => '{}', %o);
	return '{' . join(',', map { "\"$_\":$m{$_}" }
		grep { defined $m{$_} } sort keys %m) . '}';
}

# a record to be taken, with number n, and how it must arrive: user, name and
# time (ms; undef: now), if they are not what they were; export => 0: never

sub good {
	my (%o) = @_;
	my %w;
	for my $k (qw/ user name time export props /) {
		$w{$k} = delete $o{$k} if exists $o{$k};
	}
	$n++;

	$o{identity} = "\"u$n\"" unless exists $o{identity};
	$o{evtData} = "{\"n\":$n}" unless exists $o{evtData};
	$o{evtData} =~ s/^\{"/{"n":$n,"/ if defined $o{evtData}
		&& $o{evtData} !~ /^\{"n":/;

	my $props = $o{evtData} // 'null';
	my $key = $props =~ /^\{"n"/ ? $n : "u$n";

	$want{$key} = { props => $props eq 'null' ? '{}' : $props,
		name => ($o{evtName} // '"App Launched"') =~ s/^"|"$//gr,
		user => ($o{identity} // '') =~ s/^"|"$//gr,
		anonymous => ($o{objectId} // '') =~ s/^"|"$//gr,
		time => $now * 1000, %w };
	return e(%o);
}

sub ok_upload {
	my ($record, $name) = @_;
	my $got = upload([ $record ]);
	ok($got eq '{"status":"success","processed":1,"unprocessed":[]}',
		$name) or diag substr "$record: $got", 0, 1000;
	return;
}

sub body { return '{"d":[' . join(',', @_) . ']}' }

sub upload {
	my ($records, $query) = @_;
	my $r = http_json('POST', url() . ($query // ''), body(@$records));
	return "$r->{status} $r->{body}" if $r->{status} != 200;
	return $r->{body} =~ s/\n\z//r;
}

sub request {
	my ($body, @headers) = @_;
	push @headers, 'Content-Length: ' . length $body if length $body;
	return join "\r\n", 'POST /1/upload HTTP/1.1', 'Host: x',
		'Content-Type: application/json', @headers, '', $body;
}

sub url { return $t->url(1, $_[0] // '/1/upload') }

sub api {
	my ($method, $path, $data) = @_;
	return http_json($method, $t->url(1, "/ctseg/api$path"),
		$data)->{json};
}

sub status { return api('GET', '/status') }

sub last_sequence { return status()->{sequence}{last} }

sub rfc3339 {
	my ($ms) = @_;
	return strftime('%Y-%m-%dT%H:%M:%S', gmtime int($ms / 1000))
		. sprintf '.%03dZ', $ms % 1000;
}
