#!/usr/bin/env perl

# The master is killed.  Its workers do not notice: they go on, as orphans,
# while the operator starts another nginx on the same store, on another port
# since the orphans still listen.  Both collect into one log and share the
# exports; when the orphans are told to go, or are killed as well, their runs
# are taken over.  What was acknowledged by anyone is at Segment under one id.
# What could fool it: a run that the new nginx had all the time, so an orphan
# must be its owner when the signal comes.

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

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(frame())->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $id = $api->export($api->partner, frequency => { kind => 'live' },
	events => { set => 'system' });
$api->until($id, 'RUNNING');

my (%acked, %sent, @refused);

for my $how (qw/ QUIT KILL /) {
	my $load = Ctseg::Load->new($t->url(1, '/1/upload'), $t->testdir, 2);
	$load->await(30);

	my @orphans = $t->worker_pids;
	kill 'KILL', $t->master_pid;
	waitpid $t->master_pid, 0;
	$t->master(undef);
	is(scalar(grep { kill 0, $_ } @orphans), 2, "$how: the workers live");
	$load->await(30);

	my ($port, $lock) = Ctseg::Nginx::free_port();
	push @{$t->{locks}}, $lock;
	$t->set_port(1, $port)->conf(frame())->run;
	$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
	my $more = Ctseg::Load->new($t->url(1, '/1/upload'), $t->testdir, 2);
	$load->await(30);
	$more->await(30);

	# once Segment holds an answer, the owner has work under way

	my $mark = length $t->error_log;
	my $owner = (owners(0))[-1];
	is(scalar(grep { $_ == $owner } @orphans), 1,
		'... and one of them has the run');
	$s->default(hold => 1) if $how eq 'KILL';
	wait_for { $how eq 'QUIT' || $s->stats->{held} } 30, 'a held answer';

	kill $how, @orphans;
	note_told($load->stop);
	$s->default;
	$s->release;
	wait_for { !grep { alive($_) } @orphans } 30, 'their end';
	wait_for { scalar(() = owners($mark)) } 20, 'the new owner';
	$more->await(30);
	note_told($more->stop);
}

complete($api, $s, $id, { acked => \%acked, sent => \%sent,
	refused => \@refused });

$t->finish;
done_testing;


sub note_told {
	my ($told) = @_;
	$acked{$_} = 1 for keys %{$told->{acked}};
	$sent{$_} = 1 for keys %{$told->{sent}};
	push @refused, @{$told->{refused}};
	return;
}

# who has taken the run, as the log says from a mark on

sub owners {
	my ($mark) = @_;
	return substr($t->error_log, $mark)
		=~ /(\d+)#\d+: ctseg: export $id, run 1: working on/g;
}

# an orphan that has ended may wait for its reaper

sub alive {
	my ($pid) = @_;
	return $t->read_file("/proc/$pid/stat") =~ /^\d+ \(.*\) [^ZX]/s;
}
