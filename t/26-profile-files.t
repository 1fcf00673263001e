#!/usr/bin/env perl

# Export files of profiles: lines in each of the forms that are documented
# become profiles, in the same file as lines that are events, and are sent as
# identify messages.  Lines that are neither are told by their number.  What
# could fool it: an event whose line tells of its user as well is an event and
# nothing else, so there is one; and a file that is sent again would double
# all of it, so it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http_json wait_for /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

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

        location /files/ {
            ctseg_collect format=file;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $partner = $api->post('/partners', { nickname => 'p',
	write_key => 'key' })->{json}{id};
my $live = $api->post('/exports', { partner_id => $partner,
	type => 'profile', frequency => { kind => 'live' } })->{json}{id};
wait_for { $api->show($live)->{status} eq 'RUNNING' } 10, 'RUNNING';

my @lines = (
	'{"type":"profile","identity":"a","profileData":{"plan":"gold"}}',
	'{"profile":{"identity":"b","objectId":"d","email":"b@example.com",'
		. '"name":"Bo","profileData":{"x":{"$set":["y"]}}},'
		. '"ts":20260102030405}',
	'{"identity":"c","phone":"+15550100","name":"Cy","profileData":{},'
		. '"ts":1767323045}',
	'{"profile":{"identity":"e","profileData":{"no":1}},'
		. '"eventName":"App Launched","ts":1767323045}',
	'{"profileData":{"plan":"gold"}}',
	'{"identity":"f","profileData":7}',
	'{"identity":"g"}',
	'{"identity":"h","name":"Mine","profileData":{"name":"Other"},'
		. '"ts":1767323045}',
);

for my $time (1, 2) {
	my $r = http_json('POST', $t->url(1, '/files/x.json'),
		join "\n", @lines);
	is($r->{status}, 200, "sent, time $time");
	is_deeply([ @{$r->{json}}{qw/ status processed failed lines /} ],
		[ 'partial', 5, 3, 8 ], '... each line has its verdict');
	is_deeply([ map { $_->{line} } @{$r->{json}{unprocessed}} ],
		[ 5, 6, 7 ], '... by its number');
}

wait_for { $s->count_unique == 4 } 10, 'the profiles';
my %got = map { $s->body($_) =~ /"batch":/ ? map { /"userId":"(.)"/
	? ($1 => $_) : () } split /(?=\{"type")/, $s->body($_) : () }
	$s->requests;

like($got{a}, qr/"traits":\{"plan":"gold"\}/, 'of an upload record');
like($got{b}, qr/"anonymousId":"d","timestamp":"2026-01-02T03:04:05.000Z"
	,"traits":\{"name":"Bo","x":\["y"\],"email":"b\@example.com"\}/x,
	'of a profile with facts beside its data');
like($got{c}, qr/"timestamp":"2026-01-02T03:04:05.000Z","traits":
	\{"name":"Cy","phone":"\+15550100"\}/x, 'of a flat one');
like($got{h}, qr/"traits":\{"name":"Other"\}/, 'its own name counts');
ok(!$got{e}, 'an event is no profile');

$api->post("/exports/$live/stop");
is_deeply([ $s->violations ], [], 'Segment found nothing wrong');
is_deeply([ $api->wrong ], [], 'every answer was as the API says');
$t->finish;
done_testing;
