#!/usr/bin/env perl

# POST /partners/{id}/test: one marked event goes the way of the batches, and
# the answer says how far it came: resolve, connect, post.  Each way to fail
# is laid for it by another configuration of the location, or by the mock.
# What could fool it: a test that calls everything fine, so each failure must
# be found in its own step, with the steps behind it not reached; and a mock
# that was never asked, so the event itself is looked at.  Then the unusual
# hours: a client that does not wait, a reload, a quit, a Segment that never
# answers while nginx wants to end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http http_json wait_for /;
use Ctseg::Dns;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 1);
my $s = Ctseg::Segment->new(dir => $t->testdir);
my $dns = Ctseg::Dns->new('segment.test' => '127.0.0.1',
	'silent.test' => undef);

my $conf = <<'EOC';

%%GLOBALS%%
%%MAIN%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;

    proxy_cache_path %%TESTDIR%%/cache keys_zone=cached:1m;

    log_format delivery '$ctseg_export,$ctseg_run,$ctseg_batch_events,'
                        '$ctseg_attempt,$status';

    upstream two {
        server 127.0.0.1:%%PORT_6%%;
        server 127.0.0.1:%%PORT_9%%;
    }

    upstream kept {
        server 127.0.0.1:%%PORT_9%%;
        keepalive 2;
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /ctseg/read/ {
            ctseg_api;
        }

        location = /segment/us {
            internal;
            log_subrequest on;
            access_log %%TESTDIR%%/delivery.log delivery;
            set $port %%PORT_9%%;
            %%WAY%%
        }

        ctseg_segment us /segment/us;
    }
}

EOC

my $way;

sub way {
	($way, my $main) = @_;
	$t->conf($conf, WAY => $way, MAIN => $main // '');
	$t->running ? $t->reload(wait_old => 1) : $t->run;
	return;
}

$t->set_port(9, $s->port)->set_port(7, $dns->port);
my $mock = '127.0.0.1:' . $s->port;
my $plain = 'proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;';
way($plain);

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $key = 'thisKeyIsSecret4711';
my $nickname = "A \"caf\xc3\xa9\" \\ \xf0\x9f\x98\x80";
utf8::decode(my $decoded = $nickname);
my $partner = $api->partner(write_key => $key, nickname => $decoded);
my $path = "/partners/$partner/test";


# ---- it works ----

my $r = test('ok', '200', [ resolve => 1, qr/^\Q$mock\E$/ ], [ connect => 1 ],
	[ post => 1, qr/^Segment answered 200$/ ]);
my ($request) = $s->requests;
my ($event) = map { $s->decode($_) } $s->events;
like($r->{message_id}, qr/^ctseg-[0-9a-f]{16}-[0-9a-f]{16}-test-[0-9a-f]{11}$/,
	'an id that no event of the log has');
is($api->get('/status')->{json}{installation_id},
	($r->{message_id} =~ /-(\w+)/)[0], '... of this installation');
is_deeply($event, { type => 'track', event => 'ctseg Connection Test',
	anonymousId => 'ctseg-test', messageId => $r->{message_id},
	timestamp => $r->{tested_at}, properties => { test =>
	JSON::PP::true, partner => $decoded } }, 'the event says what it is');
is($request->{write_key}, $key, '... with the key of the partner');
is($s->stats->{requests}, 1, '... once');
wait_for { $t->read_file('delivery.log') =~ /\n/ } 5, 'the log';
is($t->read_file('delivery.log'), "-,-,1,1,200\n",
	'the variables of an export are not there');


# ---- Segment does not take it ----

for my $status (202, 400, 401, 429, 500, 503, 301) {
	$s->script({ status => $status, ($status == 301
		? (headers => { Location => 'http://127.0.0.1/' }) : ()) });
	my $ok = $status == 202 ? 1 : 0;
	test("Segment answers $status", $ok, [ resolve => 1 ],
		[ connect => 1 ], [ post => $ok,
		qr/^Segment answered $status$/ ]);
}

for my $where (qw/ before mid_header mid_body /) {
	$s->script({ close => $where });
	test("an answer that ends: $where", 0, [ resolve => 1 ],
		[ connect => 1 ], [ post => 0, $where eq 'before'
		? qr/no answer/ : qr/cut short/ ]);
}


# ---- nobody there ----

way('proxy_pass http://127.0.0.1:%%PORT_6%%/v1/batch;');
my $nobody = '127.0.0.1:' . $t->port(6);
test('refused', 0, [ resolve => 1, qr/^\Q$nobody\E$/ ],
	[ connect => 0, qr/^no connection to \Q$nobody\E, see/ ], [ 'post' ]);

# a queue that is full lets nobody in and says nothing

my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
	or die "listen: $!\n";
my $port = $full->sockport;
my @in = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', Blocking => 0,
	PeerPort => $port) } 1 .. 8;
my $pass = "proxy_pass http://127.0.0.1:$port/v1/batch;";
way("proxy_connect_timeout 300ms; $pass");
test('no connection in time', 0, [ resolve => 1 ],
	[ connect => 0, qr/ in time, see the error log$/ ], [ 'post' ]);

# a refusal that comes later, as one from another machine does

way("proxy_connect_timeout 20s; $pass");
my $waiting = knocking($port);
my $late = ask();
wait_for { knocking($port) > $waiting } 10, 'nginx at the door';
close $full;
check($late->read_answer, 'refused later', 0, [ resolve => 1 ],
	[ connect => 0, qr/^no connection to 127\.0\.0\.1:$port, see/ ],
	[ 'post' ]);
@in = ();

way('proxy_pass https://127.0.0.1:%%PORT_1%%/v1/batch;');
test('no TLS', 0, [ resolve => 1 ], [ connect => 0, qr/with TLS/ ],
	[ 'post' ]);

way("proxy_read_timeout 300ms; $plain");
$s->script({ hang => 1 });
test('no answer in time', 0, [ resolve => 1 ], [ connect => 1 ],
	[ post => 0, qr/did not answer in time/ ]);


# ---- names ----

sub named {
	my ($name) = @_;
	return 'resolver 127.0.0.1:%%PORT_7%% ipv6=off; resolver_timeout '
		. "500ms; set \$name $name; "
		. 'proxy_pass http://$name:$port/v1/batch;';
}

way(named('segment.test'));
for my $again ('', ' again') {
	test("a name$again", 1, [ resolve => 1, qr/^\Q$mock\E$/ ],
		[ connect => 1 ], [ post => 1 ]);
}

for ([ unknown => 'no such name' ], [ silent => 'no answer about a name' ]) {
	my ($name, $what) = @$_;
	way(named("$name.test"));
	test($what, 0, [ resolve => 0, qr/^$name\.test could not be resol/ ],
		[ 'connect' ], [ 'post' ]);
}

way('set $name segment.test; proxy_pass http://$name:$port/v1/batch;');
test('no resolver', 0, [ resolve => 0, qr/could not be resolved/ ],
	[ 'connect' ], [ 'post' ]);

way('set $name 127.0.0.1; proxy_pass http://$name:$port/v1/batch;');
test('an address in a variable', 1, [ resolve => 1, qr/^\Q$mock\E$/ ],
	[ connect => 1 ], [ post => 1 ]);


# ---- several servers ----

way('proxy_pass http://two/v1/batch;');
test('one of two', 1, [ resolve => 1, qr/^\Q$nobody, $mock\E$/ ],
	[ connect => 1 ], [ post => 1 ]);

way('proxy_http_version 1.1; proxy_set_header Connection ""; '
	. 'proxy_pass http://kept/v1/batch;');
for my $again ('', ' again') {
	test("a kept connection$again", 1, [ resolve => 1, qr/^\Q$mock\E$/ ],
		[ connect => 1 ], [ post => 1 ]);
}


# ---- nobody was asked ----

for my $status (200, 204, 403, 500) {
	way("return $status; $plain");
	test("the location answers $status by itself", 0, [ 'resolve' ],
		[ 'connect' ], [ post => 0,
		qr/without asking Segment's side: status $status$/ ]);
}

# also where the way beyond the cache has a name that was not looked up

way("proxy_cache cached; proxy_cache_methods POST; proxy_cache_key one; "
	. 'proxy_cache_valid 200 1h; ' . named('segment.test'));
test('before a cache', 1, [ resolve => 1 ], [ connect => 1 ], [ post => 1 ]);
test('a cache', 0, [ 'resolve' ], [ 'connect' ],
	[ post => 0, qr/without asking Segment's side: status 200$/ ]);


# ---- manners ----

way($plain);
my $before = $s->stats->{requests};

is($api->post('/partners/01a208be53713cd88867/test')->{status}, 404,
	'no such partner');
my $eu = $api->post('/partners/' . $api->partner(region => 'eu') . '/test');
is($eu->{status}, 409, 'a region without a way');
like($eu->{json}{detail}, qr/"eu".*ctseg_segment/, '... is named');
is(http('POST', $t->url(1, "/ctseg/read$path"))->{status}, 403,
	'it is a write');
is(http('POST', $t->url(1, "/ctseg/api$path"), { 'Sec-Fetch-Site' =>
	'cross-site' })->{status}, 403, '... that no other site may do');
my $get = $api->get($path);
is($get->{status}, 405, 'and nothing to look at');
is($get->{headers}{allow}, 'POST', '... as it says');
is($s->stats->{requests}, $before, 'none of it went to Segment');

my @once = map { $api->post($path, undef, { 'Idempotency-Key' => 'k' }) } 1, 2;
is($once[0]->{status}, 200, 'a test under an Idempotency-Key');
is($once[1]->{body}, $once[0]->{body}, '... is answered again');
is($s->stats->{requests}, $before + 1, '... and made once');

$s->script({ status => 500 });
my %failed = ('Idempotency-Key' => 'failed');
is(join(' ', map { $api->post($path, undef, \%failed)->{json}{ok} } 1, 2),
	'0 0', '... also one that failed');
is($s->stats->{requests}, $before + 2, '... once');


# ---- unusual hours ----

# one that waits does not hold up others

$s->default(hold => 1);
my @c = map { ask($_) } {}, { 'Idempotency-Key' => 'waits' }, {};
wait_for { $s->stats->{held} == 3 } 10, 'three at Segment';
is($api->get('/status')->{status}, 200, 'others are answered meanwhile');
is($api->post($path, undef, { 'Idempotency-Key' => 'waits' })->{status}, 409,
	'... and a repeated one is told that it is being worked on');

# a client that goes away: the test is made all the same, and nothing breaks

$_->close for @c[1, 2];
$s->release;
is($c[0]->read_answer->{json}{ok}, JSON::PP::true, 'the others get theirs');
$s->default;
wait_for { $api->post($path, undef, { 'Idempotency-Key' => 'waits' })
	->{status} == 200 } 10, 'the answer nobody waited for';
is($api->post($path)->{json}{ok}, JSON::PP::true, 'all is well');

# a reload and a quit wait for the answer

$s->default(hold => 1);
my $c = ask();
wait_for { $s->stats->{held} == 1 } 10, 'one at Segment';
$t->reload;
$s->release;
is($c->read_answer->{json}{ok}, JSON::PP::true, 'a reload in the middle');

$c = ask({ 'Idempotency-Key' => 'over' });
wait_for { $s->stats->{held} == 1 } 10, 'one at Segment';
$t->signal('QUIT');
wait_for { !$t->worker_pids } 20, 'a worker that shuts down';
$s->release;
is($c->read_answer->{json}{ok}, JSON::PP::true, 'a quit in the middle');
$t->quit;
is($t->{status}, 0, '... which ends');

# worker_shutdown_timeout does not

way($plain, 'worker_shutdown_timeout 500ms;');
$s->default(hang => 1);
$before = $s->stats->{requests};
@c = map { ask($_) } {}, { 'Idempotency-Key' => 'lost' };
wait_for { $s->stats->{requests} == $before + 2 } 10, 'two at Segment';
$t->reload(wait_old => 1);
pass('a Segment that never answers does not keep a worker');
$_->close for @c;
@c = map { ask($_) } {}, { 'Idempotency-Key' => 'lost too' };
wait_for { $s->stats->{requests} == $before + 4 } 10, 'two at Segment';
$t->quit;
is($t->{status}, 0, '... nor a quit');
$s->default;

way($plain);
my $lost = $api->post($path, undef, { 'Idempotency-Key' => 'lost' });
is($lost->{status}, 200, 'what came of it was kept under its key');
is($lost->{json}{steps}[2]{detail}, 'the worker was shut down',
	'... as it was');


# ---- the secret ----

my @logs = grep { !/nginx\.conf$/ } glob $t->testdir . '/*.log '
	. $t->testdir . '/nginx.out';
cmp_ok(scalar @logs, '>=', 3, 'there are logs');
is_deeply([ grep { $t->read_file($_) =~ /$key|Basic / } @logs ], [],
	'the write key is in none of them');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');

$t->finish;
done_testing;


# ---- helpers ----

# a test and the steps that must come of it: [name, ok, pattern of detail],
# where no ok is a step that was not reached

sub test {
	my ($name, @want) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return check($api->post($path), $name, @want);
}

sub check {
	my ($a, $name, $ok, @steps) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($a->{status}, 200, "$name: answered") or diag $a->{body};
	is(!!$a->{json}{ok}, !!$ok, '... ' . ($ok ? 'fine' : 'not fine'));
	unlike($a->{body}, qr/$key/, '... without the write key');

	my @got = @{$a->{json}{steps}};
	is(join(' ', map { $_->{name} } @got), 'resolve connect post',
		'... in three steps');
	my $bad = '';
	for my $i (0 .. 2) {
		my (undef, $want, $detail) = @{$steps[$i]};
		my $got = $got[$i];
		$bad .= "ok of $got->{name}; "
			if ($want // 'null') ne ($got->{ok} // 'null');
		$bad .= "seconds of $got->{name}; "
			if defined $want != defined $got->{seconds}
				|| ($got->{seconds} // 0) < 0
				|| ($got->{seconds} // 0) > 100;
		$bad .= "detail of $got->{name}; "
			if $detail ? ($got->{detail} // '') !~ $detail
				: !$want && defined $got->{detail};
	}
	is($bad, '', '... of which each is as it was') or diag $a->{body};
	return $a->{json};
}

# how many connections to this port are not let in yet (Linux, SYN_SENT)

sub knocking {
	my ($to) = @_;
	my $tail = sprintf ':%04X 02 ', $to;
	return scalar(() = $t->read_file('/proc/net/tcp') =~ /\Q$tail\E/g);
}

# begin one, and do not wait

sub ask {
	my ($headers) = @_;
	my $client = Ctseg::Client->new($t->port(1))->connect;
	$client->send_bytes(Ctseg::Client::format_request($t->port(1), 'POST',
		"/ctseg/api$path", $headers, ''));
	return $client;
}
