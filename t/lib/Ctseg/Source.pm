package Ctseg::Source;

# What tests read out of the sources: texts without comments, and the table
# of routes of the API.

use strict;
use warnings;

use Exporter qw/ import /;

our @EXPORT_OK = qw/ slurp code routes /;

# the bytes of a file, '' if there is none

sub slurp {
	my ($file) = @_;
	open my $f, '<:raw', $file or return '';
	local $/;
	return <$f> // '';
}

# C without comments

sub code { return $_[0] =~ s{/\*.*?\*/}{}gsr }

# "GET /partners" => 1, ...; below the top of the tree

sub routes {
	my ($top) = @_;
	my %route;

	for my $file (glob "$top/src/edge/ngx_http_ctseg_api*.c") {
		my $code = code(slurp($file));
		while ($code =~ /\{\s*((?:NGX_HTTP_\w+\s*\|?\s*)+),\s*
			(?:ngx|ctseg)_string\("(\/[^"]*)"\)/gx)
		{
			my ($methods, $path) = ($1, $2);
			$route{"$_ $path"} = 1
				for grep { $_ ne 'HEAD' }
					$methods =~ /NGX_HTTP_(\w+)/g;
		}
	}
	return %route;
}

1;
