# Pictures and reports are what they should be, whatever labels say: well-formed XML, with no other elements and attributes than
# those listed here, so that nothing runs, and nothing is fetched. A second parser, libxml2's, has to agree: the server's,
# and xmllint where it is. Where Chromium is, the report is opened in it, and pictures of that stay in tmp_check/pictures
# ("make test" copies them to .build/pictures).
use strict;
use warnings;
use utf8;
use open qw(:std :utf8);
use Encode qw(decode_utf8 encode_utf8);
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run qw(run timeout);
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $files = $PostgreSQL::Test::Utils::tmp_check;
my $has_xml = $node->psql('postgres', q{SELECT xmlparse(document '<a/>')}) == 0;
my $xmllint = grep { -x "$_/xmllint" } split /:/, $ENV{PATH};
my ($chromium) = grep { -x } map { my $dir = $_; map { "$dir/$_" } qw(chromium chromium-browser google-chrome) } split /:/, $ENV{PATH};

# What may be in a picture, and in a page: elements, and their attributes
my @shape = qw(class fill);
my %svg = (
	svg => [qw(xmlns viewBox width height role font-family font-size)], title => [], desc => [], style => [], g => [],
	rect => [ @shape, qw(x y width height rx) ], circle => [ @shape, qw(cx cy r stroke stroke-width) ],
	path => [ @shape, qw(d opacity stroke stroke-width stroke-dasharray) ], tspan => [ @shape, qw(font-weight stroke) ],
	text => [ @shape, qw(x y font-size text-anchor font-weight transform stroke stroke-width stroke-linejoin paint-order) ]);
my %html = (%svg,
	html => [qw(xmlns lang)], head => [], meta => [qw(charset http-equiv content name)], body => [], header => [], main => [],
	footer => [], section => [], h1 => [], h2 => [], p => [qw(class)], dl => [qw(class)], dt => [], dd => [], div => [qw(class)],
	table => [], thead => [], tbody => [], tr => [], th => [qw(scope)], td => [], figure => [qw(class)]);

# What is wrong with a document: read by the letter of XML, with nothing but the five named references and numbers
sub flaws
{
	my ($text, $allowed) = @_;
	my (@open, @flaws);
	$text =~ s/^<!DOCTYPE html>\n// if $allowed->{html};
	push @flaws, sprintf 'a forbidden character %x', ord $1 if $text =~ /([^\x09\x0a\x0d\x20-\x{d7ff}\x{e000}-\x{fffd}\x{10000}-\x{10ffff}])/;
	push @flaws, sprintf 'a character that turns text, %x', ord $1 if $text =~ /([\x{202a}-\x{202e}\x{2066}\x{2067}])/;
	push @flaws, "a reference $1" if $text =~ /(&(?!(?:amp|lt|gt|quot|#39|#8211);)[^;]{0,9})/;
	while ($text =~ /\G(?:([^<]+)|<(\/?)([a-z0-9]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>)/gc) {
		my ($data, $end, $name, $attributes, $empty) = ($1, $2, $3, $4, $5);
		if (defined $data) {
			push @flaws, "']]>' in a text" if $data =~ /\]\]>/;
			push @flaws, "a text outside: $data" if !@open && $data =~ /\S/;
			push @flaws, "a style that fetches: $1" if @open && $open[-1] eq 'style' && $data =~ /((?:url|import|expression)\b.{0,20})/;
			next;
		}
		push @flaws, "an element $name" if !$allowed->{$name};
		if ($end) {
			push @flaws, "$name ends, but " . ($open[-1] // 'nothing') . ' is open' if ($open[-1] // '') ne $name;
			pop @open;
			next;
		}
		my %seen;
		while ($attributes =~ /([\w:-]+)="([^"]*)"/g) {
			push @flaws, "an attribute $1 of $name" if !grep { $_ eq $1 } @{ $allowed->{$name} };
			push @flaws, "two attributes $1 of $name" if $seen{$1}++;
			push @flaws, "an address in $1: $2" if "$1 $2" !~ m{^xmlns http://www\.w3\.org/(?:2000/svg|1999/xhtml)$} && $2 =~ m{://|javascript:|url\(}i;
		}
		push @open, $name if !$empty;
	}
	push @flaws, 'not to be read from here: ' . substr($text, pos($text) // 0, 60) if (pos($text) // 0) < length $text;
	push @flaws, "not ended: @open" if @open;
	return @flaws;
}

sub checked
{
	my ($name, $query, $allowed) = @_;
	my $text = decode_utf8(sql($node, $query));
	is_deeply([ flaws($text, $allowed // \%svg) ], [], "$name: nothing but what may be there");
	if ($has_xml) {
		is($node->psql('postgres', "SELECT xmlparse(document ($query)) IS NOT NULL"), 0, "$name: well-formed, says the server");
	}
	if ($xmllint) {
		my $error = '';
		run([ qw(xmllint --noout --nonet -) ], '<', \encode_utf8($text), '2>', \$error);
		is($error, '', "$name: well-formed, says xmllint");
	}
	return $text;
}
SKIP: { skip 'the server is built without libxml', 1 if !$has_xml; pass('the server has a parser') }
SKIP: { skip 'there is no xmllint', 1 if !$xmllint; pass('there is xmllint') }

# Labels from outside, each of which would do harm if it were not taken for text
sql($node, encode_utf8(<<'END'));
CREATE TABLE hostile (id serial, label text);
INSERT INTO hostile (label) VALUES
    ('<script>document.title = "owned"</script>'), ('"><img src=x onerror="document.title=''owned''">'),
    ('</text></svg><script>alert(1)</script>'), ('</title></style><iframe src=http://example.com/>'),
    (''' onload=''document.title="owned"'), ('javascript:alert(1)'), ('url(http://example.com/x)'), (']]> <![CDATA[ <!-- --> <?xml ?>'),
    ('&amp; &#60;script&#62; &lt; &xxe; &'), (E'\x01\x02\x08\x0b\x0c\x0e\x1f\x7f tab\t line\n return\r'),
    (U&'\0080\009f \FFFE \FFFF \FDD0'), (U&'\202E turned \2066 held \2069\202C'), ('👩‍👩‍👧‍👦 👍🏽 🇵🇹🇪🇸'), ('שלום (abc) 123'), ('مرحبا بالعالم'),
    ('漢字かな交じり文'), ('z' || repeat(U&'\0301', 500)), (repeat('long ', 1000)), (repeat('W', 5000)), (''), (' '), ('(other)'), ('(end)');
CREATE TABLE journeys AS
SELECT journey_agg(timestamptz '2026-01-01 10:00Z' + h.id * i * interval '7 hours', left(label, 20), left(label, 40), i) AS journey
FROM hostile h, generate_series(1, 3) i WHERE label <> '' GROUP BY i;
END

my $empty = '{}';
my %pictures = (
	funnel => q{svg_funnel(array_agg((id, label, 1000 - id, 1, 1, '5 min', NULL)::funnel_step), %s) FROM hostile},
	heatmap => q{svg_heatmap(array_agg((a.label, b.label, a.id * b.id - 90)::heatmap_cell), %s) FROM hostile a, hostile b},
	retention => q{svg_retention(array_agg((date '2026-01-01' + 7 * i, j, 90 - 3 * i - 9 * j)::retention_cell), %s)
		FROM generate_series(0, 6) i, generate_series(0, 6) j WHERE i + j < 7},
	journey => q{svg_journey((SELECT journey_agg(journey) FROM journeys), %s)},
	matches => q{svg_matches(array_agg((id - 8, id * id, 0.04 * id, 1 - 0.04 * id, 0.02 * id)::match_score), 3, -2, %s) FROM hostile},
	edges => q{svg_flow(array_agg((s, a.label, b.label, a.id * b.id)::flow_edge), %s) FROM hostile a, hostile b, generate_series(1, 2) s},
	flow => q{svg_flow((SELECT flow_agg(journey, 'label') FROM journeys), %s)});
foreach my $name (sort keys %pictures) {
	foreach my $width (280, 760, 1600) {
		foreach my $theme (qw(auto dark)) {
			my $options = qq{jsonb_build_object('width', $width, 'theme', '$theme', 'title', (SELECT string_agg(label, ' ') FROM hostile WHERE id < 9))};
			my $text = checked("$name, $width wide, $theme", 'SELECT ' . sprintf($pictures{$name}, $options));
			like($text, qr/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 $width [\d.]+" width="$width" height="[\d.]+" role="img" /, "$name says its size and what it is");
			like($text, qr/<title>&lt;script&gt;document/, "$name has its title");
			like($text, qr/<desc>[^<]{20,}<\/desc>/, "$name is described");
			is($text =~ /prefers-color-scheme/ ? 1 : 0, $theme eq 'auto' ? 1 : 0, "$name follows the viewer's theme only if it may");
			cmp_ok(length($text), '<', 400_000, "$name is no larger than it must be");
			# texts stand within the picture
			my @outside = grep { $_ < 0 || $_ > $width } $text =~ /<text x="([-\d.]+)"/g;
			is_deeply(\@outside, [], "$name: texts begin within the picture");
		}
	}
}

# A label is the same text in a picture and in its tooltip, and the server's parser reads it back
is(decode_utf8(sql($node, q{SELECT svg_escape(E'<a b="c">''&\x01\x1b\x7f') || svg_escape(U&'\202E\FFFE')})), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;\x{2401}\x{241b}\x{2421}\x{fffd}\x{fffd}", 'what is escaped, and how');
# Other encodings: what the server sends stays a letter, or is a reference
foreach my $encoding (qw(latin1 sql_ascii euc_jp)) {
	$node->safe_psql('postgres', "CREATE DATABASE enc_$encoding TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	my $text = $node->safe_psql("enc_$encoding", <<'END');
CREATE EXTENSION pg_journey;
SET client_encoding = 'SQL_ASCII';
SELECT svg_funnel(ARRAY[(1, 'caf' || chr(CASE getdatabaseencoding() WHEN 'LATIN1' THEN 233 ELSE 101 END), 10, 1, 1, NULL, NULL)]::funnel_step[]);
END
	unlike($text, qr/[^\x00-\x7f]/, "$encoding: nothing but ASCII");
	like($text, $encoding eq 'latin1' ? qr/caf&#233;/ : qr/cafe/, "$encoding: the label");
	$text =~ s/&#\d+;//g;
	is_deeply([ flaws($text, \%svg) ], [], "$encoding: nothing but what may be there");
}

# Numbers are written as lc_numeric says
SKIP: {
	my ($locale) = grep { $node->psql('postgres', "SET lc_numeric = '$_'") == 0 } qw(de_DE.UTF-8 de_DE.utf8 pt_PT.UTF-8 pt_PT.utf8);
	skip 'there is no German or Portuguese locale', 1 if !$locale;
	like(sql($node, "SET lc_numeric = '$locale'; SELECT svg_funnel(ARRAY[(1, 'a', 1234567, 1, 1, NULL, NULL), (2, 'b', 123456, 1, 1, NULL, NULL)]::funnel_step[])"),
		qr/1\.234\.567.*10,0%/s, "numbers in $locale");
}
like(sql($node, "SELECT svg_funnel(ARRAY[(1, 'a', 1234567, 1, 1, NULL, NULL), (2, 'b', 123456, 1, 1, NULL, NULL)]::funnel_step[])"),
	qr/1,234,567.*10\.0%/s, 'numbers in C');

# Many labels and many touchpoints: a picture of the same size
my $many = checked('10,000 labels', q{SELECT svg_flow(array_agg((s, 'page ' || i, 'page ' || (i * 7919 % 10000), 10000 / i)::flow_edge)) FROM generate_series(1, 3) s, generate_series(1, 10000) i});
like($many, qr/\(other: 9,991\)/, '10,000 labels: how many are not named');
cmp_ok(length($many), '<', 60_000, '10,000 labels: a small picture');
$many = checked('10,000 rows and columns', q{SELECT svg_heatmap(array_agg(('r' || i, 'c' || i, i)::heatmap_cell)) FROM generate_series(1, 10000) i});
like($many, qr/\(other: 9,971\)/, '10,000 rows: how many are not named');
$many = checked('a million touchpoints', q{SELECT svg_journey(journey_agg(timestamptz '2020-01-01' + i * interval '2 min', 'c' || i % 40, 'a' || i % 7)) FROM generate_series(1, 1000000) i});
like($many, qr/1,000,000 touchpoints/, 'a million touchpoints: told');
cmp_ok(length($many), '<', 200_000, 'a million touchpoints: a small picture');
is_deeply([ sort { $a <=> $b } map { s/,//gr } $many =~ /<title>c\d+, ([\d,]+) touchpoints/g ]->[0] > 1 ? 1 : 0, 1, 'a million touchpoints: counted in circles');

# --- the report, of a hub whose every label is hostile ---

sql($node, encode_utf8(<<'END'));
SELECT journey_create_hub('crm');
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
UPDATE crm.channels SET label = '<b onclick=x>Chat</b> & "more"' WHERE channel = 'chat';
SELECT count(crm.record(ARRAY[identifier('id', (i % 40)::text)], timestamptz '2026-01-01 09:00Z' + i * interval '5 hours',
                        coalesce(nullif(left(h.label, 60), ''), 'web'), coalesce(nullif(left(h.label, 60), ''), 'view'), i::numeric,
                        currency => 'EUR', direction => CASE WHEN i % 3 > 0 THEN 'in' ELSE 'out' END,
                        conversation => CASE WHEN i % 2 = 0 THEN left(h.label, 30) || i % 9 END, source => 's', source_key => i::text))
FROM generate_series(1, 600) i JOIN hostile h ON h.id = 1 + i % 23;
SELECT count(crm.record(ARRAY[identifier('id', (i % 40)::text)], timestamptz '2026-01-01 09:10Z' + i * interval '5 hours', 'chat', 'message',
                        direction => 'in', source => 's', source_key => 'c' || i)) FROM generate_series(1, 300) i;
SELECT crm.refresh();
END
my $pattern = q{'%.% -> "<script>alert(1)</script>"."]]>" | chat.message'};
foreach my $arguments ('', "NULL", "'day'", "'week', '2026-02-01', '2026-03-01'", "'quarter', NULL, NULL, $pattern, (SELECT string_agg(label, ' ') FROM hostile WHERE id < 10)",
	"'month', '2026-02-01', customers => ARRAY(SELECT customer_id FROM crm.customers ORDER BY customer_id LIMIT 7), conversion => '%.%'") {
	my $page = checked("report($arguments)", "SELECT crm.report($arguments)", \%html);
	is(scalar(() = $page =~ /<meta http-equiv="Content-Security-Policy"\s+content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"\/>/g), 1,
		'the page forbids scripts and whatever is fetched');
	like($page, qr/^<!DOCTYPE html>\n<html xmlns="[^"]+" lang="en">/, 'a page of HTML');
	like($page, qr/&lt;b onclick=x&gt;Chat&lt;\/b&gt; &amp; &quot;more&quot;/, 'a label is text') if $arguments !~ /quarter|customers/;
	like($page, qr/\@media print/, 'it can be printed');
}
sql($node, q{CREATE ROLE boss; SELECT crm.grant_access('boss')});
is(sql($node, q{SET ROLE boss; SELECT crm.report('month') = (SELECT crm.report('month')), crm.report('all') LIKE '%</html>%'}), 't|t', 'a reader may ask for it, and it is the same again');
foreach my $mistake ([ "'fortnight'", qr/unknown period: "fortnight"/ ], [ "'day', '2026-02-01', '2026-01-01'", qr/the range ends before it begins/ ]) {
	my ($status, undef, $error) = $node->psql('postgres', "SELECT crm.report($mistake->[0])");
	like($error, $mistake->[1], "report($mistake->[0]) says what is wrong");
}
sql($node, q{SELECT journey_create_hub('nothing')});
like(checked('report of an empty hub', 'SELECT nothing.report()', \%html), qr/There are no touchpoints as yet/, 'an empty hub has a report');

SKIP: {
	skip 'there is no Chromium to look at the report with', 4 if !$chromium;
	mkdir "$files/pictures";
	open my $out, '>:utf8', "$files/pictures/report.html" or die;
	print $out decode_utf8(sql($node, "SELECT crm.report('week', NULL, NULL, $pattern, (SELECT string_agg(label, ' ') FROM hostile WHERE id < 10))"));
	close $out;
	my @command = ($chromium, qw(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars), "--user-data-dir=$files/chromium");
	local $ENV{HOME} = $files;
	my $dom = '';
	run([ @command, '--dump-dom', "file://$files/pictures/report.html" ], '>', \$dom, '2>', \my $errors, timeout(300));
	like($dom, qr/<h1>&lt;script&gt;document\.title = "owned"/, 'Chromium shows the title as text');
	unlike($dom, qr/<title>owned|<(?:script|img|iframe)\b/, 'nothing of a label is an element, and nothing ran');
	my %looks = ('report' => [ '1280,3600' ], 'report-dark' => [ '500,4200', '--blink-settings=preferredColorScheme=0' ]);
	foreach my $name (sort keys %looks) {
		my ($size, @more) = @{ $looks{$name} };
		run([ @command, @more, "--window-size=$size", "--screenshot=$files/pictures/$name.png", "file://$files/pictures/report.html" ], '>', \my $nothing, '2>', \$errors, timeout(300));
		cmp_ok(-s "$files/pictures/$name.png" // 0, '>', 50_000, "a picture of the report: $name.png");
	}
}

$node->stop;
done_testing();
