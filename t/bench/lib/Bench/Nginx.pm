package Bench::Nginx;

# An nginx with one worker that takes uploads.  What it does with them is said
# by those who are made of it: parts() is what goes into the frame below, so
# that all else is the same.  store is a path, which may belong to several, one
# after the other.

use strict;
use warnings;

use Bench::Proc;

use parent 'Bench::Server';

my $frame = <<'EOC';
%USER%
daemon off;
worker_processes 1;
pid %DIR%/nginx.pid;
error_log %DIR%/error.log notice;
%MODULES%
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

%HTTP%
    server {
        listen 127.0.0.1:%PORT%;
        client_max_body_size 8m;
        client_body_buffer_size 1m;

%SERVER%
    }
}
EOC

# the program, as the tests find it

sub program { return $ENV{CTSEG_NGINX} || '/usr/sbin/nginx' }

sub command {
	my ($self) = @_;
	my $dir = $self->{dir};
	my %part = $self->parts;
	my %value = (DIR => $dir, STORE => $self->{store},
		BUILD => $self->{build}, PORT => $self->{port},
		SEGMENT => $self->{segment}, USER => $> ? '' : 'user root;');
	mkdir "$dir/temp";
	open my $f, '>', "$dir/nginx.conf" or die "$dir/nginx.conf: $!\n";
	print $f $frame =~ s/%(MODULES|HTTP|SERVER)%/$part{$1}/gr
		=~ s/%([A-Z]+)%/$value{$1}/gr;
	close $f or die "$dir/nginx.conf: $!\n";
	return (program(), '-p', "$dir/", '-c', "$dir/nginx.conf",
		'-e', "$dir/error.log");
}

sub worker { return $_[0]->{pids}[1] }

sub complaints {
	my ($self) = @_;
	return grep { /\[(?:alert|emerg|crit)\]/
		|| /worker process \d+ exited on signal/ }
		split /\n/, Bench::Proc::slurp("$self->{dir}/error.log");
}

1;
