#!/usr/bin/env perl

# Who may know whom: the rooms under src/ and what they may include, call,
# export and remember.  Reads the sources, and what was built from them.

use strict;
use warnings;

use FindBin;
use Test::More;

my $top = "$FindBin::Bin/..";
my $build = $ENV{CTSEG_BUILD} || "$top/build";
my $so = $ENV{CTSEG_MODULE} || "$build/ngx_http_ctseg_module.so";
chdir $top or die;

# room => rooms whose public headers it may include, besides its own

my %may = (
	base		=> [],
	model		=> [qw/ base /],
	segment		=> [qw/ base model /],
	clevertap	=> [qw/ base model /],
	store		=> [qw/ base model /],
	conf		=> [qw/ base model /],
	outbox		=> [qw/ base model segment store /],
	bridge		=> [qw/ base model segment conf /],
	edge		=> [qw/ base model segment clevertap store outbox
				conf bridge /],
	engine		=> [qw/ base model segment clevertap store outbox
				conf bridge /],
);

my %pure = map { $_ => 1 } qw/ base model segment clevertap store
	outbox /;

# headers of libraries => files that may include them

my @library = (
	[ qr{^lmdb\.h$}, qr{^src/store/ctseg_store_lmdb}, 'LMDB' ],
	[ qr{^yajl/}, qr{^src/base/ctseg_json\.c$}, 'yajl' ],
	[ qr{^zlib\.h$}, qr{^src/base/ctseg_gzip\.c$}, 'zlib' ],
	[ qr{^curl/}, qr{^src/clevertap/ctseg_curl\.c$}, 'curl' ],
	[ qr{^openssl/}, qr{^src/base/ctseg_hash\.c$}, 'OpenSSL' ],
	[ qr{^(?:libpq-fe\.h|postgresql/)}, qr{^src/store/ctseg_store_pg},
		'libpq' ],
	[ qr{^(?:ngx_|nginx\.h)},
		qr{^(?:src/(?:conf|bridge|edge|engine)/
			|ngx_http_ctseg_module\.c$)}x, 'nginx' ],
);

# functions that tell the time

my $clock = qr/\b(?:time|gettimeofday|clock_gettime|ngx_time|timespec_get
	|ctseg_now_ms|ctseg_mono_ms)\s*\(/x;

# variables below the line that may change while the process lives, and why

my %may_change = (
	'store/ctseg_store_lmdb.o' => qr/^ctseg_(?:store_)?lmdb_\w+/,
		# environments that are open: LMDB forbids a second open
);

my @files = sort grep { -f } glob('ngx_http_ctseg_module.c src/*/*.c'
	. ' src/*/*.h');
ok(scalar @files, 'there are sources');

my (@include, @alien, @name, @twice, @clock, %seen, %public);

for my $file (@files) {
	my ($room, $base) = $file =~ m{^(?:src/(\w+)/)?([^/]+)$}
		or die $file;

	push @twice, "$file and $seen{$base}" if $seen{$base};
	$seen{$base} = $file;

	my $prefix = !defined $room || !$pure{$room}
		? qr/^ngx_http_ctseg_/ : qr/^ctseg(?:_|\.)/;
	push @name, "$file is called neither ctseg_* nor ngx_http_ctseg_*, "
		. "as its room says" if $base !~ $prefix;

	push @name, "$file lies in an unknown room"
		if defined $room && !$may{$room};

	my $n = 0;
	my $text = text($file);
	for my $line (split /\n/, $text) {
		$n++;

		if ($line =~ /$clock/ && ($room // '') =~ /^(model|segment)$/)
		{
			push @clock, "$file:$n: $&";
		}

		next unless $line =~ /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
		my ($kind, $header) = ($1, $2);

		for my $lib (@library) {
			my ($re, $where, $what) = @$lib;
			push @alien, "$file:$n: $what belongs elsewhere"
				if $header =~ $re && $file !~ $where
					&& $kind eq '<';
		}
		next if $kind eq '<';

		my ($other, $h) = $header =~ m{^(?:(?:\.\./|src/)(\w+)/)?
			([^/]+)$}x;
		if (!defined $h) {
			push @include, "$file:$n: write \"../room/file.h\": "
				. $header;
			next;
		}

		# the front door knows every public header

		my $from = $room // 'door';
		my $to = $other // $from;
		next if $from eq $to && $to ne 'door';

		push @include, "$file:$n: $h is private to $to"
			if $h =~ /_int\.h$/;
		next if $from eq 'door' && $may{$to};

		push @include, "$file:$n: $from may not know $to ($h)"
			unless grep { $_ eq $to } @{$may{$from} || []};

		push @include, "$file:$n: no such file"
			unless -f "src/$to/$h";
	}
}

none('rooms include only whom they may know', @include);
none('libraries are known in one place each', @alien);
none('file names say on which side of the line they are', @name);
none('base names are unique, nginx puts objects in one folder', @twice);
none('rules and encoding take the time as an argument', @clock);

# modules are loaded with RTLD_GLOBAL: no name may leak

SKIP: {
	ok(-e $so, 'the module is built') or skip 'make build', 1;

	my %wanted = map { $_ => 1 } qw/ ngx_modules ngx_module_names
		ngx_module_order /;
	my @leak = grep { !$wanted{$_} } map { (split)[-1] }
		qx{nm -D --defined-only '$so'};
	s/@.*// for @leak;
	none('the module exports three names', grep { !$wanted{$_} } @leak);
}

# no state outside of arguments below the line: any thread may call

SKIP: {
	my @objects = glob "$build/unit/obj/*/*.o";
	ok(scalar @objects, 'objects are built') or skip 'make units', 1;

	my @static;
	for my $object (@objects) {
		my ($short) = $object =~ m{([^/]+/[^/]+)$};
		next unless -e 'src/' . ($short =~ s/o$/c/r);
		for (qx{objdump -t '$object'}) {

			# address flags section size name

			/^[0-9a-f]+\ .{7}\ (\S+)\s+([0-9a-f]+)\s+
				(?:\.hidden\s+)?(\S+)$/x or next;
			my ($section, $size, $name) = ($1, hex $2, $3);
			next unless $section =~ /^(?:\.data|\.bss|\*COM\*
				|\.tdata|\.tbss)/x;
			next if $section =~ /^\.data\.rel\.ro/;
			next if $name =~ /^\.|^__|^\*?\.?L[A-Z]+\d/;
			next if $size == 0;
			my $ok = $may_change{$short};
			next if $ok && $name =~ $ok;
			push @static, "$short: $name";
		}
	}
	none('nothing below the line remembers', @static);
}

done_testing;


sub none {
	my ($name, @wrong) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(!@wrong, $name) or diag(join "\n", @wrong);
	return;
}

# source without comments; the lines keep their numbers, strings stay

sub text {
	my ($file) = @_;
	open my $f, '<', $file or die "$file: $!\n";
	my $text = do { local $/; <$f> };
	$text =~ s{("(?:[^"\\\n]|\\.)*")|(/\*.*?\*/)}
		{ $1 // ($2 =~ s/[^\n]//gr) }gse;
	return $text;
}
