package Ctseg::CleverTap;

# A mock of CleverTap's Get Events API (see Ctseg::Mock for what it has of all
# mocks): accounts with events of the past, and walks through them.
#
#	my $ct = Ctseg::CleverTap->new(dir => $t->testdir,
#		accounts => { 'ACC-1' => 'passcode' });
#	$t->set_port(8, $ct->port);	# url=http://127.0.0.1:%%PORT_8%%
#	$ct->add('Product Viewed', [ map { pulled(n => $_,
#		ts => 20260102030405) } 1 .. 10 ])->set(page => 3);
#	...
#	is_deeply([ $ct->violations ], []);
#	is_deeply([ $ct->trail ], [ 'Product Viewed 20260101-20260103',
#		1, 2, 3, 4 ]);
#
# A POST opens a walk, a GET asks for a page of it.  A cursor says itself which
# walk and page it means, so it is good for ever, also after stop() and
# start(); the same cursor gives the same page.
#
# What it takes ill, beside malformed requests: a walk that goes on after a
# later one of its account was opened or that goes back a page, a request while
# another one of the account is under way, a cursor that is encoded twice.
#
# An answer that says neither "status" nor "body" nor "raw" is the real one, as
# late, slow or broken as it is told to be; or, by "as", one of
#	busy		200: Request still in progress
#	throttled	429
#	throttled_code	429 by the code in a 200
#	refused		400: Export not allowed for this event
#	denied		401
#	expired		400: the cursor is not known
#	junk		200 that is no JSON
#	repeat		the page, and then the cursor that was asked for
# With a status alone the body is a fail body of that code.
#
# Conditions of a rule beside "method":
#	contains => 'text' (in path or body), account => 'ACC-1',
#	event => 'Name', page => n (0: the opening of a walk)
# Figures of stats() beside those of all mocks: walks (opened).  A request's
# record has also: account, event, from, to, walk (number of the request that
# opened it), page (0: the opening), as far as it is known.

use strict;
use warnings;

use Exporter qw/ import /;

use Ctseg::CleverTap::Server;

use parent 'Ctseg::Mock';

our @EXPORT_OK = qw/ pulled /;

sub server { return 'Ctseg::CleverTap::Server' }

# accounts => { id => passcode }, by default one, TEST-ACC-1 with passcode-1
# and the options of a mock

sub new {
	my ($class, %opt) = @_;
	$opt{name} ||= 'clevertap';
	$opt{accounts} ||= { 'TEST-ACC-1' => 'passcode-1' };
	unlink "$opt{dir}/$opt{name}.data";
	return $class->SUPER::new(%opt);
}

# Records of an event, as texts; they come in this order.  account => whose
# (the first one's), day => 20260102, for those whose time cannot be read.

sub add {
	my ($self, $name, $records, %o) = @_;
	my $account = $o{account}
		// (sort keys %{$self->{opt}{accounts}})[0];

	open my $f, '>>:raw', "$self->{prefix}.data"
		or die "$self->{prefix}.data: $!\n";
	for my $text (@$records) {
		my $day = $text =~ /"ts":"?(\d{8})\d{6}\b/ ? $1 : $o{day}
			// die "a record of no day: $text\n";
		print $f "$account\t$name\t$day\t$text\n";
	}
	close $f or die "$self->{prefix}.data: $!\n";

	$self->_command(cmd => 'load');
	return $self;
}

# How it answers from here on:
#	page		records of a page at most (what the client asks for)
#	style		how it says what comes next: next_cursor (and nothing
#			at the end), partial (the status, and a cursor), null
#			or empty (as next_cursor at the end)
#	blank		1: the first page has no records
#	busy		so often is each cursor answered "busy" first
#	gzip		1: to those who accept it; 2: to all
#	forbidden	[ names ] that are not for export
#	accounts	{ id => passcode }

sub set {
	my ($self, %set) = @_;
	$self->_command(cmd => 'set', set => \%set);
	return $self;
}

# cursors of the walks that are open become unknown

sub expire {
	my ($self) = @_;
	$self->_command(cmd => 'expire');
	return $self;
}

# The requests of an account (of all), one word each: that which opens a walk
# is "Name from-to", others are the number of their page.  ("?": neither)

sub trail {
	my ($self, $account) = @_;
	return map { !defined $_->{page} ? '?' : $_->{page} ? $_->{page}
		: "$_->{event} $_->{from}-$_->{to}" } grep {
		!defined $account || ($_->{account} // '') eq $account }
		$self->requests;
}


# ---- records ----

# One as JSON text.  Options:
#	n	the number it is recognized by: property "n", identity "u<n>"
#	ts	14 digits of local time, or JSON text
#	who	'identity' (default), 'objectId', 'email', 'phone', 'all',
#		'none', or JSON text of members of the profile
#	profile	text of profileData
#	props	more properties, as JSON text: '"a":1,"b":"x"'; undef as well
#		as n: there is no event_props
#	session	the same, of session_props
#	items	JSON text of items

sub pulled {
	my (%o) = @_;
	my $n = $o{n} // 0;
	my $who = $o{who} // 'identity';

	my %who = (
		identity => "\"identity\":\"u$n\"",
		objectId => "\"objectId\":\"_o$n\"",
		email => "\"email\":\"u$n\@example.com\"",
		phone => sprintf('"phone":"+1555%07d"', $n),
		none => '',
	);
	$who{all} = join ',', @who{qw/ objectId identity email phone /},
		"\"all_identities\":[\"u$n\",\"u$n\@example.com\"]",
		"\"name\":\"User $n\",\"platform\":\"Android\"",
		'"app_version":"4.2","make":"Acme","model":"X 1"',
		'"os_version":"14"';
	my @profile = grep { $_ ne '' } $who{$who} // $who,
		defined $o{profile} ? "\"profileData\":{$o{profile}}" : ();

	my @props = grep { length } defined $o{n} ? "\"n\":$n" : '',
		$o{props} // '';
	my @parts = ('"profile":{' . join(',', @profile) . '}',
		defined $o{ts} ? "\"ts\":$o{ts}" : (),
		@props ? '"event_props":{' . join(',', @props) . '}' : (),
		defined $o{session} ? "\"session_props\":{$o{session}}" : (),
		defined $o{items} ? "\"items\":$o{items}" : ());
	return '{' . join(',', @parts) . '}';
}

1;
