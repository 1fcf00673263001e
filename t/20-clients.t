#!/usr/bin/env perl

# Clients of every manner: HTTP/2, requests pipelined in one write, bodies
# announced by "Expect: 100-continue", chunked or slow ones, files by PUT.
# Each is answered for itself and in order, also when one among them is wrong,
# and what was acknowledged is in the store: an answer for the wrong request
# would be seen by its number of events, one sent twice or lost by the sum.
# That curl spoke HTTP/2, or waited for the interim answer, is told by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ http wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Prom;

my $t = Ctseg::Nginx->new(env => { TZ => 'UTC' });
my $d = $t->testdir;

$t->write_file('passcode', "AAA-BBB\n");
$t->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool  ctseg;
    ctseg_account      W8R passcode;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        listen 127.0.0.1:%%PORT_2%% http2;

        location = /1/upload {
            ctseg_collect;
            client_max_body_size 4m;
        }

        location /files/ {
            ctseg_collect format=file;
            client_max_body_size 0;
        }

        location = /metrics {
            ctseg_metrics;
        }
    }
}

EOC

my $from = 0;
my $want = 0;
my %mine = ('X-CleverTap-Account-Id' => 'W8R',
	'X-CleverTap-Passcode' => 'AAA-BBB');

sub body {
	my ($events, %o) = @_;
	$from += $events;
	return upload_body($events, from => $from, %o);
}

sub head {
	my (@more) = @_;
	return join "\r\n", 'POST /1/upload HTTP/1.1', 'Host: x',
		'Content-Type: application/json',
		(map { "$_: $mine{$_}" } sort keys %mine), @more, '', '';
}

sub whole {
	my ($body) = @_;
	return head('Content-Length: ' . length $body) . $body;
}

sub collected {
	return Ctseg::Prom->new(http('GET', $t->url(1, '/metrics'))->{body})
		->value('ctseg_events_collected_total');
}

# "status version", the answer, and what curl -v says

sub curl {
	my ($port, $path, @args) = @_;
	open(my $out, '-|', 'curl', '-sv', '--noproxy', '*', '-m', 60,
		'--stderr', "$d/curl.err", '-o', "$d/curl.out", '-w',
		'%{http_code} %{http_version}', '-H', 'Content-Type: '
		. 'application/json', @args, $t->url($port, $path))
		or die "curl: $!\n";
	my $told = <$out>;
	close $out;
	return ($told, $t->read_file('curl.out'), $t->read_file('curl.err'));
}

my @h2 = '--http2-prior-knowledge';
my @who = map { ('-H', "$_: $mine{$_}") } sort keys %mine;
my ($told, $answer, $said);


# ---- HTTP/2 ----

for my $n (1, 1000) {
	$t->write_file('body', body($n, pad => 500));
	($told, $answer) = curl(2, '/1/upload', @h2, @who, '--data-binary',
		"\@$d/body");
	is($told, '200 2', "an upload of $n by HTTP/2");
	like($answer, qr/"processed":$n,/, '... is taken');
	$want += $n;
}

# nginx resets the stream of a body that it has not read whole when it is
# refused, and this curl may miss the answer before that

for (1 .. 50) {
	($told, $answer) = curl(2, '/1/upload', @h2, '-d', '{"d":[]}');
	last if $told ne '000 0';
}
is($told, '401 2', 'a stranger\'s is not');
($told, $answer) = curl(2, '/1/upload', @h2, @who, '-d', '{"d":[');
is($told, '400 2', 'nor a broken one');

my $number = 0;

sub file {
	my ($lines) = @_;
	$t->write_file('file', join '', "App Launched\n", map {
		'{"profile":{"identity":"u"},"ts":20261101003000,'
		. '"eventProps":{"n":' . ++$number . "}}\n" } 1 .. $lines);
	return;
}

for my $way ([ 2, 'HTTP/2', @h2 ], [ 1, 'HTTP/1.1' ],
	[ 1, 'an announced', '-H', 'Expect: 100-continue' ],
	[ 1, 'a chunked', '-H', 'Transfer-Encoding: chunked' ])
{
	my ($port, $name, @args) = @$way;
	file(20_000);
	($told, $answer, $said) = curl($port, '/files/x', @args, @who, '-T',
		"$d/file");
	like($told, qr/^200 /, "a file by $name PUT");
	like($answer, qr/"processed":20000,/, '... is taken');
	$want += 20_000;
}
is(collected(), $want, 'all of it is in the store');


# ---- announced ----

$t->write_file('body', body(1000, pad => 2000));
($told, $answer, $said) = curl(1, '/1/upload', @who, '-H',
	'Expect: 100-continue', '--expect100-timeout', 50, '--data-binary',
	"\@$d/body");
is($told, '200 1.1', 'a body that is announced');
like($said, qr{< HTTP/1\.1 100 Continue.*< HTTP/1\.1 200 OK}s,
	'... behind the interim answer');
$want += 1000;

# the final answer comes without the body

for my $case ([ 413, 'Content-Length: 99999999', 'AAA-BBB' ],
	[ 401, 'Content-Length: 1000', 'no' ])
{
	my ($status, $length, $passcode) = @$case;
	my $c = Ctseg::Client->new($t->port(1))->connect;
	$c->send_bytes(head($length, 'Expect: 100-continue')
		=~ s/AAA-BBB/$passcode/r);
	is($c->read_answer->{status}, $status,
		"$status needs no body that is announced");
	$c->close;
}


# ---- pipelined ----

my @sizes = (3, 1, 0, 7, -1, 2, 5);
my $c = Ctseg::Client->new($t->port(1))->connect;
$c->send_bytes(join '', map { whole($_ < 0 ? '{"d":[' : body($_)) } @sizes);
my @got = map { $c->read_answer } @sizes;
is_deeply([ map { $_->{status} == 200 ? $_->{json}{processed} : -1 } @got ],
	\@sizes, 'requests in one write are answered in their order');
$want += 3 + 1 + 7 + 2 + 5;

# a body that is refused unread does not become the next request

$c->send_bytes(join '', whole(body(4)), whole('{"d":[]}') =~ s/AAA-BBB/no/r,
	whole(body(6)), "GET /1/upload HTTP/1.1\r\nHost: x\r\n\r\n",
	head('Transfer-Encoding: chunked') . "8\r\n{\"d\":[]}\r\n0\r\n\r\n",
	whole(body(8)));
is(join(' ', map { $_->{status} . '/' . ($_->{json}{processed} // '') }
	map { $c->read_answer } 1 .. 6), '200/4 401/ 200/6 405/ 200/0 200/8',
	'... among wrong ones, too');
$want += 18;


# ---- slow ----

my $slow = Ctseg::Client->new($t->port(1))->connect;
my $body = body(9);
$slow->send_bytes(head('Content-Length: ' . length $body));
for my $byte (split //, $body) {
	$slow->send_bytes($byte);
}
is($slow->read_answer->{json}{processed}, 9, 'a body byte by byte');
$want += 9;

$slow->send_bytes(head('Transfer-Encoding: chunked') . '10');
$slow->send_bytes("\r\n{\"d\":[");
is($c->request('POST', '/1/upload', { %mine }, body(2))->{status}, 200,
	'who comes meanwhile does not wait for a slow one');
$slow->send_bytes("         ]\r\n1\r\n}\r\n0\r\n\r\n");
is($slow->read_answer->{json}{processed}, 0, '... which is answered then');
$want += 2;

is(collected(), $want, 'all that was acknowledged is in the store, once');

$t->finish;
done_testing;
