package Ctseg::Data;

# Made-up CleverTap records.  Text is built by hand, since JSON::PP is slow;
# the same seed gives the same bytes.

use strict;
use warnings;

use Exporter qw/ import /;

our @EXPORT_OK = qw/ upload_body upload_bodies record @system @engagement
	@catalog /;

our @system = ('Notification Sent', 'Notification Viewed',
	'Notification Clicked', 'Push Impressions', 'Notification Replied',
	'Control Group', 'Channel Unsubscribed', 'Reply Sent', 'UTM Visited',
	'App Uninstalled', 'Geocluster Entered', 'Geocluster Exited',
	'AB Experiment Stopped', 'AB Experiment Rolled Out',
	'AB Experiment Disqualified', 'AB Experiment Rendered',
	'Session Concluded', 'State Transitioned', 'App Launched',
	'App Installed', 'App Version Changed');

my %system_only = map { $_ => 1 } ("AB Experiment Disqualified",
	"Session Concluded", "App Launched", "App Installed",
	"App Version Changed");

our @engagement = ((grep { !$system_only{$_} } @system),
	"Notification Delivered", "Webhook Delivered");

our @catalog = (@system, 'Notification Delivered', 'Webhook Delivered');

my @custom = ('Charged', 'Product Viewed', "Caf\xc3\xa9 Visited",
	'Added To Cart');

# One record as JSON text.  Options:
#	n	the number it is recognised by: property "n", identity "u<n>"
#	name	event name (raw JSON inside of a string)
#	ts	epoch seconds
#	pad	extra bytes in a property "pad"
#	props	more properties, as JSON text: '"a":1,"b":"x"'
#	id	'identity' (default), 'objectId', 'email', 'none', or JSON text
#		of members: '"identity":"x","objectId":"y"'
#	key	the client's own id ($id)
#	profile	a profile record instead

sub record {
	my (%o) = @_;
	my $n = $o{n} // 0;

	my $id = $o{id} // 'identity';
	my $who = $id eq 'identity' ? "\"identity\":\"u$n\""
		: $id eq 'objectId' ? "\"objectId\":\"_o$n\""
		: $id eq 'email' ? "\"email\":\"u$n\@example.com\""
		: $id eq 'none' ? '' : $id;
	$who .= ',' if $who ne '';
	$who .= "\"\$id\":\"$o{key}\"," if defined $o{key};

	my $ts = defined $o{ts} ? "\"ts\":$o{ts}," : '';
	my $more = defined $o{props} && $o{props} ne '' ? ",$o{props}" : '';
	$more .= ',"pad":"' . ('x' x $o{pad}) . '"' if $o{pad};

	if ($o{profile}) {
		return "{$who$ts\"type\":\"profile\",\"profileData\":{"
			. "\"Name\":\"User $n\",\"Email\":\"u$n\@example.com\""
			. ",\"n\":$n$more}}";
	}

	my $name = $o{name} // 'App Launched';
	return "{$who$ts\"type\":\"event\",\"evtName\":\"$name\",\"evtData\":{"
		. "\"n\":$n$more}}";
}

# {"d":[...]} with `count` records numbered from `from` (0).  Options:
#	from	number of the first
#	names	list of names; default the 23 catalogued ones, with custom =>
#		share (0..1) of custom ones
#	seed	of the choice (1)
#	ts	epoch seconds of the first (now), step => seconds per record
#	realistic  1: properties of a push campaign, about 400 bytes
#	and those of record(); id => 'mixed' takes them in turn

sub upload_body {
	my ($count, %o) = @_;
	my $from = $o{from} // 0;
	my $rand = ($o{seed} // 1) & 0x7fffffff;
	my $names = $o{names} || \@catalog;
	my $ts = $o{ts} // time;
	my $step = $o{step} // 0;
	my $custom = int(($o{custom} // 0) * 1000);
	my @ids = qw/ identity objectId email /;
	my @out;

	$rand = ($rand + $from * 7919) & 0x7fffffff;

	for my $i (0 .. $count - 1) {
		my $n = $from + $i;

		$rand = ($rand * 1103515245 + 12345) & 0x7fffffff;
		my $r = $rand >> 8;

		my $name = $custom && $r % 1000 < $custom
			? $custom[($r >> 3) % @custom]
			: $names->[($r >> 3) % @$names];
		my $props = $o{props} // '';
		if ($o{realistic}) {
			$props .= ',' if $props ne '';
			$props .= "\"Campaign id\":\"17000$r\",\"Campaign type"
				. "\":\"Mobile Push - Android\",\"Campaign la"
				. "bels\":\"Retention\",\"CT App Version\":\""
				. "4.2.$r\",\"CT Source\":\"Mobile\",\"Sessio"
				. "n Id\":$rand,\"wzrk_pivot\":\"Variant A\","
				. "\"City\":\"M\xc3\xbcnchen\",\"Text\":\"a "
				. "\\\"quoted\\\" line\\nand \\u00e9\"";
		}

		push @out, record(%o, n => $n, name => $name,
			ts => $ts + int($i * $step), props => $props,
			id => ($o{id} // '') eq 'mixed' ? $ids[$n % 3]
				: $o{id});
	}

	return '{"d":[' . join(',', @out) . ']}';
}

# `bodies` upload bodies of `count` records each, numbered throughout

sub upload_bodies {
	my ($bodies, $count, %o) = @_;
	my $from = delete $o{from} // 0;
	return map { upload_body($count, %o, from => $from + $_ * $count) }
		0 .. $bodies - 1;
}

1;
