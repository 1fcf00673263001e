#!/usr/bin/env perl

# The dashboard as bytes: what a browser is given, under which names, and what
# it is told about them.  Every name in the page must lead to a file, below
# whatever prefix, and nothing may lead elsewhere.  What could fool it: a page
# that names nothing, so the number of names is looked at; and answers that
# nginx itself gives, which is why headers are compared as a whole.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Uncompress::Gunzip ();
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use Ctseg::Client qw/ http /;
use Ctseg::Nginx;

my $t = Ctseg::Nginx->new;

$t->write_file('users', "ann:{PLAIN}secret\n");
$t->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=8m state=8m;
    ctseg_thread_pool ctseg;

    gzip on;
    gzip_types *;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ctseg/ {
            ctseg_dashboard;

            location /ctseg/api/ {
                ctseg_api write=on;
            }
        }

        location /bare {
            ctseg_dashboard api=/ctseg/api/;
        }

        location /private/ {
            auth_basic ctseg;
            auth_basic_user_file %%TESTDIR%%/users;
            ctseg_dashboard api=../ctseg/api/;
        }

        # as a proxy in front has it

        location /a/b/ {
            proxy_pass http://127.0.0.1:%%PORT_1%%/ctseg/;
        }

        location /c/ {
            proxy_pass http://127.0.0.1:%%PORT_1%%/;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location / {
            ctseg_dashboard;
        }
    }
}

EOC

my $page = get('/ctseg/');
is($page->{status}, 200, 'the page');
is($page->{headers}{'content-type'}, 'text/html; charset=utf-8', 'is HTML');
is($page->{headers}{'cache-control'}, 'private, no-cache',
	'is asked for again');

# ---- what it says to a browser ----

my %csp = map { /^(\S+)\s*(.*)$/ } split /;\s*/,
	$page->{headers}{'content-security-policy'};
is($csp{'default-src'}, q{'none'}, 'nothing is allowed');
is($csp{$_}, q{'self'}, "but $_ from here")
	for qw/ script-src style-src connect-src img-src /;
is($csp{$_}, q{'none'}, "$_ is not")
	for qw/ base-uri form-action frame-ancestors trusted-types /;
is($csp{'require-trusted-types-for'}, q{'script'}, 'text becomes no markup');
is(scalar keys %csp, 10, 'that is all of the policy');
unlike($page->{headers}{'content-security-policy'}, qr/unsafe|\*|http/,
	'... and no exception');
is($page->{headers}{'x-content-type-options'}, 'nosniff', 'types are true');
is($page->{headers}{'referrer-policy'}, 'same-origin', 'nobody is told');
is($page->{headers}{"cross-origin-$_-policy"}, 'same-origin',
	"no other page has it as $_") for qw/ opener resource /;

# ---- what it is made of ----

my @names = $page->{body} =~ /\s(?:src|href)="([^"#]+)"/g;
cmp_ok(scalar @names, '>=', 3, 'the page has parts');
is_deeply([ grep { m{^/|//|\.\.} } @names ], [], 'with relative addresses');
unlike($page->{body}, qr{<style|\sstyle=|\son\w+=|https?://|\@[A-Z]+\@},
	'nothing inline, nothing from elsewhere, nothing left to fill in');
like($page->{body}, qr/<meta name="ctseg-api" content="api\/">/,
	'it knows its API');

my %type = (js => 'text/javascript; charset=utf-8',
	css => 'text/css; charset=utf-8', svg => 'image/svg+xml');
my $weight = length packed('/ctseg/')->{body};
my %seen;

for my $name (grep { !$seen{$_}++ } @names) {
	my $a = get("/ctseg/$name");
	my ($dir, $ext) = $name =~ m{^(.*/)[^/]+\.(\w+)$};
	is("$a->{status} $a->{headers}{'content-type'}", "200 $type{$ext}",
		$name);
	is($a->{headers}{'cache-control'},
		'private, max-age=31536000, immutable', '... is kept');
	is($a->{headers}{'content-encoding'}, undef, '... is plain');
	is($a->{headers}{vary}, 'Accept-Encoding', '... and may not be');

	my $gz = packed("/ctseg/$name");
	is($gz->{headers}{'content-encoding'}, 'gzip', '... packed');
	is(inflated($gz), $a->{body}, '... it is the same');
	isnt($gz->{headers}{etag}, $a->{headers}{etag},
		'... under another tag');
	$weight += length $gz->{body};
	unlike($a->{body}, qr{\b(?:innerHTML|outerHTML|insertAdjacentHTML
		|setHTML|createContextualFragment|parseFromString|srcdoc
		|document\.write|eval\(|new\ Function|https?://(?!www\.w3\.org
		/2000/svg))}x, '... text is never markup');

	# what modules name is a file, and the page has it fetched early

	while ($a->{body} =~ /^(?:import|export)\b[^;]*?from '\.\/([^']+)'/mg)
	{
		my $other = "$dir$1";
		ok((grep { $_ eq $other } @names),
			"$name: $other is preloaded");
	}
}

cmp_ok($weight, '<', 50_000, "the whole page has $weight bytes");
diag("the page has $weight bytes");

# ---- asked for again ----

for my $path ('/ctseg/', "/ctseg/$names[0]") {
	for my $h ({}, { 'Accept-Encoding' => 'gzip' }) {
		my $a = get($path, %$h);
		my $again = get($path, %$h,
			'If-None-Match' => $a->{headers}{etag});
		is("$again->{status} $again->{body}", '304 ',
			"$path again is 304");
		is($again->{headers}{etag}, $a->{headers}{etag},
			'... with its tag');
		is(get($path, %$h, 'If-None-Match' => '"x"')->{status}, 200,
			'... another tag');
	}

	my $head = http('HEAD', $t->url(1, $path));
	is("$head->{status} $head->{body}", '200 ', 'HEAD');
	is($head->{headers}{'content-length'}, length get($path)->{body},
		'... has the length');
}

for my $case ([ 'gzip', 1 ], [ 'deflate, gzip;q=0.5', 1 ], [ '*', 1 ],
	[ 'GZIP', 1 ], [ 'gzip;q=0', 0 ], [ 'gzip; q=0.000, br', 0 ],
	[ 'br', 0 ], [ 'gzipped', 0 ], [ '', 0 ], [ ',,', 0 ],
	[ 'gzip;q=1.0, *;q=0', 1 ])
{
	my ($accept, $gzip) = @$case;
	my $a = get('/ctseg/', 'Accept-Encoding' => $accept);
	is($a->{headers}{'content-encoding'} // '', $gzip ? 'gzip' : '',
		"Accept-Encoding: $accept");
}

# ---- where it lies ----

is(get('/ctseg')->{status}, 301, 'without the slash');
like(get('/ctseg?a=b')->{headers}{location}, qr{^http://\S+/ctseg/\?a=b$},
	'... it is sent on');
is(get('/bare')->{headers}{location}, 'bare/', 'also with a bare location');
is(get('/bare?x')->{headers}{location}, 'bare/?x', '... with the query');
is(get('/bare/')->{status}, 200, '... there it is');
is(get('/barefoot')->{status}, 404, '... and nowhere else');
is(get("/bare/$names[0]")->{status}, 200, '... with its parts');
like(get('/bare/')->{body}, qr{content="/ctseg/api/"}, '... and its API');
is(get('/c/bare')->{headers}{location}, 'bare/', 'behind another prefix');

for my $prefix ('/a/b/', '/c/ctseg/') {
	is(get($prefix)->{status}, 200, "the page below $prefix");
	is_deeply([ grep { get("$prefix$_")->{status} != 200 } @names ], [],
		'... with its parts');
	is(get("${prefix}api/status")->{status}, 200, '... and its API');
}

is(http('GET', $t->url(2, '/'))->{body}, $page->{body},
	'a server of its own');
is(http('GET', $t->url(2, "/$names[0]"))->{status}, 200, '... with its parts');

# ---- who may ----

is(get('/private/')->{status}, 401, 'auth_basic asks');
my %ann = (Authorization => 'Basic ' . encode_base64('ann:secret', ''));
is(get('/private/', %ann)->{status}, 200, '... and lets in');
is(get("/private/$names[0]")->{status}, 401, '... parts as well');
is(get("/private/$names[0]", %ann)->{status}, 200, '... with a password');

# ---- what is not there ----

for my $path ('index.html', 'main.js', '0000000000000000/main.js',
	$names[0] =~ s{/.*}{}r, $names[0] =~ s{[^/]+$}{}r,
	$names[0] =~ s{[^/]+$}{../index.html}r, "$names[0]/", "$names[0]x")
{
	is(get("/ctseg/$path")->{status}, 404, "no $path")
		unless $path =~ /\.\./;
}
my $post = http('POST', $t->url(1, '/ctseg/'), {}, 'x');
is("$post->{status} $post->{headers}{allow}", '405 GET, HEAD', 'no POST');

$t->finish;
done_testing;


sub get {
	my ($path, %headers) = @_;
	return http('GET', $t->url(1, $path), \%headers);
}

sub packed {
	my ($path) = @_;
	return get($path, 'Accept-Encoding' => 'gzip');
}

sub inflated {
	my ($answer) = @_;
	my $in = $answer->{body};
	IO::Uncompress::Gunzip::gunzip(\$in => \my $out)
		or return "no gzip: $IO::Uncompress::Gunzip::GunzipError";
	return $out;
}
