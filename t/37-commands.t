#!/usr/bin/env perl

# The commands that docs/guide.md prints, run by a shell one after the other,
# as a reader would, with another port and the ids of this store in the place
# of those that are printed.  What stands below a command is compared with its
# answer, as far as it is printed.  The days in it are those of the day that
# the clock says.  Nothing is uploaded: what exports do is told elsewhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ json_decode json_encode /;
use Ctseg::Guide;
use Ctseg::Stage;

my $guide = Ctseg::Guide->new("$FindBin::Bin/../docs/guide.md");
my ($t, $s, $api, $clock) = stage('2026-11-23T00:30:00-05:00');

my %id;					# printed => of this store
my $printed = qr/\b01a2[0-9a-f]{16}\b/;

for my $c (@{$guide->commands}) {
	my ($name) = $c->{text} =~ /^(curl .*?) ?\\?$/m;
	my $text = $c->{text} =~ s/($printed)/$id{$1} || $1/gre
		=~ s{http://127\.0\.0\.1:8080}{$t->url(1, '')}gre;

	my $err = $t->testdir . '/curl.err';
	open my $pipe, '-|', 'sh', '-c', "{ $text} 2>>$err"
		or die "sh: $!\n";
	my $out = do { local $/; <$pipe> } // '';
	close $pipe;

	my $answer = eval { json_decode($out) } || {};
	ok(%$answer && ($answer->{status} // '') !~ /^\d/,
		"$c->{line}: $name") or diag("$text$out");
	next unless $c->{answer};

	# an id that is printed for the first time

	my $new = $c->{answer}{id};
	$id{$new} //= $answer->{id} if defined $new;

	my $want = json_decode(json_encode($c->{answer})
		=~ s/($printed)/$id{$1} || $1/gre);
	is_deeply(cut($answer, $want), $want, '... is answered as printed')
		or diag($out);
}

cmp_ok(scalar @{$guide->commands}, '>=', 13, 'there are commands');
is(scalar keys %id, 3, 'a partner and two exports have ids');

$t->finish;
done_testing;
