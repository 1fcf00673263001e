#!/usr/bin/env perl

# Bodies that are small for who sends them and large for who takes them: a
# gigabyte of zeros in a megabyte of gzip, ten thousand properties, towers of
# brackets, bodies without an end.  Each is refused with its own answer, in
# every format that could take it; its neighbors are stored, a request behind
# it is answered, and the worker, which is the same until the end, has not
# grown.  A bomb that is not unpacked at all would be no strain, so what is
# taken of it is told by the answer: how far it came, or what stands behind it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Compress::Gzip ();
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http json_decode json_encode wait_for /;
use Ctseg::Memory;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

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

        location = /upload {
            ctseg_collect format=upload;
        }

        location = /webhook {
            ctseg_collect format=webhook;
        }

        location = /auto {
            ctseg_collect;
            client_max_body_size 0;
        }

        location = /file {
            ctseg_collect format=file;
            client_max_body_size 0;
        }

        location = /small-file {
            ctseg_collect format=file;
        }

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

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my @workers = $t->worker_pids;
my $mb = 1024 * 1024;
my $n = 0;				# events that must be stored

good('before all of it');
my $memory = Ctseg::Memory->new($t);


# ---- a gigabyte in a megabyte ----

# members of a megabyte each; the last one ends well, so that nothing but its
# size is wrong

my $member = gzip("\0" x $mb);
my $zeros = $member x 1024;
cmp_ok(length $zeros, '<', 1.2 * $mb, 'a bomb of 1 GB');

for my $case ([ '/upload', 'its location takes' ],
	[ '/webhook', 'its location takes' ],
	[ '/auto', 'anything takes' ])
{
	my ($path, $name) = @$case;
	my $a = watched('POST', $path, $zeros, 'Content-Encoding' => 'gzip');
	is("$a->{status} $a->{json}{error}", '413 Content Too Large',
		"$path: larger than $name");
	like($a->{json}{detail}, qr/inflates to more than \d+ bytes/,
		'... and told so');
	good("behind it, $path");
	bounded($path eq '/auto' ? 128 : 32);
}

# a file may be as large as it likes, and its lines may not

my $tail = join '', map { "\n" . line(++$n) } 1 .. 3;
my $a = watched('PUT', '/file', gzip("App Launched\n") . $zeros
	. gzip($tail));
is_deeply([ $a->{status}, @{$a->{json}}{qw/ status processed failed / },
	$a->{json}{unprocessed}[0]{line} ], [ 200, 'partial', 3, 1, 2 ],
	'a line of 1 GB, and good ones behind it');
$a = watched('PUT', '/file', $member x 64);
is_deeply([ $a->{status}, @{$a->{json}}{qw/ status lines failed / } ],
	[ 200, 'fail', 1, 1 ], 'zeros alone');
$a = watched('PUT', '/file', gzip("App Launched\n") . gzip("\n" x $mb) x 8
	. gzip(line(++$n)));
is_deeply([ @{$a->{json}}{qw/ processed failed lines / } ],
	[ 1, 0, 8 * $mb + 2 ], '8 million empty lines, and a good one');
$a = watched('PUT', '/file', gzip("App Launched\n") . gzip("{}\n" x 100_000)
	x 5 . gzip(line(++$n)));
is_deeply([ @{$a->{json}}{qw/ processed failed /},
	scalar @{$a->{json}{unprocessed}} ], [ 1, 500_000, 100 ],
	'half a million wrong lines, and a good one');

# others are served meanwhile: the bomb is all sent, and its answer has not
# come when theirs has

my $c = Ctseg::Client->new($t->port(1), timeout => 120)->connect;
my $bomb = gzip("App Launched\n") . $zeros;
$c->send_bytes("PUT /file HTTP/1.1\r\nHost: x\r\nContent-Length: "
	. length($bomb) . "\r\n\r\n$bomb");
good('while a bomb is in the pool');
my $bits = '';
vec($bits, fileno $c->sock, 1) = 1;
is(scalar(select $bits, undef, undef, 0), 0, '... which takes longer');
is($c->read_answer->{json}{failed}, 1, '... and ends as well');
$c->close;


# ---- ten thousand properties ----

my $many = '{' . join(',', map { "\"k$_\":1" } 1 .. 10_000) . '}';

$a = watched('POST', '/upload', '{"d":[' . join(',', record(++$n),
	"{\"type\":\"event\",\"identity\":\"x\",\"evtName\":\"App Launched\","
	. "\"evtData\":$many}", "{\"type\":\"profile\",\"identity\":\"x\","
	. "\"profileData\":$many}", record(++$n)) . ']}');
is_deeply(verdict($a), [ 200, 'partial', 2, 522, 522 ],
	'10,000 properties of an event, and of a profile');

$a = watched('POST', '/upload', '{"d":[{"type":"event","identity":"x",'
	. '"evtName":"Charged","evtData":{"Items":['
	. join(',', ('{"a":1}') x 10_000) . ']}},' . record(++$n) . ']}');
is_deeply(verdict($a), [ 200, 'partial', 1, 522 ], '10,000 items');

$a = watched('POST', '/webhook', '{"profiles":[' . join(',', profile(++$n),
	"{\"identity\":\"x\",\"event_properties\":$many}", profile(++$n))
	. ']}');
is_deeply(verdict($a), [ 200, 'partial', 2, 522 ], '... of a webhook');
$a = watched('POST', '/webhook', "{\"key_values\":$many,\"profiles\":["
	. join(',', (profile(0)) x 1000) . ']}');
is_deeply(verdict($a), [ 200, 'fail', 0, (522) x 1000 ],
	'... of its key_values, for a thousand profiles');

my @line = ("App Launched\n", line(++$n) . "\n",
	"{\"profile\":{\"identity\":\"x\"},\"ts\":" . time
	. ",\"eventProps\":$many}\n", "{\"profile\":{\"identity\":\"x\"},"
	. '"ts":' . time . ",\"deviceInfo\":$many,\"eventProps\":{"
	. join(',', map { "\"k$_\":1" } 1 .. 257) . "}}\n", line(++$n));
$a = watched('PUT', '/file', join '', @line);
is_deeply([ verdict($a), map { $_->{line} } @{$a->{json}{unprocessed}} ],
	[ [ 200, 'partial', 2, 522, 522 ], 3, 4 ], '... of a line');


# ---- towers ----

my $tower = '[' x 50_000;
for my $case ([ '/upload', '{"d":[' . record(0) . ',{"evtData":{"a":' ],
	[ '/webhook', '{"profiles":[' . profile(0) . ',{"x":' ],
	[ '/webhook', '{"key_values":{"x":' ],
	[ '/auto', '{"x":' ])
{
	my ($path, $begin) = @$case;
	for my $end ('', ']' x 50_000) {
		$a = watched('POST', $path, $begin . $tower . $end);
		is("$a->{status} $a->{json}{error}", '400 Malformed request',
			"a tower for $path" . ($end ? ', closed' : ''));
	}
}
$a = watched('PUT', '/file', "App Launched\n" . line(++$n) . "\n$tower\n"
	. $tower . ']' x 50_000 . "\n{\"eventProps\":{\"a\":$tower\n"
	. line(++$n));
is_deeply(verdict($a), [ 200, 'partial', 2, 512, 512, 512 ],
	'towers among the lines of a file');
good('behind the towers');


# ---- without an end ----

for my $path (qw{ /upload /webhook /small-file }) {
	my ($status, $sent) = split / /, $memory->during(sub {
		return endless($path, '{"d":["', 'x') });
	is($status, 413, "$path: an endless body is refused");
	cmp_ok($sent, '<', 64 * $mb, '... soon');
	good("behind it, $path");
}

# a file without an end of line: nobody is told until it ends

$a = json_decode($memory->during(sub {
	my $k = open_chunks('/file');
	chunk($k, "App Launched\n" . line($n + 1) . "\n");
	chunk($k, 'x' x $mb) for 1 .. 200;
	chunk($k, "\n" . line($n + 2) . "\n");
	$k->send_bytes("0\r\n\r\n");
	return $k->read_answer->{body};
}));
$n += 2;
is_deeply([ @$a{qw/ status processed failed lines / },
	$a->{unprocessed}[0]{line}, $a->{unprocessed}[0]{code} ],
	[ 'partial', 2, 1, 4, 3, 512 ],
	'a line of 200 MB is passed over, and what is behind it is stored');

# the end of a line in small chunks

$a = json_decode($memory->during(sub {
	my $k = open_chunks('/file');
	my $bytes = join '', "App Launched\n", 'x' x 140_000, "\n",
		line($n + 1);
	$k->send_bytes(join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
		unpack('(a3)*', $bytes), '');
	return $k->read_answer->{body};
}));
$n++;
is_deeply([ @$a{qw/ processed failed lines / } ], [ 1, 1, 3 ],
	'... in chunks of three bytes as well');

# who leaves without an end leaves nothing behind

for (1 .. 8) {
	my $k = open_chunks('/file');
	chunk($k, "App Launched\n" . 'x' x $mb);
	$k->close;
}
good('behind files that never ended');


# ---- what is left of it ----

bounded(40);
is(join(' ', $t->worker_pids), "@workers", 'no worker has died');

$api->until($api->export($api->partner(write_key => 'k'),
	events => { set => 'system' }), 'DONE');
$api->until($api->export($api->partner(write_key => 'k'),
	events => { set => 'engagement' }), 'DONE');
my %sent = $s->property_counts('n');
is_deeply(\%sent, { map { $_ => 1 } 1 .. $n }, "$n good events are stored,"
	. ' and nothing else');
is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# ---- helpers ----

sub gzip {
	my ($text) = @_;
	IO::Compress::Gzip::gzip(\$text, \my $gz, -Minimal => 1)
		or die 'gzip';
	return $gz;
}

# a request, with an eye on the worker

sub watched {
	my ($method, $path, $body, %headers) = @_;
	$headers{'Content-Type'} = 'application/json' if $method eq 'POST';
	my $text = $memory->during(sub {
		my $k = Ctseg::Client->new($t->port(1), timeout => 120);
		return json_encode($k->request($method, $path, \%headers,
			$body));
	});
	return json_decode($text);
}

# memory since the last time

sub bounded {
	my ($most) = @_;
	cmp_ok($memory->looks, '>', 0, 'memory was looked at');
	diag sprintf '%.1f MB more in a worker at most, in %d looks',
		$memory->growth / 1024, $memory->looks;
	SKIP: {
		skip 'the sanitizer keeps what is freed', 1
			if $ENV{CTSEG_ASAN};
		cmp_ok($memory->growth, '<', $most * 1024,
			"... and a worker grew by less than $most MB");
	}
	$memory->again;
	return;
}

# status, what the body says, and the codes of what was refused

sub verdict {
	my ($answer) = @_;
	return [ $answer->{status}, @{$answer->{json}}{qw/ status
		processed / }, map { $_->{code} }
		@{$answer->{json}{unprocessed}} ];
}

# one good event of each kind of body, answered

sub good {
	my ($name) = @_;
	my %h = ('Content-Type' => 'application/json');
	my @body = ([ 'POST', '/upload', '{"d":[' . record(++$n) . ']}', \%h ],
		[ 'POST', '/webhook', '{"profiles":' . profile(++$n) . '}',
			\%h ],
		[ 'PUT', '/file', "App Launched\n" . line(++$n), {} ]);
	is_deeply([ map { http($_->[0], $t->url(1, $_->[1]), $_->[3],
		$_->[2])->{json}{processed} } @body ], [ 1, 1, 1 ],
		"good events $name");
	return;
}

sub record {
	my ($k) = @_;
	return '{"type":"event","identity":"u","evtName":"App Launched",'
		. "\"evtData\":{\"n\":$k}}";
}

sub profile {
	my ($k) = @_;
	return "{\"identity\":\"u\",\"event_properties\":{\"n\":$k}}";
}

sub line {
	my ($k) = @_;
	return '{"profile":{"identity":"u"},"ts":' . time
		. ",\"eventProps\":{\"n\":$k}}";
}

sub open_chunks {
	my ($path) = @_;
	my $k = Ctseg::Client->new($t->port(1), timeout => 120)->connect;
	$k->send_bytes("POST $path HTTP/1.1\r\nHost: x\r\n"
		. "Transfer-Encoding: chunked\r\n\r\n");
	return $k;
}

sub chunk {
	my ($k, $bytes) = @_;
	return $k->send_bytes(sprintf "%x\r\n%s\r\n", length $bytes, $bytes);
}

# send until an answer comes: its status, and how many bytes that took

sub endless {
	my ($path, $begin, $byte) = @_;
	my $k = open_chunks($path);
	my $sent = 0;
	my $bits = '';
	chunk($k, $begin);
	while ($sent < 256 * $mb) {
		chunk($k, $byte x 65536);
		$sent += 65536;
		vec($bits, fileno $k->sock, 1) = 1;
		last if select $bits, undef, undef, 0;
	}
	return $k->read_answer->{status} . " $sent";
}
