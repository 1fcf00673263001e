#!/usr/bin/env perl

# A worker hangs: it is there, but it does nothing, and Segment has batches of
# its run whose answers it does not fetch.  When the lease has ended another
# worker takes the run over and sends what was not counted, the same bytes.
# In the middle of that the first one wakes up, finds its answers, and wants to
# save: it fails, since the record is not what it knew, drops the run, and
# changes nothing.  In the end each event is counted once.  The lease of thirty
# seconds takes five here, since t/fault/ctseg_hurry.c makes the clock of
# timers run six times as fast.
#
# The two workers belong to two nginx on one store, since the kernel gives a
# stopped worker its share of connections, which would wait with it.
#
# What could fool it: a worker that is stopped in the middle of a commit, which
# holds the lock of the store; then it is woken and stopped again.  A first
# owner that wakes when its successor has finished would prove less, so Segment
# holds the answers of both until the first one has been refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http wait_for /;
use Ctseg::Data qw/ upload_body upload_bodies /;
use Ctseg::Nginx;
use Ctseg::Prom;
use Ctseg::Segment;

my ($hung, $t) = map { Ctseg::Nginx->new(preload => [
	Ctseg::Nginx::shim('ctseg_hurry') ], env => { TZ => 'UTC',
	CTSEG_HURRY => 6 }) } 1 .. 2;
my $s = Ctseg::Segment->new(dir => $t->testdir);

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%STORE%% events=64m state=16m;
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

        location = /metrics {
            ctseg_metrics;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_read_timeout 3600s;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000
                                     concurrency=4;
    }
}

EOC

$_->set_port(9, $s->port)->conf($conf, STORE => $t->testdir . '/store')
	for $hung, $t;
$hung->run;

my $api = Ctseg::Api->new($hung->url(1, '/ctseg/api'));
my $upload = $t->url(1, '/1/upload');
my $events = 3000;

# some fifteen batches

$api->upload($hung->url(1, '/1/upload'), upload_bodies(10, $events / 10,
	pad => 2000, names => [ 'App Launched' ]));


# ---- a worker falls asleep ----

# the first batch is among the first four, since no more are under way at once

$s->default(hold => 1);
my $id = $api->export($api->partner);
my ($first) = $hung->worker_pids;
for (1 .. 4) {
	wait_for { $s->stats->{held} } 20, 'a held answer';
	$s->release(1);
}
wait_for { $s->stats->{held} > 1 } 20, 'batches under way';
wait_for { $api->show($id)->{progress}{sent} } 20, 'a checkpoint';

$t->run;
$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

my $more = 0;
while (1) {
	kill 'STOP', $first;
	last if eval { $api->upload($upload, upload_body(1,
		from => $events + $more)); 1 };
	die "the store stays locked\n" if ++$more == 10;
	kill 'CONT', $first;
}
pass('without it, uploads are taken');

my $mark = $s->stats->{requests};
wait_for { working($t) } 60, 'another worker with the run';
is(working($hung), 1, 'another worker takes the run over');
wait_for { $s->stats->{requests} > $mark + 1 } 20, '... and sends';

my @held = grep { !defined $_->{status} } $s->requests;
my %times;
$times{$s->body($_)}++ for $s->requests;
cmp_ok(scalar(grep { $_ == 2 } values %times), '>', 0,
	'... what the first one had sent, the same bytes');


# ---- it wakes up ----

# its answers are the oldest

my $before = $api->show($id)->{progress};
kill 'CONT', $first;
$s->release(1) for grep { $_->{n} <= $mark } @held;
wait_for { $hung->error_log =~ /export $id, run 1: another worker took/ }
	30, 'a save that fails';
is_deeply($api->show($id)->{progress}, $before,
	'what the first one was answered changes no count');

$s->default;
$s->release;
my $e = $api->until($id, 'DONE', 60);
is($e->{progress}{sent}, $events, 'in the end each event is counted once');
is("$e->{progress}{waiting} $e->{progress}{rejected}", '0 0', '... all');
is($s->count_unique, $events, 'all of them arrive');
cmp_ok($s->count_accepted, '>', $events, 'some came twice');
my %n = $s->property_counts('n');
is(scalar(grep { $_ != 1 } values %n), 0, '... under the same ids');

is(working($hung) . working($t), 11, 'each worker had the run once');
is(Ctseg::Prom->new(http('GET', $_->url(1, '/metrics'))->{body})
	->value('ctseg_invariant_violations_total'), 0,
	'and no law of counting was broken') for $hung, $t;

# the one that hung is well again: it leaves as any other

for my $nginx ($hung, $t) {
	$nginx->quit;
	is($nginx->{status}, 0, 'it leaves');
}
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'all counts add up');

$_->finish for $hung, $t;
done_testing;


# how often a worker of this nginx has taken the run

sub working {
	my ($nginx) = @_;
	return scalar(() = $nginx->error_log
		=~ /export $id, run 1: working/g);
}
