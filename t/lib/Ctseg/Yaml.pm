package Ctseg::Yaml;

# Reads the part of YAML that docs/openapi.yaml is written in, with the types
# that it means, and dies with the line on anything else.  (CPAN::Meta::YAML
# does not tell 20 from '20'.)
#
#	mappings and sequences as blocks, "- key: value" among them
#	plain scalars of one line: null, true, false, numbers, strings
#	'single' and "double" quoted scalars of one line
#	| and >, with - or without
#	[] and {}
#	comments on lines of their own
#
# "make lint" reads the document with another reader as well and compares.

use strict;
use warnings;

use Exporter qw/ import /;
use JSON::PP ();

our @EXPORT_OK = qw/ yaml_decode /;

sub yaml_decode {
	my ($text) = @_;
	utf8::decode($text) or die "yaml: no UTF-8\n";
	my $self = bless { line => [ split /\n/, $text ], n => 0 },
		__PACKAGE__;
	my $value = $self->_block(0);
	$self->_wrong('another indentation') if defined $self->_indent;
	return $value;
}

sub _wrong {
	my ($self, $what) = @_;
	my $n = $self->{n} + 1;
	die "yaml: line $n: $what: " . ($self->{line}[$n - 1] // 'the end')
		. "\n";
}

# the indentation of the next line that is none of comment and blank

sub _indent {
	my ($self) = @_;
	my $line = $self->{line};

	$self->{n}++ while $self->{n} < @$line
		&& $line->[$self->{n}] =~ /^\s*(?:#|$)/;
	return if $self->{n} >= @$line;
	$self->_wrong('a tab') if $line->[$self->{n}] =~ /\t/;
	$line->[$self->{n}] =~ /^( *)/;
	return length $1;
}

my $word = qr{[\w.+/{}\$-]+};
my $key = qr/($word(?: $word)*|'[^']*')/;

# what begins at this indentation, up to a line that is less indented

sub _block {
	my ($self, $in) = @_;
	my $out;

	while (1) {
		my $here = $self->_indent;
		last if !defined $here || $here < $in;
		$self->_wrong('another indentation') if $here > $in;
		my $line = $self->{line}[$self->{n}];

		if ($line =~ /^ *- (?=\S)/) {
			$out //= [];
			$self->_wrong('an item') unless ref $out eq 'ARRAY';

			# a mapping in it stands two columns further right

			if ($line =~ /^ *- $key:(?: |$)/) {
				$self->{line}[$self->{n}] =~ s/- /  /;
				push @$out, $self->_block($in + 2);
				next;
			}
			push @$out, $self->_value($' // '', $in)
				if $line =~ /^ *- /;

		} elsif ($line =~ /^ *$key:(?: +|$)/) {
			my ($name, $rest) = ($1, $');
			$name =~ s/^'(.*)'$/$1/;
			$out //= {};
			$self->_wrong('a key') unless ref $out eq 'HASH';
			$self->_wrong('a key twice') if exists $out->{$name};
			$out->{$name} = $self->_value($rest, $in);

		} else {
			$self->_wrong('neither a key nor an item');
		}
	}

	$self->_wrong('no value') unless defined $out;
	return $out;
}

# the rest of a line, or the block below it

sub _value {
	my ($self, $rest, $in) = @_;

	if ($rest eq '') {
		$self->{n}++;
		my $next = $self->_indent;
		$self->_wrong('no value') if !defined $next || $next <= $in;
		return $self->_block($next);
	}
	return $self->_text($1, $2, $in) if $rest =~ /^([|>])(-?)$/;

	my $value = eval { _scalar($rest) };
	$self->_wrong($@ =~ s/\n//r) if $@;
	$self->{n}++;
	return $value;
}

sub _text {
	my ($self, $style, $strip, $in) = @_;
	my $line = $self->{line};
	my (@out, $deep);

	for ($self->{n}++; $self->{n} < @$line; $self->{n}++) {
		my $l = $line->[$self->{n}];
		if ($l eq '') {
			push @out, '';
			next;
		}
		$l =~ /^( *)/;
		last if length $1 <= $in;
		$deep //= length $1;
		$self->_wrong('text indented less') if length $1 < $deep;
		$self->_wrong('text indented more') if length $1 > $deep
			&& $style eq '>';
		push @out, substr $l, $deep;
	}
	pop @out while @out && $out[-1] eq '';
	$self->_wrong('no text') unless @out;

	my $text = join "\n", @out;
	$text =~ s/(\n+)/length $1 == 1 ? ' ' : substr $1, 1/ge
		if $style eq '>';
	return $strip ? $text : "$text\n";
}

sub _scalar {
	my ($s) = @_;

	return [] if $s eq '[]';
	return {} if $s eq '{}';
	return $1 =~ s/''/'/gr if $s =~ /^'((?:[^']|'')*)'$/;
	return JSON::PP->new->allow_nonref->decode($s)
		if $s =~ /^"(?:[^"\\]|\\.)*"$/;
	die "a scalar that needs quotes\n"
		if $s =~ /^[-?:]?$|^[-?:] |^[\[\]{}&*!|>'"%@`,#]/
			|| $s =~ /: | #|:$|\s$/;

	return undef if $s =~ /^(?:null|~)$/;
	return JSON::PP::true() if $s eq 'true';
	return JSON::PP::false() if $s eq 'false';
	return $s + 0 if $s =~ /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]?\d+)?$/i;

	# what other readers take for a time, a number or a boolean

	die "a scalar that needs quotes\n"
		if $s =~ /^[-+.]?\d[\d_:T.+-]*Z?$/ && $s !~ /^\d+\.\d+\.\d+$/
			&& $s !~ /^\d+\.\d+\.\d+\.\d+:\d+$/
			|| $s =~ /^0[xo]|^(?:yes|no|on|off|y|n)$/i
			|| $s =~ /^(?:null|true|false)$/i
			|| $s =~ /^\d+e\d+$/i;
	return $s;
}

1;
