#!/usr/bin/env perl

# Who may upload.  With accounts in nginx.conf, a request needs the two headers
# of one of them, or nothing of it is taken; the answer is the same whatever
# was wrong with them.  "Nothing" could be fooled by an answer alone, so the
# metrics say how many events are in the store.  A copy by mirror carries the
# client's headers and is held to them as well, while the client hears the
# upstream only.  No passcode stands in any log, not even at the level debug of
# this module's lines; nginx's own debug lines show the headers that came,
# which is why the log of this test is at info.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ http json_decode wait_for /;
use Ctseg::Nginx;

my $t = Ctseg::Nginx->new;

my %passcode = ('W8R-1' => 'AAA-one-111', 'w8r-1' => 'AAA-low-111',
	'TEST-2' => 'BBB-two-222 with a space');

$t->write_file('one', "$passcode{'W8R-1'}\n");
$t->write_file('low', "$passcode{'w8r-1'}\n");
$t->write_file('two', $passcode{'TEST-2'});

$t->conf(<<'EOF')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=16m state=16m;
    ctseg_thread_pool ctseg;
    ctseg_account W8R-1 one;
    ctseg_account w8r-1 low;
    ctseg_account TEST-2 %%TESTDIR%%/two;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
        }

        location = /tapped {
            mirror /1/mirror;
            proxy_pass http://127.0.0.1:%%PORT_1%%/clevertap;
        }

        location = /1/mirror {
            internal;
            ctseg_collect;
        }

        location = /clevertap {
            return 200 "clevertap\n";
        }

        location = /metrics {
            ctseg_metrics;
        }
    }
}

EOF

my $n = 0;
my $want = 0;

sub body {
	return { d => [ { type => 'event', identity => 'ann',
		evtName => 'App Launched', evtData => { n => ++$n } } ] };
}

sub headers {
	my ($id, $passcode) = @_;
	my %headers = ('Content-Type' => 'application/json');
	$headers{'X-CleverTap-Account-Id'} = $id if defined $id;
	$headers{'X-CleverTap-Passcode'} = $passcode if defined $passcode;
	return \%headers;
}

sub at {
	my ($method, $path, $headers, $body) = @_;
	my $port = $t->port(1);
	return http($method, "http://127.0.0.1:$port$path", $headers, $body);
}

sub upload {
	my ($path, @credentials) = @_;
	return at('POST', $path, headers(@credentials), body());
}

sub collected {
	my $text = at('GET', '/metrics')->{body};
	return $text =~ /^ctseg_events_collected_total (\d+)$/m ? $1 : -1;
}


# ---- those who may ----

for my $id (sort keys %passcode) {
	my $r = upload('/1/upload', $id, $passcode{$id});
	is($r->{status}, 200, "$id may");
	is($r->{json}{processed}, 1, '... and its event is taken');
	$want++;
}

my $r = at('POST', '/1/upload', {
	'x-clevertap-account-id' => 'W8R-1',
	'X-CLEVERTAP-PASSCODE' => $passcode{'W8R-1'} }, body());
is($r->{status}, 200, 'names of headers have no case');
$want++;


# ---- those who may not ----

my @wrong = (
	[ 'nobody' ],
	[ 'an account alone', 'W8R-1' ],
	[ 'a passcode alone', undef, $passcode{'W8R-1'} ],
	[ 'an unknown account', 'W8R-2', $passcode{'W8R-1'} ],
	[ 'the passcode of another', 'W8R-1', $passcode{'TEST-2'} ],
	[ 'the passcode of one that differs in case', 'W8R-1',
		$passcode{'w8r-1'} ],
	[ 'a passcode in another case', 'W8R-1', 'aaa-ONE-111' ],
	[ 'the beginning of it', 'W8R-1', 'AAA-one-11' ],
	[ 'more than it', 'W8R-1', 'AAA-one-1111' ],
	[ 'nothing', 'W8R-1', '' ],
	[ 'no account', '', $passcode{'W8R-1'} ],
	[ 'the beginning of an account', 'W8R', $passcode{'W8R-1'} ],
	[ 'both the other way round', $passcode{'W8R-1'}, 'W8R-1' ],
);
my $said;

for my $case (@wrong) {
	my ($name, @credentials) = @$case;
	my $no = upload('/1/upload', @credentials);

	is($no->{status}, 401, "$name: refused");
	$said //= $no->{body};
	is($no->{body}, $said, '... with the answer that all get');
}

is_deeply(json_decode($said), { status => 'fail', code => 401,
	error => 'Invalid credentials', detail => 'X-CleverTap-Account-Id '
	. 'and X-CleverTap-Passcode name no account' }, '... as CleverTap\'s');
is(collected(), $want, 'nothing of all that is in the store');


# ---- what else is asked for comes after it ----

is(at('POST', '/1/upload', { 'Content-Type' => 'text/plain' },
	'x')->{status}, 401, 'a stranger does not learn what else is wrong');
is(at('POST', '/1/upload', headers('W8R-1', 'AAA-one-111'),
	'x')->{status}, 400, '... a client does');
is(at('GET', '/1/upload', {})->{status}, 405,
	'a method that is none has no credentials');

# a connection goes on behind a body that was not wanted

my $c = Ctseg::Client->new($t->port(1));
is($c->request('POST', '/1/upload', headers('W8R-1', 'no'), 'x' x 100_000)
	->{status}, 401, 'a long body of a stranger');
is($c->request('POST', '/1/upload', headers('W8R-1', $passcode{'W8R-1'}),
	body())->{status}, 200, '... and the next request');
$want++;


# ---- ids are those of an account ----

my $own = { d => [ { type => 'event', identity => 'ann', '$id' => 'same',
	evtName => 'App Launched' } ] };
for my $id ('W8R-1', 'TEST-2', 'W8R-1') {
	my $a = at('POST', '/1/upload', headers($id, $passcode{$id}), $own);
	is($a->{json}{processed}, 1, "an event with an id of $id");
}
$want += 2;
is(collected(), $want, '... is another account\'s no copy');


# ---- a copy ----

is(upload('/tapped')->{body}, "clevertap\n",
	'a tapped request without them hears its upstream');
is(upload('/tapped', 'TEST-2', $passcode{'TEST-2'})->{body}, "clevertap\n",
	'... one with them as well');
$want++;
wait_for { collected() == $want } 20, 'the copy of that in the store';
like(at('GET', '/metrics')->{body},
	qr/^ctseg_collect_requests_total\{code="401"\} \d+$/m,
	'refusals are counted');


# ---- a new passcode ----

$t->write_file('one', "changed\n");
$t->reload;
is(upload('/1/upload', 'W8R-1', 'changed')->{status}, 200,
	'a reload reads a new passcode');
is(upload('/1/upload', 'W8R-1', $passcode{'W8R-1'})->{status}, 401,
	'... and forgets the old one');

$t->stop;

unlike($t->read_file('error.log'), qr/AAA-|BBB-|changed/,
	'no passcode in the log');

$t->finish;
done_testing;
