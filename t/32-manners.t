#!/usr/bin/env perl

# Manners of the management API that every client relies on: a POST that is
# sent again under its Idempotency-Key is not done again; a page of another
# site cannot write with its visitor's credentials; the list of exports is
# filtered, and every wrong value of a query is named.  What could fool it:
# an answer that only looks replayed, so the number of partners is counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
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

sub send_to {
	my ($method, $path, $data, %headers) = @_;
	return $api->call($method, $path, $data, \%headers);
}

sub partners { return $api->get('/partners')->{json}{total} }

# ---- Idempotency-Key ----

my %p = (nickname => 'once', write_key => 'k1');
my %key = ('Idempotency-Key' => 'a key with spaces, and "quotes"');

my $first = send_to('POST', '/partners', \%p, %key);
is($first->{status}, 201, 'a partner is created under a key');
my $again = send_to('POST', '/partners', \%p, %key);
is($again->{status}, 201, '... and the same answered again');
is($again->{body}, $first->{body}, '... to the byte');
is($again->{headers}{location}, $first->{headers}{location},
	'... with its location');
is($again->{headers}{etag}, $first->{headers}{etag}, '... and its ETag');
is(partners(), 1, '... and created once');

my $r = send_to('POST', '/partners', { %p, nickname => 'other' }, %key);
is($r->{status}, 422, 'the key with another body');
is(partners(), 1, '... creates nothing');

my %bad = (nickname => '', write_key => 'k');
%key = ('Idempotency-Key' => 'mended');
is(send_to('POST', '/partners', \%bad, %key)->{status}, 422,
	'a wrong request under a key');
is(send_to('POST', '/partners', { %p, nickname => 'mended' }, %key)
	->{status}, 201, '... is mended under the same key');
is(partners(), 2, '... and done');

my $id = $first->{json}{id};
my %export = (partner_id => $id, frequency => { kind => 'one_time',
	range => 'today' });
%key = ('Idempotency-Key' => 'mended');
my $e = send_to('POST', '/exports', \%export, %key);
is($e->{status}, 201, 'the key on another path is another key');
is(send_to('POST', '/exports', \%export, %key)->{json}{id}, $e->{json}{id},
	'... and replays an export');
is($api->get('/exports')->{json}{total}, 1, '... of which there is one');

$t->reload;
is(send_to('POST', '/exports', \%export, %key)->{json}{id}, $e->{json}{id},
	'... also after a reload');

# ---- other sites ----

for (
	[ { 'Sec-Fetch-Site' => 'cross-site' }, 403, 'cross-site' ],
	[ { 'Sec-Fetch-Site' => 'same-site' }, 403, 'same-site' ],
	[ { 'Sec-Fetch-Site' => 'same-origin' }, 200, 'same-origin' ],
	[ { 'Sec-Fetch-Site' => 'none' }, 200, 'none' ],
	[ { Origin => 'http://evil.example' }, 403, 'another Origin' ],
	[ { Origin => 'null' }, 403, 'Origin: null' ],
	[ { Origin => 'http://127.0.0.1:' . $t->port(1) }, 200,
		'our own Origin' ])
{
	my ($headers, $status, $what) = @$_;
	is(send_to('PATCH', "/partners/$id", { region => 'us' }, %$headers)
		->{status}, $status, "a write from $what: $status");
	is(send_to('GET', '/partners', undef, %$headers)->{status}, 200,
		'... and reading is not forbidden');
}

# ---- filters ----

my $other = $api->post('/partners', { nickname => 'two', write_key => 'k2' })
	->{json}{id};
my %made;
for (
	[ live => $id, { kind => 'live' } ],
	[ slots => $other, { kind => 'recurring', every_hours => 6,
		start_date => '2099-01-01' } ],
	[ soon => $other, { kind => 'recurring', every_hours => 24 } ])
{
	my ($name, $partner, $frequency) = @$_;
	my $a = send_to('POST', '/exports', { partner_id => $partner,
		frequency => $frequency });
	$made{$name} = $a->{json}{id} if $a->{status} == 201;
	is($a->{status}, $name eq 'slots' ? 422 : 201, "$name: created")
		or diag $a->{body};
}
$made{done} = $e->{json}{id};
wait_for { $api->show($made{done})->{status} eq 'DONE'
	&& $api->show($made{live})->{status} eq 'RUNNING'
	&& $api->show($made{soon})->{status} eq 'PENDING'
	&& $api->show($made{soon})->{last_run} } 10, 'the exports';

my %name = reverse %made;
my $today = $api->show($made{done})->{exported_on};

for (
	[ '', 'done live soon' ],
	[ "partner=$id", 'done live' ],
	[ "partner=$id,$other", 'done live soon' ],
	[ "partner=$id&partner=$other", 'done live soon' ],
	[ 'partner=nobody', '' ],
	[ 'status=DONE', 'done' ],
	[ 'status=RUNNING%2CPENDING', 'live soon' ],
	[ 'frequency=live', 'live' ],
	[ 'frequency=one_time&frequency=recurring', 'done soon' ],
	[ 'type=event&format=json', 'done live soon' ],
	[ 'type=profile', '' ],
	[ "exported_from=$today", 'done live soon' ],
	[ "exported_to=$today&status=DONE", 'done' ],
	[ 'exported_from=2099-01-01', '' ],
	[ "partner=$id&status=DONE,RUNNING&frequency=live", 'live' ])
{
	my ($query, $names) = @$_;
	my $a = $api->get("/exports?$query");
	is(join(' ', sort map { $name{$_->{id}} } @{$a->{json}{items}}),
		$names, "list: $query");
	is($a->{json}{total}, scalar(split ' ', $names), '... with its total');
}

for (
	[ 'status=done', 'status' ],
	[ 'frequency=hourly', 'frequency' ],
	[ 'type=events', 'type' ],
	[ 'format=csv', 'format' ],
	[ 'exported_from=yesterday', 'exported_from' ],
	[ 'per_page=25', 'per_page' ],
	[ 'page=0', 'page' ],
	[ 'sort=name', 'sort' ])
{
	my ($query, $field) = @$_;
	my $a = $api->get("/exports?$query");
	is($a->{status}, 400, "list: $query is refused");
	is($a->{json}{errors}[0]{field}, $field, '... by name');
}

is_deeply([ $api->wrong ], [], 'every answer adds up');

$t->finish;
done_testing;
