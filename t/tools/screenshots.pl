#!/usr/bin/env perl

# make screenshots: a server with some days of work behind it, and pictures of
# each screen of its dashboard in the directory that is named.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Browser;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my ($dir) = @ARGV;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir, handler => sub {
	my ($r) = @_;
	return { status => 401 } if ($r->{write_key} // '') =~ /^old/;
	return { status => 400 } if $r->{body} =~ /"App Uninstalled"/;
	return undef;
});

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;

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

        location = /segment {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment events=400;
        ctseg_segment eu /segment events=400;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my @upload = map { upload_body(1000, pad => 100, names => [ 'App Launched',
	'Notification Clicked', 'Charged', 'UTM Visited' ]) } 1 .. 20;
$api->upload($t->url(1, '/1/upload'), @upload[0 .. 2], upload_body(4,
	names => [ 'App Uninstalled' ]));

my $main = $api->partner(nickname => 'CleverTap_Prod',
	write_key => 'AbCdEfGhIjKlMn7Q');
my $eu = $api->partner(nickname => 'CleverTap_Prod_EU', region => 'eu',
	write_key => 'AbCdEfGhIjKlMn3x');
my $old = $api->partner(nickname => 'Warehouse (old key)',
	write_key => 'oldEfGhIjKlMn3zz');

my $first = $api->export($eu, events => { set => 'selected',
	names => [ 'App Uninstalled', 'App Launched',
		'Notification Clicked' ] },
	frequency => { kind => 'one_time', range => 'today' });
$api->until($first, 'DONE', 90);

my $stop = $api->export($main, frequency => { kind => 'live' });
$api->until($stop, 'RUNNING');
$api->post("/exports/$stop/stop");
$api->export($main, events => { set => 'engagement' }, frequency => {
	kind => 'recurring', every_hours => 4 });
$api->export($eu, type => 'profile', frequency => { kind => 'recurring',
	every_hours => 24 });
$api->export($old, frequency => { kind => 'one_time', range => 'yesterday' });
$api->export($main, frequency => { kind => 'live' });
$api->export($old, frequency => { kind => 'one_time', range => 'today' });
$api->export($main);
$api->upload($t->url(1, '/1/upload'), @upload[3 .. 19]);

Ctseg::Browser->new($t->url(1, '/ctseg/'))->story('shots', $dir);

$t->finish;
done_testing;
