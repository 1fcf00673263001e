#!/usr/bin/env perl

# Segment was away for a while, and each batch of an export waits for its own
# retry, some for a minute.  The first that gets through shows that it is over,
# so the others go at once.  The clock of all timers stands still here and is
# moved by hand: once a batch was taken, no time passes any more in which
# another one could be due.
# What could fool it: batches that all happen to be due together; so many
# retries have gone by that they wait for 30 seconds on average.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ upload_bodies /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
            client_max_body_size 8m;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000
                                     concurrency=4;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $events = 900;			# four batches

$api->upload($t->url(1, '/1/upload'), upload_bodies(3, 300, pad => 2000,
	names => [ 'App Launched' ]));

$s->rules({ status => 503 });
my $id = $api->export($api->partner);
wait_for { $s->requests >= 4 } 20, 'batches that fail';

$clock->halt;
my $n = 0;
wait_for {
	$clock->step(5) if ++$n % 5 == 0;
	$api->show($id)->{last_run}{retries} >= 40;
} 60, 'many attempts';

$s->rules();
wait_for {
	$clock->step(1);
	$s->count_accepted;
} 60, 'the first batch that is taken';
$clock->step(0.5);
wait_for { $s->count_accepted == $events } 10, 'the others';
pass('the others follow, though no time passes');
$clock->go;

my $run = $api->until($id, 'DONE', 20)->{last_run};
is($run->{sent}, $events, 'all of them are sent');
is(scalar(keys %{{ $s->unique_ids }}), $events, '... each under its id');
is_deeply([ $api->wrong ], [], 'all adds up');

$t->finish;
done_testing;
