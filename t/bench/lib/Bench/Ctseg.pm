package Bench::Ctseg;

# The nginx that is measured: ctseg, the yardstick beside it, and a plain
# location, which stands for what else a worker serves.

use strict;
use warnings;

use Ctseg::Client;

use parent 'Bench::Nginx';

my %parts = (MODULES => <<'EOC', HTTP => <<'EOC', SERVER => <<'EOC');
load_module %BUILD%/ngx_http_ctseg_module.so;
load_module %BUILD%/bench/ngx_http_ctseg_yard_module.so;
thread_pool ctseg threads=4;
EOC
    ctseg_store %STORE% events=32g state=256m;
    ctseg_thread_pool ctseg;
    ctseg_custom_events on;

    upstream segment {
        server 127.0.0.1:%SEGMENT%;
        keepalive 64;
    }

EOC
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
EOC

sub parts { return %parts }

sub api { return '/ctseg/api' }

# the API has to answer, not the port alone

sub answers {
	my ($self) = @_;
	my $answer = eval { Ctseg::Client->new($self->{port})->request('GET',
		$self->api . '/status') };
	return $answer && $answer->{status} == 200;
}

1;
