package Bench::Row::Large;

# Rows 14 and 15: what a long log costs that a short one does not.

use strict;
use warnings;

use Time::HiRes qw/ time /;

use Bench::Run;
use Bench::Table;

sub measures {
	return ([ 'start', [ 14 ], \&start ],
		[ 'length', [ '15a', '15b', '15c' ], \&by_length ]);
}

# From the start of the process to the answer of the API, and to the end of an
# export of the few events that came last.

sub start {
	my ($bench, $table) = @_;
	my (%up, %all);
	for my $name (qw/ late big /) {
		for (1 .. $bench->size('again')) {
			my $s = $bench->stage($name, start => 0);
			my $since = time;
			$s->start;
			push @{$up{$name}}, 1000 * (time - $since);
			my $id = $s->days(1, 0, events => { set => 'selected',
				names => [ $Bench::Run::late ] });
			$s->arrived($bench->size('late'));
			push @{$all{$name}}, 1000 * (time - $since);
			$s->done($id);
			$bench->end($s);
		}
	}
	my ($late, $big) = map { Bench::Table::median(@{$all{$_}}) }
		qw/ late big /;
	$table->add(14, $big - $late, 'long' => $big, 'empty' => $late,
		'long, first answer' => Bench::Table::median(@{$up{big}}),
		'empty, first answer' => Bench::Table::median(@{$up{late}}));
	return;
}

# The same things done over the short log and over the long one, in turns, so
# that a machine that gets slower does so for both.

sub by_length {
	my ($bench, $table) = @_;
	my %s = map { $_ => $bench->stage($_) } qw/ small big /;
	my %row = ('15a' => \&_intake, '15b' => \&_first, '15c' => \&_lists);
	for my $row (reverse sort keys %row) {
		my %of;
		for my $turn (1 .. $bench->size('turns')) {
			my @turn = qw/ small big /;
			@turn = reverse @turn if $turn % 2;
			push @{$of{$_}}, $row{$row}->($bench, $s{$_})
				for @turn;
		}
		my ($short, $long) = map { Bench::Table::median(@{$of{$_}}) }
			qw/ small big /;
		$table->add($row, $long / $short, 'long' => $long,
			'short' => $short, 'million events'
				=> $bench->size('big') / 1e6);
	}
	$bench->end($_) for values %s;
	return;
}

# ms from the wish to the first batch, three times

sub _first {
	my ($bench, $s) = @_;
	my @ms;
	for (1 .. 3) {
		$s->reset;
		my $since = Bench::Proc::monotonic_ns();
		my $id = $s->days(60, 0);
		$s->arrived(1);
		push @ms, ($s->stats->{first_ns} - $since) / 1e6;
		$s->call('POST', "/exports/$id/stop");
		$s->until($id, sub { $_[0]{status} =~ /DONE|STOPPED/
			&& $_[0]{last_run}{status} ne 'running' });
	}
	return @ms;
}

# us of CPU for a request

sub _lists {
	my ($bench, $s) = @_;
	my ($cpu, $requests) = (0, 0);
	for my $path (qw{ /exports /status }) {
		$cpu += $s->cpu_of(sub {
			$requests += $s->load($s->server->api . $path,
				'-c' => 4, '-d' => $bench->size('yard') / 4)
				->{acks};
		});
	}
	return $cpu / $requests * 1e6;
}

# us of CPU for an event

sub _intake {
	my ($bench, $s) = @_;
	my $events = $bench->size('batched') / 2;
	return $s->cpu_of(sub {
		$s->load('/1/upload', '-n' => 200, '-c' => 16,
			'-e' => $events);
	}) / $events * 1e6;
}

1;
