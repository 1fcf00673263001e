package Bench::Row::Peers;

# make bench-peers: what people would use instead of ctseg, measured by the
# same load and the same Segment's side as rows 1 to 5, each with a yardstick
# of its own seconds before.  A peer may lose events: that is one of the
# figures.

use strict;
use warnings;

use List::Util qw/ max /;

use Bench::Grid;
use Bench::Peer::Lua;
use Bench::Peer::Node;
use Bench::Row::Intake;

# the part of the events of rows 1 and 2 that a slow one gets, so that all of
# them take seconds

my @peers = (
	{ name => 'ctseg', class => 'Bench::Ctseg', batched => 1,
		single => 1 },
	{ name => 'nginx with ngx_lua', class => 'Bench::Peer::Lua',
		batched => 0.5, single => 1 },
	{ name => "Segment's Node SDK", class => 'Bench::Peer::Node',
		batched => 0.1, single => 0.3 },
);

my @rows = (
	[ 'cpu200', 'CPU s a million events, 200 a body (row 1)', '%.2f' ],
	[ 'cpu1', 'CPU s a million events, 1 a body (row 2)', '%.1f' ],
	[ 'delivered', 'delivered / yardstick, 200 a body (row 3)', '%.4f' ],
	[ 'acked', 'acknowledged / yardstick, 1 a body (row 4)', '%.3f' ],
	[ 'p50', 'acknowledgement at 1,000 posts/s, p50 ms (row 5)',
		'%.2f' ],
	[ 'p99', 'the same, p99 ms', '%.2f' ],
	[ 'yard50', 'the same of the yardstick, p50 ms', '%.2f' ],
	[ 'yard99', 'the same of the yardstick, p99 ms', '%.2f' ],
	[ 'rate200', 'delivered/s, 200 a body', '%.0f' ],
	[ 'yard200', 'yardstick/s, 200 a body', '%.0f' ],
	[ 'rate1', 'acknowledged/s, 1 a body', '%.0f' ],
	[ 'yard1', 'yardstick/s, 1 a body', '%.0f' ],
	[ 'own', 'memory without a file behind it, MB', '%.1f' ],
	[ 'resident', 'memory with what is mapped of files, MB', '%.1f' ],
	[ 'bytes', 'largest batch, bytes', '%d', 'most' ],
	[ 'events', 'largest batch, events', '%d', 'most' ],
	[ 'over', 'batches over a limit', '%d', 'sum' ],
	[ 'posts', 'posts refused', '%d', 'sum' ],
	[ 'taken', 'events acknowledged', '%d', 'sum' ],
	[ 'lost', 'of them lost', '%d', 'sum' ],
	[ 'doubled', 'events that came twice', '%d', 'sum' ],
);

sub grid {
	return Bench::Grid->new(rows => \@rows,
		columns => [ map { $_->{name} } @peers ]);
}

sub versions {
	my ($class, $bench) = @_;
	return join ', ', Bench::Peer::Lua->version,
		Bench::Peer::Node->version($bench->build);
}

sub measures {
	return map { my $peer = $_; [ $peer->{name}, [], sub {
		_measure(@_, $peer) } ] } @peers;
}

sub _measure {
	my ($bench, $grid, $peer) = @_;
	my $yard = $bench->stage('new');
	my @o = (server => $peer->{class}, yard => $yard);
	push @o, fault => sub { $bench->say("$peer->{name}: $_[0]") }
		if $peer->{class} ne 'Bench::Ctseg';
	my $stage = sub { $bench->stage('new', @o) };
	my $add = sub {
		while (my ($row, $value) = splice @_, 0, 2) {
			$grid->add($row, $peer->{name}, $value);
		}
	};

	my $many = Bench::Row::Intake::through($bench, $stage->(),
		$peer->{batched} * $bench->size('batched'),
		'-n' => 200, '-c' => 16);
	$add->(cpu200 => $many->{cpu},
		delivered => $many->{delivered} / $many->{yard}{rate},
		rate200 => $many->{delivered}, yard200 => $many->{yard}{rate},
		own => $many->{own_kb} / 1024,
		resident => $many->{resident_kb} / 1024);

	my $one = Bench::Row::Intake::through($bench, $stage->(),
		$peer->{single} * $bench->size('single'),
		'-n' => 1, '-c' => 64);
	$add->(cpu1 => $one->{cpu},
		acked => $one->{load}{rate} / $one->{yard}{rate},
		rate1 => $one->{load}{rate}, yard1 => $one->{yard}{rate});

	my $slow = Bench::Row::Intake::steady($bench, $stage->());
	my ($load, $of) = @$slow{qw/ load yard /};
	$add->(p50 => $load->{p50_us} / 1000, p99 => $load->{p99_us} / 1000,
		yard50 => $of->{p50_us} / 1000,
		yard99 => $of->{p99_us} / 1000);

	for my $r ($many, $one, $slow) {
		my ($l, $s) = @$r{qw/ load stats /};
		$add->(bytes => $s->{largest_bytes},
			events => $s->{largest_events},
			over => $s->{over_limit}, posts => $l->{errors},
			taken => $l->{acks}, doubled => $s->{doubled},
			lost => max(0, $l->{acks} - $s->{distinct}));
	}
	$bench->end($yard);
	return;
}

1;
