package Ctseg::Dns;

# A name server for nginx's resolver: one child process on a UDP port of
# 127.0.0.1.  Names have their addresses here, or undef: no answer ever.
# Whatever else is asked for does not exist.
#
#	my $dns = Ctseg::Dns->new('segment.test' => '127.0.0.1',
#		'slow.test' => undef);
#	resolver 127.0.0.1:%%PORT_7%% ...	# $t->set_port(7, $dns->port)

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();

use Ctseg::Nginx ();

sub new {
	my ($class, %names) = @_;

	# the lock on a port is a UDP socket of its number: ours to use

	my ($port, $socket) = Ctseg::Nginx::free_port();
	my $self = bless { port => $port, owner => $$ }, $class;

	$self->{pid} = fork // die "fork: $!\n";
	if ($self->{pid} == 0) {
		$SIG{$_} = 'DEFAULT' for qw/ TERM INT HUP /;
		chdir '/';
		eval { _loop($socket, %names) };
		POSIX::_exit(0);
	}
	return $self;
}

sub port { return $_[0]->{port} }

sub _loop {
	my ($socket, %names) = @_;

	while (1) {
		my $from = recv($socket, my $query, 512, 0) // next;
		my ($id, $flags, $n) = unpack 'nnn', $query;
		next if ($n // 0) != 1;

		my ($name, $off) = ('', 12);
		while (my $len = unpack "x$off C", $query) {
			$name .= ($name eq '' ? '' : '.')
				. substr $query, $off + 1, $len;
			$off += $len + 1;
		}
		my $question = substr $query, 12, $off + 5 - 12;
		my $type = unpack 'x' . ($off + 1) . ' n', $query;

		my $known = exists $names{lc $name};
		my $address = $names{lc $name};
		next if $known && !defined $address;

		# type 1: an address; a name has no other records here

		my $answers = $known && $type == 1 ? 1 : 0;
		send $socket, pack('n6', $id, $known ? 0x8180 : 0x8183, 1,
			$answers, 0, 0) . $question . ($answers
			? pack('n3 N n C4', 0xc00c, 1, 1, 60, 4,
				split /\./, $address) : ''), 0, $from;
	}
	return;
}

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

sub DESTROY {
	my ($self) = @_;
	return if $self->{owner} != $$;
	local ($?, $!, $@);
	$self->stop;
	return;
}

1;
