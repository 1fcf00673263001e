#!/usr/bin/env perl

# Reload and quit lose nobody: whoever was let in is answered, what was
# acknowledged is there, and what is under way to Segment is counted before
# its worker leaves, so that nothing is sent twice.  nginx lets a worker go
# whose only work is in a thread or behind a cancelable timer, and that is
# where ours is; so clients are caught with the last byte of their body just
# sent, and batches while Segment holds back its answer.  A connection in the
# listen queue when nginx quits was not let in: only clients that have been
# told "100 Continue" may insist on an answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw/ time /;

use Ctseg::Client qw/ http_json parallel_posts wait_for /;
use Ctseg::Data qw/ record upload_body @catalog /;
use Ctseg::Nginx;
use Ctseg::Segment;

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);

my $conf = <<'EOF';

%%GLOBALS%%
%%MAIN%%

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
            proxy_read_timeout 300s;
        }

        ctseg_segment us /segment/us requests=10000 events=1000000;
    }
}

EOF

$t->set_port(9, $s->port)->conf($conf, MAIN => '')->run;

my %acked;


# ---- reload while events come in ----

my $old = join ' ', $t->worker_pids;
my $load = load_start(6);
for (1 .. 6) {
	my $mark = load_answers($load) + 100;
	wait_for { load_answers($load) > $mark } 20, 'some uploads';
	$t->reload(wait_old => $_ % 2);
}
my ($posts, $bad) = load_stop($load);

isnt(join(' ', $t->worker_pids), $old, 'six reloads');
is($bad, '', 'every client was answered');
cmp_ok($posts, '>=', 600, "all $posts of them");
is(last_sequence(), scalar keys %acked, 'and every event is stored');


# ---- reload while events go out ----

my @fill = parallel_posts($t->port(1), '/1/upload', [ map {
	upload_body(400, pad => 1500, from => 1_000_000 + $_ * 400) }
	1 .. 20 ]);
is(scalar(grep { $_->{status} == 200 } @fill), 20, 'some more to send');
my $total = last_sequence();

# each time some batches are under way when the old workers are told to go

$s->default(hold => 1);
my $export = export('one');
for my $n (1 .. 3) {
	step(3);
	$t->reload;
	chance();
	cmp_ok($s->release, '>', 1, "reload $n, and batches under way");
}
$s->default;
wait_for { $s->release; status($export) eq 'DONE' } 20, 'DONE';

complete($export);
is(scalar(grep { !$_ } @{{ $s->property_counts('n') }}{keys %acked}), 0,
	'and those of before');


# ---- quit while events come in ----

# let in, and the last byte of the body sent when the signal comes

$load = load_start(4);
my $mark = load_answers($load) + 50;
wait_for { load_answers($load) > $mark } 20, 'some uploads';

my @in = map { { body => upload_body(100, from => 2_000_000 + $_ * 100),
	conn => Ctseg::Client->new($t->port(1))->connect } } 1 .. 24;
for my $i (@in) {
	$i->{conn}->send_bytes("POST /1/upload HTTP/1.1\r\nHost: x\r\n"
		. 'Content-Length: ' . length($i->{body})
		. "\r\nExpect: 100-continue\r\n\r\n");
}
for my $i (@in) {
	wait_for { sysread $i->{conn}->sock, $i->{in}, 4096,
		length($i->{in} // ''); ($i->{in} // '') =~ /\r\n\r\n/ } 10,
		'100 Continue';
}
for my $k (0 .. 11) {
	$in[$k]{conn}->send_bytes($in[$k]{body});
}
$t->signal('QUIT');
wait_for { !$t->worker_pids } 20, 'workers that shut down';
for my $k (12 .. 23) {
	$in[$k]{conn}->send_bytes($in[$k]{body});
}

my @answers = map { my $i = $_; eval { $i->{conn}->read_answer }
	|| { status => $@ } } @in;
is(join(' ', map { $_->{status} } @answers), join(' ', ('200') x 24),
	'on quit, everybody who was let in is answered');
is(scalar(grep { ($_->{headers}{connection} // '') eq 'close' }
	@answers[12 .. 23]), 12, '... and told that this was the last time');

$t->quit;
is($t->{status}, 0, 'and nginx ends');
my ($more) = load_stop($load);

# an answer may be lost with its connection in the listen queue, so the store
# has what was answered, and a little more

$t->run;
my $last = last_sequence();
cmp_ok($last, '>=', $total + $more + 2400, 'nothing answered is lost');
cmp_ok($last, '<=', $total + $more + 2400 + 4, 'nothing is there twice');
$total = $last;


# ---- quit while events go out ----

# Segment holds its answers back, so the worker has to stay for them

$s->forget;
$s->default(hold => 1);
$export = export('two');
step(5);
$t->signal('QUIT');
wait_for { my @w = $t->worker_pids(all => 1); @w == 1 && !$t->worker_pids }
	20, 'the worker that is left';
chance();
my $held = $s->release;
cmp_ok($held, '>', 1, "the worker stays for $held answers");
$s->default;
$t->quit;
is($t->{status}, 0, '... and leaves when they have come');

my $sent = $s->count_accepted;
$t->run;
complete($export);
diag "$sent of $total events were sent before the quit";


# ---- worker_shutdown_timeout ----

# Segment never answers: after a second the old worker leaves all the same,
# and another one sends what it could not count, which may be some more than
# was not answered, since only a batch behind which nothing is open counts

$t->conf($conf, MAIN => 'worker_shutdown_timeout 1s;');
$t->reload(wait_old => 1);

$s->forget;
hang('three');
my $start = time;
$t->reload(wait_old => 1);
diag sprintf 'a hanging Segment: the old worker left after %.2f s',
	time - $start;
pass('a worker does not wait for ever');
complete($export, 1);

# the same on quit

$s->forget;
hang('four');
$t->quit;
is($t->{status}, 0, 'nor does a quit');
$t->run;
complete($export, 1);

# and a client in the middle of its body is no reason to stay either

my $slow = Ctseg::Client->new($t->port(1))->connect;
$slow->send_bytes("POST /1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99"
	. "\r\nExpect: 100-continue\r\n\r\n");
wait_for { sysread $slow->sock, $slow->{in}, 4096, length $slow->{in} } 10,
	'100 Continue';
$t->quit;
is($t->{status}, 0, 'nor a slow client');

$t->finish;
done_testing;


sub api {
	my ($method, $path, $data) = @_;
	return http_json($method, $t->url(1, "/ctseg/api$path"),
		$data)->{json};
}

sub last_sequence { return api('GET', '/status')->{sequence}{last} }

sub status { return api('GET', "/exports/$_[0]->{id}")->{status} }

sub export {
	my ($name) = @_;
	my $partner = api('POST', '/partners', { nickname => $name,
		write_key => "key-of-$name" });
	return api('POST', '/exports', { partner_id => $partner->{id},
		type => 'event', events => { set => 'selected',
		names => \@catalog }, frequency => { kind => 'one_time',
		range => 'last_7_days' } });
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

# The worker has been told to go: half a second for it to do so too early.
# Nothing depends on it if it does not.

sub chance {
	my $until = time + 0.5;
	wait_for { time > $until } 5, 'half a second';
	return;
}

# a new export, of which five batches are answered and some never will be

sub hang {
	my ($name) = @_;
	my $until = $s->stats->{requests} + 7;
	$s->script({ times => 5 })->default(hang => 1);
	$export = export($name);
	wait_for { $s->stats->{requests} >= $until } 20,
		'batches without an answer';
	$s->default;
	return;
}

# the export is done, each event was taken, once if not told otherwise, and
# counted once

sub complete {
	my ($export, $twice) = @_;
	wait_for { status($export) eq 'DONE' } 30, 'DONE';
	my $run = api('GET', "/exports/$export->{id}/runs/1");

	is($s->count_unique, $total, "all of the $total events arrive");
	if (!$twice) {
		is($s->count_accepted, $total, '... once');
		is(scalar(grep { defined $_->{status} && !$_->{status} }
			$s->requests), 0, '... and every answer was waited '
			. 'for');
	}
	is("$run->{scanned} $run->{sent} $run->{waiting} $run->{rejected}",
		"$total $total 0 0", '... as the run says');
	is(api('GET', "/exports/$export->{id}/runs")->{total}, 1,
		'... the first and only one');
	is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
	return;
}


# Clients, each a process, each request on a connection of its own, until
# told to stop.  The first line of what one writes: events acknowledged so
# far; a line "n" for each, "bad ..." for what was not answered.

sub load_start {
	my ($clients) = @_;
	our $loads;
	my @load;

	for my $i (1 .. $clients) {
		my $base = (++$loads) * 10_000;
		my $file = $t->testdir . "/load.$loads";
		my $pid = fork // die "fork: $!\n";
		if ($pid == 0) {
			my $over;
			$SIG{USR1} = sub { $over = 1 };
			open my $out, '>', $file or POSIX::_exit(1);
			for (my $n = $base; !$over; $n++) {
				my $a = eval { http_json('POST', $t->url(1,
					'/1/upload'), '{"d":['
					. record(n => $n) . ']}') };
				my $ok = $a && $a->{status} == 200;
				syswrite $out, $ok ? "$n\n" : 'bad ' . ($a
					? "$a->{status}\n" : $@ || "?\n");
				last if !$ok && $@ =~ /^connect/;
			}
			POSIX::_exit(0);
		}
		push @load, { pid => $pid, file => $file };
	}
	return \@load;
}

sub load_answers {
	my ($load) = @_;
	my $n = 0;
	$n += $t->read_file($_->{file}) =~ tr/\n// for @$load;
	return $n;
}

# (number of answers, what went wrong)

sub load_stop {
	my ($load) = @_;
	my ($n, $bad) = (0, '');
	for my $l (@$load) {
		kill 'USR1', $l->{pid};
		waitpid $l->{pid}, 0;
		for my $line (split /\n/, $t->read_file($l->{file})) {
			if ($line =~ /^\d+$/) {
				$acked{$line} = 1;
				$n++;
			} else {
				$bad .= "$line\n";
			}
		}
	}
	return ($n, $bad);
}
