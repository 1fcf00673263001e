package Bench::Run;

# One run of the benchmark: its sizes, the stores that rows share, and what
# went wrong.  A store that took long to fill is filled once; what rows add to
# its state is taken back before the next one begins.
#
#	my $bench = Bench::Run->new(build => $build, quick => 1);
#	my $stage = $bench->stage('big');	# or 'small', 'late', 'new'
#	$bench->faults;				# texts

use strict;
use warnings;

use File::Path ();

use Bench::Stage;

# names of the catalog that are not in the mix of the load

our $seldom = 'App Uninstalled';	# 1 % of a store's events
our $late = 'Channel Unsubscribed';	# 1,000 events at the end

my %size = (
	full => {
		big => 10_000_000,	# the log of rows 6, 7, 9, 14, 15
		small => 1_000_000,	# ... and what it is compared with
		batched => 1_000_000,	# events of row 1, 200 a body
		single => 100_000,	# of row 2, 1 a body
		yard => 1,		# seconds of the yardstick
		open => 3,		# seconds of an open loop
		plain => 2,		# ... of its yardstick
		written => 3,		# ... of row 16
		rest => 3,		# of row 10
		far => 100_000,		# events of row 12
		exports => 1_000,	# of row 7
		outage => 60,		# seconds, of rows 7 and 13
		late => 1_000,
		again => 5,		# repetitions of what takes moments
		turns => 4,		# of the two logs of row 15
	},
	quick => {
		big => 200_000, small => 100_000, batched => 100_000,
		single => 10_000, yard => 0.3, open => 1, plain => 1,
		written => 1, rest => 1,
		far => 20_000, exports => 100, outage => 1, late => 100,
		again => 2,
		turns => 2,
	},
);

my @all;

# build: where the programs are; quick; wanted: rows as keys, none are all; and
# any of the sizes

sub new {
	my ($class, %o) = @_;
	my $self = bless { faults => [], stages => 0, store => {},
		running => [], looks => {}, wanted => $o{wanted} || {},
		build => $o{build}, size => { %{$size{$o{quick} ? 'quick'
			: 'full'}} } }, $class;
	for my $name (keys %{$self->{size}}) {
		$self->{size}{$name} = $o{$name} if defined $o{$name};
	}
	$self->{dir} = "$o{build}/bench/run.$$";
	File::Path::make_path($self->{dir});
	$self->{owner} = $$;
	push @all, $self;
	return $self;
}

sub size { return $_[0]->{size}{$_[1]} // die "no size $_[1]\n" }
sub dir { return $_[0]->{dir} }
sub build { return $_[0]->{build} }

# is this row to be measured?  "13" stands for 13a and 13b

sub wants {
	my ($self, $row) = @_;
	my $wanted = $self->{wanted};
	return !%$wanted || $wanted->{$row} || $wanted->{$row =~ s/[a-z]$//r};
}

sub fault {
	my ($self, $text) = @_;
	$text = "$self->{now}: $text" if $self->{now};
	push @{$self->{faults}}, $text;
	print STDERR "FAULT: $text\n";
	return;
}

sub faults { return @{$_[0]->{faults}} }

# what is being measured, for the texts of faults

sub now { my ($self, $what) = @_; $self->{now} = $what; return }

sub say {
	my ($self, $text) = @_;
	print STDERR "$text\n";
	return;
}

# an nginx over this store, or another server in its place

sub stage {
	my ($self, $name, %o) = @_;
	my $store = $name eq 'new' ? $self->_new : $self->_filled($name);
	return $self->_stage($store, %o);
}

sub _stage {
	my ($self, $store, %o) = @_;
	my $dir = "$self->{dir}/stage." . ++$self->{stages};
	mkdir $dir or die "$dir: $!\n";
	my $stage = Bench::Stage->new(fault => sub { $self->fault(@_) }, %o,
		dir => $dir, build => $self->{build}, store => $store->{path},
		next => $store->{next}, of => $store);
	push @{$self->{running}}, $stage;
	return $stage;
}

# done with it: what Segment's side counted

sub end {
	my ($self, $stage) = @_;
	my $stats = $stage->end;
	my $store = $stage->{of};
	$self->{running} = [ grep { $_ != $stage } @{$self->{running}} ];
	$store->{next} = $stage->{next};
	File::Path::remove_tree($stage->{dir});
	File::Path::remove_tree($store->{path}) unless $store->{name};
	return $stats;
}

sub _new {
	my ($self) = @_;
	return { path => "$self->{dir}/store." . ++$self->{stores},
		next => 0 };
}

# a store that is asked for later is filled now

sub prepare {
	my ($self, $name) = @_;
	return $self->{store}{$name} //= do {
		my $store = $self->_new;
		$store->{name} = $name;
		$self->_fill($store);
		rename "$store->{path}/state", "$store->{path}.state"
			or die "$store->{path}: $!\n";
		$store;
	};
}

# the filled store, with the state that it had then

sub _filled {
	my ($self, $name) = @_;
	my $store = $self->prepare($name);
	File::Path::remove_tree("$store->{path}/state");
	system('cp', '-a', '--sparse=always', "$store->{path}.state",
		"$store->{path}/state") == 0 or die "cp failed\n";
	return $store;
}

# it is made anew when it is asked for again

sub forget {
	my ($self, $name) = @_;
	my $store = delete $self->{store}{$name} or return;
	File::Path::remove_tree($store->{path}, "$store->{path}.state");
	return;
}

# Events of 60 days in their order, one of a hundred with a name of its own;
# behind them a few with another one, of now.

sub _fill {
	my ($self, $store) = @_;
	my $s = $self->_stage($store);
	my $events = $store->{name} eq 'late' ? 0
		: $self->size($store->{name});

	if ($events) {
		$self->say("filling a log of $events events");
		my @days = $store->{name} eq 'big' ? ('-t' => 60) : ();
		my $r = $s->loaded($s->load_start('/1/upload', '-n' => 200,
			'-c' => 16, '-e' => $events, '-P' => "1,$seldom",
			@days), 120 + $events / 100_000);
		$self->fault("the log lacks events: $r->{acks}")
			if $r->{acks} != $events;
	}
	$s->load('/1/upload', '-n' => 100, '-c' => 1,
		'-e' => $self->size('late'), '-N' => $late);

	$store->{events} = $s->{next};
	$self->fault("the log has $_ events, not $store->{events}")
		for grep { $_ != $store->{events} }
			$s->call('GET', '/status')->{sequence}{last};
	$self->end($s);
	return;
}

sub clean {
	my ($self) = @_;
	File::Path::remove_tree($self->{dir});
	return;
}

# a row that died half way: what it had started goes, what it wrote too

sub abandon {
	my ($self) = @_;
	$_->abandon for splice @{$self->{running}};
	$self->{looks} = {};
	return;
}

END {
	Bench::Proc::stop_all();
	for my $self (grep { defined } @all) {
		File::Path::remove_tree($self->{dir})
			if $self->{owner} == $$;
	}
}

1;
