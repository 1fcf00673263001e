#!/usr/bin/perl

# Events as a CleverTap project sends them, as upload bodies on files:
#
#   demo_events.pl DIR BODIES RECORDS
#
# writes DIR/upload-001.json and so on, each with so many records, and the
# names of all 23 catalogued events among them.  The same each time, but for
# the times, which lie in the last minutes of today.

use strict;
use warnings;

my ($dir, $bodies, $records) = @ARGV;
my $now = time();
my @local = localtime $now;
my $midnight = $now - ($local[2] * 3600 + $local[1] * 60 + $local[0]);
my $n = 0;

srand(20261123);

sub pick { $_[int rand @_] }

# text as JSON; the few special characters are written escaped below

sub members {
	my @out;

	while (my ($name, $value) = splice @_, 0, 2) {
		push @out, ref $value ? qq("$name":$$value)
			: qq("$name":"$value");
	}

	return @out;
}

sub number { my $v = shift; return \$v }

sub campaign {
	my $day = pick(qw(20261120 20261121 20261122));

	return members(
		'Campaign id' => (1690000000 + int rand 40) . "_$day",
		'Campaign type' => pick(qw(Push Email InApp WhatsApp)),
		'Campaign name' => pick('Summer sale', 'Cart reminder',
			'L\u2019automne', 'Ein Gru\u00df'),
		'Campaign labels' => pick(qw(retention onboarding sale)),
		'wzrk_pivot' => pick('Variant A', 'Variant B', 'wzrk_default'),
		'CT Source' => pick(qw(Mobile Web API)));
}

sub device {
	return members(
		'CT App Version' => join('.', 2 + int rand 3, int rand 30, 1),
		'CT OS Version' => 12 + int rand 4,
		'CT SDK Version' => number(60200),
		'CT Network Carrier' => pick('Airtel', 'Vodafone', 'O\u2082'),
		'CT Connected To WiFi' => number(pick('true', 'false')),
		'CT Latitude' => number(sprintf '%.4f', -60 + rand 120),
		'CT Longitude' => number(sprintf '%.4f', -180 + rand 360),
		'Model' => pick('Pixel 8', 'iPhone16,2', 'SM-S921B'),
		'CT Session Id' => number($now - int rand 900));
}

sub experiment {
	return members(
		'Variant' => pick('A', 'B'),
		'Variant Id' => number(1 + int rand 2),
		'Experiment Id' => number(1700000000 + int rand 9),
		'Stickiness' => number('true'));
}

sub cluster {
	return members(
		'cluster_id' => number(1 + int rand 5),
		'cluster_name' => pick('Airport', 'Mall', 'Old town'),
		'geofence_id' => number(int rand 100));
}

sub state {
	return members(
		'Source' => pick('Onboarding', 'Active'),
		'Destination' => pick('Active', 'Dormant'),
		'Type' => 'Lifecycle');
}

sub utm {
	return members(
		'utm_source' => pick('google', 'newsletter'),
		'utm_medium' => 'cpc',
		'utm_campaign' => pick('autumn', 'brand'));
}

sub session {
	return members(
		'Session Length' => number(5 + int rand 1800),
		'Session Id' => number($now - int rand 9000));
}

my @events = (
	['Notification Sent', \&campaign],
	['Notification Viewed', \&campaign, \&device],
	['Notification Clicked', \&campaign, \&device],
	['Push Impressions', \&campaign, \&device],
	['Notification Replied', \&campaign],
	['Notification Delivered', \&campaign],
	['Control Group', \&campaign],
	['Channel Unsubscribed', \&campaign],
	['Reply Sent', \&campaign],
	['Webhook Delivered', \&campaign],
	['App Launched', \&device],
	['App Installed', \&device],
	['App Version Changed', \&device],
	['App Uninstalled', sub { members('source' => 'FCM') }],
	['Session Concluded', \&session],
	['State Transitioned', \&state],
	['AB Experiment Rendered', \&experiment],
	['AB Experiment Stopped', \&experiment],
	['AB Experiment Rolled Out', \&experiment],
	['AB Experiment Disqualified', \&experiment],
	['Geocluster Entered', \&cluster],
	['Geocluster Exited', \&cluster],
	['UTM Visited', \&utm]);

sub record {
	my ($name, @parts) = @{ $events[$n % @events] };
	my $user = int rand 800;
	my $ts = $now - int rand 600;

	$ts = $midnight if $ts < $midnight;

	my @m = members('type' => 'event', 'evtName' => $name,
		'ts' => number($ts), 'objectId' => sprintf '__g%012x',
		1000003 * $user);

	# every seventh is a visitor that nobody knows by name yet

	if ($n++ % 7) {
		push @m, members('identity' => "u-$user",
			'email' => "u$user\@example.com");
	}

	my $data = join ',', map { $_->() } @parts;

	return '{' . join(',', @m) . qq(,"evtData":{$data}});
}

for my $body (1 .. $bodies) {
	my $file = sprintf '%s/upload-%03d.json', $dir, $body;
	my @d = map { record() } 1 .. $records;

	open my $fh, '>', $file or die "$file: $!\n";
	print $fh '{"d":[', join(",\n", @d), "]}\n";
	close $fh or die "$file: $!\n";
}
