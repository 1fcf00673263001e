#!/usr/bin/env perl

# The dashboard with much to show, and in trouble: t/browser/screens.mjs, over
# a thousand exports, with a partner and an event whose names are markup.  What
# could fool it: screens that are empty, so it waits for rows on each.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Browser;
use Ctseg::Client qw/ http_json /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });

my $s = Ctseg::Segment->new(dir => $t->testdir, handler => sub {
	return $_[0]->{body} =~ /<b onclick/ ? { status => 400 } : undef;
});

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;
    ctseg_custom_events on;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/ {
            ctseg_dashboard;

            location /ctseg/api/ {
                ctseg_api write=on;
            }
        }

        location /reader/ {
            ctseg_dashboard;

            location /reader/api/ {
                ctseg_api;
            }
        }

        location = /segment {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment;
        ctseg_segment eu /segment;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

$api->upload($t->url(1, '/1/upload'), upload_body(60,
	names => [ 'App Launched', '<b onclick=alert(1)>bold</b>' ]));

my $p = $api->partner(nickname => '<img src=x onerror=alert(1)>');
my $e = $api->export($p, events => { set => 'all' });
my $done = $api->until($e, 'DONE', 60);
cmp_ok($done->{last_run}{rejected}, '>', 0, 'there is something to show');

# the others are older in the list only by their number

my $other = $api->partner(nickname => 'Acme');
for (1 .. 1010) {
	my $a = http_json('POST', $t->url(1, '/ctseg/api/exports'),
		{ partner_id => $_ % 5 ? $p : $other, frequency => {
			kind => 'recurring', every_hours => 24,
			start_date => '2027-01-01' } });
	die "$a->{status} $a->{body}" if $a->{status} != 201;
}

Ctseg::Browser->new($t->url(1, '/ctseg/'))->story('screens');

is_deeply([ $api->wrong ], [], 'all adds up');

$t->finish;
done_testing;
