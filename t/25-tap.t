#!/usr/bin/env perl

# A tap on traffic that goes to CleverTap: a location that proxies to it, and
# nginx's "mirror" with a copy for us.  The client must hear its upstream and
# nothing else, whatever state we are in, and never wait for us: not for its
# answer, and not for the next one on the same connection, which nginx holds
# back until the copy's request is over.  So while a thread of ours hangs, and
# provably is still hanging afterwards, a client gets its second and third
# answer.  What a full, stopped or hanging store did not take is counted, since
# there is no client to tell.
#
# The upstream is this module in another nginx, which answers as CleverTap
# does, and whose log shows that what the client sent arrived there.  A copy
# that held nobody up because it was dropped would be seen: all of them are in
# the store afterwards, also when the worker that had them was replaced
# meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Compress::Gzip ();
use Test::More;

use Ctseg::Client qw/ http json_encode wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Disk;
use Ctseg::Nginx;
use Ctseg::Prom;

my $disk = Ctseg::Disk->new;
my $up = Ctseg::Nginx->new;
my $t = Ctseg::Nginx->new(preload => [ @{$disk->preload},
	Ctseg::Nginx::shim('ctseg_hold') ], env => $disk->env(TZ => 'UTC'));
my $hold = $t->testdir . '/hold';
$t->{env}{CTSEG_HOLD} = $hold;

END { unlink $hold if defined $hold }	# a test that failed lets go, too

$up->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        client_max_body_size 2m;

        location = /1/upload {
            ctseg_collect;
            add_header X-Upstream $http_x_clevertap_account_id;
        }

        location = /metrics {
            ctseg_metrics;
        }
    }
}

EOC

$t->write_file('passcode', "AAA-BBB\n");

$t->set_port(9, $up->port(1))->conf(<<'EOC')->run;

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    log_format copies '$uri $status $ctseg_collected';

    ctseg_store        %%TESTDIR%%/store events=4m state=16m high_water=50;
    ctseg_thread_pool  ctseg;
    ctseg_account      W8R passcode;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        client_max_body_size 2m;
        client_body_buffer_size 2m;
        sendfile on;            # the shim would hold the loop otherwise

        location = /1/upload {
            mirror /tap;
            proxy_pass http://127.0.0.1:%%PORT_9%%;
        }

        location = /in/files {
            client_body_buffer_size 1k;
            mirror /tap;
            proxy_pass http://127.0.0.1:%%PORT_9%%/1/upload;
        }

        location = /small {
            mirror /tap/small;
            proxy_pass http://127.0.0.1:%%PORT_9%%/1/upload;
        }

        location = /bodyless {
            mirror /tap;
            mirror_request_body off;
            proxy_pass http://127.0.0.1:%%PORT_9%%/1/upload;
        }

        location = /tap {
            internal;
            ctseg_collect;
            log_subrequest on;
            access_log %%TESTDIR%%/copies.log copies;
        }

        location = /tap/small {
            internal;
            ctseg_collect;
            client_max_body_size 1k;
            log_subrequest on;
        }

        location = /direct {
            ctseg_collect;
        }

        location = /metrics {
            ctseg_metrics;
        }
    }
}

EOC

my %mine = ('X-CleverTap-Account-Id' => 'W8R',
	'X-CleverTap-Passcode' => 'AAA-BBB');
my $n = 0;		# events that copies brought
my $theirs = 0;		# events that went to the upstream
my ($m, $r);
my $c = Ctseg::Client->new($t->port(1));

sub metrics {
	return Ctseg::Prom->new(http('GET', ($_[0] || $t)->url(1, '/metrics'))
		->{body});
}

sub collected {
	return metrics(@_)->value('ctseg_events_collected_total');
}

sub code {
	return metrics()->value('ctseg_collect_requests_total',
		code => $_[0]) // 0;
}

sub lost { return metrics()->value('ctseg_copies_lost_total') }

sub post {
	my ($client, $path, $body, %headers) = @_;
	return $client->request('POST', $path, { %mine,
		'Content-Type' => 'application/json', %headers }, $body);
}

# the answer is the upstream's own, to the byte

sub same {
	my ($got, $body, $name, %headers) = @_;
	my $want = post(Ctseg::Client->new($up->port(1)),
		'/1/upload?dryRun=1', $body, %headers);
	is_deeply([ $got->{status}, $got->{body}, @{$got->{headers}}{qw/
		content-type x-upstream /} ], [ $want->{status},
		$want->{body}, @{$want->{headers}}{qw/ content-type
		x-upstream /} ], $name);
	return;
}

# events through the tap, which answers as the upstream does

my $from = 0;

sub tapped {
	my ($name, $path, %o) = @_;
	my $body = upload_body($o{events} || 2, from => $from += 100,
		pad => $o{pad});
	same(post($o{client} || $c, $path || '/1/upload', $body), $body,
		$name);
	$theirs += $o{events} || 2;
	return;
}


# ---- all is well ----

tapped('the answer is the upstream\'s', undef, events => 5);
$n += 5;
wait_for { collected() == $n } 20, 'a copy';
is(collected($up), $theirs, '... who got all of it, too');
is(code(200), 1, '... and a copy is counted as a request');

tapped('of a body that lay in a file', '/in/files', pad => 2000);
$n += 2;
wait_for { collected() == $n } 20, 'a copy of that';

my $gz = gzip(upload_body(3, from => 50));
$r = post($c, '/1/upload', $gz, 'Content-Encoding' => 'gzip');
same($r, $gz, 'a packed body', 'Content-Encoding' => 'gzip');
$theirs += 3;
$n += 3;
wait_for { collected() == $n } 20, 'a copy of that';

for my $bad ('{"d":[', '{"d":[{"type":"event"}]}') {
	same(post($c, '/1/upload', $bad), $bad, "a wrong body $bad");
}
wait_for { code(400) == 1 && code(200) == 4 } 20, 'copies of wrong ones';
is(lost(), 0, 'nothing that is wrong is lost');

my $body = upload_body(2, from => 60);
$r = post($c, '/1/upload', $body, 'X-CleverTap-Passcode' => 'no');
same($r, $body, 'a client who is none of ours');
$theirs += 2;
wait_for { code(401) == 1 } 20, 'the count of it';

same(post($c, '/bodyless', $body), $body, 'a copy without the body');
$theirs += 2;
wait_for { code(400) == 2 } 20, '... which is no upload';

$body = upload_body(2, from => 70, pad => 2000);
same(post($c, '/small', $body), $body, 'a copy that its location refuses');
$theirs += 2;
wait_for { code(413) == 1 } 20, 'the count of it';

# in chunks, and announced

$body = upload_body(2, from => 80);
$c->send_bytes(join "\r\n", 'POST /1/upload HTTP/1.1', 'Host: x',
	'Content-Type: application/json', 'Expect: 100-continue',
	(map { "$_: $mine{$_}" } sort keys %mine),
	'Transfer-Encoding: chunked', '', (map { sprintf("%x", length), $_ }
	unpack '(a50)*', $body), '0', '', '');
same($c->read_answer, $body, 'a body in chunks');
$theirs += 2;
$n += 2;
wait_for { collected() == $n } 20, 'a copy of that';
is(collected($up), $theirs, 'the upstream has it all');


# ---- a thread of ours hangs ----

my ($worker) = $t->worker_pids;
$t->write_file('hold', '');
tapped('while a thread of ours hangs', '/in/files', pad => 2000);
tapped('... the next one on this connection', '/1/upload');
tapped('... and the one after it', '/in/files', pad => 2000);
ok(-e $hold, '... it hangs still');
is(collected(), $n, '... since nothing was stored meanwhile');
is(collected($up), $theirs, '... but for the upstream');

# one that goes with its client

my $leaving = Ctseg::Client->new($t->port(1));
tapped('another client', '/1/upload', client => $leaving);
$leaving->close;

# the bound on what waits: of bodies in files first

my $many = 300;
$body = upload_body(1, from => 10_000, pad => 4000);
my $before = collected($up);
is(scalar(grep { post($c, '/in/files', $body)->{status} == 200 } 1 .. $many),
	$many, "$many more are answered");
is(collected($up), $before + $many, '... by the upstream');
$theirs += $many;
my $over = lost();
cmp_ok($over, '>', 0, 'more than wait in files are lost');
cmp_ok($over, '<', 100, '... and not those before them');
is(code(503), $over, '... and counted as requests, too');
my @fds = glob("/proc/$worker/fd/*");
cmp_ok(scalar @fds, '<', 400, '... so that descriptors are left');

# then of all bodies

$body = '{"d":[' . ' ' x 1_000_000 . ']}';
is(scalar(grep { post($c, '/1/upload', $body)->{status} == 200 } 1 .. 70), 70,
	'70 MB more are answered');
cmp_ok(lost(), '>', $over, 'more than 64 MB are lost');
$over = lost();

# its worker is to leave, and does not before it has stored them

$t->reload;
tapped('in the meantime the next worker', '/1/upload', client =>
	Ctseg::Client->new($t->port(1)));
$n += 2 * 5;
unlink $hold;
wait_for { collected() >= $n + $many - $over } 20, 'all copies in the store';
wait_for { code(200) + code(503) == 5 + 5 + $many + 70 } 20, 'all of them';
is(lost(), $over, 'no other is lost');
is(code(503), $over, '... and each is told by its status');
$n = collected();
my @lines = $t->error_log =~ /(ctseg: copies by "mirror" were lost: .*)/g;
is(scalar @lines, 1, 'that is told once');
like($lines[0], qr/lost: 1 since .*Too many requests are waiting/,
	'... with the reason');


# ---- the disk fails ----

# after an error nothing is written until a restart

$disk->fail('sync', part => 'events', error => 'EIO');
$before = lost();
tapped('while the disk fails', undef, client => Ctseg::Client->new(
	$t->port(1)));
wait_for { lost() == $before + 1 } 20, 'the loss';
$c = Ctseg::Client->new($t->port(1));
tapped('with a store that has stopped', $_) for '/1/upload', '/in/files';
wait_for { lost() == $before + 3 } 20, 'the losses';
$m = metrics();
is($m->value('ctseg_events_refused_total', reason => 'store_unavailable'), 6,
	'events of which that is not known are counted');
is(collected(), $n, '... and are not in the store');

$disk->heal;
$t->stop;
$t->run;
is(collected(), 0, 'a new start counts anew');


# ---- the store is full ----

my $fill = upload_body(100, from => 20_000, pad => 1500);
my $full;
for (1 .. 100) {
	$full = post($c, '/direct', $fill)->{status};
	last if $full == 503;
}
is($full, 503, 'a store that is full');
$n = collected();
$before = metrics()->value('ctseg_events_refused_total',
	reason => 'store_full');
tapped('... its tap is as ever', undef, events => 100, pad => 1500)
	for 1, 2;
wait_for { lost() == 2 } 20, 'both are lost';
$m = metrics();
is($m->value('ctseg_events_refused_total', reason => 'store_full'),
	$before + 200, '... by the number of their events');
is(collected(), $n, '... and not stored');
is(collected($up), $theirs, 'the upstream has all there ever was');


# ---- what nginx says of copies ----

$t->quit;
my %said;
$said{$_}++ for split /\n/, $t->read_file('copies.log');
is_deeply([ sort keys %said ], [ '/tap 202 -', '/tap 401 -', '/tap 503 -'
	], 'in a log of copies there is what was known at once');

$up->finish;
$t->finish;
done_testing;


sub gzip {
	my ($text) = @_;
	IO::Compress::Gzip::gzip(\$text, \my $packed) or die 'gzip';
	return $packed;
}
