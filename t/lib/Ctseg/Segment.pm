package Ctseg::Segment;

# A mock of Segment's batch endpoint: one child process with its own loop on a
# port of 127.0.0.1.  It checks every documented rule of a batch, answers as a
# script says and writes down what it saw.
#
#	my $s = Ctseg::Segment->new(dir => $t->testdir);
#	$t->set_port(9, $s->port);
#	$s->script({ status => 500 }, { status => 429,
#		headers => { 'Retry-After' => 1 } });
#	...
#	is_deeply([ $s->violations ], []);
#	is($s->count_accepted, 1000);
#
# The record is on file before an answer leaves, so whatever the sender knows
# can be read here.  Events count as accepted when their request was answered
# 2xx (or "accept" said so) and they broke no rule: Segment, too, answers 200
# and drops the others.

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;
use Errno;
use Fcntl ();
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw/ encode_base64 /;
use POSIX ();
use Scalar::Util ();
use Socket;
use Time::HiRes qw/ sleep time /;

use Ctseg::Nginx ();
use Ctseg::Segment::Server;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %live;


# ---- the parent's side ----

# dir => directory of the record (needed)
# name => prefix of its files ('segment'); several mocks may share a dir
# port => a port of one's own choice
# keepalive => 0: close after each answer
# handler => sub ($request): runs in the child when neither script nor rule
#	has an answer; returns one or undef.  $request: n, method, path,
#	headers, body, write_key, events (count), bytes
#
# An answer is a hash, all parts optional:
#	status	200
#	headers	{ name => value }
#	body	{"success":true} for 200, else {"success":false}
#	delay	seconds before it is sent
#	close	'before' | 'mid_header' | 'mid_body' | 'after': the connection
#		ends there, with a reset when rst => 1
#	early	answer when the header was read, without the body
#	drip	send it in eight pieces, so many seconds apart
#	hang	never answer
#	hold	answer after release()
#	accept	0 or 1: whether the events count as accepted, if not as the
#		status says (e.g. close => 'before', accept => 1: taken, but
#		the sender cannot know)
#	raw	bytes to send instead of all that
#	what	a name for it, which the record shows

sub new {
	my ($class, %opt) = @_;

	my $dir = $opt{dir} or die "Ctseg::Segment: dir?\n";
	my $name = $opt{name} || 'segment';

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

	for my $ext (qw/ requests bodies events violations /) {
		open my $f, '>', "$self->{prefix}.$ext"
			or die "$self->{prefix}.$ext: $!\n";
	}

	$live{$self + 0} = $self;
	Scalar::Util::weaken($live{$self + 0});

	$self->start;
	return $self;
}

# start (again): after stop() the same port, record and numbering go on, and
# ids seen before stay known

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
			Ctseg::Segment::Server->new($self, $listen, $theirs,
				$fresh)->loop;
			1;
		} or print STDERR "mock Segment: $@";
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
sub url { return "http://127.0.0.1:$_[0]->{port}" . ($_[1] // '/v1/batch') }

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

# Answers by content, the first that matches; replaces earlier ones.
#	{ when => { contains => 'text', event => 'Name', write_key => 'k',
#		min_events => n, max_events => n, min_bytes => n,
#		path => '/v1/x' }, times => n, status => ... }
# All conditions must hold.  A script comes first.

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
# (connections ever accepted), cut (those that ended within a request), events,
# bytes

sub stats { return $_[0]->_command(cmd => 'stats') }

# forget the record (not the ids seen)

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
# status (0: no answer, undef: not yet), accepted, what, answered_at, events,
# bytes, write_key, offset, conn }.  $s->body($request) gives its body.

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

# requests to /v1/batch that were answered 2xx, with their bodies; (all => 1):
# whatever the answer

sub batches {
	my ($self, %opt) = @_;
	return map { { %$_, body => $self->body($_) } }
		grep { $_->{path} eq '/v1/batch' && ($opt{all}
			|| ($_->{status} // 0) =~ /^2/) } $self->requests;
}

# One hash per event: { request, accepted, ok, id, type, name, user, anonymous,
# timestamp, bytes, raw }.  Strings are raw JSON (without quotes, escapes as
# sent).  `raw` is the whole event; $s->decode($e) gives it decoded, including
# properties.  Only accepted ones, unless all => 1.  raw => 0 is faster.

sub events {
	my ($self, %opt) = @_;
	my @out;
	$self->each_event(sub { push @out, $_[0] }, %opt);
	return @out;
}

sub each_event {
	my ($self, $cb, %opt) = @_;

	my %accepted;
	for my $r ($self->requests) {
		$accepted{$r->{n}} = 1 if $r->{accepted};
	}

	my $bodies = ($opt{raw} // 1) ? $self->_slurp('bodies') : undef;

	for my $line (split /\n/, $self->_slurp('events')) {
		my ($n, $ok, $off, $len, $id, $type, $name, $user, $anon,
			$ts) = split /\t/, $line, -1;
		my $accepted = $accepted{$n} && $ok ? 1 : 0;
		next unless $accepted || $opt{all};
		$cb->({ request => $n, ok => $ok, accepted => $accepted,
			id => $id, type => $type, name => $name,
			user => $user, anonymous => $anon, timestamp => $ts,
			bytes => $len, (defined $bodies
				? (raw => substr $bodies, $off, $len) : ()) });
	}
	return;
}

sub decode { return $json->decode($_[1]{raw}) }

# accepted events, each messageId once / with repetitions

sub count_unique { return scalar keys %{{ $_[0]->unique_ids }} }

sub count_accepted {
	my ($self) = @_;
	my $n = 0;
	$self->each_event(sub { $n++ }, raw => 0);
	return $n;
}

# messageId => how often it was accepted

sub unique_ids {
	my ($self) = @_;
	my %id;
	$self->each_event(sub { $id{$_[0]{id}}++ }, raw => 0);
	return %id;
}

# value of a property => number of different messageIds that carry it, over
# the accepted events; numbers and strings as written (strings unquoted)

sub property_counts {
	my ($self, $property, %opt) = @_;
	my (%seen, %count);
	my $re = qr/"\Q$property\E":(?:"((?:[^"\\]|\\.)*)"|([-\d.eE+]+))/;

	$self->each_event(sub {
		my ($e) = @_;
		return if $seen{$e->{id}}++;
		$count{$1 // $2}++ if $e->{raw} =~ $re;
	}, %opt);

	return %count;
}

# texts "request N: what is wrong", of all requests

sub violations { return split /\n/, $_[0]->_slurp('violations') }

# requests with more bytes than ctseg promises (475,000)

sub oversize {
	my ($self) = @_;
	my $most = $Ctseg::Segment::Server::OUR_BODY;
	return grep { $_->{bytes} > $most } $self->requests;
}


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
