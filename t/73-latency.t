#!/usr/bin/env perl

# The traffic beside us: a location that only answers 200 is asked while
# nothing else happens, while 20,000 events a second are parsed, written and
# sent on, and while as many come as the machine takes.  Every request must be
# answered.  How long it took depends on the machine, and on two cores the
# clients compete with the server; so the same bodies also go to a location
# that passes them on and stores nothing, as the yardstick.  Quantiles and
# their ratios are printed and not judged: what they would show is a parse or
# a commit on the event loop, by a ratio of tens.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Client qw/ http_json parallel_posts wait_for /;
use Ctseg::Data qw/ upload_body @catalog /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOF')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    access_log off;

    ctseg_store %%TESTDIR%%/store events=2g state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        keepalive_requests 1000000;
        client_max_body_size 2m;
        client_body_buffer_size 1m;

        location = /ok {
            return 200 "ok\n";
        }

        location = /1/upload {
            ctseg_collect;
        }

        # reads the body and stores nothing

        location = /yard {
            proxy_pass http://127.0.0.1:%%PORT_2%%/;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us;
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        client_max_body_size 2m;
        return 200 "ok\n";
    }
}

EOF

my $n = 5000;

my ($ok, @alone) = ask();
is($ok, $n, "$n requests, nothing beside them");

# one worker, so that uploads have no other loop to be served on

my @pids = map { upload_process($_, '/1/upload') } 1 .. 2;
wait_for { last_sequence() > 10_000 } 30, 'some uploads';
my $partner = api('POST', '/partners', { nickname => 'p', write_key => 'k' });
api('POST', '/exports', { partner_id => $partner->{id}, type => 'event',
	events => { set => 'selected', names => \@catalog },
	frequency => { kind => 'one_time', range => 'last_7_days' } });
wait_for { $s->stats->{requests} } 20, 'an export';

my ($most, @beside) = measure('as many uploads as go, and an export');
over(@pids);

@pids = map { upload_process($_, '/1/upload', 10_000) } 1 .. 2;
my ($paced, @paced) = measure('20,000 events a second');
over(@pids);

@pids = map { upload_process($_, '/yard') } 1 .. 2;
my (undef, @yard) = measure('as many bodies as go, not stored');
over(@pids);

cmp_ok($most, '>', 0, 'events were stored beside the requests');
cmp_ok($paced, '>', 0, '... and when they came evenly');

diag sprintf 'stored beside it: %.0f and %.0f events a second', $paced, $most;
for my $q (50, 90, 99) {
	my ($a, $p, $b, $y) = map { 1000 * $_->[int(@$_ * $q / 100)] }
		\@alone, \@paced, \@beside, \@yard;
	diag sprintf 'p%d of return 200, ms: %.3f alone; %.3f beside 20,000 '
		. 'events/s, ratio %.2f; %.3f beside all that go, %.3f beside '
		. 'the yardstick, ratio %.2f', $q, $a, $p, $p / $a, $b, $y,
		$b / $y;
}

$t->finish;
done_testing;


# (events stored a second, seconds of each request, sorted)

sub measure {
	my ($what) = @_;
	my $before = last_sequence();
	my $start = time;
	my ($ok, @seconds) = ask();

	is($ok, $n, "$n requests beside $what");
	return ((last_sequence() - $before) / (time - $start), @seconds);
}

sub over {
	for my $pid (@_) {
		kill 'USR1', $pid;
		waitpid $pid, 0;
		is($?, 0, 'every upload was answered 200');
	}
}

# (number of 200s, seconds each, sorted), one request after the other

sub ask {
	my $c = Ctseg::Client->new($t->port(1));
	my $ok = 0;
	my @seconds;

	for (1 .. $n) {
		my $start = time;
		my $a = $c->request('GET', '/ok');
		push @seconds, time - $start;
		$ok++ if $a->{status} == 200 && $a->{body} eq "ok\n";
	}
	return ($ok, sort { $a <=> $b } @seconds);
}

# bodies of 500 events over 8 connections until told to stop, or one after
# the other at so many events a second

sub upload_process {
	my ($i, $path, $rate) = @_;
	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;

	my ($over, $bad) = (0, 0);
	$SIG{USR1} = sub { $over = 1 };
	my $body = upload_body(500, realistic => 1, from => $i * 1000);
	my $next = time;
	while (!$over && !$bad) {
		my @r = parallel_posts($t->port(1), $path,
			[ ($body) x ($rate ? 1 : 200) ],
			connections => $rate ? 1 : 8,
			on_answer => sub { !$over });
		$bad += grep { $_->{status} != 200
			&& $_->{error} ne 'not sent' } @r;
		next unless $rate;
		$next += 500 / $rate;
		my $wait = $next - time;
		select undef, undef, undef, $wait if $wait > 0 && !$over;
	}
	POSIX::_exit($bad ? 1 : 0);
}

sub api {
	my ($method, $path, $data) = @_;
	return http_json($method, $t->url(1, "/ctseg/api$path"),
		$data)->{json};
}

sub last_sequence { return api('GET', '/status')->{sequence}{last} }
