#!/usr/bin/env perl

# Several exports of one write key share its rate: live goes before recurring,
# and recurring before one-time; and an export says when it will be done.  The
# location tells the mock which export a batch belongs to, so the order of the
# batches is the proof.  What could fool it: batches that were under way when
# the other export came; as many as may be in flight are allowed for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Data qw/ upload_body upload_bodies /;
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

        location = /segment {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_set_header X-Export $ctseg_export;
        }

        ctseg_segment us /segment events=10 requests=50;
        ctseg_segment eu /segment events=2000 requests=50;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $past = { kind => 'one_time', range => 'last_7_days' };
my ($e, $n);

# large ones, of which a batch holds some two hundred

$api->upload($t->url(1, '/1/upload'), upload_bodies(20, 300, pad => 2000,
	names => [ 'App Launched' ]));


# ---- before the first answer: what the rate allows ----

my $eu = $api->partner(region => 'eu');
$s->default(hold => 1);
my $one = $api->export($eu);
wait_for { $s->stats->{held} } 20, 'its first batch';
$e = $api->show($one);
is($e->{progress}{waiting}, 6000, 'nothing is answered yet');
is($e->{progress}{eta_seconds}, 3, '6,000 events at 2,000 a second');


# ---- recurring before one-time ----

# it begins at once, so what may be under way of the other one is so before

wait_for { $s->stats->{held} == 4 } 20, 'four batches under way';
my $recurring = $api->export($eu, frequency => { kind => 'recurring',
	every_hours => 24 });
wait_for { $api->show($recurring)->{last_run} } 20, 'its run';
$s->default();
$s->release;
$e = $api->until($recurring, 'PENDING', 60);
is($e->{last_run}{sent}, 6000, 'the recurring one sends all');
is($api->until($one, 'DONE', 60)->{last_run}{sent}, 6000,
	'... and the one-time one');

my @order = order();
my ($first) = grep { $order[$_] eq $recurring } 0 .. $#order;
my ($last) = reverse grep { $order[$_] eq $recurring } 0 .. $#order;
my $between = grep { $_ eq $one } @order[$first .. $last];
my $batches = grep { $_ eq $recurring } @order;
cmp_ok($batches, '>=', 20, 'in some batches');
cmp_ok($between, '<=', 4, 'between which no other is let in')
	or diag join ' ', map { $_ eq $one ? 'one' : 'recurring' } @order;
is($order[-1], $one, 'the one-time one ends last');


# ---- live before both, also when the bucket is overdrawn ----

# at ten a second, a batch of two hundred is paid for after twenty seconds;
# whoever waits for that comes after the deadline of this test

my $us = $api->partner(region => 'us');
my $live = $api->export($us, frequency => { kind => 'live' });
wait_for { $api->show($live)->{status} eq 'RUNNING' } 20, 'RUNNING';
$one = $api->export($us);
wait_for { sent($one) } 20, 'its first batch';

for my $i (1 .. 3) {
	$api->upload($t->url(1, '/1/upload'), upload_body(1,
		from => 100_000 + $i, names => [ 'App Launched' ]));
	wait_for { sent($live) == $i } 10, "the live event $i";
}
is(sent($one), 1, 'live events pass the batches that wait');

# the workers after a reload know of the debt of those before it

my $began = () = working($one);
$t->reload(wait_old => 1);
wait_for { (my @now = working($one)) > $began } 20, 'the run goes on';
$api->upload($t->url(1, '/1/upload'), upload_body(1, from => 100_004,
	names => [ 'App Launched' ]));
wait_for { sent($live) == 4 } 10, 'a live event after a reload';
is(sent($one), 1, '... over which the rate holds');

$e = $api->show($one);
is($e->{status}, 'RUNNING', 'which take their time');
cmp_ok($e->{progress}{eta_seconds}, '>=', int($e->{progress}{waiting} / 10),
	'... and say how long at least');
is($api->post("/exports/$one/stop")->{json}{progress}{eta_seconds}, undef,
	'a stopped one has no end to wait for');

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# when a worker began with the export's run

sub working {
	my ($id) = @_;
	return $t->error_log =~ /(export \Q$id\E, run 1: working on)/g;
}

# the export of each batch, as they came

sub order { return map { $_->{headers}{'x-export'} } $s->requests }

sub sent { my ($id) = @_; return scalar grep { $_ eq $id } order() }
