#!/usr/bin/perl

# The config script must say which library or feature is missing, in words
# that tell what to install: a newcomer sees nothing else of the build.  A
# compiler that fails on one library's probe stands in for a machine without
# that library.  The rest of configure runs as it is, so a probe that was
# never made would let configure succeed, and the test fail.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $top = abs_path(dirname(__FILE__) . '/..');
my $src = $ENV{NGINX_SRC} || '/usr/share/nginx/src';
my $dir = tempdir('ctseg-XXXXXX', TMPDIR => 1, CLEANUP => 1);

plan tests => 14;

sub configure {
	my ($broken, @options) = @_;
	my $cc = "$dir/cc";

	open my $fh, '>', $cc or die "$cc: $!";
	print $fh <<"END";
#!/bin/sh
for a in "\$\@"; do
    case "\$a" in
        *autotest.c)
            if grep -q '$broken' "\$a"; then exit 1; fi ;;
    esac
done
exec gcc "\$\@"
END
	close $fh or die "$cc: $!";
	chmod 0755, $cc or die "$cc: $!";

	my $out = qx{cd '$src' && CC='$cc' ./configure @options \\
		--add-dynamic-module='$top' --builddir='$dir/b' 2>&1};

	return ($?, $out);
}

my @compat = ('--with-compat', '--with-threads', '--without-pcre',
	'--without-http_rewrite_module', '--without-http_gzip_module');

my ($code, $out) = configure('nothing that exists', @compat);

is($code, 0, 'with everything there configure succeeds')
	or diag($out);
like($out, qr/yajl library .* found/, 'and has looked for the libraries');

for (
	['lmdb.h', 'the LMDB library', 'liblmdb-dev'],
	['yajl_parse.h', 'the yajl 2 library', 'libyajl-dev'],
	['curl.h', 'the curl library', 'libcurl4-openssl-dev'],
	['evp.h', "OpenSSL's crypto library", 'libssl-dev'],
	['zlib.h', 'the zlib library', 'zlib1g-dev'])
{
	my ($header, $what, $package) = @$_;

	($code, $out) = configure($header, @compat);

	isnt($code, 0, "without $what configure fails");
	like($out, qr/error: .* needs \Q$what\E\n.*\Q$package\E/,
		"and names $package");
}

($code, $out) = configure('nothing that exists',
	grep { $_ ne '--with-threads' } @compat);

isnt($code, 0, 'without threads configure fails');
like($out, qr/error: .* thread pools\n.*--with-threads/,
	'and names the option');
