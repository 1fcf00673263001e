package Ctseg::Guide;

# docs/guide.md as a test reads it: the numbered rows of its tables with the
# calls they name, and the commands with the answers printed below them.
#
#	my $g = Ctseg::Guide->new('docs/guide.md');
#	$g->rules	rows of rules: { id => 'C1', line, rule, look, calls }
#	$g->names	rows of the catalog: { id => 'N1', line, rule (the
#			name), description, system, engagement }
#	$g->commands	{ line, text, answer (decoded, or undef) }
#
# A row makes its calls, numbered from 1, through the function it is given:
#
#	$row->{make} = sub { my ($call, %o) = @_; ...; return $answer };
#	my $json = $row->call(1, id => $id);	# {id} stands for $id
#	$row->{answer};				# all of the last answer
#	$row->left;				# texts of those not yet made
#
# A call has method, path, body (decoded, or undef), headers, status and text.
#
# A row whose third column is not made of calls, and an answer that is no
# JSON, end the test: a rule must not get lost by a slip of the pen.

use strict;
use warnings;

use Ctseg::Client qw/ json_decode /;

my $arrow = "\xe2\x86\x92";
my $mark = "\xe2\x9c\x93";

sub new {
	my ($class, $file) = @_;
	my ($name) = $file =~ m{([^/]+)$};
	my $self = bless { rules => [], names => [], commands => [] }, $class;

	open my $f, '<:raw', $file or die "$file: $!\n";
	my @lines = <$f>;

	my ($block, $text);
	for my $i (0 .. $#lines) {
		my $l = $lines[$i];
		my $at = "$name:" . ($i + 1);

		if (defined $block) {
			if ($l ne "```\n") {
				$text .= $l;
				next;
			}
			$self->_block($at, $block, $text);
			$block = undef;
		} elsif ($l =~ /^```(\w*)$/) {
			($block, $text) = ($1, '');
		} elsif ($l =~ /^\| *([A-Z]\d+) *\|(.*)\|$/) {
			$self->_row($at, $1, split / *\| */, " $2", -1);
		} elsif ($l =~ /^\|/ && $l !~ /^\|(?: \||---)/) {
			die "$at: a row without a number\n";
		}
	}
	die "$file: a block without an end\n" if defined $block;
	return $self;
}

sub rules { return $_[0]->{rules} }
sub names { return $_[0]->{names} }
sub commands { return $_[0]->{commands} }

sub _block {
	my ($self, $at, $kind, $text) = @_;

	if ($kind eq 'sh') {
		push @{$self->{commands}}, { line => $at, text => $text };
		return;
	}

	# the answer of the command above it

	my $last = $self->{commands}[-1];
	die "$at: an answer without a command\n" if $kind ne 'json' || !$last
		|| $last->{answer};
	$last->{answer} = eval { json_decode($text) } or die "$at: $@";
	return;
}

sub _row {
	my ($self, $at, $id, @cells) = @_;
	s/^ +| +$//g for @cells;

	if (@cells == 4) {
		my %n = (id => $id, line => $at, calls => []);
		@n{qw/ rule description system engagement /} = @cells;
		for my $set (@n{qw/ system engagement /}) {
			die "$at: neither marked nor empty\n"
				unless $set eq $mark || $set eq '';
			$set = $set ne '' ? 1 : 0;
		}
		push @{$self->{names}}, bless \%n, 'Ctseg::Guide::Row';
		return;
	}

	die "$at: not three columns beside the number\n" if @cells != 3;
	push @{$self->{rules}}, bless { id => $id, line => $at,
		rule => $cells[0], look => $cells[2], calls => [ map {
			_call($at, $_) } split /<br>/, $cells[1] ] },
		'Ctseg::Guide::Row';
	return;
}

sub _call {
	my ($at, $text) = @_;

	$text =~ m{^`(GET|POST|PATCH|DELETE)\ (/\S*)`(?:\ `(\{.*?\})`)?
		(?:\ `([\w-]+):\ ([^`]+)`)?\ $arrow\ (\d{3})$}x
		or die "$at: no call: $text\n";
	my ($method, $path, $body, $header, $value, $status) = ($1, $2, $3, $4,
		$5, $6);
	if (defined $body) {
		$body = eval { json_decode($body) } or die "$at: $text: $@";
	}
	return { method => $method, path => $path, body => $body,
		headers => defined $header ? { $header => $value } : {},
		status => $status, text => $text =~ s/`//gr
			=~ s/$arrow/=>/r };
}


package Ctseg::Guide::Row;

use Ctseg::Client qw/ json_decode json_encode /;

sub call {
	my ($self, $i, %o) = @_;
	my $call = $self->{calls}[$i - 1] or die "$self->{line}: no call $i\n";
	$call->{made} = 1;

	my %c = %$call;
	my $put = sub { $_[0] =~ s/\{(\w+)\}/$o{$1} \/\/ die "{$1}?"/ger };
	$c{path} = $put->($c{path});
	$c{body} = json_decode($put->(json_encode($c{body}))) if $c{body};

	$self->{answer} = $self->{make}->(\%c, %o);
	return $self->{answer}{json};
}

# a call that cannot be made yet

sub skip { $_[0]->{calls}[$_[1] - 1]{made} = 1; return }

sub left { return map { $_->{text} } grep { !$_->{made} } @{$_[0]->{calls}} }

1;
