#!/usr/bin/env perl

# CleverTap at its worst: busy, throttled, failing, cut off, repeating itself,
# forgetting a cursor.  Each time the import goes on with the same cursor, or
# with the walk from its beginning, and ends with each record once; what does
# not pass by itself ends it, and says why.  The mock's record shows which page
# was asked for how often.  Waits of a minute pass in a second or two, since
# the clock of timers runs faster.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ wait_for /;
use Ctseg::CleverTap qw/ pulled /;
use Ctseg::Pulls;

my ($t, $ct, $s, $api) = pulls(hurry => 60, accounts => { 'ACC-1' => 'one-1',
	'ACC-2' => 'two-2' });
my $serial = 0;

$ct->set(page => 2);


# ---- what passes ----

for my $case (
	[ 'busy', as => 'busy' ],
	[ 'throttled', as => 'throttled' ],
	[ 'throttled for a while', as => 'throttled',
		headers => { 'Retry-After' => 5 } ],
	[ 'throttled by code', as => 'throttled_code' ],
	[ 'an error', status => 500 ],
	[ 'a gateway', status => 502, body => '<html>Bad Gateway</html>' ],
	[ 'no service', status => 503, headers => { 'Retry-After' => 3 } ],
	[ 'closed', close => 'before' ],
	[ 'a reset', close => 'before', rst => 1 ],
	[ 'half a header', close => 'mid_header' ],
	[ 'half a body', close => 'mid_body' ],
	[ 'half a body, reset', close => 'mid_body', rst => 1 ],
)
{
	my ($what, %answer) = @$case;
	for my $page (0, 2) {
		my ($name, @want) = history();
		$ct->rules({ when => { event => $name, page => $page },
			times => 2, %answer });
		my $im = finished(pull_of($name));
		is($im->{progress}{stored}, 5, "$what, page $page: all are "
			. 'stored');
		is(join(' ', pages($name)), join(' ', map { ($_) x ($_ == $page
			? 3 : 1) } 0 .. 3), '... by asking for it again');

		# libcurl itself asks once more when a connection that was
		# kept ends before the answer

		like($im->{progress}{retries}, qr/^[12]$/,
			'... which is counted');
	}
}

# slow, but whole

my ($name, @want) = history();
$ct->rules({ when => { event => $name, page => 2 }, drip => 0.02 });
is(finished(pull_of($name))->{progress}{stored}, 5, 'bit by bit');

# no answer at all, for longer than one waits

($name) = history();
$ct->rules({ when => { event => $name, page => 2 }, times => 1, hang => 1 });
is(finished(pull_of($name))->{progress}{stored}, 5, 'an answer that hangs');
is(join(' ', pages($name)), '0 1 2 2 3', '... is given up');

for my $set ([ gzip => 1 ], [ style => 'partial' ], [ style => 'null' ],
	[ style => 'empty' ], [ blank => 1 ], [ busy => 1 ])
{
	my ($key, $value) = @$set;
	$ct->rules->set($key => $value);
	($name) = history();
	is(finished(pull_of($name))->{progress}{stored}, 5, "$key $value");
	$ct->set($key => $key eq 'style' ? 'next_cursor' : 0);
}


# ---- a cursor that is forgotten ----

($name) = history();
$ct->rules({ when => { event => $name, page => 3 }, times => 1,
	as => 'expired' });
my $im = finished(pull_of($name));
is_deeply(progress($im)->{stored}, 5, 'a cursor that is not known any more');
is(join(' ', pages($name)), '0 1 2 3 0 1 2 3', '... needs a new walk');


# ---- a cursor that repeats ----

($name) = history();
$ct->rules({ when => { event => $name, page => 2 }, as => 'repeat' });
$im = finished(pull_of($name));
is($im->{progress}{stored}, 4, 'a walk that goes in a circle has an end');
like($im->{last_error}{message}, qr/cursor repeats/, '... and says so');
cmp_ok(scalar(pages($name)), '<', 10, '... soon');
$ct->rules;
is(finished(pull_of($name))->{progress}{stored}, 1,
	'... what it lacked is found the next time');


# ---- what does not pass ----

for my $case ([ 'no JSON', { as => 'junk' }, 200 ], [ 'a refusal',
	{ status => 404 }, 404 ], [ 'denied', { as => 'denied' }, 401 ],
	[ 'a redirect', { status => 302, headers => { Location =>
		$ct->url('/elsewhere') } }, 302 ])
{
	my ($what, $answer, $status) = @$case;
	($name) = history();
	$ct->rules({ when => { event => $name, page => 2 }, %$answer });
	$im = finished(pull_of($name), 'STOPPED');
	is($im->{stop_reason}, 'errors', "$what ends it");
	is($im->{last_error}{status}, $status, '... with its status');
	is($im->{progress}{stored}, 2, '... and what came before stays');
	$ct->rules;
	is(finished(pull_of($name))->{progress}{known}, 2, '... known');
}


# ---- two of an account, and two accounts ----

my @a = history();
my @b = history();
my @c = history('ACC-2');
$ct->rules({ when => { event => $a[0], page => 2 }, hold => 1 });
my @id = map { pull_of($_->[0]) } \@a, \@b;
wait_for { $ct->stats->{held} } 20, 'a held page';
my $other = pull_of($c[0], 'ACC-2');
$im = under_way($other, sub { $_[0]{status} =~ /^(?:DONE|PENDING)$/ },
	'the other account');
is(scalar(pages($b[0])), 0, 'the second import of an account waits');
$ct->rules;
$ct->release;
is(finished($_)->{progress}{stored}, 5, 'and in the end each is done')
	for @id, $other;


# ---- the whole ----

is_deeply([ grep { !/encoded twice/ } $ct->violations ], [],
	'CleverTap has nothing to complain of');
my $n = numbers();
is_deeply([ grep { $n->{$_} != 1 } keys %$n ], [], 'nothing was stored twice');
is(scalar keys %$n, 5 * $serial, '... and all was stored');
is_deeply([ $s->violations ], [], 'every batch was within the rules');
is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
done_testing;


# ---- helpers ----

# five records of an event on three pages: (its name, their numbers)

sub history {
	my ($account) = @_;
	my $name = 'Event ' . ++$serial;
	my @n = map { $serial * 10 + $_ } 1 .. 5;
	$ct->add($name, [ map { pulled(n => $_, ts => 20261101120000) } @n ],
		account => $account // 'ACC-1');
	return ($name, @n);
}

sub pull_of {
	my ($name, $account) = @_;
	return pull($name, account_id => $account // 'ACC-1',
		from => '2026-11-01', to => '2026-11-01');
}

# the pages of an event that were asked for, 0 being the opening

sub pages {
	my ($name) = @_;
	return map { $_->{page} } grep { ($_->{event} // '') eq $name }
		$ct->requests;
}
