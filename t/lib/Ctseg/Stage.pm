package Ctseg::Stage;

# A stage for tests that play many short scenes with exports: one nginx with
# its clock in the hand of the test, one mock of Segment, and the moves that
# scenes are made of.  An event carries a label, a partner has a write key of
# its own, so each scene sees what is its own.
#
#	my ($t, $s, $api, $clock) = stage('2026-11-23T00:30:00-05:00');
#	scene('C9', sub {
#		upload('C9 before');
#		my $e = done(create()->{id});		# one time, of today
#		is_deeply([ got($e->{partner_id}) ], [ 'C9 before' ]);
#	});
#
# A scene leaves no export behind that is not final, no answer held and the
# clock where it would be.

use strict;
use warnings;

use Exporter qw/ import /;

use Ctseg::Api;
use Ctseg::Client qw/ json_encode wait_for /;
use Ctseg::Clock qw/ epoch iso /;
use Ctseg::Data qw/ record /;
use Ctseg::Nginx;
use Ctseg::Segment;

our @EXPORT = qw/ stage scene mine adopt partner upload got got_users create
	done ran running live stopped edited held_back hold held let_go
	witness all fields cut at instant /;

my ($t, $s, $api, $clock);
my %key;			# id of a partner => its write key
my $n = 0;			# events uploaded
my $scene = '';			# name of the scene
my @mine;			# exports created in it
my $back = 0;			# seconds that the clock is held back
my $witness;

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store          %%TESTDIR%%/store events=64m state=64m;
    ctseg_thread_pool    ctseg;
    ctseg_custom_events  on;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us events=1000000 requests=100000;
    }
}

EOC

# at an instant, in New York; (nginx, mock, api, clock)

sub stage {
	my ($when) = @_;
	$clock = Ctseg::Clock->new;
	$clock->set($when);
	$t = Ctseg::Nginx->new(preload => $clock->preload,
		env => $clock->env(TZ => 'EST5EDT,M3.2.0,M11.1.0'));
	$s = Ctseg::Segment->new(dir => $t->testdir);
	$t->set_port(9, $s->port)->conf($conf)->run;
	$api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
	return ($t, $s, $api, $clock);
}

sub scene {
	my ($name, $sub) = @_;
	($scene, @mine) = ($name);
	my $ok = eval { $sub->(); 1 };
	my $err = $@;
	let_go();
	$api->post("/exports/$_->{id}/stop") for @mine;
	die $err unless $ok;
	return;
}

# the exports of this scene, as their creation was answered

sub mine { return @mine }

# one that is created somewhere else

sub adopt { push @mine, @_; return }

sub partner {
	my (%o) = @_;
	my $key = 'stage' . keys %key;
	my $id = $api->partner(write_key => $key, %o);
	$key{$id} = $key;
	return $id;
}

# an event with a label

sub upload {
	my ($label, %o) = @_;
	$n++;
	$api->upload($t->url(1, '/1/upload'), '{"d":[' . record(n => $n,
		ts => int($clock->now), props => "\"label\":\"$label\"", %o)
		. ']}');
	return;
}

# label => userId of what a partner got; those of this scene, unless a
# pattern says which

sub got_users {
	my ($p, $like) = @_;
	$like //= qr/^\Q$scene\E\b/;
	my %request = map { $_->{n} => 1 } grep {
		($_->{write_key} // '') eq $key{$p} } $s->requests;
	my %user;
	for my $e ($s->events) {
		next unless $request{$e->{request}};
		my ($label) = $e->{raw} =~ /"label":"([^"]*)"/;
		$user{$label} = $e->{user} if $label =~ $like;
	}
	return %user;
}

# the labels alone, or how many

sub got {
	my %user = got_users(@_);
	my @labels = sort keys %user;
	return @labels;
}

# an export: to a new partner, one time, of today, unless said otherwise

sub create {
	my (%o) = @_;
	my $a = $api->post('/exports', { frequency => { kind => 'one_time',
		range => 'today' }, partner_id => $o{partner_id} // partner(),
		%o });
	die "export: $a->{status} $a->{body}" unless $a->{status} == 201;
	push @mine, $a->{json};
	return $a->{json};
}

sub done { return $api->until($_[0], 'DONE') }

# a recurring one when its run is over

sub ran {
	my ($id, $number) = @_;
	my $e;
	eval {
		wait_for {
			$e = $api->show($id);
			$e->{status} eq 'PENDING' && $e->{last_run}
				&& $e->{last_run}{number} == $number;
		} 20, "run $number";
		1;
	} or die $@ . iso($clock->now) . ' ' . json_encode($e) . "\n";
	return $e;
}

sub live { return $api->until($_[0]{id}, 'RUNNING') }

# created and RUNNING until let_go(): Segment's answer is held

sub running {
	my (%o) = @_;
	my $p = partner();
	upload($scene);
	hold($p);
	my $e = create(%o, partner_id => $p);
	held();
	return live($e);
}

# Created and PENDING until let_go(): the clock is before its creation.  It
# may have been taken in between, then another one is.

sub held_back {
	my (%o) = @_;
	for (1 .. 50) {
		my $e = create(%o);
		$back += 3600;
		$clock->advance(-3600);
		witness();
		$e = $api->show($e->{id});
		return $e if $e->{status} eq 'PENDING';
		let_go();
	}
	die "no export stays PENDING\n";
}

sub stopped {
	my ($e) = @_;
	my $a = $api->post("/exports/$e->{id}/stop");
	die "stop: $a->{status} $a->{body}" unless $a->{status} == 200;
	return $a->{json};
}

# with another revision

sub edited {
	my ($e) = @_;
	my $a = $api->patch("/exports/$e->{id}", { identifier_priority =>
		[ 'email' ] });
	die "edit: $a->{status} $a->{body}" unless $a->{status} == 200;
	return $a->{json};
}

sub hold {
	my ($p) = @_;
	$s->rules({ when => { write_key => $key{$p} }, hold => 1 });
	return;
}

sub held {
	wait_for { $s->stats->{held} } 20, 'a held answer';
	return;
}

sub let_go {
	$s->rules;
	$s->release;
	$clock->advance($back);
	$back = 0;
	return;
}

# whatever was due when it was called has been looked at when it returns

sub witness {
	$witness //= partner(nickname => 'witness');
	done($api->export($witness, events => { set => 'selected',
		names => [ 'AB Experiment Stopped' ] }));
	return;
}

# the list of exports, all pages of it

sub all {
	my ($query) = @_;
	my $q = defined $query ? "$query&" : '?';
	my (@all, $list);
	my $page = 0;
	do {
		$page++;
		$list = $api->get("/exports${q}per_page=40&page=$page")
			->{json};
		push @all, @{$list->{items}};
	} while ($page < $list->{pages});
	return @all;
}

# paths of the wrong fields of a refusal

sub fields { return sort map { $_->{field} } @{$_[0]{errors} || []} }

# the members of an answer that also stand in another one; lists whole

sub cut {
	my ($x, $like) = @_;
	if (ref $x eq 'HASH' && ref $like eq 'HASH') {
		return { map { $_ => cut($x->{$_}, $like->{$_}) }
			grep { exists $x->{$_} } keys %$like };
	}
	if (ref $x eq 'ARRAY' && ref $like eq 'ARRAY') {
		return [ map { cut($x->[$_], $like->[$_]) } 0 .. $#$x ];
	}
	return $x;
}

# sets the clock: a day of November and a time in New York

sub at { $clock->set(epoch("2026-11-$_[0]T$_[1]-05:00")); return }

# the same, as the API writes it

sub instant { return iso(epoch("2026-11-$_[0]T$_[1]:00-05:00")) }

1;
