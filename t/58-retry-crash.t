#!/usr/bin/env perl

# A crash between the two puts of a redelivery: the verdict on an event that
# counts, and the event that leaves the list.  The disk fails the second of
# them, so that the first is there alone when everything is killed.  Whoever
# goes on completes it: nothing is counted twice, or lost.  What could fool
# it: a crash that came elsewhere; so what is stored then is looked at.  And
# the opposite of a crash: a worker that leaves gives away what it has.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http json_decode wait_for /;
use Ctseg::Data qw/ record /;
use Ctseg::Disk;
use Ctseg::Nginx;
use Ctseg::Prom;
use Ctseg::Segment;

my $disk = Ctseg::Disk->new;
my $t = Ctseg::Nginx->new(preload => $disk->preload, env => $disk->env);
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

        location = /metrics {
            ctseg_metrics;
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
my $events = 12;
my @bad = grep { $_ % 2 } 0 .. $events - 1;

$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map { record(
	n => $_, props => $_ % 2 ? '"p":"Bad"' : '') } 0 .. $events - 1)
	. ']}');

# what the answer to the third of six is, how many were sent when the crash
# comes, how many are listed then, how many in the end

for my $case ([ 200, 3, 4, 0, 'acknowledged' ], [ 400, 2, 4, 1, 'refused' ]) {
	my ($status, $sent, $listed, $left, $what) = @$case;
	my $key = "key$status";
	my ($retry, @list);

	$s->rules({ when => { contains => '"p":"Bad"' }, status => 400 });
	my $id = $api->export($api->partner(write_key => $key));
	$api->until($id, 'DONE', 60);
	$s->rules({ when => { contains => "\"n\":$bad[2]," }, status =>
		$status, body => '"again"', hold => 1, times => 1 },
		{ when => { contains => "\"n\":$bad[2]," },
		status => $status });
	my $from = () = of($key);

	# the second commit from then on is the one that fails

	is($api->post("/exports/$id/rejected/retry")->{status}, 202,
		"$what: asked for");
	wait_for { $s->stats->{held} } 20, 'an answer that is held';
	$disk->fail('sync', part => 'state', error => 'EIO', n => 2);
	$s->release;
	wait_for { $disk->hits } 20, 'a put that fails';
	wait_for { $t->error_log =~ /\[crit\] .*ctseg:/ } 20, 'a stop';

	@list = rejected($id, \$retry);
	is_deeply([ $retry->{sent}, $retry->{refused}, scalar @list ],
		[ $sent, 0, $listed ], '... one put is there');
	is($list[-1]{answer}, $status == 400 ? '"again"'
		: '{"success":false}', '... the first of the two');

	$t->kill9;
	$disk->heal;
	$t->write_file('error.log', '');
	$t->restart;

	wait_for { @list = rejected($id, \$retry);
		$retry->{state} ne 'running' } 30, 'the end of it';
	is_deeply([ @{$retry}{qw/ state events sent refused / } ],
		[ 'done', 0, @bad - $left, $left ],
		'behind the crash each counts once');
	is(scalar @list, $left, '... and the list is right');
	totals($id, $events - $left, scalar @bad, '... and the totals are');
	is_deeply(taken($key), { map { $_ => 1 } grep { !$left
		|| $_ != $bad[2] } 0 .. $events - 1 },
		'... and each is taken once');
	my @posts = of($key);
	is_deeply([ map { $s->body($_) =~ /"n":(\d+)/ }
		@posts[$from .. $#posts] ], [ @bad[0 .. 2],
		($left ? $bad[2] : ()), @bad[3 .. $#bad] ],
		'... and sent as often as it must be');
}


# ---- a worker that leaves hands over what waits, though it stays itself ----

$s->rules({ when => { contains => '"p":"Bad"' }, status => 400 });
my $id = $api->export($api->partner(write_key => 'left'));
$api->until($id, 'DONE', 60);
$s->rules({ when => { write_key => 'left' }, status => 401 },
	{ when => { write_key => 'stays' }, hold => 1, times => 1 });
is($api->post("/exports/$id/rejected/retry")->{status}, 202, 'asked for');
my $retry;
wait_for { rejected($id, \$retry); $retry->{last_error} } 20, 'a pause';
my $stays = $api->export($api->partner(write_key => 'stays'));
wait_for { $s->stats->{held} } 20, 'what keeps the worker';
my ($old) = $t->worker_pids;
$t->signal('HUP');
wait_for { my %owners = map { $_ => 1 } $t->error_log
	=~ /\[notice\] (\d+)#.*$id: sending refused .* after/g;
	keys %owners == 2 } 20, 'another owner';
ok(kill(0, $old), 'the first one is still there');
$s->release;
$api->until($stays, 'DONE', 60);

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# ---- helpers ----

sub rejected {
	my ($id, $retry) = @_;
	my $list = $api->get("/exports/$id/rejected")->{json};
	$$retry = $list->{retry};
	return @{$list->{items}};
}

sub of { my ($key) = @_; return grep { $_->{write_key} eq $key } $s->requests }

sub taken {
	my ($key) = @_;
	my %n;
	for my $request (grep { $_->{accepted} } of($key)) {
		$n{$_->{properties}{n}}++
			for @{json_decode($s->body($request))->{batch}};
	}
	return \%n;
}

sub totals {
	my ($id, $sent, $rejected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $m = Ctseg::Prom->new(http('GET', $t->url(1, '/metrics'))->{body});
	is_deeply([ map { $m->value('ctseg_export_events_total',
		export => $id, verdict => $_) } qw/ sent rejected / ],
		[ $sent, $rejected ], $what);
	return;
}
