package Ctseg::Clock;

# A wall clock in the hand of the test: t/fault/ctseg_clock.c, preloaded into
# nginx, reads it.  It runs as the true one does, at a distance that may be
# changed at any time, forward and back; every process sees that at once.
#
#	my $clock = Ctseg::Clock->new;
#	$clock->set('2026-03-07T23:59:50-05:00');	# or epoch seconds
#	my $t = Ctseg::Nginx->new(workers => 2, preload => $clock->preload,
#		env => $clock->env(TZ => 'EST5EDT,M3.2.0,M11.1.0'));
#	$clock->advance(3600);
#
# The test itself and the mock of Segment keep the true time.  Monotonic
# clocks are not touched, so timers take as long as ever, unless
#
#	$clock->halt;			# they stand still: no timer fires
#	$clock->step(0.025);		# those that are due by then
#	$clock->go;

use strict;
use warnings;

use Exporter qw/ import /;
use Fcntl ();
use File::Temp ();
use Time::HiRes qw/ clock_gettime sleep time CLOCK_MONOTONIC /;
use Time::Local qw/ timegm_modern /;

use Ctseg::Nginx ();

our @EXPORT_OK = qw/ epoch iso /;

# dir => where its file lies; default a directory of its own.  It must outlive
# the last start of nginx.

sub new {
	my ($class, %opt) = @_;
	my $self = bless { dir => $opt{dir} || File::Temp->newdir(
		'ctseg-clock-XXXXXXXX', DIR => $ENV{TMPDIR} || '/tmp') },
		$class;

	$self->{shim} = ($ENV{CTSEG_BUILD} || Ctseg::Nginx::top() . '/build')
		. '/ctseg_clock.so';
	-e $self->{shim} or die "$self->{shim}: not built, see make shims\n";

	sysopen $self->{file}, "$self->{dir}/clock", Fcntl::O_RDWR()
		| Fcntl::O_CREAT() or die "$self->{dir}/clock: $!\n";
	return $self->offset(0);
}

# for Ctseg::Nginx->new; more names as in env(TZ => 'UTC')

sub env {
	my ($self, %env) = @_;
	return { CTSEG_CLOCK => "$self->{dir}/clock", %env };
}

sub preload { return [ $_[0]->{shim} ] }

# seconds ahead of the true time; offset(seconds) sets them

sub offset {
	my ($self, $seconds) = @_;
	return $self->{ms} / 1000 if !defined $seconds;

	# eight bytes at once, which no reader sees by halves

	my $ms = sprintf '%.0f', $seconds * 1000;
	sysseek $self->{file}, 0, 0;
	my $n = syswrite $self->{file}, pack 'q', $ms;
	die "$self->{dir}/clock: $!\n" unless ($n // 0) == 8;
	$self->{ms} = $ms;
	return $self;
}

# epoch seconds, or RFC 3339 as in epoch()

sub set {
	my ($self, $when) = @_;
	return $self->offset(epoch($when) - time);
}

sub advance {
	my ($self, $seconds) = @_;
	return $self->offset($self->{ms} / 1000 + $seconds);
}

sub halt {
	my ($self) = @_;
	return $self->_still(int(clock_gettime(CLOCK_MONOTONIC) * 1e9));
}

sub step {
	my ($self, $seconds) = @_;
	return $self->_still($self->{still} + int($seconds * 1e9));
}

# None of these clocks ever runs back, so the true one has to be past the
# steps; some are a few ms behind it.

sub go {
	my ($self) = @_;
	sleep 0.001 while clock_gettime(CLOCK_MONOTONIC) * 1e9
		< $self->{still} + 5e6;
	return $self->_still(0);
}

sub _still {
	my ($self, $ns) = @_;
	sysseek $self->{file}, 8, 0;
	my $n = syswrite $self->{file}, pack 'q', $self->{still} = $ns;
	die "$self->{dir}/clock: $!\n" unless ($n // 0) == 8;
	return $self;
}

# epoch seconds, with a fraction

sub now { return time + $_[0]->{ms} / 1000 }


# ---- functions ----

# epoch('2026-03-08T00:00:00-05:00'), also with a fraction, or Z

sub epoch {
	my ($when) = @_;
	return $when if $when =~ /^-?\d+(?:\.\d+)?$/;

	$when =~ /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?
		(?:Z|([+-])(\d\d):(\d\d))$/x
		or die "no instant: $when\n";
	my $s = timegm_modern($6, $5, $4, $3, $2 - 1, $1) + ($7 // 0);
	return $s unless defined $8;
	return $8 eq '+' ? $s - $9 * 3600 - $10 * 60
		: $s + $9 * 3600 + $10 * 60;
}

# an instant as the API writes it

sub iso {
	my $ms = sprintf '%.0f', epoch($_[0]) * 1000;
	my @t = gmtime(($ms - $ms % 1000) / 1000);
	return sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $t[5] + 1900,
		$t[4] + 1, @t[3, 2, 1, 0], $ms % 1000;
}

1;
