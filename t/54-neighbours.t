#!/usr/bin/env perl

# What stands around the delivery location and the collect location and could
# catch their requests: limit_req of the http block delays a request by a
# timer on its connection, which a batch does not have; a cache answers in
# Segment's place; a thread pool's queue is full, and uploads are refused with
# others waiting behind them.  In each case every batch must still arrive, or
# every client be answered; a hang here would end in a timeout.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http parallel_posts wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 1, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

thread_pool tiny threads=1 max_queue=2;

events {
}

http {
    %%GLOBALS_HTTP%%

    limit_req_zone $binary_remote_addr zone=all:1m rate=20r/s;
    proxy_cache_path %%TESTDIR%%/cache keys_zone=cached:1m;

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool tiny;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        client_max_body_size 8m;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            limit_req zone=all burst=100;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        location = /segment/eu {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_cache cached;
            proxy_cache_methods POST;
            proxy_cache_key one;
            proxy_cache_valid 200 1s;
        }

        ctseg_segment us /segment/us requests=100000 events=10000000;
        ctseg_segment eu /segment/eu concurrency=1;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

sub busy {
	my $parent = $$;
	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;
	http('GET', $t->url(1, '/ctseg/api/status'))
		while getppid() == $parent;
	POSIX::_exit(0);
}

sub retried(&) {
	my ($sub) = @_;
	my $r;

	# a pool with a queue of two refuses: 503, and the client asks again

	wait_for { $r = $sub->(); $r->{status} != 503 } 20, 'a free thread';
	return $r;
}

# uploads: more at once than the pool's queue holds, while others ask for the
# status, so that the queue is full when a group of uploads comes to it

my @busy = map { busy() } 1 .. 6;
my ($full, $rounds) = (0, 0);
my @bodies = map { upload_body(1000, from => $_ * 1000, pad => 1200) } 0 .. 11;
my %left = map { $_ => 1 } 0 .. $#bodies;
while ((%left || !$full) && $rounds++ < 200) {
	%left = map { $_ => 1 } 0 .. 5 unless %left;
	my @i = sort { $a <=> $b } keys %left;
	my @r = parallel_posts($t->port(1), '/1/upload', [ @bodies[@i] ],
		connections => 12, timeout => 20);
	my @none = grep { !$_->{status} } @r;
	is(scalar @none, 0, 'every upload is answered') if @none;
	$full += grep { ($_->{body} // '') =~ /pool's queue is full/ } @r;
	delete $left{$i[$_]} for grep { $r[$_]{status} == 200 } 0 .. $#r;
}
is(scalar keys %left, 0, 'uploads get through a pool with a short queue');
cmp_ok($full, '>', 0, '... which was full for some');
kill KILL => @busy;
waitpid $_, 0 for @busy;

for my $region ('us', 'eu') {
	my $what = $region eq 'us' ? 'limit_req' : 'a cache';
	my $p = retried { $api->post('/partners', { nickname => $region,
		write_key => "key$region", region => $region }) };
	my $events = $region eq 'us' ? { set => 'system' }
		: { set => 'selected', names => [ 'App Launched' ] };
	my $e = retried { $api->post('/exports', { events => $events,
		partner_id => $p->{json}{id}, frequency =>
		{ kind => 'one_time', range => 'last_7_days' } }) };
	is($e->{status}, 201, "$what: an export");

	my $x;
	wait_for { my $r = $api->get("/exports/$e->{json}{id}");
		$r->{status} == 200 && ($x = $r->{json})->{status} eq 'DONE' }
		40, "$what: DONE";
	pass("$what in the way: it is DONE");

	my $arrived = 0;
	$arrived += $_->{events} for grep { $_->{write_key} eq "key$region"
		&& $_->{status} == 200 } $s->batches;
	is($arrived, $x->{progress}{sent}, '... and Segment has every event');
	cmp_ok($arrived, '>', 400, "... all $arrived");
}

$t->quit;
$t->finish;
done_testing;
