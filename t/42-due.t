#!/usr/bin/env perl

# An export does not wait for the scheduler's next look: the one who creates it
# tells all workers that something is due, and whoever can takes it.  So the
# clock of all timers stands still here, and exports begin all the same.
#
# Between two of them it is moved on a little, since a worker looks no more
# often than every 20 ms.  What could fool this is the look that each worker
# takes five times a second in any case.  So all the steps of a scene together
# are shorter than the time between two of those: each worker can have taken
# one, and there are more exports than that.
#
# That another worker is told as well shows where the one that was asked cannot
# look itself: a thread of it is caught in the middle of a look.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => [ @{$clock->preload},
	Ctseg::Nginx::shim('ctseg_stall') ]);
my $s = Ctseg::Segment->new(dir => $t->testdir);
my $stall = $t->testdir . '/stall';
$t->{env} = $clock->env(TZ => 'UTC', CTSEG_STALL => $stall);

$t->set_port(9, $s->port)->conf(<<'EOC');

%%GLOBALS%%

error_log %%TESTDIR%%/debug.log debug;

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%% reuseport;
        add_header X-Worker $pid;

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

my $nginx = $ENV{CTSEG_NGINX} || '/usr/sbin/nginx';
plan(skip_all => 'nginx has no debug log')
	unless `$nginx -V 2>&1` =~ /--with-debug/;
$t->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $p = $api->partner;
my %once = (partner_id => $p, frequency => { kind => 'one_time',
	range => 'last_7_days' });
my %recurring = (partner_id => $p, frequency => { kind => 'recurring',
	every_hours => 4 });
my $step = 0.022;
my $tick = 0.2;

$api->upload($t->url(1, '/1/upload'), upload_body(1));

# exports of the past rest by a timer while others than the API are served

my $since = time;
wait_for { time > $since + 0.3 } 5, 'the upload to be forgotten';

my $sent = 0;

sub arrived { return $s->count_accepted == $sent }

# what is created while the clock stands is sent

sub begins {
	my ($what, $client) = @_;
	my $a = $client ? $client->request('POST', '/ctseg/api/exports', {},
		\%once) : $api->post('/exports', \%once);
	is($a->{status}, 201, "$what is created");
	$clock->step($step);
	$sent++;
	ok(eval { wait_for { arrived() } 10; 1 },
		'... and begins, though no time passes');
	return;
}

# how often the workers, or one of them, have said so in the debug log

sub said {
	my ($what, $pid) = @_;
	$pid //= qr/\d+/;
	my $n = () = $t->read_file('debug.log')
		=~ /\[debug\] $pid#\d+: ctseg: $what/g;
	return $n;
}

sub looks { return said('look, woken', @_) }


# ---- created ----

my $exports = 6;
cmp_ok($exports * $step, '<', $tick, 'a look by time is rare ...');
cmp_ok($exports, '>', 2, '... and one for each worker is not enough');

$clock->halt;
begins("export $_") for 1 .. $exports;
$clock->go;


# ---- many at once ----

# each worker may look when it is told first, and by time

my $many = 60;
my $id = $api->post('/exports', \%recurring)->{json}{id};
$sent++;
wait_for { arrived() } 10, 'its run';
$api->until($id, 'PENDING');

$clock->halt;
my $before = looks();
for (1 .. $many) {
	my $a = $api->patch("/exports/$id", { events => {
		set => $_ % 2 ? 'system' : 'engagement' } });
	die "edit: $a->{status} $a->{body}" unless $a->{status} == 200;
}
cmp_ok(looks() - $before, '<=', 4, "$many edits are not as many looks");
$clock->step($step);
begins('an export behind them');
$clock->go;


# ---- while the one that was asked cannot look ----

# The first look at a recurring export searches the log.  Which worker takes it
# is by chance, and retention searches it as well, so it is tried until the
# timer of the wanted one finds it still looking, again and again.

my ($caught) = $t->worker_pids;

sub is_caught {
	my $still = said('still looking', $caught);
	$t->write_file('stall', $caught);
	$api->post('/exports', \%recurring)->{status} == 201 or return 0;
	$sent++;
	return 0 unless eval { wait_for { -e "$stall.caught" } 0.5; 1 };
	my $looks = looks($caught);
	wait_for { looks($caught) > $looks
		|| said('still looking', $caught) > $still + 3 } 10,
		'what its timer finds';
	return 1 if looks($caught) == $looks;
	unlink $stall or die "$stall: $!\n";
	wait_for { !-e "$stall.caught" } 10, 'the wrong one to go on';
	return 0;
}

my $tries = 0;
until (is_caught() || ++$tries == 100) {}
cmp_ok($tries, '<', 100, 'a worker is caught while it looks');
wait_for { arrived() } 10, 'what the other one has done for it';

my $c;
for (1 .. 100) {
	$c = Ctseg::Client->new($t->port(1));
	last if $c->request('GET', '/ctseg/api/catalog')
		->{headers}{'x-worker'} == $caught;
	undef $c;
}

$exports = 3;
cmp_ok($exports * $step, '<', $tick, 'a look by time is rare ...');
cmp_ok($exports, '>', 1, '... and one is not enough');

$before = looks($caught);
$clock->halt;
begins("export $_ of the caught one", $c) for 1 .. $exports;
$clock->go;
is(looks($caught), $before, '... which has not looked');

unlink $stall or die "$stall: $!\n";
wait_for { looks($caught) > $before } 10, 'its next look';
is($s->count_accepted, $sent, 'each export has sent what it has, once');
is_deeply([ $api->wrong ], [], 'all adds up');

$t->finish;
done_testing;
