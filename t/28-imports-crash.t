#!/usr/bin/env perl

# An import outlives whoever works on it.  CleverTap's answer to each request
# in turn is held, and then the power fails, or the workers die; afterwards
# once more when the answer is on its way.  In the end the log holds each
# record as often as CleverTap has it, also those that are the same in all.  It
# could be fooled by a test that kills too late, so that nothing was under way:
# each death is proved by the page that was asked for again.  A part of it was
# uploaded before, so what is known may not be forgotten either, nor be known
# once too often.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ wait_for /;
use Ctseg::CleverTap qw/ pulled /;
use Ctseg::Disk;
use Ctseg::Pulls;

my $disk = Ctseg::Disk->new;
my ($t, $ct, $s, $api) = pulls(hurry => 20, disk => $disk);
my $serial = 0;

$ct->set(page => 2);


# ---- the power fails while the answer to each request is awaited ----

my ($name, $want) = history();
my $im = finished(pull($name));
my @trail = $ct->trail;
is_deeply(progress($im), { received => 7, stored => 3, known => 4,
	refused => 0 }, 'an import in peace');
note "requests of it: @trail";

my $last = (sort { $b <=> $a } grep { !/ / } @trail)[0];

for my $page (0 .. $last) {
	($name, $want) = history();
	held($page, $name);
	my $id = pull($name);
	wait_for { $ct->stats->{held} } 30, 'a held answer';
	$t->kill9;
	$ct->rules;
	$t->run;
	finished($id);
	is(asked($page, $name), 2, "power cut before the answer for page "
		. "$page: it is asked for again");
	is_deeply(mine($want), $want, '... and nothing is lost or doubled');
	$ct->release;
}


# ---- and when it was just given: anywhere between page and cursor ----

for my $page (1 .. $last) {
	($name, $want) = history();
	held($page, $name);
	my $id = pull($name);
	wait_for { $ct->stats->{held} } 30, 'a held answer';
	$ct->rules;
	$ct->release;
	$t->kill9;
	$t->run;
	finished($id);
	is_deeply(mine($want), $want,
		"power cut behind the answer for page $page");
}


# ---- and when a page was stored, but not yet that it was ----

$name = 'Event ' . ++$serial;
$ct->add($name, [ map { pulled(n => $serial * 100 + $_, ts =>
	20261101120000) } 1 .. 6 ]);
held(2, $name);
my $id = pull($name);
wait_for { $ct->stats->{held} } 30, 'a held answer';
my $sequence = sequence();
$disk->fail('write', part => 'state', error => 'EIO', forever => 1);
$ct->rules;
$ct->release;
wait_for { sequence() == $sequence + 2 } 30, 'two events more';
is(show($id)->{progress}{stored}, 2, 'a page is stored and not counted');
$t->kill9;
$disk->heal;
$t->run;
is(finished($id)->{progress}{stored}, 6, '... after the power cut it is');
$want = { map { $serial * 100 + $_ => 1 } 1 .. 6 };
is_deeply(mine($want), $want, '... and stored once');


# ---- workers alone ----

$t->write_file('nginx.conf', $t->read_file('nginx.conf')
	=~ s/worker_processes 1/worker_processes 2/r);
$t->reload(wait_old => 1);

for my $page (0 .. 2) {
	($name, $want) = history();
	held($page, $name);
	my $id = pull($name);
	wait_for { $ct->stats->{held} } 30, 'a held answer';
	$t->kill_worker($_) for $t->worker_pids;
	$ct->rules;
	finished($id);
	cmp_ok(asked($page, $name), '>=', 2, "workers killed at page $page: "
		. 'somebody asks again');
	is_deeply(mine($want), $want, '... and all is there once');
	$ct->release;
}


# ---- the whole ----

is_deeply([ $ct->violations ], [],
	'never was there more than one walk, or more than one request');
is_deeply([ $s->violations ], [], 'Segment has nothing to complain of');
is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
done_testing;


# ---- helpers ----

# Seven records of an event, four of which are two pairs: the equal ones of one
# pair on two pages, and one of them uploaded before, as are those of the other
# pair and one more.  (its name, number => how often)

sub history {
	my $name = 'Event ' . ++$serial;
	my @n = map { $serial * 100 + $_ } 1, 2, 2, 3, 4, 4, 5;
	$ct->add($name, [ map { pulled(n => $_, ts => 20261101120000) } @n ]);
	$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map {
		my $n = $serial * 100 + $_; "{\"identity\":\"u$n\",\"ts\":"
		. '1793552400,"type":"event","evtName":"' . $name
		. "\",\"evtData\":{\"n\":$n}}" } 2, 4, 4, 5) . ']}');
	my %want;
	$want{$_}++ for @n;
	return ($name, \%want);
}

sub held {
	my ($page, $name) = @_;
	$ct->rules({ when => { page => $page, event => $name }, times => 1,
		hold => 1 });
	return;
}

sub asked {
	my ($page, $name) = @_;
	return scalar grep { ($_->{event} // '') eq $name
		&& $_->{page} == $page } $ct->requests;
}

# what of it is at Segment, and what should not be

sub mine {
	my ($want) = @_;
	my $n = numbers();
	my ($hundred) = map { int($_ / 100) } keys %$want;
	return { map { $_ => $n->{$_} } grep { int($_ / 100) == $hundred }
		keys %$n };
}

sub sequence { return $api->get('/status')->{json}{sequence}{last} // 0 }
