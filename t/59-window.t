#!/usr/bin/env perl

# How many batches of a run are in flight follows what Segment's side can take:
# as many as concurrency says at first, and one after as many errors.  The mock
# holds its answers, so what is in flight can be counted.  What could fool it:
# batches that wait for their next try, so it is watched for longer than the
# first of those waits can be.  How it grows again is in the unit test, since
# answers that are held are slow ones, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Data qw/ upload_bodies /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
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
                                     concurrency=6;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $events = 6000;

# a batch holds some two hundred of these

$api->upload($t->url(1, '/1/upload'), upload_bodies(20, 300, pad => 2000,
	names => [ 'App Launched' ]));

$s->default(hold => 1, status => 503);
my $id = $api->export($api->partner);
wait_for { held() == 6 } 20, 'as many as concurrency';
pass('at first all that may be are in flight');

# six errors: down to one

$s->default(hold => 1);
$s->release;
wait_for { held() } 20, 'the next try';
my $until = time + 2;
my $most = 0;
wait_for {
	my $n = held();
	$most = $n if $n > $most;
	time > $until;
} 20, 'the waits of all of them';
is($most, 1, 'after errors it is one');

$s->default();
$s->release;
is($api->until($id, 'DONE', 60)->{last_run}{sent}, $events, 'all is sent');
is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


sub held { return $s->stats->{held} }
