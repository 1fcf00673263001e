#!/usr/bin/env perl

# Recurring exports in a reload storm.  The clock runs through some weeks in
# jumps of a slot or several, over the night in which it changes and now and
# then two hours back, while nginx is told to reload again and again without
# being given the time to, a worker is killed from time to time, and clients
# upload throughout.  In the end the runs of an export have to cover the slots
# and the log one after the other: no slot twice, none left out, each event in
# one run, and at Segment each event under one id.
#
# What could fool it: a quiet storm, so the reloads, kills, runs and uploads
# are counted; runs that cover the right number of slots, but others, so each
# run is compared with the list of slots, worked out by Ctseg::Slots, at the
# place where the run before it ended.  An upload whose worker is killed has
# no answer and may be stored or not, so clients never send an event again:
# what is at Segment has to be what the log has, and all that was
# acknowledged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw/ sleep /;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for json_encode /;
use Ctseg::Clock qw/ iso /;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Segment;
use Ctseg::Slots qw/ slots wall zone_known /;

my $zone = 'America/New_York';
my $start = '2026-03-03';
my @hours = (4, 5, 6, 7, 11, 24);
my $steps = 160;
my $clients = 4;
my $deadline = $ENV{CTSEG_ASAN} ? 120 : 60;

my $seed = $ENV{CTSEG_SEED} // time;
srand $seed;
diag "CTSEG_SEED=$seed";

zone_known($zone) or die "no file of $zone (package tzdata)\n";

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => $zone));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$clock->set(wall($zone, $start, 0) - 3600);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    access_log         off;

    ctseg_store        %%TESTDIR%%/store events=64m state=64m;
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

        ctseg_segment us /segment/us requests=100000 events=1000000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));


# ---- the evening before ----

my %id = map { $_ => $api->export($api->partner(write_key => "every-$_"),
	frequency => { kind => 'recurring', every_hours => $_,
	start_date => $start }) } @hours;
my %slots = map { $_ => [ slots($zone, $start, $_,
	wall($zone, $start, 40 * 24)) ] } @hours;
my %all = map { $_ => 1 } map { @$_ } values %slots;
my @all = sort { $a <=> $b } keys %all;

# the first slot of all, before there are events: whatever comes is in a run

$clock->set(shift @all);
wait_for { $api->get("/exports/$_")->{json}{last_run} || return 0
	for values %id; 1 } $deadline, 'the first runs';


# ---- the storm ----

my @load = map { client($_) } 1 .. $clients;
my ($reloads, $kills) = (0, 0);

for my $step (1 .. $steps) {

	# the storm goes on as the clients do: nobody waits for nginx

	my $mark = acknowledged() + 1 + int rand 30;
	wait_for { acknowledged() >= $mark } $deadline, 'some uploads';

	# for a kill in the middle of a run Segment keeps its answers

	my $hold = $step % 24 == 0;
	my $log = length $t->error_log;
	$s->default(hold => 1) if $hold;

	splice @all, 0, int rand 5 if rand() < 0.3;
	$clock->set((shift @all) + rand 600);

	my $times = rand() < 0.7 ? 1 + int rand 3 : 0;
	for (1 .. $times) {
		$t->signal('HUP');
		$reloads++;
		sleep 0.01 * int rand 4;
	}
	if ($hold) {
		wait_for { $s->stats->{held} } $deadline, 'a held answer';
		kill_one(wait_for { (owners($log))[0] } $deadline, 'a run');
		$s->default();
		$s->release;

	} elsif ($step % 12 == 0) {
		sleep 0.01 * int rand 30;
		my @pids = $t->worker_pids(all => 1);
		kill_one($pids[rand @pids]);
	}

	# a quiet moment now and then, so that all that is due runs; and now
	# and then the clock is wrong until the next step

	if ($step % 10 == 0) {
		quiet("step $step");

	} elsif (rand() < 0.1) {
		$clock->advance(-7200);
	}
}

my ($acked, $sent) = stop_clients();

# in 25 hours each export has another slot, for what came since the last

my ($end) = grep { $_ > $all[0] + 25 * 3600 } @all;
$clock->set($end);
quiet('the end');

my $log = $api->get('/status')->{json}{sequence}{last};
my $answered = () = $t->error_log =~ /: reconfiguring$/mg;
my %times;
$times{$_}++ for $t->error_log =~ /(export \w+, run \d+): working on/g;
my $taken = grep { $_ > 1 } values %times;


# ---- was it one? ----

diag "$reloads reloads asked for, $answered begun, $kills workers killed, "
	. "$taken runs taken over, $log events, " . keys(%$acked)
	. ' acknowledged';
cmp_ok($answered, '>=', $steps / 8, 'many reloads');
cmp_ok($kills, '>=', $steps / 12 / 2, 'some workers were killed');
cmp_ok($taken, '>=', $steps / 24 / 2, 'runs lost their worker');
cmp_ok(scalar keys %$acked, '>=', 5 * $steps, 'many uploads');


# ---- every slot, every event ----

my %key = map { $_->{n} => $_->{write_key} } $s->requests;
my (%ids, %wrong);
$s->each_event(sub {
	my ($e) = @_;
	my ($n) = $e->{raw} =~ /"n":(\d+)/;
	my $of = $ids{$key{$e->{request}}} ||= {};
	$wrong{$key{$e->{request}}}++
		if exists $of->{$e->{id}} && $of->{$e->{id}} != $n;
	$of->{$e->{id}} = $n;
});

for my $hours (@hours) {
	my @runs = runs($id{$hours});
	my @slots = grep { $_ <= $end } @{$slots{$hours}};
	my ($n, $slot, $cut, $together, @odd) = (0, 0, 0, 0);

	for my $r (@runs) {
		my $at = $slot < @slots ? iso($slots[$slot]) : 'no slot';
		my $is = "run $r->{number}: $r->{coalesced_slots} slots from "
			. "$r->{scheduled_for} on, $r->{after_sequence} to "
			. "$r->{to_sequence}, $r->{status}, $r->{sent} sent";

		push @odd, "$is, but its number is " . ($n + 1)
			if $r->{number} != ++$n;
		push @odd, "$is, but it is for $at"
			if $r->{scheduled_for} ne $at;
		push @odd, "$is, but it begins after $cut"
			if $r->{after_sequence} != $cut;
		push @odd, "$is, but not all of it" if $r->{sent}
			!= $r->{to_sequence} - $r->{after_sequence};
		push @odd, "$is" if $r->{status} ne 'succeeded';

		$slot += $r->{coalesced_slots};
		$cut = $r->{to_sequence};
		$together += $r->{coalesced_slots} > 1;
	}

	is(join("\n", @odd), '', "every $hours hours: $n runs, one after the "
		. 'other');
	is($slot, @slots, '... are for all the slots there were');
	is($cut, $log, '... and for all the events');
	cmp_ok($together, '>', 0, '... though some slots came together')
		if $hours < 8;
	cmp_ok($n, '>', $steps / 10, '... and many did not') if $hours < 8;

	my $of = $ids{"every-$hours"};
	my %n = map { $_ => 1 } values %$of;
	is(scalar keys %$of, $log, '... each has one id at Segment');
	is(scalar keys %n, $log, '... and each id is one event');
	is($wrong{"every-$hours"}, undef, '... the same each time');
	is(scalar(grep { !$n{$_} } keys %$acked), 0,
		'... all that were acknowledged');
	is(scalar(grep { !$sent->{$_} } keys %n), 0, '... and no others');
}

is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');

$t->finish;
done_testing;


# ---- helpers ----

# SIGKILL to a worker; nobody waits for the next one

sub kill_one {
	my ($pid) = @_;
	$t->allow_alert(qr/worker process $pid exited on signal 9/);
	$kills += kill 'KILL', $pid;
	return;
}

# who works on a run now, as the log says from a mark on

sub owners {
	my ($mark) = @_;
	my %of;
	for (split /\n/, substr $t->error_log, $mark) {
		/ (\d+)#\d+: ctseg: (export \w+, run \d+): (working on)?/
			or next;
		delete $of{$2};
		$of{$2} = $1 if $3;
	}
	return values %of;
}

# All reloads have come to their end, and each export has run for all slots
# up to now: none is due and none under way.

sub quiet {
	my ($what) = @_;
	my $seen = '';
	eval {
		wait_for {
			my @up = $t->worker_pids;
			my @left = $t->worker_pids(all => 1);
			@up == 2 && @left == 2;
		} $deadline, 'an end of the reloads';
		wait_for {
			my $now = iso($clock->now);
			my $list = eval { $api->get('/exports?per_page=40')
				->{json}{items} } || [];
			$seen = json_encode($list);
			@$list == @hours && !grep { $_->{status} ne 'PENDING'
				|| $_->{next_run_at} le $now } @$list;
		} $deadline, 'runs of all that is due';
		1;
	} or die "$what: $@" . iso($clock->now) . " $seen\n";
	return;
}

# all runs of an export, the first one first

sub runs {
	my ($export) = @_;
	my @runs;
	for my $page (1 .. 20) {
		my $list = $api->get("/exports/$export/runs?per_page=40"
			. "&page=$page")->{json};
		push @runs, @{$list->{items}};
		last if @runs >= $list->{total};
	}
	return reverse @runs;
}

# A client, a process with a connection that it keeps as long as nginx does.
# It writes down each event before it is sent, "n", and once it is answered,
# "n ok"; none is sent twice.

sub client {
	my ($i) = @_;
	my $file = $t->testdir . "/load.$i";
	my $pid = fork // die "fork: $!\n";
	return { pid => $pid, file => $file } if $pid;

	my $over;
	my $parent = getppid;
	$SIG{USR1} = sub { $over = 1 };
	open my $out, '>', $file or POSIX::_exit(1);
	my $c = Ctseg::Client->new($t->port(1));

	for (my $n = $i * 100_000; !$over && getppid == $parent; $n++) {
		my $body = '{"d":[' . record(n => $n) . ']}';
		syswrite $out, "$n\n";
		my $a = eval {
			$c->connect unless $c->sock;
			$c->send_bytes(Ctseg::Client::format_request(
				$t->port(1), 'POST', '/1/upload',
				{ 'Content-Type' => 'application/json' },
				$body));
			$c->read_answer;
		};
		$c->close unless $a;
		syswrite $out, "$n ok\n" if $a && $a->{status} == 200;

		# so that the mock keeps up

		sleep 0.01;
	}
	POSIX::_exit(0);
}

sub acknowledged {
	my $n = 0;
	$n += () = $t->read_file($_->{file}) =~ / ok$/mg for @load;
	return $n;
}

# (events that were acknowledged, events that were sent), by number

sub stop_clients {
	my (%ok, %sent);
	for my $l (@load) {
		kill 'USR1', $l->{pid};
		waitpid $l->{pid}, 0;
		for (split /\n/, $t->read_file($l->{file})) {
			/^(\d+)( ok)?$/ or die "client: $_\n";
			$2 ? $ok{$1} = 1 : ($sent{$1} = 1);
		}
	}
	return (\%ok, \%sent);
}
