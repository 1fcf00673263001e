#!/usr/bin/env perl

# A long mixed load, "make soak": uploads, exports of each kind that come and
# go, edits, a Segment that fails in every way now and then, reloads, killed
# workers, a killed nginx, and a clock that makes an hour of every round, so
# that retention turns the small log over again and again.  In between the load
# pauses, and everything that was taken since the last time must have arrived
# at one live export under one id, or be rejected by it; all counts add up.
# What the workers and the store need is printed each time and has bounds;
# nothing disturbs the workers in the second half, so what they leak adds up.
# In "make test" it runs for some seconds, to see that it still does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use List::Util qw/ max sum /;
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ http parallel_posts wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Prom;
use Ctseg::Segment;

my $seconds = $ENV{CTSEG_SOAK_SECONDS} || 4;
my $each = 100;				# events of an upload
my $mb = 1024 * 1024;
my $seed = srand($ENV{CTSEG_SEED} // 1);

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$clock->set('2026-01-01T00:30:00Z');
$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

worker_shutdown_timeout 5s;

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=32m state=64m retention=3h;
    ctseg_thread_pool  ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        client_max_body_size 8m;

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
            proxy_read_timeout 2s;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my %partner = map { $_ => $api->partner(write_key => $_) }
	qw/ witness other /;

# the one that must see everything, and a recurring one of the same length

my $witness = create('witness', { kind => 'live' });
my $slow = create('other', { kind => 'recurring', every_hours => 4 });
$api->until($witness, 'RUNNING');

my $poison = { when => { contains => 'Poison' }, status => 400 };
my @trouble = ({ status => 500 }, { status => 503 }, { status => 429,
	headers => { 'Retry-After' => 1 } }, { close => 'before' },
	{ close => 'before', accept => 1 }, { close => 'mid_header' },
	{ close => 'mid_body', rst => 1 }, { delay => 0.3 },
	{ raw => "junk\r\n\r\n" }, { hang => 1 });

my ($n, $first, $rounds, $bytes, $checks, @open) = (0, 0, 0, 0, 0);
my (%taken, %unclear, @mine, %done);
my $start = time;
my $looked = $start;
my $pause = max(1, $seconds / 20);

while (time - $start < $seconds) {
	round($seconds < 60 || time - $start < $seconds / 2);
	if (time - $looked > $pause) {
		look();
		$looked = time;
	}
}
look();
diag(join ', ', "seed $seed", "$rounds rounds", map { "$done{$_} $_" }
	sort keys %done);

cmp_ok($bytes / $mb / 32, '>', $seconds / 100, 'the log was turned over: '
	. sprintf '%.1f times', $bytes / $mb / 32);
my @late = @mine > 8 ? @mine[@mine / 2 + 2 .. $#mine] : @mine;
my ($from, $to) = map { $_->{anonymous} } @late[0, -1];
cmp_ok(max(map { $_->{anonymous} } @mine), '<', 256 * $mb,
	'workers stay below 256 MB');
cmp_ok($to - $from, '<', 32 * $mb,
	'... and do not grow while nothing happens to them');
cmp_ok(max(map { $_->{state} } @mine), '<', 32 * $mb,
	'the state stays below 32 MB');
cmp_ok(max(map { $_->{log} } @mine), '<=', 33 * $mb, '... and the log');

$api->post("/exports/$_/stop") for $witness, $slow, @open;
is(Ctseg::Prom->new(http('GET', $t->url(1, '/metrics'))->{body})
	->sum('ctseg_invariant_violations_total'), 0, 'no law was broken');
is_deeply([ $api->wrong ], [], 'all counts add up');

$t->quit;
$t->finish;
done_testing;


# ---- a round ----

sub round {
	my ($rough) = @_;
	$rounds++;
	$clock->advance(3600);

	my @some = map { { %{$trouble[rand @trouble]},
		times => 1 + int rand 2 } } 1 .. int rand 3;
	$s->rules($poison, @some);
	$done{troubles} += @some;

	upload(2 + int rand 4);
	my $store;
	wait_for {
		$store = asked('GET', '/status')->{json}{store}{events};
		$store->{used_bytes} < $store->{high_water_bytes};
	} 60, 'room in the log';

	if ($rounds % 5 == 0) {
		push @open, create('other', { kind => 'one_time', range =>
			rand() < 0.5 ? 'today' : 'last_7_days' });
	}
	push @open, create('other', { kind => 'live' }) if $rounds % 7 == 0;
	push @open, create('other', { kind => 'recurring', every_hours => 5 })
		if $rounds % 11 == 0;
	while (@open > 5) {
		asked('POST', '/exports/' . shift(@open) . '/stop');
	}
	if ($rounds % 6 == 0) {
		asked('PATCH', '/exports/' . ($rounds % 12 ? $witness : $slow),
			{ identifier_priority => $rounds % 24 < 12
			? [ 'identity' ] : [ 'identity', 'email' ] });
		$done{edits}++;
	}

	return unless $rough;
	if ($rounds % 8 == 0) {
		$t->reload;
		$done{reloads}++;
	}
	if ($rounds % 10 == 4) {
		upload(3, sub { $t->kill_worker; $done{'killed workers'}++ });
	}
	if ($rounds % 25 == 6) {
		$t->kill9;
		$t->restart;
		$done{'killed masters'}++;
	}
	return;
}

# so many uploads; what is answered 200 was taken, what is not answered may
# have been, and what is refused is not sent again

sub upload {
	my ($count, $between) = @_;
	my (@bodies, @numbers);
	my $ts = int $clock->now;
	for (1 .. $count) {
		my @n = $n .. $n + $each - 1;
		$n += $each;
		push @numbers, \@n;
		push @bodies, '{"d":[' . join(',', map { record(n => $_,
			ts => $ts, pad => 3000, props => $_ % 1000 == 777
			? '"p":"Poison"' : '') } @n) . ']}';
	}
	my @r = parallel_posts($t->port(1), '/1/upload', \@bodies,
		connections => 4, on_answer => sub {
			$between->() if $between;
			undef $between;
			return 1;
		});
	for my $i (0 .. $#r) {
		my $status = $r[$i]{status};
		my $where = $status == 200 ? \%taken : $status == 0
			? \%unclear : next;
		$where->{$_} = 1 for @{$numbers[$i]};
		$bytes += length $bodies[$i] if $status == 200;
	}
	$done{uploads} += $count;
	$done{'refused uploads'} += grep { $_->{status} == 503 } @r;
	return;
}


# ---- a look ----

# what was taken since the last one has arrived

sub look {
	my (%id, %wrong, $e);
	$s->rules($poison);

	my @want = grep { $_ % 1000 != 777 } keys %taken;
	my $ok = eval {
		wait_for {
			$e = asked('GET', "/exports/$witness")->{json};
			$e->{progress}{waiting} == 0 && do {
				%id = arrived();
				!grep { !$id{$_} } @want;
			};
		} 120, 'all that was taken';
		1;
	};
	if (!$ok) {
		my @none = sort { $a <=> $b } grep { !$id{$_} } @want;
		splice @none, 20;
		fail("everything has arrived: $@");
		diag("not there: @none");
		die "seed $seed, round $rounds\n";
	}

	for my $number (keys %id) {
		my $ids = keys %{$id{$number}};
		$wrong{"$number under $ids ids"} = 1 if $ids != 1;
		$wrong{"$number, which was refused"} = 1 if $number >= $first
			&& !$taken{$number} && !$unclear{$number};
	}
	is_deeply([ sort keys %wrong ], [], 'each event that was taken is '
		. 'there, under one id: ' . @want) if %wrong || !$checks++;

	my $bad = grep { $_ % 1000 == 777 } keys %taken;
	my $most = $bad + grep { $_ % 1000 == 777 } keys %unclear;
	my $rejected = asked('GET', "/exports/$witness/rejected")
		->{json}{total};
	fail("$rejected rejected, not $bad to $most")
		unless $rejected >= $bad && $rejected <= $most;
	asked('DELETE', "/exports/$witness/rejected");

	my @wrong = $s->violations;
	is_deeply(\@wrong, [], 'no rule of Segment is broken') if @wrong;
	$s->forget;
	(%taken, %unclear) = ();
	$first = $n;
	note_size();
	return;
}

# number => ids of it that the witness's partner has

sub arrived {
	my (%request, %id);
	$request{$_->{n}} = 1 for grep { ($_->{write_key} // '') eq 'witness' }
		$s->requests;
	$s->each_event(sub {
		my ($e) = @_;
		return unless $request{$e->{request}};
		$id{$1}{$e->{id}} = 1 if $e->{user} =~ /^u(\d+)$/;
	}, raw => 0);
	return %id;
}

# what the workers and the store need now

sub note_size {
	my %sum = (anonymous => 0, pss => 0, private => 0);
	for my $pid ($t->worker_pids) {
		my $text = $t->read_file("/proc/$pid/smaps_rollup");
		my %kb = $text =~ /^(\w+):\s+(\d+) kB$/mg;
		$sum{pss} += $kb{Pss} * 1024;
		$sum{private} += $kb{Private_Dirty} * 1024;
		$sum{anonymous} = max($sum{anonymous},
			$kb{Anonymous} * 1024);
	}
	my $status = asked('GET', '/status')->{json};
	my $store = $status->{store};
	push @mine, { %sum, state => $store->{state}{used_bytes}, log =>
		-s $t->testdir . '/store/events/data.mdb' };
	diag(sprintf '%4d s, round %d, events %d to %d: workers %.1f MB '
		. '(Pss), %.1f private, the larger %.1f of its own; log %.1f '
		. 'of %.1f MB, state %.2f of %.1f; %d exports',
		time - $start, $rounds, @{$status->{sequence}}{qw/ first last
		/ }, (map { $_ / $mb } @sum{qw/ pss private anonymous /},
		$store->{events}{used_bytes}, $mine[-1]{log},
		$store->{state}{used_bytes}, -s $t->testdir
		. '/store/state/data.mdb'),
		sum(values %{$status->{exports}}));
	return;
}


# ---- calls ----

sub create {
	my ($partner, $frequency) = @_;
	$done{exports}++;
	my $answer = asked('POST', '/exports', { partner_id =>
		$partner{$partner}, frequency => $frequency });
	die "export: $answer->{body}" unless $answer->{status} == 201;
	return $answer->{json}{id};
}

# a call may meet a full log, or an answer that a crash has taken with it

sub asked {
	my (@call) = @_;
	my $answer;
	wait_for { ($answer = eval { $api->call(@call) })
		&& $answer->{status} != 503 } 30, "$call[0] $call[1]";
	return $answer;
}
