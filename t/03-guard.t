#!/usr/bin/env perl

# The loop guard (fault/ctseg_guard.c): a worker's event loop makes no call
# that may block.  First the guard itself, on purpose violated: it names each
# trespass of the loop once and none of a thread.  Then a story of all that
# the module does, from an upload to a reload, under its eyes; "make guard"
# does the same with the other tests.  What could fool this is a guard that
# looks away, so it says in the log when it begins to watch, and it must know
# every function of a blocking kind that the module imports.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http_json wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool  ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_body_buffer_size  1k;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us;
    }
}

EOC

my $guard = Ctseg::Nginx::shim('ctseg_guard');

# ---- it knows what can block ----

{
	my $so = $ENV{CTSEG_MODULE}
		|| Ctseg::Nginx::top() . '/build/ngx_http_ctseg_module.so';
	my %known = map { s/@.*//r => 1 } map { (split)[-1] }
		qx{nm -D --defined-only '$guard'};
	my @used = map { s/@.*//r } map { (split)[-1] }
		qx{nm -D --undefined-only '$so'};

	my $pure = qr/^(?:mdb_strerror|mdb_version|curl_global_\w+
		|curl_slist_\w+
		|curl_easy_(?:reset|setopt|getinfo|strerror|header))$/x;
	my $blocks = qr/^_*(?:mdb_\w+|curl_\w+|yajl_parse|f?open\w*|creat\w*
		|[lf]?stat\w*|access|readlink|unlink|rename|mkdir|rmdir
		|p?readv?\w*|p?writev?\w*|process_vm_\w+|f?sync\w*
		|fdatasync|msync
		|f?truncate\w*|posix_fallocate\w*|flock|opendir|readdir\w*
		|scandir\w*|\w*sleep|poll|ppoll|select|pselect|system|popen
		|fork|waitpid|getaddrinfo|gethostby\w+|pthread_join
		|pthread_cond_\w*wait|sem_\w*wait)$/x;

	ok((grep { $_ eq 'mdb_txn_begin' } @used), 'the module uses LMDB');
	is_deeply([ grep { /$blocks/ && !/$pure/ && !$known{$_} } @used ],
		[], 'the guard stands before all that may block');
}

# ---- what it must notice ----

{
	my $t = Ctseg::Nginx->new(guard => 1,
		preload => [ Ctseg::Nginx::shim('ctseg_trespass') ]);
	my $s = Ctseg::Segment->new(dir => $t->testdir);
	$t->set_port(9, $s->port)->conf($conf)->run;
	$t->allow_alert(qr/loop guard: \w+\(\) on the event loop/);

	wait_for { $t->error_log =~ /guard: fopen\(\)/ } 20,
		'the last trespass';
	$t->quit;

	my @seen = $t->error_log =~ /loop\ guard:\ (\w+)\(\)\ on\ the
		\ event\ loop,\ from\ \S+ctseg_trespass\.so\ \+0x/xg;
	is("@seen", 'yajl_parse mdb_env_create mdb_env_set_mapsize'
		. ' mdb_env_close fsync stat clock_nanosleep open fopen',
		'each trespass of the loop is named, none of the thread');
	is_deeply([ grep { /on the event loop/ && !/ctseg_trespass/ }
		split /\n/, $t->error_log ], [], 'nobody else is accused');
	like($t->error_log, qr/loop guard: leaving/,
		'the hook at the end of a process is free again');
	$t->finish;
}

# ---- the module, on its best behavior ----

my $t = Ctseg::Nginx->new(guard => 1, workers => 2);
my $s = Ctseg::Segment->new(dir => $t->testdir);
$t->set_port(9, $s->port)->conf($conf)->run;
my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

# in memory, and by way of a file that nginx wrote

my %app = (names => [ 'App Launched' ]);
for my $size (10, 20_000) {
	my $r = http_json('POST', $t->url(1, '/1/upload'),
		upload_body(2, %app, pad => $size));
	is($r->{status}, 200, "an upload with $size bytes an event");
}

my $id = $api->partner;
my %today = (frequency => { kind => 'one_time', range => 'last_7_days' });
is($api->post('/exports/preview', { partner_id => $id, %today })->{status},
	200, 'a preview');
is($api->post("/partners/$id/test")->{status}, 200, 'a test of a partner');

my $live = $api->export($id, frequency => { kind => 'live' });
$api->until($api->export($id), 'DONE');
is($s->count_unique, 5, 'an export delivers, next to the test');

$t->reload(wait_old => 1);
http_json('POST', $t->url(1, '/1/upload'), upload_body(1, %app));
wait_for { $s->count_unique == 6 } 20, 'a live export goes on';
is($api->post("/exports/$live/stop")->{status}, 200, 'until it is stopped');
is($api->get('/exports?per_page=10')->{status}, 200, 'a list');
is_deeply([ $api->wrong ], [], 'all adds up');

$t->quit;

my @watched = $t->error_log =~ /loop guard: watching/g;
is(scalar @watched, 4, 'every worker was watched');
my @left = $t->error_log =~ /loop guard: leaving/g;
is(scalar @left, 4, 'up to its end');

$t->finish;
done_testing;
