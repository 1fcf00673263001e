package Bench::Stage;

# What one row is measured on: an nginx over a store, Segment's stand-in beside
# it, and the load that drives both.  It also is the judge: each event that was
# acknowledged has to arrive at the stand-in, once.  In the place of nginx with
# ctseg there may be another Bench::Server.
#
#	my $s = $bench->stage(store => 'new');
#	my $id = $s->live;
#	my $load = $s->load('/1/upload', '-n' => 200, '-e' => 1_000_000);
#	$s->arrived($load->{events});
#	$s->end;

use strict;
use warnings;

use Time::HiRes qw/ sleep time /;

use Bench::Ctseg;
use Bench::Proc;
use Ctseg::Client qw/ json_decode json_encode /;
use Ctseg::Nginx ();

# number of the first event as the load writes it
my $base = 100_000_000;

# dir, build, store (a path), next (first seq of new events), room (how many
# there may be in all), delay (ms that Segment takes), arrivals (a file), fault
# (a sub that takes texts), server (a class), yard (the stage whose nginx has
# the yardstick, if this one has none), start => 0 leaves the server for later

sub new {
	my ($class, %o) = @_;
	my $self = bless { next => 0, room => 20_000_000, %o }, $class;

	($self->{port}, $self->{lock}) = Ctseg::Nginx::free_port();
	$self->{segment} = Bench::Proc->start([ "$o{build}/bench/segment",
		'-i', "$base,$self->{room}",
		$o{delay} ? ('-l', $o{delay}) : (),
		$o{arrivals} ? ('-a', $o{arrivals}) : (), $self->{port} ]);
	$self->_await_segment;

	$self->{server} = ($o{server} // 'Bench::Ctseg')->new(
		dir => $o{dir}, store => $o{store}, build => $o{build},
		segment => $self->{port});
	$self->start unless defined $o{start} && !$o{start};
	return $self;
}

sub start {
	my ($self) = @_;
	$self->{server}->start;
	$self->{client} = Ctseg::Client->new($self->{server}->port,
		timeout => 60);
	return $self;
}

sub server { return $_[0]->{server} }

sub _await_segment {
	my ($self) = @_;
	my $end = time + 10;
	until (eval { $self->stats }) {
		die "the stand-in of Segment does not answer: $@"
			if time > $end || $self->{segment}->ended;
		sleep 0.005;
	}
	return;
}

# nothing may be left, and nothing may have come twice

sub end {
	my ($self) = @_;
	my $stats = $self->stats;
	for my $what (qw/ doubled unknown over_limit /) {
		$self->{fault}->("$stats->{$what} $what at Segment's side")
			if $stats->{$what};
	}
	$self->{server}->stop;
	$self->{fault}->("server: $_") for $self->{server}->complaints;
	$self->{segment}->stop;
	return $stats;
}

sub abandon {
	my ($self) = @_;
	eval { $self->{server}->stop };
	$self->{segment}->stop;
	$_->{proc}->stop for @{$self->{running}};
	return;
}

# ---- Segment's side ----

sub _segment {
	my ($self, $method, $path, $seconds) = @_;
	my $a = Ctseg::Client->new($self->{port},
		timeout => $seconds || 20)->request($method, $path,
		{ Connection => 'close' }, $method eq 'POST' ? '' : undef);
	die "the stand-in: $a->{status} on $method $path\n"
		unless $a->{status} == 200;
	return $a->{body};
}

sub stats { return json_decode($_[0]->_segment('GET', '/stats')) }

# forget what arrived; what was asked to come must be there

sub reset {
	my ($self) = @_;
	my $stats = $self->stats;
	$self->_segment('POST', '/control?reset');
	return $stats;
}

sub answer { $_[0]->_segment('POST', "/control?answer=$_[1]"); return }

# how many ms that takes

sub latency { $_[0]->_segment('POST', "/control?latency=$_[1]"); return }

# wait until that many different events are there

sub arrived {
	my ($self, $events, $seconds) = @_;
	return 1 if eval { $self->_segment('POST', "/control?wait=$events",
		$seconds || 60); 1 };
	my $why = $@;
	chomp $why;
	my $stats = eval { $self->stats } || {};
	$self->{fault}->("$events events should have arrived, "
		. ($stats->{distinct} // 'nobody knows how many')
		. " did ($why)");
	return 0;
}

# ---- the load ----

# in the background: what to wait for with loaded()

sub load_start {
	my ($self, $path, %o) = @_;
	my $plain = $path ne '/1/upload' && $path ne '/yard';
	my @o = map { ($_, defined $o{$_} ? $o{$_} : ()) } sort keys %o;
	push @o, '-y' if $path eq '/yard';
	push @o, '-g' if $plain;
	push @o, '-f', $self->{next} if $path eq '/1/upload';
	my $out = "$self->{dir}/load." . ++$self->{loads};
	my $p = Bench::Proc->start([ "$self->{build}/bench/load", @o,
		'127.0.0.1:' . $self->{server}->port . $path ], out => $out);
	my $load = { proc => $p, path => $path, keep => exists $o{'-k'} };
	push @{$self->{running}}, $load;
	return $load;
}

sub loaded {
	my ($self, $load, $seconds) = @_;
	my ($text, $code) = $load->{proc}->wait($seconds || 120);
	my $r = eval { json_decode($text) }
		or die "load $load->{path} said nothing ($code)\n";
	if ($load->{path} eq '/1/upload') {
		$self->{next} += $r->{events};
		$self->{acked} += $r->{acks};
	}
	if (($r->{errors} || $code) && !$load->{keep}) {
		$self->{fault}->("$r->{errors} errors on $load->{path}: "
			. json_encode($r->{status}));
	}
	return $r;
}

sub load {
	my ($self, $path, @o) = @_;
	return $self->loaded($self->load_start($path, @o));
}

# the yardstick by the same load: what came of it, and us of CPU an event

sub yard {
	my ($self, @o) = @_;
	my $s = $self->{yard} || $self;
	my $r;
	my $cpu = $s->cpu_of(sub { $r = $s->load('/yard', @o) });
	return { %$r, us => $cpu / $r->{acks} * 1e6 };
}

# ---- the API ----

sub call {
	my ($self, $method, $path, $data) = @_;
	my $a = $self->{client}->request($method,
		$self->{server}->api . $path, {}, $data);
	die "$method $path: $a->{status} $a->{body}\n"
		unless $a->{status} =~ /^2/;
	return $a->{json};
}

sub partner {
	my ($self) = @_;
	return $self->{partner} //= $self->call('POST', '/partners',
		{ nickname => "bench $$ " . time,
			write_key => 'bench' })->{id};
}

# id of a new export of everything, or of what is given

sub export {
	my ($self, $frequency, %o) = @_;
	return $self->call('POST', '/exports', {
		partner_id => $self->partner, events => { set => 'all' },
		frequency => $frequency, %o })->{id};
}

# a live export, as soon as it runs; others than ctseg export by themselves

sub live {
	my ($self) = @_;
	return unless $self->{server}->can('api');
	my $id = $self->export({ kind => 'live' });
	$self->until($id, sub { $_[0]{last_run} });
	return $id;
}

# a one-time export, days back from today

sub days {
	my ($self, $from, $to, %o) = @_;
	return $self->export({ kind => 'one_time', from => day($from),
		to => day($to) }, %o);
}

sub day {
	my ($back) = @_;
	my @t = localtime(time - $back * 86400);
	return sprintf '%04d-%02d-%02d', $t[5] + 1900, $t[4] + 1, $t[3];
}

sub until {
	my ($self, $id, $what, $seconds) = @_;
	my $end = time + ($seconds || 60);
	while (1) {
		my $e = $self->call('GET', "/exports/$id");
		return $e if $what->($e);
		die "export $id: " . json_encode($e) . "\n" if time > $end;
		sleep 0.01;
	}
}

sub done {
	my ($self, $id, $seconds) = @_;
	my $e = $self->until($id, sub { $_[0]{status} eq 'DONE' }, $seconds);
	my $r = $e->{last_run};
	$self->{fault}->("export $id: $r->{rejected} events rejected, "
		. "$r->{retries} retries") if $r->{rejected} || $r->{retries};
	return $r;
}

# read the log once, so that it is in the page cache: a page fault that has to
# wait for the disk costs CPU as well, and how many there are is by chance

sub warm {
	my ($self) = @_;
	open my $f, '<:raw', "$self->{store}/events/data.mdb"
		or die "$self->{store}: $!\n";
	1 while sysread $f, my $bytes, 1 << 20;
	return $self;
}

# CPU seconds that the server needs for it, and no less than can be told

sub cpu_of {
	my ($self, $code) = @_;
	my $before = $self->{server}->cpu;
	$code->();
	my $cpu = $self->{server}->cpu - $before;
	return $cpu > Bench::Proc::tick() ? $cpu : Bench::Proc::tick();
}

1;
