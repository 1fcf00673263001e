package Bench::Server;

# A server that takes the load and posts to Segment's stand-in: ctseg's nginx,
# or what is measured beside it.  What they have in common: a process of their
# own with its children, a port, and what all of them use together.
#
#	my $server = Bench::Ctseg->new(dir => $dir, build => $build,
#		segment => $port)->start;
#	my $before = $server->cpu;
#
# A kind of server says how it is made ready and started: command() writes
# what it needs below dir and returns a command; answers() is true as soon as
# it takes requests; it may have complaints().

use strict;
use warnings;

use List::Util qw/ sum0 /;
use Time::HiRes qw/ sleep time /;

use Bench::Proc;
use Ctseg::Client;
use Ctseg::Nginx ();

# dir: what belongs to this one; build: where the programs are; segment: a
# port; and what a kind of server wants

sub new {
	my ($class, %o) = @_;
	($o{port}, $o{lock}) = Ctseg::Nginx::free_port();
	return bless \%o, $class;
}

sub port { return $_[0]->{port} }

# any answer will do

sub answers {
	my ($self) = @_;
	return eval { Ctseg::Client->new($self->{port}, timeout => 5)
		->request('GET', '/'); 1 };
}

# seconds from here to the first answer are in $server->{took}

sub start {
	my ($self) = @_;
	mkdir $self->{dir};
	my @command = $self->command;

	my $since = time;
	$self->{proc} = Bench::Proc->start(\@command, in => $self->{dir},
		err => "$self->{dir}/stderr");
	until ($self->answers) {
		die "$command[0] did not start\n" . $self->said
			if $self->{proc}->ended || time > $since + 60;
		sleep 0.001;
	}
	$self->{took} = time - $since;

	$self->{pids} = [ $self->{proc}->pid,
		Bench::Proc::children($self->{proc}->pid) ];
	return $self;
}

sub stop {
	my ($self) = @_;
	$self->{proc}->stop('QUIT') if $self->{proc};
	$self->{proc} = undef;
	return;
}

# all that it wrote of itself

sub said {
	my ($self) = @_;
	return join '', map { Bench::Proc::slurp("$self->{dir}/$_") }
		qw/ stderr error.log /;
}

# lines of that which no run may have

sub complaints { return () }

# CPU seconds so far, and KB of memory, of all its processes

sub cpu { return Bench::Proc::cpu(@{$_[0]->{pids}}) }

sub resident_kb {
	return sum0(map { Bench::Proc::resident_kb($_) } @{$_[0]->{pids}});
}

sub own_kb {
	return sum0(map { Bench::Proc::own_kb($_) } @{$_[0]->{pids}});
}

1;
