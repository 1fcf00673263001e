#!/usr/bin/env perl

# The commit clocks itself: while one group is being written the next gathers,
# so many clients share few commits, and a 2xx still leaves only after the
# commit that holds its events.  Both are shown by counting: commits against
# posts, and events in the store after a power cut right behind an answer.  A
# fast disk makes groups small, so half as many commits as posts is all that
# is asserted; how many there were is printed.  A store that commits each post
# for itself would have as many, one that answers first would lose some.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Client qw/ http_json parallel_posts /;
use Ctseg::Data qw/ record upload_body /;
use Ctseg::Nginx;

my $t = Ctseg::Nginx->new;

$t->conf(<<'EOF')->run;

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

        keepalive_requests 100000;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api;
        }
    }
}

EOF


# ---- at rest, nobody waits for company ----

my ($commits, $last) = figures();
my $c = Ctseg::Client->new($t->port(1));
for my $n (1 .. 20) {
	$c->request('POST', '/1/upload', {}, '{"d":[' . record(n => $n)
		. ']}');
}
my ($more, $now) = figures();
is($now - $last, 20, 'twenty events, one after the other');
is($more - $commits, 20, 'are twenty commits');

$c->request('POST', '/1/upload', {}, '{"d":[]}');
$c->request('POST', '/1/upload?dryRun=1', {}, upload_body(100));
$c->request('POST', '/1/upload', {}, '{"d":[7]}');
is((figures())[0], $more, 'nothing to store is no commit');


# ---- under load they share ----

# four processes with 16 connections each, so that the client is not what
# everybody waits for

my ($procs, $posts) = (4, 1500);
my @bodies = map { '{"d":[' . record(n => $_) . ']}' } 1 .. $posts;

($commits, $last) = figures();
my $start = time;

my @pids;
for my $i (1 .. $procs) {
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		my @r = parallel_posts($t->port(1), '/1/upload', \@bodies,
			connections => 16);
		POSIX::_exit((grep { $_->{status} != 200 } @r) ? 1 : 0);
	}
	push @pids, $pid;
}
my $failed = 0;
for my $pid (@pids) {
	waitpid $pid, 0;
	$failed++ if $?;
}

my $seconds = time - $start;
($more, $now) = figures();
my $all = $procs * $posts;

is($failed, 0, "$all posts of one event each, by 64 connections");
is($now - $last, $all, 'all of them are stored');
cmp_ok($more - $commits, '<', $all / 2, 'commits are far fewer than posts');
cmp_ok($more - $commits, '>', 10, 'and yet many');

diag sprintf '%d posts in %d commits, %.1f posts a commit; %.0f posts and '
	. '%.0f commits a second', $all, $more - $commits,
	$all / ($more - $commits), $all / $seconds,
	($more - $commits) / $seconds;


# ---- no answer before the commit ----

# the power fails right behind an answer, while others wait for theirs

my ($acked, $lost, $short) = (0, 0, 0);

for my $round (1 .. 15) {
	my $first = (figures())[1];
	my $answers = 0;

	my @r = parallel_posts($t->port(1), '/1/upload',
		[ map { upload_body(20, from => $_ * 20, pad => 500) }
		1 .. 48 ], connections => 16, on_answer => sub {
			my ($i, $answer) = @_;
			$answers++ if $answer->{status} == 200;
			return 1 if $answers < $round;
			$t->kill9;
			return 0;
		});

	my $got = 20 * grep { $_->{status} == 200 } @r;
	$acked += $got;
	$short++ if $got < 20 * $round;

	$t->run;
	my $kept = (figures())[1] - $first;
	$lost += $got - $kept if $kept < $got;
	$lost += 1 if $kept % 20;
}

is($lost, 0, 'what was answered is there after a power cut');
is($short, 0, 'in each of 15');
cmp_ok($acked, '>=', 20 * 15 * 16 / 2, "$acked events were answered");

$t->finish;
done_testing;


# (commits, last sequence)

sub figures {
	my $s = http_json('GET', $t->url(1, '/ctseg/api/status'))->{json};
	return ($s->{store}{events}{commits}, $s->{sequence}{last});
}
