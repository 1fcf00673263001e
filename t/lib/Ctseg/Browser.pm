package Ctseg::Browser;

# Stories in headless Chromium, t/browser/*.mjs, as subtests of a test in Perl
# that has the server and Segment's side in its hand.
#
#	my $b = Ctseg::Browser->new($t->url(1, '/ctseg/'));
#	$b->story('partners', 'argument', ...);
#
# What they need is installed by "make prepare" below build/browser.

use strict;
use warnings;

use Test::More ();

use Ctseg::Nginx ();

sub new {
	my ($class, $url) = @_;
	my $dir = ($ENV{CTSEG_BUILD} || Ctseg::Nginx::top() . '/build')
		. '/browser';
	-e "$dir/installed" or die "$dir: not installed, see make browser\n";
	return bless { url => $url, dir => $dir }, $class;
}

sub story {
	my ($self, $name, @args) = @_;
	local $ENV{CTSEG_BROWSER} = $self->{dir};
	my $script = Ctseg::Nginx::top() . "/t/browser/$name.mjs";

	# a process of its own, which hears of nothing but its arguments

	open my $out, '-|', 'node', $script, $self->{url}, @args
		or die "node: $!\n";
	my ($plan, $n, @note) = (undef, 0);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	while (my $line = <$out>) {
		chomp $line;
		if ($line =~ /^(not )?ok \d+ - (.*)/) {
			$n++;
			Test::More::ok(!$1, "$name: $2");
		} elsif ($line =~ /^1\.\.(\d+)$/) {
			$plan = $1;
		} else {
			Test::More::diag($line);
		}
	}
	close $out;
	Test::More::is($plan, $n, "$name: told to its end");
	return;
}

1;
