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

# the same things done over the short log and over the long one

sub by_length {
	my ($bench, $table) = @_;
	my %of = map { $_ => _over($bench, $_) } qw/ small big /;
	my %row = ('15a' => 'intake', '15b' => 'first', '15c' => 'lists');
	for my $row (sort keys %row) {
		my ($short, $long) = map { $of{$_}{$row{$row}} }
			qw/ small big /;
		$table->add($row, $long / $short, 'long' => $long,
			'short' => $short, 'million events'
				=> $bench->size('big') / 1e6);
	}
	return;
}

sub _over {
	my ($bench, $name) = @_;
	my $s = $bench->stage($name);
	my %r;

	# ms from the wish to the first batch

	my @ms;
	for (1 .. $bench->size('again')) {
		$s->reset;
		my $since = Bench::Proc::monotonic_ns();
		my $id = $s->days(60, 0);
		$s->arrived(1);
		push @ms, ($s->stats->{first_ns} - $since) / 1e6;
		$s->call('POST', "/exports/$id/stop");
		$s->until($id, sub { $_[0]{status} =~ /DONE|STOPPED/
			&& $_[0]{last_run}{status} ne 'running' });
	}
	$r{first} = Bench::Table::median(@ms);

	# us of CPU for a request

	my ($cpu, $requests) = (0, 0);
	for my $path (qw{ /exports /status }) {
		$cpu += $s->cpu_of(sub {
			$requests += $s->load($s->server->api . $path,
				'-c' => 4, '-d' => $bench->size('yard') / 2)
				->{acks};
		});
	}
	$r{lists} = $cpu / $requests * 1e6;

	# us of CPU for an event

	my $events = $bench->size('batched') / 2;
	$r{intake} = $s->cpu_of(sub {
		$s->load('/1/upload', '-n' => 200, '-c' => 16,
			'-e' => $events);
	}) / $events * 1e6;
	$bench->end($s);
	return \%r;
}

1;
