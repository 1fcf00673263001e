#!/usr/bin/env perl

# Segment refuses a batch for what is in it.  It is halved until the culprits
# stand alone; they are kept with the reason, and their neighbors are
# delivered, each once.  Where everything is refused, it is not the events: the
# partner pauses, and the log is not thrown away.  What could fool it: a test
# that only counts, so what Segment took and what is kept are compared by
# number.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ json_decode wait_for /;
use Ctseg::Data qw/ record /;
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

    ctseg_store %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
            client_max_body_size 8m;
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
my $events = 1000;
my %poison = map { $_ => 'Poison' } 1, 500, 501, 999;
$poison{700} = 'Large';
my @good = grep { !$poison{$_} } 0 .. $events - 1;

$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map { record(
	n => $_, props => $poison{$_} ? "\"p\":\"$poison{$_}\"" : '') }
	0 .. $events - 1) . ']}');

my @rules = ({ when => { contains => 'Poison' }, status => 400,
	body => "{\"code\":\"invalid\",\"message\":\"\x{7f}no\"}" },
	{ when => { contains => 'Large' }, status => 413, body => '' });
$s->rules(@rules);


# ---- five culprits among a thousand ----

my $id = $api->export($api->partner(write_key => 'halved'));
my $run = $api->until($id, 'DONE', 60)->{last_run};
is_deeply([ @{$run}{qw/ scanned sent filtered rejected / } ],
	[ $events, $events - 5, 0, 5 ], 'five are rejected');
is($run->{rejected_by_reason}{refused}, 5, '... since they were refused');
is_deeply(taken('halved'), { map { $_ => 1 } @good },
	'the others are delivered, each once');
my $posts = () = of('halved');
is($posts, cost(0, $events, sort { $a <=> $b } keys %poison),
	'in so many requests as halving takes');
cmp_ok($posts, '<=', 1 + 2 * 5 * log2($events), '... at most 2k log2 n');

my $r = $api->get("/exports/$id/rejected");
is($r->{status}, 200, 'the rejected ones are listed');
is_deeply([ map { $_->{sequence} } @{$r->{json}{items}} ],
	[ 1000, 701, 502, 501, 2 ], '... newest first');
my ($first, $large) = @{$r->{json}{items}};
is_deeply([ @{$first}{qw/ run reason status answer / } ], [ 1, 'refused', 400,
	'{"code":"invalid","message":"?no"}' ], '... with what was answered');
is_deeply([ @{$large}{qw/ reason status answer / } ], [ 'refused', 413, '' ],
	'... whatever that was');
is($first->{message}{properties}{n}, 999, '... and the message');
my ($sent) = grep { $_->{messageId} eq $first->{message}{messageId} }
	map { @{json_decode($s->body($_))->{batch}} } of('halved');
is_deeply($first->{message}, $sent, '... as it was sent');
is_deeply([ map { $_->{sequence} } @{$api->get("/exports/$id/rejected?"
	. 'per_page=10&page=2')->{json}{items}} ], [], 'there is one page');


# ---- a crash in the middle ----

$id = $api->export($api->partner(write_key => 'crashed'));
wait_for { of('crashed') >= 12 } 20, 'some halves';
$t->kill9;
$t->restart;
$run = $api->until($id, 'DONE', 60)->{last_run};
is_deeply([ @{$run}{qw/ scanned sent filtered rejected / } ],
	[ $events, $events - 5, 0, 5 ], 'after a crash the same');
is_deeply([ sort { $a <=> $b } keys %{taken('crashed')} ], \@good,
	'... is delivered');
is($api->get("/exports/$id/rejected")->{json}{total}, 5, '... and rejected');


# ---- purge ----

is($api->delete("/exports/$id/rejected")->{status}, 204, 'a purge');
is($api->get("/exports/$id/rejected")->{json}{total}, 0, '... forgets them');
is($api->show($id)->{last_run}{rejected}, 5,
	'... but not how many there were');
is($api->delete("/exports/$id/rejected")->{status}, 204, 'a second one');
is($api->get('/exports/ffffffffffffffffffff/rejected')->{status}, 404,
	'there is none of no export');


# ---- live: one comes alone ----

$id = $api->export($api->partner(write_key => 'live'),
	frequency => { kind => 'live' });
$api->until($id, 'RUNNING');
for my $n (2000 .. 2002) {
	$api->upload($t->url(1, '/1/upload'), '{"d":[' . record(n => $n,
		props => $n == 2001 ? '"p":"Poison"' : '') . ']}');
	wait_for { my $x = $api->show($id)->{progress};
		$x->{sent} + $x->{rejected} == $n - 1999 } 20, "event $n";
}
is_deeply(taken('live'), { 2000 => 1, 2002 => 1 },
	'a live export passes over one that is refused');


# ---- culprits side by side ----

# more of them in a row than it takes for a pause: that others of the batch are
# taken meanwhile shows that it is them

my $side = $api->export($api->partner(write_key => 'side'),
	frequency => { kind => 'live' });
$api->until($side, 'RUNNING');
$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map { record(
	n => $_, props => $_ < 3300 || $_ > 3319 ? '' : '"p":"Poison"') }
	3000 .. 3999) . ']}');
verdicts($side, 1000);
is_deeply(taken('side'), { map { $_ => 1 } 3000 .. 3299,
	3320 .. 3999 }, 'twenty side by side do not stop the others');
is($api->get("/exports/$side/rejected")->{json}{total}, 20,
	'... and are rejected');

# the last answer may be that to a culprit, and they are counted in a row

$api->upload($t->url(1, '/1/upload'), '{"d":[' . record(n => 4017) . ']}');
verdicts($side, 1001);

# nothing but culprits looks as if everything was refused, until something else
# comes: that is tried first, and shows that it is them

$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map { record(
	n => $_, props => '"p":"Poison"') } 4000 .. 4015) . ']}');
my $owner = $api->show($side)->{partner_id};
wait_for { $api->get("/partners/$owner")->{json}{health}{state} eq 'paused' }
	30, 'a pause';
rejected($side, 28);
pass('culprits alone make their partner pause');
$api->upload($t->url(1, '/1/upload'), '{"d":[' . record(n => 4016) . ']}');
wait_for { $api->show($side)->{last_run}{to_sequence} == $events + 1021 } 20,
	'it waits with them';

# the edit tries what is loaded, and if that is a culprit the pause goes on

for my $try (1 .. 20) {
	is($api->patch("/partners/$owner", { nickname => "try $try" })
		->{status}, 200, 'its time has come');
	last if eval { verdicts($side, 1018, 3); 1 };
	die $@ if $@ !~ /^waited/ || $try == 20;
}
is(taken('side')->{4016}, 1, 'an event behind them is taken');
is($api->get("/exports/$side/rejected")->{json}{total}, 36,
	'... and they are rejected');
is($api->post("/exports/$side/stop")->{status}, 200, 'enough of that');


# ---- everything is refused ----

$s->rules({ when => { write_key => 'all' }, status => 400 });
my $partner = $api->partner(write_key => 'all');
$id = $api->export($partner);
wait_for { $api->get("/partners/$partner")->{json}{health}{state} eq 'paused' }
	30, 'a pause';
rejected($id, 8);
pass('when eight in a row are refused, the partner pauses');
my $e = $api->show($id);
is($e->{status}, 'RUNNING', '... and the rest waits');
my $well = $api->export($api->partner(write_key => 'well'));
is($api->until($well, 'DONE', 60)->{last_run}{rejected}, 0,
	'... while another partner gets all of it');

$s->rules();
is($api->patch("/partners/$partner", { write_key => 'cured' })->{status}, 200,
	'a cure');
$run = $api->until($id, 'DONE', 60)->{last_run};
is_deeply([ @{$run}{qw/ sent rejected / } ], [ $events + 1021 - 8, 8 ],
	'... and what waited is sent');

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# ---- helpers ----

# requests for a batch of the events from one number up to another, of which
# some are culprits: its first half has the one in the middle

sub cost {
	my ($from, $to, @culprits) = @_;
	@culprits = grep { $_ >= $from && $_ < $to } @culprits;
	return 1 if !@culprits || $to - $from == 1;
	my $middle = $from + int(($to - $from + 1) / 2);
	return 1 + cost($from, $middle, @culprits)
		+ cost($middle, $to, @culprits);
}

sub verdicts {
	my ($export, $want, $seconds) = @_;
	wait_for { my $p = $api->show($export)->{progress};
		$p->{sent} + $p->{rejected} == $want } $seconds // 60,
		"$want verdicts";
	return;
}

# a pause may be seen before the last of those that led to it is stored

sub rejected {
	my ($export, $want) = @_;
	wait_for { $api->get("/exports/$export/rejected")->{json}{total}
		== $want } 20, "$want that are rejected";
	return;
}

sub log2 { return log($_[0]) / log 2 }

sub of { my ($key) = @_; return grep { $_->{write_key} eq $key } $s->requests }

# number => how often it was taken under a key

sub taken {
	my ($key) = @_;
	my %n;
	for my $request (grep { ($_->{status} // 0) == 200 } of($key)) {
		$n{$_}++ for $s->body($request)
			=~ /"properties":\{"n":(\d+)/g;
	}
	return \%n;
}
