#!/usr/bin/env perl

# docs/openapi.yaml against the module: the routes of the two are the same,
# every operation answers every status that the document gives it, and each
# answer is valid by it.  Ctseg::Api checks the calls; the ledger at the end
# tells what was documented and did not come.  What could fool it is a check
# that finds nothing, so it is first shown what it must find; and a damaged
# or closed store that is none, so those answers come from real ones.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Api;
use Ctseg::Client qw/ parallel_posts json_decode json_encode wait_for /;
use Ctseg::Data qw/ upload_body /;
use Ctseg::Nginx;
use Ctseg::OpenApi;
use Ctseg::Segment;
use Ctseg::Source qw/ slurp routes /;
use Ctseg::Yaml qw/ yaml_decode /;

my $top = Ctseg::Nginx::top();
my $doc = Ctseg::OpenApi->document;
my $text = slurp($doc->file);


# ---- the reader ----

is_deeply(yaml_decode(<<'EOY'), { a => 1, 'b c' => [ 'x: y', { d => undef,
a: 1
# a comment
b c:
  - 'x: y'
  - d: null
    e: "\u00e9\n"
  - []

f: |
  one
    two

  three
g: >-
  one
  two

  three
h/{i}: '20'
j: it's 1.0.0
EOY
	e => "\x{e9}\n" }, [] ], f => "one\n  two\n\nthree\n",
	g => "one two\nthree", 'h/{i}' => '20', j => "it's 1.0.0" },
	'the reader reads what it should');
for my $bad ("a: [ 1 ]\n", "a: {b: 1}\n", "a: &x 1\n", "a: *x\n",
	"a: !!str 1\n", "a:\n\t- 1\n", "a: 1\na: 2\n", "a: 2026-11-23\n",
	"a: yes\n", "a: 0x1f\n", "a: 1:30\n", "a: b: c\n", "a: b # c\n",
	"a:\n", "a: 1\n  b: 2\n", "a: b\n  c\n", "- 1\nb: 2\n", "a: 'b\n",
	"a:\n  - 1\n - 2\n", "a: >\n  b\n    c\n", "? a\n")
{
	ok(!eval { yaml_decode($bad); 1 }, 'the reader refuses: '
		. $bad =~ s/\n/\\n/gr =~ s/\t/\\t/gr);
}


# ---- the check ----

my %schema = map { $_ => { '$ref' => "#/components/schemas/$_" } }
	keys %{$doc->{tree}{components}{schemas}};
my ($partner) = map { @$_ > 2 ? $_->[2] : () }
	grep { $_->[0] =~ /^GET \/partners\/\{id\} 200, app/ } $doc->schemas;
my ($export) = map { @$_ > 2 ? $_->[2] : () }
	grep { $_->[0] =~ /^GET \/exports\/\{id\} 200, app/ } $doc->schemas;

is_deeply(wrong(Partner => $partner), [], 'a partner is valid');
is_deeply(wrong(Export => $export), [], 'an export is valid');
for my $case (
	[ Partner => 'region', undef, 'a missing field' ],
	[ Partner => 'colour', '"red"', 'an extra field' ],
	[ Partner => 'revision', '"1"', 'a number as a string' ],
	[ Partner => 'revision', '1.5', 'a number that is not whole' ],
	[ Partner => 'revision', '0', 'a number that is too small' ],
	[ Partner => 'nickname', '7', 'a string as a number' ],
	[ Partner => 'nickname', 'null', 'no string' ],
	[ Partner => 'nickname', '""', 'a string that is too short' ],
	[ Partner => 'nickname', '"' . 'x' x 65 . '"', 'a longer one' ],
	[ Partner => 'region', '"mars"', 'another word of an enum' ],
	[ Partner => 'id', '"01A208BE53713CD88867"', 'another pattern' ],
	[ Partner => 'id', '"01a208be53713cd88867\n"', 'one line more' ],
	[ Partner => 'user_id', '"name"', 'no branch of anyOf' ],
	[ Partner => 'user_id', '"property:"', '... nor another one' ],
	[ Partner => 'created_at', '"2026-02-30T00:00:00.000Z"', 'no day' ],
	[ Partner => 'created_at', '"2026-02-03T00:00:00Z"', 'no fraction' ],
	[ Partner => 'health', '"ok"', 'no object' ],
	[ Partner => 'health', '{"state":"retrying","reason":null,"since":null'
		. ',"retry_at":null}', 'what the else of an if asks for' ],
	[ Export => 'colour', '"red"', 'an extra field of what is combined' ],
	[ Export => 'events', undef, 'what the then of an if asks for' ],
	[ Export => 'type', '"profile"', 'what the else of an if forbids' ],
	[ Export => 'identifier_priority', '[]', 'too few items' ],
	[ Export => 'identifier_priority', '["email","email"]', 'one twice' ],
	[ Export => 'identifier_priority', '["email",1]', 'a wrong item' ],
	[ Export => 'events', '{"set":"selected"}', 'no branch of oneOf' ],
	[ Export => 'events', '{"set":"system","names":["UTM Visited"]}',
		'two halves of oneOf' ],
	[ Export => 'last_run', '{}', 'neither null nor a run' ],
	)
{
	my ($name, $field, $json, $what) = @$case;
	my %sample = %{$name eq 'Partner' ? $partner : $export};
	delete $sample{$field};
	$sample{$field} = json_decode($json) if defined $json;
	ok(@{wrong($name, \%sample)} > 0, "$what is noticed");
}
for my $bad ({ minimun => 1 }, { items => { pattern => 'x', patern => 1 } },
	{ format => 'uuid' }, { '$ref' => '#/components/schemas/Nothing' },
	{ '$ref' => 'https://example.com/schema' })
{
	ok(!eval { $doc->{schema}->known($bad, 'sample'); 1 },
		'what is not known is fatal: ' . json_encode($bad));
}

# exchanges; each differs from the first in one thing

my @json = ('content-type', 'application/json');
my %good = (method => 'POST', path => '/partners', headers => {},
	body => '{"nickname":"n","write_key":"w"}', answer => {
	status => 201, body => json_encode($partner), headers => { @json,
	etag => '"1"', location => "/a/$partner->{id}" } });
my $sample = Ctseg::OpenApi->parse($text);

is_deeply([ $sample->check(\%good) ], [], 'a creation is valid');
for my $case (
	[ 'a status', status => 202 ],
	[ 'a type', headers => { %{$good{answer}{headers}},
		'content-type' => 'text/html' } ],
	[ 'a lack of a header', headers => { @json, etag => '"1"' } ],
	[ 'a header', headers => { %{$good{answer}{headers}},
		'retry-after' => 1 } ],
	[ 'the form of a header', headers => { %{$good{answer}{headers}},
		etag => 'W/"1"' } ],
	[ 'a body that is no JSON', body => '{' ],
	[ 'no body', body => '' ],
	)
{
	my ($what, %other) = @$case;
	is(scalar $sample->check({ %good, answer => { %{$good{answer}},
		%other } }), 1, "$what is noticed");
}
for my $case (
	[ 'a request body', body => '{"nickname":"n"}' ],
	[ 'a lack of one', body => '' ],
	[ 'a request type', headers => { 'Content-Type' => 'text/plain' } ],
	[ 'a header of the request', headers => { 'Idempotency-Key' => '' } ],
	[ 'a parameter', path => '/partners?dry=1' ],
	[ 'a path', path => '/partner' ],
	[ 'a method', method => 'PUT' ],
	)
{
	my ($what, %other) = @$case;
	is(scalar $sample->check({ %good, %other }), 1, "$what is noticed");
}
my %gone = (status => 204, headers => {}, body => '');
is_deeply([ map { scalar $sample->check({ method => 'DELETE',
	path => '/partners/x', answer => { %gone, %$_ } }) } {},
	{ body => '{}' } ], [ 0, 1 ], 'a body of what has none is noticed');
my %page = (method => 'GET', answer => { status => 200, headers => { @json },
	body => '{"items":[],"page":1,"per_page":20,"total":0,"pages":0}' });
is_deeply([ map { scalar $sample->check({ %page, path => "/exports?$_" }) }
	'page=2&status=DONE,PENDING&status=STOPPED&exported_to=2026-02-28',
	'page=0', 'page=x', 'status=DONE,done', 'exported_to=2026-02-29',
	'per_page=11', 'page' ], [ 0, (1) x 6 ],
	'values of a query are looked at');
my %no = (status => 405, body => json_encode({ type => 'about:blank',
	title => 'Method Not Allowed', status => 405, detail => 'no' }));
is_deeply([ map { scalar $sample->check({ method => 'PUT',
	path => '/partners', answer => { %no, headers => { allow => $_,
	'content-type' => 'application/problem+json' } } }) }
	'GET, HEAD, POST', 'GET, POST', 'GET, HEAD, POST, PATCH' ],
	[ 0, 1, 1 ], 'Allow has the methods of the document');


# ---- the document by itself ----

my $examples = 0;
my @invalid;
for my $case ($doc->schemas) {
	my ($where, $schema, @examples) = @$case;
	$examples += @examples;
	push @invalid, map { "$where: $_" } map {
		$doc->{schema}->validate($schema, $_) } @examples;
}
cmp_ok($examples, '>', 100, "$examples examples");
is_deeply(\@invalid, [], '... are valid');

# every object that is answered or asked for is closed, but properties of
# events are whatever was collected

my @open;
for my $case ($doc->schemas) {
	my ($where, $schema) = @$case;
	walk($schema, $where, sub {
		my ($s, $at) = @_;
		push @open, $at if ($s->{type} // '') eq 'object'
			&& !exists $s->{additionalProperties};
	}) if $where =~ /^schema/;
}
is_deeply(\@open, [ 'schema ExportFields', 'schema Page' ],
	'no object is left open but those that others close');

# what docs/api.md shows is valid, too

my ($shown, @differ) = (0);
for my $section (split /^(?=#{1,4} )/m, slurp("$top/docs/api.md")) {
	my ($name) = $section =~ m{^### ([A-Z]+ /\S*)} or next;
	my $op = $doc->{op}{$name} or next;
	my @schemas = map { $_->{schema} } map { values %$_ }
		grep { defined } map { $_->{content} }
			grep { defined } $op->{body},
				values %{$op->{responses}};
	my $block = qr/^```(?:json)?\n(?:HTTP.*?\n\n)?(\{.*?)^```/ms;
	for my $block ($section =~ /$block/g) {
		next if $block =~ /\xe2\x80\xa6/;	# shortened
		my $json = json_decode($block =~ s/\n//gr);
		$shown++;
		push @differ, "$name: $block" unless grep {
			!$doc->{schema}->validate($_, $json) } @schemas;
	}
}
cmp_ok($shown, '>=', 12, "$shown bodies in docs/api.md");
is_deeply(\@differ, [], '... are those of the document');

my %route = routes($top);
my %op = map { $_ => 1 } $doc->operations;
is_deeply([ grep { !$route{$_} } sort keys %op ], [],
	'every operation of the document is a route of the module');
is_deeply([ grep { !$op{$_} } sort keys %route ], [],
	'every route of the module is an operation of the document');
my @ops = grep { $route{$_} } $doc->operations;


# ---- a house with everything ----

my $conf = <<'EOC';

%%GLOBALS%%

events {
}

http {
    %%GLOBALS_HTTP%%

    ctseg_store        %%TESTDIR%%/store events=64m state=16m;
    ctseg_thread_pool  ctseg;
    ctseg_clevertap    ACC-1 %%TESTDIR%%/passcode
                       url=http://127.0.0.1:%%PORT_8%%;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /1/upload {
            ctseg_collect;
        }

        location /ctseg/api/ {
            ctseg_api write=on;
            client_max_body_size 4k;
        }

        location /read/ {
            ctseg_api;
        }

        location = /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        ctseg_segment us /segment/us;
    }
}

EOC

my $t = Ctseg::Nginx->new(workers => 2, env => { TZ => 'UTC' });
my $s = Ctseg::Segment->new(dir => $t->testdir);
$t->write_file('passcode', "secret\n");
$t->set_port(9, $s->port)->conf($conf)->run;

my $api = Ctseg::Api->new($t->url(1, '/ctseg/api'));
my $read = Ctseg::Api->new($t->url(1, '/read'));
my $serial = 0;
my %one_time = (kind => 'one_time', range => 'last_7_days');
my %live = (kind => 'live');


# ---- what goes well ----

got('GET /partners', 200);
got('GET /exports', 200);
got('GET /imports', 200);

my $us = got('POST /partners', 201, {}, { fresh() })->{json}{id};
my $eu = got('POST /partners', 201, {}, { fresh(), region => 'eu',
	user_id => 'property:Customer Id', anonymous_id => 'gpid' })
	->{json}{id};
my $gone = got('POST /partners', 201, {}, { fresh() })->{json}{id};
got('GET /partners/{id}', 200, { id => $us });
got('PATCH /partners/{id}', 200, { id => $us }, { nickname => 'main' },
	{ 'If-Match' => '"1"' });
got('PATCH /partners/{id}', 200, { id => $us }, { write_key => 'k2' },
	{ 'Content-Type' => 'application/merge-patch+json' });
got('DELETE /partners/{id}', 204, { id => $gone }, undef,
	{ 'If-Match' => '*' });
got('GET /partners', 200, { query => 'page=1&per_page=10' });
got('POST /partners/{id}/test', 200, { id => $us });

$api->upload($t->url(1, '/1/upload'), upload_body(20),
	upload_body(5, from => 20, id => 'objectId'),
	upload_body(5, from => 30, id => '"FBID":"nobody asked for"'),
	upload_body(5, from => 40, names => [ 'Charged' ]));

my %id;
my $today = got('POST /exports', 201, {}, { partner_id => $us,
	frequency => { kind => 'one_time', range => 'today' } })
	->{json}{exported_on};
for my $case (
	[ done => { %one_time } ],
	[ days => { kind => 'one_time', from => $today, to => $today } ],
	[ recurring => { kind => 'recurring', every_hours => 6 } ],
	[ start => { kind => 'recurring', every_hours => 24,
		start_date => $today }, format => 'json', type => 'event' ],
	[ live => { %live }, events => { set => 'selected', names =>
		[ 'App Launched', 'UTM Visited' ] } ],
	[ stopped => { %live }, events => { set => 'engagement' },
		identifier_priority => [ qw/ objectId gpid fbid / ] ],
	)
{
	my ($name, $frequency, %more) = @$case;
	my $body = { partner_id => $us, frequency => $frequency, %more };
	got('POST /exports/preview', 200, {}, $body);
	$id{$name} = got('POST /exports', 201, {}, $body)->{json}{id};
}
my %profile = (partner_id => $us, type => 'profile', frequency =>
	{ kind => 'recurring', every_hours => 24 });
got('POST /exports/preview', 200, {}, \%profile);
my $profiles = got('POST /exports', 201, {}, \%profile)->{json}{id};
got('GET /exports/{id}', 200, { id => $profiles });
agree('POST /exports', { %profile, %$_ }) for {},
	{ frequency => { kind => 'recurring', every_hours => 6 } },
	{ frequency => \%live }, { frequency => \%one_time },
	{ events => { set => 'system' } };
$api->post("/exports/$profiles/stop");

# nothing listens where imports are sent to

my %import = (events => [ 'App Launched', 'my own' ], from => '2026-01-31',
	to => '2026-02-01');
my $import = got('POST /imports', 201, {}, \%import)->{json}{id};
got('POST /imports', 201, {}, { %import, account_id => 'ACC-1' },
	{ 'Idempotency-Key' => 'an import' }) for 1, 2;
got('GET /imports/{id}', 200, { id => $import });
got('GET /imports', 200, { query => 'page=1&per_page=10&status=PENDING,'
	. 'RUNNING&status=DONE' });

$api->until($id{done}, 'DONE');
wait_for { $api->show($id{$_})->{last_run} } 20, "a run: $_"
	for qw/ recurring live stopped /;
got('GET /exports/{id}', 200, { id => $_ }) for values %id;
got('GET /exports', 200, { query => 'per_page=40&page=1&status=RUNNING,'
	. "PENDING&status=DONE&partner=$us&type=event&format=json&frequency="
	. "live%2Crecurring&exported_from=$today&exported_to=$today" });
got('GET /exports', 200, { query => 'page=7' });
got('PATCH /exports/{id}', 200, { id => $id{live} },
	{ events => { set => 'system' }, identifier_priority => [ 'email' ] },
	{ 'If-Match' => '"1"' });
got('PATCH /exports/{id}', 200, { id => $id{recurring} }, { partner_id => $us,
	type => 'event', format => 'json', frequency => { kind => 'recurring',
	every_hours => 12, start_date => $today } });
got('POST /exports/{id}/stop', 200, { id => $id{stopped} }, undef,
	{ 'If-Match' => '"1"', 'Idempotency-Key' => 'a stop' });
got('GET /exports/{id}/runs', 200, { id => $id{done}, query => 'page=1' });
got('GET /exports/{id}/runs/{number}', 200, { id => $id{done}, number => 1 });
my $catalog = got('GET /catalog', 200)->{json};
my %names = map { $_->{name} => 1 } map { @$_ } values %$catalog;
is_deeply([ sort @{$doc->{tree}{components}{schemas}{EventName}{enum}} ],
	[ sort keys %names ], 'the names of events are those of the catalog');
is(got('GET /status', 200)->{json}{version}, $doc->{tree}{info}{version},
	'the document is of this version');

for my $name (grep { /^GET/ } @ops) {
	is($api->call('HEAD', path($name, { id => one($name),
		number => 1 }))->{status}, 200,
		"HEAD for $name");
}

# A body is accepted exactly when the document accepts it; only what depends
# on the day, on the partner or on nginx.conf is not said by a schema.

my %e = (partner_id => $us, frequency => \%one_time);
my %every = (kind => 'recurring');
for my $body (
	(map { { %e, frequency => { %every, every_hours => $_ } } }
		3, 4, 24, 25, 4.5, '6', undef),
	{ %e, frequency => \%every },
	(map { { %e, frequency => { kind => 'one_time', range => $_ } } }
		qw/ today yesterday last_7_days last_30_days current_month
		previous_month tomorrow /),
	{ %e, frequency => { %one_time, from => $today, to => $today } },
	{ %e, frequency => { kind => 'one_time', from => $today } },
	{ %e, frequency => { kind => 'one_time', from => '2026-02-30',
		to => $today } },
	{ %e, frequency => { %one_time, start_date => $today } },
	{ %e, frequency => { %live, every_hours => 4 } },
	{ %e, frequency => { kind => 'daily' } },
	{ %e, frequency => { range => 'today' } },
	{ %e, frequency => 'live' },
	(map { { %e, events => $_ } } { set => 'system' },
		{ set => 'engagement' }, { set => 'selected', names =>
		[ sort keys %names ] }, { set => 'selected' },
		{ set => 'selected', names => [] }, { set => 'selected',
		names => [ 'UTM Visited', 'UTM Visited' ] },
		{ set => 'selected', names => [ 'Charged' ] },
		{ set => 'system', names => [ 'UTM Visited' ] },
		{ set => 'none' }, {}, [], 'system', undef),
	(map { { %e, identifier_priority => $_ } }
		[ qw/ identity objectId email phone fbid gpid / ], [ 'gpid' ],
		[], [ 'name' ], [ 'email', 'email' ], [ 1 ], 'email'),
	(map { { %e, format => $_ } } 'json', 'csv', 1),
	(map { { %e, type => $_ } } 'event', 'user', undef),
	{ %e, status => 'DONE' }, { %e, colour => 'red' }, { %e,
	partner_id => 7 }, { partner_id => $us }, { frequency => \%live },
	[], 'export', 7, undef,
	)
{
	agree('POST /exports', $body);
}
for my $more (
	(map { { events => $_ } } [ 'a' ], [ 'x' x 512 ], [ 'x' x 513 ],
		[ map { "e$_" } 1 .. 100 ], [ map { "e$_" } 0 .. 100 ], [],
		[ '' ], [ ' ' ], [ 'a', 'a' ], [ 1 ], 'a', undef),
	(map { { from => $_ } } '2026-01-01', '2026-02-29', '2026-1-1', 1),
	(map { { to => $_ } } '2026-02-28', '2026-02-29', undef),
	(map { { profiles => json_decode($_) } } 'true', 'false', '1',
		'"true"'),
	{ account_id => 'ACC-1' }, { account_id => '' }, { account_id => 7 },
	{ status => 'DONE' }, { colour => 'red' },
	)
{
	agree('POST /imports', { %import, %$more });
}
for my $more (
	(map { { nickname => $_ } } "\x{1f600}" x 64, 'n' x 65, '', ' n',
		'n ', "n\n", "n\x{7f}", "n\x{85}", 'n' . $serial, undef, 1),
	(map { { write_key => $_ } } 'k' x 128, 'k' x 129, '', 'k:', 'k k',
		join('', map { chr } grep { $_ != 58 } 33 .. 126), "k\x{e9}",
		"k\n", 7),
	(map { { region => $_ } } 'us', 'eu', 'mars', '', undef),
	(map { { user_id => $_ }, { anonymous_id => $_ } } qw/ identity
		objectId email phone fbid gpid property:x property: name
		Identity /, 'property:' . 'x' x 120, 'property:' . 'x' x 121,
		"property:a\n", 'property:a b', 1),
	{ id => 'x' }, { health => {} }, { colour => 'red' },
	)
{
	agree('POST /partners', { fresh(), %$more });
	agree('PATCH /partners/{id}', $more) unless $more->{nickname};
}
agree('POST /partners', $_) for {}, { nickname => 'n' }, { write_key => 'k' };

# a run that is tried again: its error, and the health of its partner, which
# has no other exports that could meet the answer first

my $slow = $api->partner(write_key => 'slow');
$s->rules({ when => { write_key => 'slow' }, status => 503,
	headers => { 'Retry-After' => 300 } });
my $late = $api->export($slow);
wait_for { my $run = $api->show($late)->{last_run};
	$run && $run->{last_error} } 20, 'an error of a run';
is(got('GET /partners/{id}', 200, { id => $slow })->{json}{health}{state},
	'retrying', 'a partner is being tried again');
is(got('GET /status', 200)->{json}{health}, 'retrying', '... as all can see');
got('GET /exports/{id}/runs/{number}', 200, { id => $late, number => 1 });
got('POST /exports/{id}/stop', 200, { id => $late });
$s->rules();
$api->run_ended($late);

# events that are refused when they stand alone, until the partner pauses

my $refusing = $api->partner(write_key => 'refusing');
$s->rules({ when => { write_key => 'refusing' }, status => 400 });
my $refused = $api->export($refusing);
wait_for { $api->get("/partners/$refusing")->{json}{health}{state}
	eq 'paused' } 20, 'a pause';
got('GET /partners/{id}', 200, { id => $refusing });
isnt(got('GET /exports/{id}/rejected', 200, { id => $refused })->{json}
	{total}, 0, 'some are refused');
got('POST /exports/{id}/stop', 200, { id => $refused });
got('POST /exports/{id}/rejected/retry', 202, { id => $refused });
isnt(got('GET /exports/{id}/rejected', 200, { id => $refused })->{json}
	{retry}, undef, 'a redelivery is shown');
got('DELETE /exports/{id}/rejected', 204, { id => $refused });
$s->rules();


# ---- what is refused ----

# by what the document says of an operation: whether it has a body, whether
# it writes

my %at = (id => $us, number => 1);
for my $name (@ops) {
	my $is = $doc->{op}{$name};
	my $method = $name =~ s/ .*//r;
	my %status = map { $_ => 1 } $doc->statuses($name);

	if ($method ne 'GET') {
		got($name, 403, \%at, $is->{body} ? {} : undef,
			{ 'Sec-Fetch-Site' => 'cross-site' });

		# a preview changes nothing

		my $path = path($name, \%at);
		my $a = $read->call($method, $path,
			$is->{body} ? { partner_id => $us,
			frequency => \%one_time } : undef);
		is($a->{status}, $name eq 'POST /exports/preview' ? 200 : 403,
			"$name with write=off: $a->{status}");
	}
	if ($is->{body}) {
		got($name, 400, \%at, '{"nickname":');
		got($name, 413, \%at, { nickname => 'x' x 5000 });
		got($name, 415, \%at, {}, { 'Content-Type' => 'text/plain' });
		got($name, 415, \%at, {}, { 'Content-Encoding' => 'gzip' });
		got($name, 422, { %at, id => one($name, $id{live}) },
			{ colour => 'red' });
	} elsif ($status{400}) {
		got($name, 400, { id => $id{done}, query => 'page=0&x=1' });
	}
	got($name, 404, { id => 'x', number => 1 }, $is->{body} ? {} : undef)
		if $name =~ /\{id\}/;
	got($name, 412, { id => one($name, $id{live}) },
		$is->{body} ? {} : undef, { 'If-Match' => '"999", "998"' })
		if $status{412};
}
got('GET /exports/{id}/runs/{number}', 404, { id => $id{done}, number => $_ })
	for 2, 0, 'x';

for my $path ('/', '/partner', '/partners/', '/exports/x/y', '/status/x') {
	is($api->get($path)->{status}, 404, "no such path: $path");
}
my %paths = map { $doc->{op}{$_}{path} => $_ } @ops;
for my $path (sort keys %paths) {
	is($api->call('PUT', path($paths{$path}, \%at))->{status}, 405,
		"PUT $path");
}

# rules, one by one

my %main = (nickname => 'main', write_key => 'k');
got('POST /partners', 409, {}, \%main);
got('PATCH /partners/{id}', 409, { id => $eu }, \%main);
got('DELETE /partners/{id}', 409, { id => $us });
got('POST /partners/{id}/test', 409, { id => $eu });
got('PATCH /exports/{id}', 409, { id => $id{done} }, {});
got('PATCH /exports/{id}', 409, { id => $id{stopped} }, {});
got('PATCH /exports/{id}', 409, { id => $id{live} },
	{ frequency => { kind => 'recurring', every_hours => 4 } });
got('POST /exports/{id}/stop', 409, { id => $id{$_} }) for qw/ done stopped /;
got('POST /exports', 422, {}, { partner_id => $eu, frequency => \%one_time });
got('POST /imports/{id}/stop', $_, { id => $import }) for 200, 409;

# a key is for one body; what needs none may still be sent one

my %key = ('Idempotency-Key' => 'once');
my %once = fresh();
got('POST /partners', 201, {}, \%once, \%key) for 1, 2;
got('POST /partners', 422, {}, { fresh() }, \%key);
got('POST /exports/{id}/stop', 422, { id => $id{stopped} }, {},
	{ 'Idempotency-Key' => 'a stop' });
got('POST /exports/{id}/rejected/retry', 202, { id => $id{stopped} }, undef,
	{ 'Idempotency-Key' => 'a redelivery' }) for 1, 2;
got('POST /exports/{id}/rejected/retry', 422, { id => $id{stopped} }, {},
	{ 'Idempotency-Key' => 'a redelivery' });
my $other = got('POST /imports', 201, {}, \%import)->{json}{id};
got('POST /imports/{id}/stop', 200, { id => $other }, undef,
	{ 'Idempotency-Key' => 'no more', 'If-Match' => '"1"' }) for 1, 2;
got('POST /imports/{id}/stop', 422, { id => $other }, {},
	{ 'Idempotency-Key' => 'no more' });

# While the first request of a key is being worked on, the second is refused:
# sixteen at once, and again until one came in between.

my $conflict;
wait_for {
	my %key = ('Content-Type' => 'application/json',
		'Idempotency-Key' => 'race ' . $serial++);
	my $body = json_encode({ partner_id => $us,
		frequency => { kind => 'one_time', range => 'yesterday' } });
	my @race = parallel_posts($t->port(1), '/ctseg/api/exports',
		[ ($body) x 16 ], headers => \%key);
	for my $a (@race) {
		$conflict++ if $a->{status} == 409;
		$api->exchange({ method => 'POST', path => '/exports',
			headers => \%key, body => $body, answer => $a });
	}
	my %ids = map { json_decode($_->{body})->{id} => 1 }
		grep { $_->{status} == 201 } @race;
	is(scalar keys %ids, 1, 'sixteen under one key are one export');
	$conflict;
} 20, 'a 409 of a key';

my $twice = path('POST /exports/{id}/rejected/retry', { id => $id{done} });
wait_for {
	my %key = ('Idempotency-Key' => 'race ' . $serial++);
	my @race = parallel_posts($t->port(1), "/ctseg/api$twice",
		[ ('') x 16 ], headers => \%key);
	for my $a (@race) {
		$api->exchange({ method => 'POST', path => $twice,
			headers => \%key, answer => $a });
	}
	grep { $_->{status} == 409 } @race;
} 20, '... and of one without a body';

is_deeply([ $api->wrong, $read->wrong ], [], 'every answer is as documented');


# ---- a store whose records are damaged ----

# Every version of each partner, its claim of a nickname, export, run and
# import that lies in the file gets a wrong first byte: record type, then a
# field 1 of bytes, whose length is 20 or 16, an id or a name.  And no account
# is left to import from.

$t->stop;
my $file = $t->testdir . '/store/state/data.mdb';
my $bytes = slurp($file);
my $n = $bytes =~ s/\x01([\x02\x03\x04\x06\x0d])(?=\x01\x02.\0\0\0[0-9a-f]{16})
	/\x7e$1/gsx;
cmp_ok($n, '>', 10, 'the records are damaged');
$t->write_file($file, $bytes);
$t->conf($conf =~ s/ctseg_clevertap[^;]*;//r)->run;

for my $name (grep { !/catalog/ } @ops) {
	my $is = $doc->{op}{$name};
	my $lists = $name =~ m{^GET /(?:partners|exports|imports|status)$};
	got($name, $lists ? 200 : $name eq 'POST /imports' ? 409 : 500,
		{ %at, id => one($name) },
		$name eq 'POST /partners' ? \%main : $name =~ /^POST \/exp/
		? { partner_id => $us, frequency => \%one_time }
		: $is->{body} ? {} : undef);
}
$t->finish;


# ---- a store that cannot be opened ----

my $closed = Ctseg::Nginx->new;
$closed->allow_alert(qr/ctseg: the store ".*" cannot be opened/);
$closed->write_file('passcode', "secret\n");
$closed->set_port(9, $s->port)->conf($conf);
$closed->write_file('store/state/data.mdb', 'x' x 8192)->run;
$api = Ctseg::Api->new($closed->url(1, '/ctseg/api'));
got($_, 503, \%at, $doc->{op}{$_}{body} ? {} : undef) for @ops;
is_deeply([ $api->wrong ], [], 'every answer is as documented');


# ---- the ledger ----

my @missed;
for my $name (@ops, '*') {
	push @missed, map { "$name $_" } grep { !$doc->{seen}{"$name $_"} }
		$doc->statuses($name);
}
is_deeply(\@missed, [], 'every documented answer of each operation came');


# ---- a difference fails a test that does not ask for it ----

my $dir = $closed->testdir;
$closed->write_file('child.t', <<'EOT');
use strict;
use warnings;

use Test::More;

use Ctseg::Api;
use Ctseg::OpenApi;

$Ctseg::OpenApi::document = Ctseg::OpenApi->load($ARGV[1]);
is(Ctseg::Api->new($ARGV[0])->get('/status')->{status}, 503, 'as it is');
done_testing;
EOT
for my $case ([ 'the same document', sub { }, 0 ],
	[ 'another title of 503', sub { s/(const:) Service Una/$1 Una/ }, 1 ],
	[ 'another status', sub { s{'503'(?=:\n[^\n]*Unavail)}{'504'}g }, 1 ],
	[ 'no Retry-After', sub { s/Retry-After(?=:\n)/Retry-Then/ }, 1 ],
	)
{
	my ($what, $edit, $fails) = @$case;
	local $_ = $text;
	$edit->();
	is($_ ne $text, $fails == 1, "$what: edited");
	$closed->write_file('other.yaml', $_);
	my $out = qx{"$^X" "-I$top/t/lib" "$dir/child.t" \\
		"$api->{url}" "$dir/other.yaml" 2>&1};
	is($? ? 1 : 0, $fails, "$what: exit") or diag $out;
	is($out =~ /^not ok/m ? 1 : 0, $fails, "$what: a line");
}

$closed->finish;
done_testing;


# ---- helpers ----

sub wrong {
	my ($name, $json) = @_;

	# as it comes from the wire

	return [ $doc->{schema}->validate($schema{$name},
		json_decode(json_encode($json))) ];
}

sub fresh {
	$serial++;
	return (nickname => "fresh $serial", write_key => "key$serial");
}

# the path of an operation, e.g. (id => 'x', query => 'page=2')

sub path {
	my ($name, $at) = @_;
	my $path = $doc->{op}{$name}{path} =~ s/\{(\w+)\}/$at->{$1}/gr;
	return $path . ($at->{query} ? "?$at->{query}" : '');
}

# the id of what an operation is about; of exports, another one if wanted

sub one {
	my ($name, $export) = @_;
	return $name =~ /export/ ? $export // $id{done}
		: $name =~ /import/ ? $import : $us;
}

# a call of an operation that must have this status; an operation that the
# module has not got was told above, and is passed over

sub got {
	my ($name, $status, $at, $data, $headers) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return unless $route{$name};
	my ($method) = split / /, $name;
	my $a = $api->call($method, path($name, $at), $data, $headers);
	is($a->{status}, $status, "$name: $status")
		or diag(path($name, $at) . "\n"
			. substr $a->{body}, 0, 500);
	return $a;
}

# the same verdict of the module and of the document on a body

sub agree {
	my ($name, $data) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $json = json_encode($data);
	my $schema = $doc->{op}{$name}{body}{content}{'application/json'}
		{schema};
	my @wrong = $doc->{schema}->validate($schema, json_decode($json), '');
	my $a = $api->call(split(/ .*/, $name), path($name, { id => $eu }),
		$json);
	like($a->{status}, @wrong ? qr/^422$/ : qr/^20[01]$/, "$name: "
		. substr($json, 0, 200))
		or diag(join "\n", @wrong, substr $a->{body}, 0, 500);
	return;
}

# every schema below one

sub walk {
	my ($x, $at, $sub) = @_;
	if (ref $x eq 'HASH') {
		$sub->($x, $at) if !exists $x->{properties}
			|| ref $x->{properties} eq 'HASH';
		walk($x->{$_}, "$at/$_", $sub)
			for grep { !/^(?:enum|const|example|examples|default
				|required)$/x } sort keys %$x;
	} elsif (ref $x eq 'ARRAY') {
		walk($x->[$_], "$at/$_", $sub) for 0 .. $#$x;
	}
	return;
}
