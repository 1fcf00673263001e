#!/usr/bin/env perl

# make bench: what ctseg costs on this machine, row by row, beside a yardstick
# taken in the same minute.  docs/performance.md says what each row means.
#
#	perl t/bench/bench.pl [--quick] [--peers] [--runs N] [--rows 1,3,8]
#		[--json FILE] [--events MILLIONS] [--outage SECONDS]
#
# --peers measures what people would use instead, by rows 1 to 5.
#
# Ends with an error when an event was lost, doubled or refused; never because
# of a figure.

use strict;
use warnings;

use Cwd ();
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Getopt::Long qw/ GetOptions /;
use Time::HiRes qw/ time /;

use Bench::Nginx;
use Bench::Proc;
use Bench::Row::Calm;
use Bench::Row::Export;
use Bench::Row::Intake;
use Bench::Row::Large;
use Bench::Row::Outage;
use Bench::Row::Peers;
use Bench::Run;
use Bench::Table;
use Ctseg::Client qw/ json_decode json_encode /;

$SIG{$_} = sub { exit 1 } for qw/ INT TERM HUP /;
$SIG{PIPE} = 'IGNORE';
$| = 1;

my %o;
GetOptions(\%o, qw/ quick peers runs=i rows=s json=s events=f outage=f /)
	&& !@ARGV && !($o{peers} && $o{rows})
	or die "usage: $0 [--quick] [--peers | --rows 1,3,8] [--runs N] "
	. "[--json FILE] [--events MILLIONS] [--outage SECONDS]\n";
my $runs = $o{runs} || ($o{quick} ? 1 : 3);
my %wanted = map { $_ => 1 } split /,/, $o{rows} // '';

my $build = Cwd::realpath($ENV{BUILD} || "$FindBin::Bin/../../build");
for my $file (qw{ ngx_http_ctseg_module.so bench/load bench/segment
	bench/disk bench/ngx_http_ctseg_yard_module.so })
{
	-e "$build/$file" or die "$build/$file: not built, see make bench\n";
}

my $bench = Bench::Run->new(build => $build, quick => $o{quick},
	wanted => \%wanted, big => $o{events} && 1e6 * $o{events},
	outage => $o{outage});
my $table = $o{peers} ? Bench::Row::Peers->grid : Bench::Table->new;
my %measure = map { $_->[0] => $_ } Bench::Row::Intake->measures,
	Bench::Row::Export->measures, Bench::Row::Calm->measures,
	Bench::Row::Large->measures, Bench::Row::Outage->measures;

# those that read the long log follow each other, while it is in the cache

my @measures = $o{peers} ? Bench::Row::Peers->measures
	: grep { grep { $bench->wants($_) } @{$_->[1]} }
		@measure{qw/ batched single latency rest written far drain
			skip neighbors outage start length /};
@measures or die "there is no such row\n";

my $began = time;
my %disk;
my $versions = versions();
$bench->say($versions);

RUN: for my $run (1 .. $runs) {
	disk($bench, \%disk);
	delete $bench->{drained};
	$bench->forget('small');
	for my $m (@measures) {
		my ($name, undef, $code) = @$m;
		my $since = time;
		$bench->now("$name, run $run");
		eval { $code->($bench, $table); 1 }
			or do { chomp(my $why = $@); $bench->fault($why);
				$bench->abandon };
		$bench->say(sprintf 'run %d of %d, %s: %.1f s', $run, $runs,
			$name, time - $since);

		# what comes after a fault shows nothing

		last RUN if $bench->faults;
	}
}
$bench->clean;

print "$versions\n", flushes(\%disk), "\n";
printf "%d run%s, median and least..most; %.0f s in all\n\n", $runs,
	$runs == 1 ? '' : 's', time - $began;
print $table->text;

if ($o{json}) {
	open my $f, '>', $o{json} or die "$o{json}: $!\n";
	print $f json_encode({ versions => $versions, disk => \%disk,
		rows => $table->data, faults => [ $bench->faults ] }), "\n";
	close $f or die "$o{json}: $!\n";
}

if ($bench->faults) {
	print "\nSPOILED: events were lost, doubled or refused\n",
		map { "  $_\n" } $bench->faults;
	exit 1;
}


# what the figures depend on

sub versions {
	my $program = Bench::Nginx::program();
	my ($nginx) = `$program -v 2>&1` =~ m{(nginx/\S+)};
	my %v;
	for (split /\n/, `dpkg-query -W liblmdb0 libyajl2 2>/dev/null`) {
		my ($name, $version) = split;
		$v{$name =~ s/:.*//r} = $version;
	}
	my ($kernel) = split ' ', Bench::Proc::slurp(
		'/proc/sys/kernel/osrelease');
	my $cpuinfo = Bench::Proc::slurp('/proc/cpuinfo');
	my $cores = () = $cpuinfo =~ /^processor/mg;
	my ($model) = $cpuinfo =~ /^model name\s*:\s*(.*)/m;
	my $dir = $bench->dir;
	my ($fs) = (`df --output=fstype '$dir' 2>/dev/null`
		=~ /(\S+)\s*\z/);
	my $text = sprintf '%s, LMDB %s, yajl %s, Linux %s, %d cores%s, %s; '
		. '1 worker', $nginx // 'nginx ?', $v{liblmdb0} // '?',
		$v{libyajl2} // '?', $kernel, $cores,
		defined $model ? " ($model)" : '', $fs // '?';
	return $o{peers} ? "$text; " . Bench::Row::Peers->versions($bench)
		: $text;
}

# how long a flush takes at the moment

sub disk {
	my ($bench, $all) = @_;
	my $file = $bench->dir . '/disk';
	my ($text) = Bench::Proc->start([ "$build/bench/disk", $file ],
		out => "$file.out")->wait(30);
	my $r = eval { json_decode($text) };
	if (!$r) {
		$bench->fault("disk said nothing: $text");
		return;
	}
	push @{$all->{$_}}, $r->{$_} for grep { /_us$/ } keys %$r;
	$bench->{disk} = $r;
	unlink $file, "$file.out";
	return;
}

# ... in words

sub flushes {
	my ($all) = @_;
	my @part = map { my $kind = $_; join ' ', $kind, map {
		my @us = @{$all->{"${kind}_${_}_us"} || []};
		@us ? sprintf('%s %.0f (%.0f..%.0f)', $_,
			Bench::Table::median(@us), Bench::Table::range(@us))
			: ()
	} qw/ p50 p99 / } qw/ flush overwrite append large /;
	return 'disk, us: ' . join '; ', @part;
}
