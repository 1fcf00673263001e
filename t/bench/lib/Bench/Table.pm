package Bench::Table;

# The table of figures: what each is called, what it must reach and what it
# aims at, and how several runs become one line.

use strict;
use warnings;

# number, text, unit, format, must, aim; a bound is "<=" or ">=" and a number,
# a figure without one is stated

my @rows = (
	[ '1', 'CPU s a million events, 200 a body, intake to delivery',
		'%.2f', '<= 2', '<= 1.6' ],
	[ '2', 'CPU s a million events, 1 a body, 64 connections', '%.1f',
		'<= 14', '<= 12' ],
	[ '3', 'delivered / yardstick, 200 a body', '%.3f',
		'>= 0.06', '>= 0.09' ],
	[ '4', 'acknowledged / yardstick, 1 a body, 64 connections', '%.2f',
		'>= 0.45', '>= 0.6' ],
	[ '5', 'acknowledgement at 1,000 posts/s, p99 ms', '%.2f',
		'<= 2.5', '<= 1.5' ],
	[ '6', 'p99 of other requests under load / yardstick', '%.2f',
		'<= 2', '<= 1.3' ],
	[ '7', 'private memory of a worker, most, MB', '%.1f',
		'<= 24', '<= 12' ],
	[ '8', 'export alone, MB of text a CPU second', '%.0f',
		'>= 400', '>= 700' ],
	[ '9a', 'export of 1 % of the names, events a CPU second / row 8',
		'%.1f', '>= 20', '>= 100' ],
	[ '9b', 'export of one day of 60, events a CPU second / row 8',
		'%.1f', '>= 20', '>= 100' ],
	[ '10', 'live at rest, acknowledgement to arrival, p99 ms', '%.1f',
		'<= 100', '<= 20' ],
	[ '11a', 'fill of batches under backlog, %', '%.1f',
		'>= 95', '>= 99' ],
	[ '11b', 'batches over a limit', '%d', '<= 0', '<= 0' ],
	[ '12', 'events/s at 100 ms to Segment, 4 in flight', '%.0f',
		'>= 30000', undef ],
	[ '13a', 'after an outage: first delivery, s', '%.2f',
		'<= 60', undef ],
	[ '13b', 'after an outage: first delivery to last, s', '%.2f',
		'<= 0.5', undef ],
	[ '14', 'start and first export, long log - empty one, ms', '%.0f',
		'<= 50', undef ],
	[ '15a', 'intake, CPU an event, long log / short one', '%.2f',
		'<= 1.1', '<= 1' ],
	[ '15b', 'start of an export, long log / short one', '%.2f',
		'<= 1.1', '<= 1' ],
	[ '15c', 'lists and status, CPU, long log / short one', '%.2f',
		'<= 1.1', '<= 1' ],
	[ '16a', 'bytes written an acknowledged byte, 10 events/s', '%.1f' ],
	[ '16b', 'bytes written an acknowledged byte, 1,000 events/s',
		'%.2f' ],
	[ '16c', 'bytes written an acknowledged byte, 50,000 events/s',
		'%.2f' ],
);

sub new { return bless { of => {}, beside => {} }, $_[0] }

# a figure of one run, and what is to stand beside it: name, value, ...

sub add {
	my ($self, $row, $value, @beside) = @_;
	die "no row $row\n" unless grep { $_->[0] eq $row } @rows;
	push @{$self->{of}{$row}}, $value;
	return $self->beside($row, @beside);
}

# that alone

sub beside {
	my ($self, $row, @beside) = @_;
	my $all = $self->{beside}{$row} //= [];
	while (my ($name, $value) = splice @beside, 0, 2) {
		my ($b) = grep { $_->{name} eq $name } @$all;
		push @$all, $b = { name => $name, of => [] } unless $b;
		push @{$b->{of}}, $value;
	}
	return;
}

sub median {
	my @v = sort { $a <=> $b } @_;
	return @v % 2 ? $v[$#v / 2] : ($v[$#v / 2] + $v[@v / 2]) / 2;
}

# lowest and highest

sub range {
	my @v = sort { $a <=> $b } @_;
	return @v[0, -1];
}

# the part of sorted values, as 0.99

sub part {
	my ($part, @v) = @_;
	@v = sort { $a <=> $b } @v;
	return $v[int($part * $#v + 0.5)];
}

sub number {
	my ($v) = @_;
	return $v == int $v ? $v : $v >= 100 ? sprintf('%.0f', $v)
		: $v >= 10 ? sprintf('%.1f', $v) : sprintf '%.3g', $v;
}

sub reached {
	my ($value, $bound) = @_;
	return '' unless defined $bound;
	my ($sign, $n) = split ' ', $bound;
	return ($sign eq '<=' ? $value <= $n : $value >= $n) ? 'yes' : 'no';
}

# lines of Markdown

sub text {
	my ($self) = @_;
	my @line = ('| # | figure | median | min..max | beside it | must '
		. '| reached | aim | reached |', '|---|---|---|---|---|---'
		. '|---|---|---|');
	for my $row (@rows) {
		my ($n, $name, $format, $must, $aim) = @$row;
		my $of = $self->{of}{$n} or next;
		my $value = median(@$of);
		my ($low, $high) = map { sprintf $format, $_ } range(@$of);
		push @line, '| ' . join(' | ', $n, $name,
			sprintf($format, $value),
			@$of > 1 ? "$low..$high" : '',
			join(', ', map { "$_->{name} "
				. number(median(@{$_->{of}})) }
				@{$self->{beside}{$n}}),
			$must // 'stated', reached($value, $must), $aim // '',
			reached($value, $aim)) . ' |';
	}
	return join("\n", @line) . "\n";
}

# the same for machines, each run

sub data {
	my ($self) = @_;
	return { map { my $n = $_->[0]; $self->{of}{$n} ? ($n => {
		figure => $_->[1], must => $_->[3], aim => $_->[4],
		runs => $self->{of}{$n}, median => median(@{$self->{of}{$n}}),
		beside => { map { $_->{name} => $_->{of} }
			@{$self->{beside}{$n}} } }) : () } @rows };
}

1;
