package Bench::Peer::Lua;

# A peer: nginx with ngx_lua, a list in shared memory and a timer, see
# peers/nginx.lua.

use strict;
use warnings;

use Cwd ();
use File::Basename qw/ dirname /;

use parent 'Bench::Nginx';

my $script = Cwd::realpath(dirname(__FILE__) . '/../../../peers/nginx.lua');

# where Debian's modules are

sub modules {
	my $program = Bench::Nginx::program();
	return `$program -V 2>&1` =~ /--modules-path=(\S+)/ ? $1
		: die "$program does not say where its modules are\n";
}

# the versions of Debian's packages

sub version {
	my $text = `dpkg-query -W libnginx-mod-http-lua lua-cjson 2>/dev/null`;
	my %v = map { split } split /\n/, $text =~ s/:\w+\t/\t/gr;
	return join ', ', map { "$_ " . ($v{$_} // '?') }
		qw/ libnginx-mod-http-lua lua-cjson /;
}

sub parts {
	my ($self) = @_;
	my $modules = modules();
	-e "$modules/ngx_http_lua_module.so"
		or die "ngx_lua is not installed, see make bench-peers\n";
	return (MODULES => <<"EOC", HTTP => <<"EOC", SERVER => <<"EOC");
load_module $modules/ndk_http_module.so;
load_module $modules/ngx_http_lua_module.so;
EOC
    lua_shared_dict events 1024m;
    init_by_lua_block { peer = dofile("$script")(%SEGMENT%) }
    init_worker_by_lua_block { peer.start() }
EOC
        location = /1/upload {
            content_by_lua_block { peer.collect() }
        }
EOC
}

1;
