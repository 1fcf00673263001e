#!/usr/bin/env perl

# What arrives at Segment's side: the envelope, each message, the limits of a
# batch and how many are under way at once.  The mock knows Segment's rules
# and names each that is broken; what it cannot know (that a batch is full,
# that a number is spelled as it came) is checked here on the raw bytes,
# since a JSON decoder would hide the difference.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw/ encode_base64 /;
use POSIX qw/ strftime /;
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for json_decode /;
use Ctseg::Data qw/ upload_body upload_bodies record /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2);
my $s = Ctseg::Segment->new(dir => $t->testdir);
my $eu = Ctseg::Segment->new(dir => $t->testdir, name => 'eu');

$t->set_port(9, $s->port)->set_port(8, $eu->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=256m state=64m;
    ctseg_thread_pool  ctseg;

    upstream segment {
        server 127.0.0.1:%%PORT_9%%;
        keepalive 8;
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

        location /segment/us {
            internal;
            proxy_pass          http://segment/v1/batch;
            proxy_http_version  1.1;
            proxy_set_header    Connection "";
            proxy_set_header    Host api.segment.io;
        }

        location /segment/eu {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_8%%/v1/batch;
        }

        ctseg_segment us /segment/us events=10000000 requests=100000;
        ctseg_segment eu /segment/eu events=10000000 requests=100000
                                     concurrency=1;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $today = int(time / 86400) * 86400;
my $serial = 0;


# ---- one message, byte by byte ----

my $props = '"big":12345678901234567890,"exp":1e400,"zero":-0.0,"frac":1.10,'
	. "\"text\":\"\\u00e9 \xc3\xa9 \\/ \\\"q\\\" \\ud83d\\ude00\","
	. '"null":null,"yes":true,"":"empty", "spaced" : [ ]';
my $no_array = $props =~ s/, "spaced".*//r;
my ($key, $e) = export_of([ record(n => 1, props => $no_array,
	name => 'App Launched', ts => ($today - 10 * 86400) * 1000 + 7,
	id => '"identity":"I \u00e9 \"q\"","objectId":"O"') ], 10);

my ($r) = requests_of($s, $key);
my $body = $s->body($r);
my $installation = $api->get('/status')->{json}{installation_id};
like($installation, qr/^[0-9a-f]{16}$/, 'the installation has an id');
my ($id) = $body =~ /"messageId":"([^"]+)"/;
like($id, qr/^ctseg-$installation-[0-9a-f]{16}-0{15}1$/,
	'the message id names installation, write key and sequence');
is($body, "{\"writeKey\":\"$key\",\"batch\":[{\"type\":\"track\",\"messageId"
	. "\":\"$id\",\"userId\":\"I \\u00e9 \\\"q\\\"\",\"anonymousId\":\"O"
	. "\",\"event\":\"App Launched\",\"timestamp\":\""
	. strftime('%Y-%m-%d', gmtime($today - 10 * 86400))
	. "T00:00:00.007Z\",\"properties\":{\"n\":1,$no_array}}],"
	. '"context":{"channel":"server","library":{"name":"ctseg","version":'
	. '"' . $api->get('/status')->{json}{version} . '"},"integration":{'
	. '"name":"clevertap","version":"1.0.0"}}}',
	'a batch of one, as it came');

my $h = $r->{headers};
is($h->{authorization}, 'Basic ' . encode_base64("$key:", ''),
	'the write key is the user name');
is($h->{'content-type'}, 'application/json', 'the content is JSON');
is($h->{'content-length'}, length $body, 'of this length');
is($h->{'user-agent'}, 'ctseg/' . $api->get('/status')->{json}{version},
	'the sender says who it is');
is($h->{host}, 'api.segment.io', 'the location sets the host');
ok(!exists $h->{'x-retry-count'}, 'a first attempt counts no retries');
is_deeply([ sort keys %$h ], [ sort qw/ authorization content-length
	content-type host user-agent / ], 'there is no other header');
unlike($body, qr/sentAt/, 'nor a time that shifts others');


# ---- the number of events ----

# 177 bytes each: 2,500 of them stay below the bytes of a batch

($key, $e) = export_of([ map { "{\"identity\":\"" . ($_ % 10) . "\",\"type\""
	. ":\"event\",\"evtName\":\"Reply Sent\",\"ts\":"
	. ($today - 9 * 86400) . '}' } 1 .. 6_000 ], 9);
my @r = requests_of($s, $key);
is_deeply([ sort { $b <=> $a } map { $_->{events} } @r ],
	[ 2500, 2500, 1000 ],
	'small events make batches of 2,500');
is_deeply([ @{$e->{last_run}}{qw/ sent batches / } ], [ 6000, 3 ],
	'the run counts them');
like($s->body($r[0]), qr/"properties":\{\}/, 'no properties are empty ones');


# ---- the number of bytes ----

my $n = 0;
($key, $e) = export_of([ map { record(n => $n++, ts => $today - 8 * 86400,
	pad => 100 + ($n * 37) % 900) } 1 .. 5_000 ], 8);
full($key, $e, 5_000, 'events of some hundred bytes');

$n = 0;
($key, $e) = export_of([ map { record(n => $n++, ts => $today - 7 * 86400,
	pad => (27_900, 3, 900, 40)[$n % 4]) } 1 .. 400 ], 7);
full($key, $e, 400, 'large and small ones in turn', 0.9);

my @large = grep { $_->{bytes} > 28_000 } $s->events;
is(scalar @large, 100, 'the largest that are collected can be sent');

# properties of exactly 28,000 bytes, the longest name, the longest ids, all
# of it in a property again: nothing that is collected is too large to send

my $rec = record(n => 1, name => 'App Launched', id => '"identity":"'
	. ('i' x 512) . '","objectId":"' . ('o' x 512) . '"',
	ts => $today - 6 * 86400, pad => 0, props => '"p":"@"');
my ($data) = $rec =~ /"evtData":(\{.*\})\}/;
$rec =~ s/@/'p' x (28_001 - length $data)/e;
($key, $e) = export_of([ $rec ], 6);
is_deeply([ @{$e->{last_run}}{qw/ sent rejected / } ], [ 1, 0 ],
	'the largest event of all is sent');


# ---- several at once ----

$s->default(hold => 1);
my $p = $api->partner(write_key => 'several');
my $all = { kind => 'one_time', range => 'last_30_days' };
$id = $api->export($p, frequency => $all);
my $most = 0;
wait_for { $s->stats->{held} == 4 } 10, 'four requests under way';
wait_for {
	my $held = $s->stats->{held};
	$most = $held if $held > $most;
	$s->release(1) if $held;
	$api->show($id)->{status} eq 'DONE';
} 15, 'the end of the export';
is($most, 4, 'four requests are under way at once, and never more');
$s->default();
my @all = requests_of($s, 'several');
cmp_ok(scalar @all, '>=', 10, 'of many batches');
my %conn = map { $_->{conn} => 1 } @all;
cmp_ok(scalar keys %conn, '<', scalar @all, 'over kept connections');

my @seq = sort map { /-([0-9a-f]{16})$/; hex $1 } map { $_->{id} }
	events_of($s, 'several');
is(scalar @seq, 11_402, 'every event was sent');
is_deeply([ sort { $a <=> $b } @seq ], [ 1 .. 11_402 ],
	'under its own number, once');
is(scalar(grep { my @in = map { /-([0-9a-f]{16})"/; hex $1 }
	$s->body($_) =~ /"messageId":("[^"]+")/g;
	join(' ', @in) ne join(' ', $in[0] .. $in[0] + $#in) } @all), 0,
	'a batch is a stretch of the log, in its order');


# ---- the other region ----

$p = $api->partner(write_key => 'europe', region => 'eu');
$id = $api->export($p, frequency => $all);
$api->until($id, 'DONE');
is(scalar(grep { $_->{write_key} eq 'europe' } $s->requests), 0,
	'a partner in the EU gets nothing by way of the US');
is($eu->count_unique, 11_402, 'but all by its own');
my @order = map { /-([0-9a-f]{16})$/; hex $1 } map { $_->{id} } $eu->events;
is_deeply(\@order, [ 1 .. 11_402 ],
	'concurrency=1 keeps the order of the log');


# ---- the rules ----

is_deeply([ $s->violations, $eu->violations ], [],
	'no rule of Segment is broken');
is_deeply([ $s->oversize, $eu->oversize ], [], 'no body above 475,000 bytes');
is_deeply([ $api->wrong ], [], 'every event is accounted for');

$t->finish;
done_testing;


# ---- helpers ----

# upload these records, all of one day, and export that day: write key, export

sub export_of {
	my ($records, $days) = @_;
	my @left = @$records;
	while (my @part = splice @left, 0, 200) {
		$api->upload($t->url(1, '/1/upload'), '{"d":['
			. join(',', @part) . ']}');
	}
	my $write_key = 'key' . ++$serial;
	my $day = strftime('%Y-%m-%d', gmtime($today - $days * 86400));
	my $export = $api->export($api->partner(write_key => $write_key),
		frequency => { kind => 'one_time', from => $day,
			to => $day });
	return ($write_key, $api->until($export, 'DONE'));
}

sub requests_of {
	my ($mock, $write_key) = @_;
	return grep { ($_->{write_key} // '') eq $write_key } $mock->requests;
}

sub events_of {
	my ($mock, $write_key) = @_;
	my %mine = map { $_->{n} => 1 } requests_of($mock, $write_key);
	return grep { $mine{$_->{request}} } $mock->events;
}

# every batch but the last is at least so full

sub full {
	my ($write_key, $export, $events, $name, $least) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my @req = sort { $b->{bytes} <=> $a->{bytes} }
		requests_of($s, $write_key);
	is($export->{last_run}{sent}, $events, "$name: all are sent");
	pop @req;
	cmp_ok(scalar @req, '>=', 4, '... in several batches');
	is_deeply([ grep { $_ < ($least // 0.95) * 475_000 } map {
		$_->{bytes} } @req ], [], '... which are full');
	return;
}
