#!/usr/bin/env perl

# The disk fills up and fails: under the log, under the records, once and for
# longer, while events come in and go out.  What was answered 200 must be at
# Segment in the end, once and under one id; what was answered 503 may be there
# only if the answer left that open.  Full is a state that passes by itself.
# An error is not: after it no process writes, says so once, and reads on.
#
# The faults are made below LMDB, in all processes at once.  A store that took
# the answer of a write for granted, a worker that goes on because it was
# another one that failed, a run that counts what it could not save, or an
# error that is told again and again would be seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http_json parallel_posts wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Disk;
use Ctseg::Nginx;
use Ctseg::Segment;

my $disk = Ctseg::Disk->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $disk->preload,
	env => $disk->env(TZ => 'UTC'));
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

        client_max_body_size 2m;

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

        ctseg_segment us /segment/us requests=10000 events=1000000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $each = 3;			# events a body
my $body = 0;			# the number of the next one
my (%acked, %refused);		# bodies by their number
my $told = 0;			# times an error of the disk was to be told

is(upload(20), 20, 'a good disk takes all');
cmp_ok($disk->calls('sync', 'events'), '>', 0, 'and is seen by the test');


# ---- no room for events ----

$s->default(hold => 1);
my $running = $api->export($api->partner);
wait_for { $s->stats->{held} } 20, 'a delivery under way';

$disk->fail('write', part => 'events', error => 'ENOSPC', forever => 1);

my @full = map { post() } 1 .. 10;
is_deeply([ map { $_->{status} } @full ], [ (503) x 10 ],
	'a full disk takes no events');
is($full[0]{headers}{'retry-after'}, '1', '... and asks for patience');
is_deeply([ sort keys %{{ map { $_->{json}{error} // $_->{json}{title} // ''
	=> 1 } @full }} ], [ 'Store is full' ], '... with the reason');
cmp_ok($disk->hits, '>=', 10, 'each time it was tried');

$s->default;
$s->release;
is($api->until($running, 'DONE')->{last_run}{sent}, 20 * $each,
	'what is there is delivered');
my $partner = $api->partner(nickname => 'in need');
is($api->patch("/partners/$partner", { nickname => 'indeed' })->{status}, 200,
	'records are made and changed');
is($api->until($api->export($partner), 'DONE')->{last_run}{sent},
	20 * $each, 'exports are made and run');
is($api->get('/status')->{json}{sequence}{last}, 20 * $each,
	'nothing of what was refused is there');

$disk->heal;
is(upload(10), 10, 'room is used as soon as there is some');

# a write that comes back short is how a disk fills up in the middle of it

$disk->fail('write', part => 'events', error => 'SHORT');
is(post()->{status}, 503, 'a write cut short');
is($disk->hits, 1, '... was met');
is(upload(1), 1, '... and the next one is whole');
$disk->heal;


# ---- no room for records ----

$s->forget;
$s->default(hold => 1);
my $export = $api->export($api->partner);
wait_for { $s->stats->{held} } 20, 'a delivery under way';

$disk->fail('write', part => 'state', error => 'ENOSPC', forever => 1);

is($api->patch("/partners/$partner", { nickname => 'no' })->{status}, 503,
	'records cannot be changed');
is($api->get("/partners/$partner")->{json}{nickname}, 'indeed',
	'... nor were they');
is(upload(10), 10, 'events are taken');

my $hits = $disk->hits;
$s->default;
$s->release;
wait_for { $disk->hits > $hits + 1 } 20, 'a checkpoint that fails again';
is($api->show($export)->{status}, 'RUNNING',
	'a run does not end that cannot be saved');

$disk->heal;
is($api->until($export, 'DONE')->{last_run}{sent}, 31 * $each,
	'it ends when it can be');
is($s->count_unique, 31 * $each, 'each event has one id');
is($told, told(), 'a full disk is no reason to stop');

# a live run sends nothing before it is stored how far it goes: it might send
# that again in other batches

my $live = $api->post('/exports', { partner_id => $api->partner(write_key =>
	'live'), frequency => { kind => 'live' }, events => { set => 'system' }
	})->{json}{id};
$api->until($live, 'RUNNING');
$s->forget;
$disk->fail('write', part => 'state', error => 'ENOSPC', forever => 1);
is(upload(1), 1, 'an event is taken');
wait_for {
	my @again = $t->error_log =~ /$live, run 1: saving the progress fail/g;
	@again >= 5;
} 20, 'checkpoints that fail';
is(scalar($s->requests), 0, '... and waits for the end of its cut');
$disk->heal;
wait_for { $s->count_unique == $each } 20, 'the event';
is($api->post("/exports/$live/stop")->{status}, 200, '... is sent then');
wait_for { $api->show($live)->{last_run}{status} eq 'stopped' } 20, 'its end';


# ---- an error, once, while events come in ----

$disk->fail('sync', part => 'events', error => 'EIO', n => 10);
my @bodies = map { next_body() } 1 .. 400;
my @answers = parallel_posts($t->port(1), '/1/upload',
	[ map { $_->[1] } @bodies ], connections => 16);
note_answer($bodies[$_][0], $answers[$_]) for 0 .. $#bodies;

my %status;
$status{$_->{status}}++ for @answers;
is(join(' ', sort keys %status), '200 503', 'all were answered');
cmp_ok($status{200}, '>', 5, 'some before the error');
is($disk->hits, 1, 'which was met once');
$disk->heal;

is(upload(30), 0, 'a disk that works again is not believed, by no worker');
is($api->patch("/partners/$partner", { nickname => 'no' })->{status}, 503,
	'nor for records');
is($api->get("/partners/$partner")->{json}{nickname}, 'indeed',
	'reading goes on');
is($api->get('/status')->{status}, 200, '... for all there is');
is(told(), ++$told, 'the log says it once');

ok($t->kill_worker, 'a worker dies');
$t->allow_alert(qr/exited on signal 9/, qr/store .* cannot be opened/);
is(upload(10), 0, '... and its successor keeps to it');

$t->quit;
$t->run;
is(upload(30), 30, 'a start tries anew');


# ---- an error of the records, and a reload ----

$disk->fail('sync', part => 'state', error => 'EIO');
is($api->patch("/partners/$partner", { nickname => 'lost' })->{status}, 503,
	'a record that may be lost is not confirmed');
$disk->heal;
is(upload(10), 0, 'events are refused as well');
is(told(), ++$told, 'the log says it once');

$t->reload;
is(upload(20), 20, 'the workers of a reload try anew');
like($api->get("/partners/$partner")->{json}{nickname}, qr/^(?:indeed|lost)$/,
	'the record is the old one or the new one');


# ---- a meta page that cannot be flushed ----

# the first flush is that of the pages

$disk->fail('sync', part => 'events', error => 'EIO', n => 2, forever => 1);
is(post()->{status}, 503, 'a commit that may be lost is not confirmed');
$disk->heal;
is(upload(10), 0, 'no more of them');
is(told(), ++$told, 'the log says it once');

$t->quit;
$t->run;
is(upload(10), 10, 'a start tries anew');


# ---- a meta page that cannot be written ----

# LMDB gives the environment up, so the one that met it cannot even read

$disk->fail('meta', part => 'state', error => 'EIO', forever => 1);
is($api->patch("/partners/$partner", { nickname => 'lost' })->{status}, 503,
	'a record that may be lost is not confirmed');
$disk->heal;
is(upload(10), 0, 'nor are events');
is(told(), ++$told, 'the log says it once');

$t->quit;
$t->run;
is(upload(10), 10, 'a start tries anew');


# ---- memory ----

SKIP: {
	skip 'the sanitizer has a memory of its own', 3 if $ENV{CTSEG_ASAN};

	my @pids = sort $t->worker_pids;
	my ($met, %seen) = (0);
	for my $n (1 .. 60) {
		$disk->fail('alloc', error => 'ENOMEM', n => $n);
		$seen{post()->{status}}++;
		eval { $seen{http_json('GET', $t->url(1,
			'/ctseg/api/partners'))->{status}}++ };
		$met += $disk->hits;
		$disk->heal;
	}
	cmp_ok($met, '>', 30, "$met allocations failed");
	is(join(' ', grep { !/^(?:0|200|500|503)$/ } sort keys %seen), '',
		'the answers are ' . join ' ', sort keys %seen);
	is_deeply([ sort $t->worker_pids ], \@pids, 'no worker died of it');
	$t->allow_alert(qr/(?:malloc|posix_memalign|calloc)\(\S+ failed/,
		qr/12: Cannot allocate memory/);
}
is(upload(10), 10, 'and all is well again');


# ---- what came of it ----

$s->forget;
my $last = $api->until($api->export($api->partner), 'DONE', 40)->{last_run};
is($last->{sent}, $api->get('/status')->{json}{sequence}{last},
	'all that is stored goes out');
is($s->count_unique, $last->{sent}, '... each under one id');
is($s->count_accepted, $last->{sent}, '... once');

my %sent = $s->property_counts('n');
my %there;
$there{int $_ / $each} += $sent{$_} for keys %sent;
is_deeply([ grep { ($there{$_} // 0) < $each } sort keys %acked ], [],
	'every acknowledged body is there');
is_deeply([ grep { $there{$_} != $each } sort keys %there ], [],
	'every body is whole, and there once');
is_deeply([ grep { $there{$_} } sort keys %refused ], [],
	'what was certainly refused is not');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'all answers add up');

$t->finish;
done_testing;


# its number, and the text

sub next_body {
	my $i = $body++;
	return [ $i, upload_body($each, pad => 300, from => $i * $each,
		names => [ 'App Launched' ]) ];
}

sub note_answer {
	my ($i, $answer) = @_;
	$acked{$i} = 1 if $answer->{status} == 200;
	$refused{$i} = 1 if $answer->{status} == 503
		&& $answer->{body} =~ /nothing was stored/;
	return $answer;
}

# one body on a connection of its own; status 0: none came

sub post {
	my ($i, $text) = @{next_body()};
	return note_answer($i, eval { http_json('POST',
		$t->url(1, '/1/upload'), $text) } // { status => 0,
		body => '' });
}

# how many of so many bodies were taken

sub upload {
	my ($n) = @_;
	return scalar grep { post()->{status} == 200 } 1 .. $n;
}

# how often the log says that writing has stopped

sub told {
	my @lines = $t->error_log =~ /\[crit\].*nothing is written any more/g;
	return scalar @lines;
}
