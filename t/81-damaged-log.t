#!/usr/bin/env perl

# Blocks of the log whose bytes are not what they were: the first and the last
# one, in the directory and in the header, alone and next to each other, and
# one that lacks single events.  A run counts exactly these as damaged, sends
# all others once, names each place in the error log once, and is done; so is
# the next one, and what comes later is sent as ever.  What could fool it:
# damage that misses, so the number of places that were changed is looked at;
# and sums alone, so what Segment got is compared event by event.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use List::Util qw/ sum0 /;
use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ http wait_for /;
use Ctseg::Data qw/ upload_body /;
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

        location = /1/upload {
            ctseg_collect;
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

        ctseg_segment us /segment/us;
    }
}

EOC

# eight blocks; their numbers in the log begin with 1, those of the data with 0

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $live = $api->export($api->partner(write_key => 'live'),
	frequency => { kind => 'live' });
$api->until($live, 'RUNNING');
$api->upload($t->url(1, '/1/upload'), upload_body(100, from => 100 * $_,
	names => [ 'App Launched' ])) for 0 .. 7;
wait_for { keys %{taken('live')} == 800 } 20, 'the live export';
is($api->get('/status')->{json}{store}{events}{commits}, 8, 'eight blocks');
$t->quit;

my $bytes = $t->read_file('store/events/data.mdb');
damage(1, 64 + 40);		# the first, in its directory
damage(201, 30);		# two headers in a row
damage(301, 63);
damage(501, 64 + 790);
record(601, 10, 11);		# two records next to each other
damage(701, 0);			# the last
$t->write_file('store/events/data.mdb', $bytes)->run;

my @good = (100 .. 199, 400 .. 499, 600 .. 609, 612 .. 699);
my @at = (1, 201, 501, 611, 701);


# ---- two runs ----

for my $key (qw/ one two /) {
	my $id = $api->export($api->partner(write_key => $key));
	my $run = $api->until($id, 'DONE')->{last_run};
	is_deeply([ @{$run}{qw/ status scanned sent filtered rejected / } ],
		[ 'succeeded', 800, 298, 0, 502 ], "$key: a run counts all");
	is($run->{rejected_by_reason}{damaged}, 502, '... what is damaged');
	is_deeply(taken($key), { map { $_ => 1 } @good },
		'... and sends the others, each once');
	is_deeply([ places($id) ], \@at, '... and names each place once');
	is($api->get("/exports/$id/rejected")->{json}{total}, 0,
		'... of which there is nothing to list');
}
my ($violations) = http('GET', $t->url(1, '/metrics'))->{body}
	=~ /^ctseg_invariant_violations_total (\d+)/m;
is($violations, 2 * @at, 'the metrics count them');


# ---- halves ----

$s->rules({ when => { contains => '"n":450}' }, status => 400 });
my $id = $api->export($api->partner(write_key => 'halved'));
my $run = $api->until($id, 'DONE')->{last_run};
is_deeply([ $run->{sent}, @{$run->{rejected_by_reason}}{qw/ damaged refused /}
	], [ 297, 502, 1 ], 'what is halved meets it once');
is_deeply([ places($id) ], \@at, '... in the log as well');
$s->rules();


# ---- what looks at the log otherwise ----

my $p = $api->post('/exports/preview', { partner_id => $api->partner,
	frequency => { kind => 'one_time', range => 'last_7_days' } });
is($p->{status}, 200, 'a preview');
is_deeply([ @{$p->{json}}{qw/ waiting sent /},
	$p->{json}{rejected_by_reason}{damaged} ], [ 0, 298, 502 ],
	'... has the same numbers');

$api->upload($t->url(1, '/1/upload'), upload_body(10, from => 1000,
	names => [ 'App Launched' ]));
wait_for { keys %{taken('live')} == 810 } 20, 'what comes later';
is($api->show($live)->{last_run}{rejected}, 0, 'what was sent stays sent');
$id = $api->export($api->partner(write_key => 'later'));
is_deeply([ @{$api->until($id, 'DONE')->{last_run}}{qw/ sent rejected /} ],
	[ 308, 502 ], 'the last block ends before the next one');

is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
done_testing;


# ---- helpers ----

# where the blocks of a hundred events are that begin with this number

sub blocks {
	my ($first) = @_;
	my $head = quotemeta pack('V', 2) . pack('VQ<', 100, $first);
	my @places;
	push @places, $-[0] while $bytes =~ /$head/g;
	return @places;
}

# flip a bit of such a block

sub damage {
	my ($first, $at) = @_;
	my @places = blocks($first);
	substr($bytes, $_ + $at, 1) ^= "\x04" for @places;
	cmp_ok(@places, '>', 0, "the block at $first is damaged");
	return;
}

# flip a bit of the records with these places in it; the directory, eight bytes
# each, has their sizes

sub record {
	my ($first, @n) = @_;
	for my $block (blocks($first)) {
		my @size = map { unpack('V', substr($bytes, $block + 64
			+ 8 * $_, 4)) & 0xffffff } 0 .. 99;
		for my $n (@n) {
			my $at = $block + 64 + 800 + sum0(@size[0 .. $n - 1]);
			substr($bytes, $at + 20, 1) ^= "\x04";
		}
	}
	cmp_ok(blocks($first), '>', 0, "the block at $first lacks events");
	return;
}

# where the error log says that the log is damaged, to the run of an export

sub places {
	my ($id) = @_;
	return $t->error_log =~ /$id, run 1: the log is damaged at (\d+),/g;
}

# number => how often it was taken under a key

sub taken {
	my ($key) = @_;
	my %n;
	for my $request (grep { $_->{write_key} eq $key
		&& ($_->{status} // 0) == 200 } $s->requests)
	{
		$n{$_}++ for $s->body($request)
			=~ /"properties":\{"n":(\d+)/g;
	}
	return \%n;
}
