#!/usr/bin/env perl

# A live export does not wait for its timer: the one who appends events wakes
# it, in the same worker or in another one.  So the clock of all timers stands
# still here while events come, and they are at Segment's side all the same.
# It is moved on by less than the time after which a run looks by itself, as a
# run that has just looked holds back a little.
# What could fool it: a timer that happened to be due in that stretch, so it
# is done many times, each time by a client of its own, which either of the
# two workers may get.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
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
        listen 127.0.0.1:%%PORT_1%% reuseport;

        location = /1/upload {
            ctseg_collect;
        }

        location = /1/file {
            ctseg_collect format=file;
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
my $p = $api->partner;
my $e = $api->post('/exports', { partner_id => $p,
	frequency => { kind => 'live' },
	events => { set => 'system' } })->{json};
wait_for { $api->show($e->{id})->{status} eq 'RUNNING' } 10, 'RUNNING';

sub seen { my %n = $s->property_counts('n'); return \%n }

my $sent = 0;

sub arrives {
	my ($what, $path, $body) = @_;

	wait_for { $api->show($e->{id})->{progress}{sent} == $sent } 10,
		'the checkpoint';
	$clock->halt->step(0.03);
	my $r = http('POST', $t->url(1, $path),
		{ 'Content-Type' => 'application/json' },
		$body);
	is($r->{status}, 200, "$what is stored");
	$clock->step(0.025);
	$sent++;
	ok(eval { wait_for { keys %{seen()} == $sent } 10; 1 },
		"... and at Segment's side, though no time passes");
	$clock->go;
}

arrives("event $_", '/1/upload', upload_body(1, from => $_,
	names => [ 'App Launched' ])) for 1 .. 12;
arrives("line $_", '/1/file', "\"App Launched\"\n"
	. "{\"profile\":{\"identity\":\"ann\"},\"ts\":20261101120000,"
	. "\"eventProps\":{\"n\":$_}}\n") for 13, 14;

is((grep { $_ != 1 } values %{seen()}), 0, 'each of them once');
is_deeply([ $api->wrong ], [], 'all adds up');

$t->finish;
done_testing;
