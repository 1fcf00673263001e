#!/usr/bin/env perl

# The memory of batches goes round between them, and is given back when there
# are none any more.  How it goes round is in the unit test.  What could fool
# it: memory that is gone before it was looked at, so that is tried again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Data qw/ upload_bodies /;
use Ctseg::Memory;
use Ctseg::Nginx;
use Ctseg::Segment;

plan skip_all => 'the sanitizer has a memory of its own' if $ENV{CTSEG_ASAN};

my $t = Ctseg::Nginx->new(workers => 1, env => { TZ => 'UTC' });
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

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $partner = $api->partner;
my ($worker) = $t->worker_pids;

# 20,000 events of 1,000 bytes

$api->upload($t->url(1, '/1/upload'), $_)
	for upload_bodies(40, 500, props => '"pad":"' . "x" x 700 . '"');

my $less = 0;

for (1 .. 5) {
	$api->until($api->export($partner), 'DONE');
	my $full = Ctseg::Memory::kb($worker);
	$less = eval { wait_for { Ctseg::Memory::kb($worker) < $full - 300 } 5,
		'less memory'; 1 } and last;
}

ok($less, 'memory that no batch needs is given back');

$t->finish;
done_testing;
