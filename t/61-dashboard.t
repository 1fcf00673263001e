#!/usr/bin/env perl

# The dashboard in a browser, as an operator uses it, against the real module
# and Segment's side.  The story itself is t/browser/manage.mjs.  What could
# fool it: a page that shows what it sent and not what is so; hence exports are
# asked for here as well, at the end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;

use Ctseg::Api;
use Ctseg::Browser;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });

# a batch with one bad event is refused as a whole, and halved

my $s = Ctseg::Segment->new(dir => $t->testdir, handler => sub {
	return $_[0]->{body} =~ /"App Uninstalled"/ ? { status => 400 }
		: undef;
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

        ctseg_segment us /segment;
        ctseg_segment eu /segment;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

$api->upload($t->url(1, '/1/upload'),
	upload_body(60, names => [ 'App Launched', 'Notification Sent' ]),
	upload_body(3, names => [ 'App Uninstalled' ]));

my $b = Ctseg::Browser->new($t->url(1, '/ctseg/'));
$b->story('manage', '/1/upload');

my %status = map { ($_->{type} eq 'profile' ? 'profile'
	: $_->{frequency}{kind}) => $_ }
	@{$api->get('/exports')->{json}{items}};
is($status{$_->[0]}{status}, $_->[1], "$_->[0]: $_->[1]")
	for [ one_time => 'DONE' ], [ recurring => 'STOPPED' ],
		[ live => 'RUNNING' ];
is_deeply($status{one_time}{identifier_priority}, [ 'email', 'identity' ],
	'the priority arrived');
is($status{recurring}{frequency}{every_hours}, 12, 'and so did the edit');
is_deeply($status{recurring}{mapping}, { context => JSON::PP::false,
	names => 'original', integrations => undef, future => 'clamp' },
	'... of one option');
is_deeply($status{one_time}{mapping}, { context => JSON::PP::true,
	names => 'canonical', integrations => { All => JSON::PP::false,
		'<i>x</i>' => { a => [ 1 ] } }, future => 'reject' },
	'all options arrived');
is($status{profile}{frequency}{every_hours}, 24, 'profiles go out daily');
is($api->get('/partners')->{json}{total}, 1, 'one partner');
is_deeply([ $api->wrong ], [], 'all adds up');

$api->post("/exports/$status{live}{id}/stop");
$t->finish;
done_testing;
