package Bench::Peer::Node;

# A peer: Segment's own SDK behind a small server of Node.js, see
# peers/server.mjs.

use strict;
use warnings;

use Cwd ();
use File::Basename qw/ dirname /;

use Bench::Proc;
use Ctseg::Client qw/ json_decode /;

use parent 'Bench::Server';

my $script = Cwd::realpath(dirname(__FILE__) . '/../../../peers/server.mjs');
my $sdk = '@segment/analytics-node';

# where npm installed the SDK

sub modules {
	my ($build) = @_;
	return "$build/bench/peers/node_modules";
}

sub version {
	my ($class, $build) = @_;
	my ($node) = `node --version 2>/dev/null` =~ /(\S+)/;
	my $v = eval { json_decode(Bench::Proc::slurp(modules($build)
		. "/$sdk/package.json"))->{version} };
	return sprintf 'node %s, %s %s', $node // '?', $sdk, $v // '?';
}

sub command {
	my ($self) = @_;
	my $modules = modules($self->{build});
	-e "$modules/$sdk"
		or die "$sdk is not installed, see make bench-peers\n";
	return ('node', $script, $modules, $self->{port}, $self->{segment});
}

# what it says of events that were lost

sub complaints {
	my ($self) = @_;
	return split /\n/, $self->said;
}

1;
