package Ctseg::Disk;

# A disk in the hand of the test: t/fault/ctseg_disk.c, preloaded into nginx,
# fails the calls that LMDB makes on the files of the store, in every process
# and at once.
#
#	my $disk = Ctseg::Disk->new;
#	my $t = Ctseg::Nginx->new(workers => 2, preload => $disk->preload,
#		env => $disk->env);
#	$disk->fail('write', part => 'events', error => 'ENOSPC',
#		forever => 1);
#	...
#	$disk->heal;
#
# Kinds: write (of data), meta (of a page that syncs by itself), sync, resize,
# alloc.  n => 3 means the third call from now on.  A write may be 'SHORT'.

use strict;
use warnings;

use Errno ();
use Fcntl ();
use File::Temp ();

use Ctseg::Nginx ();

# the layout of t/fault/ctseg_disk.c

my %bit = (write => 1, meta => 2, sync => 4, resize => 8, alloc => 16);
my %place = (write => 0, meta => 1, sync => 2, resize => 3, alloc => 4);
my %part = ('' => 0, events => 1, state => 2);
my $rules = 8;
my $size = 32;

sub new {
	my ($class) = @_;
	my $self = bless { dir => File::Temp->newdir('ctseg-disk-XXXXXXXX',
		DIR => $ENV{TMPDIR} || '/tmp'), n => 0 }, $class;

	$self->{shim} = ($ENV{CTSEG_BUILD} || Ctseg::Nginx::top() . '/build')
		. '/ctseg_disk.so';
	-e $self->{shim} or die "$self->{shim}: not built, see make shims\n";

	sysopen $self->{file}, "$self->{dir}/disk", Fcntl::O_RDWR()
		| Fcntl::O_CREAT() or die "$self->{dir}/disk: $!\n";
	$self->_write(0, "\0" x ($rules * $size + 8 * 5 * 3));
	return $self;
}

# for Ctseg::Nginx->new; more names as in env(TZ => 'UTC')

sub env {
	my ($self, %env) = @_;
	return { CTSEG_DISK => "$self->{dir}/disk", %env };
}

sub preload { return [ $_[0]->{shim} ] }

sub _write {
	my ($self, $at, $bytes) = @_;
	sysseek $self->{file}, $at, 0;
	my $n = syswrite $self->{file}, $bytes;
	die "$self->{dir}/disk: $!\n" unless ($n // 0) == length $bytes;
}

sub _read {
	my ($self, $at) = @_;
	sysseek $self->{file}, $at, 0;
	my $n = sysread $self->{file}, my $bytes, 8;
	die "$self->{dir}/disk: $!\n" unless ($n // 0) == 8;
	return unpack 'q', $bytes;
}

# one more rule; answers its number

sub fail {
	my ($self, $kinds, %opt) = @_;
	my $i = $self->{n}++;
	die "no more rules\n" if $i == $rules;

	my $mask = 0;
	for my $kind (split /\|/, $kinds) {
		$mask |= $bit{$kind} or die "no such kind: $kind\n";
	}
	my $error = $opt{error} // 'EIO';
	my $errno = $error eq 'SHORT' ? -1 : Errno->can($error)->();

	# the mask makes it valid, so it comes last

	$self->_write($i * $size + 4, pack 'l3 q2', $part{$opt{part} // ''},
		$errno, $opt{forever} ? 1 : 0, $opt{n} // 1, 0);
	$self->_write($i * $size, pack 'l', $mask);
	return $i;
}

# all calls succeed again; what was met so far stays known until the next fail

sub heal {
	my ($self) = @_;
	$self->_write($_ * $size, pack 'l', 0) for 0 .. $rules - 1;
	$self->{n} = 0;
	return $self;
}

# how often a rule was met

sub hits { return $_[0]->_read(($_[1] // 0) * $size + 24) }

# calls so far, failed ones included

sub calls {
	my ($self, $kind, $part) = @_;
	return $self->_read($rules * $size + 8 * ($place{$kind} * 3
		+ $part{$part}));
}

1;
