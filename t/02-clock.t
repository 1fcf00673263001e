#!/usr/bin/env perl

# The clock that tests move: nginx, its workers and the module must see it,
# all of them at once and through every call there is, or a story told with it
# would mean nothing.  What counts seconds rather than tells the time must not
# move with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes ();

use Ctseg::Client qw/ http /;
use Ctseg::Clock qw/ epoch iso /;
use Ctseg::Nginx;

my $year = 365 * 86400;


# ---- instants as text ----

for my $case (
	[ '1970-01-01T00:00:00Z', 0, '1970-01-01T00:00:00.000Z' ],
	[ '2026-03-08T02:30:00.250-05:00', 1772955000.25,
		'2026-03-08T07:30:00.250Z' ],
	[ '2024-02-29T00:00:00+05:30', 1709145000,
		'2024-02-28T18:30:00.000Z' ],
	[ 1772955000.001, 1772955000.001, '2026-03-08T07:30:00.001Z' ],
	)
{
	my ($text, $epoch, $iso) = @$case;
	is(epoch($text), $epoch, "$text in seconds");
	is(iso($text), $iso, '... and written');
}
is(eval { epoch('2026-03-08 02:30'); 1 }, undef, 'half an instant is none');


# ---- every way to ask for the time ----

my $clock = Ctseg::Clock->new;

for my $offset (0, 3600, -7200.25, 86400 * 400, -0.001, 0.999) {
	$clock->offset($offset);
	my $before = Time::HiRes::time();
	my ($time, $tod, $real, $coarse, $mono) = ask($clock->env);
	my $after = Time::HiRes::time() + 0.001;
	my $mono_now = Time::HiRes::clock_gettime(
		Time::HiRes::CLOCK_MONOTONIC());

	# the coarse clock ticks every few milliseconds

	between($real, $before + $offset, $after + $offset, "$offset s");
	between($tod, $before + $offset, $after + $offset, 'gettimeofday');
	between($coarse, $before + $offset - 0.05, $after + $offset,
		'the coarse clock');
	between($time, int($before + $offset) - 1, $after + $offset, 'time');
	between($mono, $mono_now - 5, $mono_now, 'but not the monotonic one');
}

my ($time) = ask({});
between($time, Time::HiRes::time() - 5, Time::HiRes::time(),
	'without a file it is the true time');

my $out = run_perl({ CTSEG_CLOCK => "$clock->{dir}/none" }, 'print "ran"');
like($out, qr/none cannot be mapped/, 'a file that is not there');
unlike($out, qr/ran/, '... is not the true time');


# ---- set and advance ----

$clock->set('2031-05-06T07:08:09Z');
between($clock->now, epoch('2031-05-06T07:08:08.999Z'),
	epoch('2031-05-06T07:08:11Z'), 'set');
$clock->advance(-86400);
between($clock->now, epoch('2031-05-05T07:08:08.999Z'),
	epoch('2031-05-05T07:08:11Z'), 'back by a day');


# ---- nginx and the module ----

my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));

$t->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool  ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%% reuseport;

        location = /now {
            return 200 "$pid $msec";
        }

        location /ctseg/api/ {
            ctseg_api;
        }
    }
}

EOC

everywhere('at the start');

$clock->advance($year);
everywhere('a year on');

$clock->advance(-2 * $year);
everywhere('two years back');

$t->reload(wait_old => 1);
$clock->advance(86400);
everywhere('after a reload');

$t->kill_worker;
$clock->advance(86400);
everywhere('in the place of a dead worker');

$t->finish;
done_testing;


# ---- helpers ----

sub between {
	my ($got, $low, $high, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($got >= $low && $got <= $high, $what)
		or diag("$got is not between $low and $high");
	return;
}

# what perl says below the shim

sub run_perl {
	my ($env, $code) = @_;
	my $pid = open(my $pipe, '-|') // die "fork: $!\n";
	if ($pid == 0) {
		@ENV{keys %$env} = values %$env;
		$ENV{LD_PRELOAD} = $clock->preload->[0];
		open STDERR, '>&', \*STDOUT;
		exec {$^X} $^X, '-MTime::HiRes', '-e', $code
			or POSIX::_exit(127);
	}
	return join '', <$pipe>;
}

# time, gettimeofday, and three clocks

sub ask {
	my ($env) = @_;
	return split / /, run_perl($env, 'printf "%d %.6f %.6f %.6f %.6f",
		CORE::time, Time::HiRes::time, map {
		Time::HiRes::clock_gettime($_) }
		Time::HiRes::CLOCK_REALTIME(),
		Time::HiRes::CLOCK_REALTIME_COARSE(),
		Time::HiRes::CLOCK_MONOTONIC()');
}

# both workers, nginx's own time and the module's

sub everywhere {
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my (%pid, @wrong);

	for (1 .. 200) {
		my $from = $clock->now;
		my ($pid, $msec) = split / /, http('GET',
			$t->url(1, '/now'))->{body};
		my $to = $clock->now;
		push @wrong, "$msec of $pid" if $msec < $from - 0.001
			|| $msec > $to;
		last if ++$pid{$pid} > 3 && keys %pid == 2;
	}
	is_deeply([ @wrong, scalar keys %pid ], [ 2 ],
		"both workers have the time, $what");

	@wrong = ();
	for (1 .. 8) {
		my $from = $clock->now;
		my $now = http('GET', $t->url(1, '/ctseg/api/status'))
			->{json}{now};
		push @wrong, $now if epoch($now) < $from - 0.001
			|| epoch($now) > $clock->now;
	}
	is_deeply(\@wrong, [], '... and so has the module');
	return;
}
