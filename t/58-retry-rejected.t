#!/usr/bin/env perl

# What Segment refused is sent once more when it is asked for.  An event that
# is acknowledged arrives once, as the same message with the same id, and
# leaves the list; one that is refused again stays with the new answer; what
# was never sent is left alone.  It goes on behind a crash, a reload and a
# pause, and counts each event once.  What could fool it: that something
# arrives says nothing of how often, so it is what was posted under a key that
# is compared with what was kept, and with the metric of the export.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::Local qw/ timegm /;

use Ctseg::Api;
use Ctseg::Client qw/ http json_decode wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record /;
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

    ctseg_store %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /ctseg/read/ {
            ctseg_api;
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

# events 0 .. 29: every third is bad for whom the rules say so, and 7 has none
# of the ids that Segment wants

my $events = 30;
my @bad = grep { $_ % 3 == 2 } 0 .. $events - 1;
my @good = grep { $_ % 3 != 2 && $_ != 7 } 0 .. $events - 1;

$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map { record(
	n => $_, props => $_ % 3 == 2 ? '"p":"Bad"' : '',
	$_ == 7 ? (id => '"FBID":"f"') : ()) } 0 .. $events - 1) . ']}');

my ($id, $r, $first, $retry);


# ---- one that was mended ----

$id = refused('mended');
$r = rejected($id);
is_deeply([ numbers($r) ], \@bad, 'the bad ones are refused');
is($r->{retry}, undef, '... and nobody asked for more');
my %kept = map { $_->{message}{messageId} => $_->{message} }
	@{$r->{items}};
$first = () = of('mended');

mend();
$retry = again($id);
is($retry->{events} + $retry->{sent}, scalar @bad, 'they are to be sent');
$retry = ended($id);
is_deeply([ @{$retry}{qw/ state events sent refused last_error / } ],
	[ 'done', 0, scalar @bad, 0, undef ], '... and are');
like($retry->{$_}, qr/^\d{4}-.*Z$/, "$_ is an instant")
	for qw/ requested_at finished_at /;
is_deeply([ numbers(rejected($id)) ], [], '... and none is kept');
my @late = (of('mended'))[$first .. $first + 99];
my @messages = map { @{json_decode($s->body($_))->{batch}} }
	grep { defined } @late;
is_deeply({ map { $_->{messageId} => $_ } @messages }, \%kept,
	'... each as the message that was kept');
is(scalar @messages, scalar @bad, '... once');
is_deeply([ map { $_->{properties}{n} } @messages ], \@bad,
	'... in the order of the log');
is_deeply(raw(@late), raw_refused('mended', $first),
	'... byte for byte as before');
is_deeply(taken('mended'), { map { $_ => 1 } @good, @bad },
	'all are taken, each once');
totals($id, scalar(@good) + @bad, scalar(@bad) + 1, 'both count');
is($api->show($id)->{last_run}{sent}, scalar @good,
	'the run is what happened then');

$retry = again($id);
is_deeply([ @{$retry}{qw/ state events sent / } ], [ 'done', 0, 0 ],
	'there is nothing more to send');
totals($id, scalar(@good) + @bad, scalar(@bad) + 1, '... nor to count');


# ---- some are still refused ----

$id = refused('still');
$r = rejected($id);
my %was = map { $_->{message}{properties}{n} => $_ } @{$r->{items}};
$s->rules({ when => { contains => '"n":5,' }, status => 413, body => 'no!' },
	{ when => { contains => '"n":20,' }, status => 400, body => 'never' });
again($id);
$retry = ended($id);
is_deeply([ @{$retry}{qw/ state events sent refused / } ],
	[ 'done', 0, @bad - 2, 2 ], 'two are refused again');
is_deeply([ @{$retry->{last_error}}{qw/ status message / } ],
	[ 400, "Segment's side answered 400" ], '... which is told');
$r = rejected($id);
is_deeply([ map { [ $_->{message}{properties}{n}, @{$_}{qw/ reason status
	answer / } ] } @{$r->{items}} ], [ [ 20, 'refused', 400, 'never' ],
	[ 5, 'refused', 413, 'no!' ] ], '... and stay, with the new answer');
is_deeply([ map { $_->{message} } @{$r->{items}} ],
	[ map { $was{$_}{message} } 20, 5 ], '... and the same message');
cmp_ok($r->{items}[0]{at}, 'gt', $was{20}{at}, '... and the new time');
totals($id, @good + @bad - 2, @bad + 1, 'the others count');
mend();
again($id);
is(ended($id)->{sent}, 2, 'later those are sent, too');
totals($id, @good + @bad, @bad + 1, '... and count');


# ---- all of them are: it ends, and the next begins with the others ----

$id = refused('all');
$retry = do { again($id); ended($id) };
is_deeply([ @{$retry}{qw/ state events sent refused / } ],
	[ 'failed', @bad - 8, 0, 8 ], 'eight refused in a row end it');
is($retry->{last_error}{message}, '8 events in a row were refused again, '
	. 'the others were not tried', '... and it says so');
is_deeply([ numbers(rejected($id)) ], \@bad, '... all stay');
$s->rules(map { { when => { contains => "\"n\":$_," }, status => 400 } }
	@bad[0 .. 7]);
again($id);
$retry = ended($id);
is_deeply([ @{$retry}{qw/ sent refused / } ], [ @bad - 8, 8 ],
	'the others have the first turn then');
is_deeply([ numbers(rejected($id)) ], [ @bad[0 .. 7] ], '... and go');
mend();


# ---- who may ask ----

is($api->post("/exports/$_/rejected/retry")->{status}, 404, "no export $_")
	for 'ffffffffffffffffffff', 'x';
is(http('POST', $t->url(1, "/ctseg/read/exports/$id/rejected/retry"))
	->{status}, 403, 'not without write=on');
is($api->call('POST', "/exports/$id/rejected/retry", undef,
	{ 'Sec-Fetch-Site' => 'cross-site' })->{status}, 403,
	'nor for a page of another site');
ok(again($id) && ended($id)->{sent} == 8, 'but by who may write');


# ---- kill -9 of the worker in the middle ----

# One answer is held: what came before it is counted, it itself is not known.
# The event is sent again and counts once.

$id = refused('killed');
$s->rules({ when => { contains => "\"n\":$bad[4],", write_key => 'killed' },
	hold => 1, times => 1 });
my $from = () = of('killed');
again($id);
wait_for { $s->stats->{held} == 1 } 20, 'an answer that is held';
my ($owner) = $t->error_log =~ /.*\[notice\] (\d+)#.*$id: sending/s;
$t->kill_worker($owner);
$s->release;
$retry = ended($id);
is_deeply([ @{$retry}{qw/ state events sent refused / } ],
	[ 'done', 0, scalar @bad, 0 ], 'killed: another worker goes on');
is_deeply([ numbers(rejected($id)) ], [], '... to the end');
is_deeply(taken('killed', 1), { map { $_ => 1 } @good, @bad },
	'... and Segment has each event');
my @posts = of('killed');
is_deeply([ map { $s->body($_) =~ /"n":(\d+)/ } @posts[$from .. $#posts] ],
	[ @bad[0 .. 4], @bad[4 .. $#bad] ], '... sent one of them twice');
totals($id, @good + @bad, @bad + 1, 'each counts once');


# ---- again and again, wherever it is ----

$id = refused('storm');
again($id);
my $kills = 0;
wait_for {
	$retry = rejected($id)->{retry};
	my ($pid) = $t->error_log =~ /.*\[notice\] (\d+)#.*$id: sending/s;
	if ($retry->{state} eq 'running' && $kills < 4 && $pid
		&& grep { $_ == $pid } $t->worker_pids)
	{
		$kills++;
		$t->kill_worker($pid);
	}
	$retry->{state} ne 'running';
} 60, 'the end of a storm';
is($retry->{sent}, scalar @bad, "killed $kills times: the count is right");
is_deeply([ numbers(rejected($id)) ], [], '... and none is left');
is_deeply(taken('storm', 1), { map { $_ => 1 } @good, @bad },
	'... or lost');
totals($id, @good + @bad, @bad + 1, '... or counted twice');


# ---- a worker that hangs, which takes the time of a lease to tell ----

if ($ENV{CTSEG_SLOW}) {
	$id = refused('hung');
	$s->rules({ when => { contains => "\"n\":$bad[4],",
		write_key => 'hung' }, hold => 1, times => 1 });
	again($id);
	wait_for { $s->stats->{held} == 1 } 20, 'an answer that is held';
	($owner) = $t->error_log =~ /.*\[notice\] (\d+)#.*$id: sending/s;
	kill 'STOP', $owner;
	$retry = ended($id, 60);
	kill 'CONT', $owner;
	$s->release;
	wait_for { $t->error_log =~ /$id: sending.*took it over/ } 20,
		'the first owner to notice';
	is_deeply([ @{$retry}{qw/ state sent refused / } ],
		[ 'done', scalar @bad, 0 ], 'hung: another one goes on');
	is_deeply([ @{rejected($id)->{retry}}{qw/ state sent refused / } ],
		[ 'done', scalar @bad, 0 ], '... the first changes nothing');
	totals($id, @good + @bad, @bad + 1, '... each counts once');
}


# ---- a reload in the middle, and a second request ----

$id = refused('reload');
$s->rules({ when => { contains => "\"n\":$bad[4],", write_key => 'reload' },
	hold => 1, times => 1 }, { when => { contains => "\"n\":$bad[1],",
	write_key => 'reload' }, status => 400, times => 1 });
again($id);
wait_for { $s->stats->{held} == 1 } 20, 'an answer that is held';
is_deeply([ @{rejected($id)->{retry}}{qw/ state events sent refused / } ],
	[ 'running', @bad - 4, 3, 1 ], 'in the middle of it');
$retry = again($id);
is_deeply([ @{$retry}{qw/ state events sent refused / } ],
	[ 'running', @bad - 3, 3, 1 ], 'asked once more it is widened');
$t->signal('HUP');
wait_for { $t->error_log =~ /gracefully shutting down/ } 20, 'a reload';
$s->release;
$retry = ended($id);
is_deeply([ @{$retry}{qw/ state events sent refused / } ],
	[ 'done', 0, scalar @bad, 1 ], 'a new worker goes on');
is_deeply(taken('reload'), { map { $_ => 1 } @good, @bad },
	'... and nothing is sent twice');
totals($id, @good + @bad, @bad + 1, '... or counted');


# ---- what Segment asks for, and errors that pass ----

$id = refused('wait');
$s->rules({ when => { write_key => 'wait', contains => "\"n\":$bad[0]," },
	times => 1, status => 503 }, { when => { write_key => 'wait',
	contains => "\"n\":$bad[3]," }, times => 1, status => 429,
	headers => { 'Retry-After' => 2 } });
$from = () = of('wait');
again($id);
is(ended($id, 60)->{sent}, scalar @bad, 'after some errors all are sent');
@posts = of('wait');
@posts = @posts[$from .. $#posts];
is_deeply([ map { $_->{status} } @posts ], [ 503, (200) x 3, 429,
	(200) x (@bad - 3) ], '... in order, nothing else');
is($posts[1]{headers}{'x-retry-count'}, 1, '... the retry says so');
cmp_ok($posts[5]{at} - $posts[4]{answered_at}, '>', 1.9,
	'... and a wish to wait is honored');
is_deeply(taken('wait'), { map { $_ => 1 } @good, @bad }, '... each once');


# ---- a pause, which an edit of the partner ends ----

$id = refused('closed', my $partner = $api->partner(write_key => 'closed'));
$s->rules({ when => { write_key => 'closed' }, status => 401 });
again($id);
my $health = wait_for { my $h = $api->get("/partners/$partner")->{json}
	{health}; $h->{state} eq 'paused' && $h } 20, 'a pause';
is($health->{reason}, "Segment's side answered 401", '... with its reason');
$retry = rejected($id)->{retry};
is_deeply([ @{$retry}{qw/ state events sent / }, $retry->{last_error}
	{status} ], [ 'running', scalar @bad, 0, 401 ], '... nothing is lost');
is(seconds($retry->{retry_at}) - seconds($retry->{last_error}{at}), 60,
	'... it is tried again in a minute');
my $other = $api->export($partner);
$api->until($other, 'RUNNING');
wait_for { $t->error_log =~ /$other, run 1: working/ } 20, 'a run';
wait_for { rejected($id)->{retry}{state} eq 'running' } 20, 'some answers'
	for 1 .. 20;
is(metrics()->value('ctseg_partner_paused', partner => $partner), 1,
	'... metrics show it');
is(scalar(grep { ($_->{status} // 0) == 401 } of('closed')), 1,
	'... nor is anything else sent under its key');
is($api->post("/exports/$other/stop")->{status}, 200, 'the other one stops');
is($api->patch("/partners/$partner", { write_key => 'opened' })->{status},
	200, 'an edit of the partner');
is(ended($id)->{sent}, scalar @bad, '... is the cure');
is_deeply([ sort { $a <=> $b } keys %{taken('opened')} ], \@bad,
	'... under the present key');
is($api->get("/partners/$partner")->{json}{health}{state}, 'ok',
	'... and the partner is well');

# without one it ends after three days

$id = refused('shut', $partner = $api->partner(write_key => 'shut'));
$s->rules({ when => { write_key => 'shut' }, status => 401 });
again($id);
wait_for { rejected($id)->{retry}{last_error} } 20, 'a pause';
$clock->advance(3 * 86400 + 60);
is($api->patch("/partners/$partner", { nickname => 'touched' })->{status},
	200, 'three days later another attempt');
$retry = ended($id);
is_deeply([ @{$retry}{qw/ state events sent retry_at / }, $retry->{last_error}
	{status} ], [ 'failed', scalar @bad, 0, undef, 401 ],
	'... is the last one');


# ---- what was forgotten, and a partner that is gone ----

$id = refused('purged');
$s->rules({ when => { contains => "\"n\":$bad[2],", write_key => 'purged' },
	hold => 1, times => 1 });
again($id);
wait_for { $s->stats->{held} == 1 } 20, 'an answer that is held';
is($api->delete("/exports/$id/rejected")->{status}, 204, 'a purge meanwhile');
$s->release;
is_deeply([ @{ended($id)}{qw/ state sent refused / } ], [ 'done', 3, 0 ],
	'... ends it');
is_deeply([ numbers(rejected($id)) ], [], '... and nothing comes back');

$id = refused('gone', $partner = $api->partner(write_key => 'gone'));
is($api->delete("/partners/$partner")->{status}, 204, 'no partner');
again($id);
$retry = ended($id);
is_deeply([ @{$retry}{qw/ state events / }, $retry->{last_error}{message} ],
	[ 'failed', scalar @bad, 'the partner was deleted' ],
	'... so it cannot go on');


# ---- a live export, while it runs ----

mend(0);
$id = $api->export($api->partner(write_key => 'live'),
	frequency => { kind => 'live' });
$api->until($id, 'RUNNING');
$api->upload($t->url(1, '/1/upload'), '{"d":[' . record(n => 100,
	props => '"p":"Bad"') . ']}');
wait_for { @{rejected($id)->{items}} == 1 } 20, 'one that is refused';
mend();
again($id);
is(ended($id)->{sent}, 1, 'a live export as well');
$api->upload($t->url(1, '/1/upload'), '{"d":[' . record(n => 101) . ']}');
wait_for { $api->show($id)->{progress}{sent} == 1 } 20, '... goes on';
is_deeply(taken('live'), { 100 => 1, 101 => 1 }, '... each once');
totals($id, 2, 1, 'both count');


# ---- one that its run has not counted yet ----

# The first batch of the run is held, so what was refused in the second does
# not count.  Sent now it might count twice: it waits for the run.

$api->upload($t->url(1, '/1/upload'), map { my $from = $_; '{"d":[' . join(
	',', map { record(n => $_, pad => 2000, props => $_ == 599
	? '"p":"Last"' : '') } $from .. $from + 199) . ']}' } 200, 400);
$s->rules({ when => { contains => '"n":0}' }, hold => 1, times => 1 },
	{ when => { contains => '"p":"Last"' }, status => 400 });
$id = $api->export($api->partner(write_key => 'early'));
wait_for { @{rejected($id)->{items}} } 20, 'one that is refused';
is($api->show($id)->{progress}{rejected}, 0, 'a run has yet to count it');
mend();
again($id);
wait_for { $t->error_log =~ /$id: sending refused/ } 20, 'a redelivery';
is_deeply([ @{rejected($id)->{retry}}{qw/ state events sent / } ],
	[ 'running', 1, 0 ], '... for which it waits') for 1 .. 5;
$s->release;
my $run = $api->until($id, 'DONE', 60)->{last_run};
is_deeply([ $run->{rejected_by_reason}{refused}, ended($id)->{sent} ],
	[ 1, 1 ], '... and then goes on');
totals($id, $run->{sent} + 1, $run->{rejected}, '... each counts once');

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# ---- helpers ----

# bad events are refused, or no more

sub mend {
	my ($mended) = (@_, 1);
	$s->rules($mended ? () : ({ when => { contains => '"p":"Bad"' },
		status => 400 }));
	return;
}

# an export whose bad events were refused: its id.  They are more than pause a
# partner, so that the good ones between them are needed.

sub refused {
	my ($key, $partner) = @_;
	mend(0);
	my $id = $api->export($partner // $api->partner(write_key => $key),
		identifier_priority => [ 'email' ]);
	$api->until($id, 'DONE', 60);
	mend() unless $key eq 'all';
	return $id;
}

# those that Segment refused, and how the redelivery stands

sub rejected {
	my ($id) = @_;
	my $list = $api->get("/exports/$id/rejected?per_page=40")->{json};
	@{$list->{items}} = grep { $_->{reason} eq 'refused' }
		@{$list->{items}};
	return $list;
}

sub numbers {
	my ($list) = @_;
	return sort { $a <=> $b } map { $_->{message}{properties}{n} }
		@{$list->{items}};
}

# ask for it; how it stands when it is over

sub again {
	my ($id) = @_;
	my $a = $api->post("/exports/$id/rejected/retry");
	is($a->{status}, 202, 'asked for') or diag $a->{body};
	return $a->{json};
}

sub ended {
	my ($id, $seconds) = @_;
	my $retry;
	wait_for { $retry = rejected($id)->{retry};
		$retry->{state} ne 'running' } $seconds || 30, 'its end';
	return $retry;
}

sub of { my ($key) = @_; return grep { $_->{write_key} eq $key } $s->requests }

# number => how often it was taken under a key; by messageId it is once

sub taken {
	my ($key, $unique) = @_;
	my (%n, %id);
	for my $request (grep { $_->{accepted} } of($key)) {
		for my $m (@{json_decode($s->body($request))->{batch}}) {
			next if $unique && $id{$m->{messageId}}++;
			$n{$m->{properties}{n}}++;
		}
	}
	return \%n;
}

# number => its message as text, of batches of one

sub raw {
	my %raw;
	for my $body (map { $s->body($_) } grep { defined } @_) {
		my ($text) = $body =~ /"batch":\[(.*)\],"context"/s;
		$raw{$1} = $text if $text =~ /"n":(\d+)/;
	}
	return \%raw;
}

sub raw_refused {
	my ($key, $n) = @_;
	my @posts = of($key);
	return raw(grep { $_->{status} == 400 && $_->{events} == 1 }
		@posts[0 .. $n - 1]);
}

sub seconds {
	my ($instant) = @_;
	my ($y, $mon, @t) = $instant =~ /(\d+)/g;
	return timegm($t[3], $t[2], $t[1], $t[0], $mon - 1, $y);
}

sub metrics {
	return Ctseg::Prom->new(http('GET', $t->url(1, '/metrics'))->{body});
}

sub totals {
	my ($id, $sent, $rejected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $m = metrics();
	is_deeply([ map { $m->value('ctseg_export_events_total',
		export => $id, verdict => $_) } qw/ sent rejected / ],
		[ $sent, $rejected ], $what);
	return;
}
