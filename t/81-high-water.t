#!/usr/bin/env perl

# A log that is full.  Above the high-water mark uploads are refused and all
# else goes on: exports are created, edited and stopped, partners deleted,
# events delivered and counted.  Intake resumes by itself when retention frees
# space; what an export has not sent keeps it waiting until that is stopped or
# has sent.  A reader that was killed pins the pages that are freed after it,
# and then nothing is won: it is forgotten.  The clock is in the hand of the
# test.  What could fool it: a mark that was never reached, so the log is
# filled until it refuses, and the refusal is seen again before each cause of
# its end; or a worker that was replaced, so their pids are compared.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http http_json wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Prom;
use Ctseg::Segment;

my $day = 86400;
my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$clock->set('2026-11-02T12:00:00Z');

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=4m state=16m
                       high_water=50 retention=1d;
    ctseg_thread_pool  ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /metrics {
            ctseg_metrics;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my %partner = map { $_ => $api->partner(nickname => $_, write_key => $_) }
	qw/ a b c /;
my @workers = sort $t->worker_pids;
my $last = 0;				# number of the newest event
my ($n, $id, $store, @reading);

my $live = $api->export($partner{b}, frequency => { kind => 'live' });
$api->until($live, 'RUNNING');


# ---- above the mark ----

$id = recurring();
hold('a', 'b');
$n = fill();
cmp_ok($n, '>', 10, 'uploads are taken, and then no more');

my $answer = upload();
is($answer->{status}, 503, 'again and again');
like($answer->{headers}{'retry-after'}, qr/^\d+$/, '... with a time to wait');

my $m = Ctseg::Prom->new(http('GET', $t->url(1, '/metrics'))->{body});
is($m->value('ctseg_events_collected_total'), $last,
	'what was taken is counted, and no more');
cmp_ok($m->value('ctseg_events_refused_total', reason => 'store_full'), '>', 0,
	'... and what was not for its reason');

$store = status()->{store}{events};
is($store->{high_water_bytes}, 2097150, 'the mark is shown');
cmp_ok($store->{used_bytes}, '>', $store->{high_water_bytes} - 200000,
	'... and that the log comes up to it');
cmp_ok($store->{used_bytes}, '<=', $store->{high_water_bytes},
	'... and not beyond');

is($api->patch("/exports/$id", { events => { set => 'engagement' } })
	->{status}, 200, 'an export can be edited');
is($api->patch("/exports/$id", { events => { set => 'system' } })
	->{status}, 200, '... back');
my $once = $api->export($partner{a});
$api->until($once, 'RUNNING');
is($api->post("/exports/$once/stop")->{status}, 200, 'made, and stopped');
is($api->delete("/partners/$partner{c}")->{status}, 204,
	'a partner can be deleted');

$s->rules({ when => { write_key => 'a' }, hold => 1 });
$s->release;
wait_for { $api->show($live)->{progress}{sent} == $last } 20,
	'delivery and checkpoints';
is($api->show($live)->{progress}{sent}, $last, 'all is delivered');
is(upload()->{status}, 503, 'which wins no space by itself');


# ---- what was not sent stays, the export is stopped ----

$clock->advance(4 * 3600);
$api->until($id, 'RUNNING');
wait_for { $s->stats->{held} >= 1 } 20, 'a batch of the recurring one';
$clock->advance(2 * $day);
wait_for { $t->error_log =~ /retention: \d+ events.*export $id / } 20,
	'a look of retention';
is(status()->{store}{events}{held}{export_id}, $id, 'it is held by an export');
is(upload()->{status}, 503, '... and uploads are refused still');

is($api->post("/exports/$id/stop")->{status}, 200, 'which is stopped');
$clock->advance(60);
resumes('when the export is stopped');
let_go();


# ---- it has sent ----

$id = recurring();
hold('a');
fill();
$clock->advance(4 * 3600);
$api->until($id, 'RUNNING');
wait_for { $s->stats->{held} >= 1 } 20, 'a batch of the recurring one';
$clock->advance(2 * $day);
wait_for { status()->{store}{events}{held}{events} } 20, 'events held';
is(upload()->{status}, 503, 'the next one holds them, too');

let_go();
rested($id);
wait_for { $api->show($live)->{progress}{sent} == $last } 20, 'live';
$clock->advance(60);
resumes('when the export has sent');


# ---- a dead reader ----

for my $part (qw/ events state /) {
	my $pid = reader($part);
	ok(is_reader($part, $pid), "somebody reads $part");
	kill 'KILL', $pid;
	waitpid $pid, 0;
	ok(is_reader($part, $pid), '... is dead, and keeps its place');
	push @reading, [ $part, $pid ];
}

$clock->advance(60);
for my $r (@reading) {
	my ($part, $pid) = @$r;
	wait_for { !is_reader($part, $pid) } 20, 'the reader to be forgotten';
	ok(!is_reader($part, $pid), "$part: it is forgotten");
}

for my $round (1 .. 3) {
	$n = fill();
	cmp_ok($n, '>', 10, "round $round through the file");
	wait_for { $api->show($live)->{progress}{sent} == $last } 20, 'live';
	$clock->advance(2 * $day);
	rested($id);
	wait_for { $api->show($id)->{last_run}{to_sequence} == $last } 20,
		'recurring';
	$clock->advance(60);
	resumes('as often as it takes');
}

is_deeply([ sort $t->worker_pids ], \@workers, 'all by the same workers');
is_deeply([ $s->violations ], [], 'no rule of Segment was broken');
is_deeply([ $api->wrong ], [], 'all answers add up');

$t->finish;
done_testing;


# about 100 KB in one block; its answer

sub upload {
	my $answer = http_json('POST', $t->url(1, '/1/upload'), '{"d":['
		. join(',', map { record(n => $last + $_, pad => 20000,
		ts => int $clock->now) } 1 .. 5) . ']}');
	$last += 5 if $answer->{status} == 200;
	return $answer;
}

# until it is full; how many were taken

sub fill {
	my $n = 0;
	my $answer;
	$n++ while ($answer = upload())->{status} == 200 && $n < 100;
	is($answer->{status}, 503, 'the log is full');
	return $n;
}

# intake goes on, and the log is nothing but what came since

sub resumes {
	my ($what) = @_;
	my $kept = $last + 1;
	my $answer;
	eval { wait_for { ($answer = upload())->{status} == 200 } 20,
		$what; 1 } or diag($@);
	is($answer->{status}, 200, "uploads are taken again $what");
	wait_for { status()->{sequence}{first} == $kept } 20,
		'the old ones to be gone';
	return;
}

# a recurring export that has had its first run

sub recurring {
	my $id = $api->export($partner{a}, frequency => {
		kind => 'recurring', every_hours => 4 });
	rested($id);
	return $id;
}

sub rested {
	my ($id) = @_;
	wait_for { my $e = $api->show($id); $e->{status} eq 'PENDING'
		&& $e->{last_run} } 20, 'the end of its run';
	return;
}

sub status { return $api->get('/status')->{json} }

sub hold { return $s->rules(map { { when => { write_key => $_ },
	hold => 1 } } @_) }

sub let_go { $s->rules; $s->release; return }

# a process that began to read and does not end

sub reader {
	my ($part) = @_;
	my $shim = ($ENV{CTSEG_BUILD} || Ctseg::Nginx::top() . '/build')
		. '/ctseg_reader.so';
	my $pid = open my $out, '-|' // die "fork: $!\n";
	if (!$pid) {
		$ENV{LD_PRELOAD} = $shim;
		$ENV{CTSEG_READER} = $t->testdir . "/store/$part";
		exec '/bin/sleep', 600;
	}
	is(scalar <$out>, "reading\n", "a reader of $part");
	push @{$t->{reader_out}}, $out;
	return $pid;
}

# is it in LMDB's table of readers?  64 bytes each: transaction, pid, thread

sub is_reader {
	my ($part, $pid) = @_;
	my $table = $t->read_file("store/$part/lock.mdb");
	return scalar grep { length > 12 && unpack('x8 l', $_) == $pid }
		unpack '(a64)*', $table;
}
