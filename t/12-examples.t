#!/usr/bin/env perl

# Every piece of configuration that a reader may copy must be one that nginx
# takes: the file for production, the synopsis of the README, and the blocks
# of the documentation, each put into the frame it is meant for.  Only what
# belongs to a machine is replaced: paths, ports, the user, certificates, and
# names that need a resolver at start.  A block that lost its frame would
# still be refused for that, so none can pass unread; and the number of blocks
# is checked, so none can be missed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Nginx;

my $top = "$FindBin::Bin/..";

sub slurp {
	my ($name) = @_;
	open my $f, '<', "$top/$name" or die "$name: $!\n";
	local $/;
	return scalar <$f>;
}

sub blocks {
	my ($name) = @_;
	my $text = slurp($name);
	my @blocks;

	while ($text =~ /^```nginx\n(.*?)^```/msg) {
		my $block = $1;
		my $line = 1 + substr($text, 0, $-[0]) =~ tr/\n//;

		die "$name:$line: an empty block\n" unless $block =~ /\w.*;/;
		push @blocks, [ "$name:$line", $block ];
	}
	return @blocks;
}

# a whole configuration around a piece of one

sub frame {
	my ($text) = @_;
	my $pool = $text =~ /^thread_pool/m ? ''
		: "thread_pool ctseg threads=4;\n";
	my $events = $text =~ /^events/m ? '' : "events {\n}\n";
	my $load = $text =~ /^load_module/m ? '' : "load_module x;\n";
	my $store = $text =~ /ctseg_store/ ? '' : "ctseg_store /x;\n";

	if ($text =~ /^env /m) {
		return "$load$text$pool${events}http {\n}\n";
	}
	if ($text !~ /^http/m) {
		if ($text =~ /^location/m) {
			$text = "server {\nlisten 80;\n$text}\n";
		}
		$text = "http {\n$store$text}\n";
	}
	return "$load$pool$events$text";
}

my $t = Ctseg::Nginx->new;
my $d = $t->testdir;

my $no = system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
	. "-subj /CN=collect.example.com -keyout $d/key.pem -out $d/cert.pem "
	. ">$d/openssl.out 2>&1");
is($no, 0, 'a certificate for the examples')
	or diag($t->read_file('openssl.out'));

$t->write_file('clevertap.passcode', "aaa-bbb-ccc\n");

sub adapt {
	my ($text) = @_;

	for ($text) {
		s/^load_module .*?;/load_module %%MODULE%%;/mg;
		s/^user .*?;//mg;
		s/^pid .*?;//mg;
		s/^error_log .*?;//mg;
		s/^worker_processes .*?;//mg;
		s{/var/lib/nginx/ctseg}{$d/store}g;
		s{ctseg_store /x}{ctseg_store $d/store}g;
		s{/var/log/nginx}{$d}g;
		s{/etc/nginx}{$d}g;
		s{/etc/ssl/certs/ca-certificates.crt}{$d/cert.pem}g;
		s{/etc/ssl/certs/\S+?\.pem}{$d/cert.pem}g;
		s{/etc/ssl/private/\S+?\.key}{$d/key.pem}g;
		s/server api\.segment\.io:443/server 127.0.0.1:443/g;
		s/listen \S*?(?=[ ;])/listen 127.0.0.1:%%PORT_1%%/g;
		s/^http \{/http {\n%%GLOBALS_HTTP%%/m;
	}

	my $user = $> == 0 ? 'user root;' : '';

	return "$user\npid $d/nginx.pid;\nerror_log $d/error.log;\n$text";
}

sub accepted {
	my ($name, $text) = @_;

	$t->conf(adapt($text));
	my ($code, $out) = $t->test_config;

	is($code, 0, "$name is accepted") or diag($out, $t->read_file(
		'nginx.conf'));
	unlike($out, qr/\[(?:emerg|alert|crit|error)\]/,
		'... without an error');
}

# two servers on one port are fine, they differ by name

accepted('conf/ctseg.conf', slurp('conf/ctseg.conf'));

my @readme = blocks('README.md');
is(scalar @readme, 1, 'the README has a synopsis');
accepted($_->[0], $_->[1]) for @readme;

my @docs = map { blocks("docs/$_") } qw/ directives.md api.md
	architecture.md /;
cmp_ok(scalar @docs, '>=', 10, 'the documentation has examples');
accepted($_->[0], frame($_->[1])) for @docs;

$t->finish;
done_testing;
