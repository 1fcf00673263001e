#!/usr/bin/env perl

# CleverTap's own SDK for servers, as npm has it, unmodified: a program that
# uploads events and profiles by it sends them to us, and they are at Segment
# as track and identify.  The SDK knows CleverTap's hosts by heart and takes
# no other, so what leads it here is its environment, as a name server would:
# t/tools/sdk/redirect.js.  It insists on TLS and on the name of the host, so
# nginx has a certificate for that; with one of another name the SDK must give
# up, or the test would show nothing of either.
#
# That it is the SDK as published is said by the checksums of the lock, by
# which npm installs it; that its requests are its own, by the headers and the
# batches that it makes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ json_decode json_encode /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);
my $d = $t->testdir;
my $build = $ENV{CTSEG_BUILD} || Ctseg::Nginx::top() . '/build';
my $tools = "$FindBin::Bin/tools/sdk";

-d "$build/sdk/node_modules/clevertap" or die "$build/sdk: make prepare\n";

certificate('right', 'eu1.api.clevertap.com');
certificate('wrong', 'api.example.com');
$t->write_file('passcode', "AAA-BBB-CCCC\n");

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    log_format sdk '$host $uri $status $ctseg_collected $http_user_agent';

    ctseg_store        %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool  ctseg;
    ctseg_account      W8R-XX1 passcode;

    server {
        listen 127.0.0.1:%%PORT_1%% ssl;

        ssl_certificate      %%NAME%%.pem;
        ssl_certificate_key  %%NAME%%.key;

        location = /1/upload {
            ctseg_collect;
            access_log %%TESTDIR%%/sdk.log sdk;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000;
    }
}

EOC

$t->set_port(9, $s->port)->conf($conf, NAME => 'right')->run;

my $api = Ctseg::Api->new($t->url(2, '/ctseg/api'));
my $now = time;

# as in the SDK's documentation

my @records = (
	{ type => 'event', identity => 'jack', evtName => 'App Launched',
		ts => $now, evtData => { n => 1, 'App Version' => '1.2' } },
	{ type => 'profile', identity => 'jack', ts => $now, profileData => {
		Name => "Jack Montana", Email => 'jack@gmail.com',
		Phone => '+14155551234', Gender => 'M', Score => 7 } },
	{ type => 'event', objectId => '_o2', evtName => 'App Installed',
		ts => $now, evtData => { n => 2 } },
	{ type => 'event', identity => 'joe', evtName => 'Session Concluded',
		ts => $now, evtData => { n => 3, 'Session Length' => 17 } },
	{ type => 'event', identity => 'joe', evtName => 'App Launched',
		ts => 'yesterday', evtData => { n => 5 } },
	{ type => 'event', identity => 'jill', evtName => "App Launched",
		ts => $now, evtData => { n => 4, text => "\x{e9}\x{1f600}" } },
	{ type => 'profile', identity => 'jill', profileData => {
		Name => 'Jill', Tags => { '$set' => [ 'a', 'b' ] } } },
);


# ---- what the SDK is told ----

my $got = sdk(@records);
is(ref $got, 'ARRAY', 'the SDK has answers') or diag $t->read_file('sdk.err');
is(scalar @$got, 3, '... to each of its batches');
is_deeply([ map { "$_->{status} $_->{processed}" } @$got ],
	[ 'success 3', 'partial 2', 'success 1' ], '... as CleverTap gives');
is($got->[1]{unprocessed}[0]{code}, 525, '... with what is wrong of one');

my @log = split /\n/, $t->read_file('sdk.log');
is(scalar @log, 3, 'three requests came');
like($log[0], qr{^eu1\.api\.clevertap\.com /1/upload 200 3 node-fetch},
	'... from the SDK, to CleverTap\'s host');

is(sdk([ 'no' ], @records)->[0]{code}, 401,
	'with another passcode it is refused');
is(sdk([ undef, 'INDIA' ], @records)->[0], 'error',
	'another region is another host, which the certificate does not have');


# ---- what Segment sees ----

$api->until($api->export($api->partner(write_key => 'events'), frequency => {
	kind => 'one_time', range => 'today' }, events => { set => 'system' }),
	'DONE');
my %n = map { $_->{properties}{n} => $_ } messages('events');
is_deeply([ sort keys %n ], [ 1 .. 4 ], 'the events');
is_deeply([ map { "$_->{type} $_->{event}" } @n{1 .. 4} ],
	[ 'track App Launched', 'track App Installed',
	'track Session Concluded', 'track App Launched' ], '... by name');
is($n{1}{userId}, 'jack', '... whose they are');
is($n{2}{anonymousId}, '_o2', '... or on which device');
is($n{3}{properties}{'Session Length'}, 17, '... with their properties');
is($n{4}{properties}{text}, "\x{e9}\x{1f600}", '... in any script');

$api->until($api->post('/exports', { type => 'profile', partner_id =>
	$api->partner(nickname => 'other', write_key => 'profiles'),
	frequency => { kind => 'one_time', range => 'today' } })->{json}{id},
	'DONE');
my %who = map { $_->{userId} => $_ } messages('profiles');
is_deeply([ sort keys %who ], [ 'jack', 'jill' ], 'the profiles');
is($who{jack}{type}, 'identify', '... as identify');
is($who{jack}{traits}{email}, 'jack@gmail.com', '... with their traits');


# ---- the SDK looks whom it talks to ----

$t->conf($conf, NAME => 'wrong')->reload;
is(sdk(@records)->[0], 'error', 'it talks to nobody of another name');

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# the answers that the SDK gives to its program; [passcode, region] first,
# where they are others

sub sdk {
	my ($passcode, $region) = ref $_[0] eq 'ARRAY' ? @{shift()} : ();
	my $pid = open(my $out, '-|') // die "fork: $!\n";
	if ($pid == 0) {
		$ENV{NODE_PATH} = "$build/sdk/node_modules";
		$ENV{NODE_OPTIONS} = "--require=$tools/redirect.js";
		$ENV{NODE_EXTRA_CA_CERTS} = "$d/both.pem";
		$ENV{CTSEG_SDK_PORT} = $t->port(1);
		open STDERR, '>', "$d/sdk.err";
		exec 'node', "$tools/upload.js", 'W8R-XX1', $passcode
			// 'AAA-BBB-CCCC', $region // 'EUROPE',
			json_encode([ @_ ]);
	}
	local $/;
	my $text = <$out>;
	close $out;
	return eval { json_decode($text) } // [ $text ];
}

sub messages {
	my ($key) = @_;
	return map { @{json_decode($s->body($_))->{batch}} }
		grep { $_->{write_key} eq $key } $s->requests;
}

sub certificate {
	my ($name, $host) = @_;
	my $failed = system("openssl req -x509 -newkey rsa:2048 -nodes "
		. "-days 2 -subj /CN=$host -addext subjectAltName=DNS:$host "
		. "-keyout $d/$name.key -out $d/$name.pem "
		. ">$d/openssl.out 2>&1 && cat $d/$name.pem >> $d/both.pem");
	is($failed, 0, "a certificate for $host");
	return;
}
