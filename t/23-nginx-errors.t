#!/usr/bin/perl

# What nginx itself refuses in our locations, before our handlers are asked,
# reaches the client in the form it can read: CleverTap's fail body in a
# collect location, problem+json in the API.  Without the filter the tests
# would see nginx's HTML page.  An error_page of the operator stays theirs,
# and other locations keep nginx's pages.

use strict;
use warnings;

use FindBin qw($Bin);
use lib "$Bin/lib";
use Test::More;

use Ctseg::Client qw(http);
use Ctseg::Nginx;

my $t = Ctseg::Nginx->new->conf(<<'EOC')->run;
%%GLOBALS%%

events {
    worker_connections 256;
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;

    limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;
    limit_req_status 429;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_max_body_size 1k;

        location = /1/upload {
            ctseg_collect;
        }

        location = /limited {
            ctseg_collect;
            limit_req zone=one;
        }

        location = /own {
            ctseg_collect;
            error_page 413 /too-large.txt;
        }

        location = /account {
            if ($http_x_clevertap_passcode != "open sesame") {
                return 401;
            }

            ctseg_collect;
        }

        location = /marked {
            if ($arg_slow) {
                set $limit_rate 1k;
            }

            ctseg_collect;

            limit_except POST {
                deny all;
            }
        }

        location = /too-large.txt {
            return 413 "the operator's own\n";
        }

        location /api/ {
            ctseg_api write=on;
        }

        location /denied/ {
            ctseg_api write=on;
            deny all;
        }

        location /else {
            deny all;
        }
    }
}
EOC

my @json = ('Content-Type' => 'application/json');
my $large = '{"d":[' . ' ' x 2000 . ']}';

sub post {
	my ($path, $body, %headers) = @_;

	return http('POST', $t->url(0, $path), { @json, %headers }, $body);
}

my $r = post('/1/upload', $large);

is($r->{status}, 413, 'collect: a large body is refused');
is($r->{headers}{'content-type'}, 'application/json', '... in JSON');
is_deeply($r->{json}, { status => 'fail', error => 'Content Too Large',
	code => 413, detail => 'the body is larger than the 1024 bytes of '
	. 'client_max_body_size' }, '... with what and where');

$r = post('/1/upload', "7d0\r\n" . 'x' x 2000 . "\r\n0\r\n\r\n",
	'Transfer-Encoding' => 'chunked');

is($r->{status}, 413, 'collect: also in chunks');
is($r->{json}{code}, 413, '... in JSON');

$r = post('/limited', '{"d":[]}');

is($r->{status}, 200, 'collect: limit_req lets one through');

$r = post('/limited', '{"d":[]}');

is($r->{status}, 429, '... and the next one not');
is($r->{json}{status}, 'fail', '... in JSON');

$r = post('/account', '{"d":[]}');

is($r->{status}, 401, 'collect: return in an if');
is_deeply($r->{json}, { status => 'fail', error => 'Unauthorized',
	code => 401 }, '... in JSON');
is(post('/account', '{"d":[]}', 'X-CleverTap-Passcode' => 'open sesame')
	->{json}{status}, 'success', '... and past it');
is(post('/marked?slow=1', '{"d":[]}')->{json}{status}, 'success',
	'collect: inside of an if');
is(http('GET', $t->url(0, '/marked'))->{status}, 403,
	'collect: limit_except refuses');
is(post('/marked', '{"d":[]}')->{json}{status}, 'success',
	'... and lets through');

$r = post('/own', $large);

is($r->{status}, 413, 'an error_page');
is($r->{body}, "the operator's own\n", '... is left alone');

$r = post('/api/partners', $large);

is($r->{status}, 413, 'api: a large body is refused');
is($r->{headers}{'content-type'}, 'application/problem+json',
	'... as a problem');
is_deeply([ @{$r->{json}}{qw/ title status /} ], [ 'Content Too Large', 413 ],
	'... that says what');

$r = http('GET', $t->url(0, '/denied/partners'));

is($r->{status}, 403, 'api: an address that is not allowed');
is($r->{json}{detail}, 'access is denied by the configuration of nginx',
	'... is told who refuses it');

$r = http('HEAD', $t->url(0, '/denied/partners'));

is($r->{status}, 403, 'api: HEAD of the same');
is($r->{body}, '', '... has no body');

$r = http('GET', $t->url(0, '/else'));

is($r->{status}, 403, 'another location');
like($r->{body}, qr/<html>/, "... keeps nginx's page");

$t->finish;
done_testing();
