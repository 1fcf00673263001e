#!/usr/bin/env perl

# Every event of the catalog, to the byte: t/golden has a record of each as an
# app or CleverTap would upload it, the message that Segment gets of it, and
# the one of an export that asks for context and canonical names.  All are
# uploaded and exported twice, and what arrives is compared as text.
# What could fool it: a file that is written anew together with a mistake, so
# CTSEG_GOLDEN=write is for people who read the difference; and an event that
# has no file, so the files are held against the catalog.  A messageId stands
# there but for the installation, which is another one every time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ json_decode parallel_posts /;
use Ctseg::Clock;
use Ctseg::Nginx;
use Ctseg::Segment;

my $clock = Ctseg::Clock->new;
$clock->set('2026-01-03T10:00:00Z');
my $t = Ctseg::Nginx->new(workers => 1, preload => $clock->preload,
	env => $clock->env(TZ => 'UTC'));
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
my $dir = "$FindBin::Bin/golden";

# ---- the files: three texts, a line each ----

sub slurp {
	my ($file) = @_;
	open my $fh, '<:raw', $file or die "$file: $!";
	local $/;
	return scalar <$fh>;
}

my $catalog = $api->get('/catalog')->{json};
my (%seen, @names);
for my $entry (@{$catalog->{system}}, @{$catalog->{engagement}}) {
	push @names, $entry->{name} unless $seen{$entry->{name}}++;
}

my %file = map { ($_ => $dir . '/' . lc(tr/ /-/r) . '.json') } @names;
is_deeply([ sort glob "$dir/*" ], [ sort values %file ],
	'each event of the catalog has its file');

my %golden;
for my $name (@names) {
	my $text = slurp($file{$name});
	$text =~ /\A\{\n"record":[ ](.*),\n"plain":[ ](.*),\n
		"mapped":[ ](.*)\n\}\n\z/x
		or die "$file{$name} is not as it should be";
	$golden{$name} = { record => $1, plain => $2, mapped => $3 };
}

# ---- the way of a record ----

my ($r) = parallel_posts($t->port(1), '/1/upload',
	[ '{"d":[' . join(',', map { $golden{$_}{record} } @names) . ']}' ]);
is_deeply(json_decode($r->{body}), { status => 'success', processed => 23,
	unprocessed => [] }, 'all are taken') or diag $r->{body};

# the messages of an export of all of it, as text

sub messages {
	my ($kind, %more) = @_;
	my $key = "golden-$kind";
	my %export = (partner_id => $api->partner(write_key => $key),
		events => { set => 'selected', names => \@names },
		frequency => { kind => 'one_time', from => '2026-01-02',
			to => '2026-01-02' }, %more);
	my $preview = $api->post('/exports/preview', \%export);
	my $id = $api->post('/exports', \%export)->{json}{id};
	my $e = $api->until($id, 'DONE');
	is($e->{last_run}{sent}, 23, "$kind: 23 messages");
	my (@messages, $rest);
	for my $request ($s->requests) {
		my $body = $s->body($request);
		$body =~ s/^\{"writeKey":"$key","batch":\[// or next;
		$body =~ s/\](,"context":\{"channel".*)\z//s or die $body;
		$rest = $1;
		push @messages, split /(?<=\}),(?=\{"type":"track")/, $body;
	}
	is(scalar @messages, 23, "$kind: 23 arrive");
	my $shown = join ',', @messages[0 .. 4];
	ok(index($preview->{body}, "\"messages\":[$shown]") > 0,
		"$kind: the preview shows the first ones");
	s/"messageId":"ctseg-[0-9a-f]{16}-/"messageId":"ctseg-INSTALLATION-/
		for @messages;
	return ($rest, @messages);
}

my ($plain_rest, @plain) = messages('plain');
my ($mapped_rest, @mapped) = messages('mapped', mapping => { context => \1,
	names => 'canonical', future => 'reject',
	integrations => { All => \0, Mixpanel => \1 } });

is($mapped_rest, $plain_rest =~ s/\}\z//r
	. ',"integrations":{"All":false,"Mixpanel":true}}',
	'the envelope has the integrations once');

if (($ENV{CTSEG_GOLDEN} // '') eq 'write') {
	for my $i (0 .. $#names) {
		open my $fh, '>:raw', $file{$names[$i]} or die;
		print $fh "{\n\"record\": $golden{$names[$i]}{record},\n"
			. "\"plain\": $plain[$i],\n"
			. "\"mapped\": $mapped[$i]\n}\n";
		close $fh or die;
	}
	diag 'the files are written, read what has changed';
	$t->finish;
	done_testing;
	exit;
}

for my $i (0 .. $#names) {
	is($plain[$i], $golden{$names[$i]}{plain}, $names[$i]);
	is($mapped[$i], $golden{$names[$i]}{mapped}, "$names[$i], mapped");

	# what only mapping adds or renames: every value is still there

	my ($p, $m) = map { json_decode($_) } $plain[$i], $mapped[$i];
	($p, $m) = map { join "\n", sort map { defined ? "$_" : '' }
		values %{$_->{properties}} } $p, $m;
	is($m, $p, "$names[$i]: no value is lost");
}

$t->finish;
done_testing;
