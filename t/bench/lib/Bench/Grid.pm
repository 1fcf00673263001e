package Bench::Grid;

# A table of several ways to do the same: a line for each figure, a column for
# each of them.
#
#	my $grid = Bench::Grid->new(columns => [ 'a', 'b' ],
#		rows => [ [ 'cpu', 'CPU s', '%.1f' ],
#			[ 'lost', 'events lost', '%d', 'sum' ] ]);
#	$grid->add('cpu', 'a', 1.25);		# of one run
#
# Several runs become their median with the least and the most, or their sum,
# or the most of them.

use strict;
use warnings;

use List::Util qw/ max sum /;

use Bench::Table;

my %how = (median => \&Bench::Table::median, sum => \&sum, most => \&max);

sub new { my ($class, %o) = @_; return bless { %o, of => {} }, $class }

sub add {
	my ($self, $row, $column, $value) = @_;
	die "no row $row\n" unless grep { $_->[0] eq $row } @{$self->{rows}};
	push @{$self->{of}{$row}{$column}}, $value;
	return;
}

# lines of Markdown

sub text {
	my ($self) = @_;
	my @column = @{$self->{columns}};
	my @line = ('| ' . join(' | ', '', @column) . ' |',
		'|---' x (1 + @column) . '|');
	for my $row (@{$self->{rows}}) {
		my ($id, $text, $format, $how) = @$row;
		my @cell = map { _cell($format, $how // 'median',
			@{$self->{of}{$id}{$_} || []}) } @column;
		push @line, '| ' . join(' | ', $text, @cell) . ' |'
			if grep { length } @cell;
	}
	return join("\n", @line) . "\n";
}

sub _cell {
	my ($format, $how, @of) = @_;
	return '' unless @of;
	my ($low, $high) = map { sprintf $format, $_ }
		Bench::Table::range(@of);
	my $text = sprintf $format, $how{$how}->(@of);
	$text .= " ($low..$high)" if $how eq 'median' && $low ne $high;
	return $text;
}

# the same for machines, each run

sub data {
	my ($self) = @_;
	return { map { $_->[0] => { figure => $_->[1],
		runs => $self->{of}{$_->[0]} } } @{$self->{rows}} };
}

1;
