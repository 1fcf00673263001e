#!/usr/bin/env perl

# Records that do not read any more: a partner, an export, a run.  Each is an
# error where it is asked for by name, and nowhere else: lists show the others,
# exports of others go on, the error log names what is damaged and the status
# counts it.  A list that ends at the first bad record, a scheduler that does,
# or damage that nobody is told of would be seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
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

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
$api->upload($t->url(1, '/1/upload'), upload_body(30,
	names => [ 'App Launched' ]));

my @partner = map { $api->partner } 1 .. 3;
my @export = map { $api->export($partner[0]) } 1 .. 3;
$api->until($_, 'DONE') for @export;
my $live = $api->export($partner[2], frequency => { kind => 'live' });
my $stuck = $api->export($partner[2], frequency => { kind => 'live' });
wait_for { $api->show($_)->{status} eq 'RUNNING' } 20, 'both are live'
	for $live, $stuck;
is($api->get('/status')->{json}{damaged}, 0, 'nothing is damaged');

# two events that Segment refuses, numbers 8 and 9 of the log

$s->rules(map { { when => { write_key => 'picky', contains => "\"n\":$_}" },
	status => 400 } } 7, 8);
my $picky = $api->export($api->partner(write_key => 'picky'));
is($api->until($picky, 'DONE')->{last_run}{rejected}, 2, 'two are refused');
push @partner, $api->show($picky)->{partner_id};
$s->rules();


# ---- every version of some records in the file ----

# type of the record, then a field 1 of bytes: the id

my %type = (partner => 2, export => 4, run => 6);

$t->quit;
my $bytes = $t->read_file('store/state/data.mdb');
for my $what ([ partner => $partner[1] ], [ export => $export[0] ],
	[ run => $export[1] ], [ export => $stuck ])
{
	my ($type, $id) = @$what;
	my $n = $bytes =~ s/\x01(\Q${\ chr $type{$type}}\E)
		(?=\x01\x02.\x00{3}\Q$id\E)/\x7e$1/gsx;
	cmp_ok($n, '>', 0, "a damaged $type");
}
my $refused = $bytes =~ s/\x01(\Q${\ chr 10}\E)
	(?=\x01\x00.{8}\x02\x00\x08\x00{7})/\x7e$1/gsx;
cmp_ok($refused, '>', 0, 'a damaged event that was refused');
$t->write_file('store/state/data.mdb', $bytes)->run;


# ---- each by its name ----

is($api->get("/partners/$partner[1]")->{status}, 500, 'the partner');
is($api->get("/exports/$export[0]")->{status}, 500, 'the export');
is($api->get("/exports/$export[1]/runs/1")->{status}, 500, 'the run');
is($api->get("/exports/$export[1]")->{status}, 500, '... and its export');


# ---- the others ----

my $list = $api->get('/partners')->{json};
is_deeply([ map { $_->{id} } @{$list->{items}} ], [ @partner[3, 2, 0] ],
	'the other partners are listed');
is($list->{total}, 3, '... and counted');
like($t->error_log, qr/record partner\/$partner[1] is damaged/,
	'the log has its key');

$list = $api->get('/exports')->{json};
is_deeply([ map { $_->{id} } @{$list->{items}} ],
	[ $picky, $live, @export[2, 1] ], 'the other exports are listed');
is($list->{items}[3]{last_run}, undef, '... one of them without its run');
like($t->error_log, qr/record export\/\w+ is damaged, and 2 more/,
	'the log has a key and a number');

is_deeply($api->get("/exports/$export[1]/runs")->{json}{items}, [],
	'a run that does not read is left out');
$list = $api->get("/exports/$picky/rejected")->{json};
is_deeply([ map { $_->{sequence} } @{$list->{items}} ], [ 9 ],
	'an event that was refused hides no other');
like($t->error_log, qr/record rejected\/$picky\/0+8 is damaged/,
	'... and the log has its key');
is($api->get('/status')->{json}{damaged}, 3, 'the status counts them');
is($api->delete("/partners/$partner[0]")->{status}, 500,
	'who uses a partner cannot be told, so it stays');


# ---- and go on ----

my $before = $s->count_unique;
$api->upload($t->url(1, '/1/upload'), upload_body(5, from => 30,
	names => [ 'App Launched' ]));
wait_for { $s->count_unique == $before + 5 } 20, 'the live export';
pass('a live export sends what comes');
is($api->until($api->export($partner[2]), 'DONE')->{last_run}{sent}, 35,
	'a new export runs');
like($t->error_log, qr/export $stuck: .*damaged/,
	'the log tells of the one that cannot');
is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'all answers are as documented');

$t->finish;
done_testing;
