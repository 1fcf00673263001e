#!/usr/bin/env perl

# Several workers, one store.  Sixteen connections to two workers, and to
# four: Segment gets exactly what was sent, each event with its own name,
# time, identity and properties, compared as JSON text.  The events have
# numbers and everything else follows from the number, so that two events
# which got mixed up cannot both look right.  A second partner gets the same
# under other ids, since Segment tells messages apart across all of its
# customers.  A worker that is killed while it sends leaves its run to
# another one at once, not when a lease ends after 30 seconds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Client qw/ http_json parallel_posts wait_for /;
use Ctseg::Data qw/ record @catalog /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $conf = <<'EOF';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    log_format ctseg '$pid $ctseg_collected';
    access_log off;

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        # so that the kernel deals connections out evenly

        listen 127.0.0.1:%%PORT_1%% reuseport;

        location = /1/upload {
            ctseg_collect;
            access_log %%TESTDIR%%/upload.log ctseg;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us requests=10000 events=1000000;
    }
}

EOF

my $total = 5000;
my $each = 10;
my $now = int(time) - 3600;
my ($t, $s);

for my $workers (2, 4) {
	$t = Ctseg::Nginx->new(workers => $workers, env => { TZ => 'UTC' });
	$s = Ctseg::Segment->new(dir => $t->testdir);
	$t->set_port(9, $s->port)->conf($conf)->run;

	collect($workers);
	first($workers);
	second($workers);
	killed($workers);

	$t->finish;
}

done_testing;


# ---- the events ----

# what number n looks like: (name, ms, userId, anonymousId, properties)

sub event {
	my ($n) = @_;
	my $user = $n % 3 ? "u$n" : '';
	my $anon = $n % 3 == 1 ? '' : "_o$n";
	my @odd = ("\"n\":$n", '"big":12345678901234567' . (100 + $n % 900),
		"\"text\":\"M\xc3\xbcnchen \\\"$n\\\" \\u00e9\\n\"",
		"\"neg\":-0.$n", '"exp":1e4' . ($n % 10), '"no":null',
		'"yes":' . ($n % 2 ? 'true' : 'false'), "\"$n\":\"key\"");

	return ($catalog[$n % @catalog], $now * 1000 + $n, $user, $anon,
		'{' . join(',', @odd) . '}');
}

sub collect {
	my ($workers) = @_;
	my @bodies;

	for my $i (0 .. $total / $each - 1) {
		my @d;
		for my $n ($i * $each .. $i * $each + $each - 1) {
			my ($name, $ms, $user, $anon, $props) = event($n);
			push @d, '{"type":"event","ts":' . $ms
				. ($user && ",\"identity\":\"$user\"")
				. ($anon && ",\"objectId\":\"$anon\"")
				. ",\"evtName\":\"$name\",\"evtData\":$props}";
		}
		push @bodies, '{"d":[' . join(',', @d) . ']}';
	}

	my @r = parallel_posts($t->port(1), '/1/upload', \@bodies,
		connections => 16);
	is(scalar(grep { $_->{status} == 200 && $_->{body} =~
		/"status":"success","processed":$each,/ } @r), scalar @bodies,
		"$total events by 16 connections to $workers workers");
	is(api('GET', '/status')->{sequence}{last}, $total,
		'the log has no gaps');

	my %by;
	$by{$_}++ for $t->read_file('upload.log') =~ /^(\d+) 10$/mg;
	cmp_ok(scalar(keys %by), '>', 1, 'more than one worker took them');
	diag 'bodies by worker: ' . join ', ', sort { $a <=> $b } values %by;
	return;
}


# ---- exports ----

my %first;

sub first {
	my ($export) = export('first');
	my $run = done($export);
	is("$run->{scanned} $run->{sent} $run->{filtered} $run->{rejected} "
		. $run->{waiting}, "$total $total 0 0 0", 'the run is DONE');

	my (%seen, @wrong);
	%first = ();
	$s->each_event(sub {
		my ($e) = @_;
		my ($n) = $e->{raw} =~ /"properties":\{"n":(\d+),/;
		$n //= -1;
		my ($name, $ms, $user, $anon, $props) = event($n);
		my $ts = strftime('%Y-%m-%dT%H:%M:%S', gmtime int($ms / 1000))
			. sprintf '.%03dZ', $ms % 1000;
		my $members = '{"type":"track","messageId":"' . $e->{id} . '"'
			. ($user ne '' ? ",\"userId\":\"$user\"" : '')
			. ($anon ne '' ? ",\"anonymousId\":\"$anon\"" : '')
			. ",\"event\":\"$name\",\"timestamp\":\"$ts\","
			. "\"properties\":$props}";
		push @wrong, "not $members, but $e->{raw}"
			if $e->{raw} ne $members;
		$seen{$n}++;
		$first{$e->{id}}++;
	});

	is(scalar @wrong, 0, 'each message is what its event was')
		or diag $wrong[0];
	is(scalar(grep { ($seen{$_} // 0) != 1 } 0 .. $total - 1), 0,
		'each event arrives once');
	is(scalar(keys %seen), $total, 'and no others');
	is(scalar(keys %first), $total, 'under ids of their own');
	is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
	return;
}

sub second {
	$s->forget;
	done(export('second'));
	my %ids = $s->unique_ids;
	is(scalar(keys %ids), $total, 'a second partner gets all of them');
	is(scalar(grep { $first{$_} } keys %ids), 0, 'under other ids');
	is(scalar(keys %{{ $s->property_counts('n') }}), $total,
		'the same events');
	is(scalar(grep { $_->{write_key} ne 'key-of-second' } $s->requests), 0,
		'by its own key');
	return;
}

# the worker of a run is killed while Segment holds back some answers

sub killed {
	my ($workers) = @_;
	$s->forget;
	$s->default(hold => 1);
	my $mark = length $t->error_log;

	for my $n (1 .. 20) {
		my @r = parallel_posts($t->port(1), '/1/upload', [ '{"d":['
			. join(',', map { record(n => $total + $n * 400 + $_,
			pad => 1500) } 1 .. 400) . ']}' ]);
		$r[0]{status} == 200 or die "fill: $r[0]{status}\n";
	}
	my $all = api('GET', '/status')->{sequence}{last};
	my $export = export('third');

	step(3);
	my ($owner) = substr($t->error_log, $mark)
		=~ /\[notice\] (\d+)#\d+: ctseg: export $export->{id}, run 1/;
	ok((grep { $_ == $owner } $t->worker_pids), 'a worker has the run');

	my $requests = $s->stats->{requests};
	my $start = time;
	$t->kill_worker($owner);
	wait_for { $s->stats->{requests} > $requests } 20,
		'another one to go on';
	my $seconds = time - $start;
	diag sprintf 'taken over after %.2f s', $seconds;
	cmp_ok($seconds, '<', 15, 'its run is taken over before a lease ends');

	$s->default;
	$s->release;
	my $run = done($export);
	is("$run->{scanned} $run->{sent} $run->{rejected} $run->{waiting}",
		"$all $all 0 0", 'nothing is lost, as the run says');
	is(api('GET', "/exports/$export->{id}/runs")->{total}, 1,
		'which is the same run');
	is($s->count_unique, $all, 'all of it arrives');
	is_deeply([ $s->violations ], [],
		'and what came again had the same ids');
	return;
}

sub api {
	my ($method, $path, $data) = @_;
	return http_json($method, $t->url(1, "/ctseg/api$path"),
		$data)->{json};
}

sub export {
	my ($name) = @_;
	my $partner = api('POST', '/partners', { nickname => $name,
		write_key => "key-of-$name" });
	return api('POST', '/exports', { partner_id => $partner->{id},
		type => 'event', events => { set => 'selected',
		names => \@catalog }, frequency => { kind => 'one_time',
		range => 'last_7_days' } });
}

# Segment holds every answer back, and lets the oldest n go one by one; then
# there are some under way (one that waits in front stops the others, so how
# many is not for us to say): their number

sub step {
	my ($n) = @_;
	for (1 .. $n) {
		wait_for { $s->stats->{held} } 20, 'a held answer';
		$s->release(1);
	}
	return wait_for { my $held = $s->stats->{held}; $held > 1 && $held }
		20, 'held answers';
}

# wait for DONE; its run

sub done {
	my ($export) = @_;
	wait_for { api('GET', "/exports/$export->{id}")->{status} eq 'DONE' }
		30, 'DONE';
	return api('GET', "/exports/$export->{id}/runs/1");
}
