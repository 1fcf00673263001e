#!/usr/bin/env perl

# The power fails, again and again: while events come in and while they go
# out.  What a client was told is there has to be at Segment in the end, once;
# what it was not told may be, but then its whole body.  SIGKILL hits master
# and workers together, at a moment that neither client nor server chooses:
# the clients are processes of their own, and only they know what they were
# told.  A store that answers before the commit, a run that begins anew with
# other batches, or a checkpoint ahead of an answer would be seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Ctseg::Client qw/ http_json parallel_posts wait_for /;
use Ctseg::Data qw/ upload_body @catalog /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $rounds = 20;
my $posts = 250;		# bodies a round
my $each = 3;			# events a body

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOF')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    access_log off;

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size 2m;

        location = /1/upload {
            ctseg_collect;
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

my $installation = api('GET', '/status')->{installation_id};


# ---- while events come in ----

my (%acked, @at);

for my $round (0 .. $rounds - 1) {
	my @bodies = map { upload_body($each, pad => 600,
		from => ($round * $posts + $_) * $each) } 0 .. $posts - 1;
	my $moment = 1 + int rand($posts * 0.8);

	pipe my $in, my $out or die "pipe: $!\n";
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		close $in;
		parallel_posts($t->port(1), '/1/upload', \@bodies,
			connections => 16, on_answer => sub {
				my ($i, $answer) = @_;
				syswrite $out, "$i\n"
					if $answer->{status} == 200;
				return 1;
			});
		POSIX::_exit(0);
	}
	close $out;

	# so many answers are known; meanwhile the clients go on

	my $told = 0;
	while (defined(my $i = <$in>)) {
		$acked{$round * $posts + $i} = 1;
		$t->kill9 if ++$told == $moment;
	}
	waitpid $pid, 0;
	push @at, $told;

	$t->kill9;
	$t->run;
}

my $acked = keys %acked;
diag "$rounds power cuts, behind @at answers; $acked of " . $rounds * $posts
	. ' bodies acknowledged';
cmp_ok($acked, '<', $rounds * $posts, 'some were not acknowledged');
cmp_ok($acked, '>', $rounds * 10, 'many were');
cmp_ok(scalar(keys %{{ map { $_ => 1 } @at }}), '>', 5,
	'the cuts came at different moments');

my $status = api('GET', '/status');
is($status->{installation_id}, $installation, 'the installation is the same');
is($status->{sequence}{first}, 1, 'the log begins where it did');
my $total = $status->{sequence}{last};
is($total % $each, 0, 'bodies are stored whole');

my $export = export('one');
my $run = done($export, 30);
conserved($run, 'the run');
is($run->{sent}, $total, '... has sent all there is');

is($s->count_unique, $total, 'every message has an id of its own');
is($s->count_accepted, $total, '... and was sent once');

my %sent = $s->property_counts('n');
my %body;
for my $n (keys %sent) {
	$body{int($n / $each)} += $sent{$n};
}
is(scalar(grep { !$body{$_} } keys %acked), 0,
	'every acknowledged body is exported');
is(scalar(grep { $_ != $each } values %body), 0,
	'every exported body is whole, and there once');
is(scalar(grep { $_ >= $rounds * $posts } keys %body), 0,
	'and nobody invented one');
diag scalar(grep { !$acked{$_} } keys %body)
	. ' bodies were stored though nobody knew';
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');


# ---- a start ----

# How long the log is does not matter to it.  What of the log a process has
# looked at lies in its memory; when it was asked for an event and has taken
# one, that must be a small part.  How much the cuts have left depends on when
# they came, so the log gets some more.

my @fill = parallel_posts($t->port(1), '/1/upload', [ map {
	upload_body(400, pad => 1500, from => 1_000_000 + $_ * 400) }
	1 .. 20 ]);
is(scalar(grep { $_->{status} == 200 } @fill), 20, 'some more to send');
$total += 20 * 400;

$t->kill9;
$t->run;
is(api('GET', '/status')->{sequence}{last}, $total, 'a start has it all');
my $log = -s $t->testdir . '/store/events/data.mdb';
cmp_ok($log, '>', 10_000_000, "... which is $log bytes");
my ($looked) = sort { $b <=> $a } map { looked_at($_) } $t->master_pid,
	$t->worker_pids;
cmp_ok($looked, '>', 0, '... and its processes have looked at some');
cmp_ok($looked, '<', 1_000_000, '... but at little of it');


# ---- while they go out, with answers that never arrive ----

# Segment takes some batches and answers; it takes some more, and the power
# fails before their answers leave.  Three times over, with about 300 events a
# batch.

$s->forget;
$s->default(hold => 1, accept => 1);
$export = export('two');

my @held;
for my $cut (1 .. 3) {
	step(4);
	push @held, map { $s->body($_) } grep { !defined $_->{status} }
		$s->requests;
	$t->kill9;
	$s->release;
	$t->run;

	my $now = api('GET', "/exports/$export->{id}");
	is($now->{status}, 'RUNNING', "after cut $cut the export is running");
	conserved(api('GET', "/exports/$export->{id}/runs/1"), '... its run');
}

$s->default;
$s->release;
$run = done($export, 30);
conserved($run, 'in the end the run');
is($run->{sent}, $total, '... has sent each event once, as it counts');
is(api('GET', "/exports/$export->{id}/runs")->{total}, 1,
	'and is still the first one');

cmp_ok(scalar @held, '>=', 6, @held . ' batches were taken without an answer');
my %times;
$times{$_->{body}}++ for $s->batches(all => 1);
is(scalar(grep { ($times{$_} // 0) < 2 } @held), 0,
	'each of them came again, the same bytes');
is($s->count_unique, $total, 'no event is missing');
cmp_ok($s->count_accepted, '>', $total, 'some came twice');
my %ids = $s->unique_ids;
is(scalar(keys %{{ $s->property_counts('n') }}), $total,
	'and those with the same id');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');


# ---- while they go out, at any moment ----

$s->forget;
$s->default(delay => 0.01);
$export = export('three');

my $cuts = 0;
while ($cuts < 8) {
	my $more = 1 + int rand 5;
	my $until = $s->stats->{requests} + $more;
	my $over;
	wait_for { $s->stats->{requests} >= $until || ($over =
		api('GET', "/exports/$export->{id}")->{status} eq 'DONE') }
		20, "$more batches";
	last if $over;
	$t->kill9;
	$cuts++;
	$t->run;
}
$s->default;

$run = done($export, 30);
conserved($run, "after $cuts cuts at any moment the run");
cmp_ok($cuts, '>=', 2, 'there were some');
is($run->{sent}, $total, '... has sent each event once, as it counts');
is($s->count_unique, $total, 'no event is missing');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
diag "$cuts cuts: " . $s->count_accepted . " events taken for $total";

$t->finish;
done_testing;


sub api {
	my ($method, $path, $data) = @_;
	return http_json($method, $t->url(1, "/ctseg/api$path"),
		$data)->{json};
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

# an export of all that was collected, to a partner of its own

sub export {
	my ($name) = @_;
	my $partner = api('POST', '/partners', { nickname => $name,
		write_key => "key-of-$name" });
	return api('POST', '/exports', { partner_id => $partner->{id},
		type => 'event', events => { set => 'selected',
		names => \@catalog },
		frequency => { kind => 'one_time', range => 'last_7_days' } });
}

# wait for DONE; its run

sub done {
	my ($export, $seconds) = @_;
	wait_for { api('GET', "/exports/$export->{id}")->{status} eq 'DONE' }
		$seconds, 'DONE';
	return api('GET', "/exports/$export->{id}/runs/1");
}

# scanned = sent + filtered + rejected, scanned + waiting = the cut

sub conserved {
	my ($run, $name) = @_;
	my ($scanned, $cut) = ($run->{scanned},
		$run->{to_sequence} - $run->{after_sequence});
	ok($scanned == $run->{sent} + $run->{filtered} + $run->{rejected}
		&& $scanned + $run->{waiting} == $cut && $cut == $total,
		"$name: nothing is lost and nothing invented")
		or diag explain $run;
	return;
}

# bytes of the log's file that a process has in memory

sub looked_at {
	my ($pid) = @_;
	open my $in, '<', "/proc/$pid/smaps" or return 0;
	my ($here, $bytes) = (0, 0);
	while (<$in>) {
		$here = m{/store/events/data\.mdb$} if /^[0-9a-f]+-[0-9a-f]+ /;
		$bytes += $1 * 1024 if $here && /^Rss:\s+(\d+) kB/;
	}
	return $bytes;
}
