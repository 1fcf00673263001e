#!/usr/bin/env perl

# Events that are dated ahead of their arrival, by a device whose clock is
# wrong: as the option says they go out as they are, at the time of their
# arrival, or not at all, and then they are listed with their reason.  Up to 24
# hours ahead nothing is changed, and what arrives late never is.  What could
# fool it: an export that takes none of them, so each event is counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Clock;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
$clock->set('2026-01-03T10:00:00Z');
my $t = Ctseg::Nginx->new(workers => 1, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
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

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my @options = qw/ keep clamp reject /;

my %live = map { ($_ => $api->export($api->partner(write_key => "key-$_"),
	events => { set => 'system' }, frequency => { kind => 'live' },
	mapping => { future => $_ })) } @options;
my %profiles = map { ($_ => $api->export($api->partner(
	write_key => "profiles-$_"), type => 'profile',
	frequency => { kind => 'live' }, mapping => { future => $_ })) }
	@options;

# 2026-01-03T10:00:00Z is 1767434400

my $now = 1767434400;
my %at = (late => $now - 40 * 86400, ahead => $now + 23 * 3600,
	wrong => $now + 25 * 3600, '2100' => 4102444800);

$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map {
	qq({"identity":"u-$_","type":"event","evtName":"App Launched",)
	. qq("ts":$at{$_},"evtData":{"what":"$_"}},)
	. qq({"identity":"u-$_","type":"profile","ts":$at{$_},)
	. qq("profileData":{"what":"$_"}})
	} sort keys %at) . ']}');

my %same = (late => '2025-11-24T10:00:00.000Z',
	ahead => '2026-01-04T09:00:00.000Z');
my %far = (wrong => '2026-01-04T11:00:00.000Z',
	'2100' => '2100-01-01T00:00:00.000Z');

# the times at Segment's side of what went out with a write key

sub when_sent {
	my ($key) = @_;
	my %out;
	for my $batch ($s->batches) {
		next if $batch->{body} !~ /"writeKey":"\Q$key\E"/;
		while ($batch->{body} =~ /"userId":"u-(\w+)".*?
			"timestamp":"([^"]+)"/gx) {
			$out{$1} = $2;
		}
	}
	return \%out;
}

for my $case ([ 'events', 'key', \%live ],
	[ 'profiles', 'profiles', \%profiles ])
{
	my ($what, $key, $export) = @$case;

	for my $option (@options) {
		my $sent = $option eq 'reject' ? 2 : 4;
		my $p;
		wait_for {
			$p = $api->show($export->{$option})->{progress};
			$p->{sent} + $p->{rejected} == 4;
		} 20, "$what: $option";
		is($p->{sent}, $sent, "$what, $option: $sent are sent");
		is($p->{rejected}, 4 - $sent, '... the rest is rejected');
	}

	is_deeply(when_sent("$key-keep"), { %same, %far }, "$what, keep: as "
		. 'they came');
	my $clamped = when_sent("$key-clamp");
	like(delete $clamped->{$_}, qr/^2026-01-03T10:0\d:\d\d\.\d{3}Z$/,
		"$what, clamp: $_ is at the time of arrival") for keys %far;
	is_deeply($clamped, \%same, '... the others are as they came');
	is_deeply(when_sent("$key-reject"), \%same,
		"$what, reject: only these");

	my $list = $api->get("/exports/$export->{reject}/rejected")->{json};
	is_deeply([ map { $_->{reason} } @{$list->{items}} ],
		[ ('future_time') x 2 ], '... the others are listed');
}

is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no number is wrong');

$t->finish;
done_testing;
