#!/usr/bin/env perl

# The variables of a delivery, where an operator uses them: in the access log
# of the location that reaches Segment, in its headers, in a map.  A delivery
# has no client and no socket, so nginx's own variables, too, must answer
# something there instead of crashing.  Retries tell whether a value belongs
# to this attempt or was kept from an earlier one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for http http_json json_decode /;
use Ctseg::Data qw/ upload_body upload_bodies /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 1);
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool  ctseg;

    log_format delivery  '$ctseg_export,$ctseg_run,$ctseg_batch_events,'
                         '$ctseg_attempt,$upstream_status,$request_time,'
                         '$upstream_response_time,$upstream_addr,'
                         '$remote_addr,$host,$uri,$request_method,'
                         '$request_length,$loud,$ctseg_collected';

    log_format many      '$binary_remote_addr$server_addr$server_port'
                         '$remote_port$request_id$connection$msec$args'
                         '$connection_requests$bytes_sent$body_bytes_sent'
                         '$tcpinfo_rtt$pipe$pid$hostname$http_user_agent'
                         '$http_authorization$remote_user$request$status'
                         '$server_protocol$scheme$server_name$https$is_args'
                         '$content_type$content_length$request_uri'
                         '$nginx_version'
                         '$document_root$request_filename$request_completion'
                         '$sent_http_content_type$cookie_a$arg_b$time_iso8601'
                         '$upstream_http_x_a$upstream_bytes_sent$proxy_host'
                         '$realpath_root$limit_rate$http_x_retry_count';

    log_format collected '$status,$ctseg_collected,$ctseg_export,$ctseg_run,'
                         '$ctseg_authorization';

    map $ctseg_attempt $loud {
        1        first;
        default  again;
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
            access_log %%TESTDIR%%/collect.log collected;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /plain {
            set $nothing $ctseg_export$ctseg_run$ctseg_attempt;
            return 200 "[$nothing$ctseg_collected$ctseg_authorization]";
        }

        location /segment/us {
            internal;
            log_subrequest    on;
            access_log        %%TESTDIR%%/delivery.log delivery;
            access_log        %%TESTDIR%%/many.log many;
            proxy_set_header  X-Events $ctseg_batch_events;
            proxy_set_header  X-Export $ctseg_export-$ctseg_run;
            proxy_pass        http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        # the header built by hand, and nothing else passed on

        location /segment/eu {
            internal;
            proxy_pass_request_headers  off;
            proxy_set_header            Content-Type application/json;
            proxy_set_header            Authorization $ctseg_authorization;
            proxy_pass                  http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000;
        ctseg_segment eu /segment/eu events=1000000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $upload = $t->url(1, '/1/upload');


# ---- collecting ----

$api->upload($upload, upload_bodies(3, 1000, ts => time));
http_json('POST', $upload, '{"d":[{}]}');
http_json('POST', $upload, '{');
wait_for { (my @l = lines('collect.log')) == 5 } 5, 'the log of collecting';
is_deeply([ lines('collect.log') ], [ ('200,1000,-,-,-') x 3, '200,0,-,-,-',
	'400,0,-,-,-' ], '$ctseg_collected counts, the others are empty');
is(http('GET', $t->url(1, '/plain'))->{body}, '[]',
	'elsewhere there is nothing');


# ---- delivering ----

$s->script({ status => 500 }, { status => 503 });
my $id = $api->export($api->partner(write_key => 'logged'));
my $e = $api->until($id, 'DONE');
my @batches = grep { ($_->{write_key} // '') eq 'logged' } $s->requests;
cmp_ok(scalar @batches, '>', 3, 'batches and retries');

wait_for { (my @l = lines('delivery.log')) == @batches } 5, 'the log';
my @log = map { [ split /,/ ] } lines('delivery.log');
is_deeply([ grep { $_->[0] ne $id || $_->[1] ne '1' } @log ], [],
	'$ctseg_export and $ctseg_run name the work');
is_deeply([ sort { $a <=> $b } map { $_->[2] } @log ],
	[ sort { $a <=> $b } map { $_->{events} } @batches ],
	'$ctseg_batch_events counts');
is_deeply([ sort map { "$_->[3] $_->[4]" } @log ], [ sort map {
	1 + ($_->{headers}{'x-retry-count'} // 0) . " $_->{status}" }
	@batches ], '$ctseg_attempt counts, $upstream_status answers');
is_deeply([ grep { $_->[13] ne ($_->[3] == 1 ? 'first' : 'again') } @log ],
	[], 'a map sees the attempt');
like(join("\n", map { join ',', @{$_}[5 .. 12] } @log), qr{
	\A (?:\d+\.\d\d\d,\d+\.\d\d\d,127\.0\.0\.1:${\$s->port},127\.0\.0\.1
	,[^,]*,/segment/us,POST,\d+\n?)+ \z}x, 'nginx\'s own variables too');
is_deeply([ grep { $_->[14] ne '-' } @log ], [], 'nothing was collected');
is(scalar(my @many = lines('many.log')), scalar @batches,
	'whatever variable is asked for, there is a line');

is_deeply([ grep { $_->{headers}{'x-events'} != $_->{events}
	|| $_->{headers}{'x-export'} ne "$id-1" } @batches ], [],
	'headers made of variables');
unlike($t->read_file('access.log'), qr/segment/,
	'the request behind a delivery is in no other log');


# ---- the key, which is in no log ----

my $secret = join '|', map { quotemeta }
	'logged', encode_base64('logged:', '') =~ s/=+$//r;
unlike(join("\n", grep { !/\[debug\]/ } split /\n/, $t->error_log),
	qr/$secret/, 'a write key is not in the error log');
like($t->error_log, qr/Segment's side answered 503/,
	'... which tells of the retries');
unlike($t->read_file($_), qr/$secret/, "... nor in $_")
	for qw/ delivery.log collect.log access.log /;


# ---- the header by hand ----

$id = $api->export($api->partner(write_key => 'byhand', region => 'eu'));
$api->until($id, 'DONE');
my @hand = grep { ($_->{write_key} // '') eq 'byhand' } $s->requests;
cmp_ok(scalar @hand, '>', 1, 'delivered without the headers of the module');
is_deeply([ grep { $_->{headers}{authorization} ne 'Basic '
	. encode_base64('byhand:', '') } @hand ], [],
	'$ctseg_authorization is the header');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');

$t->finish;
done_testing;


# ---- helpers ----

sub lines {
	my ($name) = @_;
	return split /\n/, $t->read_file($name);
}
