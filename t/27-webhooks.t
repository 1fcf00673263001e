#!/usr/bin/env perl

# Webhooks of campaigns, and bodies that come packed, from the side of who
# sends them to Segment's: what becomes of each member of a profile in both of
# its spellings, and who decides that a body is a webhook: the location, or
# with format=auto its looks.  What could fool it is a body that both take, so
# one is there that is refused in the other format.  A bomb must be refused
# without being unpacked, so it is larger than the location takes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Compress::Gzip ();
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http json_decode json_encode wait_for /;
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
    ctseg_custom_events on;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /auto {
            ctseg_collect;
        }

        location = /named {
            ctseg_collect 'event=Coupon "Sent"';
        }

        location = /webhook {
            ctseg_collect format=webhook;
        }

        location = /upload {
            ctseg_collect format=upload;
            client_body_buffer_size 1k;
            client_max_body_size 100k;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

sub post {
	my ($path, $body, %headers) = @_;
	$body = json_encode($body) if ref $body;
	return http('POST', $t->url(1, $path), {
		'Content-Type' => 'application/json', %headers }, $body);
}

sub gzip {
	my ($text) = @_;
	IO::Compress::Gzip::gzip(\$text, \my $gz) or die 'gzip';
	return $gz;
}

sub webhook {
	my ($n, %values) = @_;
	return { targetId => 1700000001, key_values => { n => $n, %values },
		profiles => [ { identity => "u$n", objectId => "_o$n",
		event_properties => { shade => 'blue' } } ] };
}

my $record = { type => 'event', identity => 'u1', evtName => 'App Launched',
	evtData => { n => 10 } };


# ---- whose body it is ----

is(post('/auto', webhook(1))->{body}, '{"status":"success","processed":1,'
	. "\"unprocessed\":[]}\n", 'a webhook by its looks');
is(post('/auto', { d => [ $record ] })->{json}{processed}, 1, 'an upload');
is(post('/webhook', webhook(2, event => 'Own Name'))->{json}{processed}, 1,
	'a webhook by its location');
is(post('/webhook', { d => [ $record ] })->{status}, 400,
	'... which takes no upload');
is(post('/upload', webhook(3))->{status}, 400,
	'... and that of uploads no webhook');
is(post('/named', webhook(4, event => 'Own Name'))->{json}{processed}, 1,
	'the location names it');

my $both = webhook(5);
$both->{profiles} = { Identity => 'u5', Event_properties => {} };
is(post('/auto', $both)->{json}{processed}, 1, 'a profile of its own');

my $bad = webhook(6);
push @{$bad->{profiles}}, { name => 'Nobody' };
my $r = post('/auto', $bad);
is_deeply([ $r->{status}, @{$r->{json}}{qw/ status processed / },
	$r->{json}{unprocessed}[0]{code} ], [ 200, 'partial', 1, 523 ],
	'a profile without an identity');
is(post('/auto?dryRun=1', webhook(7))->{json}{processed}, 1, 'a dry run');


# ---- all that a profile may have, in both spellings ----

# CleverTap writes its keys in two ways, and one profile alone without a list;
# the name is told by the body, by the location, or by nobody

my @values = (identity => 'ann', objectId => '_dev', email => 'a@b.c',
	phone => '+4912345', all_identities => [ 'other', 'ann' ],
	name => 'Ann', systemProfileData => { os => 'x' },
	profileData => { n => 'no', shade => 'no' }, push_token => 't',
	session_props => { utm_source => 'no' }, event_properties => {
	shade => 'blue', when => '$D_1767323045', deep => { a => [
	'$D_631152000', 'not $D_1' ] } });
my %profile = @values;
my %other = map { ucfirst($_) => $profile{$_} } keys %profile;
my $k = 600;
my %name;
for my $case ([ '/webhook', 'Own Name', { event => 'Own Name' } ],
	[ '/auto', 'Webhook Delivered', {} ],
	[ '/named', 'Coupon "Sent"', { event => 'Own Name' } ])
{
	my ($path, $name, $values) = @$case;
	for my $way ([ 'one', \%profile ], [ 'one, spelt otherwise', \%other ],
		[ 'a list', [ \%profile ] ],
		[ 'a list, spelt otherwise', [ \%other ] ])
	{
		$name{++$k} = $name;
		is(post($path, { targetId => 17, profiles => $way->[1],
			key_values => { n => $k, till => '$D_0', %$values }
			})->{json}{processed}, 1, "$name for $way->[0]");
	}
}
for my $key ('all_identities', 'All_identities') {
	is(post('/webhook', { profiles => { $key => $profile{all_identities} },
		key_values => { n => ++$k } })->{json}{processed}, 1,
		"no identity but those of $key");
}


# ---- packed ----

my %gzip = ('Content-Encoding' => 'gzip');
my @many = map { { %$record, evtData => { n => $_ } } } 100 .. 599;

for my $way ([ '/auto', { d => [ @many[0 .. 99] ] } ],
	[ '/auto', webhook(8) ], [ '/upload', { d => [ @many[100 .. 499] ] } ])
{
	my ($path, $body) = @$way;
	$r = post($path, gzip(json_encode($body)), %gzip);
	is("$r->{status} $r->{json}{status}", '200 success',
		"a packed body for $path");
}
$r = post('/auto', gzip('{"d":[]}'), 'Content-Encoding' => 'X-GZIP');
is($r->{status}, 200, 'by its other name');

$r = post('/auto', '{"d":[]}', %gzip);
is("$r->{status} $r->{json}{error}", '400 Malformed request',
	'a plain one that says it is packed');
$r = post('/auto', substr(gzip(json_encode(webhook(9))), 0, -3), %gzip);
is($r->{status}, 400, 'one that is cut off');
$r = post('/auto', gzip('{"d":['), %gzip);
like($r->{json}{detail}, qr/ at byte 6$/, 'places count in what it holds');

my $bomb = gzip('{"d":[' . ' ' x 50_000_000 . ']}');
cmp_ok(length $bomb, '<', 60_000, 'a bomb');
$r = post('/upload', $bomb, %gzip);
is("$r->{status} $r->{json}{error}", '413 Content Too Large',
	'... is too large for its location');


# ---- what Segment sees ----

my $id = $api->export($api->partner(write_key => 'all'), events => {
	set => 'all' });
$api->until($id, 'DONE');
my %n = map { $_->{properties}{n} => $_ } map { @{json_decode($s->body($_))
	->{batch}} } grep { $_->{write_key} eq 'all' } $s->requests;
is_deeply([ sort { $a <=> $b } keys %n ], [ 1, 2, 4, 5, 6, 8, 10,
	100 .. 599, 601 .. 614 ], 'all that was taken');
is_deeply({ map { $_ => $n{$_}{event} } 1, 2, 4 }, { 1 => 'Webhook Delivered',
	2 => 'Own Name', 4 => 'Coupon "Sent"' }, 'names of webhooks');
is_deeply($n{1}{properties}, { n => 1, shade => 'blue',
	'Campaign id' => 1700000001 }, 'properties');
is_deeply([ @{$n{1}}{qw/ userId anonymousId / } ], [ 'u1', '_o1' ],
	'identities');
is($n{5}{userId}, 'u5', '... in the other spelling');

is_deeply({ map { $_ => $n{$_}{event} } keys %name }, \%name,
	'names, however a profile is spelt');
is_deeply({ map { $_ => $n{$_}{properties} } keys %name }, { map { $_ => {
	n => $_, 'Campaign id' => 17, till => '1970-01-01T00:00:00.000Z',
	shade => 'blue', when => '2026-01-02T03:04:05.000Z', deep => { a => [
	'1990-01-01T00:00:00.000Z', 'not $D_1' ] } } } keys %name },
	'... properties, in which dates are dates');
is_deeply([ map { "$n{$_}{userId} $n{$_}{anonymousId}" } sort keys %name ],
	[ ('ann _dev') x 12 ], '... identities');
is_deeply([ map { $n{$_}{userId} } 613, 614 ], [ 'other', 'other' ],
	'... the first of all of them, if there is no other');

for my $field ([ email => 'a@b.c' ], [ phone => '+4912345' ]) {
	my ($key, $value) = @$field;
	$api->until($api->export($api->partner(write_key => $key,
		user_id => $key), events => { set => 'all' }, frequency => {
		kind => 'one_time', range => 'last_7_days' }), 'DONE');
	my %user = map { $_->{properties}{n} => $_->{userId} } map {
		@{json_decode($s->body($_))->{batch}} } grep {
		$_->{write_key} eq $key } $s->requests;
	is_deeply([ map { $user{$_} } sort keys %name ], [ ($value) x 12 ],
		"... and $key");
}

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;
