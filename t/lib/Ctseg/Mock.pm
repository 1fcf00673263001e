package Ctseg::Mock;

# A server of the test's own, in the place of one that the product talks to:
# one child process with its own loop on a port of 127.0.0.1, which answers as
# a script says and writes down what it saw.  What the server is, its class
# says: Ctseg::Segment, Ctseg::CleverTap.
#
# The record is on file before an answer leaves, so whatever the client knows
# can be read here.

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Scalar::Util ();
use Socket;
use Time::HiRes qw/ time /;

use Ctseg::Nginx ();

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %live;

# what a class of mocks says of itself: the package of its child, the prefix
# of its files, and their names beside "requests", "bodies" and "violations"

sub server { die "a mock of nothing\n" }
sub files { return () }

# dir => directory of the record (needed)
# name => prefix of its files; several mocks may share a dir
# port => a port of one's own choice
# keepalive => 0: close after each answer
# handler => sub ($request): runs in the child when neither script nor rule
#	has an answer; returns one or undef.  $request: n, method, path,
#	headers, body, bytes and what its class adds
#
# An answer is a hash, all parts optional:
#	status	200
#	headers	{ name => value }
#	body	what its class has to say; text, or what becomes JSON
#	delay	seconds before it is sent
#	close	'before' | 'mid_header' | 'mid_body' | 'after': the connection
#		ends there, with a reset when rst => 1
#	early	answer when the header was read, without the body
#	drip	send it in eight pieces, so many seconds apart
#	hang	never answer
#	hold	answer after release()
#	raw	bytes to send instead of all that
#	what	a name for it, which the record shows

sub new {
	my ($class, %opt) = @_;

	my $dir = $opt{dir} or die "$class: dir?\n";
	my $name = $opt{name} || lc $class =~ s/^.*:://r;

	my ($port, $lock) = $opt{port} ? ($opt{port}, undef)
		: Ctseg::Nginx::free_port();

	my $self = bless {
		owner	=> $$,
		dir	=> $dir,
		prefix	=> "$dir/$name",
		port	=> $port,
		lock	=> $lock,
		opt	=> \%opt,
		first	=> 1,
	}, $class;

	for my $ext (qw/ requests bodies violations /, $self->files) {
		open my $f, '>', "$self->{prefix}.$ext"
			or die "$self->{prefix}.$ext: $!\n";
	}

	$live{$self + 0} = $self;
	Scalar::Util::weaken($live{$self + 0});

	$self->start;
	return $self;
}

# start (again): after stop() the same port, record and numbering go on

sub start {
	my ($self) = @_;

	my $listen = IO::Socket::INET->new(Proto => 'tcp', Listen => 1024,
		LocalAddr => '127.0.0.1', LocalPort => $self->{port},
		ReuseAddr => 1) or die "listen on $self->{port}: $@\n";

	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
		or die "socketpair: $!\n";

	my $fresh = delete $self->{first};
	my $pid = fork // die "fork: $!\n";

	if ($pid == 0) {
		CORE::close $ours;
		$SIG{$_} = 'DEFAULT' for qw/ TERM INT HUP /;
		$SIG{PIPE} = 'IGNORE';
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		chdir '/';
		eval {
			$self->server->new($self, $listen, $theirs,
				$fresh)->loop;
			1;
		} or print STDERR "mock $self->{prefix}: $@";
		POSIX::_exit(0);
	}

	CORE::close $theirs;
	CORE::close $listen;
	$self->{pid} = $pid;
	$self->{control} = $ours;
	$self->{in} = '';

	return $self;
}

sub port { return $_[0]->{port} }
sub pid { return $_[0]->{pid} }
sub url { return "http://127.0.0.1:$_[0]->{port}" . ($_[1] // '') }

# new connections are refused from here on, open ones end

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	CORE::close delete $self->{control};
	return;
}

sub _command {
	my ($self, %cmd) = @_;

	die "the mock is not running\n" unless $self->{pid};
	my $line = $json->encode(\%cmd) . "\n";
	syswrite $self->{control}, $line;

	my $end = time + 20;
	my $pos;
	while (($pos = index $self->{in}, "\n") < 0) {
		my $bits = '';
		vec($bits, fileno $self->{control}, 1) = 1;
		select $bits, undef, undef, $end - time > 0 ? $end - time : 0
			or die "the mock does not answer\n";
		sysread $self->{control}, $self->{in}, 65536,
			length $self->{in}
			or die "the mock has ended\n";
	}
	return $json->decode(substr $self->{in}, 0, $pos + 1, '');
}

# answers for the next requests, in order of arrival; replaces what is left
# of an earlier script.  { times => n, ... } stands for n answers.

sub script {
	my ($self, @answers) = @_;
	@answers = @{$answers[0]} if ref $answers[0] eq 'ARRAY';
	$self->_command(cmd => 'script', answers => \@answers);
	return $self;
}

# answers of the script not yet used

sub script_left { return $_[0]->_command(cmd => 'left')->{left} }

# the answer when there is nothing else

sub default {
	my ($self, %answer) = @_;
	%answer = %{$_[1]} if ref $_[1];
	$self->_command(cmd => 'default', answer => \%answer);
	return $self;
}

# Answers by what is asked, the first that matches; replaces earlier ones.
#	{ when => { contains => 'text', method => 'GET', ... }, times => n,
#		status => ... }
# All conditions must hold, see the class for more of them.  A script comes
# first.

sub rules {
	my ($self, @rules) = @_;
	@rules = @{$rules[0]} if ref $rules[0] eq 'ARRAY';
	$self->_command(cmd => 'rules', rules => \@rules);
	return $self;
}

# let the oldest n held answers go (all)

sub release {
	my ($self, $n) = @_;
	return $self->_command(cmd => 'release', n => $n)->{released};
}

# figures kept by the child: requests, held, connections (open), accepted
# (connections ever accepted), cut (those that ended within a request), bytes,
# and what its class counts

sub stats { return $_[0]->_command(cmd => 'stats') }

# forget the record, not what the child knows

sub forget {
	my ($self) = @_;
	$self->_command(cmd => 'forget');
	return $self;
}

# ---- what was recorded ----

sub _slurp {
	my ($self, $ext) = @_;
	open my $f, '<:raw', "$self->{prefix}.$ext" or return '';
	local $/;
	my $data = <$f> // '';

	# an unfinished last line belongs to the next reader

	$data =~ s/[^\n]+\z// if $ext ne 'bodies';
	return $data;
}

# every request, by arrival: { n, at, method, path, headers (lower case),
# status (0: no answer, undef: not yet), what, answered_at, bytes, offset,
# conn } and what its class adds.  $mock->body($request) gives its body.

sub requests {
	my ($self) = @_;
	my @list;
	my %by;

	for my $line (split /\n/, $self->_slurp('requests')) {
		my $r = $json->decode($line);
		if (my $old = $by{$r->{n}}) {
			%$old = (%$old, %$r);
			next;
		}
		push @list, $r;
		$by{$r->{n}} = $r;
	}
	return @list;
}

sub body {
	my ($self, $r) = @_;
	open my $f, '<:raw', "$self->{prefix}.bodies" or die "bodies: $!\n";
	seek $f, $r->{offset}, 0;
	read $f, my $data, $r->{bytes};
	return $data;
}

# texts "request N: what is wrong", of all requests

sub violations { return split /\n/, $_[0]->_slurp('violations') }


sub DESTROY {
	my ($self) = @_;
	return unless $self->{owner} && $self->{owner} == $$;
	local ($?, $!, $@);
	$self->stop;
	delete $live{$self + 0};
}

END {
	for my $self (grep { defined } values %live) {
		next unless $self->{owner} == $$;
		local ($?, $!, $@);
		$self->stop;
	}
}

1;
