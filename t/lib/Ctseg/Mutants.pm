package Ctseg::Mutants;

# Deliberate breaks of the product, and the test that must notice each.  They
# stand in t/mutants/*.txt:
#
#	name: ack-early
#	breaks: 1, a 2xx is sent before the commit
#	file: src/edge/ngx_http_ctseg_collect.c
#	test: t/22-group-commit.t
#	-the text that is there, once,
#	-whole lines or a part of one
#	+what stands there instead
#
# "breaks" begins with the number of the invariant in docs/architecture.md, or
# with "-" if it has none.  "test" is a file t/*.t, or the name of a binary
# below build/, as unit/store/test_store; it may come again, and then each has
# to fail.  More pairs of - and + are more places in the file; a lone "+" is
# nothing.  Lines that begin with "#" are comments.

use strict;
use warnings;

my %field = map { $_ => 1 } qw/ name breaks file test /;

# all of a directory, or die with the place of the mistake

sub load {
	my ($dir) = @_;
	my @all;
	for my $file (sort glob "$dir/*.txt") {
		open my $in, '<:raw', $file or die "$file: $!\n";
		push @all, parse($file, do { local $/; <$in> });
	}
	return @all;
}

sub parse {
	my ($file, $text) = @_;
	my (@all, $m, $n);

	for (split /\n/, $text) {
		$n++;
		next if /^#/ || $_ eq '';

		if (/^([-+])(.*)/) {
			my ($sign, $line) = ($1, $2);
			$m or die "$file:$n: a change of no mutant\n";
			my $pairs = $m->{pairs};
			push @$pairs, { '-' => [], '+' => [] } if $sign eq '-'
				&& (!@$pairs || @{$pairs->[-1]{'+'}});
			@$pairs or die "$file:$n: + without -\n";
			push @{$pairs->[-1]{$sign}}, $line;
			next;
		}

		/^(\w+): *(.+?)$/ && $field{$1} or die "$file:$n: $_\n";

		if ($1 eq 'name') {
			$m = { name => $2, test => [], pairs => [],
				at => "$file:$n" };
			push @all, $m;
		} elsif (!$m) {
			die "$file:$n: \"$1\" before \"name\"\n";
		} elsif ($1 eq 'test') {
			push @{$m->{test}}, $2;
		} else {
			die "$file:$n: \"$1\" comes twice\n"
				if exists $m->{$1};
			$m->{$1} = $2;
		}
	}
	return @all;
}

# what is wrong with the mutant as it is written, if anything

sub wrong {
	my ($m) = @_;
	return 'no "breaks" with a number or -'
		unless ($m->{breaks} // '') =~ /^(?:\d+|-), \S/;
	return 'no file' unless $m->{file};
	return 'no test' unless @{$m->{test}};
	return 'no change' unless @{$m->{pairs}};
	for my $pair (@{$m->{pairs}}) {
		return 'a - without +' unless @{$pair->{'+'}};
		return 'it changes nothing'
			if "@{$pair->{'-'}}" eq "@{$pair->{'+'}}";
	}
	return;
}

# the text of the file with the mutant in it; dies unless each of its places
# is there exactly once

sub apply {
	my ($m, $text) = @_;
	for my $pair (@{$m->{pairs}}) {
		my $old = join "\n", @{$pair->{'-'}};
		my $new = join "\n", @{$pair->{'+'}};
		my $at = index $text, $old;
		die "not there: $old\n" if $at < 0;
		die "more than once: $old\n"
			if index($text, $old, $at + 1) >= 0;
		substr $text, $at, length $old, $new;
	}
	return $text;
}

# the source of a test, in the tree

sub source {
	my ($test) = @_;
	return $test if $test =~ m{^t/[\w-]+\.t$};
	return "t/$test.c" if $test =~ m{^(?:unit|fuzz)/};
	return;
}

1;
