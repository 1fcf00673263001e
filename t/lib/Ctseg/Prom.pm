package Ctseg::Prom;

# Prometheus' text format 0.0.4, read as strictly as a page of ours can be
# written: families one after the other, HELP and TYPE before their samples,
# no sample twice, buckets that add up.  Dies with the first thing that is
# wrong and the number of its line.
#
#	my $m = Ctseg::Prom->new($text);
#	$m->value('ctseg_exports', status => 'DONE');	# undef: no such sample
#	$m->sum('ctseg_delivery_requests_total', code => '200');
#	$m->families;					# name => type
#	$m->fallen($earlier);	# names of what must grow and has not

use strict;
use warnings;

my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $number = qr/(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?/;
my %types = map { $_ => 1 } qw/ counter gauge histogram /;

sub new {
	my ($class, $text) = @_;
	my $self = bless { type => {}, help => {}, sample => {},
		labels => {}, of => {} }, $class;
	my ($family, $n);

	die "no end of the last line\n" unless $text =~ /\n\z/;

	for my $line (split /\n/, $text, -1) {
		$n++;
		my $ok = eval {
			if ($line =~ /^#/) {
				$family = $self->_comment($line, $family);
			} elsif ($line ne '') {
				$self->_sample($line, $family);
			}
			1;
		};
		die "line $n: $line: $@" unless $ok;
		die "line $n: an empty one\n" if $line eq ''
			&& $n != 1 + ($text =~ tr/\n//);
	}
	die "$family has no TYPE\n" if defined $family
		&& !$self->{type}{$family};

	$self->_histogram($_) for grep { $self->{type}{$_} eq 'histogram' }
		sort keys %{$self->{type}};
	return $self;
}

sub _comment {
	my ($self, $line, $family) = @_;

	if ($line =~ /^# HELP ($name) (\S.*)$/) {
		die "help of $1 twice\n" if $self->{help}{$1};
		die "$family has no TYPE\n" if defined $family
			&& !$self->{type}{$family};
		$self->{help}{$1} = $2;
		return $1;
	}
	if (my ($of, $type) = $line =~ /^# TYPE ($name) (\w+)$/) {
		die "type of $of twice\n" if $self->{type}{$of};
		die "no such type\n" unless $types{$type};
		die "not behind its HELP\n" unless ($family // '') eq $of;
		die "a counter is called *_total\n"
			if ($type eq 'counter') != ($of =~ /_total$/);
		$self->{type}{$of} = $type;
		return $of;
	}
	die "neither HELP nor TYPE\n";
}

sub _sample {
	my ($self, $line, $family) = @_;

	my ($sample, $labels, $value) = $line
		=~ /^($name)(?:\{(.*)\})? ($number)$/
		or die "not a sample\n";
	my $type = $self->{type}{$family // ''} or die "without a TYPE\n";

	my $suffix = $sample eq $family ? ''
		: $sample =~ /^\Q$family\E(_bucket|_sum|_count)$/ ? $1
		: die "not of $family\n";
	die "a histogram has buckets, sum and count\n"
		if ($type eq 'histogram') != ($suffix ne '');

	my %label;
	$labels //= '';
	while ($labels ne '') {
		$labels =~ s/^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"
			(?:,(?=.)|$)//x or die "labels: $labels\n";
		my ($key, $text) = ($1, $2);
		die "label $key twice\n" if exists $label{$key};
		$text =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;
		$label{$key} = $text;
	}
	die "le belongs to a bucket\n"
		if exists $label{le} != ($suffix eq '_bucket');

	my $key = key($sample, %label);
	die "twice\n" if exists $self->{sample}{$key};
	$self->{sample}{$key} = $value;
	$self->{labels}{$key} = \%label;
	$self->{of}{$key} = $family;
	push @{$self->{order}{$sample}}, $key;
	return;
}

# the name of a sample with its labels

sub key {
	my ($sample, %label) = @_;
	return join "\0", $sample, map { "$_=$label{$_}" } sort keys %label;
}

sub _histogram {
	my ($self, $family) = @_;
	my %last;

	for my $key (@{$self->{order}{"${family}_bucket"} || []}) {
		my %label = %{$self->{labels}{$key}};
		my $le = delete $label{le};
		my $which = key('', %label);
		my $n = $self->{sample}{$key};
		my ($before, $count) = @{$last{$which} || [ -1, 0 ]};

		die "$family: buckets behind +Inf\n" if $before eq '+Inf';
		die "$family: $le behind $before\n"
			if $le ne '+Inf' && $le <= $before;
		die "$family: $n in $le, and $count before\n" if $n < $count;
		die "$family: parts of events\n" if $n =~ /\./;
		$last{$which} = [ $le, $n, \%label ];
	}

	for my $which (values %last) {
		my ($le, $n, $label) = @$which;
		die "$family: the last bucket is $le\n" if $le ne '+Inf';
		my $count = $self->value("${family}_count", %$label);
		die "$family: no count\n" unless defined $count;
		die "$family: $n in all buckets, count is $count\n"
			if $n != $count;
		my $sum = $self->value("${family}_sum", %$label);
		die "$family: no sum\n" unless defined $sum;
		die "$family: a sum of nothing\n" if $count == 0 && $sum != 0;
	}
	for my $part (qw/ sum count /) {
		die "$family: $part without buckets\n" if keys %last
			!= @{$self->{order}{"${family}_$part"} || []};
	}
	return;
}

sub families { return %{$_[0]->{type}} }

sub value {
	my ($self, $sample, %label) = @_;
	return $self->{sample}{key($sample, %label)};
}

# over all samples of the name that have these labels among theirs

sub sum {
	my ($self, $sample, %label) = @_;
	my $sum = 0;
	for my $key (@{$self->{order}{$sample} || []}) {
		my $have = $self->{labels}{$key};
		next if grep { ($have->{$_} // '') ne $label{$_} }
			keys %label;
		$sum += $self->{sample}{$key};
	}
	return $sum;
}

# values of one label of a name, sorted

sub labels {
	my ($self, $sample, $label) = @_;
	my %seen = map { $self->{labels}{$_}{$label} => 1 }
		@{$self->{order}{$sample} || []};
	my @labels = sort keys %seen;
	return @labels;
}

# what is a counter, was there before, and is gone or less now

sub fallen {
	my ($self, $before) = @_;
	my @fallen;
	for my $key (sort keys %{$before->{sample}}) {
		next if $before->{type}{$before->{of}{$key}} eq 'gauge';
		my $now = $self->{sample}{$key};
		push @fallen, ($key =~ tr/\0/ /r) . " $before->{sample}{$key}"
			. ' ' . ($now // 'gone') if !defined $now
			|| $now < $before->{sample}{$key};
	}
	return @fallen;
}

1;
