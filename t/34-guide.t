#!/usr/bin/env perl

# docs/guide.md, rule by rule.  Each number of the guide has a row here, in
# its order, and no row is without a number.  A row makes every call of the
# guide, with the body and for the status that are written there, and then
# looks at what the rule says: in answers, and in what has arrived.
#
# The clock is in the hand of the test, since the guide has days in it: the
# rows begin at half past midnight of 23 November 2026 in New York and are one
# day on after C18.  What could fool them: events of other rows, so each row
# looks at partners and at labels of its own; a status that is gone before
# one looks, so PENDING is held by the clock and RUNNING by the answer of
# Segment; and a rule that is only answered and not kept, so whatever it says
# about events is compared with what arrived, label by label.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ wait_for /;
use Ctseg::Clock qw/ epoch iso /;
use Ctseg::Data qw/ @catalog /;
use Ctseg::Guide;
use Ctseg::Stage;

my $guide = Ctseg::Guide->new("$FindBin::Bin/../docs/guide.md");
my $start = '2026-11-23T00:30:00-05:00';
my ($t, $s, $api, $clock) = stage($start);
my $midnight = epoch($start) - 1800;

my @today = (frequency => { kind => 'one_time', range => 'today' });
my @four = (frequency => { kind => 'recurring', every_hours => 4 });
my @live = (frequency => { kind => 'live' });
my @custom = ('Charged', 'Product Viewed', 'App_Launched');
my %set;				# see exported_sets()
my $r;					# the row at work

# the guide says in C6 whether there are exports of profiles

my $profiles = grep { $_->{text} =~ /"profile".*=> 201/ } map {
	@{$_->{calls}} } @{$guide->rules};


# ---- events of sixty days ----

# the label is the wall time in the account zone

my @labels = ('2026-09-23 23:59:59', '2026-09-24 00:00:00',
	'2026-09-30 23:59:59', '2026-10-01 00:00:00', '2026-10-31 23:59:59',
	'2026-11-01 00:00:00', '2026-11-15 23:59:59', '2026-11-16 00:00:00',
	'2026-11-16 23:59:59', '2026-11-17 00:00:00', '2026-11-19 23:59:59',
	'2026-11-20 00:00:00', '2026-11-20 23:59:59', '2026-11-21 00:00:00',
	'2026-10-24 23:59:59', '2026-10-25 00:00:00', '2026-11-21 23:59:59',
	'2026-11-22 00:00:00', '2026-11-22 23:59:59', '2026-11-23 00:00:00');
for my $label (@labels) {

	# summer time ends on the first of November at two

	my $offset = $label lt '2026-11-01 02' ? '-04:00' : '-05:00';
	upload($label, ts => epoch($label =~ s/ /T/r . $offset));
}


# ---- the rows ----

my @rows = (

C1 => sub {
	my @e = map { create() } 1 .. 2;
	done($_->{id}) for @e;
	my $list = $r->call(1);
	is_deeply([ map { $_->{id} } @{$list->{items}}[0, 1] ],
		[ map { $_->{id} } reverse @e ], 'the newest first');
	is_deeply($list->{items}[0], $api->show($e[1]{id}),
		'with all there is to see');
},
C2 => sub {
	my $p = partner();
	my ($item) = grep { $_->{id} eq $p } @{$r->call(1)->{items}};
	is($item->{region}, 'us', 'a source in a region');
	is($r->call(2, partner => $p)->{partner_id}, $p, 'is chosen');
},
C3 => sub {
	my $refused = $r->call(1, bare => 1);
	is_deeply([ fields($refused) ], [ 'frequency', 'partner_id' ],
		'both at once');
	ok(create(@today)->{id}, 'and nothing else is needed');
},
C4 => sub {
	my $p = partner(nickname => 'C4 here');
	is($r->call(1, partner => $p)->{nickname}, 'C4 here', 'its name');
	is($api->post('/partners', { nickname => 'C4 here',
		write_key => 'x' })->{status}, 409, '... and nobody else\'s');
	is(create(partner_id => $p)->{partner_id}, $p, 'an export has the id');
},
C5 => sub {
	my $e = running();
	my $p = $e->{partner_id};
	is($r->call(1, partner => $p)->{nickname}, 'Acme main',
		'renamed while an export runs');
	is_deeply([ fields($r->call(2)) ], [ 'nickname' ], 'not in the form');
	let_go();
	$e = done($e->{id});
	is("$e->{revision} $e->{partner_id}", "1 $p", 'which goes on');
	is_deeply([ got($p) ], [ 'C5' ], 'to the same source');
},
C6 => sub {
	is($r->call(1)->{type}, 'event', 'events');
	is(create()->{type}, 'event', '... are the default');
	my $e = $r->call(2);
	is($profiles ? $e->{type} : join(' ', fields($e)),
		$profiles ? 'profile' : 'type', 'profiles');
},
C7 => sub {
	upload('C7 one', id => '"objectId":"o1","email":"a@example.com",'
		. '"phone":"+4930"');
	upload('C7 two', id => '"objectId":"o2","email":"b@example.com"');
	upload('C7 three', id => '"identity":"c","phone":"+4940"');
	my $e = done($r->call(1)->{id});
	my %user = got_users($e->{partner_id}, qr/^C7/);
	is_deeply(\%user, { 'C7 one' => '+4930', 'C7 two' => 'b@example.com',
		'C7 three' => 'c' }, 'in this order, after the partner\'s');
	$e = done(create(identifier_priority => [ 'email', 'phone' ])->{id});
	%user = got_users($e->{partner_id}, qr/^C7 one/);
	is($user{'C7 one'}, 'a@example.com', 'or in another');
},
C8 => sub {
	is($r->call($_->[0])->{frequency}{kind}, $_->[1], "kind $_->[1]")
		for [ 1, 'one_time' ], [ 2, 'recurring' ], [ 3, 'live' ];
	is_deeply([ fields($r->call(4)) ], [ 'frequency.kind' ], 'no other');
	is(refused(frequency => { kind => 'live', every_hours => 4 }),
		'422 frequency.every_hours', 'and no field of another');
},
C9 => sub {
	upload('C9 before');
	my $e = done($r->call(1)->{id});
	upload('C9 after');
	witness();
	is_deeply([ got($e->{partner_id}, qr/^C9/) ], [ 'C9 before' ], 'once');
	my $runs = $r->call(2, id => $e->{id});
	is_deeply([ map { @{$_}{qw/ number status / } } @{$runs->{items}} ],
		[ 1, 'succeeded' ], 'in one run');
},
C10 => sub {
	by_day($r->call(1), '2026-09-24', '2026-11-23');
	my $no = $r->call(2);
	is_deeply([ fields($no) ], [ 'frequency.from' ], 'a day more');
	like($no->{errors}[0]{message}, qr/2026-09-24/, 'names the oldest');
},
C11 => sub { by_day($r->call(1), '2026-11-20', '2026-11-20') },
C12 => sub { by_day($r->call(1), '2026-11-16', '2026-11-20') },
C13 => sub { by_day($r->call(1), '2026-10-01', '2026-10-31') },
C14 => sub { by_day($r->call(1), '2026-11-01', '2026-11-23') },
C15 => sub {
	by_day($r->call(1), '2026-11-23', '2026-11-23');
	by_day($r->call(2), '2026-11-22', '2026-11-22');
	by_day($r->call(3), '2026-11-17', '2026-11-23');
	by_day($r->call(4), '2026-10-25', '2026-11-23');
},
C16 => sub {
	my $e = ran($r->call(1)->{id}, 1);
	my $p = $e->{partner_id};
	upload('C16 a');
	upload('C16 late', ts => int($clock->now) - 40 * 86400);
	at(23, '04:00:10');
	$e = ran($e->{id}, 2);
	is_deeply([ got($p, qr/^C16/) ], [ 'C16 a', 'C16 late' ], 'at four');
	is($e->{next_run_at}, instant(23, '08:00'), '... and on');
	upload('C16 b');
	at(23, '08:00:10');
	ran($e->{id}, 3);
	is_deeply([ got($p, qr/^C16/) ], [ 'C16 a', 'C16 b', 'C16 late' ],
		'at eight');
	my $runs = $r->call(2, id => $e->{id});
	is_deeply([ map { $_->{sent} } @{$runs->{items}}[0, 1] ], [ 1, 2 ],
		'each in one run');
	is($runs->{items}[0]{after_sequence}, $runs->{items}[1]{to_sequence},
		'without a gap');
},
C17 => sub {
	my @none = (events => { set => 'selected',
		names => [ 'AB Experiment Stopped' ] });
	my %e = (4 => $r->call(1, more => { @none }),
		24 => $r->call(2, more => { @none }));
	is_deeply([ fields($r->call($_)) ], [ 'frequency.every_hours' ],
		'out of bounds') for 3, 4;
	is(refused(frequency => { kind => 'recurring', every_hours => $_ }),
		'422 frequency.every_hours', "not every $_")
		for 4.5, 0, -4, '4';
	my $p = partner();
	$e{$_} = create(@none, partner_id => $p, frequency => {
		kind => 'recurring', every_hours => $_ }) for 5 .. 23;
	for my $h (4 .. 24) {
		my $e = ran($e{$h}{id}, 1);
		my $next = $midnight;
		$next += $h * 3600 while $next <= $clock->now;
		is("$e->{frequency}{every_hours} $e->{next_run_at}",
			"$h " . iso($next), "every $h hours");
	}
},
C18 => sub {
	my $e = $r->call(1);
	is($e->{next_run_at}, instant(24, '00:00'), 'midnight of that day');
	upload('C18');
	at(23, '23:59:50');
	witness();
	is($api->show($e->{id})->{last_run}, undef, 'not before');
	at(24, '00:00:10');
	$e = ran($e->{id}, 1);
	is($e->{last_run}{scheduled_for}, instant(24, '00:00'), 'but then');
	is(create(@four)->{frequency}{start_date}, '2026-11-24',
		'today, if nothing is said');
	upload('C18 later');
	my $past = ran(create(frequency => { kind => 'recurring',
		every_hours => 24, start_date => '2026-11-23' })->{id}, 1);
	is_deeply([ got($past->{partner_id}, qr/^C18/) ],
		[ 'C18', 'C18 later' ], 'a day that lies back, at once');
	is($past->{next_run_at}, instant(25, '00:00'), '... and then daily');
	is(refused(frequency => { kind => 'recurring', every_hours => 24,
		start_date => '2026-09-24' }), '422 frequency.start_date',
		'61 days are too many');
},
C19 => sub {
	my $e = live($r->call(1));
	for my $label ('C19 a', 'C19 b') {
		upload($label);
		wait_for { grep { $_ eq $label } got($e->{partner_id}) } 20,
			$label;
	}
	is_deeply([ got($e->{partner_id}) ], [ 'C19 a', 'C19 b' ],
		'one after the other, and nothing older');
	is($api->show($e->{id})->{status}, 'RUNNING', 'and on');
},
C20 => sub {
	my $e = $r->call(1);
	like($r->{answer}{headers}{location}, qr{/exports/$e->{id}$},
		'where it is');
	my %once = (partner_id => partner(), @today);
	my @a = map { $api->post('/exports', \%once,
		{ 'Idempotency-Key' => 'C20' }) } 1, 2;
	is($a[1]{body}, $a[0]{body}, 'sent twice under a key');
	is(scalar(my @e = all("?partner=$once{partner_id}")), 1,
		'... is one export');
},
C21 => sub {
	my $e = create();
	is($r->call(1)->{items}[0]{id}, $e->{id}, 'the first of the list');
	is(done($e->{id})->{progress}{percent}, 100, 'is done by itself');
},
C22 => sub {
	my $e = held_back(@today);
	is((mine())[-1]{status}, 'PENDING', 'in the first answer');
	is($r->call(1, id => $e->{id})->{status}, 'PENDING', 'and later');
	is($e->{next_run_at}, $e->{created_at}, 'due from the beginning');
},
C23 => sub {
	my $e = running();
	my $view = $r->call(1, id => $e->{id});
	is($view->{status}, 'RUNNING', 'at work');
	cmp_ok($view->{progress}{waiting}, '>', 0, 'events wait');
},
C24 => sub {
	my $e = running();
	witness();
	is($api->show($e->{id})->{status}, 'RUNNING', 'not without an answer');
	let_go();
	done($e->{id});
	my $view = $r->call(1, id => $e->{id});
	is($view->{status}, 'DONE', 'complete');
	is_deeply([ @{$view->{progress}}{qw/ waiting percent / } ],
		[ 0, 100 ], 'nothing waits');
	is(ran(create(@four)->{id}, 1)->{status}, 'PENDING',
		'a recurring one waits again');
},

S1 => sub {
	my %e = (
		'one time, PENDING' => sub { held_back(@today) },
		'one time, RUNNING' => sub { running(@today) },
		'recurring, PENDING' => sub { ran(create(@four)->{id}, 1) },
		'recurring, RUNNING' => sub { running(@four) },
		'live, PENDING' => sub { held_back(@live) },
		'live, RUNNING' => sub { live(create(@live)) },
	);
	for my $name (sort keys %e) {
		my $e = $e{$name}->();
		is($e->{status}, substr($name, -7), $name);
		is($r->call(1, id => $e->{id})->{status}, 'STOPPED',
			'... is stopped');
		let_go();
	}
},
S2 => sub {
	for my $e (done(create()->{id}), stopped(create(@live))) {
		my $status = $r->call(1, id => $e->{id})->{status};
		is($status, $e->{status}, $status);
		like($r->call(2, id => $e->{id})->{detail},
			qr/PENDING or RUNNING.*$status/, '... says why');
	}
},
S3 => sub {
	my $p = partner();
	my ($e, $other) = map { live(create(@live, partner_id => $p,
		events => { set => 'selected', names => [ $_ ] })) }
		'App Launched', 'App Installed';
	is($r->call(1, id => $e->{id})->{id}, $e->{id}, 'this one');
	is($api->show($other->{id})->{status}, 'RUNNING', 'not the other');
	$api->run_ended($e->{id});
	upload('S3 this');
	upload('S3 other', name => 'App Installed');
	wait_for { got($p) } 20, 'an event';
	is_deeply([ got($p) ], [ 'S3 other' ], '... which goes on');
},
S4 => sub {
	my $e = edited(live(create(@live)));
	$r->call(1, id => $e->{id});
	is($api->show($e->{id})->{status}, 'RUNNING', 'it goes on');
},
S5 => sub {
	my $e = edited(live(create(@live)));
	is($r->call(1, id => $e->{id})->{status}, 'STOPPED', 'stopped');
	is($api->run_ended($e->{id})->{status}, 'stopped', 'and its run');
	upload('S5');
	my $after = live(create(@live));
	upload('S5 next');
	wait_for { got($after->{partner_id}) } 20, 'an event';
	is_deeply([ got($e->{partner_id}) ], [], 'nothing more is sent');
},
S6 => sub {
	my $e = ran(create(@four)->{id}, 1);
	my $answer = $r->call(1, id => $e->{id});
	is_deeply($answer, { %$e, status => 'STOPPED', stop_reason => 'user',
		next_run_at => undef }, 'the export as it is now');
	is_deeply($r->call(2)->{items}[0], $answer, 'and in the list');
},
S7 => sub {
	my $e = live(create(@live));
	upload('S7 now');
	wait_for { $api->show($e->{id})->{progress}{sent} == 1 } 20, 'one';
	stopped($e);
	$api->run_ended($e->{id});
	my $view = $r->call(1, id => $e->{id});
	is_deeply([ @{$view}{qw/ status stop_reason next_run_at / },
		$view->{progress}{sent} ], [ 'STOPPED', 'user', undef, 1 ],
		'stopped, by a user, for good');
},

E1 => sub {
	my $e = ran(create(@four, identifier_priority => [ 'email' ])->{id},
		1);
	my $new = $r->call(1, id => $e->{id});
	is_deeply($new, { %$e, events => { set => 'engagement' },
		revision => 2, applies_from => 'next_run' },
		'the rest stays as it was');
},
E2 => sub {
	for my $case (
		[ 'recurring, PENDING', sub { ran(create(@four)->{id}, 1) } ],
		[ 'recurring, RUNNING', sub { running(@four) } ],
		[ 'live, PENDING', sub { held_back(@live) } ],
		[ 'live, RUNNING', sub { live(create(@live)) } ],
		)
	{
		my ($name, $sub) = @$case;
		my $e = $sub->();
		is($e->{status}, substr($name, -7), $name);
		my $new = $r->call(1, id => $e->{id});
		is_deeply([ @{$new}{qw/ revision status / },
			$new->{identifier_priority} ], [ 2, $e->{status},
			[ 'email' ] ], '... is edited');
		let_go();
	}
	my $e = ran(create(@four)->{id}, 1);
	my %more = (partner_id => partner(), events => {
		set => 'engagement' }, frequency => { kind => 'recurring',
		every_hours => 12, start_date => '2026-11-24' });
	my $new = $api->patch("/exports/$e->{id}", \%more)->{json};
	is_deeply(cut($new, \%more), \%more, 'all that can change');
},
E3 => sub {
	my $e = ran(create(@four)->{id}, 1);
	my ($id, $p) = @{$e}{qw/ id partner_id / };
	upload('E3 old');
	hold($p);
	at(24, '04:00:10');
	held();
	my $new = $r->call(1, id => $id);
	is("$new->{status} $new->{applies_from}", 'RUNNING next_run',
		'edited while it runs');
	is($new->{last_run}{export_revision}, 1, 'the run keeps its own');
	upload('E3 left out');
	upload('E3 new', name => 'App Installed');
	let_go();
	is(ran($id, 2)->{last_run}{export_revision}, 1, '... to its end');
	is_deeply([ got($p, qr/^E3/) ], [ 'E3 old' ], 'as it was chosen');
	at(24, '08:00:10');
	is(ran($id, 3)->{last_run}{export_revision}, 2, 'the next has it');
	is_deeply([ got($p, qr/^E3/) ], [ 'E3 new', 'E3 old' ], '... chosen');
},
E4 => sub {
	for my $case (
		[ 'PENDING', sub { held_back(@today) }, qr/one time/ ],
		[ 'RUNNING', sub { running(@today) }, qr/one time/ ],
		[ 'DONE', sub { done(create(@today)->{id}) }, qr/DONE/ ],
		[ 'STOPPED', sub { stopped(running(@today)) }, qr/STOPPED/ ],
		)
	{
		my ($status, $sub, $why) = @$case;
		my $id = $sub->()->{id};
		like($r->call(1, id => $id)->{detail}, $why, $status);
		my $e = $api->show($id);
		is("$e->{status} $e->{revision}", "$status 1", '... it stays');
		let_go();
	}
},
E5 => sub {
	for my $e (live(create(@live)), ran(create(@four)->{id}, 1)) {
		like($r->call(1, id => $e->{id})->{detail}, qr/type/,
			"$e->{frequency}{kind}: events stay events");
		my %kind = (frequency => { kind => 'live' });
		%kind = @four if $e->{frequency}{kind} eq 'live';
		my $a = $api->patch("/exports/$e->{id}", \%kind);
		like("$a->{status} $a->{json}{detail}", qr/^409 .*kind/,
			'... and the kind stays');
		is($api->show($e->{id})->{revision}, 1, '... all of it');
	}

	return $r->skip(2) unless $profiles;
	my $e = create(type => 'profile', frequency => { kind => 'recurring',
		every_hours => 24 });
	like($r->call(2, id => $e->{id})->{detail}, qr/type/,
		'profiles stay profiles');
	is($api->show($e->{id})->{type}, 'profile', '... as before');
},
E6 => sub {
	for my $e (done(create()->{id}), stopped(ran(create(@four)->{id}, 1)),
		stopped(live(create(@live))))
	{
		like($r->call(1, id => $e->{id})->{detail},
			qr/$e->{status}/, "$e->{frequency}{kind}, "
			. $e->{status});
		is($api->show($e->{id})->{revision}, 1, '... stays');
	}
},
E7 => sub {
	my $e = live(create(@live));
	my ($id, $p) = @{$e}{qw/ id partner_id / };
	upload('E7 old');
	wait_for { got($p) } 20, 'the first event';
	my $new = $r->call(1, id => $id);
	is($new->{applies_from}, 'next_batch', 'from the next batch');
	wait_for { $api->show($id)->{last_run}{export_revision} == 2 } 20,
		'the new revision';
	upload('E7 left out');
	upload('E7 new', name => 'App Installed');
	wait_for { got($p) == 2 } 20, 'the chosen event';
	is_deeply([ got($p) ], [ 'E7 new', 'E7 old' ], 'old and new choice');
	my $runs = $api->get("/exports/$id/runs")->{json}{items};
	is($runs->[0]{after_sequence}, $runs->[1]{to_sequence},
		'nothing falls between');
},
E8 => sub {
	my @yes = (live(create(@live)), ran(create(@four)->{id}, 1));
	my @no = (running(@today), done(create()->{id}),
		stopped(create(@live)));
	my $list = $r->call(1);
	is_deeply([ map { $_->{id} } @{$list->{items}} ], [ map { $_->{id} }
		reverse @yes ], 'what can be edited, and nothing else');
},
E9 => sub {
	my $e = live(create(@live));
	is($r->call(1, id => $e->{id})->{id}, $e->{id}, 'view');
	is($r->call(2, id => $e->{id})->{revision}, 2, 'edit');
	is($r->call(3, id => $e->{id})->{status}, 'STOPPED', 'stop');
	$r->call(4, id => $e->{id});
	is_deeply([ grep { !/HEAD/ } sort split /, */,
		$r->{answer}{headers}{allow} ], [ 'GET', 'PATCH' ], 'no more');
},
E10 => sub {
	my %form = (partner_id => partner(), type => 'event',
		format => 'json', events => { set => 'selected',
		names => [ 'App Launched' ] }, identifier_priority =>
		[ 'phone' ], frequency => { kind => 'recurring',
		every_hours => 7, start_date => '2026-11-24' });
	my $view = $r->call(1, id => create(%form)->{id});
	is_deeply(cut($view, \%form), \%form, 'all of the form');
	is($r->{answer}{headers}{etag}, '"1"', 'and its revision');
},
E11 => sub {
	my $e = ran(create(@four)->{id}, 1);
	my $new = $r->call(1, id => $e->{id});
	is("$new->{revision} $new->{frequency}{every_hours}", '2 6', 'sent');
	is($r->{answer}{headers}{etag}, '"2"', 'and counted');
	$r->call(2, id => $e->{id});
	my $a = $api->patch("/exports/$e->{id}", { identifier_priority =>
		[ 'email' ], events => { set => 'most' } });
	is("$a->{status} @{[ fields($a->{json}) ]}", '422 events.set',
		'one wrong field');
	delete $new->{applies_from};
	is_deeply($api->show($e->{id}), $new, 'and nothing changed');
},

F1 => sub {
	my @other = (live(create(@live)), stopped(running(@today)));
	filtered($r->call(1), sub { $_->{status} eq 'STOPPED'
		&& $_->{frequency}{kind} ne 'one_time'
		&& $_->{exported_on} ge '2026-11-24' });
	is($api->get('/exports?colour=red')->{status}, 400, 'no such filter');
},
F2 => sub { filtered($r->call(1), sub { $_->{status} eq 'DONE' }) },
F3 => sub {
	my @p = (partner(), partner());
	my @e = map { create(partner_id => $_) } @p, $p[0];
	done($_->{id}) for @e;
	filtered($r->call(1, partner => $p[0]),
		sub { $_->{partner_id} eq $p[0] });
	my @ids = map { $_->{id} } reverse @e;
	for my $query ("partner=$p[0],$p[1]", "partner=$p[0]&partner=$p[1]") {
		is_deeply([ map { $_->{id} } all("?$query") ], \@ids,
			'two partners');
	}
},
F4 => sub {
	create(type => 'profile', frequency => { kind => 'recurring',
		every_hours => 24 }) if $profiles;
	filtered($r->call(1), sub { $_->{type} eq 'event' }, 1);
	filtered($r->call(2), sub { $_->{type} eq 'profile' }, 1);
	$r->call(3);
},
F5 => sub {
	filtered($r->call(1), sub { $_->{format} eq 'json' }, 1);
	$r->call(2);
},
F6 => sub {
	my @e = (running(@today), ran(create(@four)->{id}, 1));
	filtered($r->call(1), sub { $_->{status} eq 'RUNNING' });
	filtered($r->call(2), sub { 1 }, 1);
	filtered($api->get('/exports?status=RUNNING,PENDING')->{json},
		sub { $_->{status} =~ /^(?:RUNN|PEND)ING$/ });
	$r->call(3);
},
F7 => sub {
	filtered($r->call(1), sub { $_->{frequency}{kind} eq 'one_time' });
	filtered($r->call(2), sub { $_->{frequency}{kind} ne 'one_time' });
	$r->call(3);
},
F8 => sub { filtered($r->call(1), sub { 1 }, 1) },
F9 => sub {
	is($r->call(1, id => create()->{id})->{exported_on}, '2026-11-24',
		'today');
	my ($old) = grep { $_->{exported_on} eq '2026-11-23' } all();
	is($r->call(1, id => $old->{id})->{exported_on}, '2026-11-23',
		'and yesterday');
},
F10 => sub { filtered($r->call(1), sub {
	$_->{exported_on} le '2026-11-23'
	&& $_->{frequency}{kind} eq 'recurring' }) },
F11 => sub {
	is_deeply([ fields($r->call(1)) ], [ 'exported_from' ], 'no such day');
	filtered($r->call(2), sub { $_->{exported_on} ge '2026-11-24' });
	filtered($api->get('/exports?exported_to=2026-11-23')->{json},
		sub { $_->{exported_on} le '2026-11-23' });
},
F12 => sub { filtered($r->call(1), sub {
	$_->{exported_on} eq '2026-11-23' }) },
F13 => sub {
	filtered($r->call(1), sub { 1 }, 1);
	is_deeply($r->call(2), { items => [], page => 1, per_page => 20,
		total => 0, pages => 0 }, 'nothing is as old as that');
},
F14 => sub {
	my @all = all();
	my $page = $r->call(1);
	is_deeply([ map { $_->{id} } @{$page->{items}} ],
		[ map { $_->{id} } @all[10 .. 19] ], 'the second ten');
	is_deeply([ @{$page}{qw/ page per_page total pages / } ],
		[ 2, 10, scalar @all, int((@all + 9) / 10) ], 'of how many');
	my $q = '?per_page=10&status=DONE';
	my @done = grep { $_->{status} eq 'DONE' } @all;
	is_deeply([ map { $_->{id} } @{$api->get("/exports$q&page=2")->{json}
		{items}} ], [ map { $_->{id} } @done[10 .. 19] ],
		'a filter holds on all of them');
},
F15 => sub {
	is(scalar @{$r->call($_)->{items}}, 10 * $_, 10 * $_ . ' on a page')
		for 1 .. 4;
	is_deeply([ fields($r->call(5)) ], [ 'per_page' ], 'no other number');
},
F16 => sub {
	my $list = $r->call(1);
	is($list->{per_page} . ' ' . @{$list->{items}}, '20 20', 'twenty');
},

D1 => sub {
	is($r->call($_->[0])->{events}{set}, $_->[1], $_->[1])
		for [ 1, 'system' ], [ 2, 'selected' ], [ 3, 'engagement' ];
	is(create()->{events}{set}, 'system', 'system if nothing is said');
	is_deeply([ fields($r->call(4)) ], [ 'events.set' ], 'no other');
},
D2 => sub { whole_set('system', 21) },
D3 => sub {
	exported_sets();
	my $e = done($r->call(1)->{id});
	is_deeply([ got($e->{partner_id}, qr/^D /) ],
		[ 'D App Launched', 'D Geocluster Exited' ], 'these two');
	is_deeply([ fields($r->call(2)) ], [ 'events.names[0]' ],
		'no name of one\'s own');
	is(refused(events => { set => 'selected',
		names => [ 'app launched' ] }), '422 events.names[0]',
		'... and no other spelling');
},
D4 => sub { whole_set('engagement', 18) },
D5 => sub {
	my $catalog = $r->call(1);
	my %have = map { $_->{name} => $_->{description} }
		map { @$_ } values %$catalog;
	is_deeply(\%have, { map { $_->{rule} => $_->{description} }
		@{$guide->names} }, 'in the words of the guide');
},
D6 => sub {
	exported_sets();
	my $e = done($r->call(1)->{id});
	is_deeply([ got($e->{partner_id}, qr/^D /) ],
		[ sort map { "D $_" } @catalog, @custom ], 'everything');
	for my $set (qw/ system engagement /) {
		is_deeply([ grep { $set{$set}{"D $_"} } @custom ], [],
			"none of it in $set");
	}
},

(map { $_->{id} => \&one_name } @{$guide->names}),

);

my %row = @rows;
my @rules = (@{$guide->rules}, @{$guide->names});
is_deeply([ map { $rows[2 * $_] } 0 .. $#rows / 2 ],
	[ map { $_->{id} } @rules ],
	'each rule of the guide has its row, in its order');
is(join(' ', map { $_->{id} } @rules), join(' ', numbers(C => 24),
	numbers(S => 7), numbers(E => 11), numbers(F => 16), numbers(D => 6),
	numbers(N => 23)), 'and none is left out');

for my $rule (@rules) {
	$r = $rule;
	$r->{make} = \&make;
	subtest "$r->{id}: $r->{rule}" => sub {
		eval { scene($r->{id}, $row{$r->{id}}); 1 }
			or fail("$r->{line}: $@");
		is_deeply([ $r->left ], [], 'every call was made');
	};
}

is_deeply([ $s->violations ], [], 'no rule of Segment is broken');
is_deeply([ $api->wrong ], [], 'no event got lost in any answer');

$t->finish;
done_testing;


# ---- helpers ----

sub numbers { my ($letter, $last) = @_; return map { "$letter$_" } 1 .. $last }

# a call of the guide; an excerpt of an export is completed, unless bare => 1

sub make {
	my ($c, %o) = @_;
	my $body = $c->{body};
	my $export = $c->{method} eq 'POST' && $c->{path} eq '/exports';

	$body = { @today, partner_id => partner(), %$body,
		%{$o{more} || {}} } if $export && !$o{bare};

	my $a = $api->call($c->{method}, $c->{path}, $body, $c->{headers});
	is($a->{status}, $c->{status}, $c->{text}) or diag($a->{body});
	adopt($a->{json}) if $export && $a->{status} == 201;
	return $a;
}

# a creation: status and wrong fields

sub refused {
	my $a = $api->post('/exports', { partner_id => partner(), @today,
		@_ });
	adopt($a->{json}) if $a->{status} == 201;
	return join ' ', $a->{status}, fields($a->{json});
}

# a one-time export has these days, and takes their events and no others

sub by_day {
	my ($e, $from, $to) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is("$e->{frequency}{from} $e->{frequency}{to}", "$from $to",
		"from $from to $to");
	done($e->{id});
	my @want = grep { substr($_, 0, 10) ge $from
		&& substr($_, 0, 10) le $to } @labels;
	cmp_ok(scalar @want, '<', scalar @labels, '... which are not all');
	is_deeply([ got($e->{partner_id}, qr/^2026-/) ], [ sort @want ],
		'... and their events');
	return;
}

# A list has those of all exports that fit, in their order; some and not all,
# unless that may be.

sub filtered {
	my ($list, $fits, $any) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my @all = all();
	my @want = map { $_->{id} } grep { $fits->() } @all;
	ok($any || @want && @want < @all, 'a part of the list');
	is($list->{total}, scalar @want, '... is counted');
	splice @want, $list->{per_page} if @want > $list->{per_page};
	is_deeply([ map { $_->{id} } @{$list->{items}} ], \@want,
		'... and listed');
	return;
}

# What the sets take out of one event of each name, and of some that are in no
# catalog: $set{NAME}{LABEL}.  Each name also makes a set of its own.

sub exported_sets {
	return if %set;
	upload("D $_", name => $_) for @catalog, @custom;

	my %e = map { $_ => create(events => { set => $_ })->{id} }
		qw/ system engagement /;
	$e{$_->{rule}} = create(events => { set => 'selected',
		names => [ $_->{rule} ] })->{id} for @{$guide->names};
	for my $name (keys %e) {
		my $p = done($e{$name})->{partner_id};
		$set{$name} = { map { $_ => 1 } got($p, qr/^D /) };
	}
	return;
}

sub whole_set {
	my ($set, $count) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	exported_sets();
	my @names = sort map { $_->{rule} } grep { $_->{$set} }
		@{$guide->names};
	is(scalar @names, $count, "$count names in the guide");
	my $e = done($r->call(1)->{id});
	is_deeply([ got($e->{partner_id}, qr/^D /) ],
		[ map { "D $_" } @names ], '... arrive, and no others');
	is_deeply([ sort map { $_->{name} } @{$r->call(2)->{$set}} ],
		\@names, '... and are in the catalog');
	return;
}

sub one_name {
	exported_sets();
	is($set{$_}{"D $r->{rule}"} // 0, $r->{$_}, "in the set $_")
		for qw/ system engagement /;
	is_deeply([ keys %{$set{$r->{rule}}} ], [ "D $r->{rule}" ],
		'alone, when it is selected alone');
	return;
}
