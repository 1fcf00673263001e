package Bench::Nginx;

# The nginx that is measured: one worker with ctseg, the yardstick beside it,
# and a plain location, which stands for what else a worker serves.
#
#	my $nginx = Bench::Nginx->new(dir => $dir, store => $store,
#		build => $build, segment => $port)->start;
#	my $before = $nginx->cpu;

use strict;
use warnings;

use Time::HiRes qw/ sleep time /;

use Bench::Proc;
use Ctseg::Client;
use Ctseg::Nginx ();

my $frame = <<'EOC';
%USER%
daemon off;
worker_processes 1;
pid %DIR%/nginx.pid;
error_log %DIR%/error.log notice;
load_module %BUILD%/ngx_http_ctseg_module.so;
load_module %BUILD%/bench/ngx_http_ctseg_yard_module.so;
thread_pool ctseg threads=4;

events {
    worker_connections 1024;
}

http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;

    client_body_temp_path %DIR%/temp/body;
    proxy_temp_path %DIR%/temp/proxy;
    fastcgi_temp_path %DIR%/temp/fastcgi;
    uwsgi_temp_path %DIR%/temp/uwsgi;
    scgi_temp_path %DIR%/temp/scgi;

    ctseg_store %STORE% events=32g state=256m;
    ctseg_thread_pool ctseg;
    ctseg_custom_events on;

    upstream segment {
        server 127.0.0.1:%SEGMENT%;
        keepalive 64;
    }

    server {
        listen 127.0.0.1:%PORT%;
        client_max_body_size 8m;
        client_body_buffer_size 1m;

        location = /1/upload {
            ctseg_collect;
        }

        location = /yard {
            ctseg_yard;
        }

        location = /plain {
            return 200 "ok";
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location = /segment/us {
            internal;
            proxy_pass http://segment/v1/batch;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        ctseg_segment us /segment/us requests=1000000 events=1000000000;
    }
}
EOC

# dir: what belongs to this nginx; store: what may belong to several, one
# after the other; build: where the modules are; segment: a port

sub new {
	my ($class, %o) = @_;
	($o{port}, $o{lock}) = Ctseg::Nginx::free_port();
	return bless \%o, $class;
}

sub port { return $_[0]->{port} }
sub api { return '/ctseg/api' }

# the program, as the tests find it

sub program { return $ENV{CTSEG_NGINX} || '/usr/sbin/nginx' }

# seconds from here to the first answer of the API are in $nginx->{took}

sub start {
	my ($self) = @_;
	my $dir = $self->{dir};

	my %value = (DIR => $dir, STORE => $self->{store},
		BUILD => $self->{build}, PORT => $self->{port},
		SEGMENT => $self->{segment}, USER => $> ? '' : 'user root;');
	mkdir $_ for $dir, "$dir/temp";
	open my $f, '>', "$dir/nginx.conf" or die "$dir/nginx.conf: $!\n";
	print $f $frame =~ s/%([A-Z]+)%/$value{$1}/gr;
	close $f or die "$dir/nginx.conf: $!\n";

	my $since = time;
	$self->{proc} = Bench::Proc->start([ program(), '-p', "$dir/",
		'-c', "$dir/nginx.conf", '-e', "$dir/error.log" ],
		in => $dir, err => "$dir/nginx.err");

	my $answer;
	until ($answer && $answer->{status} == 200) {
		die "nginx did not start\n" . $self->error_log
			if $self->{proc}->ended || time > $since + 60;
		$answer = eval { Ctseg::Client->new($self->{port})->request(
			'GET', $self->api . '/status') };
		sleep 0.001 unless $answer;
	}
	$self->{took} = time - $since;

	($self->{worker}) = Bench::Proc::children($self->{proc}->pid)
		or die "nginx has no worker\n";
	return $self;
}

sub stop {
	my ($self) = @_;
	$self->{proc}->stop('QUIT') if $self->{proc};
	$self->{proc} = undef;
	return;
}

sub error_log { return Bench::Proc::slurp("$_[0]->{dir}/error.log") }

sub worker { return $_[0]->{worker} }

# CPU seconds of master and worker so far

sub cpu {
	my ($self) = @_;
	return Bench::Proc::cpu($self->{proc}->pid, $self->{worker});
}

# lines that no run may have

sub complaints {
	my ($self) = @_;
	return grep { /\[(?:alert|emerg|crit)\]/
		|| /worker process \d+ exited on signal/ }
		split /\n/, $self->error_log;
}

1;
