#!/usr/bin/env perl

# The client's own id of an event ($id): within 24 hours the event is stored
# once, however often and by whatever way it comes, and the client is told
# each time that it was taken.  What is stored is counted at Segment, where
# each event shows by its number; the repeated ones carry the same number, so
# that two of them would be seen as two messages.  A server that forgets ids
# when it dies, that marks an event it has not stored, that compares the ids
# of one body or of one worker only, or that throws away what has no id, would
# be seen too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Ctseg::Client qw/ http_json parallel_posts wait_for json_decode /;
use Ctseg::Clock;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Prom;
use Ctseg::Segment;

my $day = 86400;
my $clock = Ctseg::Clock->new;
my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOF')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    log_format ctseg '$pid $status $ctseg_collected';
    access_log off;

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;

    server {
        # so that the kernel deals connections out evenly

        listen 127.0.0.1:%%PORT_1%% reuseport;

        location = /1/upload {
            ctseg_collect;
            access_log %%TESTDIR%%/upload.log ctseg;
        }

        location = /metrics {
            ctseg_metrics;
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

my %want;		# number => how often it has to be at Segment


# ---- in one body, and in the next ----

takes('five records, of which three are one event', 5, 3,
	record(n => 1, key => 'a'), record(n => 2, key => 'b'),
	record(n => 1, key => 'a'), record(n => 3, key => 'c'),
	record(n => 1, key => 'a'));
@want{1 .. 3} = (1) x 3;
takes('the same once more', 3, 0, map { record(n => $_->[0],
	key => $_->[1]) } [ 1, 'a' ], [ 2, 'b' ], [ 3, 'c' ]);
takes('something old and something new', 3, 1, record(n => 2, key => 'b'),
	record(n => 4, key => 'd'), record(n => 3, key => 'c'));
$want{4} = 1;

takes('an id in other letters', 3, 1, record(n => 1, key => '\u0061'),
	record(n => 5, key => 'A'), record(n => 5, key => '\u0041'));
$want{5} = 1;

# a number is its text

takes('a number', 1, 1, record(n => 6, key => '17'));
takes('... is the same id', 1, 0,
	record(n => 6, key => 'x') =~ s/"x"/17/r);
$want{6} = 1;

takes('the events without an id', 4, 4, (record(n => 7)) x 4);
takes('... are all different', 3, 2, record(n => 7),
	record(n => 1, key => 'a'), record(n => 7));
$want{7} = 6;

# what is refused was not stored, so its id is free

my $bad = post(record(n => 8, key => 'e', id => 'none'));
is($bad->{json}{status}, 'fail', 'a record that is refused');
takes('... and mended', 1, 1, record(n => 8, key => 'e'));
$want{8} = 1;

my $dry = post(record(n => 9, key => 'f'), '?dryRun=1');
is($dry->{json}{processed}, 1, 'a dry run takes it');
takes('... and stores nothing of it', 1, 1, record(n => 9, key => 'f'));
$dry = post(record(n => 9, key => 'f'), '?dryRun=1');
is($dry->{json}{processed}, 1, 'nor is it asked what is stored');
$want{9} = 1;


# ---- what is counted ----

my $m = Ctseg::Prom->new(http_json('GET', $t->url(1, '/metrics'))->{body});
is($m->value('ctseg_events_collected_total'), 14, 'stored events');
is($m->value('ctseg_events_repeated_total'), 2 + 3 + 2 + 2 + 1 + 1,
	'repeated ones');
is($m->sum('ctseg_events_refused_total'), 1, 'and one refused');
is(http_json('GET', $t->url(1, '/ctseg/api/status'))->{json}
	{sequence}{last}, 14, 'so many are in the log');


# ---- over two workers at once ----

# 120 events in bodies of 12, each event in six bodies with other neighbors,
# every third one without an id

my (@bodies, $bare);
for my $step (1, 7, 11, 13, 17, 19) {
	my @n = map { 1000 + $_ * $step % 120 } 0 .. 119;
	while (my @some = splice @n, 0, 12) {
		push @bodies, '{"d":[' . join(',', map { record(n => $_,
			$_ % 3 ? (key => "id $_") : ()) } @some) . ']}';
	}
}
$want{1000 + $_} = (1000 + $_) % 3 ? 1 : 6 for 0 .. 119;

my @r = parallel_posts($t->port(1), '/1/upload', \@bodies,
	connections => 24);
is(scalar(grep { $_->{status} == 200
	&& json_decode($_->{body})->{processed} == 12 } @r), 60,
	'sixty bodies with a hundred and twenty events are taken');

my %pid;
wait_for {
	%pid = map { /^(\d+) / ? ($1 => 1) : () }
		split /\n/, $t->read_file('upload.log');
	keys %pid == 2;
} 10, 'both workers in the log';
pass('... by both workers');


# ---- the power fails before the answer ----

# the clients know of some answers only and send everything again

my $lost = 0;
for my $round (1 .. 6) {
	my $from = 2000 + $round * 400;
	my @again = map { my $i = $_; '{"d":[' . join(',', map {
		record(n => $from + $i * 5 + $_, key => "p$from/$i/$_",
		pad => 300) } 0 .. 4) . ']}' } 0 .. 79;
	my $answers = 0;
	my @got = parallel_posts($t->port(1), '/1/upload', \@again,
		connections => 16, on_answer => sub {
			$t->kill9 if ++$answers == $round * 9;
			return $answers < $round * 9;
		});
	$lost += grep { $_->{error} && $_->{error} ne 'not sent' } @got;
	$t->run;

	my @all = parallel_posts($t->port(1), '/1/upload', \@again,
		connections => 16);
	is(scalar(grep { $_->{status} == 200 } @all), 80,
		"round $round: all is sent again");
	@want{$from .. $from + 399} = (1) x 400;
}
cmp_ok($lost, '>', 6, "$lost bodies were sent and not answered");


# ---- a day later ----

$clock->advance($day - 600);
takes('shortly before a day has passed', 2, 1, record(n => 1, key => 'a'),
	record(n => 10, key => 'g'));
$want{10} = 1;

$clock->advance(1200);
takes('shortly after it', 3, 2, record(n => 1, key => 'a'),
	record(n => 10, key => 'g'), record(n => 2, key => 'b'));
$want{1}++;
$want{2}++;
takes('... it counts anew', 2, 0, record(n => 1, key => 'a'),
	record(n => 2, key => 'b'));


# ---- at Segment ----

my $partner = api('POST', '/partners', { nickname => 'one', region => 'us',
	write_key => 'key-one' });
my $export = api('POST', '/exports', { partner_id => $partner->{id},
	type => 'event', events => { set => 'selected',
	names => [ 'App Launched' ] },
	frequency => { kind => 'one_time', range => 'last_7_days' } });
wait_for { api('GET', "/exports/$export->{id}")->{status} eq 'DONE' } 30,
	'the export';

my %got = $s->property_counts('n');
my @wrong = grep { ($got{$_} // 0) != ($want{$_} // 0) }
	sort { $a <=> $b } keys %{{ %got, %want }};
is(scalar @wrong, 0, 'each event is at Segment as often as it should') or
	diag(join ' ', map { "$_:" . ($got{$_} // 0) . '/'
	. ($want{$_} // 0) } splice @wrong, 0, 30);
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');

$t->finish;


# ---- more ids than there is room for ----

# an eighth of 4 MB holds eight thousand or so

$t = Ctseg::Nginx->new(env => { TZ => 'UTC' });
$t->conf(<<'EOF')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    access_log off;

    ctseg_store %%TESTDIR%%/store events=4m state=1m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api;
        }
    }
}

EOF

my $forgotten = qr/\[warn\].*ids of events are forgotten before 24 hours/;
my @thousand = map { my $i = $_; join ',', map { record(n => 1,
	key => "$i/$_") } 1 .. 1000 } 0 .. 13;

takes("thousand $_ of ids", 1000, 1000, $thousand[$_]) for 0 .. 4;
unlike($t->error_log, $forgotten, 'there is room for five thousand');
takes("thousand $_ of ids", 1000, 1000, $thousand[$_]) for 5 .. 13;
is(() = $t->error_log =~ /$forgotten/g, 1,
	'for fourteen there is not, which is told once');
takes('the youngest are still known', 1000, 0, $thousand[13]);

$t->finish;
done_testing;


# ---- helpers ----

sub post {
	my ($records, $args) = @_;
	return http_json('POST', $t->url(1, '/1/upload' . ($args // '')),
		'{"d":[' . $records . ']}');
}

# so many records are acknowledged, so many of them are stored

sub takes {
	my ($what, $processed, $stored, @records) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = api('GET', '/status')->{sequence}{last} // 0;
	my $r = post(join ',', @records);
	my $after = api('GET', '/status')->{sequence}{last} // 0;
	is_deeply([ $r->{status}, $r->{json}, $after - $before ], [ 200, {
		status => 'success', processed => $processed,
		unprocessed => [] }, $stored ], $what) or diag explain $r;
	return;
}

sub api {
	my ($method, $path, $data) = @_;
	my $r = http_json($method, $t->url(1, "/ctseg/api$path"), $data);
	die "$method $path: $r->{status} $r->{body}\n"
		if $r->{status} >= 300;
	return $r->{json};
}
