#!/usr/bin/env perl

# Segment may ask to be left alone for a while, in several ways.  Then nothing
# goes out under that write key, from whichever export and worker, until it has
# passed; and it holds over a crash.  Other keys do not notice.  What could
# fool it: an export that has nothing to send, so a live one beside it is fed
# all the time; and a wait that was only its own backoff, so the wish is longer
# than a first backoff can be.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
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

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $live = { frequency => { kind => 'live' } };
my $n = 0;

my $partner = $api->partner(write_key => 'sick');
my @sick = map { $api->export($partner, %$live) } 1 .. 2;
my $well = $api->export($api->partner(write_key => 'well'), %$live);
$api->until($_, 'RUNNING') for @sick, $well;

feed();
wait_for { accepted('sick') == 2 && accepted('well') == 1 } 20,
	'all of them at rest';


# ---- what asks, and for how long ----

for my $case (
	[ 429, 2, 'Retry-After' => 2 ],
	[ 429, 2, 'X-RateLimit-Reset' => 2 ],
	[ 503, 2, 'Retry-After' => 2 ],
	[ 500, 2, 'X-RateLimit-Reset' => 2 ],
	[ 429, 1, 'Retry-After' => sub { strftime('%a, %d %b %Y %H:%M:%S GMT',
		gmtime(time + 2)) } ],
	[ 429, 1, 'X-RateLimit-Reset' => sub { time + 2 } ],
	)
{
	my ($status, $least, $name, $value) = @$case;
	$value = $value->() if ref $value;

	my $what = "$status, $name: $value";
	my $answer = { status => $status, headers => { $name => $value } };
	sick_once($answer);
	feed();
	my $at = wait_for { refused() } 20, 'a refusal';

	# as long as it is quiet there, feed: what comes goes elsewhere

	my $sent = accepted('well');
	my $next = wait_for {
		feed() if accepted('well') >= $n;
		after($at);
	} 20, "the next try after $what";
	cmp_ok($next - $at, '>=', $least, "$what: the key is left alone");
	cmp_ok(accepted('well'), '>', $sent, '... and the others go on');
	rest();
}


# ---- what asks for nothing ----

for my $value ('soon', '-1', '0', 'Thu, 01 Jan 1970 00:00:00 GMT', '') {
	sick_once({ status => 429, headers => { 'Retry-After' => $value } });
	feed();
	rest();
	pass("Retry-After: $value does no harm");
}

# ---- over a crash ----

sick_once({ status => 429, headers => { 'Retry-After' => 4 } });
feed();
my $at = wait_for { refused() } 20, 'a refusal';
wait_for { my $x = $api->show($sick[0]); my $y = $api->show($sick[1]);
	grep { $_->{last_run}{retry_at} } $x, $y } 20, 'which is stored';
$t->kill9;
$t->restart;
my $next = wait_for { after($at) } 30, 'the next try';
cmp_ok($next - $at, '>=', 4, 'a crash does not make it forgotten');
rest();

is_deeply([ $api->wrong ], [], 'the numbers add up');
is_deeply([ $s->violations ], [], 'every batch was within the rules');

$t->finish;
done_testing;


# ---- helpers ----

sub feed {
	$n++;
	return $api->upload($t->url(1, '/1/upload'), upload_body(1,
		from => $n, names => [ 'App Launched' ]));
}

sub of { my ($key) = @_; return grep { $_->{write_key} eq $key } $s->requests }

# events that were taken under a key

sub accepted {
	my ($key) = @_;
	my $sum = 0;
	$sum += $_->{events} for grep { ($_->{status} // 0) == 200 } of($key);
	return $sum;
}

# the next request under the sick key gets this answer

my $before;
sub sick_once {
	my ($answer) = @_;
	$before = scalar of('sick');
	$s->rules({ when => { write_key => 'sick' }, times => 1, %$answer });
	return;
}

# when the refusal was answered; when the first request came after that, but
# for what was under way just then

sub refused {
	my @r = of('sick');
	my ($r) = grep { ($_->{status} // 200) != 200 } @r[$before .. $#r];
	return $r && $r->{answered_at};
}

sub after {
	my ($at) = @_;
	my ($r) = grep { $_->{at} > $at + 0.5 } of('sick');
	return $r && $r->{at};
}

# until everything was taken

sub rest {
	wait_for { accepted('sick') >= 2 * $n && accepted('well') >= $n } 30,
		'everything is taken';
	return;
}
