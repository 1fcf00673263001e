#!/usr/bin/env perl

# How long events stay.  What is older than retention= goes, in steps, and the
# younger stays; what an export has not sent stays however old it is, and the
# operator is shown which export that is and can stop it.  A range that begins
# before what is kept is refused or gets a warning.  At the end the log loses
# events that runs still want, which takes a state restored from a backup or a
# log that was lost: they say how many, and go on.  The clock is in the hand of
# the test.  Events are numbered as the log numbers them, so the first one kept
# tells exactly what was removed: one too many or too few would be seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Copy qw/ copy /;
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Clock qw/ iso /;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
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

    ctseg_store        %%TESTDIR%%/store events=64m state=16m retention=2d;
    ctseg_thread_pool  ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

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

        ctseg_segment us /segment/us events=1000000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my %partner = map { $_ => $api->partner(nickname => $_, write_key => $_) }
	qw/ quick slow /;
my $last = 0;				# number of the newest event
my ($answer, $e, $r, $id, $other);

# one that never has anything to send holds nothing; from here to the end

my $live = create('quick', { kind => 'live' });
$api->until($live, 'RUNNING');


# ---- what is old goes, in steps ----

upload(1) for 1 .. 150;			# a block each
is(status()->{sequence}{first}, 1, 'all of them are there');
is_deeply(status()->{store}{events}{held}, { events => 0, since => undef,
	export_id => undef }, 'and nothing is held');

later($day);
upload(10);
later($day + 3300);
upload(1);				# as old as a day may be long, and less
later(600);
first_is(151, 'what is older than two days');

my @passes;
wait_for { @passes = $t->error_log
	=~ /\[notice\].*retention removed (\d+) events in (\d+) steps/g } 20,
	'a line of the error log';
diag("@passes") if "@passes" ne '150 3';
is($passes[0], 150, 'is removed, by one worker');
is($passes[1], 3, '... 64 blocks at a time');
is(scalar @passes, 2, '... and the other found nothing to do');
sent('quick', 1 .. $last);


# ---- what was not sent stays ----

$id = create('slow', { kind => 'recurring', every_hours => 4 });
rested($id);
hold('slow');
my $from = $last;
upload(20);
my $arrived = $clock->now;
later(4 * 3600);
held(1);
upload(5);
later(3 * $day);

first_is($from + 1, 'three days later all have gone but what is not sent');
$answer = status()->{store}{events}{held};
is("$answer->{events} $answer->{export_id}", "25 $id",
	'GET /status says by whom');
cmp_ok($answer->{since}, 'le', iso($arrived), '... and since when');
cmp_ok($answer->{since}, 'ge', iso($arrived - 60), '... to the block');
wait_for { alarms($id) == 1 } 20, 'a line in the error log';
like($t->error_log, qr/error\].* 25 events.*\Q $answer->{since} \E.*stop it/,
	'the error log says so, too');

is(alarms($id, 2), 1, '... of one worker');
later(1800);
is(alarms($id, 2), 1, 'nothing new is said at the half hour');
later(1860);
wait_for { alarms($id) == 2 } 20, 'another line an hour later';

let_go();
wait_for { $api->show($id)->{last_run}{to_sequence} == $last } 20,
	'the next run';
rested($id);
sent('slow', $from .. $last);
later(60);
first_is(0, 'once it is sent it goes');
is(alarms($id), 2, 'one line an hour, and none that was not due');
is(status()->{store}{events}{held}{events}, 0, 'and nothing is held');


# ---- an operator lets it go ----

for my $case ([ 'a recurring export' ], [ 'a one-time export', {
	kind => 'one_time', range => 'today' } ]) {
	my ($what, $frequency) = @$case;

	hold('slow');
	upload(10);
	$other = $frequency ? create('slow', $frequency) : $id;
	later(4 * 3600) unless $frequency;
	held(1);
	later(3 * $day);
	wait_for { (status()->{store}{events}{held}{export_id} // '')
		eq $other } 20, 'held';
	is(status()->{store}{events}{held}{events}, 10, "held by $what");
	is($api->post("/exports/$other/stop")->{status}, 200, 'it is stopped');
	later(60);
	first_is(0, 'and within a minute its events are gone');
	let_go();
	$api->run_ended($other);
}


# ---- a range that is not kept ----

upload(4);
for my $case (
	[ 10, 4, 422, 'frequency.from' ],
	[ 10, 0, 201, 'frequency.from' ],
	[ 1, 0, 201, undef ],
	[ 'previous_month', undef, 422, 'frequency.range' ],
	[ 'last_7_days', undef, 201, 'frequency.range' ],
	[ 'yesterday', undef, 201, undef ],
) {
	my ($x, $y, $status, $field) = @$case;
	my $frequency = { kind => 'one_time', defined $y ? (from => date($x),
		to => date($y)) : (range => $x) };
	my $what = defined $y ? "from $x to $y days back" : $x;

	for my $path ('/exports/preview', '/exports') {
		my $want = $path eq '/exports' || $status != 201 ? $status
			: 200;
		$answer = $api->post($path, { partner_id => $partner{quick},
			frequency => $frequency });
		is($answer->{status}, $want, "$path, $what: $want");
		my $list = $answer->{json}{$status == 422 ? 'errors'
			: 'warnings'};
		is_deeply([ map { $_->{field} } @{$list || []} ],
			[ $field // () ], '... about '
			. ($field // 'nothing'));
		like($_->{message}, qr/retention=2d$/, '... by its name')
			for @{$list || []};
		next if $want != 200;
		is($answer->{json}{sent}, $what =~ /yesterday/ ? 0 : 4,
			'... it would send what is there');
	}
	next unless $status == 201;
	$e = $api->until($answer->{json}{id}, 'DONE');
	is($e->{last_run}{sent}, $what =~ /yesterday/ ? 0 : 4, '... it does');
}


# ---- events that a run still wanted are gone ----

# two runs that have counted nothing are backed up, sent, and restored when a
# part of their events was removed

later(3 * $day);
first_is(0, 'the log is empty');
$s->forget;
$from = $last;
hold('quick', 'slow');
upload(5);
held(1);				# of the live one
$clock->advance($day);
upload(6);
held(2);
my @run = (create('slow', { kind => 'recurring', every_hours => 24,
	start_date => date(2) }), create('slow', { kind => 'one_time',
	from => date(1), to => date(0) }));
held(4);

$t->stop;
copy_state('state', 'backup');
let_go();
$t->run;
rested($run[0]);
$api->until($run[1], 'DONE');
caught_up();
sent('slow', $from + 1 .. $last);
later($day + 2 * 3600);
first_is($from + 6, 'the first of them are old enough to go');
$t->stop;
copy_state('backup', 'state');
$t->run;

rested($run[0]);
$r = $api->get("/exports/$run[0]/runs/1")->{json};
is("$r->{status} $r->{after_sequence} $r->{to_sequence} $r->{sent}",
	"succeeded $from $last 6", 'a recurring run sends what is left');
is($r->{rejected_by_reason}{expired}, 5, '... and says how many are gone');

$r = $api->until($run[1], 'DONE')->{last_run};
is("$r->{after_sequence} $r->{to_sequence} $r->{sent} $r->{rejected}",
	$from + 5 . " $last 6 0", 'a one-time run begins with what is left');

caught_up();
is($api->show($live)->{last_run}{rejected_by_reason}{expired}, 5,
	'a live one goes on, too');
like($t->error_log, qr/$run[0], run 1: 5 events in \($from, $last\] can/,
	'the error log says which');
like($t->error_log, qr/\[error\].*run 1: 5 events.* 5 not there any more/,
	'... and why');
sent('slow', $from + 6 .. $last);

# all of it: the log is lost, the rest of the store is not

hold('slow');
upload(3);
later($day);
held(1);
caught_up();
my $lost = $api->show($run[0])->{last_run}{number};
$t->stop;
unlink glob $t->testdir . '/store/events/*';
let_go();
$t->run;
rested($run[0]);
$r = $api->get("/exports/$run[0]/runs/$lost")->{json};
is("$r->{status} $r->{sent} $r->{rejected_by_reason}{expired}",
	'succeeded 0 3', 'a run whose log was lost says so and ends');

$last = 0;
upload(2);
wait_for { my $r = $api->show($live)->{last_run};
	$r->{to_sequence} == 2 && $r->{sent} == 2 } 20, 'its first events';
is($api->show($live)->{status}, 'RUNNING', 'a live one begins the new log');

is_deeply([ $s->violations ], [], 'no rule of Segment was broken');
is_deeply([ $api->wrong ], [], 'all answers add up');

$t->finish;
done_testing;


# n events in one block

sub upload {
	my ($n) = @_;
	$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map {
		record(n => ++$last, ts => int $clock->now) } 1 .. $n) . ']}');
	return;
}

# the live export has looked at all there is, and holds nothing

sub caught_up {
	wait_for { my $r = $api->show($live)->{last_run};
		$r->{to_sequence} == $last && $r->{waiting} == 0 } 20,
		'the live export';
	return;
}

# seconds later; what was there then is not held by the live export

sub later {
	my ($seconds) = @_;
	caught_up();
	$clock->advance($seconds);
	return;
}

sub create {
	my ($partner, $frequency) = @_;
	return $api->export($partner{$partner}, frequency => $frequency);
}

sub status { return $api->get('/status')->{json} }

sub date { return substr iso($clock->now - $_[0] * $day), 0, 10 }

# the first event that is kept, 0: none is

sub first_is {
	my ($n, $what) = @_;
	my $first;
	eval { wait_for { ($first = status()->{sequence}{first}) == $n } 20,
		$what; 1 } or diag($@);
	return is($first, $n, $what);
}

# between two runs

sub rested {
	my ($id) = @_;
	wait_for { my $e = $api->show($id); $e->{status} eq 'PENDING'
		&& $e->{last_run} } 20, 'the end of its run';
	return;
}

# answers to these partners wait; n of them do; no longer

sub hold { return $s->rules(map { { when => { write_key => $_ },
	hold => 1 } } @_) }

sub held {
	my ($n) = @_;
	wait_for { $s->stats->{held} >= $n } 20, "$n batches";
	return;
}

sub let_go { $s->rules; $s->release; return }

# exactly these numbers came with a write key since this was asked last

sub sent {
	my ($key, @numbers) = @_;
	my %got;
	my %mine = map { $_->{n} => $_->{write_key} eq $key } $s->requests;
	$s->each_event(sub { my ($e) = @_;
		$got{$1} = 1 if $mine{$e->{request}}
			&& $e->{raw} =~ /"n":(\d+)/; });
	$s->forget;
	return is(join(' ', sort { $a <=> $b } keys %got), "@numbers",
		"$key has got what it should");
}

# lines of the error log that name the export as the one that holds

sub alarms {
	my ($id, $more) = @_;
	my $n;

	# with a number that must not be reached, it gets three ticks to come

	eval { wait_for { alarms($id) >= $more } 1.5, 'no line' } if $more;
	$n = () = $t->error_log =~ /retention: \d+ events.*export $id /g;
	return $n;
}

# one LMDB environment, of an nginx that is down

sub copy_state {
	my ($from, $to) = map { $t->testdir . "/store/$_" } @_;
	mkdir $to;
	copy("$from/data.mdb", "$to/data.mdb") or die "copy: $!\n";
	return;
}
