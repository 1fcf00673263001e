#!/usr/bin/env perl

# Segment refuses everything under a write key: its partner pauses.  Nothing is
# dropped, one batch in a minute tries whether it is over, and the partners
# beside it do not notice.  An edit of the partner may be the cure, so it is
# tried at once.  After three days the exports stop, for their errors.  What
# could fool it: batches that were under way when the first answer came; as
# many as may be in flight are allowed for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ upload_body upload_bodies /;
use Ctseg::Nginx;
use Ctseg::Prom;
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

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /metrics {
            ctseg_metrics;
        }

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
                                     concurrency=2;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $events = 3000;
my ($e, $r);

# some twenty batches

$api->upload($t->url(1, '/1/upload'), upload_bodies(10, 300, pad => 2000,
	names => [ 'App Launched' ]));

$s->rules({ when => { write_key => 'wrong' }, status => 401 });


# ---- the pause ----

my $sick = $api->partner(nickname => 'sick', write_key => 'wrong');
my $well = $api->partner(nickname => 'well', write_key => 'right');
my @waiting = map { $api->export($sick) } 1 .. 3;

my $health = wait_for { my $h = health($sick); $h->{state} eq 'paused' && $h }
	20, 'a pause';
is($health->{reason}, "Segment's side answered 401", 'for a reason');
like($health->{$_}, qr/^\d{4}-.*Z$/, "$_ is an instant")
	for qw/ since retry_at /;
is($api->get('/status')->{json}{health}, 'paused', 'the status tells it');

my @r = map { $api->until($api->export($well), 'DONE', 60) } 1 .. 3;
is($_->{last_run}{sent}, $events, 'another partner does not notice') for @r;
is(health($well)->{state}, 'ok', '... and is well');

cmp_ok(requests('wrong'), '<=', 2 * @waiting, 'the sick one is left alone');
is(health($sick)->{since}, $health->{since}, '... since it began');
for my $id (@waiting) {
	$e = $api->show($id);
	is("$e->{status} $e->{last_run}{waiting}", "RUNNING $events",
		'... and nothing of it is dropped');
}


# ---- over a crash ----

my $before = requests('wrong');
$t->kill9;
$t->restart;
$api->until($api->export($well), 'DONE', 60);
wait_for { requests('wrong') > $before } 20, 'a try';
$api->until($api->export($well), 'DONE', 60);
is(requests('wrong'), $before + 1, 'after a crash one batch tries it');
is(health($sick)->{state}, 'paused', '... and it still pauses');


# ---- the cure ----

is($api->patch("/partners/$sick", { write_key => 'mended' })->{status}, 200,
	'the write key is corrected');
for my $id (@waiting) {
	is($api->until($id, 'DONE', 30)->{last_run}{sent}, $events,
		'... and what waited goes out, long before a minute is over');
}
is(health($sick)->{state}, 'ok', 'the partner is well');
my %ids = map { $_->{id} => 1 } grep { $_->{key} eq 'mended' } events();
is(scalar keys %ids, $events, 'each event under its id');


# ---- a cure that whoever took over has to notice ----

$s->rules({ when => { write_key => 'mended' }, status => 401 });
my $taken_over = $api->export($sick);
wait_for { health($sick)->{state} eq 'paused' } 20, 'a pause';
$t->kill_worker($_) for $t->worker_pids;
$s->rules();
my $edits = 0;
wait_for {
	$api->patch("/partners/$sick", { nickname => 'sick ' . ++$edits });
	$api->show($taken_over)->{status} eq 'DONE';
} 30, 'the end of a run that was taken over while its partner paused';
pass('an edit is noticed by other workers as well');


# ---- it is over, and something in the first batch is wrong ----

$s->rules({ when => { write_key => 'mended' }, status => 404 });
my $wrong = $api->export($sick);
wait_for { health($sick)->{state} eq 'paused' } 20, 'a pause';
$s->rules({ when => { write_key => 'mended', contains => '"n":5,' },
	status => 400 });
$t->kill9;
$t->restart;
$r = $api->until($wrong, 'DONE', 30)->{last_run};
is_deeply([ @{$r}{qw/ sent rejected / } ], [ $events - 1, 1 ],
	'a verdict on the events ends a pause, too');
$s->rules();


# ---- live ----

# a run that goes on after it does not remember the pause

$s->rules({ when => { write_key => 'mended' }, status => 401 });
my $on = $api->export($sick, frequency => { kind => 'live' });
$api->until($on, 'RUNNING');
$api->upload($t->url(1, '/1/upload'), upload_body(1, from => 900_000,
	names => [ 'App Launched' ]));
wait_for { health($sick)->{state} eq 'paused' } 20, 'a pause of a live one';
is($api->patch("/partners/$sick", { write_key => 'again' })->{status}, 200,
	'another cure');
wait_for { $api->show($on)->{progress}{sent} == 1 } 20, 'its event';
is($api->show($on)->{status}, 'RUNNING', 'the run goes on');
is(health($sick)->{state}, 'ok', '... and its partner is well');
wait_for { !paused($sick) } 20, 'the end of the pause in the metrics';
is($api->post("/exports/$on/stop")->{status}, 200, '... until it is stopped');


# ---- three days ----

$s->rules({ when => { write_key => 'again' }, status => 403 });
my $stopped = $api->export($sick);
my $live = $api->export($well, frequency => { kind => 'live' });
wait_for { health($sick)->{state} eq 'paused' } 20, 'another pause';

# an edit makes its owner try, and think of the days, on the new clock

$clock->advance(3 * 86400 - 3600);
my $then = $api->show($stopped)->{last_run}{last_error}{at};
is($api->patch("/partners/$sick", { nickname => 'still sick' })->{status},
	200, 'an edit that mends nothing');
wait_for { $api->show($stopped)->{last_run}{last_error}{at} gt $then } 20,
	'another try';
$api->until($api->export($well), 'DONE', 60);
is($api->show($stopped)->{status}, 'RUNNING', 'almost three days');

$clock->advance(7200);
$e = $api->until($stopped, 'STOPPED', 30);
is($e->{stop_reason}, 'errors', 'after three days it stops, for its errors');
is($api->run_ended($stopped)->{status}, 'stopped', '... with its run');
is($api->show($stopped)->{last_run}{last_error}{status}, 403,
	'... which says why');
is($api->show($live)->{status}, 'RUNNING', 'the others go on');
is(health($sick)->{state}, 'ok', 'nothing is left that could fail');
is($api->delete("/partners/$sick")->{status}, 204, '... or needs it');

is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
done_testing;


# ---- helpers ----

sub health { return $api->get("/partners/$_[0]")->{json}{health} }

sub paused {
	return Ctseg::Prom->new(http('GET', $t->url(1, '/metrics'))->{body})
		->value('ctseg_partner_paused', partner => $_[0]);
}

sub requests {
	my ($key) = @_;
	return scalar grep { $_->{write_key} eq $key } $s->requests;
}

# what was taken: { id, key }

sub events {
	my @out;
	for my $r (grep { ($_->{status} // 0) == 200 } $s->requests) {
		push @out, map { { id => $_, key => $r->{write_key} } }
			$s->body($r) =~ /"messageId":"([^"]+)"/g;
	}
	return @out;
}
