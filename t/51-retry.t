#!/usr/bin/env perl

# Segment's side is ill in every way we know of, and nothing is lost: what
# was not acknowledged is sent again, byte for byte, under the same message
# ids, until it is.  Each illness is met by an export of its own, and all of
# them at the same time, since one sick destination must not delay another.
# What could fool the test is an answer that counts twice or a retry that was
# built anew: so bodies are compared, and what the mock took is counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for http /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2);
my $s = Ctseg::Segment->new(dir => $t->testdir);
my $eu = Ctseg::Segment->new(dir => $t->testdir, name => 'eu');

$t->set_port(9, $s->port)->set_port(8, $eu->port);

# %%US%% and %%EU%% are the two locations' own lines

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool  ctseg;

    # nobody listens at the first, and the first breaks off

    upstream dead {
        server 127.0.0.1:%%PORT_7%% max_fails=0;
        server 127.0.0.1:%%PORT_9%% backup;
    }

    upstream breaks_off {
        server 127.0.0.1:%%PORT_8%% max_fails=0;
        server 127.0.0.1:%%PORT_9%% backup;
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size     8m;
        client_body_buffer_size  1m;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /alive {
            return 200;
        }

        location /segment/us {
            internal;
            %%US%%
        }

        location /segment/eu {
            internal;
            %%EU%%
        }

        ctseg_segment us /segment/us events=1000000;
        ctseg_segment eu /segment/eu events=1000000;
    }

    %%SERVER%%
}

EOC

my $direct = 'proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch; '
	. 'proxy_read_timeout 1s;';
my $other = 'proxy_pass http://127.0.0.1:%%PORT_8%%/v1/batch;';

configure(US => $direct, EU => $other);
$t->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my @workers = $t->worker_pids;
my $events = 30;
my (%region, %times);

$api->upload($t->url(1, '/1/upload'), upload_body($events, ts => time,
	pad => 300, names => [ 'App Launched' ]));


# ---- illnesses that pass ----

my $long = 'x' x 200_000;
my $chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

# name => how often, the answer, the status that last_error shows

my %ill = (
	'500' => [ 2, { status => 500 }, 500 ],
	'503' => [ 1, { status => 503 }, 503 ],
	'429' => [ 1, { status => 429, headers => { 'Retry-After' => 1 } },
		429 ],
	'408' => [ 1, { status => 408 }, 408 ],
	'460' => [ 1, { status => 460 }, 460 ],
	'long500' => [ 1, { status => 500, body => $long }, 500 ],
	'early500' => [ 1, { status => 500, close => 'after' }, 500 ],
	'before' => [ 2, { close => 'before' } ],
	'reset' => [ 1, { close => 'before', rst => 1 } ],
	'taken' => [ 1, { close => 'before', accept => 1 } ],
	'midheader' => [ 1, { close => 'mid_header', accept => 0 } ],
	'midbody' => [ 1, { close => 'mid_body' } ],
	'mid500' => [ 1, { status => 500, close => 'mid_body', accept => 0 } ],
	'junk' => [ 1, { raw => "\x00\xffjunk\r\n\r\n", close => 'after',
		accept => 0 } ],
	'hang' => [ 1, { hang => 1 } ],
	'midchunk' => [ 1, { raw => $chunked . "10\r\n{\"succ",
		close => 'after' } ],
	'nolastchunk' => [ 1, { raw => $chunked . "4\r\ntrue\r\n",
		close => 'after' } ],
	'chunked' => [ 0, { raw => $chunked . "4\r\ntrue\r\n0\r\n\r\n",
		close => 'after' } ],
	'tillclose' => [ 0, { raw => "HTTP/1.1 200 OK\r\n\r\ntrue",
		close => 'after' } ],
	'statusline' => [ 1, { raw => "HTTP/1.1 200 OK\r\n", accept => 0,
		close => 'after' } ],
	'empty' => [ 0, { status => 204 } ],
	'long200' => [ 0, { body => $long } ],
	'any2xx' => [ 0, { status => 202, body => 'queued' } ],
	);

sicken($s, %ill);
run_all('us', $s, '', %ill);

# it came twice where the answer got lost on its way; Segment, too, knows it
# by the message id

for my $name (qw/ taken midbody midchunk nolastchunk /) {
	is(scalar(my @taken = events_of($s, $name)), 2 * $events,
		"$name: was taken twice");
}
is_deeply([ $t->worker_pids ], \@workers, 'the workers are alive');


# ---- nobody there ----

$eu->stop;
my $refused = start('refused', 'eu');
my $e = last_error($refused);
is($e->{last_run}{last_error}{status}, undef, 'refused: there is no status');
like($e->{last_run}{last_error}{message}, qr/no answer/, '... but a text');
is($e->{status}, 'RUNNING', '... and the run goes on');
my $health = $api->get("/partners/$e->{partner_id}")->{json}{health};
is($health->{state}, 'retrying', '... its partner is retrying');
like($health->{reason}, qr/no answer/, '... for that reason');
like($health->{$_}, qr/^\d{4}-.*Z$/, "... $_ an instant")
	for qw/ since retry_at /;
$e = wait_for { my $x = $api->show($refused);
	$x->{last_run}{retries} >= 3 && $x } 30, 'three attempts';

# a worker that leaves does not wait for somebody to come: it hands over

$t->reload(wait_old => 1);
is($api->show($refused)->{status}, 'RUNNING', 'over a reload it goes on');

is($api->get("/partners/$e->{partner_id}")->{json}{health}{since},
	$health->{since}, '... since the first of its failures');
cmp_ok($e->{last_run}{last_error}{at}, 'gt', $health->{since},
	'... of which the last is shown by the run');
$eu->start;
$e = $api->until($refused, 'DONE');
is($e->{last_run}{sent}, $events, 'refused: sent when somebody came');
is(scalar(my @got = events_of($eu, 'refused')), $events, '... once');
is($api->get("/partners/$e->{partner_id}")->{json}{health}{state}, 'ok',
	'... and the partner is well again');


# ---- illnesses that somebody has to cure ----

my %refusal = map { $_ => [ undef, { status => $_ }, $_ ] } 401, 403, 404,
	301, 501;
sicken($eu, %refusal);
my %id = map { $_ => start("no$_", 'eu') } keys %refusal;
for my $status (sort keys %refusal) {
	$e = last_error($id{$status});
	my $error = $e->{last_run}{last_error};
	is($error->{status}, $status, "$status: last_error shows it");
	is($error->{message}, "Segment's side answered $status",
		"... as a text");
	$health = $api->get("/partners/$e->{partner_id}")->{json}{health};
	is($health->{state}, 'paused', '... the partner pauses');
	is($health->{reason}, $error->{message}, '... for that reason');
	is($e->{status}, 'RUNNING', '... and the run waits');
	is($e->{last_run}{waiting}, $events, '... with all of its events');
	is($api->post("/exports/$id{$status}/stop")->{status}, 200,
		'... which can be stopped');
}
for my $status (sort keys %refusal) {
	is($api->run_ended($id{$status})->{status}, 'stopped',
		"$status: its run ends");
	is(requests_of($eu, "no$status"), 1, '... after one attempt');
}

# a key that was wrong: what waits goes out under the corrected one, with the
# same message ids

$eu->rules({ when => { write_key => 'wrongkey' }, status => 503 });
my $wrong = start('wrongkey', 'eu');
$e = last_error($wrong);
is($api->patch("/partners/$e->{partner_id}", { write_key => 'rightkey' })
	->{status}, 200, 'a write key is corrected');
is((eval { $api->until($wrong, 'DONE') } || $api->show($wrong))->{last_run}
	{sent}, $events, '... and the run goes on with it');
is_deeply([ sort map { $_->{id} } events_of($eu, 'rightkey') ],
	[ sort map { $_->{id} } events_of($eu, 'wrongkey', 1) ],
	'... under the same message ids');


# ---- a location that answers in Segment's place ----

configure(US => $direct, EU => "$other return 200;");
$t->reload(wait_old => 1);

my $alone = start('alone', 'eu');
$e = last_error($alone);
like($e->{last_run}{last_error}{message}, qr/without asking Segment's side/,
	'a 200 of our own nginx is no answer');
is($e->{last_run}{waiting}, $events, '... and nothing counts as sent');
is($api->post("/exports/$alone/stop")->{status}, 200, '... it is stopped');


# ---- two servers, one of them ill; answers that are not buffered ----

my $next = 'proxy_next_upstream error timeout http_500 non_idempotent;';
configure(US => "proxy_pass http://dead/v1/batch; $next",
	EU => "proxy_pass http://breaks_off/v1/batch; $next");
$t->reload(wait_old => 1);

$eu->rules({ when => { write_key => 'nextbefore' }, close => 'before' },
	{ when => { write_key => 'nextreset' }, close => 'before', rst => 1 },
	{ when => { write_key => 'next500' }, status => 500 });
for my $case ([ 'nextdead', 'us' ], [ 'nextbefore', 'eu' ],
	[ 'nextreset', 'eu' ], [ 'next500', 'eu' ])
{
	my ($name, $region) = @$case;
	$e = $api->until(start($name, $region), 'DONE');
	is_deeply([ @{$e->{last_run}}{qw/ sent retries last_error / } ],
		[ $events, 0, undef ], "$name: another server takes it");
	my ($to) = requests_of($s, $name);
	is(scalar(my @there = events_of($s, $name)), $events, '... whole');
	my ($first) = requests_of($eu, $name);
	is($first && $eu->body($first), $region eq 'eu' ? $s->body($to)
		: undef, '... the same bytes');
}

configure(US => $direct, EU => "$other proxy_buffering off;"
	. ' proxy_read_timeout 1s;');
$t->reload(wait_old => 1);

sicken($eu, %ill);
run_all('eu', $eu, 'unbuffered ', %ill);


# ---- TLS ----

SKIP: {
	my $d = $t->testdir;
	my $no = system("openssl req -x509 -newkey rsa:2048 -nodes -days 2"
		. " -subj /CN=segment.test -addext subjectAltName=DNS:segment"
		. ".test -keyout $d/key.pem -out $d/cert.pem >$d/openssl.out"
		. " 2>&1");
	skip 'openssl cannot make a certificate', 1 if $no;

	my $tls = 'proxy_pass https://127.0.0.1:%%PORT_3%%/v1/batch; '
		. 'proxy_ssl_server_name on; proxy_ssl_verify on; '
		. 'proxy_ssl_trusted_certificate %%TESTDIR%%/cert.pem; ';
	configure(US => $tls . 'proxy_ssl_name segment.test;',
		EU => $tls . 'proxy_ssl_name other.test;',
		SERVER => 'server { listen 127.0.0.1:%%PORT_3%% ssl; '
			. 'server_name segment.test; access_log off; '
			. 'ssl_certificate %%TESTDIR%%/cert.pem; '
			. 'ssl_certificate_key %%TESTDIR%%/key.pem; '
			. 'client_max_body_size 1m; location / { '
			. 'proxy_pass http://127.0.0.1:%%PORT_9%%; } }');
	$t->reload(wait_old => 1);

	my $good = start('tls');
	my $bad = start('wrongname', 'eu');
	is($api->until($good, 'DONE')->{last_run}{sent}, $events,
		'TLS: sent to a server that is verified');
	is_deeply([ $api->show($good)->{last_run}{retries} ], [ 0 ],
		'... at the first attempt');
	like(last_error($bad)->{last_run}{last_error}{message}, qr/no answer/,
		'... and not to one with another name');
	is(requests_of($s, 'wrongname'), 0, '... which gets to see nothing');
	$api->post("/exports/$bad/stop");
	$api->run_ended($bad);
}


# ---- the sum of it ----

is(http('GET', $t->url(1, '/alive'))->{status}, 200, 'nginx is well');
is_deeply([ grep { !/request \d+: unexpected/ } $s->violations,
	$eu->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');

$t->finish;
done_testing;


# ---- helpers ----

sub configure {
	my (%o) = @_;
	return $t->conf($conf, SERVER => '', map { $_ =>
		$t->expand($o{$_}) } keys %o);
}

# each write key has its own illness, for the first so many requests

sub sicken {
	my ($mock, %what) = @_;
	$mock->rules(map { {
		when => { write_key => $_ =~ /^[3-5]\d\d$/
			&& !defined $what{$_}[0] ? "no$_" : $_ },
		(defined $what{$_}[0] ? (times => $what{$_}[0] || 1) : ()),
		%{$what{$_}[1]} } } sort keys %what);
	return;
}

my $exports;

sub start {
	my ($write_key, $region, %o) = @_;
	return $api->export($api->partner(write_key => $write_key,
		nickname => 'nick ' . ++$exports, region => $region || 'us'),
		%o);
}

sub last_error {
	my ($export) = @_;
	return wait_for {
		my $x = $api->show($export);
		$x->{last_run} && $x->{last_run}{last_error} && $x;
	} 10, 'a failure';
}

sub requests_of {
	my ($mock, $write_key) = @_;
	return grep { ($_->{write_key} // '') eq $write_key } $mock->requests;
}

# accepted events; with first: those of the first attempt, whatever came of it

sub events_of {
	my ($mock, $write_key, $first) = @_;
	my @req = requests_of($mock, $write_key);
	$#req = 0 if $first;
	my %mine = map { $_->{n} => 1 } @req;
	return grep { $mine{$_->{request}} } $mock->events(all => $first);
}

# one export for each illness, all at once, each with its attempts

sub run_all {
	my ($where, $mock, $how, %what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my %export = map { $_ => start($_, $where) } sort keys %what;

	for my $name (sort keys %what) {
		my ($times, $answer, $status) = @{$what{$name}};

		my $run = $api->until($export{$name}, 'DONE')->{last_run};
		is_deeply([ @{$run}{qw/ status sent waiting retries / } ],
			[ 'succeeded', $events, 0, $times ],
			"$how$name: done after $times retries");
		is($run->{last_error} && $run->{last_error}{status}, $status,
			'... with its status');
		is(defined $run->{last_error}, $times > 0,
			'... as an error if it was one');

		my @req = requests_of($mock, $name);
		is_deeply([ map { $_->{headers}{'x-retry-count'} // 0 }
			@req ], [ 0 .. $times ], '... retries are counted');
		ok(!exists $req[0]{headers}{'x-retry-count'},
			'... from the second attempt on');
		my %bodies = map { $mock->body($_) => 1 } @req;
		is(scalar keys %bodies, 1, '... each with the same bytes');
		my %ids = map { $_->{id} => 1 } events_of($mock, $name);
		is(scalar keys %ids, $events, '... and all events arrived');
	}
	return;
}
