#!/usr/bin/env perl

# The table of deliberate breaks (t/mutants/) is in order: each still applies
# to the source, names a test that is there, and no invariant is without some.
# Whether the tests notice them is what "make mutants" finds out.  What could
# fool this is a table that is not read, so mistakes are made in samples.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Mutants;

chdir "$FindBin::Bin/.." or die;

# ---- the reader ----

my $sample = "# one\nname: a\nbreaks: 1, all\nfile: f\ntest: t/a.t\n"
	. "test: unit/b\n-x\n-\n- y\n+\n-z\n+Z\n\nname: b\n";
my ($m, @rest) = Ctseg::Mutants::parse('sample', $sample);
is($rest[0]{name}, 'b', 'one mutant after the other');
is(Ctseg::Mutants::wrong($m), undef, 'a whole one');
is(Ctseg::Mutants::apply($m, "x\n\n y\nz\n"), "\nZ\n", 'two places');
is(Ctseg::Mutants::source($m->{test}[1]), 't/unit/b.c', 'a test in C');

like(eval { Ctseg::Mutants::apply($m, 'z'); 1 } // $@, qr/not there: x/,
	'a text that is gone');
like(eval { Ctseg::Mutants::apply($m, "x\n\n y\nzz"); 1 } // $@,
	qr/more than once: z/, 'a text that comes twice');

for my $case (
	[ 'no number', s => '1, all', 'all' ],
	[ 'no file', s => "file: f\n", '' ],
	[ 'no test', s => qr/test: .*\n/, '' ],
	[ 'no replacement', s => '+Z', '' ],
	[ 'no change', s => '+Z', '+z' ],
	)
{
	my ($name, undef, $from, $to) = @$case;
	my $text = $sample;
	$text =~ s/$_/$to/g for ref $from ? $from : quotemeta $from;
	isnt(Ctseg::Mutants::wrong((Ctseg::Mutants::parse('s', $text))[0]),
		undef, "noticed: $name");
}

for my $bad ("what: a\n", "breaks: 1, a\n", "-x\n", "name: a\n+x\n",
	"name: a\nfile: a\nfile: b\n")
{
	ok(!eval { Ctseg::Mutants::parse('sample', $bad); 1 },
		'refused: ' . $bad =~ s/\n/ /gr);
}

# ---- the table ----

my @all = Ctseg::Mutants::load('t/mutants');
my (%names, %covered, %text);

for my $m (@all) {
	my $why = Ctseg::Mutants::wrong($m);

	$why //= 'the name comes twice' if $names{$m->{name}}++;
	for my $test (@{$m->{test}}) {
		my $source = Ctseg::Mutants::source($test);
		$why //= "no such test: $test" unless $source && -e $source;
	}
	$why //= "no such file: $m->{file}" unless -e ($m->{file} // '');

	if (!$why) {
		$text{$m->{file}} //= do {
			open my $in, '<:raw', $m->{file} or die;
			local $/;
			<$in>;
		};
		eval { Ctseg::Mutants::apply($m, $text{$m->{file}}) };
		$why = $@;
	}
	$covered{$1}++ if ($m->{breaks} // '') =~ /^(\d+)/;
	fail("$m->{at}: $m->{name}: $why") if $why;
}

cmp_ok(scalar @all, '>', 100, scalar(@all) . ' mutants apply');

open my $doc, '<', 'docs/architecture.md' or die;
my @rows = map { /^\| (\d+) \|/ ? $1 : () } <$doc>;
cmp_ok(scalar @rows, '>', 20, scalar(@rows) . ' invariants are documented');
is_deeply([ grep { ($covered{$_} // 0) < 2 } @rows ], [],
	'each has two mutants at least');
my %row = map { $_ => 1 } @rows;
is(scalar keys %row, scalar @rows, 'each has a number of its own');
is_deeply([ sort grep { !$row{$_} } keys %covered ], [],
	'no mutant breaks another');

done_testing;
