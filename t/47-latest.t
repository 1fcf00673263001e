#!/usr/bin/env perl

# A run of profiles sends each profile once, with all that its cut says of it,
# however many batches lie between two updates.  The stories: profiles that
# are updated at both ends of a long log, one time, with a preview before; the
# same with a worker that dies after the first batch, so that another one
# makes the index anew; and two runs of a recurring export, each with its own.
# What could fool it: updates in the same batch are put together anyway, so
# there are more profiles than a batch holds; and a run that begins again from
# its start sends the same messages, so the one that was acknowledged before
# the death must not come again under another id.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ parallel_posts wait_for /;
use Ctseg::Clock;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
$clock->set('2026-11-23T10:00:00Z');
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%% reuseport;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
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
my $now = int $clock->now;
my $n = 6000;		# more than two batches hold
my $uploaded = 0;

sub upload {
	my ($what, @who) = @_;
	while (my @part = splice @who, 0, 1000) {
		my ($r) = parallel_posts($t->port(1), '/1/upload', [ '{"d":['
			. join(',', map { "{\"type\":\"profile\",\"identity\":"
			. "\"p$_\",\"ts\":$now,\"profileData\":{$what}}" }
			@part) . ']}' ]);
		die $r->{body} unless $r->{status} == 200;
		$uploaded += @part;
	}
}

sub create {
	my ($name, %more) = @_;
	my $r = $api->post('/partners', { nickname => $name,
		write_key => "key-$name" });
	is($r->{status}, 201, "a partner $name");
	$r = $api->post('/exports', { partner_id => $r->{json}{id},
		type => 'profile', %more });
	is($r->{status}, 201, "an export $name") or diag $r->{body};
	return $r->{json}{id};
}

sub ended {
	my ($id, $number) = @_;
	return wait_for {
		my $run = $api->show($id)->{last_run};
		$run && $run->{number} == $number
			&& $run->{status} eq 'succeeded' && $run;
	} 60, "the end of run $number";
}

# what was acknowledged for a key: profile => { messageId => its traits }

sub profiles {
	my ($name) = @_;
	my %got;
	for my $r ($s->requests) {
		next unless ($r->{write_key} // '') eq "key-$name"
			&& ($r->{status} // 0) == 200;
		my $body = $s->body($r);
		$got{$2}{$1} = $3 while $body =~ /"messageId":"([^"]+)",
			"userId":"([^"]+)","timestamp":"[^"]+",
			"traits":\{(.*?)\}\}/gx;
	}
	return \%got;
}

sub wrong {
	my ($got, $traits) = @_;
	return grep { my @all = values %{$got->{$_}};
		@all != 1 || $all[0] ne $traits->($_) } sort keys %$got;
}

# each one at the begin and at the end, every third in between as well

upload('"a":1,"b":1', 1 .. $n);
upload('"c":2', grep { $_ % 3 == 0 } 1 .. $n);
upload('"b":3', reverse 1 .. $n);

my $whole = sub {
	return '"a":1,"b":3' . ($_[0] =~ /(\d+)/ && $1 % 3 == 0
		? ',"c":2' : '');
};

my $today = { kind => 'one_time', range => 'today' };


# ---- one time ----

my $of = $api->post('/partners', { nickname => 'shown',
	write_key => 'key-shown' })->{json}{id};
my $shown = $api->post('/exports/preview', { type => 'profile',
	frequency => $today, partner_id => $of });
is($shown->{status}, 200, 'a preview') or diag $shown->{body};

my $once = create('once', frequency => $today);
my $run = ended($once, 1);
my $got = profiles('once');

is(scalar keys %$got, $n, 'each profile arrived');
is(scalar(my @w1 = wrong($got, $whole)), 0,
	'... once, with the latest of its traits');
is_deeply([ @{$run}{qw/ scanned sent filtered rejected waiting /} ],
	[ $uploaded, $n, $uploaded - $n, 0, 0 ], '... and counts once');
is_deeply([ @{$shown->{json}}{qw/ scanned sent filtered batches /} ],
	[ $uploaded, $n, $uploaded - $n,
		$run->{batches} ], 'the preview knew that');
ok($shown->{json}{complete}, '... of the whole cut');
cmp_ok($run->{batches}, '>', 2, 'there were several batches');


# ---- a death in between ----

# two answers are held: the first is let go, and with the second held, when
# the first counts, all workers are killed

$s->rules({ when => { write_key => 'key-crash' }, hold => 1 });
my $crash = create('crash', frequency => $today);
wait_for { $s->stats->{held} } 30, 'the first batch';
$s->release(1);
wait_for { ($api->show($crash)->{last_run}{sent} // 0) > 0
	&& $s->stats->{held} } 30, 'the second, behind the first that counts';
$t->kill9;
$s->rules();
$s->release;
$t->run;
$run = ended($crash, 1);
$got = profiles('crash');

is(scalar keys %$got, $n, 'after a death each profile arrived');
is(scalar(my @w2 = wrong($got, $whole)), 0,
	'... under one id, with the latest of its traits');
is_deeply([ @{$run}{qw/ scanned sent filtered rejected waiting /} ],
	[ $uploaded, $n, $uploaded - $n, 0, 0 ], '... and counts once');


# ---- one run after the other ----

my $day = create('daily', frequency => { kind => 'recurring',
	every_hours => 24 });
$run = ended($day, 1);
my $first = $run->{sent};
upload('"d":4', 1 .. 10);
upload('"d":5', 1 .. 5);
$clock->advance(24 * 3600 + 60);
$run = ended($day, 2);
is_deeply([ @{$run}{qw/ scanned sent filtered /} ], [ 15, 10, 5 ],
	'the next run has its own latest states');

$got = profiles('daily');
my @late = map { my $p = "p$_"; sort grep { /"d"/ } values %{$got->{$p}} }
	1 .. 10;
is_deeply(\@late, [ ('"d":5') x 5, ('"d":4') x 5 ],
	'... of what has changed since');
cmp_ok($first, '<=', $n, 'the first one had each profile once');

is_deeply([ $s->violations ], [], 'Segment found nothing wrong');
$api->post("/exports/$day/stop");
is_deeply([ $api->wrong ], [], 'every answer was as the API says');
$t->finish;
done_testing;
