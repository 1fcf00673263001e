#!/usr/bin/env perl

# A new binary takes over while events come in and go out, and the old one
# comes back.  USR2 puts a second master with workers of its own beside the
# first, on the same sockets and the same store; WINCH sends the old workers
# away; HUP to the old master and QUIT to the new one is the way back; and the
# second time the old one is told to quit for good.  Nobody is turned away,
# what was acknowledged is there, and a live run goes from hand to hand without
# sending anything twice.
#
# What could fool it: a run that stays with one worker all the time, or a
# generation that gets no uploads, so who worked on the run is read in the log,
# and each stage lasts until some more uploads are answered.  The new workers
# take the run at once only if the old ones release it: a lease would end
# within the test's patience, so no run may be taken from an owner that lives.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Load qw/ complete frame /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, daemon => 1, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(frame())->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $id = $api->export($api->partner, frequency => { kind => 'live' },
	events => { set => 'system' });
$api->until($id, 'RUNNING');

my $load = Ctseg::Load->new($t->url(1, '/1/upload'), $t->testdir, 3);
$load->await(50);
my @owners = owner();


# ---- there ----

my $old = $t->upgrade;
my $new = $t->master_pid;
isnt($new, $old, 'a second master');
$load->await(50);

kill 'WINCH', $old;
gone($old);
$load->await(50);
is(scalar(grep { owner() == $_ } workers($new)), 1,
	'when the old workers have gone, a new one has the run');
push @owners, owner();


# ---- and back ----

kill 'HUP', $old;
wait_for { workers($old) == 2 } 30, 'workers of the old binary';
$load->await(50);

kill 'QUIT', $new;
wait_for { !kill 0, $new } 60, 'the end of the new master';
$t->master($old);
$load->await(50);
is(scalar(grep { owner() == $_ } workers($old)), 1,
	'when the new workers have gone, an old one has it again');
push @owners, owner();


# ---- for good ----

is($t->upgrade, $old, 'once more');
$load->await(50);
kill 'QUIT', $old;
wait_for { !kill 0, $old } 60, 'the end of the old master';
$load->await(50);
is(scalar(grep { owner() == $_ } $t->worker_pids), 1,
	'a worker that is left has the run');
push @owners, owner();

my $told = $load->stop;
is(scalar(keys %{{ map { $_ => 1 } @owners }}), 4, 'four workers had it');
is(join("\n", @{$told->{lost}}), '', 'no connection broke');
complete($api, $s, $id, $told, 1);
unlike($t->error_log, qr/another worker took it over/,
	'nobody lost a run while working on it');

$t->quit;
$t->finish;
done_testing;


# who has the run now, as the log says

sub owner {
	my $pid;
	wait_for {
		my $run = "export $id, run 1";
		my @all = $t->error_log
			=~ /(\d+)#\d+: ctseg: $run: (working|released)/g;
		$pid = @all && $all[-1] eq 'working' ? $all[-2] : undef;
	} 30, 'an owner';
	return $pid;
}

# workers of a master that take requests

sub workers {
	my ($master) = @_;
	my $is = $t->master_pid;
	my @pids = $t->master($master)->worker_pids;
	$t->master($is);
	return @pids;
}

# all workers of a master have gone

sub gone {
	my ($master) = @_;
	my $is = $t->master_pid;
	$t->master($master);
	wait_for { !(() = $t->worker_pids(all => 1)) } 60, 'their end';
	$t->master($is);
	return;
}
