package Ctseg::Load;

# Clients that upload while a test does something else: processes of their own,
# each event once, each request on a connection of its own.  Only they know
# what they were told.
#
#	my $load = Ctseg::Load->new($t->url(1, '/1/upload'), $t->testdir, 4);
#	$load->await(100);		# so many more answers
#	my $told = $load->stop;
#	# { acked => { n => 1 }, sent => { n => 1 }, refused => [ texts ],
#	#   lost => [ texts ] }
#
# An event that was answered otherwise than by 200 is "refused"; one whose
# connection broke is "lost", and nobody knows whether it was taken.

use strict;
use warnings;

use Exporter qw/ import /;
use POSIX ();
use Test::More;
use Time::HiRes qw/ sleep /;

use Ctseg::Client qw/ http_json wait_for /;
use Ctseg::Data qw/ record /;

our @EXPORT_OK = qw/ complete frame /;

my $serial = 0;

# a configuration to be loaded: uploads, exports and metrics

sub frame {
	return <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    access_log off;

    ctseg_store %%TESTDIR%%/store events=256m state=16m;
    ctseg_thread_pool ctseg;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
            client_max_body_size 8m;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /metrics {
            ctseg_metrics;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
            proxy_read_timeout 600s;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC
}

sub new {
	my ($class, $url, $dir, $clients) = @_;
	my $self = bless { load => [], owner => $$ }, $class;

	for (1 .. $clients) {
		my $base = ++$serial * 100_000;
		my $file = "$dir/load.$serial";
		my $parent = $$;
		my $pid = fork // die "fork: $!\n";
		if ($pid == 0) {
			$self->{load} = [];
			eval { _client($url, $file, $base, $parent) };
			POSIX::_exit(0);
		}
		push @{$self->{load}}, { pid => $pid, file => $file };
	}
	return $self;
}

sub _client {
	my ($url, $file, $base, $parent) = @_;
	my $over;
	local $SIG{USR1} = sub { $over = 1 };
	open my $out, '>', $file or return;

	for (my $n = $base; !$over && getppid == $parent; $n++) {
		syswrite $out, "$n\n";
		my $a = eval { http_json('POST', $url,
			'{"d":[' . record(n => $n) . ']}') };
		my $what = !$a ? "lost $@" : $a->{status} == 200 ? 'ok'
			: "refused $a->{status}";
		chomp $what;
		syswrite $out, "$n $what\n";

		# so that a mock of Segment keeps up

		sleep 0.01;
	}
	return;
}

sub _lines {
	my ($self) = @_;
	my @lines;
	for my $l (@{$self->{load}}) {
		open my $f, '<', $l->{file} or next;
		push @lines, <$f>;
	}
	chomp @lines;
	return @lines;
}

# uploads that were answered with 200

sub answers { return scalar grep { / ok$/ } $_[0]->_lines }

sub await {
	my ($self, $more, $seconds) = @_;
	my $mark = $self->answers + $more;
	wait_for { $self->answers >= $mark } $seconds || 30, "$more uploads";
	return;
}

sub _end {
	my ($self) = @_;
	for my $l (grep { $_->{pid} } @{$self->{load}}) {
		kill 'USR1', $l->{pid};
		waitpid $l->{pid}, 0;
		$l->{pid} = undef;
	}
	return;
}

sub stop {
	my ($self) = @_;
	my %told = (acked => {}, sent => {}, refused => [], lost => []);

	$self->_end;
	for my $line ($self->_lines) {
		$line =~ /^(\d+)(?: (ok|refused|lost)(.*))?$/
			or die "load: $line\n";
		!defined $2 ? ($told{sent}{$1} = 1)
			: $2 eq 'ok' ? ($told{acked}{$1} = 1)
			: push @{$told{$2}}, "$1$3";
	}
	return \%told;
}

# What is to be true of a live export of everything, which began with the log,
# when the clients have stopped: every event of the log is at Segment under an
# id of its own, among them all that were acknowledged; "once" says that none
# was sent again, either.  told: as stop() gives it, of all clients there were.

sub complete {
	my ($api, $s, $id, $told, $once) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $total = $api->get('/status')->{json}{sequence}{last};
	wait_for { $s->count_unique >= $total } 60, "$total events";

	my (%n, %ids);
	$s->each_event(sub {
		my ($e) = @_;
		my ($n) = $e->{raw} =~ /"n":(\d+)/;
		$n{$n}{$e->{id}} = 1;
		$ids{$e->{id}}{$n} = 1;
	});
	is(scalar keys %ids, $total, "all of the $total events arrive");
	is($s->count_accepted, $total, '... once') if $once;
	is(scalar(grep { keys %$_ > 1 } values %n), 0, '... under one id');
	is(scalar(grep { keys %$_ > 1 } values %ids), 0,
		"... that is no other's");
	is(scalar(grep { !$n{$_} } keys %{$told->{acked}}), 0,
		'... those that were acknowledged');
	is(scalar(grep { !$told->{sent}{$_} } keys %n), 0,
		'... and no others');
	is(join("\n", @{$told->{refused}}), '', 'no upload was refused');

	my $run;
	wait_for {
		$run = $api->get("/exports/$id/runs/1")->{json};
		$run->{waiting} == 0 && $run->{to_sequence} == $total;
	} 30, 'the last checkpoint';
	is("$run->{sent} $run->{filtered} $run->{rejected}", "$total 0 0",
		'the run has counted each once');
	is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
	is_deeply([ $api->wrong ], [], 'and no answer lost one');
	return;
}

sub DESTROY {
	my ($self) = @_;
	return if $self->{owner} != $$;
	local ($?, $@, $!);
	$self->_end;
	return;
}

1;
