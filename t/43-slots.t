#!/usr/bin/env perl

# Every period across both changes of the clock, slot by slot: exports of 4,
# 5, 6, 8, 12 and 24 hours in New York, where the clock changes, and over the
# same days in Kolkata and by UTC, where it does not.  Three nginx, each with
# a clock of its own, walk side by side through the same wall times.  What
# has to happen is worked out by Ctseg::Slots and kept in a small model here:
# at each slot the runs that are due, and no others, take what came since,
# and each export knows its next slot.  On the way nginx is started anew
# between two slots and while one passes, the clock is set back by two hours
# right after a slot, and twice a week with a change in it is slept through.
#
# What could fool it: a run that is early or one too many, so all exports are
# compared at each slot, whether due or not, new events lie between any two
# slots, and on the days of the changes a witness (an export that is made and
# done) shows a minute before each slot that nothing runs.  A zone without a
# file is UTC without a word, so the first checks are about the zones.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Clock qw/ iso /;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Segment;
use Ctseg::Slots qw/ slots wall zone_known /;

my @hours = (4, 5, 6, 8, 12, 24);
my @names = ('America/New_York', 'Asia/Kolkata', 'UTC');
my $deadline = $ENV{CTSEG_ASAN} ? 60 : 20;

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

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


# ---- the zones ----

my @missing = grep { !zone_known($_) } @names;
is("@missing", '', 'the zones are known here (package tzdata)');
die "no file of @missing\n" if @missing;

# by hand, from the calendar: what Ctseg::Slots has to say

for my $case (
	[ 'America/New_York', '2026-03-06', 5, 9, '2026-03-08T02:00' ],
	[ 'America/New_York', '2026-03-06', 5, 10, '2026-03-08T07:00' ],
	[ 'America/New_York', '2026-03-06', 5, 11, '2026-03-08T11:00' ],
	[ 'America/New_York', '2026-03-06', 24, 2, '2026-03-08T05:00' ],
	[ 'America/New_York', '2026-03-06', 24, 3, '2026-03-09T04:00' ],
	[ 'America/New_York', '2026-10-31', 4, 6, '2026-11-01T04:00' ],
	[ 'America/New_York', '2026-10-31', 5, 5, '2026-11-01T05:00' ],
	[ 'America/New_York', '2026-10-31', 4, 7, '2026-11-01T09:00' ],
	[ 'America/New_York', '2026-10-31', 24, 2, '2026-11-02T05:00' ],
	[ 'Asia/Kolkata', '2026-03-06', 5, 10, '2026-03-07T20:30' ],
	[ 'Asia/Kolkata', '2026-10-31', 24, 2, '2026-11-01T18:30' ],
	[ 'UTC', '2026-03-06', 5, 10, '2026-03-08T02:00' ],
	[ 'UTC', '2026-10-31', 6, 5, '2026-11-01T06:00' ],
	)
{
	my ($name, $start, $hours, $k, $at) = @$case;
	is(iso(wall($name, $start, $k * $hours)), "$at:00.000Z",
		"$name: slot $k of $hours hours from $start");
}

my @zones = map { zone($_) } @names;
is($_->{api}->get('/status')->{json}{time_zone}, $_->{name},
	"$_->{name}: the account zone") for @zones;


# ---- summer time begins ----

# In New York 8 March has no hour from 02:00 to 03:00, and the slot of five
# hours that falls into it passes while nginx is down.

create('2026-03-06');
walk(0 .. 96, { change => 48, down => 50, restart => 52, back => 60 });
over();


# ---- summer time ends ----

# On 1 November 01:00 comes twice, and a slot of five hours with it.  Right
# after its first time the clock is set back to 23:00 of the day before.

create('2026-10-31');
walk(0 .. 72, { change => 24, back => 25, down => 28, restart => 30 });
over();


# ---- a week down ----

# Each export makes up for it in one run, counted by the wall clock: a week
# with a change has as many slots as one without.

for my $start ('2027-03-10', '2027-11-03') {
	create($start);
	walk(0 .. 4, {});
	for my $z (@zones) {
		$z->{t}->stop;
		upto($z, at($z, 168) + 1800);
		$z->{t}->run;
	}
	check($_, "a week with a change in it, from $start") for @zones;
	for my $z (@zones) {
		my %n = map { $_->{hours} => $_->{runs}[-1]{slots} }
			@{$z->{exports}};
		is("@n{4, 6, 8, 12, 24}", '41 28 21 14 7',
			"$z->{name}: as many as in any week");
	}
	nothing('then nothing is left to do');
	walk(169 .. 176, {});
	over();
}


# ---- the end ----

for my $z (@zones) {
	is_deeply([ $z->{s}->violations ], [], "$z->{name}: no rule of Segment"
		. ' is broken');
	is_deeply([ $z->{api}->wrong ], [], '... no event got lost in any '
		. 'answer');
	$z->{t}->finish;
}
done_testing;


# ---- three nginx ----

sub zone {
	my ($name) = @_;
	my $clock = Ctseg::Clock->new;
	my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
		env => $clock->env(TZ => $name));
	my $s = Ctseg::Segment->new(dir => $t->testdir);

	$clock->set('2026-03-01T12:00:00Z');
	$t->set_port(9, $s->port)->conf($conf)->run;
	my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

	return { name => $name, clock => $clock, t => $t, s => $s,
		api => $api, witness => $api->partner, last => 0,
		exports => [] };
}

# epoch seconds of a wall time: hours after 00:00 of the start date

sub at {
	my ($z, $hour) = @_;
	return wall($z->{name}, $z->{start}, $hour);
}

# the next two events of a zone

sub upload {
	my ($z) = @_;
	$z->{api}->upload($z->{t}->url(1, '/1/upload'), '{"d":[' . join(',',
		map { record(n => ++$z->{last}, ts => int($z->{clock}->now)) }
		1 .. 2) . ']}');
	return;
}

# on the evening before the start date, an export of each period

sub create {
	my ($start) = @_;
	for my $z (@zones) {
		$z->{start} = $start;
		$z->{clock}->set(at($z, 0) - 3 * 3600);
		upload($z);
		for my $hours (@hours) {
			my $key = "$start-$hours";
			push @{$z->{exports}}, { hours => $hours, key => $key,
				cut => undef, next => 0, runs => [],
				slots => [ slots($z->{name}, $start, $hours,
					at($z, 200)) ],
				id => $z->{api}->export($z->{api}->partner(
					write_key => $key), frequency => {
					kind => 'recurring', start_date =>
					$start, every_hours => $hours }) };
		}
	}
	nothing("exports from $start on wait for it");
	return;
}


# ---- the model ----

# The clock of a zone comes to an instant.  Each export that has slots up to
# there gets one run for them, with what came since the last; what came before
# the start date is in none.

sub upto {
	my ($z, $instant) = @_;
	$z->{clock}->set($instant);
	for my $e (@{$z->{exports}}) {
		my $n = grep { $_ <= $instant } @{$e->{slots}}[$e->{next}
			.. $#{$e->{slots}}];
		next unless $n;
		push @{$e->{runs}}, { number => @{$e->{runs}} + 1,
			at => iso($e->{slots}[$e->{next}]), slots => $n,
			after => $e->{cut} // $z->{last}, to => $z->{last} };
		$e->{next} += $n;
		$e->{cut} = $z->{last};
	}
	return;
}

# what the model says about a run, and what a run says

sub run_is {
	my ($r) = @_;
	return 'none' unless $r;
	return "$r->{number} for $r->{at}, $r->{slots} slots, "
		. "$r->{after} to $r->{to}, succeeded";
}

sub run_says {
	my ($r) = @_;
	return 'none' unless $r;
	return "$r->{number} for $r->{scheduled_for}, "
		. "$r->{coalesced_slots} slots, $r->{after_sequence} to "
		. "$r->{to_sequence}, $r->{status}";
}

# hours => (run number, text) as it has to be and as it is

sub wanted {
	my ($z) = @_;
	return { map { $_->{hours} => [ scalar @{$_->{runs}}, 'PENDING until '
		. iso($_->{slots}[$_->{next}]) . ', run '
		. run_is($_->{runs}[-1]) ] } @{$z->{exports}} };
}

sub found {
	my ($z) = @_;
	my %hours = map { $_->{id} => $_->{hours} } @{$z->{exports}};
	my $list = $z->{api}->get('/exports?per_page=40&frequency=recurring');
	return { map { $hours{$_->{id}} => [ $_->{last_run}
		? $_->{last_run}{number} : 0, "$_->{status} until "
		. ($_->{next_run_at} // '-') . ', run '
		. run_says($_->{last_run}) ] }
		grep { $hours{$_->{id}} } @{$list->{json}{items}} };
}

# the runs that are due come, and then all is as it has to be

sub check {
	my ($z, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $wanted = wanted($z);
	my $found;
	my $came = eval {
		wait_for {
			$found = found($z);
			!grep { $found->{$_}[0] < $wanted->{$_}[0]
				|| $found->{$_}[1] =~ /^RUNNING/ }
				keys %$found;
		} $deadline, 'the runs that are due';
		1;
	};
	is_deeply($found, $wanted, "$z->{name}: $what")
		or diag('it is ' . iso($z->{clock}->now));
	die $@ unless $came;
	return;
}

# whoever claims the witness has looked at everything that is due

sub nothing {
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $z (@zones) {
		$z->{done} = $z->{api}->export($z->{witness}, events => {
			set => 'selected', names => [ 'Geocluster Exited' ] });
	}
	for my $z (@zones) {
		$z->{api}->until($z->{done}, 'DONE', $deadline);
		is_deeply(found($z), wanted($z), "$z->{name}: $what")
			or diag('it is ' . iso($z->{clock}->now));
	}
	return;
}


# ---- the story ----

# Through the wall times, in hours after the start date, at which anything is
# due.  By the way: the day of "change" is watched, nginx is "down" while a
# slot passes, there is a "restart" before one, and the clock goes "back"
# after one.

sub walk {
	my $odd = pop;
	my @due = grep { my $h = $_; grep { $h % $_ == 0 } @hours } @_;

	for my $h (@due) {
		my $change = $odd->{change};
		my $what = "$zones[0]{start} and $h hours";
		my $down = $h == ($odd->{down} // -1);

		upload($_) for @zones;

		if ($h == ($odd->{restart} // -1)) {
			$_->{t}->restart for @zones;
			nothing("a restart before $what");
			upload($_) for @zones;
		}

		if (defined $change && $h >= $change && $h <= $change + 24) {
			$_->{clock}->set(at($_, $h) - 60) for @zones;
			nothing("a minute before $what");
		}

		for my $z (@zones) {
			$z->{t}->stop if $down;
			upto($z, at($z, $h) + ($down ? 600 : 0));
			$z->{t}->run if $down;
		}
		check($_, $what) for @zones;

		back($h, $what) if $h == ($odd->{back} // -1);
	}
	return;
}

# Two hours back, and through the same slots again; an hour on, where autumn
# has the same wall time once more, there is nothing either.

sub back {
	my ($hour, $what) = @_;
	my %now = map { $_->{name} => at($_, $hour) } @zones;
	my @again = grep { my $h = $_; grep { $h % $_ == 0 } @hours }
		$hour - 2 .. $hour;

	$_->{clock}->set($now{$_->{name}} + 5 - 7200) for @zones;
	upload($_) for @zones;
	nothing("two hours back after $what");

	for my $h (@again) {
		$_->{clock}->set(at($_, $h) + 1) for @zones;
		upload($_) for @zones;
		nothing("again $zones[0]{start} and $h hours");
	}

	$_->{clock}->set($now{$_->{name}} + 3600) for @zones;
	nothing("an hour after $what");
	return;
}

# The whole history is what the model says, Segment has each event once for
# each export, and then they are stopped.

sub over {
	for my $z (@zones) {
		my %got = received($z);
		for my $e (@{$z->{exports}}) {
			my $what = "$z->{name}: every $e->{hours} hours from "
				. $z->{start};
			my $list = $z->{api}->get("/exports/$e->{id}/runs"
				. '?per_page=40')->{json};
			is_deeply([ map { run_says($_) } reverse
				@{$list->{items}} ],
				[ map { run_is($_) } @{$e->{runs}} ], $what);
			is(join(' ', map { $_->{number} } grep {
				$_->{sent} != $_->{to_sequence}
					- $_->{after_sequence}
				|| $_->{started_at} lt $_->{scheduled_for} }
				@{$list->{items}}), '', '... none before its '
				. 'time, all sent');

			my $from = $e->{runs}[0]{after} + 1;
			is_deeply($got{$e->{key}}, { map { $_ => 1 } $from
				.. $e->{cut} }, '... each event once');

			my $r = $z->{api}->post("/exports/$e->{id}/stop");
			die "stop: $r->{status}" unless $r->{status} == 200;
		}
		$z->{exports} = [];
		$z->{s}->forget;
	}
	return;
}

# write key => { number of an event => how often it was taken }

sub received {
	my ($z) = @_;
	my %key = map { $_->{n} => $_->{write_key} // '' } $z->{s}->requests;
	my %got;
	$z->{s}->each_event(sub {
		my ($e) = @_;
		my ($n) = $e->{raw} =~ /"n":(\d+)/;
		$got{$key{$e->{request}}}{$n}++;
	});
	return %got;
}
