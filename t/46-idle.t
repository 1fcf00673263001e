#!/usr/bin/env perl

# Exports that have nothing to do cost no transaction: a recurring one between
# its slots, a live one to which nothing comes, one that is done.  Shown by the
# data files, which LMDB writes at each commit.  What could fool it: a file
# that would not show it, so at the end an upload is seen in both.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes ();

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

        ctseg_segment us /segment/us;
    }
}

EOC

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $partner = $api->partner;
my $seconds = 3;

my $recurring = $api->export($partner, frequency => { kind => 'recurring',
	every_hours => 4 });
wait_for { my $e = $api->show($recurring);
	$e->{status} eq 'PENDING' && $e->{last_run} } 20, 'its first run';
my $done = $api->export($partner);
$api->until($done, 'DONE');

is(commits(), undef, "for $seconds seconds nothing is written");

# a live one renews its lease every ten seconds, and that may be now

my $live = $api->export($partner, frequency => { kind => 'live' });
$api->until($live, 'RUNNING');
$api->upload($t->url(1, '/1/upload'), upload_body(1,
	names => [ 'App Launched' ]));
wait_for { $api->show($live)->{progress}{sent} == 1 } 20, 'its first event';

is(commits(), undef, '... nor with a live one at rest');

$api->upload($t->url(1, '/1/upload'), upload_body(1,
	names => [ 'App Launched' ]));
isnt(commits(), undef, 'an event is written, and what became of it');
wait_for { $api->show($live)->{progress}{sent} == 2 } 20, 'its second event';

$t->finish;
done_testing;


# the data file that changes first; undef: none did

sub commits {
	my $before = times_of();
	my $changed;
	eval {
		wait_for {
			my $now = times_of();
			($changed) = grep { $now->{$_} != $before->{$_} }
				sort keys %$now;
			defined $changed;
		} $seconds, 'a change';
		1;
	} or $@ =~ /^waited/ or die;
	return $changed;
}

sub times_of {
	return { map { $_ => (Time::HiRes::stat($t->testdir
		. "/store/$_/data.mdb"))[9] } qw/ events state / };
}
