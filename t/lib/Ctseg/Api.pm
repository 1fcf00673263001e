package Ctseg::Api;

# The management API as a test sees it.  Every answer that passes through here
# is checked against docs/openapi.yaml, and every export and run for
# conservation.  An answer that is not as documented fails the test on the
# spot; what does not add up is kept and must be asked for at the end:
#
#	my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
#	my $p = $api->partner(write_key => 'k');		# its id
#	my $e = $api->export($p, events => { set => 'engagement' });
#	my $done = $api->until($e, 'DONE');
#	is_deeply([ $api->wrong ], []);

use strict;
use warnings;

use Test::Builder ();

use Ctseg::Client qw/ http_json json_encode wait_for /;
use Ctseg::OpenApi;

my $serial = 0;

sub new {
	my ($class, $url) = @_;
	return bless { url => $url, wrong => [], polls => 0 }, $class;
}

# call(method, path, data, headers): the answer of Ctseg::Client

sub call {
	my ($self, $method, $path, $data, $headers) = @_;
	my %h = (defined $data ? ('Content-Type' => 'application/json') : (),
		%{$headers || {}});
	my $a = http_json($method, $self->{url} . $path, $data, \%h);
	$self->exchange({ method => $method, path => $path, headers => \%h,
		body => ref $data ? json_encode($data) : $data,
		answer => $a });
	$self->_look($a->{json}) if $a->{status} =~ /^2/ && $a->{json};
	return $a;
}

sub get { my $self = shift; return $self->call('GET', $_[0], undef, $_[1]) }
sub post { my $self = shift; return $self->call('POST', @_) }
sub patch { my $self = shift; return $self->call('PATCH', @_) }
sub delete { my $self = shift; return $self->call('DELETE', $_[0], undef,
	$_[1]) }

# id of a new partner; nickname and write key are made up unless given

sub partner {
	my ($self, %o) = @_;
	$serial++;
	my $a = $self->post('/partners', { nickname => "partner $serial",
		write_key => "writekey$serial", %o });
	die "partner: $a->{status} $a->{body}" unless $a->{status} == 201;
	return $a->{json}{id};
}

# id of a new one-time export of the last seven days; the answer to its
# creation is in $api->{created}

sub export {
	my ($self, $partner_id, %o) = @_;
	my $a = $self->post('/exports', { partner_id => $partner_id,
		frequency => { kind => 'one_time', range => 'last_7_days' },
		%o });
	die "export: $a->{status} $a->{body}" unless $a->{status} == 201;
	$self->{created} = $a->{json};
	return $a->{json}{id};
}

# the export as it is now; as soon as it has the status

sub show {
	my ($self, $id) = @_;
	my $a = $self->get("/exports/$id");
	die "export $id: $a->{status} $a->{body}" unless $a->{status} == 200;
	return $a->{json};
}

sub until {
	my ($self, $id, $status, $seconds) = @_;
	my $e;
	eval {
		wait_for {
			$e = $self->show($id);
			$e->{status} eq $status;
		} $seconds || 20, "status $status";
		1;
	} or die $@ . json_encode($e) . "\n";
	return $e;
}

# the newest run, as soon as its status is no longer "running"

sub run_ended {
	my ($self, $id, $seconds) = @_;
	my $e;
	wait_for {
		$e = $self->show($id);
		$e->{last_run} && $e->{last_run}{status} ne 'running';
	} $seconds || 20, 'the end of the run';
	return $e->{last_run};
}

# post bodies of events; all of them must be taken

sub upload {
	my ($self, $url, @bodies) = @_;
	for my $body (@bodies) {
		my $a = http_json('POST', $url, $body);
		die "upload: $a->{status} $a->{body}" unless
			$a->{status} == 200
			&& $a->{json}{status} eq 'success';
	}
	return;
}

# texts of what did not add up, in whatever answer

sub wrong { return @{$_[0]->{wrong}} }

# An exchange against the document, as Ctseg::OpenApi takes it.  A difference
# fails the test whether or not it asks for it; polling may meet the same one
# again and again.

sub exchange {
	my ($self, $x) = @_;

	for my $text (Ctseg::OpenApi->document->check($x)) {
		my $path = substr $x->{path} =~ s/[0-9a-f]{20}/{id}/gr, 0, 60;
		my $what = "$x->{method} $path, $x->{answer}{status}: $text";
		push @{$self->{wrong}}, $what;
		next if $self->{told}{$what}++;

		# the failure is that of the line outside of this package

		my $inside = 0;
		$inside++ while (caller $inside)[0] eq __PACKAGE__;
		local $Test::Builder::Level = $Test::Builder::Level + $inside;
		my $tb = Test::Builder->new;
		$tb->ok(0, 'as docs/openapi.yaml says');
		$tb->diag("$what\n" . substr $x->{answer}{body}, 0, 500);
	}
	return;
}

sub _look {
	my ($self, $json) = @_;

	for my $x ($json->{items} ? @{$json->{items}} : $json) {
		$self->_run($x) if exists $x->{scanned};
		next unless $x->{last_run} && $x->{progress};
		$self->{polls}++;
		$self->_run($x->{last_run});
		for my $name (qw/ sent filtered rejected waiting /) {
			next if $x->{progress}{$name}
				== $x->{last_run}{$name};
			push @{$self->{wrong}}, "$name: progress says "
				. "$x->{progress}{$name}, the run "
				. $x->{last_run}{$name};
		}
	}
	return;
}

sub _run {
	my ($self, $r) = @_;
	my $cut = $r->{to_sequence} - $r->{after_sequence};
	return if $r->{scanned} == $r->{sent} + $r->{filtered} + $r->{rejected}
		&& $r->{scanned} + $r->{waiting} == $cut;
	push @{$self->{wrong}}, "run $r->{number}: scanned $r->{scanned}, "
		. "sent $r->{sent}, filtered $r->{filtered}, rejected "
		. "$r->{rejected}, waiting $r->{waiting} of $cut";
	return;
}

1;
