package Ctseg::Style;

# The rules that keep all files in one hand.  Each has a name and a reason; an
# exception is written where it is needed, and must be needed:
#
#	... the line ...	/* style: NAME - why */
#
# or alone on the line before; anywhere in the file for ESSAY and LONGFILE, on
# the lines of its head for LONGFN.

use strict;
use warnings;

our %reason = (
	LONG		=> 'two files fit side by side, 79 columns',
	TAB		=> 'C is indented by four spaces',
	SPACE		=> 'no space at the end of a line',
	EOF		=> 'a file ends with one newline',
	SLASHES		=> 'comments are written /* so */',
	GAP		=> 'two blank lines between functions',
	ELSE		=> 'a blank line stands before "} else"',
	COLUMN0		=> 'the name of a function begins its line (grep ^f)',
	ALLOC		=> 'memory may be lacking: compare with NULL at once',
	ASSIGN		=> 'an assignment in a condition is read as ==',
	BANNED		=> 'a function without bounds, or with hidden state',
	LONGFILE	=> 'more than 800 lines hide a second subject',
	LONGFN		=> 'more than 100 lines hide a second function',
	UNDONE		=> 'what is not done is an issue, not a comment',
	ESSAY		=> 'a file opens by saying what it owns and for whom',
	WORDS		=> 'the text names a place that users do not have',
	EXCEPTION	=> 'an exception that is not needed, or without a why',
);

my $alloc = qr/\b(?:malloc|calloc|realloc|strdup|strndup|ngx_palloc
	|ngx_pcalloc|ngx_pnalloc|ngx_pmemalign|ngx_array_push(?:_n)?
	|ngx_list_push|ngx_alloc|ngx_calloc|ngx_array_create
	|ngx_create_temp_buf|ngx_calloc_buf|ngx_alloc_chain_link
	|ctseg_arena_create|ctseg_arena_z?alloc)\b/x;

my $banned = qr/(?<![\w.>])(?:strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol
	|atof|system|gets|tmpnam|mktemp|popen)\s*\(/x;

my $unfinished = join '|', 'TO' . 'DO', 'FIX' . 'ME', 'X' . 'XX';

# a path outside of the project, which a user has not got; in pieces, so that
# this file does not find itself

my $places = '\.\./' . 'shared/|/home' . '/\w+/|/root' . '/\w+';

# check(path, text): list of [line, NAME, detail]

sub check {
	my ($path, $text) = @_;

	my $is_c = $path =~ /\.[ch]$/;
	my $is_perl = $path =~ /\.(?:t|pm|pl)$/;
	my $is_text = $path =~ /\.(?:md|html|css|m?js|conf|map)$/
		|| $path =~ m{(?:^|/)(?:LICENSE|Makefile|config)$};

	my @found;
	my @line = split /\n/, $text, -1;
	my $last = pop @line;

	push @found, [ scalar @line, 'EOF' ]
		if ($last // '') ne '' || (@line && $line[-1] eq '');

	my %exception;
	if ($is_c) {
		for my $i (0 .. $#line) {
			while ($line[$i] =~ m{/\*\ style:\ ([A-Z0-9]+)
				(?:\ -\ (\S.*?))?\ \*/}xg)
			{
				push @found, [ $i + 1, 'EXCEPTION',
					"$1 without a why" ]
					unless defined $2 && $reason{$1};
				$exception{$i + 1}{$1} = 0;
			}
		}
	}

	for my $i (0 .. $#line) {
		my $l = $line[$i];

		push @found, [ $i + 1, 'SPACE' ] if $l =~ /[ \t\r]$/
			&& $path !~ /\.md$/;
		push @found, [ $i + 1, 'UNDONE' ]
			if $l =~ /\b(?:$unfinished)\b/;
		push @found, [ $i + 1, 'WORDS', $& ] if $l =~ /$places/;

		if (!$is_text) {
			my $wide = $l;
			utf8::decode($wide);
			1 while $wide =~ s/^([^\t]*)\t/$1 . ' ' x (8
				- length($1) % 8)/e;
			push @found, [ $i + 1, 'LONG' ] if length $wide > 79;
		}
	}

	push @found, c($path, $text, \@line) if $is_c;

	# an exception covers its line and the next

	my @left;
	for my $f (@found) {
		my ($n, $name) = @$f;
		my @where = $name =~ /^(?:ESSAY|LONGFILE)$/
			? sort keys %exception : $name eq 'LONGFN'
			? ($n - 2 .. $n + 3) : ($n, $n - 1);
		my ($hit) = grep { exists $exception{$_}
			&& exists $exception{$_}{$name} } @where;
		if (defined $hit && $name ne 'EXCEPTION') {
			$exception{$hit}{$name}++;
			next;
		}
		push @left, $f;
	}
	for my $n (keys %exception) {
		for my $name (grep { !$exception{$n}{$_} }
			keys %{$exception{$n}})
		{
			push @left, [ $n, 'EXCEPTION', "$name" ];
		}
	}

	return sort { $a->[0] <=> $b->[0] || $a->[1] cmp $b->[1] } @left;
}

sub c {
	my ($path, $text, $line) = @_;
	my @found;

	push @found, [ 1, 'ESSAY' ] unless $text =~ m{\A\s*/\*\s*\n
		\ \*\ \S.*\n(?:\ \*.*\n)*?\ \*/}x;
	push @found, [ 801, 'LONGFILE', scalar(@$line) . ' lines' ]
		if @$line > 800;

	# code without comments, strings and characters; same lines

	my $code = $text;
	$code =~ s{("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)+')
		|(/\*.*?\*/)|(//[^\n]*)}
		{ defined $1 ? '""' : defined $2 ? "' '"
			: defined $3 ? $3 =~ s/[^\n]//gr : '//' }gsex;
	my @code = split /\n/, $code, -1;

	my ($name, $name_at, $end_at);

	for my $i (0 .. $#$line) {
		my $l = $code[$i] // '';

		push @found, [ $i + 1, 'TAB' ] if $line->[$i] =~ /\t/;
		push @found, [ $i + 1, 'SLASHES' ] if $l =~ m{//};
		push @found, [ $i + 1, 'ELSE' ] if $l =~ /^\s*\}\s*else\b/
			&& $i && $line->[$i - 1] !~ /^\s*$/;
		push @found, [ $i + 1, 'BANNED', $& ] if $l =~ /$banned/;

		if ($l =~ /\b(?:if|while|switch)\s*(?=\()/) {
			my $cond = balanced(substr($l, $+[0]), \@code, $i);
			push @found, [ $i + 1, 'ASSIGN' ]
				if $cond =~ /[^=!<>]=[^=]/;
		}

		# a test asserts in words of its own

		if ($path !~ m{^t/}
			&& $l =~ /([\w.\[\]>-]+|\*\w+)\s*=\s*
			(?:\([^()]*\)\s*)?($alloc)\s*\(/x)
		{
			my ($var, $what) = ($1, $2);
			my $k = $i;
			$k++ while $k < $#code && $code[$k] !~ /;/;
			my $next = join "\n", @code[$k + 1 .. ($k + 4 < $#code
				? $k + 4 : $#code)];
			push @found, [ $i + 1, 'ALLOC', "$what" ]
				unless $next =~ /(?<![\w.>])\Q$var\E\s*
					(?:==|!=)\s*NULL/x;
		}

		# functions

		if (defined $end_at && $l =~ /\S/) {
			my $gap = $i - $end_at - 1;
			my $first = $end_at + 1;
			$end_at = undef;

			# comments were emptied: look at the text itself

			my $blank = 0;
			$blank++ while $line->[$first + $blank] =~ /^\s*$/;
			my $what = $line->[$first + $blank];
			push @found, [ $first + $blank + 1, 'GAP',
				"$blank blank lines" ]
				if $blank != 2
					&& $what !~ /^#\s*(?:endif|else)/;
		}

		if ($l eq '{' && $path =~ /\.c$/) {

			# back to the head: the lines since the last ; or }

			my $k = $i - 1;
			my $head = '';
			while ($k >= 0 && $code[$k] !~ /^\s*$|[;}]\s*$|^#/) {
				$head = "$code[$k]\n$head";
				$k--;
			}
			if ($head =~ /\(/ && $head !~ /^\s*(?:typedef|struct
				\s+\w+\s*$)/x)
			{
				$name_at = $k + 1;
				($name) = $head =~ /(\w+)\s*\(/;
				push @found, [ $k + 2, 'COLUMN0', $name ]
					unless $head =~ /^\w+\(/m;
			}
		}

		if ($l eq '}' && defined $name_at) {
			my $len = $i - $name_at + 1;
			push @found, [ $name_at + 1, 'LONGFN',
				"$name has $len lines" ]
				if $len > 100 && $path !~ m{^t/};
			$name_at = undef;
			$end_at = $i;
		}
	}

	return @found;
}

# text from a "(" to its ")"

sub balanced {
	my ($s, $code, $i) = @_;
	my ($depth, $out) = (0, '');

	while (1) {
		for my $ch (split //, $s) {
			$depth++ if $ch eq '(';
			$depth-- if $ch eq ')';
			$out .= $ch;
			return $out if $depth == 0;
		}
		return $out if ++$i > $#$code;
		$s = "\n$code->[$i]";
	}
}

1;
