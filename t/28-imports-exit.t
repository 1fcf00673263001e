#!/usr/bin/env perl

# Who is asked to leave while CleverTap's answer is awaited does not wait for
# it, and who comes next goes on with the import.  The mock holds the answer
# for longer than nginx is given to end, and no timer runs faster here, so no
# limit of the request itself could end it.  That the one who left was the one
# who had asked shows in the mock's record, where its request has no answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ wait_for /;
use Ctseg::CleverTap qw/ pulled /;
use Ctseg::Pulls;

my ($t, $ct, $s, $api) = pulls(hurry => 1);
my $serial = 0;

$ct->set(page => 2);

for my $way ([ reload => sub { $t->reload(wait_old => 1) } ],
	[ quit => sub { $t->quit->run } ], [ stop => sub { $t->stop->run } ])
{
	my ($what, $do) = @$way;
	my $name = "Event $what";
	my @n = map { ++$serial } 1 .. 5;
	$ct->add($name, [ map { pulled(n => $_, ts => 20261101120000) } @n ]);
	$ct->rules({ when => { page => 2, event => $name }, times => 1,
		hold => 1 });

	my $id = pull($name);
	wait_for { $ct->stats->{held} } 30, 'a held answer';
	$do->();
	my $first = (pages($name))[0];
	is($first->{status}, 0, "$what: left before the answer");
	$ct->release;

	my $im = finished($id);
	is($im->{progress}{stored}, 5, '... and the import goes on');
	cmp_ok(scalar(pages($name)), '>=', 2, '... with the same page');
}

my $n = numbers();
is_deeply($n, { map { $_ => 1 } 1 .. $serial }, 'each record is there once');
is_deeply([ $ct->violations ], [], 'CleverTap has nothing to complain of');
is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
done_testing;

# the requests for the second page

sub pages {
	my ($name) = @_;
	return grep { ($_->{event} // '') eq $name && $_->{page} == 2 }
		$ct->requests;
}
