package Ctseg::OpenApi;

# docs/openapi.yaml, and whether an exchange with the module is as it says.
# Ctseg::Api asks for every call of every test:
#
#	my $doc = Ctseg::OpenApi->document;
#	my @wrong = $doc->check({ method => 'GET', path => '/partners?page=2',
#		headers => {}, body => '', answer => $answer });
#
# The answer must be one of its operation's: status, headers, content type
# and body.  What a 2xx was given for must be a request that the document
# knows; any other request may be as wrong as a test wants it.  Which answers
# came is kept in $doc->{seen}, by "GET /partners 200"; "* 404" and "* 405"
# are those of a path and of a method that the document has not got.

use strict;
use warnings;

use Cwd ();

use Ctseg::Client qw/ json_decode /;
use Ctseg::Schema;
use Ctseg::Yaml qw/ yaml_decode /;

my @methods = qw/ get put post delete options head patch trace /;

# headers that mean something to a client: they come where they are
# documented and nowhere else

my @promised = qw/ ETag Location Allow Retry-After /;

our $document;

sub document {
	my ($class) = @_;
	return $document //= $class->load($class->file);
}

sub file {
	my $file = Cwd::realpath(__FILE__);
	$file =~ s{/t/lib/Ctseg/OpenApi\.pm$}{/docs/openapi.yaml};
	return $file;
}

sub load {
	my ($class, $file) = @_;
	open my $f, '<:raw', $file or die "$file: $!\n";
	return $class->parse(do { local $/; <$f> });
}

sub parse {
	my ($class, $text) = @_;
	my $tree = yaml_decode($text);

	$tree->{openapi} =~ /^3\.1\./ or die "openapi: not version 3.1\n";

	my $self = bless { tree => $tree, op => {}, seen => {},
		schema => Ctseg::Schema->new($tree) }, $class;

	for my $path (sort keys %{$tree->{paths}}) {
		my $item = $tree->{paths}{$path};
		for my $method (grep { $item->{$_} } @methods) {
			my $op = $item->{$method};
			$self->{op}{uc($method) . " $path"} = {
				path => $path,
				parameters => [ map { $self->_ref($_) }
					@{$item->{parameters} || []},
					@{$op->{parameters} || []} ],
				body => $self->_ref($op->{requestBody}),
				responses => $self->_responses(
					$op->{responses}) };
		}
	}
	$self->{otherwise} = $self->_responses($tree->{'x-otherwise'});

	for my $case ($self->schemas) {
		my ($where, $schema) = @$case;
		$self->{schema}->known($schema, $where);
	}
	return $self;
}

sub _ref {
	my ($self, $x) = @_;
	return $x unless ref $x eq 'HASH' && exists $x->{'$ref'};
	return $self->{schema}->resolve($x->{'$ref'});
}

sub _responses {
	my ($self, $list) = @_;
	my %out;
	for my $status (keys %$list) {
		my $r = $self->_ref($list->{$status});
		$out{$status} = { %$r, headers => { map { ($_ =>
			$self->_ref($r->{headers}{$_})) }
			keys %{$r->{headers} || {}} } };
	}
	return \%out;
}

# "GET /partners", ...

sub operations { return sort keys %{$_[0]->{op}} }

# statuses of an operation; without one, of what is no operation

sub statuses {
	my ($self, $name) = @_;
	return sort keys %{$self->_answers($name)};
}

sub _answers {
	my ($self, $name) = @_;
	return $name eq '*' ? $self->{otherwise}
		: $self->{op}{$name}{responses};
}

# [where, schema, examples] of all places that have a schema

sub schemas {
	my ($self) = @_;
	my @out;

	my $all = $self->{tree}{components}{schemas};
	push @out, map { [ "schema $_", $all->{$_} ] } sort keys %$all;

	my $content = sub {
		my ($where, $content) = @_;
		for my $type (sort keys %{$content || {}}) {
			push @out, _sampled("$where, $type",
				$content->{$type});
		}
	};

	for my $name ($self->operations) {
		my $op = $self->{op}{$name};
		push @out, map { _sampled("$name, parameter $_->{name}", $_) }
			@{$op->{parameters}};
		$content->("$name, request", $op->{body}{content})
			if $op->{body};
	}
	for my $name ($self->operations, '*') {
		my $answers = $self->_answers($name);
		for my $status (sort keys %$answers) {
			my $r = $answers->{$status};
			push @out, map { _sampled("$name $status, header $_",
				$r->{headers}{$_}) } sort keys
				%{$r->{headers}};
			$content->("$name $status", $r->{content});
		}
	}
	return @out;
}

sub _sampled {
	my ($where, $x) = @_;
	return [ $where, $x->{schema},
		(exists $x->{example} ? $x->{example} : ()),
		map { $x->{examples}{$_}{value} }
			sort keys %{$x->{examples} || {}} ];
}

# the name of the operation, or undef; whether there is the path

sub find {
	my ($self, $method, $path) = @_;
	my $has;

	for my $name (sort keys %{$self->{op}}) {
		my ($m, $template) = split / /, $name;
		my $re = join '', map { /^\{/ ? '[^/]+' : quotemeta }
			split /(\{\w+\})/, $template;
		next unless $path =~ m{^$re\z};
		$has->{$template}{$m} = $name;
	}

	return (undef, 0) unless $has;

	# a path without parameters goes before one with them, whatever the
	# method

	my ($first) = sort { ($a =~ tr/{//) <=> ($b =~ tr/{//) } keys %$has;
	my $of = $has->{$first};
	return $of->{$method} ? ($of->{$method}, 1) : (undef, 1, keys %$of);
}


# ---- an exchange ----

sub check {
	my ($self, $x) = @_;
	my ($answer, @wrong) = ($x->{answer});
	my ($path, $query) = split /\?/, $x->{path}, 2;

	my ($name, $has, @allowed) = $self->find($x->{method} eq 'HEAD'
		? 'GET' : $x->{method}, $path);
	my $status = $answer->{status};
	my $responses = $self->_answers($name // '*');
	my $response = $responses->{$status};

	# what is answered although the document has no such operation

	if (!$name && $status != ($has ? 405 : 404)) {
		push @wrong, "$status, and the document has no such "
			. ($has ? 'method' : 'path');
		return @wrong;
	}
	if (!$response) {
		push @wrong, "status $status is not documented";
		return @wrong;
	}
	$self->{seen}{($name // '*') . " $status"}++;

	if (!$name && $has) {
		my $want = join ' ', sort @allowed, (grep { $_ eq 'GET' }
			@allowed) ? 'HEAD' : ();
		my $got = join ' ', sort split /, */,
			$answer->{headers}{allow} // '';
		push @wrong, "Allow has $got, the document $want"
			if $got ne $want;
	}

	push @wrong, $self->_answer($response, $answer,
		$x->{method} eq 'HEAD');
	push @wrong, $self->_request($self->{op}{$name}, $x, $path, $query)
		if $name && $status =~ /^2/;
	return @wrong;
}

sub _answer {
	my ($self, $response, $answer, $head) = @_;
	my $h = $answer->{headers};
	my @wrong;

	for my $name (sort keys %{$response->{headers}}) {
		my $header = $response->{headers}{$name};
		if (defined $h->{lc $name}) {
			push @wrong, $self->_value($header->{schema},
				$h->{lc $name}, "header $name");
		} elsif ($header->{required}) {
			push @wrong, "header $name is missing";
		}
	}
	push @wrong, map { "header $_ is not documented" }
		grep { defined $h->{lc $_} && !$response->{headers}{$_} }
			@promised;

	my $content = $response->{content};
	my ($type) = ($h->{'content-type'} // '') =~ /^([^;\s]*)/;

	if (!$content) {
		push @wrong, 'there is a body' if length $answer->{body};
		return @wrong;
	}
	return (@wrong, "content type \"$type\" is not documented")
		unless $content->{$type};
	return @wrong if $head;

	my $json = eval { json_decode($answer->{body}) };
	return (@wrong, 'the body is no JSON') if $@;
	return (@wrong, map { "body: $_" } $self->{schema}->validate(
		$content->{$type}{schema}, $json, ''));
}

sub _request {
	my ($self, $op, $x, $path, $query) = @_;
	my (%given, @wrong);

	my @value = split m{/}, $path;
	my @part = split m{/}, $op->{path};
	for my $i (0 .. $#part) {
		$given{path}{$1} = [ $value[$i] ]
			if $part[$i] =~ /^\{(\w+)\}\z/;
	}
	for my $arg (split /&/, $query // '') {
		next if $arg eq '';
		my ($name, $text) = map { s/%(..)/chr hex $1/ger }
			split /=/, $arg, 2;
		push @{$given{query}{$name}}, $text // '';
	}
	for my $name (keys %{$x->{headers} || {}}) {
		$given{header}{lc $name} = [ $x->{headers}{$name} ]
			if defined $x->{headers}{$name};
	}

	for my $p (@{$op->{parameters}}) {
		my $in = $p->{in};
		my $texts = delete $given{$in}{$in eq 'header'
			? lc $p->{name} : $p->{name}};
		if ($texts) {
			push @wrong, map { "request, $in: $_" }
				$self->_value($p->{schema}, join(',', @$texts),
					$p->{name});
		} elsif ($p->{required}) {
			push @wrong, "request, $in: $p->{name} is missing";
		}
	}
	push @wrong, map { "request, query: $_ is not documented" }
		sort keys %{$given{query} || {}};

	return (@wrong, $self->_body($op->{body}, $x->{body},
		($given{header}{'content-type'} || [ '' ])->[0]));
}

sub _body {
	my ($self, $doc, $body, $type) = @_;

	return unless $doc;
	return $doc->{required} ? 'request: the body is missing' : ()
		if ($body // '') eq '';

	# no type and any kind of JSON is taken for JSON, says the document

	$type = lc $type =~ s/\s*;.*//r;
	$type = 'application/json' if $type =~ m{^$|^application/.+\+json$};
	return "request: content type \"$type\" is not documented"
		unless $doc->{content}{$type};

	my $json = eval { json_decode($body) };
	return 'request: the body is no JSON' if $@;
	return map { "request, body: $_" } $self->{schema}->validate(
		$doc->{content}{$type}{schema}, $json, '');
}

# the text of a header or parameter against its schema

sub _value {
	my ($self, $schema, $text, $at) = @_;
	my $s = $self->_ref($schema);
	my $type = $s->{type} // '';
	my $typed = sub {
		my ($s, $text) = @_;
		return $text unless ($self->_ref($s)->{type} // '')
			eq 'integer' && $text =~ /^-?\d{1,15}\z/;
		return $text + 0;
	};

	my $value = $type eq 'array' ? [ map { $typed->($s->{items}, $_) }
		split /,/, $text, -1 ] : $typed->($s, $text);
	return $self->{schema}->validate($schema, $value, $at);
}

1;
