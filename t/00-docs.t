#!/usr/bin/env perl

# What users read against what the sources say: each directive, variable and
# route has its block in docs/, and each block still has its subject.
#
#	docs/directives.md	a heading "## ctseg_store" with the lines
#				Syntax, Default and Context below it; a
#				heading or a row of a table for "$ctseg_run"
#	docs/api.md		a heading "### GET /partners/{id}"

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Source qw/ slurp code routes /;

chdir "$FindBin::Bin/.." or die;

my $module = slurp('ngx_http_ctseg_module.c');
my $reference = slurp('docs/directives.md');
my $api = slurp('docs/api.md');

# ---- directives ----

my %directive = map { $_ => 1 } code($module)
	=~ /\{\s*ngx_string\("(ctseg_\w+)"\)\s*,/g;
my %block;

my $heading = qr/^\#{2,4}\ +`?(ctseg_\w+)`?\ *\n/mx;

while ($reference =~ /$heading(.*?)(?=^\#{1,4}\ |\z)/gmsx)
{
	$block{$1} = $2;
}

ok(scalar keys %directive, 'there is a table of directives');
same('directives', \%directive, { map { $_ => 1 } keys %block });

for my $name (sort keys %block) {
	my @lack = grep { $block{$name} !~ /\b$_\b/i }
		qw/ syntax default context /;
	ok(!@lack, "$name: syntax, default and context")
		or diag("lacks @lack");
}

# ---- variables ----

my %variable = map { $_ => 1 } map { code(slurp($_))
	=~ /ngx_string\("(ctseg_\w+)"\)/g } glob('src/edge/*variables*.c');
my %described = map { $_ => 1 } $reference
	=~ /^(?:\#{2,4}\ +|\|\ *)`?\$(ctseg_\w+)/gmx;

ok(scalar keys %variable, 'there is a table of variables');
same('variables', \%variable, \%described);

# ---- routes ----

my %route = routes('.');
my %section;
for my $heading ($api =~ /^\#{2,4}\ +(.*)$/gmx) {
	$heading =~ tr/`//d;
	while ($heading =~ m{((?:[A-Z]+(?:,\s*|\s+))+)(/[^\s,]*)}g) {
		my ($methods, $path) = ($1, $2);
		$section{"$_ $path"} = 1 for $methods =~ /([A-Z]+)/g;
	}
}

ok(scalar keys %route, 'there is a table of routes');
same('routes', \%route, \%section);

# ---- the life of an export ----

my (%step, %told);
my $steps = code(slurp('src/model/ctseg_export.c'))
	=~ /ctseg_export_steps\[\]\ =\ \{(.*?)\n\};/sx ? $1 : '';
while ($steps =~ /\{\s*CTSEG_(\w+),\s*CTSEG_ON_(\w+),\s*CTSEG_(\w+),\s*
	CTSEG_(\w+),\s*CTSEG_(\w+),\s*(?:NULL|"([^"]*)")\s*\}/gx)
{
	my ($from, $event, $rule) = ($1, lc $2, $6 // '');
	$step{join ' ', $from, $event, (map { s/^EXPORT_NO$/-/r } $3, $4,
		$5), $rule} = 1;
}
while ($api =~ /^\|\ `([A-Z]+)`\ \|\ (start|finish|stop|edit)\ \|
	\ (\S+)\ \|\ (\S+)\ \|\ (\S+)\ \|\ (?:(.*?)\ )?\|$/gmx)
{
	my ($from, $event, $rule) = ($1, $2, $6 // '');
	$told{join ' ', $from, $event, (map { tr{`}{}dr =~ s/\xe2\x80\x93/-/r }
		$3, $4, $5), $rule} = 1;
}

ok(scalar keys %step, 'there is a table of transitions');
same('transitions', \%step, \%told);

# ---- what an answer means ----

my (@row, @told_row);
my $rows = code(slurp('src/segment/ctseg_answer.c'))
	=~ /ctseg_answers\[\]\ =\ \{(.*?)\n\};/sx ? $1 : '';
while ($rows =~ /\{\s*(\d+),\s*(\d+),\s*CTSEG_ANSWER_(\w+),\s*"([^"]*)"/g) {
	my $status = $1 == $2 ? $1 || 'none' : "$1-$2";
	push @row, join ' ', $status, lc $3, $4;
}
my $delivery = slurp('docs/delivery.md');
while ($delivery =~ /^\|\ (none|\d+(?:\xe2\x80\x93\d+)?)\ \|\ (\w+)\ \|
	\ (.*?)\ \|$/gmx)
{
	my ($status, $answer, $because) = ($1, $2, $3);
	push @told_row, join ' ', $status =~ s/\xe2\x80\x93/-/r, $answer,
		$because;
}

ok(scalar @row, 'there is a table of answers');
is_deeply(\@told_row, \@row, 'and the documentation has its rows');

# ---- metrics ----

my %metric;
for my $file (glob 'src/edge/*metrics*.c') {
	$metric{$_} = 1 for code(slurp($file)) =~ /"(ctseg_\w+)"/g;
}
if (%metric) {
	my $text = slurp('docs/metrics.md') . $reference . slurp('README.md');
	my @lack = grep { $text !~ /\b$_\b/ } sort keys %metric;
	ok(!@lack, 'metrics are described') or diag(join "\n", @lack);
}

# ---- places and links ----

for my $file ('README.md', glob('docs/*.md t/*.md')) {
	my $text = slurp($file);
	my @lines = split /\n/, $text;
	my @wrong;

	for my $i (0 .. $#lines) {
		push @wrong, $i + 1 . ": $&" if $lines[$i]
			=~ m{(?<![\w.])/(?:work|home|root|build|mnt)/\S*};
		while ($lines[$i] =~ /\]\(([^)\s]+)\)/g) {
			my $link = $1;
			next if $link =~ /^(?:https?:|mailto:|#)/;
			$link =~ s/#.*//;
			my ($dir) = $file =~ m{^(.*/)?};
			push @wrong, $i + 1 . ": no such file: $link"
				unless -e (($dir // '') . $link);
		}
	}

	ok($text ne '' && !@wrong, "$file names places that users have")
		or diag(map { "$file:$_\n" } @wrong);
}

done_testing;


sub same {
	my ($what, $source, $docs) = @_;
	my @lack = map { "only in the source: $_" }
		grep { !$docs->{$_} } sort keys %$source;
	my @extra = map { "only in the docs: $_" }
		grep { !$source->{$_} } sort keys %$docs;
	ok(!@lack && !@extra, "$what of the source are those of the docs")
		or diag(join "\n", @lack, @extra);
	return;
}
