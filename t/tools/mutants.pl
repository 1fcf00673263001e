#!/usr/bin/env perl

# Breaks a copy of the product on purpose, in one place at a time, and runs
# the test that must notice (see t/lib/Ctseg/Mutants.pm).
#
#	t/tools/mutants.pl [name ...]
#
# A name may have a * in it.  Each mutant is killed (the test fails, and says
# with which check), or SURVIVED, or it is the table that is wrong.  First the
# tests are run unbroken.  A test is ended at its first failure.
#
#	MUTANTS_DIR	keep the copy there, for the next time
#	MUTANTS_TRUST	do not run the tests unbroken first
#	MUTANTS_LOCK	a file that is locked while something is built or run,
#			on a machine that others use as well; it is given back
#			after some twenty seconds, between two mutants

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Fcntl qw/ :flock /;
use File::Basename qw/ dirname /;
use File::Path qw/ make_path /;
use File::Temp;
use IO::Select;
use POSIX ();
use Time::HiRes qw/ time /;

use Ctseg::Mutants;

my $limit = 300;			# seconds for one test
my $turn = $ENV{MUTANTS_TURN} || 20;	# seconds with the lock

$| = 1;
chdir "$FindBin::Bin/../.." or die;

my @all = Ctseg::Mutants::load('t/mutants');
my %known = map { $_->{name} => $_ } @all;
if (my @want = map { split /,/ } @ARGV) {
	my %chosen;
	for my $want (@want) {
		my $re = join ".*", map { quotemeta } split /\*/, $want, -1;
		my @found = grep { /^$re$/ } keys %known
			or die "no such mutant: $want\n";
		@chosen{@found} = ();
	}
	@all = grep { exists $chosen{$_->{name}} } @all;
}

my $temp = $ENV{MUTANTS_DIR} ? undef : File::Temp->newdir('mutants-XXXXXX',
	DIR => $ENV{TMPDIR} || '/tmp');
my $dir = $ENV{MUTANTS_DIR} || "$temp";
my $copy = "$dir/tree";
my $build = "$copy/build";
my $scratch = "$dir/tmp";
make_path($copy, $scratch);

# the copy's make is no part of this one

delete @ENV{qw/ MAKEFLAGS MAKEOVERRIDES MFLAGS MAKELEVEL BUILD V TESTS /};
$ENV{CTSEG_DEPS} = 'no';
$ENV{TMPDIR} = $scratch;

my ($lock, $locked);
if ($ENV{MUTANTS_LOCK}) {
	open $lock, '>>', $ENV{MUTANTS_LOCK} or die "$ENV{MUTANTS_LOCK}: $!\n";
}

my ($running, %seen);
$SIG{$_} = sub { stop($running) if $running; exit 1 } for qw/ INT TERM /;

copy_tree();

# ---- unbroken ----

my %unfit;
my @tests = grep { !$seen{$_}++ } map { @{$_->{test}} } @all;
locked(sub {
	my $out = build(@tests);
	die "the build fails:\n$out" if defined $out;
});
for my $test ($ENV{MUTANTS_TRUST} ? () : @tests) {
	my $failed = locked(sub { run_test($test) });
	$unfit{$test} = $failed if defined $failed;
}
print "unbroken: $_ fails: $unfit{$_}\n" for sort keys %unfit;
printf "unbroken, %d tests pass\n", @tests - keys %unfit
	unless $ENV{MUTANTS_TRUST};

# ---- broken ----

my %count = (killed => 0, survived => 0, wrong => 0);
for my $m (@all) {
	my $began;
	my ($verdict, $detail) = locked(sub { $began = time; mutate($m) });
	$count{$verdict}++;
	printf "%-8s  %-28s %4.0f s  %s\n", $verdict eq 'survived'
		? 'SURVIVED' : $verdict, $m->{name}, time - $began, $detail;
}
printf "%d mutants: %d killed, %d survived, %d do not apply\n", scalar @all,
	@count{qw/ killed survived wrong /};
exit($count{survived} || $count{wrong} ? 1 : 0);


sub mutate {
	my ($m) = @_;

	for my $test (@{$m->{test}}) {
		return ('wrong', "$test fails unbroken") if $unfit{$test};
	}

	my $file = "$copy/$m->{file}";
	my $whole = slurp($file);
	my $broken = eval { Ctseg::Mutants::apply($m, $whole) };
	return ('wrong', "does not apply: $@" =~ s/\n/ /gr)
		unless defined $broken;

	spew($file, $broken);
	my @said;
	my @verdict = eval {
		my $out = build(@{$m->{test}});
		return ('wrong', 'does not build: '
			. ($out =~ /(error:.*)/ ? $1 : substr $out, -200))
			if defined $out;
		for my $test (@{$m->{test}}) {
			my $failed = run_test($test);
			return ('survived', "$test passes; $m->{breaks}")
				unless defined $failed;
			push @said, "$test: $failed";
		}
		return ('killed', join '; ', @said);
	};
	my $error = $@;
	spew($file, $whole);
	die $error if $error;
	return @verdict;
}

# the tree as it is here, with what is not committed yet; what did not change
# keeps its time, so that little is built the next time

sub copy_tree {
	my %here;
	for my $file (split /\0/, qx{git ls-files -z -co --exclude-standard}) {
		next unless -f $file;
		$here{$file} = 1;
		my $to = "$copy/$file";
		my $text = slurp($file);
		next if -f $to && slurp($to) eq $text;
		make_path(dirname($to));
		spew($to, $text);
		chmod((stat $file)[2] & 0777, $to);
	}
	die "not a work tree of git\n" unless $here{Makefile};

	for my $file (glob "$copy/{src/*,t,t/unit/*,t/fault,t/mutants}/*") {
		my $name = substr $file, length($copy) + 1;
		unlink $file if -f $file && !$here{$name};
	}
	return;
}

# what these tests need; undef, or what was said when it failed

sub build {
	my @targets = map { "$build/$_" } grep { !m{^t/} } @_;
	push @targets, qw/ build shims / if grep { m{^t/} } @_;
	push @targets, 'browser' if grep { m{^t/6} } @_;

	my $out = qx{make -C '$copy' @targets 2>&1};
	return $? ? $out : undef;
}

# undef when it passes, else how it failed

sub run_test {
	my ($test) = @_;

	my @command = $test =~ m{^t/} ? ($^X, '-It/lib', $test)
		: "$build/$test";
	pipe my $from, my $to or die "pipe: $!\n";
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		setpgrp;
		chdir $copy or POSIX::_exit(127);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $to;
		open STDERR, '>&', $to;
		$ENV{CTSEG_MODULE} = "$build/ngx_http_ctseg_module.so";
		$ENV{CTSEG_BUILD} = $build;
		$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
		$ENV{LC_ALL} = 'C';
		delete $ENV{TZ};
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	close $to;
	$running = $pid;

	my ($failed, $last, $rest, $end) = (undef, '', '', time + $limit);
	my $select = IO::Select->new($from);
	READ: while (1) {
		if (!$select->can_read($end - time > 0 ? $end - time : 0)) {
			$failed = "no end in $limit s";
			last;
		}
		sysread $from, $rest, 65536, length $rest or last;
		while ($rest =~ s/^(.*)\n//) {
			my $line = $1;
			$last = $line if $line =~ /\S/;
			next unless $line =~ /^\s*not ok\b/;
			$failed = $line;
			last READ;
		}
	}
	my $status = stop($pid, !defined $failed);
	$running = undef;
	system 'rm', '-rf', glob("$scratch/*") if glob "$scratch/*";

	$failed //= $status == 0 ? undef : "status $status: $last";
	return defined $failed ? $failed =~ s/^\s+|\s+$//gr : undef;
}

# the test and all that it started; with wait it has ended by itself.  Its
# pipe may be closed early, so it gets a moment

sub stop {
	my ($pid, $wait) = @_;
	my $end = time + ($wait ? 60 : 15);

	kill TERM => $pid unless $wait;
	my $done;
	until ($done = waitpid($pid, POSIX::WNOHANG()) == $pid) {
		last if time > $end;
		select undef, undef, undef, 0.02;
	}
	my $status = $done ? $? : 1;
	kill KILL => -$pid;
	waitpid $pid, 0 unless $done;
	return $status;
}

sub locked {
	my ($do) = @_;
	if ($lock && !$locked) {
		flock $lock, LOCK_EX;
		$locked = time;
	}
	my @r = $do->();
	if ($lock && time - $locked > $turn) {
		flock $lock, LOCK_UN;
		$locked = undef;
	}
	return wantarray ? @r : $r[0];
}

sub slurp {
	my ($file) = @_;
	open my $in, '<:raw', $file or die "$file: $!\n";
	local $/;
	return <$in> // '';
}

sub spew {
	my ($file, $text) = @_;
	open my $out, '>:raw', $file or die "$file: $!\n";
	print $out $text;
	close $out or die "$file: $!\n";
	return;
}
