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
my $midnight = $now - ((localtime $now)[2] * 3600 + (localtime $now)[1] * 60
	+ (localtime $now)[0]);
my $n = 0;

srand(20261123);

sub pick { $_[int rand @_] }

sub campaign {
	my $id = 1690000000 + int rand 40;

	return sprintf '"Campaign id":"%d_%s","Campaign type":"%s",'
		. '"Campaign name":"%s","Campaign labels":"%s","wzrk_pivot":"%s",'
		. '"CT Source":"%s"', $id, pick('20261120', '20261121', '20261122'),
		pick('Push', 'Email', 'InApp', 'Web Push', 'WhatsApp'),
		pick('Summer sale', 'Cart reminder', 'Welcome back',
			"L\\u2019automne", 'Ein Gru\\u00df'),
		pick('retention', 'onboarding', 'sale'),
		pick('Variant A', 'Variant B', 'wzrk_default'),
		pick('Mobile', 'Web', 'API');
}

sub device {
	return sprintf '"CT App Version":"%d.%d.%d","CT OS Version":"%d",'
		. '"CT SDK Version":60200,"CT Network Carrier":"%s",'
		. '"CT Connected To WiFi":%s,"CT Latitude":%.4f,'
		. '"CT Longitude":%.4f,"Model":"%s","CT Session Id":%d',
		2 + int rand 3, int rand 30, int rand 9, 12 + int rand 4,
		pick('Airtel', 'Vodafone', 'T-Mobile', "O\\u2082"),
		pick('true', 'false'), -60 + rand 120, -180 + rand 360,
		pick('Pixel 8', 'iPhone16,2', 'SM-S921B'), $now - int rand 900;
}

my %of = (
	(map { $_ => sub { campaign() . ',' . device() } }
		'Notification Viewed', 'Notification Clicked', 'Push Impressions'),
	(map { $_ => \&campaign } 'Notification Sent', 'Notification Replied',
		'Notification Delivered', 'Control Group', 'Channel Unsubscribed',
		'Reply Sent', 'Webhook Delivered'),
	(map { $_ => \&device } 'App Launched', 'App Installed',
		'App Version Changed'),
	'App Uninstalled' => sub { '"CT Source":"System","source":"FCM"' },
	'Session Concluded' => sub {
		sprintf '"Session Length":%d,"Session Id":%d', 5 + int rand 1800,
			$now - int rand 9000 },
	'State Transitioned' => sub {
		sprintf '"Source":"%s","Destination":"%s","Type":"Lifecycle"',
			pick('Onboarding', 'Active'), pick('Active', 'Dormant') },
	(map { $_ => sub {
		sprintf '"Variant":"%s","Variant Id":%d,"Experiment Id":%d,'
			. '"Stickiness":true,"CT Source":"Mobile"', pick('A', 'B'),
			1 + int rand 2, 1700000000 + int rand 9 } }
		'AB Experiment Rendered', 'AB Experiment Stopped',
		'AB Experiment Rolled Out', 'AB Experiment Disqualified'),
	(map { $_ => sub {
		sprintf '"cluster_id":%d,"cluster_name":"%s","geofence_id":%d',
			1 + int rand 5, pick('Airport', 'Mall', 'Old town'),
			int rand 100 } }
		'Geocluster Entered', 'Geocluster Exited'),
	'UTM Visited' => sub {
		sprintf '"utm_source":"%s","utm_medium":"cpc","utm_campaign":"%s"',
			pick('google', 'newsletter'), pick('autumn', 'brand') });

my @names = sort keys %of;

for my $body (1 .. $bodies) {
	my @d;

	for (1 .. $records) {
		my $name = $names[$n % @names];
		my $user = int rand 800;
		my $ts = $now - int rand 600;

		$ts = $midnight if $ts < $midnight;

		# every seventh is a visitor that nobody knows by name yet

		my $who = $n % 7 == 0
			? ''
			: sprintf '"identity":"u-%05d","email":"u%d@example.com",',
				$user, $user;

		push @d, sprintf '{"type":"event",%s"objectId":"__g%08x%08x",'
			. '"evtName":"%s","ts":%d,"evtData":{%s}}', $who,
			$user * 2654435761 % 4294967296, 1000003 * $user, $name, $ts,
			$of{$name}->();
		$n++;
	}

	my $file = sprintf '%s/upload-%03d.json', $dir, $body;

	open my $fh, '>', $file or die "$file: $!\n";
	print $fh '{"d":[', join(",\n", @d), "]}\n";
	close $fh or die "$file: $!\n";
}
