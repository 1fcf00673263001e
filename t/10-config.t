#!/usr/bin/env perl

# What nginx -t refuses, and how it says so.  A mistake that would show only
# when the first event or the first export comes must not pass: by then nobody
# looks.  Each case changes one thing in a configuration that is accepted,
# which is checked first; otherwise every case would "pass" for the reason of
# another.  So the message must name the thing, and a second mistake must not
# be there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Ctseg::Client qw/ http_json /;
use Ctseg::Nginx;

my $conf = <<'EOF';

%%TOP%%

events {
}

http {
    %%GLOBALS_HTTP%%

    %%HTTP%%
    %%STORE%%

    server {
        listen 127.0.0.1:%%PORT_1%%;

        %%SERVER%%
        %%SEGMENT%%

        location = /1/upload {
            %%COLLECT%%
        }

        location %%API_PATH%% {
            %%API%%
        }

        location /segment/us {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        location /segment/open {
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }

        location /segment/nothing {
            internal;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location /elsewhere {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_9%%/v1/batch;
        }
    }
}

EOF

my %plain = (
	TOP		=> '%%GLOBALS%%',
	HTTP		=> '',
	STORE		=> 'ctseg_store %%TESTDIR%%/store events=8m state=8m;',
	SERVER		=> '',
	SEGMENT		=> 'ctseg_segment us /segment/us;',
	COLLECT		=> 'ctseg_collect;',
	API_PATH	=> '/ctseg/api/',
	API		=> 'ctseg_api;',
);

my $t = Ctseg::Nginx->new;
my $dir = $t->testdir;


# ---- accepted ----

accepts('a plain configuration');

accepts('every parameter of the store', STORE => 'ctseg_store '
	. '%%TESTDIR%%/store events=64m state=16m retention=7d '
	. 'high_water=80;');
accepts('the bounds of high_water', STORE => 'ctseg_store '
	. "%%TESTDIR%%/store events=8m state=8m high_water=$_;") for 10, 95;
accepts('the smallest store',
	STORE => 'ctseg_store %%TESTDIR%%/store events=1m state=1m;');
accepts('a store without parameters', STORE =>
	'ctseg_store %%TESTDIR%%/store;');
accepts('a store with a slash at its end', STORE =>
	'ctseg_store %%TESTDIR%%/store/ events=8m state=8m;');
accepts('a path below the prefix', STORE =>
	'ctseg_store store events=8m state=8m;');

accepts('a thread pool of that name', HTTP => 'ctseg_thread_pool ctseg;');
accepts('nginx\'s own pool', HTTP => 'ctseg_thread_pool default;');
accepts('a pool for imports', HTTP =>
	'ctseg_thread_pool default imports=ctseg;');
accepts('custom events', HTTP => 'ctseg_custom_events on;');
accepts('a store without anything that uses it', SEGMENT => '',
	COLLECT => '', API => '');
accepts('no store and nothing that needs it', STORE => '', COLLECT => '',
	API => '', SEGMENT => '');

accepts("collect with format=$_", COLLECT => "ctseg_collect format=$_;")
	for qw/ upload auto /;
accepts("an API with write=$_", API => "ctseg_api write=$_;")
	for qw/ on off /;
accepts("a dashboard with $_", SERVER => "location /d/ { ctseg_dashboard "
	. "$_; }") for '', 'api=/ctseg/api/', 'api=../api/', 'api=/';
accepts('a dashboard without a slash, and one without a store', STORE => '',
	COLLECT => '', API => 'ctseg_dashboard;', SEGMENT => '',
	API_PATH => '/d');
accepts('metrics', API => 'ctseg_metrics;');
accepts('metrics under a condition', SERVER => 'location ~ ^/m { '
	. 'ctseg_metrics; if ($arg_x) { set $x 1; } '
	. 'limit_except GET { deny all; } }');
accepts('an API location without a slash at its end', API_PATH =>
	'/ctseg/api');

accepts('every parameter of a region', SEGMENT => 'ctseg_segment us '
	. '/segment/us requests=5 events=100 concurrency=64;');
accepts('two regions by one location', SEGMENT => 'ctseg_segment us '
	. '/segment/us; ctseg_segment eu /segment/us;');
accepts('a path below the location', SEGMENT =>
	'ctseg_segment us /segment/us/v1/batch;');
accepts('a location by regular expression', SEGMENT =>
	'ctseg_segment us /by/regex;', SERVER => 'location ~ ^/by/ { '
	. 'internal; proxy_pass http://127.0.0.1:%%PORT_9%%; }');
accepts('a nested location', SEGMENT => 'ctseg_segment us /a/b;',
	SERVER => 'location /a/ { location /a/b { internal; '
	. 'proxy_pass http://127.0.0.1:%%PORT_9%%; } }');

accepts('the variables in a log_format', HTTP => <<'EOF');
log_format ctseg '$ctseg_collected $ctseg_export $ctseg_run '
		 '$ctseg_batch_events $ctseg_attempt';
access_log %%TESTDIR%%/ctseg.log ctseg;
EOF
accepts('the authorization in a header', SERVER =>
	'proxy_set_header Authorization $ctseg_authorization;');

accepts('a store larger than its file system',
	STORE => 'ctseg_store %%TESTDIR%%/store events=900000000g;');
like(($t->test_config)[1], qr{\[warn\].*"\Q$dir\E/store"\ may\ grow\ to\ .*
	the\ disk\ is\ full\ before}x, '... with a warning');


# ---- accounts ----

like(($t->test_config)[1], qr/\[warn\].*"ctseg_collect" asks nobody for a/,
	'uploads without an account: a warning');

$t->write_file('one', "secret-1\n");
$t->write_file('two', 'secret-2');
$t->write_file('longest', ('x' x 256) . "\n");
$t->write_file($_->[0], $_->[1]) for [ empty => '' ], [ newline => "\n" ],
	[ lines => "secret-3\nsecret-4\n" ], [ long => 'x' x 257 ],
	[ nul => "secret\0-5" ];

accepts('two accounts', HTTP => 'ctseg_account A %%TESTDIR%%/one; '
	. 'ctseg_account B %%TESTDIR%%/two;');
unlike(($t->test_config)[1], qr/asks nobody|secret/,
	'... without a warning, and without the passcodes');
accepts('the longest passcode', HTTP =>
	'ctseg_account A %%TESTDIR%%/longest;');
accepts('an account and no location for it', COLLECT => '',
	HTTP => 'ctseg_account A %%TESTDIR%%/one;');

refuses('an account twice', qr/account "A" is duplicate/, HTTP =>
	'ctseg_account A %%TESTDIR%%/one; ctseg_account A %%TESTDIR%%/two;');
refuses('an account without a file', qr/open\(\) "[^"]*none" failed/,
	HTTP => 'ctseg_account A %%TESTDIR%%/none;');
refuses('an account without a name', qr/needs the id of an account/,
	HTTP => 'ctseg_account "" %%TESTDIR%%/one;');
refuses("a passcode: $_", qr/"[^"]*$_" must hold a passcode: one line of 1/,
	HTTP => "ctseg_account A %%TESTDIR%%/$_;")
	for qw/ empty newline lines long nul /;
refuses('an account in a server', qr/"ctseg_account" directive is not/,
	SERVER => 'ctseg_account A %%TESTDIR%%/one;');


# ---- history ----

my $one = 'ctseg_clevertap A %%TESTDIR%%/one';
accepts('two accounts with a history', HTTP => "$one url=https://"
	. 'in1.api.clevertap.com ca=%%TESTDIR%%/two; '
	. 'ctseg_clevertap B %%TESTDIR%%/two;');
unlike(($t->test_config)[1], qr/secret|in clear/,
	'... without a warning, and without the passcodes');
accepts("url=$_", HTTP => "$one url=$_;") for qw{ http://127.0.0.1:8080
	http://localhost http://[::1]:80/x HTTPS://h https://[2001:db8::1]/a };
unlike(($t->test_config)[1], qr/in clear/, '... without a warning');
accepts('http to another host', HTTP => "$one url=http://example.com;");
like(($t->test_config)[1], qr{\[warn\].*passcode in clear to "http://exam},
	'... with a warning');
accepts('the longest id', HTTP => "ctseg_clevertap @{[ 'x' x 64 ]} "
	. '%%TESTDIR%%/one;');
refuses("the id $_", qr/invalid account ".*": 1 to 64 visible ASCII/,
	HTTP => "ctseg_clevertap $_ %%TESTDIR%%/one;")
	for '""', '"A B"', "\xc3\xa4", 'x' x 65;
refuses('a history twice', qr/account "A" is duplicate/,
	HTTP => "$one; ctseg_clevertap A %%TESTDIR%%/two;");
refuses("a passcode of a history: $_", qr/"[^"]*$_" must hold a passcode/,
	HTTP => "ctseg_clevertap A %%TESTDIR%%/$_;")
	for qw/ empty newline lines long nul /;
refuses('a history without a file', qr/open\(\) "[^"]*none" failed/,
	HTTP => 'ctseg_clevertap A %%TESTDIR%%/none;');
refuses("url=$_", qr/invalid "url=[^"]*": http:\/\/ or https:/,
	HTTP => "$one 'url=$_';") for '', 'https://a b', 'https://h#a', qw{
	api.clevertap.com ftp://h http:// https:// https:///x https://h/
	https://h/x/ https://h?a=b https://u:p@h https://h: https://h:0
	https://h:65536 https://h:x https://:80 https://[::1 https://[::1]x };
refuses('ca= that is not there', qr/open\(\) "[^"]*no\.pem" failed/,
	HTTP => "$one ca=%%TESTDIR%%/no.pem;");
refuses('ca= without a file', qr/"ctseg_clevertap" directive needs a file/,
	HTTP => "$one ca=;");
refuses('a parameter of a history', qr/invalid parameter "uri=x"/,
	HTTP => "$one uri=x;");
refuses('a history without a store', qr/"ctseg_clevertap" needs a "ctseg_st/,
	HTTP => "$one;", STORE => '', COLLECT => '', API => '', SEGMENT => '');
refuses('a history in a server', qr/"ctseg_clevertap" directive is not/,
	SERVER => "$one;");


# ---- the thread pool ----

refuses('an unknown thread pool', qr/unknown thread pool "nopool"/,
	HTTP => 'ctseg_thread_pool nopool;');
refuses('two thread pools', qr/"ctseg_thread_pool" directive is duplicate/,
	HTTP => 'ctseg_thread_pool ctseg; ctseg_thread_pool ctseg;');
refuses('a pool for imports that is not there', qr/unknown thread pool "nop/,
	HTTP => 'ctseg_thread_pool ctseg imports=nopool;');
refuses("of a thread pool: $_", qr/invalid parameter "$_"/,
	HTTP => "ctseg_thread_pool ctseg $_;")
	for qw/ imports= exports=ctseg /;


# ---- the store ----

refuses('a store without a path', qr/number of arguments in "ctseg_store"/,
	STORE => 'ctseg_store;');
refuses('a store with an empty path',
	qr/"ctseg_store" directive needs a directory/,
	STORE => 'ctseg_store "";');
refuses('two stores', qr/"ctseg_store" directive is duplicate: one nginx has/,
	STORE => "$plain{STORE} ctseg_store %%TESTDIR%%/other;");
refuses('a store in a server', qr/"ctseg_store" directive is not allowed/,
	STORE => '', SERVER => $plain{STORE});

for my $case (
	[ 'events=abc',		'invalid size "events=abc"' ],
	[ 'events=',		'invalid size "events="' ],
	[ 'events=-1m',		'invalid size "events=-1m"' ],
	[ 'events=0',		'size "events=0" is too small, at least 1m' ],
	[ 'events=1023k',	'size "events=1023k" is too small' ],
	[ 'state=1k',		'size "state=1k" is too small' ],
	[ 'state=1x',		'invalid size "state=1x"' ],
	[ 'retention=x',	'invalid time "retention=x"' ],
	[ 'retention=0',	'invalid time "retention=0"' ],
	[ 'high_water=200',	'invalid "high_water=200": a percentage' ],
	[ 'high_water=9',	'invalid "high_water=9": a percentage' ],
	[ 'high_water=96',	'invalid "high_water=96": a percentage' ],
	[ 'high_water=x',	'invalid "high_water=x": a percentage' ],
	[ 'evnts=8m',		'invalid parameter "evnts=8m"' ],
	[ 'events',		'invalid parameter "events"' ],
	)
{
	my ($param, $text) = @$case;
	refuses("ctseg_store with $param", qr/\Q$text\E/,
		STORE => "ctseg_store %%TESTDIR%%/store $param;");
}

refuses('a store below a directory that is missing',
	qr{"\Q$dir\E/missing/store" failed \(2: No such file or directory\)},
	STORE => 'ctseg_store %%TESTDIR%%/missing/store;');

$t->write_file('file', 'x');
refuses('a store that is a file', qr{"\Q$dir\E/file/?.*Not a directory}i,
	STORE => 'ctseg_store %%TESTDIR%%/file events=8m state=8m;');

mkdir "$dir/half" or die $!;
$t->write_file('half/events', 'x');
refuses('a store whose events/ is a file', qr{"\Q$dir\E/half/events"}i,
	STORE => 'ctseg_store %%TESTDIR%%/half events=8m state=8m;');


# ---- the store and who may write to it ----

if ($> == 0) {

	# the master is root and may do anything, the workers are nobody

	my $group = getgrgid((getpwnam 'nobody')[3]);
	my %nobody = (TOP => $t->expand('%%GLOBALS%%')
		=~ s/user root;/user nobody $group;/r);
	chmod 0755, $dir;

	mkdir "$dir/$_" or die $! for qw/ open closed /;
	chmod 0755, "$dir/open";
	accepts('a store that the workers can reach', %nobody,
		STORE => 'ctseg_store %%TESTDIR%%/open/store;');
	is(scalar getpwuid((stat "$dir/open/store/events")[4]), 'nobody',
		'... belongs to them');

	chmod 0700, "$dir/closed";
	refuses('a store that the workers cannot reach',
		qr{ctseg_store\ "\Q$dir\E/closed/store/events"\ cannot\ be
		\ reached\ by\ the\ workers:\ user\ \d+\ may\ not\ enter
		\ "\Q$dir\E/closed"}x, %nobody,
		STORE => 'ctseg_store %%TESTDIR%%/closed/store;');

	$t->write_file('open/store/events/data.mdb', '');
	refuses('a store whose files belong to somebody else',
		qr{file\ "\Q$dir\E/open/store/events/data.mdb"\ belongs\ to
		\ user\ 0,\ but\ the\ workers\ run\ as\ user}x, %nobody,
		STORE => 'ctseg_store %%TESTDIR%%/open/store;');

} else {
	mkdir "$dir/closed" or die $!;
	chmod 0500, "$dir/closed";
	refuses('a store in a directory that cannot be written',
		qr{"\Q$dir\E/closed/store" failed \(13: Permission denied\)},
		STORE => 'ctseg_store %%TESTDIR%%/closed/store;');

	mkdir "$dir/closed2" or die $!;
	mkdir "$dir/closed2/$_" or die $! for qw/ events state /;
	chmod 0500, "$dir/closed2/events";
	refuses('a store that cannot be written', qr{ctseg_store\ directory
		\ "\Q$dir\E/closed2/events"\ is\ not\ writable}x,
		STORE => 'ctseg_store %%TESTDIR%%/closed2;');
}


# ---- Segment ----

refuses('a segment that names no location',
	qr{"ctseg_segment"\ names\ no\ location:\ no\ location\ of\ this
	\ server\ matches\ "/nowhere"\ in\ \Q$dir\E/nginx\.conf:\d+}x,
	SEGMENT => 'ctseg_segment us /nowhere;');
refuses('a segment that names a location of another server',
	qr{names\ no\ location.*"/elsewhere"}x,
	SEGMENT => 'ctseg_segment us /elsewhere;');
refuses('a segment that names an open location',
	qr{location\ "/segment/open",\ named\ by\ "ctseg_segment",\ must\ be
	\ "internal"}x, SEGMENT => 'ctseg_segment us /segment/open;');
refuses('a segment whose location leads nowhere',
	qr{location\ "/segment/nothing",\ named\ by\ "ctseg_segment",\ has\ no
	\ .*"proxy_pass"}x, SEGMENT => 'ctseg_segment us /segment/nothing;');
refuses('a segment by name without a slash',
	qr{invalid location "segment", it must begin with "/"},
	SEGMENT => 'ctseg_segment us segment;');
refuses('a region twice', qr{region\ "us"\ is\ duplicate,\ it\ is\ set\ in
	\ \Q$dir\E/nginx\.conf:\d+}x,
	SEGMENT => 'ctseg_segment us /segment/us; '
	. 'ctseg_segment us /segment/us;');
refuses("the region $_", qr{unknown region "$_", "us" or "eu" is expected},
	SEGMENT => "ctseg_segment $_ /segment/us;") for qw/ mars US /;
refuses('a region without a location',
	qr/invalid number of arguments in "ctseg_segment"/,
	SEGMENT => 'ctseg_segment us;');

for my $case (
	[ 'requests=0',		'invalid value "requests=0", a number' ],
	[ 'requests=x',		'invalid value "requests=x"' ],
	[ 'events=0',		'invalid value "events=0"' ],
	[ 'events=',		'invalid value "events="' ],
	[ 'concurrency=0',	'invalid value "concurrency=0"' ],
	[ 'concurrency=65',	'"concurrency=65", a number from 1 to 64' ],
	[ 'parallel=4',		'invalid parameter "parallel=4"' ],
	)
{
	my ($param, $text) = @$case;
	refuses("ctseg_segment with $param", qr/\Q$text\E/,
		SEGMENT => "ctseg_segment us /segment/us $param;");
}


# ---- collect and API ----

refuses('collect without a store',
	qr/"ctseg_collect" needs a "ctseg_store" in the http block/,
	STORE => '', API => '');
refuses('an API without a store',
	qr/"ctseg_api" needs a "ctseg_store" in the http block/,
	STORE => '', COLLECT => '');
refuses('collect with format=xyz', qr/format "xyz" is not supported/,
	COLLECT => 'ctseg_collect format=xyz;');
refuses('collect with another parameter',
	qr/invalid parameter "fromat=auto"/,
	COLLECT => 'ctseg_collect fromat=auto;');
refuses('collect twice', qr/"ctseg_collect" directive is duplicate/,
	COLLECT => 'ctseg_collect; ctseg_collect;');
refuses('collect in a server', qr/"ctseg_collect" directive is not allowed/,
	SERVER => 'ctseg_collect;');

refuses('an API with write=maybe', qr{invalid\ parameter\ "write=maybe",
	\ "write=on"\ or\ "write=off"\ is\ expected}x,
	API => 'ctseg_api write=maybe;');
refuses('an API twice', qr/"ctseg_api" directive is duplicate/,
	API => 'ctseg_api; ctseg_api;');
refuses('an API with two parameters',
	qr/invalid number of arguments in "ctseg_api"/,
	API => 'ctseg_api write=on write=on;');
refuses('an API in a location by regular expression',
	qr{"ctseg_api" directive cannot be used in a location given by reg},
	API_PATH => '~ ^/ctseg/api');
refuses('an API in a named location',
	qr{"ctseg_api" directive needs a location with a prefix},
	API_PATH => '@api');
refuses('metrics without a store',
	qr/"ctseg_metrics" needs a "ctseg_store" in the http block/,
	STORE => '', COLLECT => '', API => 'ctseg_metrics;', SEGMENT => '');
refuses('metrics with a parameter',
	qr/invalid number of arguments in "ctseg_metrics"/,
	API => 'ctseg_metrics on;');
refuses('metrics twice', qr/"ctseg_metrics" directive is duplicate/,
	API => 'ctseg_metrics; ctseg_metrics;');
refuses('metrics in a server', qr/"ctseg_metrics" directive is not allowed/,
	SERVER => 'ctseg_metrics;');
for my $case ([ qw/ collect api / ], [ qw/ api collect / ],
	[ qw/ collect metrics / ], [ qw/ metrics collect / ],
	[ qw/ api metrics / ], [ qw/ metrics api / ],
	map { [ 'dashboard', $_ ], [ $_, 'dashboard' ] }
		qw/ collect api metrics /)
{
	my ($first, $second) = @$case;
	refuses("$first and $second in one location", qr{"ctseg_$second"\ dir
		ective\ cannot\ share\ a\ location\ with\ "ctseg_$first"}x,
		API => "ctseg_$first; ctseg_$second;");
}
refuses('a dashboard twice', qr/"ctseg_dashboard" directive is duplicate/,
	API => 'ctseg_dashboard; ctseg_dashboard;');
refuses('a dashboard in a server', qr/"ctseg_dashboard" directive is not al/,
	SERVER => 'ctseg_dashboard;');
refuses('a dashboard with another parameter', qr{invalid\ parameter
	\ "uri=/api/",\ "api=URI"\ is\ expected}x,
	API => 'ctseg_dashboard uri=/api/;');
refuses("a dashboard with $_", qr{invalid\ "\Q$_\E",\ the\ path\ of\ an\ API
	\ on\ the\ same\ server\ is\ expected,\ with\ a\ slash}x,
	API => "ctseg_dashboard '$_';") for 'api=', 'api=/ctseg/api',
	'api=//example.com/', 'api=https://example.com/api/',
	'api=/a"><script>/', "api=/\xc3\xbc/";
refuses("a dashboard in the location $_->[0]", $_->[1],
	API_PATH => $_->[0], API => 'ctseg_dashboard;')
	for [ '~ ^/d/', qr/cannot be used in a location given by reg/ ],
	[ '@d', qr/needs a location with a prefix/ ],
	[ '= /d/', qr/needs a location with a prefix/ ];
refuses('custom events with a number',
	qr/invalid value "1" in "ctseg_custom_events" directive/,
	HTTP => 'ctseg_custom_events 1;');


# ---- what was accepted also runs ----

# the variables have no value where they have no meaning

$t->conf(with(HTTP => <<'EOF'))->run;
log_format ctseg '$uri $ctseg_collected $ctseg_export $ctseg_run '
		 '$ctseg_batch_events $ctseg_attempt';
access_log %%TESTDIR%%/ctseg.log ctseg;
EOF

is(http_json('POST', $t->url(1, '/1/upload'), '{"d":[{"type":"event",'
	. '"identity":"u","evtName":"App Launched"}]}')->{json}{processed},
	1, 'an event is taken');
is(http_json('GET', $t->url(1, '/ctseg/api/status'))->{json}{sequence}{last},
	1, 'and the API answers');
is(http_json('POST', $t->url(1, '/ctseg/api/partners'),
	{ nickname => 'a', write_key => 'k' })->{status}, 403,
	'which is read-only unless told otherwise');

$t->quit;
is($t->read_file('ctseg.log'), "/1/upload 1 - - - -\n"
	. "/ctseg/api/status - - - - -\n/ctseg/api/partners - - - - -\n",
	'variables in the log');

$t->finish;
done_testing;


# the configuration with some parts changed

sub with {
	my %part = (%plain, @_);
	return $conf =~ s/%%([A-Z_]+)%%/$part{$1} \/\/ "%%$1%%"/ger;
}

# it is accepted

sub accepts {
	my ($name, %change) = @_;
	$t->conf(with(%change));
	my ($code, $out) = $t->test_config;
	is($code, 0, "accepted: $name") or diag $out;
	return;
}

# it is refused, in one line, which says why

sub refuses {
	my ($name, $re, %change) = @_;
	$t->conf(with(%change));
	my ($code, $out) = $t->test_config;
	my @emerg = grep { /\[emerg\]/ } split /\n/, $out;
	my $ok = $code == 1 && @emerg == 1 && $emerg[0] =~ $re;
	ok($ok, "refused: $name") or diag "exit $code\n$out";
	return;
}
