#!/usr/bin/env perl

# The thread pool takes no more: it has one thread, which is held, and a queue
# of one, which is full.  Whoever comes then is refused by nginx: a client gets
# 503 and asks again, and the engine must come back to what it wanted by
# itself, to each load, save, half, refusal, retry, look and step of retention.
# First with the thread held while Segment's answers arrive, so that each of
# these is refused for certain; then by chance, under a load of all kinds with
# two workers and a reload.  What could fool it is a pool that is never full:
# refusals are counted in nginx's own words.  That nothing is lost or done
# twice is seen by number at Segment's side.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http http_json parallel_posts wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $conf = <<'EOC';

%%GLOBALS%%

thread_pool narrow threads=1 max_queue=%%QUEUE%%;

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=64m retention=2d;
    ctseg_thread_pool narrow;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        client_max_body_size 8m;
        client_body_buffer_size 1m;

        location = /1/upload {
            ctseg_collect;
        }

        location = /slow/upload {
            ctseg_collect;
            client_body_in_file_only clean;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /metrics {
            ctseg_metrics;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

my ($t, $s, $api, $clock, %key, @held);


# ---- a thread that is held ----

start(1, 1);

# each has its own way: loads and saves, an answer that may pass, a culprit to
# be found by halving, one that waits for new events

my %export;
my @kinds = qw/ plain again poison live /;
$key{$_} = partner($_) for @kinds;
$export{live} = create('live', { kind => 'live' });
until_is($export{live}, 'RUNNING');

my $culprit = { write_key => 'poison', contains => 'Poison' };
$s->rules({ when => { write_key => 'again' }, times => 1, status => 503,
	hold => 1 }, { when => $culprit, status => 400, hold => 1 },
	{ when => { min_events => 1 }, hold => 1 });
upload(map { record(n => $_, props => $_ == 700 ? '"p":"Poison"' : '') }
	0 .. 999);
$export{$_} = create($_) for qw/ plain again poison /;
wait_for { $s->stats->{held} == 4 } 20, 'a batch of each at Segment';

fill(9000);

# whatever a client asks for is refused as the document says

for my $call ([ 'GET', '/partners' ], [ 'GET', '/exports' ],
	[ 'GET', "/exports/$export{plain}" ], [ 'GET', '/status' ],
	[ 'POST', "/exports/$export{live}/stop" ],
	[ 'POST', "/partners/$key{plain}/test" ],
	[ 'POST', '/exports/preview', { partner_id => $key{plain},
		frequency => { kind => 'live' } } ],
	[ 'DELETE', "/exports/$export{plain}/rejected" ],
	[ 'PATCH', "/partners/$key{plain}", { nickname => 'other' } ],
	[ 'POST', '/partners', { nickname => 'new', write_key => 'new' },
		{ 'Idempotency-Key' => 'once' } ])
{
	my ($method, $path) = @$call;
	my $r = $api->call(@$call);
	is_deeply([ $r->{status}, $r->{headers}{'retry-after'} ], [ 503, 1 ],
		"$method $path is refused for now");
}

# an upload waits for the one before it, and takes its chance then

my $upload = later('POST', '/1/upload', '{"d":[' . record(n => 5000) . ']}');
is(http('GET', $t->url(1, '/metrics'))->{status}, 200,
	'figures are there without the store');

# Segment's answers come, and all that follows from them is refused, for as
# long as some beats of each run; the live one has ten in a second

$s->rules({ when => $culprit, status => 400 });
refusals(40, sub { $s->release });
free();

my $answer = $upload->read_answer;
my $taken = $answer->{status} == 200;
is($answer->{headers}{'retry-after'}, $taken ? undef : 1,
	"the upload that waited is answered $answer->{status}");
$answer = asked('POST', '/partners', { nickname => 'new', write_key => 'new' },
	{ 'Idempotency-Key' => 'once' });
is($answer->{status}, 201, 'what was refused was not begun');


# ---- the culprit, alone ----

$s->rules({ when => { %$culprit, max_events => 1 }, status => 400,
	hold => 1 }, { when => $culprit, status => 400 });
wait_for { $s->stats->{held} == 1 } 40, 'the culprit stands alone';
fill(9001);
$s->rules({ when => $culprit, status => 400 });
refusals(10, sub { $s->release });
free();


# ---- all of it is done ----

for my $kind (qw/ plain again poison /) {
	my $run = until_is($export{$kind}, 'DONE')->{last_run};
	my $bad = $kind eq 'poison' ? 1 : 0;
	is_deeply([ @{$run}{qw/ scanned sent filtered rejected / } ],
		[ 1000, 1000 - $bad, 0, $bad ], "$kind: all are counted");
}

is(asked('GET', "/exports/$export{poison}/rejected")->{json}{total}, 1,
	'the culprit is kept, once');
upload(record(n => 1000));
wait_for { sent('live')->{1000} } 20, 'the newest event, live';

my %all = map { $_ => 1 } 0 .. 999;
is_deeply(sent('plain'), \%all, 'plain: each has arrived under one id');
is_deeply(sent('again'), \%all, 'again: the same');
is_deeply(sent('live'), { %all, map { $_ => 1 } 1000, 9000, 9001,
	($taken ? 5000 : ()) },
	'live: the same, and those that came later');
delete $all{700};
is_deeply(sent('poison'), \%all, 'poison: all but one');


# ---- retention ----

fill(9002);
refusals(20, sub { $clock->advance(3 * 86400) });
free();
wait_for { $t->error_log =~ /retention removed \d+ events/ } 20,
	'a step of retention, soon after it was refused';
pass('retention is not put off by what refuses it');
$t->quit;
$t->finish;


# ---- by chance ----

start(2, 1);
my @live = map { "live$_" } 1 .. 3;
$key{$_} = partner($_) for @live, 'late';
until_is(create($_, { kind => 'live' }), 'RUNNING') for @live;

my $each = 300;
my @bodies = map { upload_body($each, from => $_ * $each, pad => 1500,
	names => [ 'App Launched' ]) } 0 .. 19;
my %left = map { $_ => 1 } 0 .. $#bodies;
my ($rounds, $wrong) = (0, 0);

while (%left && $rounds++ < 500) {
	my @i = sort { $a <=> $b } keys %left;
	my @r = parallel_posts($t->port(1), '/1/upload', [ @bodies[@i] ],
		connections => 8, on_answer => sub {
			my ($i) = @_;
			$api->get($i % 2 ? '/exports' : '/status');
			return 1;
		});
	$wrong += grep { $_->{status} != 200 && $_->{status} != 503 } @r;
	delete $left{$i[$_]} for grep { $r[$_]{status} == 200 } 0 .. $#r;
	$t->reload if $rounds == 1;
}
is(scalar keys %left, 0, "uploads are taken in the end, in $rounds rounds");
is($wrong, 0, '... and each of them had an answer');

my @late = map { create('late') } 1 .. 3;
for my $id (@late) {
	my $run = until_is($id, 'DONE')->{last_run};
	is_deeply([ @{$run}{qw/ scanned sent / } ], [ ($each * @bodies) x 2 ],
		'an export has sent all of it');
}

my %whole = map { $_ => 1 } 0 .. $each * @bodies - 1;
for my $key (@live) {
	wait_for { keys %{sent($key)} == keys %whole } 60, 'the last, live';
	is_deeply(sent($key), \%whole, "$key: each is there under one id");
}
cmp_ok(overflows(), '>', 5, 'the pool has refused: ' . overflows());
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'all counts add up');

$t->quit;
$t->finish;
done_testing;


# ---- helpers ----

sub start {
	my ($workers, $queue) = @_;
	$clock = Ctseg::Clock->new;
	$t = Ctseg::Nginx->new(workers => $workers, preload =>
		[ @{$clock->preload}, Ctseg::Nginx::shim('ctseg_hold') ],
		env => $clock->env(TZ => 'UTC'));
	$t->{env}{CTSEG_HOLD} = $t->testdir . '/hold';
	$s = Ctseg::Segment->new(dir => $t->testdir);
	$t->set_port(9, $s->port)->conf($conf, QUEUE => $queue)->run;
	$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
	return;
}

sub partner {
	return made('/partners', { nickname => $_[0], write_key => $_[0] });
}

sub create {
	my ($partner, $frequency) = @_;
	return made('/exports', { partner_id => $key{$partner}, frequency =>
		$frequency || { kind => 'one_time', range => 'last_7_days' }
		});
}

# the id of what is created

sub made {
	my $answer = asked('POST', @_);
	die "$_[0]: $answer->{body}" unless $answer->{status} == 201;
	return $answer->{json}{id};
}

# any call may find the pool full: asked until it is not refused

sub asked {
	my @call = @_;
	my $answer;
	wait_for { $answer = $api->call(@call); $answer->{status} != 503 } 20,
		'a free thread';
	return $answer;
}

sub until_is {
	my ($id, $status) = @_;
	my $e;
	wait_for { $e = asked('GET', "/exports/$id")->{json};
		$e->{status} eq $status } 60, "$id to be $status";
	return $e;
}

sub upload {
	my $body = '{"d":[' . join(',', @_) . ']}';
	wait_for { http_json('POST', $t->url(1, '/1/upload'), $body)->{status}
		== 200 } 20, 'an upload to be taken';
	return;
}

# the thread waits for the body of an upload, the queue for the thread: calls
# that are not answered follow until one after the other is refused.  An upload
# that is refused itself, by a queue full for a moment, is sent again.

sub fill {
	my ($n) = @_;
	my $refused;
	$t->write_file('hold', '');
	@held = ();
	wait_for {
		if (!@held || IO::Select->new($held[0]->sock)->can_read(0)) {
			@held = (later('POST', '/slow/upload', '{"d":['
				. record(n => $n) . ']}'), @held[1 .. $#held]);
			$refused = overflows();
		}
		push @held, later('GET', '/ctseg/api/partners');
		overflows() > $refused + 10;
	} 20, 'a full queue';
	return;
}

# the thread goes on, and whoever waited for it is answered

sub free {
	unlink $t->testdir . '/hold';
	my @status = map { $_->read_answer->{status} } @held;
	is(shift @status, 200, 'the upload that was held is taken');
	is_deeply([ grep { $_ != 200 && $_ != 503 } @status ], [],
		'... and each call behind it is answered');
	return;
}

# a request whose answer is read later

sub later {
	my ($method, $path, $body) = @_;
	my $c = Ctseg::Client->new($t->port(1))->connect;
	$c->send_bytes(Ctseg::Client::format_request($t->port(1), $method,
		$path, { 'Content-Type' => 'application/json' }, $body));
	return $c;
}

# how often the pool has refused, by nginx's own words; wait for n more

sub overflows { return scalar(() = $t->error_log =~ /queue overflow/g) }

sub refusals {
	my ($n, $sub) = @_;
	my $before = overflows();
	$sub->();
	wait_for { overflows() >= $before + $n } 20, "$n refusals";
	return;
}

# number of an event => under how many ids a partner has it

sub sent {
	my ($key) = @_;
	my %request = map { $_->{n} => 1 } grep {
		($_->{write_key} // '') eq $key } $s->requests;
	my %id;
	for my $e ($s->events) {
		my ($n) = $e->{raw} =~ /"n":(\d+)/;
		$id{$n}{$e->{id}} = 1 if $request{$e->{request}};
	}
	return { map { $_ => scalar keys %{$id{$_}} } keys %id };
}
