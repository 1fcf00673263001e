package Ctseg::Pulls;

# The stage for tests of imports: an nginx that pulls from the mock of
# CleverTap, in New York, with timers that run faster (t/fault/ctseg_hurry.c);
# the mock of Segment, to which an export brings what the log holds; and the
# moves that such tests are made of.  A record is known by its number.
#
#	my ($t, $ct, $s, $api) = pulls(workers => 2);
#	$ct->add('Event', [ map { pulled(n => $_, ts => 20261031120000) }
#		1 .. 9 ]);
#	my $im = finished(pull('Event'));
#	is_deeply(numbers(), { map { $_ => 1 } 1 .. 9 });

use strict;
use warnings;

use Exporter qw/ import /;

use Ctseg::Api;
use Ctseg::Client qw/ json_decode json_encode wait_for /;
use Ctseg::CleverTap;
use Ctseg::Nginx;
use Ctseg::Segment;

our @EXPORT = qw/ pulls pull show finished under_way exported numbers
	progress secrets /;

my ($t, $ct, $s, $api);
my $keys = 0;

my $conf = <<'EOC';

%%GLOBALS%%

thread_pool history threads=4;

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store          %%TESTDIR%%/store events=%%EVENTS%% state=32m;
    ctseg_thread_pool    ctseg imports=history;
    ctseg_custom_events  on;
    %%CLEVERTAP%%

    server {
        listen 127.0.0.1:%%PORT_1%%;

        client_max_body_size  8m;

        location = /1/upload {
            ctseg_collect;
        }

        location /files/ {
            ctseg_collect format=file;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

# workers => 1, hurry => 10, events => '64m' of the log, accounts => { id =>
# passcode }, url => of CleverTap, ca => more of the directive, disk => a
# Ctseg::Disk

sub pulls {
	my (%o) = @_;
	my $accounts = $o{accounts} || { 'TEST-ACC-1' => 'pass-of-acc-1' };

	$t = Ctseg::Nginx->new(workers => $o{workers} || 1,
		preload => [ Ctseg::Nginx::shim('ctseg_hurry'), $o{disk}
			? @{$o{disk}->preload} : () ],
		env => { TZ => 'America/New_York', CTSEG_HURRY => $o{hurry}
			|| 10, $o{disk} ? %{$o{disk}->env} : () });
	$ct = Ctseg::CleverTap->new(dir => $t->testdir,
		accounts => $accounts);
	$s = Ctseg::Segment->new(dir => $t->testdir);
	$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));

	my $url = $o{url} || 'http://127.0.0.1:' . $ct->port;
	$t->write_file("passcode-$_", "$accounts->{$_}\n")
		for keys %$accounts;
	$t->set_port(9, $s->port)->conf($conf, EVENTS => $o{events} || '64m',
		CLEVERTAP => join "\n", map { "ctseg_clevertap $_ "
			. $t->testdir . "/passcode-$_ url=$url "
			. ($o{ca} // '') . ';' } sort keys %$accounts);
	$t->run;
	return ($t, $ct, $s, $api);
}

# a new import, of three days in which a clock is set back; its id

sub pull {
	my ($names, %o) = @_;
	my $a = $api->post('/imports', { events => ref $names ? $names
		: [ $names ], from => '2026-10-31', to => '2026-11-02', %o });
	die "import: $a->{status} $a->{body}" unless $a->{status} == 201;
	return $a->{json}{id};
}

sub show {
	my ($id) = @_;
	my $a = $api->get("/imports/$id");
	die "import $id: $a->{status} $a->{body}" unless $a->{status} == 200;
	return $a->{json};
}

# as it is when it is over, or when something holds

sub finished {
	my ($id, $status) = @_;
	$status //= 'DONE';
	return under_way($id, sub { $_[0]{status} eq $status
		or $_[0]{status} =~ /^(?:DONE|STOPPED)$/
			&& die "it is $_[0]{status}\n" }, "status $status");
}

sub under_way {
	my ($id, $cond, $what) = @_;
	my $im;
	eval {
		wait_for { $im = show($id); $cond->($im) } 40, $what;
		1;
	} or die $@ . join "\n", json_encode($im), join(' ', $ct->trail),
		$ct->violations, substr $t->error_log, -3000;
	return $im;
}

# the numbers of an import, in short

sub progress {
	my ($im) = @_;
	return { map { $_ => $im->{progress}{$_} } qw/ received stored known
		refused / };
}

# what an export of all that there is sends: number => its messages

sub exported {
	my (%o) = @_;
	my $key = 'pulls' . ++$keys;
	my $id = $api->export($api->partner(write_key => $key),
		(exists $o{type} ? () : (events => { set => 'all' })),
		frequency => { kind => 'one_time',
		from => '2026-10-25', to => '2026-11-10' }, %o);
	$api->until($id, 'DONE', 60);
	my %n;
	for my $request (grep { ($_->{write_key} // '') eq $key
		&& $_->{accepted} } $s->requests)
	{
		push @{$n{$_->{properties}{n} // $_->{userId}}}, $_
			for @{json_decode($s->body($request))->{batch}};
	}
	return \%n;
}

# number => how often it is there

sub numbers {
	my $n = exported(@_);
	return { map { $_ => scalar @{$n->{$_}} } keys %$n };
}

# the files of nginx and of the store that hold a text

sub secrets {
	my (@texts) = @_;
	my @found;
	for my $name (map { glob } map { $t->testdir . "/$_" } qw{ *.log
		nginx.out store/*/* })
	{
		my $data = $t->read_file($name);
		push @found, map { "$name: $_" }
			grep { index($data, $_) >= 0 } @texts;
	}
	return @found;
}

1;
