#!/usr/bin/env perl

# What the metrics page says against what was done: every request, event,
# commit and delivery that this test makes is one more where it belongs, and
# nowhere else.  The page is read by a parser that takes no liberties.
#
# What could fool it: figures of one worker where there are two, so both get
# work, and each is asked; counters that begin again, so all that must grow is
# compared over a reload and the death of workers; a figure of the store that
# is right because nothing happened, so each is seen to be something else
# before.  A file is not read for as long as a task is to be under way, and the
# clock is in the hand of the test.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http http_json wait_for /;
use Ctseg::Clock;
use Ctseg::Data qw/ record upload_body /;
use Ctseg::Nginx;
use Ctseg::Prom;
use Ctseg::Segment;

# the interface: other people's dashboards are made of these

my %names = (
	ctseg_collect_requests_total		=> 'counter',
	ctseg_events_collected_total		=> 'counter',
	ctseg_events_repeated_total		=> 'counter',
	ctseg_events_refused_total		=> 'counter',
	ctseg_copies_lost_total			=> 'counter',
	ctseg_commit_duration_seconds		=> 'histogram',
	ctseg_commit_events			=> 'histogram',
	ctseg_delivery_requests_total		=> 'counter',
	ctseg_delivery_duration_seconds		=> 'histogram',
	ctseg_tasks_in_flight			=> 'gauge',
	ctseg_invariant_violations_total	=> 'counter',
);

my %of_store = (
	ctseg_export_events_total		=> 'counter',
	ctseg_export_waiting_events		=> 'gauge',
	ctseg_export_oldest_waiting_seconds	=> 'gauge',
	ctseg_exports				=> 'gauge',
	ctseg_exports_unlisted			=> 'gauge',
	ctseg_partner_paused			=> 'gauge',
	ctseg_store_bytes			=> 'gauge',
	ctseg_store_capacity_bytes		=> 'gauge',
);

my @reasons = qw/ no_name structure profile properties no_identity type ts
	object_id other store_full store_unavailable /;

my $clock = Ctseg::Clock->new;
$clock->set('2026-11-23T12:00:00Z');

my $t = Ctseg::Nginx->new(workers => 2, preload => [ @{$clock->preload},
	hold_shim() ], env => $clock->env(TZ => 'UTC'));
my $hold = $t->testdir . '/hold';
$t->{env}{CTSEG_HOLD} = $hold;

my $s = Ctseg::Segment->new(dir => $t->testdir);

# more codes than a table has room for; 444 is none

my @codes = (430 .. 443, 445 .. 470);
my $codes = join '', map { "if (\$arg_code = $_) { return $_; }\n" } @codes;

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=32m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /metrics {
            ctseg_metrics;
            add_header X-Worker $pid;
        }

        location = /1/upload {
            %%CODES%%
            ctseg_collect;
        }

        location = /small {
            ctseg_collect;
            client_max_body_size 1k;
        }

        location = /file {
            ctseg_collect;
            client_body_buffer_size 1k;
        }

        location = /closed {
            ctseg_collect;
            deny all;
        }

        location = /forwarded {
            mirror /mirror;
            proxy_pass http://127.0.0.1:%%PORT_1%%/empty;
        }

        location = /empty {
            return 204;
        }

        location = /mirror {
            internal;
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

$t->set_port(9, $s->port)->conf($conf, CODES => $codes)->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $upload = $t->url(1, '/1/upload');
my ($r, $m, $before, $e, $id, $p, @c);


# ---- the page ----

$r = http('GET', $t->url(1, '/metrics'));
is($r->{status}, 200, 'metrics are read by GET');
is($r->{headers}{'content-type'},
	'text/plain; version=0.0.4; charset=utf-8', '... as Prometheus says');
$m = Ctseg::Prom->new($r->{body});
is_deeply({ $m->families }, { %names, %of_store }, 'it has every family');

is_deeply([ map { $m->value('ctseg_events_refused_total', reason => $_) }
	@reasons ], [ (0) x @reasons ], 'every reason is there at once');
is($m->sum('ctseg_events_refused_total'), 0, '... and no other');
is_deeply([ map { $m->value('ctseg_exports', status => $_) }
	qw/ PENDING RUNNING DONE STOPPED / ], [ 0, 0, 0, 0 ],
	'and every status');
is($m->value($_), 0, "$_ is 0") for qw/ ctseg_events_collected_total
	ctseg_commit_events_count ctseg_commit_duration_seconds_count
	ctseg_invariant_violations_total ctseg_exports_unlisted /;
is($m->sum('ctseg_collect_requests_total'), 0, 'nothing was collected');

my $store = $api->get('/status')->{json}{store};
for my $env (qw/ events state /) {
	is($m->value('ctseg_store_capacity_bytes', env => $env),
		$store->{$env}{capacity_bytes}, "$env: its capacity");
	cmp_ok($m->value('ctseg_store_bytes', env => $env), '>', 0,
		'... and what is in use');
}

$r = http('HEAD', $t->url(1, '/metrics'));
is("$r->{status} $r->{body}", '200 ', 'HEAD has no body');
cmp_ok($r->{headers}{'content-length'}, '>', 1000, '... but its length');
for my $method (qw/ POST PUT DELETE OPTIONS /) {
	$r = http($method, $t->url(1, '/metrics'), {}, 'x' x 100_000);
	is("$r->{status} $r->{headers}{allow}", '405 GET, HEAD',
		"$method is not allowed");
}
is(http('GET', $t->url(1, '/metrics?a=b'), {}, 'x')->{status}, 200,
	'a query and a body do no harm');


# ---- collecting ----

changes('a good upload', sub { post($upload, upload_body(7)) },
	code('200') => 1, ctseg_events_collected_total => 7,
	commit(7));
changes('two in one', sub { post($upload, upload_body(1)) for 1 .. 2 },
	code('200') => 2, ctseg_events_collected_total => 2,
	ctseg_commit_events_sum => 2);
changes('one of three is good', sub {
	post($upload, '{"d":[' . join(',', record(), record(id => 'none'),
		'{"type":"other"}') . ']}') },
	code('200') => 1, ctseg_events_collected_total => 1, commit(1),
	refused('no_identity') => 1, refused('type') => 1);
my @bad = (no_name => record(name => ''), structure => '5',
	properties => record(props => join ',', map { "\"p$_\":1" } 1 .. 300),
	ts => record(ts => -1), profile => '{"type":"profile",'
		. '"identity":"x","profileData":{"Gender":"?"}}',
	object_id => record(id => '"objectId":[]'));
while (my ($reason, $record) = splice @bad, 0, 2) {
	changes("bad: $reason", sub {
		post($upload, "{\"d\":[$record,$record]}") },
		code('200') => 1, refused($reason) => 2);
}
changes('a dry run takes nothing and refuses nothing', sub {
	post("$upload?dryRun=1", '{"d":[5,' . record() . ']}') },
	code('200') => 1);
changes('no JSON', sub { post($upload, '{"d":[') }, code('400') => 1);
changes('too many', sub { post($upload, upload_body(1001)) },
	code('413') => 1);
changes('no POST', sub { http('GET', $upload) }, code('405') => 1);
changes('no JSON by its name', sub { http('POST', $upload,
	{ 'Content-Type' => 'text/xml' }, 'x') }, code('415') => 1);

changes('too large for nginx', sub {
	post($t->url(1, '/small'), upload_body(100)) }, code('413') => 1);
changes('refused by nginx', sub { post($t->url(1, '/closed'), '{}') },
	code('403') => 1);
changes('as the configuration says', sub {
	post("$upload?code=430", '{}') }, code('430') => 1);
changes('a copy by mirror', sub {
	my $a = post($t->url(1, '/forwarded'), upload_body(3));
	is($a->{status}, 204, 'the client has its own answer');
}, code('200') => 1, ctseg_events_collected_total => 3, commit(3));
changes('outside of collect', sub { http('GET', $t->url(1, '/empty')) });

changes('who goes away in the middle of a body', sub {
	my $c = Ctseg::Client->new($t->port(1))->connect;
	$c->send_bytes("POST /1/upload HTTP/1.1\r\nHost: x\r\n"
		. "Content-Length: 1000\r\n\r\n{");
	$c->close;
}, code('400') => 1);

# the 33rd code and all behind it have one sample together

post("$upload?code=$_", '{}') for @codes;
$m = scrape();
is($m->labels('ctseg_collect_requests_total', 'code'), 33,
	'so many codes are told apart');
is($m->value('ctseg_collect_requests_total', code => 'other'),
	$m->sum('ctseg_collect_requests_total') - sum_of_codes($m),
	'the others are one');
cmp_ok($m->value('ctseg_collect_requests_total', code => 'other'), '>', 5,
	'... and are counted');


# ---- two workers ----

my %worker = two_workers();
is(scalar keys %worker, 2, 'both workers answer');
for my $pid (sort keys %worker) {
	changes("worker $pid", sub {
		is($worker{$pid}->request('POST', '/1/upload', {},
			upload_body(11))->{status}, 200, 'takes an upload');
	}, code('200') => 1, ctseg_events_collected_total => 11, commit(11));
}
my @pages = map { Ctseg::Prom->new($_->request('GET', '/metrics')->{body}) }
	values %worker;
is_deeply([ map { $_->value('ctseg_events_collected_total') } @pages ],
	[ ($m->value('ctseg_events_collected_total') + 22) x 2 ],
	'each of them tells the sum of both');


# ---- deliveries ----

$m = scrape();
is($m->sum('ctseg_delivery_requests_total'), 0, 'nothing was delivered');
$p = $api->partner(write_key => 'retries');
is(scrape()->value('ctseg_partner_paused', partner => $p), 0,
	'a partner is there before its first delivery');
$s->script({ status => 500 }, { close => 'before' }, { status => 429,
	headers => { 'Retry-After' => 1 } });
$id = $api->export($p);
$e = $api->until($id, 'DONE');
$m = scrape();
is_deeply({ map { $_ => $m->value('ctseg_delivery_requests_total',
	partner => $p, code => $_) } $m->labels(
	'ctseg_delivery_requests_total', 'code') },
	{ 500 => 1, none => 1, 429 => 1, 200 => 1 },
	'every attempt is counted with its answer');
is($m->value('ctseg_delivery_duration_seconds_count', partner => $p), 4,
	'... and its time');
totals($m, $id, @{$e->{last_run}}{qw/ sent filtered rejected /});
cmp_ok($e->{last_run}{sent}, '>', 0, 'something was sent');
is($m->value('ctseg_export_waiting_events', export => $id), 0,
	'nothing waits for it');
is($m->value('ctseg_exports', status => 'DONE'), 1, 'it is done');

changes('a test of the partner is not a delivery', sub {
	is($api->post("/partners/$p/test")->{status}, 200, 'tested') });

# two partners; one sends, filters and rejects

post($upload, '{"d":[' . join(',', map { record(n => $_, props => $_ > 4
	? '"who":"x"' : '"what":1', name => $_ % 2 ? 'App Launched'
	: 'App Installed') } 1 .. 20) . ']}');
my $other = $api->partner(user_id => 'property:who',
	anonymous_id => 'property:who');
$id = $api->export($other, identifier_priority => [ 'gpid' ], events =>
	{ set => 'selected', names => [ 'App Installed' ] });
$e = $api->until($id, 'DONE');
is_deeply([ @{$e->{last_run}}{qw/ sent /}, $e->{last_run}{rejected} > 1 ],
	[ 8, 1 ], 'some are sent, some rejected');
totals($m = scrape(), $id, @{$e->{last_run}}{qw/ sent filtered rejected /});
is($m->value('ctseg_delivery_requests_total', partner => $other,
	code => '200'), 1, 'it has its own deliveries');
is($m->sum('ctseg_delivery_requests_total', partner => $p), 4,
	'... and those of the first are as they were');


# ---- what waits ----

$s->rules({ when => { write_key => 'live' }, hold => 1 });
$id = $api->export($p = $api->partner(write_key => 'live'),
	frequency => { kind => 'live' });
$api->until($id, 'RUNNING');
$m = scrape();
is_deeply([ waiting($m, $id) ], [ 0, 0 ], 'nothing waits for a live export');
is($m->value('ctseg_exports', status => 'RUNNING'), 1, '... which runs');
post($upload, upload_body(5, names => [ 'App Launched' ]));
wait_for { $s->stats->{held} } 20, 'a held answer';
$clock->advance(100);
($r, my $oldest) = waiting(scrape(), $id);
is($r, 5, 'they wait while Segment thinks');
cmp_ok($oldest, '>=', 100, '... for so long');
cmp_ok($oldest, '<', 700, '... and not longer');
$s->rules;
$s->release;
$m = wait_for { my $x = scrape(); (waiting($x, $id))[0] == 0 && $x } 20,
	'the live export';
is_deeply([ waiting($m, $id) ], [ 0, 0 ], 'nothing waits any more');
totals($m, $id, 5, 0, 0);

# refused for a reason that nobody but people can mend

$s->rules({ when => { write_key => 'live' }, status => 403 });
is($m->value('ctseg_partner_paused', partner => $p), 0, 'all is well');
post($upload, upload_body(1, names => [ 'App Launched' ]));
wait_for { scrape()->value('ctseg_partner_paused', partner => $p) } 20,
	'a paused partner';
is_deeply([ map { scrape()->value('ctseg_partner_paused', partner => $_) }
	$p, $other ], [ 1, 0 ], 'who is refused is paused, nobody else');
$s->rules;
$api->post("/exports/$id/stop");
$api->run_ended($id);
$m = scrape();
is($m->value('ctseg_partner_paused', partner => $p), 0,
	'... until it is stopped');
is_deeply([ waiting($m, $id) ], [ 0, 0 ],
	'what it has not sent does not wait: it will not go on');
totals($m, $id, 5, 0, 0);
is($m->value('ctseg_exports', status => 'STOPPED'), 1, 'it is stopped');
my $stopped = $id;


# ---- the runs of a recurring export add up ----

$id = $api->export($api->partner, frequency => { kind => 'recurring',
	every_hours => 4 });
$e = ran($id, 1);
my $sent = $e->{last_run}{sent};
cmp_ok($sent, '>', 0, 'the first run has something');
my $filtered = $e->{last_run}{filtered};
totals(scrape(), $id, $sent, $filtered, 0);
post($upload, upload_body(6, names => [ 'App Launched' ]));
is_deeply([ (waiting(scrape(), $id))[0] ], [ 6 ],
	'between two slots events wait');
$clock->advance(4 * 3600);
$e = ran($id, 2);
is($e->{last_run}{sent}, 6, 'the second run has them');
totals($m = scrape(), $id, $sent + 6, $filtered, 0);
is_deeply([ waiting($m, $id) ], [ 0, 0 ], 'nothing waits');


# ---- a reload, and the death of workers ----

$before = scrape();
$t->reload(wait_old => 1);
$m = scrape();
is_deeply([ $m->fallen($before) ], [], 'a reload keeps every count');
is($m->value('ctseg_events_collected_total'),
	$before->value('ctseg_events_collected_total'), '... as it was');
changes('after it', sub { post($upload, upload_body(2)) },
	code('200') => 1, ctseg_events_collected_total => 2, commit(2));

$before = scrape();
my @old = $t->worker_pids;
$t->allow_alert(qr/worker process \d+ exited on signal 9/);
kill 'KILL', @old;
wait_for { my %old = map { $_ => 1 } @old;
	my @now = grep { !$old{$_} } $t->worker_pids; @now == 2 } 20,
	'new workers';
$m = wait_for { eval { scrape() } } 20, 'a page';
is_deeply([ $m->fallen($before) ], [], 'so does the death of all workers');

# A task whose worker is killed: the worker is leaving, so none takes its
# place, where it would begin with none.

rests('before');
@c = map { Ctseg::Client->new($t->port(1))->connect } 1 .. 2;
my %victim = map { $_->request('GET', '/metrics')->{headers}{'x-worker'}
	=> $_ } @c;
my ($pid) = sort keys %victim;
$t->write_file('hold', '');
$victim{$pid}->send_bytes(Ctseg::Client::format_request($t->port(1), 'POST',
	'/file', {}, upload_body(100)));
wait_for { scrape()->value('ctseg_tasks_in_flight') >= 1 } 20, 'the task';
my $least = 9;
for (1 .. 5) {
	my $n = scrape()->value('ctseg_tasks_in_flight');
	$least = $n if $n < $least;
}
cmp_ok($least, '>=', 1, 'a task that waits for its file is in flight');
$t->reload;
ok(scalar(grep { $_ == $pid } $t->worker_pids(all => 1)),
	'its worker cannot leave');
cmp_ok(scrape()->value('ctseg_tasks_in_flight'), '>=', 1, '... with it');
kill 'KILL', $pid;
wait_for { !grep { $_ == $pid } $t->worker_pids(all => 1) } 20, 'its end';
unlink $hold;
$_->close for @c;
rests('after');

is_deeply([ scrape()->fallen($m) ], [], 'and no count fell');


# ---- what a restart keeps ----

$before = scrape();
$t->restart;
$m = scrape();
is($m->value('ctseg_events_collected_total'), 0, 'counters begin again');
totals($m, $id, $sent + 6, $filtered, 0);
totals($m, $stopped, 5, 0, 0);
is($m->value('ctseg_exports', status => $_),
	$before->value('ctseg_exports', status => $_), "$_: as before")
	for qw/ PENDING RUNNING DONE STOPPED /;

# an export is shown for a day after its end

$clock->advance(25 * 3600);
$m = scrape();
is($m->value('ctseg_export_waiting_events', export => $stopped), undef,
	'yesterday\'s exports are not shown');
is($m->value('ctseg_exports', status => 'STOPPED'), 1, '... but counted');
is($m->value('ctseg_exports_unlisted'), 0, '... and nobody misses them');
isnt($m->value('ctseg_export_waiting_events', export => $id), undef,
	'what is not final stays');


# ---- without a store ----

is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');
is(scrape()->value('ctseg_invariant_violations_total'), 0, 'nor anywhere');

$t->stop;
$t->write_file('store/state/data.mdb', 'x' x 20_000);
$t->allow_alert(qr/ctseg: the store ".*" cannot be opened/);
$t->run;
$r = http('GET', $t->url(1, '/metrics'));
is($r->{status}, 200, 'the page is there without a store');
$m = Ctseg::Prom->new($r->{body});
is_deeply({ $m->families }, \%names, '... with what needs none');
is(post($upload, upload_body(1))->{status}, 503, 'an upload is refused');
is(scrape()->value('ctseg_collect_requests_total', code => '503'), 1,
	'... and counted');

$t->finish;


# ---- more partners than there is room for ----

# In memory, since there are thousands of commits.  The first 256 have their
# own samples, whoever comes later shares one.

SKIP: {
	skip 'no /dev/shm', 1 unless -d '/dev/shm' && -w _;

	local $ENV{TMPDIR} = '/dev/shm';
	$t = Ctseg::Nginx->new(workers => 2);
	my $many = Ctseg::Segment->new(dir => $t->testdir);
	$t->set_port(9, $many->port)->conf($conf, CODES => '')->run;
	post($t->url(1, '/1/upload'), upload_body(1, names =>
		[ 'App Launched' ]));
	for my $n (1 .. 260) {
		my $partner = post($t->url(1, '/ctseg/api/partners'),
			{ nickname => "p$n", write_key => "key$n" })->{json};
		my $made = post($t->url(1, '/ctseg/api/exports'),
			{ partner_id => $partner->{id}, frequency =>
			{ kind => 'one_time', range => 'today' } });
		die "export: $made->{body}" unless $made->{status} == 201;
	}
	$m = wait_for { my $x = scrape(); $x->sum(
		'ctseg_delivery_requests_total', code => 200) == 260 && $x }
		60, 'all deliveries';
	is(scalar $m->labels('ctseg_delivery_requests_total', 'partner'),
		257, 'so many partners have their own deliveries');
	is($m->value('ctseg_delivery_requests_total', partner => 'other',
		code => '200'), 4, '... and the rest has some together');
	is($m->value('ctseg_delivery_duration_seconds_count',
		partner => 'other'), 4, '... with their time');
	is(scalar $m->labels('ctseg_partner_paused', 'partner'), 260,
		'each can be paused by itself');
	$t->finish;
}

done_testing;


# ---- helpers ----

sub hold_shim {
	my $shim = ($ENV{CTSEG_BUILD} || Ctseg::Nginx::top() . '/build')
		. '/ctseg_hold.so';
	-e $shim or die "$shim: not built, see make shims\n";
	return $shim;
}

sub scrape {
	my $a = http('GET', $t->url(1, '/metrics'));
	die "metrics: $a->{status} $a->{body}" unless $a->{status} == 200;
	return Ctseg::Prom->new($a->{body});
}

sub post { return http_json('POST', @_) }

# names for what changes

sub code { return "ctseg_collect_requests_total\0code=$_[0]" }
sub refused { return "ctseg_events_refused_total\0reason=$_[0]" }

# one commit of so many events

sub commit {
	my ($n) = @_;
	return (ctseg_commit_events_count => 1, ctseg_commit_events_sum => $n,
		ctseg_commit_duration_seconds_count => 1);
}

# Which counts change by what is done, and by how much; all others stay.  One
# that is counted when nginx logs the request comes a moment after its answer.

sub changes {
	my ($what, $sub, %want) = @_;
	my $x = scrape();
	$sub->();
	my %have;
	eval {
		wait_for {
			my $y = scrape();
			%have = difference($x, $y, \%want);
			!grep { ($have{$_} // 0) < $want{$_} } keys %want;
		} 20, $what;
	};
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply(\%have, \%want, $what);
	return;
}

sub difference {
	my ($x, $y, $want) = @_;
	my %diff;
	for my $key (keys %{$y->{sample}}) {
		my $family = $y->{of}{$key};
		next if !$names{$family} || $names{$family} eq 'gauge';
		next if $key =~ /^(?:ctseg_commit_duration_seconds_sum|
			ctseg_\w+_bucket)\b/x;
		next if $key =~ /^ctseg_commit_/ && !exists $want->{$key}
			&& exists $want->{ctseg_commit_events_sum};
		my $by = $y->{sample}{$key} - ($x->{sample}{$key} // 0);
		$diff{$key} = $by if $by;
	}
	return %diff;
}

sub sum_of_codes {
	my ($x) = @_;
	my $sum = 0;
	$sum += $x->value('ctseg_collect_requests_total', code => $_)
		for grep { $_ ne 'other' }
		$x->labels('ctseg_collect_requests_total', 'code');
	return $sum;
}

# pid => a connection that it has accepted

sub two_workers {
	my %have;
	for (1 .. 500) {
		my $c = Ctseg::Client->new($t->port(1))->connect;
		my $a = $c->request('GET', '/metrics');
		$have{$a->{headers}{'x-worker'}} //= $c;
		last if keys %have == 2;
	}
	return %have;
}

sub totals {
	my ($x, $export, @want) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply([ map { $x->value('ctseg_export_events_total',
		export => $export, verdict => $_) }
		qw/ sent filtered rejected / ], \@want, 'its events add up');
	return;
}

sub waiting {
	my ($x, $export) = @_;
	return map { $x->value("ctseg_export_$_", export => $export) }
		qw/ waiting_events oldest_waiting_seconds /;
}

# between two slots, after so many runs

sub ran {
	my ($export, $number) = @_;
	return wait_for {
		my $x = $api->show($export);
		$x->{status} eq 'PENDING' && $x->{last_run}
			&& $x->{last_run}{number} == $number && $x;
	} 20, "run $number";
}

# the scheduler has a task now and then, but never for long

sub rests {
	my ($when) = @_;
	ok(eval { wait_for { scrape()->value('ctseg_tasks_in_flight') == 0 }
		20, 'rest' }, "at rest nothing is in flight, $when");
	return;
}
