#!/usr/bin/env perl

# Exports of what is past give way to whoever else is served, and only to
# them: each rest is told in the debug log, which names the export.  Shown with
# one while nobody asks for anything but the API, with one while somebody does,
# and with a live one beside that.  What could fool it: an export so small that
# it has no second load, so how many batches it took is counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Api;
use Ctseg::Client qw/ parallel_posts wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 1, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

$t->set_port(9, $s->port)->conf(<<'EOC');

%%GLOBALS%%

error_log %%TESTDIR%%/debug.log debug;

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store %%TESTDIR%%/store events=128m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
            client_max_body_size 8m;
        }

        location = /plain {
            return 200 "ok";
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            log_subrequest on;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=100000000 requests=100000;
    }
}

EOC

my $nginx = $ENV{CTSEG_NGINX} || '/usr/sbin/nginx';
plan(skip_all => 'nginx has no debug log')
	unless `$nginx -V 2>&1` =~ /--with-debug/;
$t->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $events = 20_000;
my $body = upload_body(1000, pad => 100);
my @answers = parallel_posts($t->port(1), '/1/upload',
	[ ($body) x ($events / 1000) ], connections => 2);
is(scalar(grep { $_->{status} == 200 } @answers), $events / 1000,
	"$events events are there");
my $partner = $api->partner;


# ---- nobody else ----

my $since = time;
wait_for { time > $since + 0.3 } 5, 'the uploads to be forgotten';

my $alone = done();
is(rests($alone->{id}), 0,
	'an export does not rest while only the API is asked');
cmp_ok($alone->{last_run}{batches}, '>', 5, '... between many batches');


# ---- somebody else ----

my $others = fork // die "fork: $!\n";
if (!$others) {
	my $c = Ctseg::Client->new($t->port(1));
	while ($c->request('GET', '/plain')->{status} == 200) {
		select undef, undef, undef, 0.01;
	}
	POSIX::_exit(1);
}

my $beside = done();
cmp_ok(rests($beside->{id}), '>', 0, 'it rests while others are served');
is($beside->{last_run}{sent}, $alone->{last_run}{sent},
	'... and sends the same');
is($beside->{last_run}{batches}, $alone->{last_run}{batches},
	'... in the same batches');

my $live = $api->export($partner, frequency => { kind => 'live' });
$api->until($live, 'RUNNING');
parallel_posts($t->port(1), '/1/upload', [ ($body) x 4 ], connections => 1);
my $sent = 4000 / $events * $alone->{last_run}{sent};
wait_for { $api->show($live)->{progress}{sent} == $sent } 20,
	'the live export';
is(rests($live), 0, 'a live export does not rest');

is(waitpid($others, POSIX::WNOHANG()), 0, 'all the time others were served');
kill 'KILL', $others;
waitpid $others, 0;

$t->finish;
done_testing();


# a one-time export that is over

sub done {
	return $api->until($api->export($partner), 'DONE');
}

sub rests {
	my ($id) = @_;
	return scalar grep { /ctseg: export \Q$id\E rests for \d+ us/ }
		split /\n/, $t->read_file('debug.log');
}
