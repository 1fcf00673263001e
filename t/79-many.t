#!/usr/bin/env perl

# Many live exports on one worker: none starves.  Each of them, to a partner of
# its own, gets each event, though they share a worker, its threads and its
# memory; and one more that is created when all of them run gets its events as
# well, while Segment keeps its answers to most of the others.  What could fool
# it: events sent by a worker that has given up an earlier run for a later one,
# so in the end each export is asked whether it is RUNNING.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $exports = 70;

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

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_read_timeout 300s;
        }

        ctseg_segment us /segment/us;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

sub live {
	my ($key) = @_;
	return $api->export($api->partner(write_key => $key),
		frequency => { kind => 'live' },
		events => { set => 'system' });
}

sub upload {
	my ($n) = @_;
	$api->upload($t->url(1, '/1/upload'), upload_body(1, from => $n,
		names => [ 'App Launched' ]));
	return;
}

# write key => how many requests came with it

sub requests {
	my %n;
	$n{$_->{write_key}}++ for $s->requests;
	return \%n;
}

my @ids = map { live("key$_") } 1 .. $exports;
$api->until($_, 'RUNNING', 60) for @ids;
pass("$exports live exports are RUNNING");

upload(1);
wait_for { keys %{requests()} == $exports } 30, 'the event everywhere';
pass('each of them gets an event');

# all of them wait for an answer, and another one begins

$s->rules({ when => { write_key => 'last' } });
$s->default(hold => 1);
upload(2);
wait_for { $s->stats->{held} == $exports } 30, 'attempts of all';

push @ids, live('last');
$api->until($ids[-1], 'RUNNING');
upload(3);
wait_for { requests()->{last} } 30, 'the event of the last one';
pass('one more does not wait for them');

$s->default;
$s->release;
wait_for { $s->count_unique == 3 * $exports + 1 } 30, 'all the others';
is($s->count_accepted, 3 * $exports + 1, 'each event comes once');
is(scalar(grep { $api->show($_)->{status} ne 'RUNNING' } @ids), 0,
	'all of them run');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'and all counts add up');

$t->finish;
done_testing;
