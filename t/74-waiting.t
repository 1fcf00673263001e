#!/usr/bin/env perl

# Whoever waits when nginx is told to reload or to quit is answered: an upload
# whose body a thread is still reading, one that waits behind it for the next
# commit, a preview whose thread is in the middle of the log, and the test of a
# partner that Segment has not answered yet.  The threads are held in the old
# worker by t/fault/ctseg_hold.c and ctseg_stall.c until it shuts down, so none
# of them is done when it is told to go.  What could fool it: clients that had
# been answered before, or that the new worker answers, so each of them is
# under way at the old one, and has no byte of an answer, when its title says
# that it is shutting down.  Others read the log as well, so the thread of the
# preview is caught before anybody else asks for something.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(preload => [ map { Ctseg::Nginx::shim($_) }
	qw/ ctseg_hold ctseg_stall / ]);
$t->{env} = { TZ => 'UTC', CTSEG_HOLD => $t->testdir . '/hold',
	CTSEG_STALL => $t->testdir . '/stall' };
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
            client_max_body_size 8m;
            client_body_in_file_only clean;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $upload = $t->url(1, '/1/upload');

$api->upload($upload, upload_body(50, names => [ 'App Launched' ]));
my $partner = $api->partner;
my $events = 50;

for my $how (qw/ HUP QUIT /) {
	my ($old) = $t->worker_pids;
	$s->default(hold => 1);
	$t->write_file('hold', '');

	# one whose body lies in a file, and one behind it

	my $large = waiter('POST', '/1/upload', upload_body(100,
		from => $events, names => [ 'App Launched' ], pad => 500));
	wait_for { open_bodies($old) } 20, 'a body in a file';
	my $small = waiter('POST', '/1/upload', upload_body(1,
		from => $events + 100, names => [ 'App Launched' ]));

	my $test = waiter('POST', "/ctseg/api/partners/$partner/test", '{}');
	wait_for { $s->stats->{held} } 20, 'the test at Segment\'s side';

	$t->write_file('stall', $old);
	my $preview = waiter('POST', '/ctseg/api/exports/preview', {
		partner_id => $partner, frequency => { kind => 'one_time',
		range => 'last_7_days' } });
	wait_for { -e $t->testdir . '/stall.caught' } 20, 'its thread';

	# a call that comes later is answered: the others were let in

	is($api->get('/status')->{status}, 200, "$how: all are under way");

	$t->signal($how);
	wait_for { my %up = map { $_ => 1 } $t->worker_pids;
		my %all = map { $_ => 1 } $t->worker_pids(all => 1);
		$all{$old} && !$up{$old} } 20, 'a worker that shuts down';
	is(scalar(grep { read_some($_) } $large, $small, $test, $preview), 0,
		'... and still wait');

	# the test first: its timer would keep the worker for the others

	$s->release;
	is($test->read_answer->{status}, 200, 'the partner is tested');
	my $until = time + 0.5;
	wait_for { time > $until } 5, 'half a second to leave too early';
	unlink map { $t->testdir . "/$_" } qw/ hold stall /;

	is($large->read_answer->{status}, 200, 'the large upload is taken');
	is($small->read_answer->{status}, 200, '... and that behind it');
	$events += 101;
	is($preview->read_answer->{status}, 200, 'the preview is made');

	$s->default;
	if ($how eq 'HUP') {
		wait_for { !grep { $_ == $old } $t->worker_pids(all => 1) } 20,
			'the end of the old worker';
	}
}

$t->quit;
is($t->{status}, 0, 'nginx ends');
$t->run;
is($api->get('/status')->{json}{sequence}{last}, $events,
	'what was acknowledged is there');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');

$t->finish;
done_testing;


# a request that is sent, whose answer is for later

sub waiter {
	my ($method, $path, $body) = @_;
	my $c = Ctseg::Client->new($t->port(1))->connect;
	$c->send_bytes(Ctseg::Client::format_request($t->port(1), $method,
		$path, { 'Content-Type' => 'application/json' }, $body));
	return $c;
}

# has something come?

sub read_some {
	my ($c) = @_;
	my $r = '';
	vec($r, fileno $c->sock, 1) = 1;
	return select $r, undef, undef, 0;
}

# bodies in temporary files that a process has open

sub open_bodies {
	my ($pid) = @_;
	return scalar grep { (readlink($_) // '') =~ /client_body/ }
		glob "/proc/$pid/fd/*";
}
