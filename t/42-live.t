#!/usr/bin/env perl

# A live export: what is collected is at Segment's side a moment later, for
# as long as the export runs.  The stories: events one by one and in numbers,
# none lost and none twice; an edit holds from the next batch, and what was in
# flight keeps the old settings; a reload and a kill -9 in the middle; a stop;
# a clock that was set back before the export was made.
# What could fool it: events that were there before the export, which are not
# its business, so some are uploaded first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ parallel_posts wait_for /;
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

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%% reuseport;

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

sub post_body {
	my ($body) = @_;
	my ($r) = parallel_posts($t->port(1), '/1/upload', [ $body ]);
	return $r->{status};
}

sub seen { return { $s->property_counts('n') } }

sub count { return scalar keys %{seen()} }

sub create {
	my (%more) = @_;
	my $p = $api->post('/partners', { nickname => 'p' . rand,
		write_key => 'k' . int rand 1e9 })->{json};
	my $r = $api->post('/exports', { partner_id => $p->{id},
		frequency => { kind => 'live' },
		events => { set => 'system' }, %more });
	is($r->{status}, 201, 'a live export is created') or diag $r->{body};
	return $r->{json};
}

is(post_body(upload_body(50, from => 900_000)), 200,
	'events before the export');

my $e = create();
is($e->{status}, 'PENDING', 'it is PENDING');
is_deeply($e->{frequency}, { kind => 'live' }, '... and live');
wait_for { $api->show($e->{id})->{status} eq 'RUNNING' } 10, 'RUNNING';

# one by one, each awaited; the time is printed, not judged

my @seconds;
my $sent = 0;
for my $i (1 .. 10) {
	my $start = time;
	post_body(upload_body(1, from => $i, names => [ 'App Launched' ]));
	wait_for { count() >= $i } 10, "event $i at Segment's side";
	push @seconds, time - $start;
	$sent++;
}
@seconds = sort { $a <=> $b } @seconds;
diag sprintf 'from upload to Segment: %.0f ms at best, %.0f ms at worst',
	1000 * $seconds[0], 1000 * $seconds[-1];
is(count(), 10, 'each event arrives, nothing of before does');

# many at once

my @r = parallel_posts($t->port(1), '/1/upload', [ map { upload_body(100,
	from => 1000 + 100 * $_, names => [ 'App Launched' ]) } 0 .. 49 ],
	connections => 16);
is(scalar(grep { $_->{status} == 200 } @r), 50, '5,000 events more');
wait_for { count() >= 5010 } 20, 'all of them';
is(count(), 5010, '... at Segment, each once');
is(scalar(grep { $_ > 1 } values %{seen()}), 0,
	'... none twice');

my $view = wait_for { my $x = $api->show($e->{id});
	$x->{progress}{sent} == 5010 && $x } 10, 'the checkpoint';
is($view->{status}, 'RUNNING', 'it keeps running');
is($view->{progress}{waiting}, 0, '... with nothing waiting');

# edit: from the next batch

my $runs = $view->{last_run}{number};
my $r = $api->patch("/exports/$e->{id}", { events => { set => 'selected',
	names => [ 'App Installed' ] } });
is($r->{status}, 200, 'its events are edited');
is($r->{json}{applies_from}, 'next_batch', '... from the next batch on');
is($r->{json}{revision}, 2, '... as revision 2');
my $start = time;
wait_for { my $x = $api->show($e->{id}); $x->{last_run}{export_revision} == 2 }
	10, 'a run of the new revision';
diag sprintf 'an edit holds after %.0f ms', 1000 * (time - $start);
post_body(upload_body(10, from => 20_000, names => [ 'App Launched' ]));
post_body(upload_body(10, from => 20_010, names => [ 'App Installed' ]));
wait_for { count() >= 5020 } 10, 'the new choice';
my %n = %{seen()};
is(scalar(grep { $_ >= 20_000 } keys %n), 10, 'only what is chosen now');

my $history = $api->get("/exports/$e->{id}/runs")->{json}{items};
is($history->[0]{after_sequence}, $history->[1]{to_sequence},
	'the new run begins where the old one ended');
is($history->[1]{status}, 'succeeded', '... which is over');
is($history->[1]{export_revision}, 1, '... under its own revision');

# ... and what waits unsent at that moment is sent by the next run

$s->default(status => 500);
post_body(upload_body(10, from => 21_000 + 10 * $_,
	names => [ 'App Installed' ])) for 0 .. 4;
my $last = $api->get('/status')->{json}{sequence}{last};
wait_for { $api->show($e->{id})->{last_run}{to_sequence} == $last } 10,
	'a cut up to the last';
$api->patch("/exports/$e->{id}", { events => { set => 'selected',
	names => [ 'App Installed', 'App Launched' ] } });
wait_for { $api->show($e->{id})->{last_run}{export_revision} == 3 } 10,
	'an edit while all of it fails';
$history = $api->get("/exports/$e->{id}/runs")->{json}{items};
is($history->[0]{after_sequence}, $history->[1]{to_sequence},
	'the new run begins where the old one ended');
cmp_ok($history->[0]{after_sequence}, '<', $last, '... with what is unsent');
$s->default;
wait_for { count() == 5070 } 20, 'what was unsent';
is(count(), 5070, '... all of it is sent');

$r = $api->patch("/exports/$e->{id}", { frequency => { kind => 'recurring',
	every_hours => 4 } });
is($r->{status}, 409, 'it does not become recurring');

# a reload, and a crash, in the middle of uploads

$api->patch("/exports/$e->{id}", { events => { set => 'system' } });
wait_for { $api->show($e->{id})->{last_run}{export_revision} == 4 } 10,
	'the old choice again';
for my $how ('reload', 'kill9') {
	my $from = $how eq 'reload' ? 30_000 : 40_000;
	my @posted = map { upload_body(100, from => $from + 100 * $_,
		names => [ 'App Launched' ]) } 0 .. 19;
	my %ok;
	my @a = parallel_posts($t->port(1), '/1/upload', [ @posted[0 .. 9] ]);
	$ok{$_} = 1 for grep { $a[$_]{status} == 200 } 0 .. 9;
	if ($how eq 'reload') {
		$t->reload;
	} else {
		$t->kill9;
		$t->restart;
	}
	@a = parallel_posts($t->port(1), '/1/upload', [ @posted[10 .. 19] ]);
	$ok{$_ + 10} = 1 for grep { $a[$_]{status} == 200 } 0 .. 9;
	is(scalar keys %ok, 20, "$how: every upload is answered");
	wait_for { my %c = %{seen()};
		2000 == grep { $_ >= $from && $_ < $from + 2000 } keys %c } 20,
		"$how: all of them";
	pass("$how: every event arrives");
}
is($s->count_unique, count(), 'one message id for each event');

# stop

$r = $api->post("/exports/$e->{id}/stop");
is($r->{status}, 200, 'it is stopped');
is($r->{json}{status}, 'STOPPED', '... at once');
wait_for { $api->show($e->{id})->{last_run}{status} eq 'stopped' } 10,
	'the end of its run';
my $before = count();
post_body(upload_body(10, from => 50_000, names => [ 'App Launched' ]));
my $other = create();
wait_for { $api->show($other->{id})->{status} eq 'RUNNING' } 10, 'another';
post_body(upload_body(10, from => 60_000, names => [ 'App Launched' ]));
wait_for { count() >= $before + 10 } 10, 'its events';
is(count(), $before + 10, 'nothing of what came after the stop is sent');

# the clock is set back: what there was then came before the export all the
# same, though its time is later

$clock->advance(-7200);
$before = count();
$other = create();
$view = wait_for { my $x = $api->show($other->{id}); $x->{last_run} && $x } 10,
	'its run';
is($view->{last_run}{after_sequence},
	$api->get('/status')->{json}{sequence}{last}, 'nothing of before');
post_body(upload_body(10, from => 70_000, names => [ 'App Launched' ]));
wait_for { $api->show($other->{id})->{progress}{sent} >= 10 } 10, 'its events';
is(count(), $before + 10, 'an export sends what came after it, by any clock');

is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;
