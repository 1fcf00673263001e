#!/usr/bin/env perl

# CleverTap speaks TLS, and who it is has to be proved: an import goes through
# where the certificate is of the right name and vouched for by "ca="; where it
# is of another name, of nobody, or out of date, not even the passcode is sent.
# It could be fooled by a server that cannot be reached at all, so the same
# server is reached where all is well, and its front counts the requests that
# came through.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ wait_for /;
use Ctseg::CleverTap qw/ pulled /;
use Ctseg::Nginx;
use Ctseg::Pulls;

# an nginx of its own does the TLS of the mock

my $front = Ctseg::Nginx->new(module => '');
my $dir = $front->testdir;

certificate('ca');
certificate('right', 'DNS:localhost,IP:127.0.0.1', 30);
certificate('wrong', 'DNS:elsewhere.example', 30);
certificate('late', 'DNS:localhost,IP:127.0.0.1', -1);
certificate('own');

my ($t, $ct, $s, $api) = pulls(hurry => 60, ca => "ca=$dir/ca.pem",
	url => 'https://127.0.0.1:' . $front->port(1));
$front->set_port(8, $ct->port);
front('right');
$front->run;

my $n = 0;
my $im = finished(pull(event()));
is($im->{progress}{stored}, 1, 'the right certificate');
is_deeply([ $ct->violations ], [], '... with all that CleverTap wants');

for my $bad ([ 'wrong', 'one of another name' ], [ 'late', 'an old one' ],
	[ 'own', 'one of nobody' ])
{
	my ($which, $what) = @$bad;
	front($which);
	$front->reload(wait_old => 1);
	my $before = $ct->stats->{requests};
	my $id = pull(event());
	$im = under_way($id, sub { $_[0]{last_error} }, 'an error');
	like($im->{last_error}{message}, qr/certificate|SSL|TLS/i,
		"$what is refused");
	is($im->{last_error}{status}, undef, '... without an answer');
	is($ct->stats->{requests}, $before, '... and nothing was sent');
	front('right');
	$front->reload(wait_old => 1);
	if (show($id)->{status} ne 'STOPPED') {
		is(finished($id)->{progress}{stored}, 1,
			'... until there is a good one');
	}
}

# without ca= the system is asked, which does not know it

$t->write_file('nginx.conf', $t->read_file('nginx.conf')
	=~ s/ca=\S+ca\.pem//r)->reload(wait_old => 1);
my $before = $ct->stats->{requests};
my $id = pull(event());
under_way($id, sub { $_[0]{last_error} }, 'an error');
is($ct->stats->{requests}, $before, 'nobody else vouches for it');

is_deeply([ secrets('pass-of-acc-1') ], [], 'the passcode is nowhere');
is_deeply([ $api->wrong ], [], 'the numbers add up');

$t->finish;
$front->finish;
done_testing;


# ---- helpers ----

sub event {
	my $name = 'Event ' . ++$n;
	$ct->add($name, [ pulled(n => $n, ts => 20261101120000) ]);
	return $name;
}

# A key and a certificate: by the CA for those names, or by itself.  Days below
# zero are over already.

sub certificate {
	my ($name, $san, $days) = @_;
	my $sign = '';
	if (defined $san) {
		$front->write_file("$name.ext", "subjectAltName=$san\n");
		openssl("req -new -newkey rsa:2048 -nodes -subj /CN=$name"
			. " -keyout $dir/$name.key -out $dir/$name.csr");
		openssl("x509 -req -in $dir/$name.csr -CA $dir/ca.pem -CAkey"
			. " $dir/ca.key -CAcreateserial -days $days -extfile"
			. " $dir/$name.ext -out $dir/$name.pem");
		return;
	}
	openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=$name -days 30"
		. " -addext subjectAltName=IP:127.0.0.1"
		. " -keyout $dir/$name.key -out $dir/$name.pem");
	return;
}

sub openssl {
	my ($args) = @_;
	my $out = `openssl $args 2>&1`;
	die "openssl $args: $out" if $?;
	return;
}

sub front {
	my ($which) = @_;
	$front->conf(<<'EOC', CERTIFICATE => $which);

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_1%% ssl;

        ssl_certificate      %%TESTDIR%%/%%CERTIFICATE%%.pem;
        ssl_certificate_key  %%TESTDIR%%/%%CERTIFICATE%%.key;

        location / {
            proxy_pass http://127.0.0.1:%%PORT_8%%;
            proxy_http_version 1.1;
        }
    }
}

EOC
	return;
}
