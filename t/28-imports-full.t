#!/usr/bin/env perl

# There is more history than the store has room for: the import says so and
# waits, and what does not fit is asked for again.  It goes on as soon as there
# is room, and then nothing is missing and nothing is there twice.  It could be
# fooled by a store that was never full, so its error is waited for first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::CleverTap qw/ pulled /;
use Ctseg::Pulls;

my ($t, $ct, $s, $api) = pulls(hurry => 20, events => '4m');
my $records = 300;

$ct->set(page => 25)->add('Large', [ map { pulled(n => $_,
	ts => 20261101120000, props => '"pad":"' . pad() . '"') }
	1 .. $records ]);

my $id = pull('Large');
my $im = under_way($id, sub { $_[0]{last_error} }, 'an error');
is($im->{status}, 'RUNNING', 'without room an import waits');
like($im->{last_error}{message}, qr/full/, '... and says why');
ok($im->{progress}{retry_at}, '... and until when');
cmp_ok($im->{progress}{stored}, '<', $records, '... with a part stored');
is(show($id)->{progress}{stored}, $im->{progress}{stored},
	'... which does not change');

$t->write_file('nginx.conf', $t->read_file('nginx.conf')
	=~ s/events=4m/events=64m/r)->reload(wait_old => 1);
$im = finished($id);
is_deeply(progress($im), { received => $records, stored => $records,
	known => 0, refused => 0 }, 'with room it goes on');
is_deeply(numbers(), { map { $_ => 1 } 1 .. $records },
	'... and each record is there once');

is_deeply([ $ct->violations ], [], 'CleverTap has nothing to complain of');
is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
done_testing;

# what cannot be packed: all records together are more than the store takes

sub pad {
	return join '', map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 24_000;
}
