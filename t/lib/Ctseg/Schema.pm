package Ctseg::Schema;

# JSON Schema 2020-12, as much of it as docs/openapi.yaml uses.  A keyword or
# a format that is not known here is fatal, so that nothing is ignored.
#
#	my $schema = Ctseg::Schema->new($document);	# for $ref
#	$schema->known($s, 'where');			# every keyword of it
#	my @wrong = $schema->validate($s, $json, '/items/0');
#
# A value is what JSON::PP decoded: its numbers, strings and booleans are told
# apart.  So it must not have been used as something else meanwhile.

use strict;
use warnings;

use B ();
use JSON::PP ();

my %annotation = map { $_ => 1 } qw/ title description default example
	examples readOnly writeOnly deprecated /;

# keyword => what hangs below it: a schema, a list or a hash of them

my %below = (items => 'schema', additionalProperties => 'schema',
	unevaluatedProperties => 'schema', not => 'schema', if => 'schema',
	then => 'schema', else => 'schema', properties => 'hash',
	allOf => 'list', anyOf => 'list', oneOf => 'list');

my %plain = map { $_ => 1 } qw/ $ref type const enum required minItems
	maxItems uniqueItems minLength maxLength pattern format minimum
	maximum /;

my %format = (
	date => sub {
		my ($y, $m, $d) = $_[0] =~ /^(\d{4})-(\d\d)-(\d\d)\z/a
			or return 0;
		my $leap = $y % 4 == 0 && ($y % 100 != 0 || $y % 400 == 0);
		return $m >= 1 && $m <= 12 && $d >= 1 && $d <= (31,
			$leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
			31)[$m - 1];
	},
	);

$format{'date-time'} = sub {
	my ($day, $h, $m, $s) = $_[0] =~ /^([\d-]{10})T(\d\d):(\d\d):(\d\d)
		(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\z/ax or return 0;
	return $format{date}->($day) && $h < 24 && $m < 60 && $s <= 60;
};

sub new {
	my ($class, $document) = @_;
	return bless { document => $document, pattern => {} }, $class;
}

# "#/components/schemas/Id"

sub resolve {
	my ($self, $ref) = @_;
	my $at = $self->{document};

	$ref =~ m{^#/} or die "openapi: a \$ref to elsewhere: $ref\n";
	for my $name (split m{/}, substr $ref, 2) {
		$name =~ s{~1}{/}g;
		$name =~ s{~0}{~}g;
		ref $at eq 'HASH' && exists $at->{$name}
			or die "openapi: a \$ref to nothing: $ref\n";
		$at = $at->{$name};
	}
	return $at;
}

sub known {
	my ($self, $s, $where) = @_;

	return if JSON::PP::is_bool($s);
	ref $s eq 'HASH' or die "openapi: $where is no schema\n";

	for my $k (sort keys %$s) {
		next if $annotation{$k};
		if (($below{$k} // '') eq 'schema') {
			$self->known($s->{$k}, "$where/$k");
		} elsif (($below{$k} // '') eq 'hash') {
			$self->known($s->{$k}{$_}, "$where/$k/$_")
				for sort keys %{$s->{$k}};
		} elsif (($below{$k} // '') eq 'list') {
			$self->known($s->{$k}[$_], "$where/$k/$_")
				for 0 .. $#{$s->{$k}};
		} elsif (!$plain{$k}) {
			die "openapi: $where has \"$k\", which is not known "
				. "to Ctseg::Schema\n";
		}
	}
	$self->resolve($s->{'$ref'}) if exists $s->{'$ref'};
	!exists $s->{format} || $format{$s->{format}}
		or die "openapi: $where has the format $s->{format}, which "
			. "is not known to Ctseg::Schema\n";
	return;
}

# texts of what is wrong

sub validate {
	my ($self, $s, $value, $at) = @_;
	my ($wrong) = $self->_check($s, $value, $at // '');
	return @$wrong;
}

sub type_of {
	my ($v) = @_;
	return 'null' unless defined $v;
	return 'object' if ref $v eq 'HASH';
	return 'array' if ref $v eq 'ARRAY';
	return 'boolean' if JSON::PP::is_bool($v);
	my $flags = B::svref_2object(\$v)->FLAGS;
	return 'string' if $flags & B::SVf_POK
		|| !($flags & (B::SVf_IOK | B::SVf_NOK));
	return $v == int $v ? 'integer' : 'number';
}

# the same value, or the order of two; on copies, which lose no types

my $canonical = JSON::PP->new->canonical->allow_nonref;

sub text {
	my ($v) = @_;
	return $canonical->encode($v);
}

# (list of texts, the properties that something looked at)

sub _check {
	my ($self, $s, $v, $at) = @_;
	my (@wrong, %seen);

	if (JSON::PP::is_bool($s)) {
		push @wrong, "$at may not be there" unless $s;
		return (\@wrong, \%seen);
	}

	my $type = type_of($v);
	my $take = sub {
		my ($wrong, $seen) = @_;
		push @wrong, @$wrong;
		@seen{keys %$seen} = () unless @$wrong;
		return;
	};

	$take->($self->_check($self->resolve($s->{'$ref'}), $v, $at))
		if exists $s->{'$ref'};

	if (exists $s->{type}) {
		my @types = ref $s->{type} ? @{$s->{type}} : $s->{type};
		push @wrong, "$at is of type $type, not " . join ' or ', @types
			unless grep { $_ eq $type || $_ eq 'number'
				&& $type eq 'integer' } @types;
	}
	push @wrong, "$at is not " . text($s->{const})
		if exists $s->{const} && text($s->{const}) ne text($v);
	push @wrong, "$at is none of " . text($s->{enum})
		if exists $s->{enum} && !grep { text($_) eq text($v) }
			@{$s->{enum}};

	push @wrong, $self->_string($s, $v, $at) if $type eq 'string';
	if ($type eq 'integer' || $type eq 'number') {
		push @wrong, "$at is less than $s->{minimum}"
			if exists $s->{minimum} && $v < $s->{minimum};
		push @wrong, "$at is more than $s->{maximum}"
			if exists $s->{maximum} && $v > $s->{maximum};
	}
	push @wrong, $self->_array($s, $v, $at) if $type eq 'array';

	if ($type eq 'object') {
		push @wrong, map { "$at/$_ is missing" }
			grep { !exists $v->{$_} } @{$s->{required} || []};
		for my $k (sort keys %{$s->{properties} || {}}) {
			next unless exists $v->{$k};
			$seen{$k} = 1;
			my ($w) = $self->_check($s->{properties}{$k},
				$v->{$k}, "$at/$k");
			push @wrong, @$w;
		}
		if (exists $s->{additionalProperties}) {
			push @wrong, $self->_rest($s->{additionalProperties},
				$v, $at, $s->{properties} || {});
			@seen{keys %$v} = ();
		}
	}

	$take->($self->_combined($s, $v, $at));

	if ($type eq 'object' && exists $s->{unevaluatedProperties}) {

		# what a branch that failed would have looked at is unknown

		push @wrong, $self->_rest($s->{unevaluatedProperties}, $v,
			$at, \%seen) unless @wrong;
		@seen{keys %$v} = ();
	}

	return (\@wrong, \%seen);
}

sub _rest {
	my ($self, $s, $v, $at, $known) = @_;
	my @wrong;
	for my $k (sort grep { !exists $known->{$_} } keys %$v) {
		my ($w) = $self->_check($s, $v->{$k}, "$at/$k");
		push @wrong, @$w;
	}
	return @wrong;
}

sub _string {
	my ($self, $s, $v, $at) = @_;
	my @wrong;

	push @wrong, "$at is shorter than $s->{minLength}"
		if exists $s->{minLength} && length $v < $s->{minLength};
	push @wrong, "$at is longer than $s->{maxLength}"
		if exists $s->{maxLength} && length $v > $s->{maxLength};
	if (exists $s->{pattern}) {

		# to JavaScript a newline is not behind the end

		my $re = $self->{pattern}{$s->{pattern}} //= do {
			my $p = $s->{pattern} =~ s/(?<!\\)\$\z/\\z/r;
			qr/$p/s;
		};
		push @wrong, "$at does not match $s->{pattern}"
			if $v !~ $re;
	}
	push @wrong, "$at is no $s->{format}"
		if exists $s->{format} && !$format{$s->{format}}->($v);
	return @wrong;
}

sub _array {
	my ($self, $s, $v, $at) = @_;
	my @wrong;

	push @wrong, "$at has less than $s->{minItems} items"
		if exists $s->{minItems} && @$v < $s->{minItems};
	push @wrong, "$at has more than $s->{maxItems} items"
		if exists $s->{maxItems} && @$v > $s->{maxItems};
	if ($s->{uniqueItems}) {
		my %n;
		$n{text($_)}++ for @$v;
		push @wrong, "$at has $_ twice"
			for grep { $n{$_} > 1 } sort keys %n;
	}
	if (exists $s->{items}) {
		for my $i (0 .. $#$v) {
			my ($w) = $self->_check($s->{items}, $v->[$i],
				"$at/$i");
			push @wrong, @$w;
		}
	}
	return @wrong;
}

# of another type, or of another kind, is further away than many mistakes

sub _distance {
	my ($wrong, $at) = @_;
	return @$wrong + 1000 * grep({ m{^\Q$at\E is of type } } @$wrong)
		+ 100 * grep { m{^\Q$at\E/\w+ is not } } @$wrong;
}

# allOf, anyOf, oneOf, not, if

sub _combined {
	my ($self, $s, $v, $at) = @_;
	my (@wrong, %seen);

	for my $one (@{$s->{allOf} || []}) {
		my ($w, $n) = $self->_check($one, $v, $at);
		push @wrong, @$w;
		@seen{keys %$n} = () unless @$w;
	}

	for my $how (grep { exists $s->{$_} } qw/ anyOf oneOf /) {
		my ($fit, $best) = (0);
		for my $one (@{$s->{$how}}) {
			my ($w, $n) = $self->_check($one, $v, $at);
			if (@$w) {
				push @$w, _distance($w, $at);
				$best = $w if !$best || $w->[-1] < $best->[-1];
				next;
			}
			$fit++;
			@seen{keys %$n} = ();
		}
		push @wrong, "$at is nothing of $how; the nearest: "
			. join ', ', @$best[0 .. $#$best - 1] unless $fit;
		push @wrong, "$at is $fit of oneOf" if $how eq 'oneOf'
			&& $fit > 1;
	}

	if (exists $s->{not}) {
		my ($w) = $self->_check($s->{not}, $v, $at);
		push @wrong, "$at is what it may not be: " . text($s->{not})
			unless @$w;
	}

	if (exists $s->{if}) {
		my ($w, $n) = $self->_check($s->{if}, $v, $at);
		@seen{keys %$n} = () unless @$w;
		my $then = $s->{@$w ? 'else' : 'then'};
		if (defined $then) {
			($w, $n) = $self->_check($then, $v, $at);
			push @wrong, @$w;
			@seen{keys %$n} = () unless @$w;
		}
	}

	return (\@wrong, \%seen);
}

1;
