#!/usr/bin/env perl

# The harness itself: other tests are worth what these libraries notice.  The
# mock Segment must catch each broken rule; nginx's wrapper must see alerts,
# crashes and processes that stay.  Runs without the module.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use MIME::Base64 qw/ encode_base64 /;
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Client qw/ http http_json json_decode json_encode raw wait_for
	parallel_posts /;
use Ctseg::Clock;
use Ctseg::Data qw/ upload_body upload_bodies @system @engagement @catalog /;
use Ctseg::Nginx;
use Ctseg::Prom;
use Ctseg::Segment;

my $dir = File::Temp::tempdir('ctseg-mock-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $s = Ctseg::Segment->new(dir => $dir);
my $serial = 0;


# ---- the mock: what is right passes ----

my $a = batch(map { event() } 1 .. 3);
is($a->{status}, 200, 'a good batch is taken');
is_deeply($a->{json}, { success => JSON::PP::true }, 'as Segment says it');
is_deeply([ $s->violations ], [], 'without violation');
is($s->count_accepted, 3, 'its events count');

my ($e) = $s->events;
is($e->{name}, 'App Launched', 'event name is recorded');
is($s->decode($e)->{properties}{n}, 1, 'properties can be decoded');
is_deeply({ $s->property_counts('n') }, { 1 => 1, 2 => 1, 3 => 1 },
	'events are recognised by a property');

my @same = map { event() } 1 .. 2;
batch(@same) for 1 .. 2;
is_deeply([ $s->violations ], [], 'the same events again are a retry');
is($s->count_accepted, 7, 'accepted twice');
is($s->count_unique, 5, 'but the same');

batch(event(type => 'identify', event => undef, properties => undef,
	traits => { Name => 'x' }));
batch(event(userId => undef, anonymousId => 'a'));
batch(event(properties => { a => [ { b => {} }, "\"\\\n\x{e9}" ], c => -1.5,
	d => undef, n => 0 }));
is_deeply([ $s->violations ], [], 'other shapes of events are fine');


# ---- the mock: each broken rule is noticed ----

my $big = 'x' x 31_000;
my @known;

for my $case (
	[ 'no message id', qr/no messageId/, { messageId => undef } ],
	[ 'empty message id', qr/no messageId/, { messageId => '' } ],
	[ 'message id of 100', qr/messageId of 100/,
		{ messageId => 'm' x 100 } ],
	[ 'number as message id', qr/messageId is no string/,
		{ messageId => 7 } ],
	[ 'no type', qr/type is absent/, { type => undef } ],
	[ 'unknown type', qr/type is page/, { type => 'page' } ],
	[ 'track without event', qr/track without event/,
		{ event => undef } ],
	[ 'track with empty event', qr/track without event/,
		{ event => '' } ],
	[ 'identify with event', qr/identify with event/,
		{ type => 'identify', properties => undef } ],
	[ 'no id at all', qr/neither userId/, { userId => undef } ],
	[ 'empty user id', qr/neither userId/, { userId => '' } ],
	[ 'empty beside a good one', qr/empty userId/,
		{ userId => '', anonymousId => 'a' } ],
	[ 'sentAt in an event', qr/sentAt in an event/,
		{ sentAt => '2026-01-01T00:00:00.000Z' } ],
	[ 'no timestamp', qr/timestamp is absent/, { timestamp => undef } ],
	[ 'timestamp without milliseconds', qr/timestamp is 2026/,
		{ timestamp => '2026-01-01T00:00:00Z' } ],
	[ 'timestamp of month 13', qr/timestamp is 2026/,
		{ timestamp => '2026-13-01T00:00:00.000Z' } ],
	[ 'timestamp as a number', qr/timestamp is no string/,
		{ timestamp => 1767225600 } ],
	[ 'properties as an array', qr/properties is no object/,
		{ properties => [] } ],
	[ 'unknown member', qr/unknown evtName/, { evtName => 'x' } ],
	[ 'event of 32,000 bytes', qr/event 1: 32000 bytes/,
		{ properties => { p => 'x' x (32_000
			- length json_encode(event(properties =>
				{ p => '' }, serial => $serial + 1))) },
		serial => $serial + 1 } ],
	)
{
	my ($name, $re, $change) = @$case;
	my $before = $s->count_accepted;
	my $answer = batch(event(%$change));
	noticed($name, $re);
	is($answer->{status}, 200, '... behind a 200');
	is($s->count_accepted, $before, '... and the event does not count');
}

batch(event(properties => { p => 'x' x (31_999
	- length json_encode(event(properties => { p => '' },
		serial => $serial + 1))) }, serial => $serial + 1));
is_deeply([ new_violations() ], [], 'an event of 31,999 bytes is fine');

batch(event(messageId => 'one', userId => 'a'));
batch(event(messageId => 'one', userId => 'b'));
noticed('id with other content', qr/messageId one with other content/);

my $twice = event();
batch($twice, $twice);
noticed('an event twice in a batch', qr/twice in a batch/);

batch(map { event(properties => undef) } 1 .. 2_500);
is_deeply([ new_violations() ], [], '2,500 events are fine');
my $before = $s->count_accepted;
batch(map { event(properties => undef) } 1 .. 2_501);
noticed('2,501 events', qr/2501 events/);
is($s->count_accepted, $before, '... are dropped');

is(batch(map { event(properties => { p => $big }) } 1 .. 17)->{status},
	400, 'a body above 500,000 bytes is refused');
noticed('it', qr/body of \d+ bytes/);
is(scalar(grep { $_->{bytes} > 500_000 } $s->oversize), 1,
	'and listed as oversize');

post(body([ event() ], sentAt => '2026-01-01T00:00:00.000Z'));
noticed('sentAt at the top', qr/sentAt at the top/);
post(body([ event() ], timestamp => '2026-01-01T00:00:00.000Z'));
noticed('timestamp at the top', qr/timestamp at the top/);
post(body([ event() ], writeKey => undef));
noticed('no write key', qr/no writeKey/);
post(body([ event() ]), Authorization => undef);
noticed('no authorization', qr/no Authorization/);
post(body([ event() ]), Authorization => 'Basic '
	. encode_base64('other:', ''));
noticed('another key in the header', qr/does not belong/);
post(body([ event() ]), Authorization => 'Basic '
	. encode_base64('key', ''));
noticed('a key without colon', qr/does not belong/);
post(body([ event() ]), 'Content-Type' => 'text/plain');
noticed('another content type', qr/content type is text/);
post(body([ event() ]), 'Content-Encoding' => 'gzip');
noticed('a content encoding', qr/content encoding/);
post(body([]));
noticed('an empty batch', qr/empty batch/);
post('{"writeKey":"key"}');
noticed('no batch', qr/no batch/);

for my $bad ('', '{', '[]', '{"writeKey":"key","batch":[{}', '{"batch":[1]}',
	'{"writeKey":"key","batch":[{"a":01}]}',
	'{"writeKey":"key","batch":[{"a":"' . "\n" . '"}]}',
	'{"writeKey":"key","batch":[{"a":"\\x"}]}',
	'{"writeKey":"key","batch":[{"a":{"b":[1,]}}]}',
	'{"writeKey":"key","batch":[{"a":1,}]}',
	'{"writeKey":"key","batch":[{"a":1}]}}')
{
	is(post($bad)->{status}, 400, 'no JSON: ' . ($bad =~ s/\n/\\n/r));
	noticed('it', qr/not JSON/);
}

post(body([ event(userId => 'U') ]) =~ s/"U"/"\xff"/r);
noticed('bytes that are not UTF-8', qr/not UTF-8/);
post(body([ event(userId => 'U') ]) =~ s/"U"/"U","userId":"U"/r);
noticed('a member twice', qr/userId twice/);
is(http('POST', $s->url('/v1/track'), {}, '{}')->{status}, 404,
	'another path is not found');
noticed('it', qr{unexpected POST /v1/track});
http('GET', $s->url);
noticed('another method', qr/unexpected GET/);


# ---- the mock: answers ----

$s->script({ status => 429, headers => { 'Retry-After' => 7 } },
	{ status => 500, times => 2, body => 'oops' },
	{ status => 201, body => { ok => 1 } });
is($s->script_left, 4, 'the script waits');
my $r = batch(event());
is("$r->{status} $r->{headers}{'retry-after'}", '429 7', 'first answer');
is(batch(event())->{status}, 500, 'second answer');
is(batch(event())->{body}, 'oops', 'third answer');
is(batch(event())->{json}{ok}, 1, 'fourth answer');
is($s->script_left, 0, 'the script is at its end');
is(batch(event())->{status}, 200, 'then the default');

$s->default(status => 503);
is(batch(event())->{status}, 503, 'another default');
$s->default();

$s->rules({ when => { event => 'Poison', min_events => 2 }, status => 400 },
	{ when => { contains => 'Teapot' }, times => 1, status => 418 });
is(batch(event(), event(event => 'Poison'))->{status}, 400, 'rule by event');
is(batch(event(event => 'Poison'))->{status}, 200, 'rule by size of batch');
is(batch(event(event => 'Teapot'))->{status}, 418, 'rule that ends');
is(batch(event(event => 'Teapot'))->{status}, 200, 'after its last time');
$s->rules();

$before = $s->count_accepted;
$s->script({ close => 'before' }, { close => 'mid_header' },
	{ close => 'mid_body' }, { close => 'before', accept => 1 },
	{ close => 'before', rst => 1 });
like(broken(), qr/before the answer/, 'closed before the answer');
is($s->count_accepted, $before, 'the events were not taken');
like(broken(), qr/in the answer/, 'closed in the header');
like(broken(), qr/in the answer/, 'closed in the body');
is($s->count_accepted, $before + 2, 'those were taken');
like(broken(), qr/before the answer/, 'closed, and yet taken');
is($s->count_accepted, $before + 3, 'as the script says');
like(broken(), qr/before the answer/, 'reset');

$s->script({ hang => 1 });
my $c = Ctseg::Client->new($s->port, timeout => 0.3);
eval { $c->request('POST', '/v1/batch', headers(), body([ event() ])) };
like($@, qr/deadline/, 'no answer at all');
$c->close;

$s->script({ delay => 0.3 });
my $start = time;
is(batch(event())->{status}, 200, 'late answer');
cmp_ok(time - $start, '>=', 0.29, 'is late');

$s->script({ drip => 0.05, what => 'slow' });
$start = time;
is(batch(event())->{body}, '{"success":true}', 'an answer bit by bit');
cmp_ok(time - $start, '>=', 0.29, '... takes its time');
is(($s->requests)[-1]{what}, 'slow', '... and is on record by its name');
is($s->stats->{cut}, 0, 'all requests were whole');
my $half = Ctseg::Client->new($s->port)->connect;
$half->send_bytes("POST /v1/batch HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
$half->close;
wait_for { $s->stats->{cut} == 1 } 5, 'one that was cut';

$s->script({ hold => 1 }, { hold => 1, status => 500 });
my @conn = map { my $k = Ctseg::Client->new($s->port)->connect;
	$k->send_bytes(Ctseg::Client::format_request($s->port, 'POST',
		'/v1/batch', headers(), body([ event() ]))); $k } 1 .. 2;
wait_for { $s->stats->{held} == 2 } 5, 'held answers';
is(scalar(grep { !defined $_->{status} } $s->requests), 2,
	'requests are on record before their answer');
is($s->release(1), 1, 'one is released');
is($s->release, 1, 'the other one too');
is_deeply([ sort map { $_->read_answer->{status} } @conn ], [ 200, 500 ],
	'both arrive');

my $k = Ctseg::Client->new($s->port);
my $accepted = $s->stats->{accepted};
$k->request('POST', '/v1/batch', headers(), body([ event() ])) for 1 .. 5;
is($s->stats->{accepted}, $accepted + 1, 'connections are kept alive');

my $text = body([ event() ]);
my %h = %{headers()};
like(raw($s->port, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nConnection: close"
	. "\r\nContent-Type: application/json\r\nAuthorization: "
	. "$h{Authorization}\r\nTransfer-Encoding: chunked\r\n\r\n"
	. sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 10,
		substr($text, 0, 10), length($text) - 10,
		substr($text, 10))), qr/^HTTP\/1.1 200 /, 'a chunked body');
is_deeply([ new_violations() ], [], 'all of these were good batches');

$s->script({ early => 1, status => 413 });
like(raw($s->port, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: "
	. "1000000\r\n\r\n"), qr/^HTTP\/1.1 413 /, 'answer to the header');

$s->stop;
ok(!IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->port),
	'a stopped mock refuses');
$s->start;
is(batch(event())->{status}, 200, 'and comes back');
batch(event(messageId => 'one', userId => 'c'));
noticed('an id from before the stop', qr/one with other content/);


# ---- the mock: fast enough ----

$s->forget;
is($s->count_accepted, 0, 'the record can be forgotten');
@known = ();

my @bodies;
for my $i (0 .. 39) {
	push @bodies, '{"writeKey":"key","batch":[' . join(',', map {
		my $n = $i * 1000 + $_;
		"{\"type\":\"track\",\"messageId\":\"fast-$n\",\"userId\":"
		. "\"u$n\",\"anonymousId\":\"_a$n\",\"event\":\"Notification"
		. " Clicked\",\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"p"
		. "roperties\":{\"n\":$n,\"Campaign id\":\"1700000001\",\"Ca"
		. "mpaign type\":\"Push\",\"City\":\"M\xc3\xbcnchen\"},\"con"
		. "text\":{\"library\":{\"name\":\"ctseg\",\"version\":\"0.1"
		. "\"},\"integration\":{\"name\":\"clevertap\",\"version\":"
		. "\"1.0.0\"}}}" } 1 .. 1000) . ']}';
}
$start = time;
my @r = parallel_posts($s->port, '/v1/batch', \@bodies, connections => 4,
	headers => headers());
is(scalar(grep { $_->{status} == 200 } @r), 40, 'forty large batches');
my $seconds = time - $start;
$start = time;
is($s->count_accepted, 40_000, '40,000 events');
is(scalar keys %{{ $s->property_counts('n') }}, 40_000, 'are different');
note(sprintf '40,000 events of %d bytes: checked in %.2f s, read in %.2f s',
	length($bodies[0]) / 1000, $seconds, time - $start);
is_deeply([ $s->violations ], [], 'without violation');
cmp_ok($seconds, '<', 30, 'in reasonable time');


# ---- data ----

is(scalar @system, 21, '21 system events');
is(scalar @engagement, 18, '18 engagement events');
is(scalar @catalog, 23, '23 names in all');
my $data = json_decode(upload_body(100, realistic => 1, id => 'mixed',
	custom => 0.3, ts => 1767225600));
is(scalar @{$data->{d}}, 100, 'an upload body is JSON');
is($data->{d}[42]{evtData}{n}, 42, 'with numbered records');
is(upload_body(10, ts => 1, seed => 3), upload_body(10, ts => 1, seed => 3),
	'the same seed gives the same');
isnt(upload_body(10, ts => 1, seed => 3), upload_body(10, ts => 1, seed => 4),
	'another one does not');
my @up = upload_bodies(3, 10, ts => 1);
is(json_decode($up[2])->{d}[9]{evtData}{n}, 29, 'bodies go on numbering');


# ---- nginx ----

my $t = Ctseg::Nginx->new(module => '', workers => 2);
$t->conf(<<'EOC');

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:%%PORT_1%%;
        server_name  localhost;

        location / {
            return 200 "one";
        }

        location /chunked {
            alias %%TESTDIR%%/page;
            ssi on;
            ssi_types *;
        }
    }
}

EOC

is(join(' ', $t->test_config), '0 ' . ($t->test_config)[1], 'nginx -t');
$t->write_file('page', 'a<!--# echo var="x" default="b" -->c')->run;

is(http('GET', $t->url(1))->{body}, 'one', 'nginx answers');
is(http('GET', $t->url(1, '/chunked'))->{body}, 'abc', 'in chunks too');
my @old = $t->worker_pids;
is(scalar @old, 2, 'two workers');

$t->write_file('nginx.conf', $t->read_file('nginx.conf') =~ s/"one"/"two"/r);
$t->reload(wait_old => 1);
is(http('GET', $t->url(1))->{body}, 'two', 'reload');
isnt(join(' ', $t->worker_pids), join(' ', @old), 'other workers');

my @storm = parallel_posts($t->port(1), '/', [ map { "{$_}" } 1 .. 200 ],
	on_answer => sub { $_[0] < 1000 });
is(scalar(grep { $_->{status} == 200 } @storm), 200, 'parallel posts');

my $good = $t->read_file('nginx.conf');
$t->write_file('nginx.conf', "$good\nnonsense;\n");
my ($code, $out) = $t->test_config;
is($code, 1, 'nginx -t finds a mistake');
like($out, qr/unknown directive "nonsense"/, 'and names it');
eval { $t->reload };
like($@, qr/reload refused.*nonsense/s, 'a reload with it dies');
$t->allow_alert(qr/unknown directive "nonsense"/);
$t->write_file('nginx.conf', $good);

my ($pid) = $t->worker_pids;
$t->kill_worker($pid);
is(scalar(grep { $_ == $pid } $t->worker_pids), 0, 'a killed worker is gone');

my @all = ($t->master_pid, $t->worker_pids);
$t->kill9;
is(scalar(grep { alive($_) } @all), 0, 'power cut');
is((eval { parallel_posts($t->port(1), '/', [ '{}' ]) })[0]{status}, 0,
	'nobody answers');
$t->run;
is(http('GET', $t->url(1))->{body}, 'two', 'after the power cut');
$t->quit;
ok(!$t->running, 'quit');
$t->restart;
is(http('GET', $t->url(1))->{body}, 'two', 'restart');
$t->finish;

# a new binary is watched as the old one was

my $clock = Ctseg::Clock->new;
$t = Ctseg::Nginx->new(module => '', daemon => 1, preload => $clock->preload,
	env => $clock->env);
$t->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_1%%;
    }
}

EOC

my $was = $t->upgrade;
isnt($t->master_pid, $was, 'another master');
my ($heir) = $t->worker_pids;
my $maps = $t->read_file("/proc/$heir/maps");
like($maps, qr{/ctseg_clock\.so$}m, 'its worker has what the old ones had');
like($maps, qr{/clock$}m, '... and knows what they were told');
kill 'QUIT', $was;
wait_for { !kill 0, $was } 20, 'the end of the first';
$t->finish;

# what a test must not overlook

for my $case (
	[ 'an alert fails', 'kill 9, ($t->worker_pids)[0];'
		. ' 1 while $t->error_log !~ /signal 9/; $t->finish;',
		qr/^not ok \d+ - no alert/m ],
	[ 'an emergency fails', '$t->write_file("error.log", $t->error_log'
		. ' . "[emerg] x\n"); $t->finish;',
		qr/^not ok \d+ - no emergency/m ],
	[ 'a sanitizer report fails', '$t->write_file("sanitizer.1",'
		. ' "==1==ERROR: AddressSanitizer: x\n"); $t->finish;',
		qr/^not ok \d+ - no sanitizer/m ],
	[ 'undefined behaviour fails', '$t->write_file("nginx.out",'
		. ' "a.c:1:2: runtime error: x\n"); $t->finish;',
		qr/^not ok \d+ - no sanitizer/m ],
	[ 'a core file fails', '$t->write_file("core.1", ""); $t->finish;',
		qr/^not ok \d+ - no core/m ],
	[ 'a process left fails', 'pipe my $r, my $w; my $p = fork // die;'
		. ' if (!$p) { chdir $t->testdir; exec "sleep", 60 } close $w;'
		. ' <$r>; $t->finish; waitpid $p, 0;',
		qr/^not ok \d+ - no process/m ],
	[ 'a shim that a worker has not fails', '$t->{preload} = [ Ctseg::'
		. 'Nginx::shim("ctseg_hurry") ]; $t->{seen} = {};'
		. ' $t->finish;', qr/^not ok \d+ - in each worker/m ],
	[ 'a missing finish fails', '', qr/^not ok - .*finish/m ],
	[ 'a death fails', 'die "x";', qr/^not ok - .*finish/m ],
	)
{
	my ($name, $code, $re) = @$case;
	my $conf = $good;
	my $script = <<'EOC' . $code . "\npass('x'); done_testing;\n";
use strict; use warnings; use Test::More; use Ctseg::Nginx;
my $t = Ctseg::Nginx->new(module => '')->conf(<<'EOF')->run;
%%GLOBALS%%
events { }
http { %%GLOBALS_HTTP%%
server { listen 127.0.0.1:%%PORT_1%%; } }
EOF
print "# dir ", $t->testdir, " pids ", join(' ', $t->master_pid,
	$t->worker_pids), "\n";
EOC
	my $file = "$dir/case.t";
	open my $f, '>', $file or die;
	print $f $script;
	close $f;
	delete local $ENV{CTSEG_TEST_LEAVE};
	my $out = qx{$^X -I$FindBin::Bin/lib $file 2>/dev/null};
	my $status = $?;
	like($out, $re, $name);
	isnt($status, 0, '... by its exit code too');
	my ($d, @pids) = $out =~ /^# dir (\S+) pids (\d+) (\d+)/m;
	ok(!-e $d, '... its directory is gone');
	ok(!(grep { alive($_) } @pids), '... and its processes');
}

$s->stop;

# ---- Prometheus' text ----

my $page = <<'EOP';
# HELP a_total What it is.
# TYPE a_total counter
a_total{x="1",y="\"\\\n"} 5
a_total{x="2"} 0.25
# HELP g What it is.
# TYPE g gauge
# HELP h What it is.
# TYPE h histogram
h_bucket{z="1",le="0.5"} 2
h_bucket{z="1",le="10"} 2
h_bucket{z="1",le="+Inf"} 3
h_sum{z="1"} 17
h_count{z="1"} 3
EOP

my $m = Ctseg::Prom->new($page);
is_deeply({ $m->families }, { a_total => 'counter', g => 'gauge',
	h => 'histogram' }, 'a page is read');
is($m->value('a_total', y => "\"\\\n", x => 1), 5, 'its values');
is($m->value('a_total', x => 1), undef, '... by all labels');
is($m->sum('a_total'), 5.25, '... or all of them');
is_deeply([ $m->fallen($m) ], [], 'a count may stay');
is_deeply([ Ctseg::Prom->new($page =~ s/ 0.25/ 0.2/r)->fallen($m),
	Ctseg::Prom->new($page =~ s/a_total.*2"} .*\n//r)->fallen($m) ],
	[ 'a_total x=2 0.25 0.2', 'a_total x=2 0.25 gone' ],
	'... and must not fall or go');

for my $case (
	[ 'no TYPE', sub { s/# TYPE g gauge\n// } ],
	[ 'no HELP', sub { s/# HELP g .*\n// } ],
	[ 'a type behind its samples', sub {
		s/(# TYPE a_total counter\n)(a_total.*\n)/$2$1/ } ],
	[ 'another type', sub { s/gauge/number/ } ],
	[ 'a counter without _total', sub { s/a_total/a/g } ],
	[ 'a family twice', sub { s/# HELP g/# HELP a_total/;
		s/# TYPE g gauge/# TYPE a_total counter/ } ],
	[ 'a sample of another family', sub { s/^h_sum/i_sum/m } ],
	[ 'a sample twice', sub { s/x="2"/x="1",y="\\"\\\\\\n"/ } ],
	[ 'a label twice', sub { s/x="2"/x="2",x="3"/ } ],
	[ 'a quote in a label', sub { s/x="2"/x="2"3"/ } ],
	[ 'an unknown escape', sub { s/x="2"/x="\\t"/ } ],
	[ 'a comma too many', sub { s/x="2"/x="2",/ } ],
	[ 'no number', sub { s/ 0.25/ nan/ } ],
	[ 'no value', sub { s/ 0.25// } ],
	[ 'an empty line', sub { s/^# HELP g/\n# HELP g/m } ],
	[ 'no end of the line', sub { s/\n\z// } ],
	[ 'fewer in a larger bucket', sub { s/"10"} 2/"10"} 1/ } ],
	[ 'bounds that fall', sub { s/le="10"/le="0.1"/ } ],
	[ 'no bucket for the rest', sub { s/h_bucket.*Inf.*\n// } ],
	[ 'another count', sub { s/h_count(.*) 3/h_count$1 4/ } ],
	[ 'no count', sub { s/h_count.*\n// } ],
	[ 'no sum', sub { s/h_sum.*\n// } ],
	[ 'a sum without buckets', sub { s/h_sum.*\n/$&h_sum 0\n/ } ],
	)
{
	my ($what, $edit) = @$case;
	local $_ = $page;
	$edit->();
	my $other = $_ ne $page;
	ok($other && !eval { Ctseg::Prom->new($_); 1 }, "metrics: $what")
		or diag($_);
}

done_testing;


# ---- helpers ----

sub event {
	my (%o) = @_;
	my $n = delete $o{serial} // ++$serial;
	my %e = (type => 'track', messageId => sprintf('m-%08d', $n),
		event => 'App Launched', userId => "u-$n",
		timestamp => '2026-01-02T03:04:05.678Z',
		properties => { n => $n }, %o);
	for (keys %e) {
		delete $e{$_} unless defined $e{$_};
	}
	return \%e;
}

sub body {
	my ($events, %o) = @_;
	my %b = (writeKey => 'key', batch => $events, %o);
	for (keys %b) {
		delete $b{$_} unless defined $b{$_};
	}
	return json_encode(\%b);
}

sub headers {
	return { 'Content-Type' => 'application/json',
		Authorization => 'Basic ' . encode_base64('key:', ''), @_ };
}

sub post {
	my ($text, %h) = @_;
	return http('POST', $s->url, headers(%h), $text);
}

sub batch { return post(body([ @_ ])) }

sub broken {
	my $c = Ctseg::Client->new($s->port);
	eval { $c->request('POST', '/v1/batch', headers(),
		body([ event() ])) };
	return $@;
}

sub new_violations {
	my @v = $s->violations;
	my @new = @v[scalar(@known) .. $#v];
	@known = @v;
	return @new;
}

sub noticed {
	my ($name, $re) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @new = new_violations();
	ok((grep { /$re/ } @new) && @new < 3, "$name is noticed")
		or diag(join "\n", @new ? @new : 'nothing');
	return;
}

# a zombie that nobody has collected yet is dead

sub alive { return Ctseg::Nginx::_alive($_[0]) }
