package Ctseg::Model;

# What docs/api.md says about exports, in executable form: t/44-model.t does
# everything twice, to nginx and to this, and compares.  There is no store, no
# thread and no request here, only the rules.
#
# Time is in seconds and stands still during a step; the test sees to it that
# no full hour, and so no slot and no midnight, comes within one.  Events are
# numbered as the log numbers them.
#
# After each step settle() says how it must look when everything has come to
# rest.  While Segment holds its answers back, a run that has something to
# send cannot end.  Where a live export then goes from one revision to the
# next is not said to the event, so its windows are between limits.

use strict;
use warnings;

use List::Util qw/ first max /;
use POSIX ();
use Time::Local qw/ timegm_modern /;

use Ctseg::Clock qw/ iso /;
use Ctseg::Data ();

my $DAY = 86400;
my $HOUR = 3600;
my $BACK = 60;			# days

my %set = (system => \@Ctseg::Data::system,
	engagement => \@Ctseg::Data::engagement);
my %catalog = map { $_ => 1 } @Ctseg::Data::catalog;

sub new {
	my ($class, $now) = @_;
	return bless { now => $now, arrived => 0, held => 0, events => [],
		partners => {}, exports => {}, order => [] }, $class;
}


# ---- the account zone: Eastern time, as the United States have it ----

sub dst_begin { return _sunday($_[0], 3, 8) + 7 * $HOUR }
sub dst_end { return _sunday($_[0], 11, 1) + 6 * $HOUR }

# the first Sunday from a day on

sub _sunday {
	my ($year, $month, $day) = @_;
	my $t = timegm_modern(0, 0, 0, $day, $month - 1, $year);
	return $t + (7 - (gmtime $t)[6]) % 7 * $DAY;
}

# what the clock on the wall shows, as if it were UTC

sub wall {
	my ($t) = @_;
	my $year = (gmtime $t)[5] + 1900;
	my $summer = $t >= dst_begin($year) && $t < dst_end($year);
	return $t - ($summer ? 4 : 5) * $HOUR;
}

# back again: the first of two, and the end of a gap

sub instant {
	my ($wall) = @_;
	for my $hours (4, 5) {
		my $t = $wall + $hours * $HOUR;
		return $t if wall($t) == $wall;
	}
	return dst_begin((gmtime $wall)[5] + 1900);
}

sub day { return POSIX::strftime('%Y-%m-%d', gmtime wall($_[0])) }

sub day_wall {
	my ($y, $m, $d) = $_[0] =~ /^(\d{4})-(\d\d)-(\d\d)$/ or die $_[0];
	return timegm_modern(0, 0, 0, $d, $m - 1, $y);
}

# 00:00 of a day, or of one so many days later

sub midnight { return instant(day_wall($_[0]) + ($_[1] // 0) * $DAY) }

sub day_plus {
	return POSIX::strftime('%Y-%m-%d', gmtime day_wall($_[0])
		+ $_[1] * $DAY);
}


# ---- slots ----

sub slot {
	my ($f, $k) = @_;
	return instant(day_wall($f->{start_date})
		+ $k * $f->{every_hours} * $HOUR);
}

# number of the first slot after t

sub slots_until {
	my ($f, $t) = @_;
	my $about = ($t - slot($f, 0)) / $HOUR / $f->{every_hours};
	my $k = max(0, int($about) - 2);
	$k++ while slot($f, $k) <= $t;
	return $k;
}

sub next_slot { return slot($_[0], slots_until(@_)) }


# ---- what comes in ----

# an event: name, time (undef: now), ids => { identity => 1, ... }

sub upload {
	my ($self, @events) = @_;

	# the time of arrival does not fall, whatever the clock does

	$self->{arrived} = max($self->{arrived}, $self->{now});
	for my $ev (@events) {
		push @{$self->{events}}, { %$ev, arrived => $self->{arrived},
			timed => defined $ev->{time},
			time => $ev->{time} // $self->{now} };
	}
	return;
}

sub head { return scalar @{$_[0]->{events}} }


# ---- partners ----

sub partner_create {
	my ($self, $name) = @_;
	$self->{partners}{$name} = { name => $name, nickname => $name };
	return 201;
}

sub partner_rename {
	my ($self, $name, $nickname) = @_;
	my $p = $self->{partners}{$name};
	return 404 if $p->{deleted};
	return 409 if grep { !$_->{deleted} && $_->{name} ne $name
		&& $_->{nickname} eq $nickname } values %{$self->{partners}};
	$p->{nickname} = $nickname;
	return 200;
}

sub partner_delete {
	my ($self, $name) = @_;
	my $p = $self->{partners}{$name};
	return 404 if $p->{deleted};
	return 409 if grep { $_->{partner} eq $name || ($_->{status} eq
		'RUNNING' && last_run($_)->{partner} eq $name) }
		grep { !is_final($_) } $self->exports;
	$p->{deleted} = 1;
	return 204;
}


# ---- exports ----

sub exports { return map { $_[0]->{exports}{$_} } @{$_[0]->{order}} }
sub is_final { return $_[0]->{status} =~ /^(?:DONE|STOPPED)$/ }
sub last_run { return $_[0]->{runs}[-1] }

# a definition: partner (its name), events, identifier_priority, frequency

sub create {
	my ($self, $name, $body) = @_;
	my $f = $body->{frequency};
	return 422 unless $self->_is_valid($body);

	my $e = { name => $name, kind => $f->{kind}, status => 'PENDING',
		stop_reason => undef, revision => 1, runs => [],
		created => $self->{now}, next => undef,
		events => { set => 'system' },
		identifier_priority => [ qw/ identity email phone / ] };
	$self->_define($e, $body);

	if ($e->{kind} eq 'recurring') {
		my $start = slot($e->{frequency}, 0);
		$e->{next} = $start if $start > $self->{now};
		$e->{covered} = $start - 0.001;

	} elsif ($e->{kind} eq 'live') {
		$e->{cut} = $self->head;
	}

	$self->{exports}{$name} = $e;
	push @{$self->{order}}, $name;
	return 201;
}

sub patch {
	my ($self, $name, $body) = @_;
	my $e = $self->{exports}{$name};
	my $f = $body->{frequency};

	return 409 if is_final($e) || $e->{kind} eq 'one_time';
	return 409 if ($body->{type} // 'event') ne 'event';
	return 409 if $f && $f->{kind} ne $e->{kind};
	return 422 unless $self->_is_valid($body);

	$self->_define($e, $body);
	$e->{revision}++;

	# from here on by the new slots, none of which is made up for

	if ($f && $e->{kind} eq 'recurring') {
		$e->{covered} = $self->{now};
		$e->{next} = next_slot($e->{frequency}, $self->{now})
			if $e->{status} eq 'PENDING';
	}
	return 200;
}

sub stop {
	my ($self, $name) = @_;
	my $e = $self->{exports}{$name};
	return 409 if is_final($e);

	@{$e}{qw/ status stop_reason next /} = ('STOPPED', 'user', undef);
	return 200;
}

sub _is_valid {
	my ($self, $body) = @_;
	my $today = day($self->{now});
	my $oldest = day_plus($today, -$BACK);

	if (defined(my $p = $body->{partner})) {
		my $have = $self->{partners}{$p};
		return 0 if !$have || $have->{deleted};
	}
	if (my $names = $body->{events} && $body->{events}{names}) {
		return 0 if !@$names || grep { !$catalog{$_} } @$names;
	}

	my $f = $body->{frequency} or return 1;

	if ($f->{kind} eq 'recurring') {
		my $start = $f->{start_date} // $today;
		return $f->{every_hours} >= 4 && $f->{every_hours} <= 24
			&& $start ge $oldest
			&& $start le day_plus($today, 366);
	}
	return 1 if $f->{kind} ne 'one_time' || $f->{range};
	return $f->{from} ge $oldest && $f->{to} le $today
		&& $f->{from} le $f->{to};
}

sub _define {
	my ($self, $e, $body) = @_;
	my $f = $body->{frequency};

	for my $field (qw/ partner events identifier_priority /) {
		$e->{$field} = $body->{$field} if exists $body->{$field};
	}
	return unless $f;

	my $today = day($self->{now});
	$e->{frequency} = { %$f };
	$e->{frequency}{start_date} //= $today if $e->{kind} eq 'recurring';
	@{$e->{frequency}}{qw/ from to /} = range_days($f->{range}, $today)
		if $f->{range};
	return;
}

sub range_days {
	my ($range, $today) = @_;
	my $first = $today =~ s/\d\d$/01/r;
	my $before = day_plus($first, -1);
	my %days = (
		today		=> [ $today, $today ],
		yesterday	=> [ (day_plus($today, -1)) x 2 ],
		last_7_days	=> [ day_plus($today, -6), $today ],
		last_30_days	=> [ day_plus($today, -29), $today ],
		current_month	=> [ $first, $today ],
		previous_month	=> [ $before =~ s/\d\d$/01/r, $before ],
	);
	my ($from, $to) = @{$days{$range}};
	my $oldest = day_plus($today, -$BACK);
	return ($from lt $oldest ? $oldest : $from, $to);
}


# ---- runs ----

# Everything that is due begins, everything that can end ends.  A crash is no
# part of that: what it may change is that events come to Segment again, and
# that a run which was stopped ends before all of it was sent.

sub settle {
	my ($self) = @_;
	for my $e ($self->exports) {
		1 while $self->_move($e);
	}
	return;
}

sub _move {
	my ($self, $e) = @_;
	my $run = last_run($e);

	if ($run && $run->{status} eq 'running') {
		return $self->_live($e, $run) if $e->{kind} eq 'live';
		return 0 if $self->is_stuck($run);

		# it had its answers when it learned of a stop, or not

		my $stopped = $e->{status} eq 'STOPPED';
		$run->{status} = $stopped ? 'either' : 'succeeded';
		return 0 if $stopped;

		$e->{cut} = $run->{hi};
		$e->{status} = $e->{kind} eq 'one_time' ? 'DONE' : 'PENDING';
		$e->{next} = $e->{kind} eq 'recurring'
			? next_slot($e->{frequency}, $e->{covered}) : undef;
		return 1;
	}

	return 0 if is_final($e);
	return 0 if defined $e->{next} && $e->{next} > $self->{now};
	$self->_start($e);
	return 1;
}

sub _start {
	my ($self, $e) = @_;
	my $first = !@{$e->{runs}};
	my $at = $e->{next} // $self->{now};

	my $run = { number => @{$e->{runs}} + 1, status => 'running',
		revision => $e->{revision}, scheduled => $e->{next},
		partner => $e->{partner}, events => $e->{events},
		identifier_priority => $e->{identifier_priority},
		from => 0, to => 9e15, slots => 1,
		lo => $e->{cut} // 0, hi => $self->head };

	if ($e->{kind} eq 'one_time') {
		$run->{from} = midnight($e->{frequency}{from});
		$run->{to} = midnight($e->{frequency}{to}, 1);

	} elsif ($e->{kind} eq 'recurring') {
		my $f = $e->{frequency};
		$run->{lo} = grep { $_->{arrived} < slot($f, 0) }
			@{$self->{events}} if $first;
		$run->{slots} = max(1, slots_until($f, $self->{now})
			- slots_until($f, $e->{covered}));
		$e->{covered} = max($e->{covered}, $at, $self->{now});
	}

	$e->{status} = 'RUNNING';
	$e->{next} = undef;
	push @{$e->{runs}}, $run;
	return;
}

# A live run follows the head, until an edit or a stop ends it.  acked is what
# Segment had answered for certain; sure and most are the limits of its end.

sub _live {
	my ($self, $e, $run) = @_;
	my $ended = $e->{status} eq 'STOPPED'
		|| $run->{revision} != $e->{revision};

	if (!$ended) {
		$run->{hi} = $self->head;
		$run->{acked} = $run->{hi} unless $self->is_stuck($run);
		return 0;
	}

	# hi stood still since; what is wanted up to there is under way

	$run->{sure} //= first { $self->wants($run, $_) }
		reverse acked($run) + 1 .. $run->{hi};
	$run->{sure} = acked($run) if $run->{unsure} || !$run->{sure};
	if ($self->is_stuck($run)) {
		$run->{doubt} = 1;
		return 0;
	}

	$run->{most} = $run->{doubt} ? $self->head : $run->{hi};
	$run->{status} = $e->{status} eq 'STOPPED' ? 'stopped' : 'succeeded';
	$e->{cut} = $run->{hi};
	return $e->{status} ne 'STOPPED';
}

# The test tells where a live run that was held up has ended, if that is
# within its limits; what follows moves with it.

sub ended_at {
	my ($self, $e, $number, $hi) = @_;
	my $run = $e->{runs}[$number - 1];
	return if !$run || !defined $run->{most} || !$run->{doubt}
		|| $hi < $run->{sure} || $hi > $run->{most};
	$run->{hi} = $hi;
	$e->{runs}[$number]{lo} = $hi if $e->{runs}[$number];
	return;
}

# What comes next follows at once: whether the run that begins now is there in
# time is not for certain.

sub hasten {
	my ($self, $e) = @_;
	my $before = @{$e->{runs}};
	$self->settle;
	last_run($e)->{optional} = 1 if @{$e->{runs}} > $before;
	return;
}

# The same for a live run whose end was asked for just before events came: it
# may have taken them.

sub blur {
	my ($self, $e) = @_;
	my $run = $e->{runs}[$e->{status} eq 'STOPPED' ? -1 : -2];
	@{$run}{qw/ doubt most /} = (1, $self->head);
	return;
}

# The test tells which revisions have had a run when no other is to come.

sub had_runs {
	my ($self, $e, @revisions) = @_;
	my %had = map { $_ => 1 } @revisions;
	my @runs;

	for my $run (@{$e->{runs}}) {
		if (!$run->{optional} || $had{$run->{revision}}) {
			push @runs, $run;
			next;
		}

		# then the end of the one before was the one in question

		@{$runs[-1]}{qw/ doubt most /} = @{$run}{qw/ doubt most /}
			if @runs && $run->{doubt};
	}

	$runs[-1]{status} = 'either' if @runs && $runs[-1] != last_run($e);
	$runs[$_]{number} = $_ + 1 for 0 .. $#runs;
	$e->{runs} = \@runs;
	return;
}

# does Segment hold back an answer that the run needs?

sub is_stuck {
	my ($self, $run) = @_;
	return 0 unless $self->{held};
	return !!first { $self->wants($run, $_) } acked($run) + 1
		.. $run->{hi};
}

sub acked { return $_[0]->{acked} // $_[0]->{lo} }

# What is under way is not known any more when other workers have taken runs
# over; and after a crash, a run that was stopped or will be may end early.

sub handed_over {
	my ($self, $crash) = @_;
	$self->settle;
	for my $run (map { @{$_->{runs}} } $self->exports) {
		next if $run->{status} ne 'running' || !$self->is_stuck($run);
		$run->{unsure} = 1;
		$run->{crashed} = 1 if $crash;
	}
	return;
}


# ---- verdicts ----

# of an event in a run: 'filtered', 'no_id', or '' when it is to be sent

sub verdict {
	my ($self, $run, $n) = @_;
	my $ev = $self->{events}[$n - 1];
	my $c = $run->{events};

	my $chosen = $c->{set} eq 'all' || grep { $_ eq $ev->{name} }
		@{$c->{names} || $set{$c->{set}}};
	return 'filtered' if !$chosen || $ev->{time} < $run->{from}
		|| $ev->{time} >= $run->{to};
	return 'no_id' unless user_id($run, $ev) || $ev->{ids}{objectId};
	return '';
}

sub wants { return $_[0]->verdict($_[1], $_[2]) eq '' }

# name of the field; the partner's comes first, and is identity

sub user_id {
	my ($run, $ev) = @_;
	return first { $ev->{ids}{$_} } 'identity',
		@{$run->{identifier_priority}};
}

# how an event looks to Segment, without what only the product can know

sub message {
	my ($self, $run, $n) = @_;
	my $ev = $self->{events}[$n - 1];
	my $user = user_id($run, $ev);
	return join ' ', $n, $user ? "$user$n" : '-',
		$ev->{ids}{objectId} ? "objectId$n" : '-', $ev->{name},
		$ev->{timed} ? iso($ev->{time}) : '-';
}


# ---- how it must look ----

sub view {
	my ($self, $e) = @_;
	return { status => $e->{status}, stop_reason => $e->{stop_reason},
		revision => $e->{revision}, partner => $e->{partner},
		events => $e->{events}, frequency => $e->{frequency},
		identifier_priority => $e->{identifier_priority},
		exported_on => day($e->{created}),
		next_run_at => $e->{status} ne 'PENDING' ? undef
			: defined $e->{next} ? iso($e->{next}) : 'at once' };
}

# a run; what is not for certain is left out

sub run_view {
	my ($self, $e, $run) = @_;
	my $stuck = $run->{status} eq 'running' && $self->is_stuck($run);
	my $loose = $self->is_loose($e, $run);
	my %v = (number => $run->{number}, status => $run->{status},
		after_sequence => $run->{lo}, to_sequence => $run->{hi},
		export_revision => $run->{revision},
		coalesced_slots => $run->{slots});

	$v{scheduled_for} = iso($run->{scheduled})
		if defined $run->{scheduled};
	delete $v{to_sequence} if $e->{kind} eq 'live'
		&& ($stuck || $loose);
	$v{status} = $stuck ? 'any' : 'either' if $loose;
	return \%v if $stuck || $loose;

	my %n = (filtered => 0, no_id => 0, '' => 0);
	$n{$self->verdict($run, $_)}++ for $run->{lo} + 1 .. $run->{hi};
	@v{qw/ sent filtered rejected no_id waiting /} =
		(@n{'', 'filtered', 'no_id', 'no_id'}, 0);
	return \%v;
}

# how much of it was sent is not for certain, ever

sub is_loose {
	my ($self, $e, $run) = @_;
	return $e->{status} eq 'STOPPED' && $run == last_run($e)
		&& ($run->{crashed} || $run->{doubt});
}

# Per partner, what Segment must have: message => how often; and what it may
# have besides.

sub received {
	my ($self) = @_;
	my (%must, %may);

	for my $e ($self->exports) {
		for my $run (@{$e->{runs}}) {
			my $loose = $self->is_loose($e, $run);
			my $hi = $loose && $e->{kind} eq 'live' ? $run->{most}
				// $self->head : $run->{hi};
			my $sure = $loose ? acked($run) : $hi;
			$hi = max($hi, $run->{most} // 0) if $run->{crashed};
			for my $n (grep { $self->wants($run, $_) }
				$run->{lo} + 1 .. $hi)
			{
				my $to = $n <= $sure ? \%must : \%may;
				$to->{$run->{partner}}{$self->message($run,
					$n)}++;
			}
		}
	}
	return (\%must, \%may);
}

1;
