use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/bench/lib";

# How the benchmark makes figures of several runs, and where its peers come
# from.  What it measures is not judged by tests.

use Test::More;

use Bench::Grid;
use Bench::Run;
use Bench::Table;

# ---- the table of ctseg ----

my $table = Bench::Table->new;
$table->add(7, $_->[0], 'at rest' => 1, 'outage, s' => $_->[1])
	for [ 5, 60 ], [ 9, 62 ], [ 6, 64 ];
$table->beside(7, 'most with an outage of 20 s' => 4);
my ($line) = grep { /^\| 7 / } split /\n/, $table->text;
like($line, qr/\| 6\.0 \| 5\.0\.\.9\.0 \|/, 'the median, and the spread');
like($line, qr/at rest 1, outage, s 62, most with an outage of 20 s 4/,
	'what stands beside it, also when not each run has it');
like($line, qr/\| <= 24 \| yes \| <= 12 \| yes \|$/, 'the bounds');
unlike($table->text, qr/^\| 8 /m, 'no line for what was not measured');
ok(!eval { $table->add(99, 1); 1 }, 'there is no row 99');

# ---- the table of several ways ----

my $grid = Bench::Grid->new(columns => [ 'a', 'b' ], rows => [
	[ 'cpu', 'CPU s', '%.1f' ], [ 'lost', 'lost', '%d', 'sum' ],
	[ 'bytes', 'bytes', '%d', 'most' ], [ 'none', 'none', '%d' ] ]);
$grid->add('cpu', 'a', $_) for 3, 1, 2;
$grid->add('cpu', 'b', 2) for 1 .. 3;
for my $n (0, 7, 2) {
	$grid->add('lost', 'a', $n);
	$grid->add('bytes', 'a', $n);
}
is($grid->text, <<'EOF', 'median with its spread, sum, most');
|  | a | b |
|---|---|---|
| CPU s | 2.0 (1.0..3.0) | 2.0 |
| lost | 9 |  |
| bytes | 7 |  |
EOF
ok(!eval { $grid->add('other', 'a', 1); 1 }, 'there is no other row');

# ---- rows that are asked for ----

{
	my $bench = Bench::Run->new(build => tempdir(),
		wanted => { 13 => 1, '9b' => 1 });
	is(join(' ', grep { $bench->wants($_) }
		qw/ 1 9a 9b 13a 13b 3 /), '9b 13a 13b', '13 is 13a and 13b');
	$bench = Bench::Run->new(build => tempdir());
	ok($bench->wants(1), 'all, if none is asked for');
}

# ---- where the SDK comes from ----

my $lock = "$FindBin::Bin/bench/peers/package-lock.json";
open my $f, '<', $lock or die "$lock: $!\n";
my $text = do { local $/; <$f> };
unlike($text, qr{https?://}, 'the lock names no registry');

done_testing;


sub tempdir {
	require File::Temp;
	return File::Temp::tempdir(CLEANUP => 1);
}
