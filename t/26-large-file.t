#!/usr/bin/env perl

# An export file that is larger than what a worker may ever need for it: sent
# line by line, so that it is whole nowhere.  Half way, which is when the store
# has that many events, the worker is killed; the file is sent again, in
# chunks, and each of its lines must be one event.  The store's own number of
# events could be right while one is missing and another there twice, so all of
# them are exported, and each must arrive once.  The sender stops behind the
# half until the worker is dead, else a fast machine would have stored
# everything before.  Memory is that of the worker alone, looked at all the
# while, and it must have been looked at.
#
# CTSEG_LARGE_MB is the size of the file, 200 if absent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ http_json wait_for /;
use Ctseg::Memory;
use Ctseg::Nginx;

my $mb = $ENV{CTSEG_LARGE_MB} || ($ENV{CTSEG_ASAN} ? 40 : 200);
my $t = Ctseg::Nginx->new(env => { TZ => 'UTC' });

# Segment's place is taken by a location that keeps the bodies: a mock that
# reads each of them would be what takes the time

$t->conf(<<'EOC', STORE => 64 + 2 * $mb)->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    access_log off;

    ctseg_store %%TESTDIR%%/store events=%%STORE%%m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /file {
            ctseg_collect format=file;
            client_max_body_size 0;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%/v1/batch;
        }

        location = /v1/batch {
            client_body_in_file_only on;
            client_body_temp_path %%TESTDIR%%/sent;
            client_max_body_size 1m;
            proxy_pass http://127.0.0.1:%%PORT_1%%/ok;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }

        location = /ok {
            default_type application/json;
            return 200 '{"success":true}';
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

# each line has 1000 bytes, seven of which are its number

my $head = "App Launched\n";
my $lines = $mb * 1024 * 1024 / 1000 | 0;
my $front = '{"profile":{"identity":"u"},"ts":' . int(time)
	. ',"eventProps":{"n":"';
my $back = '","text":"' . 'x' x (1000 - length($front) - 7 - 14) . "\"}}\n";

my $memory = Ctseg::Memory->new($t);
my $start = time;


# ---- the first time: a worker dies ----

my $c = Ctseg::Client->new($t->port(1), timeout => 120)->connect;
my $first = eval {
	$memory->during(sub {
		$c->send_bytes("PUT /file HTTP/1.1\r\nHost: x\r\n"
			. 'Content-Length: ' . (length($head) + 1000 * $lines)
			. "\r\n\r\n$head");
		some($c, 0, $lines * 3 / 4 | 0, 0);
		return 'sent';
	});
};
is($first, 'sent', 'three quarters of a file') or diag $@;
wait_for { $memory->look; stored() >= $lines / 2 } 120, 'half of it';
my $half = stored();
$t->kill_worker;
ok(!eval { $c->read_answer }, 'no answer comes from a worker that is dead');
cmp_ok($half, '<', $lines, 'it left a part of the lines');


# ---- the second time: it is there ----

my $answer = $memory->during(sub {
	my $again = Ctseg::Client->new($t->port(1), timeout => 120)->connect;
	$again->send_bytes("PUT /file HTTP/1.1\r\nHost: x\r\n"
		. "Transfer-Encoding: chunked\r\n\r\n"
		. sprintf "%x\r\n%s\r\n", length $head, $head);
	some($again, 0, $lines, 1);
	$again->send_bytes("0\r\n\r\n");
	return $again->read_answer->{body};
});
is($answer, "{\"status\":\"success\",\"processed\":$lines,\"failed\":0,"
	. '"lines":' . ($lines + 1) . ",\"unprocessed\":[]}\n",
	'the whole file, sent again');
is(stored(), $lines, 'as many events as it has lines');

cmp_ok($memory->looks, '>', 10, 'memory was looked at');
diag sprintf '%d MB, %d lines, killed behind %d: %.1f s, a worker grew by '
	. '%.1f MB at most, from %.1f MB, in %d looks', $mb, $lines, $half,
	time - $start, $memory->growth / 1024, $memory->{rest} / 1024,
	$memory->looks;

SKIP: {
	skip 'the sanitizer keeps what is freed', 1 if $ENV{CTSEG_ASAN};
	cmp_ok($memory->growth, '<', 40 * 1024,
		"a worker grows by less than 40 MB for $mb MB");
}


# ---- each line is one event ----

my $id = $api->export($api->partner, events => { set => 'system' });
my $run = $api->until($id, 'DONE', 120)->{last_run};
is($run->{sent}, $lines, 'all of them are sent');

my ($seen, $events, $twice, $odd) = ('', 0, 0, 0);
for my $file (glob $t->testdir . '/sent/*') {
	my $body = $t->read_file($file);
	unlink $file;
	while ($body =~ /"n":"(\d+)"/g) {
		$events++;
		$twice += vec $seen, $1, 1;
		vec($seen, $1, 1) = 1;
		$odd++ if $1 >= $lines;
	}
}
is("$events $twice $odd", "$lines 0 0", 'each line arrives once');
is_deeply([ $api->wrong ], [], 'the numbers add up');
diag sprintf '%.1f s with the export', time - $start;

$t->finish;
done_testing;


# ---- helpers ----

# lines of the file, 250 at a time

sub some {
	my ($to, $from, $end, $chunked) = @_;
	while ($from < $end) {
		my $next = $from + 250 < $end ? $from + 250 : $end;
		my $text = join '', map { sprintf '%s%07d%s', $front, $_,
			$back } $from .. $next - 1;
		$text = sprintf "%x\r\n%s\r\n", length $text, $text
			if $chunked;
		$to->send_bytes($text);
		$from = $next;
	}
	return;
}

sub stored { return $api->get('/status')->{json}{sequence}{last} // 0 }
