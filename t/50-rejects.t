#!/usr/bin/env perl

# Events that can never be accepted.  They are not sent; they are counted by
# reason and kept with their message, each once, through halving, retries and
# crashes, and whatever lies between them is delivered.  A million of them is
# no million commits, and a store that gets full of them goes on.  What could
# fool it: a list of numbers alone, so its messages are compared with what was
# uploaded; an upload that refuses such events before the export sees them, so
# what was collected is counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ wait_for /;
use Ctseg::Data qw/ record upload_body /;
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

    ctseg_store %%TESTDIR%%/store events=64m state=4m;
    ctseg_thread_pool ctseg;
    ctseg_custom_events on;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size 8m;
        client_body_buffer_size 1m;

        location = /1/upload {
            ctseg_collect;
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
my @settings = (events => { set => 'all' },
	identifier_priority => [ 'identity' ]);


# ---- each reason, between events that are sent ----

my $events = 1000;
my %why;
$why{$_} = 'no_id' for map { $_ * 100 } 0 .. 9;
$why{$_} = 'no_name' for map { $_ * 100 + 50 } 0 .. 9;
$why{$_} = 'too_large' for 300 + 1, 300 + 2, 999;
$why{700 + 7} = 'refused';
my $large = 'w' x 27_000;
my %name = (no_name => '\\t \\u0020');
my %props = (too_large => "\"who\":\"$large\"", refused => '"p":"Poison"');

$api->upload($t->url(1, '/1/upload'), '{"d":[' . join(',', map {
	my $why = $why{$_} // '';
	record(n => $_, name => $name{$why} // 'Charged',
		id => $why eq 'no_id' ? '"FBID":"f"' : 'identity',
		props => $props{$why} // '') } 0 .. $events - 1) . ']}');
is($api->get('/status')->{json}{sequence}{last}, $events,
	'all were collected');

my $definition = { partner_id => partner('shown'), @settings,
	frequency => { kind => 'one_time', range => 'last_7_days' } };
my $p = $api->post('/exports/preview', $definition)->{json};
is_deeply($p->{rejected_by_reason}, { no_id => 10, no_name => 10,
	too_large => 3, refused => 0, expired => 0, damaged => 0,
	future_time => 0 },
	'a preview tells');
unlike($t->read_file('store/state/data.mdb'), qr/rejected\//,
	'... and stores nothing');

$s->rules({ when => { contains => 'Poison' }, status => 400, body => 'no' });
my $id = $api->export(partner('main'), @settings);
my $run = $api->until($id, 'DONE', 60)->{last_run};
is_deeply($run->{rejected_by_reason}, { no_id => 10, no_name => 10,
	too_large => 3, refused => 1, expired => 0, damaged => 0,
	future_time => 0 },
	'rejected by reason');
is_deeply(taken('main'), { map { $_ => 1 } grep { !$why{$_} }
	0 .. $events - 1 }, 'the others are delivered, each once');
my @n = (0) x 4;
for ($t->error_log =~ /sent: (.*), \d+ not there/g) {
	my @of = /(\d+) /g;
	$n[$_] += $of[$_] for 0 .. 3;
}
is("@n", '10 10 3 1', 'the error log has the numbers');

my @list = listed($id);
is_deeply([ map { "$_->{sequence} $_->{reason}" } @list ],
	[ map { $_ + 1 . " $why{$_}" } sort { $b <=> $a } keys %why ],
	'they are listed, newest first, each once');
is_deeply([ map { $_->{message}{properties}{n} } @list ],
	[ sort { $b <=> $a } keys %why ], '... with their messages');
is_deeply([ grep { $_->{status} || $_->{answer} ne '' || $_->{run} != 1 }
	grep { $_->{reason} ne 'refused' } @list ], [], '... and no answer');

my ($one) = grep { $_->{reason} eq 'no_id' } @list;
is_deeply([ sort keys %{$one->{message}} ], [ qw/ event messageId properties
	timestamp type / ], 'one without an id has none');
($one) = grep { $_->{reason} eq 'no_name' } @list;
is($one->{message}{event}, "\t  ", 'one without a name has white space');
is($one->{message}{userId}, 'u950', '... and its id');
($one) = grep { $_->{reason} eq 'too_large' } @list;
is($one->{message}{properties}{who}, $large, 'a large one is whole');
is($one->{message}{userId}, undef,
	'... but for the id that stands in it already');


# ---- a crash while the batch is halved ----

$s->rules({ when => { contains => 'Poison' }, status => 400, body => 'no' },
	{ when => { write_key => 'crashed', contains => '"n":990}' },
	status => 503 });
$id = $api->export(partner('crashed'), @settings);
wait_for { of('crashed') >= 8 } 20, 'some halves';
$t->kill9;
$t->restart;
$s->rules({ when => { contains => 'Poison' }, status => 400, body => 'no' });
$run = $api->until($id, 'DONE', 60)->{last_run};
is_deeply($run->{rejected_by_reason}, { no_id => 10, no_name => 10,
	too_large => 3, refused => 1, expired => 0, damaged => 0,
	future_time => 0 },
	'after a crash the same are rejected');
is_deeply([ map { $_->{sequence} - 1 } listed($id) ],
	[ sort { $b <=> $a } keys %why ], '... and listed, each once');


# ---- many, also at the edges of what is looked at at a time ----

my $many = 3000;
$api->upload($t->url(1, '/1/upload'), map { upload_body(1000, from =>
	$_ * 1000, id => '"FBID":"f"', names => [ 'App Launched' ]) }
	1 .. $many / 1000);
my $before = commits();
$id = $api->export(partner('many'), events => { set => 'system' },
	identifier_priority => [ 'identity' ]);
$run = $api->until($id, 'DONE', 60)->{last_run};
is($run->{rejected_by_reason}{no_id}, $many, 'many without an id');
my $commits = commits() - $before;
cmp_ok($commits, '<', 200, '... are not as many commits');
cmp_ok($commits, '>', 12, '... but one for each batch at least');
is_deeply([ map { $_->{sequence} } listed($id, 1, 2, 75) ],
	[ map { $events + $many + 1 - $_ } 1 .. 80, 2961 .. 3000 ],
	'all are listed');

is($api->delete("/exports/$id/rejected")->{status}, 204, 'a purge');
is($api->get("/exports/$id/rejected")->{json}{total}, 0, '... forgets them');
is($api->show($id)->{last_run}{rejected}, $many,
	'... but not how many there were');


# ---- no room for them ----

$api->upload($t->url(1, '/1/upload'), map { upload_body(250, from =>
	10_000 + $_ * 250, id => '"FBID":"f"', names => [ 'App Installed' ],
	pad => 10_000) } 0 .. 1);
$id = $api->export(partner('full'), events => { set => 'selected',
	names => [ 'App Installed' ] }, identifier_priority => [ 'identity' ]);
$run = $api->until($id, 'DONE', 60)->{last_run};
is($run->{rejected_by_reason}{no_id}, 500, 'a full store stops no run');
my $total = $api->get("/exports/$id/rejected")->{json}{total};
cmp_ok($total, '>', 50, '... some are listed');
cmp_ok($total, '<', 400, '... and not all');
like($t->error_log, qr/not all are listed: the store has no room/,
	'... which the error log says');
$id = $api->export(partner('after'), events => { set => 'system' },
	identifier_priority => [ 'fbid' ]);
is($api->until($id, 'DONE', 60)->{last_run}{sent}, 3500,
	'another export finds room for itself');

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# ---- helpers ----

sub partner {
	my ($key) = @_;
	return $api->partner(write_key => $key, user_id => 'property:who');
}

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

# the list of an export, newest first; of these pages of 40, or all of them

sub listed {
	my ($id, @pages) = @_;
	my @items;
	my $r = $api->get("/exports/$id/rejected?per_page=40")->{json};
	@pages = 1 .. $r->{pages} unless @pages;
	push @items, @{$api->get("/exports/$id/rejected?per_page=40&page=$_")
		->{json}{items}} for @pages;
	return @items;
}

# commits of the table of state, as its meta pages have them

sub commits {
	my @n = sort { $a <=> $b } map { unpack 'Q<', substr
		$t->read_file('store/state/data.mdb'), $_ + 144, 8 } 0, 4096;
	return $n[1];
}
