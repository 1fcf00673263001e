#!/usr/bin/env perl

# Work that nobody does is noticed.  A thread that reads the log for a live run
# does not come back; after a minute without an attempt its worker says so,
# counts it and gives the run up, and another worker goes on with it at once,
# while the thread still hangs.  When the thread comes back in the end, what it
# brings is of no use to anybody: nothing is sent twice.
#
# A watchdog that cries wolf would be worse than none, so in the same minute
# there are runs that are quiet for good reasons: Segment keeps an answer to
# itself, has asked for five minutes of rest, or refuses the write key; the
# rate allows no more; and a live run has nothing to send.  A minute is ten
# seconds here, since t/fault/ctseg_hurry.c makes the clock of timers run six
# times as fast.
#
# What could fool it: a thread that never hung, so the event that it was to
# read must not arrive before the line is in the log; runs that were over or
# not yet begun in the minute that counts, so they are looked at before and
# after; a takeover by the end of the lease, which the worker renews here.

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

my $t = Ctseg::Nginx->new(workers => 2, preload => [ map {
	Ctseg::Nginx::shim($_) } qw/ ctseg_hurry ctseg_stall / ]);
$t->{env} = { TZ => 'UTC', CTSEG_HURRY => 6,
	CTSEG_STALL => $t->testdir . '/stall' };
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
            client_max_body_size 8m;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /metrics {
            ctseg_metrics;
        }

        location = /segment {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_read_timeout 600s;
        }

        ctseg_segment us /segment events=1000000 requests=100000;
        ctseg_segment eu /segment events=1 requests=1;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $upload = $t->url(1, '/1/upload');
my @launched = (names => [ 'App Launched' ]);


# ---- quiet for good reasons ----

$s->rules({ when => { write_key => 'silent' }, hold => 1 },
	{ when => { write_key => 'busy' }, status => 429,
		headers => { 'Retry-After' => 300 } },
	{ when => { write_key => 'wrong' }, status => 401 },
	{ when => { write_key => 'alone' }, status => 503,
		headers => { 'Retry-After' => 300 } });

$api->upload($upload, upload_bodies(4, 300, pad => 2000, @launched));

$api->upload($upload, upload_body(1, names => [ 'App Installed' ]));

my %quiet = map { $_ => $api->export($api->partner(write_key => $_,
	region => $_ eq 'slow' ? 'eu' : 'us')) } qw/ silent busy wrong slow /;

# this one has a single batch, so that a retry is all it waits for

$quiet{alone} = $api->export($api->partner(write_key => 'alone'),
	events => { set => 'selected', names => [ 'App Installed' ] });

sub attempts {
	my ($key) = @_;
	return scalar grep { ($_->{write_key} // '') eq $key } $s->requests;
}

sub live {
	my ($key) = @_;
	my $p = $api->partner(write_key => $key);
	my $e = $api->post('/exports', { partner_id => $p, frequency =>
		{ kind => 'live' }, events => { set => 'system' } })->{json};
	$api->until($e->{id}, 'RUNNING');
	return $e->{id};
}

wait_for { !grep { !attempts($_) } keys %quiet } 20, 'first attempts';


# ---- a thread that does not come back ----

my $id = live('hit');
my @owners = owners();
is(scalar @owners, 1, 'a worker has the live run');

$t->write_file('stall', $owners[0]);
$api->upload($upload, upload_body(1, from => 9001, @launched));

my $line = qr/\[error\].*export (\w+), run \d+: no attempt for \d+ s.*/;
wait_for { $t->error_log =~ $line } 60, 'the line in the log';
like($t->error_log, qr/: no attempt .* a load is out: given up/, '... and '
	. 'what it waited for');

wait_for { attempts('hit') } 20, 'the event';
my @all = owners();
is(scalar @all, 2, 'another worker has the run');
isnt($all[1], $all[0], '... not the one of before');
like($t->error_log, qr/export $id, run 1: released at/, '... to which it was '
	. 'released');
unlike($t->error_log, qr/another worker took it over/, '... not when a lease '
	. 'ended');

# the thread still hangs, and the run goes on; then it comes back

$api->upload($upload, upload_body(1, from => 9002, @launched));
wait_for { attempts('hit') == 2 } 20, 'the next event';

unlink $t->testdir . '/stall';
$api->upload($upload, upload_body(1, from => 9003, @launched));
wait_for { attempts('hit') == 3 } 20, 'one more';


# ---- it was the only one ----

my @lines = $t->error_log =~ /$line/g;
is_deeply(\@lines, [ $id ], 'there is one such line, of this export');
is(Ctseg::Prom->new(http('GET', $t->url(1, '/metrics'))->{body})
	->value('ctseg_invariant_violations_total'), 1, '... and it counts');

for my $key (sort keys %quiet) {
	my $e = $api->show($quiet{$key});
	is($e->{status}, 'RUNNING', "$key: is still running");
	cmp_ok($e->{progress}{waiting}, '>', 0, '... and waits');
}

# what is left of the run that was given up goes with its worker, and nobody
# has sent anything twice

$api->post("/exports/$_/stop") for $id, values %quiet;
$s->rules;
$s->release;
$api->until($_, 'STOPPED') for $id, values %quiet;
$t->quit;
is($t->{status}, 0, 'the worker with the thread leaves');

my %hit = map { $_->{n} => 1 } grep { $_->{write_key} eq 'hit' } $s->requests;
my @ids = map { $_->{id} } grep { $hit{$_->{request}} } $s->events;
is(scalar @ids, 3, 'three events were sent');
is(scalar(keys %{{ map { $_ => 1 } @ids }}), 3, '... each once');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'and all counts add up');

$t->finish;
done_testing;


# who has worked on the live run, the first one first

sub owners {
	return $t->error_log
		=~ /(\d+)#\d+: ctseg: export $id, run 1: working on/g;
}
