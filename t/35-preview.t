#!/usr/bin/env perl

# POST /exports/preview: what an export of a definition would send.  A preview
# is a promise, so each is followed by the export itself: the numbers must be
# those of its run, and the messages the bytes that arrive at Segment's side
# (compared as text: a decoder would hide a number that changed its spelling).
# What could fool it: a preview that answers from memory of an export, so all
# of them come first; a preview that sends or stores something, so the mock
# and the list of exports are looked at in between; a day that is not cut
# where a run cuts it, so the clock is moved and events arrive on two days.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http json_encode parallel_posts wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record upload_bodies /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$clock->set('2026-05-11T22:00:00Z');

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=512m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size 8m;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /ctseg/read/ {
            ctseg_api;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=%%EVENTS%% requests=1000;
    }
}

EOC

$t->set_port(9, $s->port)->conf($conf, EVENTS => 1000)->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $upload = $t->url(1, '/1/upload');

# names so that they are found wherever they get out

my $key = 'thisKeyIsSecret0815';
my $partner = $api->partner(write_key => $key);
my %one_time = (kind => 'one_time', from => '2026-05-10', to => '2026-05-11');

sub send_to {
	my ($path, $data, %headers) = @_;
	return http('POST', $t->url(1, $path), { 'Content-Type' =>
		'application/json', %headers }, ref $data
			? json_encode($data) : $data);
}

# a preview that must be answered, with what holds of any

sub preview {
	my ($name, %definition) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $a = $api->post('/exports/preview', { partner_id => $partner,
		%definition });
	is($a->{status}, 200, "$name: a preview") or diag $a->{body};
	my $p = $a->{json};
	is($p->{scanned}, $p->{sent} + $p->{filtered} + $p->{rejected},
		'... each event has one verdict');
	is($p->{to_sequence} - $p->{after_sequence},
		$p->{scanned} + $p->{waiting}, '... or waits');
	unlike($a->{body}, qr/$key|writeKey/, '... without the write key');
	$p->{body} = $a->{body};
	return $p;
}

sub post_all {
	my (@bodies) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my @r = parallel_posts($t->port(1), '/1/upload', \@bodies);
	is(scalar(grep { $_->{body} =~ /"processed":1000,/ } @r),
		scalar @bodies, @bodies . ' bodies are taken');
	return;
}

sub cut { return join ' ', @{$_[0]}{qw/ after_sequence to_sequence / } }

# The first run of an export of this definition, and what it posted: the same
# as the preview said.

sub same_as_export {
	my ($name, $p, %definition) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$s->forget;
	my $run = $api->run_ended($api->export($partner, %definition));
	is(cut($p), cut($run), "$name: the run has the cut of the preview");

	my @numbers = qw/ scanned sent filtered rejected waiting batches /;
	is_deeply({ map { $_ => $p->{$_} } @numbers, 'rejected_by_reason' },
		{ map { $_ => $run->{$_} } @numbers, 'rejected_by_reason' },
		'... and its numbers');

	my $bytes = 0;
	$bytes += $_->{bytes} for $s->requests;
	is($p->{bytes}, $bytes, '... and its bytes');

	my @raw = map { $_->{raw} } sort { $a->{id} cmp $b->{id} } $s->events;
	splice @raw, 5 if @raw > 5;
	is($p->{body} =~ /"messages":(\[.*\])\}\n\z/s ? $1 : $p->{body},
		'[' . join(',', @raw) . ']', '... and its first messages');
	return $run;
}


# ---- an empty log ----

my $p = preview('an empty log', frequency => \%one_time);
is_deeply([ @{$p}{qw/ basis complete scanned batches bytes
	estimated_seconds / } ], [ 'first_run', JSON::PP::true, 0, 0, 0, 0 ],
	'nothing would be sent');
is_deeply($p->{messages}, [], '... no message');


# ---- one time ----

my $may = 1_778_450_400;	# 2026-05-10T22:00:00Z
my $odd = '"big":12345678901234567890,"exp":1e400,"zero":-0.0,"t":"\u00e9 '
	. "\xc3\xa9 \\/ \\\"q\\\" \\ud83d\\ude00\"";
$api->upload($upload, '{"d":[' . join(',',
	record(n => 1, ts => $may - 40 * 86_400),
	(map { record(n => $_, ts => $may + $_, props => $odd) } 2 .. 101),
	(map { record(n => $_, ts => $may, name => 'Reply Sent') }
		102 .. 119),
	record(n => 120, ts => $may, id => '"GPID":"g"')) . ']}');

my %chosen = (frequency => \%one_time, events => { set => 'selected',
	names => [ 'App Launched' ] });
$p = preview('one time', %chosen);
is(cut($p), '0 120', 'the whole log is looked at');
is_deeply([ @{$p}{qw/ sent filtered rejected batches estimated_seconds / } ],
	[ 100, 19, 1, 1, 0 ], 'with each verdict');
is($p->{rejected_by_reason}{no_id}, 1, '... and why');
is(scalar @{$p->{messages}}, 5, 'the first five messages');
is($p->{messages}[0]{properties}{n}, 2, '... of those that would be sent');

# many batches; the bucket pays one second of the four that lie before the last

my $serial = 1000;
for (1 .. 6) {
	$api->upload($upload, '{"d":[' . join(',', map { '{"identity":"u'
		. ++$serial . "\",\"type\":\"event\",\"ts\":$may,\"evtName\":"
		. '"UTM Visited"}' } 1 .. 1000) . ']}');
}

my %many = (frequency => \%one_time, events => { set => 'selected',
	names => [ 'UTM Visited' ] });
my $many = preview('many', %many);
is_deeply([ @{$many}{qw/ sent filtered batches estimated_seconds / } ],
	[ 6000, 120, 3, 3 ], 'three batches, held up by the rate');

my %two = (%many, frequency => { %one_time, from => '2026-05-11' });
my $two = preview('other days', %two);
is_deeply([ @{$two}{qw/ sent filtered bytes / } ], [ 0, 6120, 0 ],
	'of other days there is nothing');

my $profiles = preview('profiles', type => 'profile', frequency =>
	\%one_time);
is_deeply([ @{$profiles}{qw/ sent filtered / } ], [ 0, 6120 ],
	'no profile is there');


# ---- it changes nothing ----

is($s->stats->{requests}, 0, 'nothing was sent');
is($api->get('/exports')->{json}{total}, 0, 'nothing was stored');

# ... and so needs no permission to, and remembers nothing

my %with = (partner_id => $partner, %chosen);
my $a = send_to('/ctseg/read/exports/preview', \%with);
is($a->{status}, 200, 'it may be asked for where writing is off');
is(send_to('/ctseg/read/exports', \%with)->{status}, 403,
	'... as an export may not');

my %once = ('Idempotency-Key' => 'once');
is(send_to('/ctseg/api/exports/preview', \%with, %once)->{json}{sent}, 100,
	'an Idempotency-Key is no matter');
is(send_to('/ctseg/api/exports/preview', { %with, %many }, %once)->{json}
	{sent}, 6000, '... another body is another preview');

for ([ 'Sec-Fetch-Site' => 'cross-site' ], [ Origin => 'http://e.example' ]) {
	is(send_to('/ctseg/api/exports/preview', \%with, @$_)->{status}, 403,
		"a page of another site is refused ($_->[0])");
}


# ---- what is wrong ----

for (
	[ 'nothing at all', {} ],
	[ 'an unknown partner', { %with, partner_id => 'nobody' } ],
	[ 'wrong fields', { partner_id => 'x', events => { set => 'y' },
		frequency => { kind => 'recurring', every_hours => 3,
		start_date => '2020-01-01' }, id => 1, more => 1 } ],
	[ 'a region without a way', { %with, partner_id =>
		$api->partner(region => 'eu') } ])
{
	my ($name, $body) = @$_;
	my ($preview, $export) = map { send_to("/ctseg/api/$_", $body) }
		'exports/preview', 'exports';
	is($preview->{status}, 422, "$name: 422");
	is($preview->{body}, $export->{body}, '... as of the export');
}

is(send_to('/ctseg/api/exports/preview', '{')->{status}, 400, 'no JSON');
is(send_to('/ctseg/api/exports/preview', \%with, 'Content-Type' =>
	'text/plain')->{status}, 415, 'another content');
$a = $api->get('/exports/preview');
is($a->{status}, 405, 'it is no export that could be shown');
is($a->{headers}{allow}, 'POST', '... and only asked for');


# ---- two days: what a first run takes, and when there is none yet ----

$clock->set('2026-05-12T12:00:00Z');
$api->upload($upload, '{"d":[' . join(',', map { record(n => $_) } 1 .. 30)
	. ']}');
$clock->set('2026-05-12T23:00:00Z');
$api->upload($upload, '{"d":[' . join(',', map { record(n => $_) } 31 .. 70)
	. ']}');

# 6120 events on the 11th at 22:00, 30 on the 12th at 12:00, 40 at 23:00

my %slots = (kind => 'recurring', every_hours => 24);
my %recurring = (
	today => { frequency => { %slots } },
	'a day ago' => { frequency => { %slots,
		start_date => '2026-05-11' } },
);
my %seen;
for my $name (sort keys %recurring) {
	$seen{$name} = preview("recurring, $name", %{$recurring{$name}});
	is($seen{$name}{basis}, 'first_run', '... of its first run');
}
is(cut($seen{today}), '6120 6190', 'today: since midnight');
is(cut($seen{'a day ago'}), '0 6190', 'a day ago: since that midnight');

for (
	[ 'live', { kind => 'live' } ],
	[ 'recurring from tomorrow', { %slots, start_date => '2026-05-13' } ])
{
	my ($name, $frequency) = @$_;
	$p = preview($name, frequency => $frequency);
	is($p->{basis}, 'last_24_hours', '... of the last 24 hours');
	is(cut($p), '6120 6190', '... by arrival');
	is($p->{sent}, 70, '... and what would have been sent of it');
}

$clock->set('2026-05-13T12:30:00Z');
$p = preview('a day later', frequency => { kind => 'live' });
is(cut($p), '6150 6190', '... only what arrived within 24 hours');
$clock->set('2026-05-12T23:30:00Z');


# ---- the exports themselves ----

$t->conf($conf, EVENTS => 1_000_000)->reload;
for my $name (sort keys %recurring) {
	same_as_export("recurring, $name", $seen{$name},
		%{$recurring{$name}});
}

# one time looks at all there is, so the previews are asked for again

for (
	[ 'one time', \%chosen ],
	[ 'many', \%many ],
	[ 'no events', \%two ])
{
	my ($name, $definition) = @$_;
	same_as_export($name, preview($name, %$definition), %$definition);
}
is($many->{bytes}, preview('many', %many)->{bytes},
	'the rates do not change what is sent');


# ---- batches that end by their bytes, and events with other ids ----

my @body = map { upload_bodies(4, 1000, from => 10_000, realistic => 1,
	ts => $may, id => $_, names => [ 'App Installed' ]) }
	'identity', 'objectId', '"GPID":"g"';
post_all(@body);

my %installed = (frequency => \%one_time, events => { set => 'selected',
	names => [ 'App Installed' ] });
$p = preview('ids', %installed);
cmp_ok($p->{batches}, '>', 6, '... in batches');
is($p->{rejected_by_reason}{no_id}, 4_000, '... and judged');
same_as_export('ids', $p, %installed);


# ---- many events, so that it takes some jobs ----

post_all((@body) x 16);

my %all = (frequency => \%one_time, events => { set => 'system' });
my $large = preview('large', %all);
is($large->{complete}, JSON::PP::true, 'all of them are looked at');
is($large->{rejected}, 17 * 4_000 + 1, '... and judged');
is($large->{sent}, 17 * 8_000 + 6_118, '... and counted');

# a client that goes away, one whose worker is told to go

sub ask {
	my $c = Ctseg::Client->new($t->port(1))->connect;
	my $body = json_encode({ partner_id => $partner, %all });
	$c->send_bytes("POST /ctseg/api/exports/preview HTTP/1.1\r\n"
		. "Host: x\r\nContent-Type: application/json\r\n"
		. 'Content-Length: ' . length($body)
		. "\r\nExpect: 100-continue\r\n\r\n");
	wait_for { sysread $c->sock, $c->{in}, 4096, length $c->{in};
		$c->{in} =~ /\r\n\r\n/ } 10, '100 Continue';
	$c->{in} = '';
	$c->send_bytes($body);
	return $c;
}

for (1 .. 10) {
	my $c = ask();
	$c->close;
}
my @c = map { ask() } 1 .. 4;
$t->reload;
is(join(' ', map { $_->read_answer->{json}{sent} } @c),
	join(' ', ($large->{sent}) x 4), 'a reload in the middle of previews');
@c = map { ask() } 1 .. 2;
$t->signal('QUIT');
is(join(' ', map { $_->read_answer->{json}{sent} } @c),
	join(' ', ($large->{sent}) x 2), '... and a quit');
$t->quit;
is($t->{status}, 0, '... which ends');

unlike($t->error_log, qr/$key/, 'the write key is in no log');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'every event is accounted for');

$t->finish;
done_testing;
