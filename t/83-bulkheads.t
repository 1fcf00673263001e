#!/usr/bin/env perl

# Four exports to four partners share one worker, its loop and its threads.
# The first is stuck for an hour, the second sends a backlog as large as CI can
# afford, the third is a stream in which many batches hold something that is
# refused.  The fourth is healthy and live: each of its events arrives as if
# it were alone.
#
# Times depend on the machine, so they are printed and not judged.  What is
# judged is an order: the answers to the backlog are held, those that are due
# are let go when an event is uploaded, and it must arrive before any of the
# batches that follow is answered.  An event that waits for the turn of another
# export, for its pause or for its retry would wait until the deadline.  What
# could fool it: other exports that are idle, so what each of them did in the
# meantime is counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ parallel_posts wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $backlog = 200_000;
my $alone = 10;			# events of the healthy export, alone
my $rounds = 12;		# ... beside the others, in order
my $free = 10;			# ... while the backlog goes as fast as it can

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 1, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));

# each partner has a Segment of its own, so none waits for another there

my %s = map { $_ => Ctseg::Segment->new(dir => $t->testdir, name => $_) }
	qw/ stuck backlog poison well /;
my $port = 6;
$t->set_port($port++, $s{$_}->port) for qw/ stuck backlog poison well /;

$t->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=512m state=16m;
    ctseg_thread_pool ctseg;

    # "key-stuck:" and so on, encoded

    map $ctseg_authorization $segment {
        "Basic a2V5LXN0dWNrOg=="      127.0.0.1:%%PORT_6%%;
        "Basic a2V5LWJhY2tsb2c6"      127.0.0.1:%%PORT_7%%;
        "Basic a2V5LXBvaXNvbjo="      127.0.0.1:%%PORT_8%%;
        default                       127.0.0.1:%%PORT_9%%;
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
            client_max_body_size 8m;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://$segment/v1/batch;
            proxy_read_timeout 600s;
        }

        ctseg_segment us /segment/us events=100000000 requests=100000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $upload = $t->url(1, '/1/upload');
my %name = (stuck => 'App Installed', backlog => 'Notification Sent',
	poison => 'Notification Viewed', well => 'App Launched');
my ($n, %good, %id, %partner) = (0);


# ---- the backlog, and the healthy export alone ----

my $body = upload_body(1000, names => [ $name{backlog} ], pad => 40,
	ts => int $clock->now);
my @answers = parallel_posts($t->port(1), '/1/upload',
	[ ($body) x ($backlog / 1000) ], connections => 4);
is(scalar(grep { $_->{status} == 200 } @answers), $backlog / 1000,
	"$backlog events are there");

export('well', kind => 'live');
$api->until($id{well}, 'RUNNING');
my @alone = map { healthy() } 1 .. $alone;
pass("$alone events arrive at the healthy one, alone");


# ---- the others fall ill ----

$s{stuck}->default(status => 500);
$s{backlog}->default(hold => 1);
$s{poison}->rules({ when => { contains => 'Poison' }, status => 400 });

export('stuck', kind => 'live');
export('poison', kind => 'live');
$api->until($id{$_}, 'RUNNING') for qw/ stuck poison /;
export('backlog', kind => 'one_time', range => 'last_7_days');
send_events('stuck', 3);
wait_for { $s{stuck}->stats->{requests} >= 2 } 20, 'failures of the first';
wait_for { $s{backlog}->stats->{held} } 20, 'the backlog under way';

# from failing to hanging, and then to refusing the write key

$s{stuck}->default(hold => 1, status => 401);
wait_for { $s{stuck}->stats->{held} } 30, 'a hang';

my ($began, $let_go, @beside) = ($clock->now, 0);
for my $round (1 .. $rounds) {
	my $before = $s{backlog}->stats->{requests};

	$clock->advance(3600 / $rounds);
	if ($round == $rounds / 2) {
		$s{stuck}->default(status => 401);
		$s{stuck}->release;
		wait_for { health('stuck') eq 'paused' } 20, 'a pause';
	}
	send_events('stuck', 2);
	send_events('poison', 20, 3, 11, 12);
	$let_go += $s{backlog}->release;
	push @beside, healthy();

	wait_for { $s{backlog}->stats->{requests} > $before } 20,
		'the backlog goes on';
}
cmp_ok($clock->now - $began, '>=', 3600, 'an hour has passed');
pass("$rounds events arrive, whoever else waits for an answer");
cmp_ok($let_go, '>=', $rounds, '... while batches of the backlog went out');
cmp_ok($s{poison}->stats->{requests}, '>', 5 * $rounds,
	'... and the halves of what was refused');
is($s{stuck}->count_accepted, 0, '... and nothing of what is stuck');
is(health('stuck'), 'paused', '... whose partner pauses');
is(health('well'), 'ok', '... and not that of the healthy one');


# ---- as fast as it goes ----

$s{backlog}->default();
$s{backlog}->release;
my ($passed, @free) = (0);
for (1 .. $free) {
	send_events('poison', 20, 5, 6);
	push @free, healthy();
	$passed++ if $api->show($id{backlog})->{status} ne 'DONE';
}
note "$passed of $free came before the end of the backlog";


# ---- all of them get well ----

is($api->until($id{backlog}, 'DONE', 120)->{last_run}{sent}, $backlog,
	'the backlog is sent');
is($s{backlog}->count_unique, $backlog, '... each event of it');

$s{stuck}->default();
is($api->patch("/partners/$partner{stuck}", { nickname => 'mended' })
	->{status}, 200, 'the first is mended');
for my $who (qw/ stuck poison well /) {
	my @bad = grep { $_ < 0 } @{$good{$who}};
	my @want = grep { $_ > 0 } @{$good{$who}};
	my $e;
	wait_for {
		$e = $api->show($id{$who})->{progress};
		$e->{waiting} == 0 && $e->{sent} + $e->{rejected} == @want
			+ @bad;
	} 60, "the rest of $who";
	is($e->{rejected}, scalar @bad, "$who: what is refused is rejected");
	is_deeply({ $s{$who}->property_counts('n') },
		{ map { $_ => 1 } @want }, '... and all else has arrived');
	is_deeply([ $s{$who}->violations ], [], '... within the rules');
}
is_deeply([ $api->wrong ], [], 'the numbers add up');

for my $what ([ alone => @alone ], [ beside => @beside ],
	[ 'beside a backlog as fast as it goes' => @free ])
{
	my ($name, @s) = @$what;
	@s = sort { $a <=> $b } @s;
	note sprintf 'ms from upload to arrival, %s: median %.0f, most %.0f',
		$name, 1000 * $s[$#s / 2], 1000 * $s[-1];
}

$t->finish;
done_testing;


# ---- helpers ----

sub export {
	my ($who, %frequency) = @_;
	$partner{$who} = $api->partner(nickname => $who,
		write_key => "key-$who");
	$id{$who} = $api->export($partner{$who}, frequency => \%frequency,
		events => { set => 'selected', names => [ $name{$who} ] });
	return;
}

# Events for one of them, of which those by number are refused.  In %good
# these have a minus.

sub send_events {
	my ($who, $count, @poison) = @_;
	my %poison = map { $_ => 1 } @poison;
	my @records;

	for my $i (0 .. $count - 1) {
		$n++;
		push @records, record(n => $n, name => $name{$who},
			props => $poison{$i} ? '"p":"Poison"' : '');
		push @{$good{$who}}, $poison{$i} ? -$n : $n;
	}
	$api->upload($upload, '{"d":[' . join(',', @records) . ']}');
	return;
}

# one event of the healthy export: seconds until it arrived

sub healthy {
	my $start = time;
	my $before = $s{well}->stats->{requests};
	send_events('well', 1);
	wait_for { $s{well}->stats->{requests} > $before } 20,
		'an event of the healthy export';
	return ($s{well}->requests)[-1]{at} - $start;
}

sub health {
	return $api->get("/partners/$partner{$_[0]}")->{json}{health}{state};
}
