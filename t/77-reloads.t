#!/usr/bin/env perl

# A hundred reloads in a row while events come in and go out.  Each client is
# answered, what was acknowledged is at Segment once, under one id, and in the
# end there are as many processes as the configuration says.  What could fool
# it: reloads that nginx takes together, so the next one follows when the one
# before has begun, and they are counted in the log; a storm without uploads or
# without a run that changes hands, so those are counted as well.

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

my $reloads = 100;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(frame())->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $id = $api->export($api->partner, frequency => { kind => 'live' },
	events => { set => 'system' });
$api->until($id, 'RUNNING');

my $load = Ctseg::Load->new($t->url(1, '/1/upload'), $t->testdir, 3);
$load->await(20);

for my $n (1 .. $reloads) {
	$t->signal('HUP');
	wait_for { begun() >= $n } 30, "reload $n";
}
$load->await(20);

my $told = $load->stop;
wait_for { 2 == (() = $t->worker_pids(all => 1)) } 60, 'the old workers to go';
is(begun(), $reloads, "$reloads reloads");

my %hands = map { $_ => 1 } $t->error_log
	=~ /(\d+)#\d+: ctseg: export $id, run 1: working on/g;
diag scalar(keys %{$told->{acked}}) . ' uploads; ' . scalar(keys %hands)
	. ' workers had the run';
cmp_ok(scalar keys %hands, '>=', $reloads / 20, 'the run changed hands');
cmp_ok(scalar keys %{$told->{acked}}, '>=', $reloads, 'many uploads');
is(join("\n", @{$told->{lost}}), '', 'each client was answered');
complete($api, $s, $id, $told, 1);

$t->finish;
done_testing;


# reloads that nginx has begun

sub begun { return scalar(() = $t->error_log =~ /: reconfiguring$/mg) }
