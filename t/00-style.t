#!/usr/bin/env perl

# Every file of the repository against the rules of Ctseg::Style, and those
# rules against samples: a gate that finds nothing must be able to.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Style;

chdir "$FindBin::Bin/.." or die;

# ---- the rules themselves ----

my $essay = "/*\n * What this is.\n */\n\n";
my $f = "\n\nint\nf(void)\n{\n    return 0;\n}\n";

for my $case (
	[ '', "${essay}int x;\n", 'a plain file' ],
	[ 'LONG', $essay . 'int ' . ('x' x 77) . ";\n" ],
	[ '', $essay . '/* ' . ("\xc3\xbc" x 70) . " */\n",
		'columns are characters' ],
	[ 'TAB', "$essay\tint x;\n" ],
	[ 'SPACE', "${essay}int x; \n" ],
	[ 'EOF', "${essay}int x;" ],
	[ 'EOF', "${essay}int x;\n\n" ],
	[ 'SLASHES', "${essay}int x; // x\n" ],
	[ '', "${essay}char *x = \"//\";\n", 'slashes in a string' ],
	[ '', "$essay$f$f", 'two functions' ],
	[ 'GAP', $essay . $f . $f =~ s/^\n//r ],
	[ 'GAP', "$essay$f\n$f" ],
	[ '', "$essay$f\n\n/* about g */\n\nint\ng(void)\n{\n}\n",
		'a comment between functions' ],
	[ 'ELSE', $essay . body("if (a) {\n    b();\n} else {\n") ],
	[ '', $essay . body("if (a) {\n    b();\n\n} else {\n"),
		'a blank line before else' ],
	[ 'COLUMN0', "${essay}static int f(void)\n{\n}\n" ],
	[ '', "${essay}static int *\nf(int a,\n    int b)\n{\n}\n",
		'arguments on two lines' ],
	[ '', "${essay}static int  a[] =\n{\n    1\n};\n", 'a table' ],
	[ 'ALLOC', $essay . body("p = malloc(1);\n*p = 1;\n") ],
	[ 'ALLOC', $essay . body("p = (char *) ngx_palloc(pool,\n    7);\n") ],
	[ '', $essay . body("p->x = calloc(1,\n    2);\nif (p->x == NULL) {"
		. "\n    return 1;\n}\n"), 'a compared allocation' ],
	[ '', $essay . body("return malloc(1);\n"), 'passed to the caller' ],
	[ 'ASSIGN', $essay . body("if ((a = b()) == 1) {\n}\n") ],
	[ 'ASSIGN', $essay . body("while (x\n    && (a = b()))\n{\n}\n") ],
	[ '', $essay . body("if (a == b && c <= d && e != f) {\n}\n"),
		'comparisons' ],
	[ 'BANNED', $essay . body("strcpy(a, b);\n") ],
	[ 'BANNED', $essay . body("n = atoi(a);\n") ],
	[ '', $essay . body("ngx_sprintf(a, b);\n"), 'a function of nginx' ],
	[ '', $essay . body("ctx->system(a);\n"), 'a member' ],
	[ 'LONGFILE', $essay . "int x;\n" x 800 ],
	[ 'LONGFN', $essay . body("x();\n" x 100) ],
	[ 'UNDONE', "$essay/* TO" . "DO: more */\n" ],
	[ 'ESSAY', "int x;\n" ],
	[ 'WORDS', "$essay/* see ../" . "shared/x */\n" ],
	[ '', $essay . body("strcpy(a, b);  /* style: BANNED - sample */\n"),
		'an exception' ],
	[ '', $essay . body("/* style: BANNED - sample */\nstrcpy(a, b);\n"),
		'an exception on the line before' ],
	[ 'EXCEPTION', $essay . body("a();  /* style: BANNED - sample */\n") ],
	[ 'EXCEPTION', $essay . body("strcpy(a, b);  /* style: BANNED */\n") ],
	)
{
	my ($rule, $text, $name) = @$case;
	my @found = map { $_->[1] } Ctseg::Style::check('sample.c', $text);
	is(join(' ', @found), $rule, $name // "rule $rule: "
		. $Ctseg::Style::reason{$rule});
}

# ---- the files ----

my @files = sort grep { -f } map { glob } '*.c', 'config', 'Makefile',
	'LICENSE', '*.md', '.ci/*', 'src/*/*', 'docs/*', 'conf/*', 't/*.t',
	't/*.md', 't/lib/Ctseg/*', 't/tools/*', 't/tools/*/*.js',
	't/browser/*.mjs', 't/unit/*/*', 't/unit/*.h',
	't/fault/*', 't/fuzz/*', 't/bench/*',
	't/bench/yard/*', 't/bench/peers/*.{lua,mjs}', 't/bench/lib/Bench/*',
	't/bench/lib/Bench/*/*',
	't/mutants/*', '.editorconfig', '.gitignore';

my $bad = 0;
for my $file (@files) {
	open my $in, '<:raw', $file or die "$file: $!\n";
	my $text = do { local $/; <$in> } // '';
	next if $text =~ /\0/;			# pictures

	my @found = Ctseg::Style::check($file, $text);
	next unless @found;

	$bad++;
	fail($file);
	diag(map { my ($n, $rule, $detail) = @$_;
		"$file:$n: $rule" . (defined $detail ? " ($detail)" : '')
		. ": $Ctseg::Style::reason{$rule}\n" } @found);
}

ok(!$bad, scalar(@files) . ' files follow the style');

done_testing;


sub body {
	my ($code) = @_;
	return "int\nf(void)\n{\n" . $code =~ s/^(?=.)/    /mgr . "}\n";
}
