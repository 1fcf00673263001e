package Ctseg::Slots;

# When a recurring export has to run, worked out from what the documentation
# says and from the zone files of the system, in another way than the product
# does it: nobody divides here, the wall clock is read every quarter of an
# hour.  A slot is due as soon as the wall clock shows its time or a later
# one; so a time that a change skips is due at the end of the gap, and one
# that comes twice is due the first time.
#
#	my @at = slots('America/New_York', '2026-03-06', 5, $until);
#	my $at = wall('Asia/Kolkata', '2026-03-06', 50);

use strict;
use warnings;

use Exporter qw/ import /;
use POSIX qw/ tzset /;
use Time::Local qw/ timegm_modern /;

our @EXPORT_OK = qw/ slots wall zone_known /;

my $quarter = 900;
my %shown;		# zone and date => [ what the wall clock showed ]

# epoch seconds of the first instant at which the wall clock of the zone shows
# 00:00 of the date and so many hours, or more

sub wall {
	my ($zone, $date, $hours) = @_;
	my ($first, $shown) = _read($zone, $date, $hours);
	my $want = _midnight($date) + $hours * 3600;
	my $i = 0;
	$i++ while $shown->[$i] < $want;
	return $first + $i * $quarter;
}

# epoch seconds of all slots up to an instant

sub slots {
	my ($zone, $date, $every, $until) = @_;
	my @at;
	for (my $h = 0; ; $h += $every) {
		my $at = wall($zone, $date, $h);
		last if $at > $until;
		push @at, $at;
	}
	return @at;
}

# Is there a file of the zone?  Without one the C library takes UTC for it.

sub zone_known {
	my ($zone) = @_;
	return -e "/usr/share/zoneinfo/$zone";
}

sub _midnight {
	my ($y, $m, $d) = split /-/, $_[0];
	return timegm_modern(0, 0, 0, $d, $m - 1, $y);
}

# from a day before on, as no zone is farther from UTC: (instant of the first
# reading, readings as if the wall clock were UTC)

sub _read {
	my ($zone, $date, $hours) = @_;
	my $first = _midnight($date) - 86400;
	my $shown = $shown{"$zone $date"} ||= [];
	my $old = $ENV{TZ};

	return ($first, $shown) if @$shown > ($hours + 48) * 4;

	$ENV{TZ} = $zone;
	tzset();
	while (@$shown <= ($hours + 48) * 4) {
		my @t = localtime($first + @$shown * $quarter);
		push @$shown, timegm_modern(@t[0 .. 4], $t[5] + 1900);
	}
	delete $ENV{TZ};
	$ENV{TZ} = $old if defined $old;
	tzset();

	return ($first, $shown);
}

1;
