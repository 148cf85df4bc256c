# channel_measures from elsewhere: binary images of clients and stored bytes, damaged in
# thousands of ways, are read as what they are or refused with a clear error, never take
# the server down, and what was accepted is sound: text and binary forms give it back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $postmaster = slurp_file($node->data_dir . '/postmaster.pid');
my @names = ('web', 'app', "caf\xc3\xa9", "a\xc3\xa7\xc3\xa3o", 'phone', "\xc2\xab \xc2\xbb", "\xc3\xbf" x 120);
copy_file("$dir/journeys", map { [ encode(random_journey(any(1, 3, 20, 100), @names)) ] } 1 .. 400);
sql($node, <<"END");
CREATE TABLE j (id serial, j journey);
COPY j (j) FROM '$dir/journeys' (FORMAT binary);
-- a month that begins before dates do is an error
UPDATE j SET j = journey_slice(j, '["4000-01-01Z BC","290000-01-01Z")');
CREATE TABLE valid AS
SELECT n, channel_measures_agg(j, '1 min', '400 days', ARRAY['click', 'caf' || chr(233)], '{web}', '{phone}', (ARRAY['day', 'week', 'month', 'quarter', 'year', 'all'])[1 + n % 6], 'Europe/Lisbon',
                            CASE WHEN n % 3 = 0 THEN '2000-01-01Z'::timestamptz END, CASE WHEN n % 4 = 0 THEN '2027-01-01Z'::timestamptz END) AS m
FROM generate_series(1, 60) n JOIN j ON id % 60 = n % 60 OR id % 7 = n GROUP BY n
UNION ALL
SELECT 60 + n::integer, channel_measures_agg(j, '1 min', '400 days', ARRAY['click'], '{web}', '{phone}', (ARRAY['month', 'all'])[1 + n % 2], 'UTC', '4000-02-01Z BC', NULL, ARRAY[name])
FROM unnest('{channels,transitions,median_time,customers}'::text[]) WITH ORDINALITY m(name, n), j WHERE id % 9 = n GROUP BY n, name
UNION ALL SELECT 0, channel_measures_agg('{}'::journey, '1 min', '1 day', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
COPY (SELECT m FROM valid ORDER BY n) TO '$dir/valid' (FORMAT binary);
CREATE CAST (bytea AS channel_measures) WITHOUT FUNCTION;
CREATE CAST (channel_measures AS bytea) WITHOUT FUNCTION;
END
my $valid = 65;
my @sent = map { $_->[0] } read_copy("$dir/valid");
my @stored = map { pack 'H*', $_ } split /\n/, sql($node, "SELECT encode(m::bytea, 'hex') FROM valid ORDER BY n");
is(scalar @sent, $valid, 'values to damage');
cmp_ok(sql($node, 'SELECT count(*) FROM valid, channel_transitions(m) WHERE n <= 60'), '>', 1000, 'they have transitions');

# Every truncation and bit of a small one, and mutants of all
sub damaged
{
    my (@image) = @_;
    my $small = $image[1];
    return (@image, (map { substr $small, 0, $_ } 0 .. (length($small) > 400 ? 400 : length $small) - 1),
        (map { my $copy = $small; vec($copy, $_, 1) ^= 1; $copy } 0 .. (length($small) > 300 ? 300 : length $small) * 8 - 1),
        (map { "$_\0" } @image[ 0 .. 5 ]), (map { mutate(any(@image)) } 1 .. 2000),
        # of the question and the first names
        (map { my $image = any(@image); mutate(substr $image, 0, 120) . (length($image) > 120 ? substr $image, 120 : '') } 1 .. 1000));
}

# from clients
my @images = damaged(@sent);
mkdir "$dir/images" or die;
copy_file("$dir/images/$_", [ $images[$_] ]) for 0 .. $#images;
sql($node, <<'END');
CREATE TABLE accepted (n integer DEFAULT current_setting('pgj.n')::integer, m channel_measures);
CREATE TABLE refused (n integer, state text, message text);
CREATE FUNCTION receive(n integer, file text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pgj.n', n::text, true);
    RAISE LOG 'receiving image %', n;
    EXECUTE format('COPY accepted (m) FROM %L (FORMAT binary)', file);
EXCEPTION WHEN OTHERS THEN
    INSERT INTO refused VALUES (n, SQLSTATE, SQLERRM);
END $$;
END
write_bytes("$dir/receive.sql", "SET statement_timeout = '1h';\n" . join('', map { "SELECT receive($_, '$dir/images/$_');\n" } 0 .. $#images));
ok(run_script($node, "$dir/receive.sql"), scalar(@images) . ' images received');
is(sql($node, 'SELECT count(*) FROM accepted') + sql($node, 'SELECT count(*) FROM refused'), scalar @images, 'each was accepted or refused');
# 08P01 is what the server's own functions raise where bytes are missing
is(sql($node, q{SELECT state, min(message) FROM refused WHERE state NOT IN ('22P03', '22021', '08P01', '22003') GROUP BY state}), '', 'refused with a clear error');
cmp_ok(sql($node, q{SELECT count(*) FROM refused WHERE state = '22P03'}), '>', 1000, 'many are refused');
cmp_ok(sql($node, 'SELECT count(*) FROM accepted'), '>', 200, 'some mutants are valid');
is(sql($node, "SELECT count(*) FROM valid v JOIN (SELECT n, row_number() OVER (ORDER BY n) - 1 AS place FROM valid) p USING (n) JOIN accepted a ON a.n = place WHERE a.m = v.m"),
    $valid, 'values come back as what they were');
is(sql($node, <<"END"), sql($node, 'SELECT count(*) FROM accepted'), 'the accepted go out and come back');
COPY (SELECT n, m FROM accepted) TO '$dir/accepted' (FORMAT binary);
CREATE TABLE back (n integer, m channel_measures);
COPY back FROM '$dir/accepted' (FORMAT binary);
SELECT count(*) FROM accepted a JOIN back b USING (n) WHERE a.m = b.m AND a.m::text::channel_measures = b.m
END

# stored
my @mutant = damaged(@stored);
write_bytes("$dir/image", join '', map { "$_\t\\\\x" . unpack('H*', $mutant[$_]) . "\n" } 0 .. $#mutant);
my %probe = (
    out => 'm::text', send => 'channel_measures_send(m)', mix => '(SELECT count(x::text) FROM channel_mix(m) x)',
    transitions => '(SELECT count(x::text) FROM channel_transitions(m) x)', customers => '(SELECT count(x::text) FROM channel_customers(m) x)',
    sum => '(SELECT channel_measures_agg(x) FROM (VALUES (m), (m)) v(x))', order => "m < (m::bytea || '')::channel_measures");
my $functions = join '', map { <<"END" } sort keys %probe;
CREATE FUNCTION probe_$_(n integer, m channel_measures) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    answer text;
BEGIN
    answer := ($probe{$_})::text;
EXCEPTION WHEN OTHERS THEN
    INSERT INTO outcome VALUES (n, '$_', SQLSTATE, SQLERRM);
END \$\$;
END
my $calls = join '', map { "    PERFORM probe_$_(n, m);\n" } sort keys %probe;
write_bytes("$dir/probes.sql", <<"END");
CREATE TABLE image (n integer, b bytea);
CREATE TABLE outcome (n integer, probe text, state text, message text);
COPY image FROM '$dir/image';
$functions
CREATE FUNCTION probe_each(n integer, m channel_measures) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    RAISE LOG 'probing image %', n;
$calls
END \$\$;
SET statement_timeout = '1h';
SELECT format('SELECT probe_each(n, b::channel_measures) FROM image WHERE n BETWEEN %s AND %s', n, n + 99) FROM generate_series(0, (SELECT max(n) FROM image), 100) n \\gexec
END
ok(run_script($node, "$dir/probes.sql"), scalar(@mutant) . ' stored images probed');
# sums, intervals and dates may become too large
is(sql($node, q{SELECT state, probe, count(*), min(message) FROM outcome WHERE state NOT IN ('XX001', '22003', '22008') AND message !~ ' were not counted ' GROUP BY state, probe}), '', 'no error but data_corrupted and out of range');
is(sql($node, "SELECT count(*) FROM outcome WHERE n < $valid AND message !~ ' were not counted '"), '0', 'values are read as what they are');
cmp_ok(sql($node, q{SELECT count(DISTINCT n) FROM outcome WHERE state = 'XX001'}), '>', 1000, 'most mutants are found corrupt');

# Encodings: names are sent in the client's, stored in the database's
sql($node, "CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
$node->safe_psql('latin1', 'CREATE EXTENSION pg_journey; CREATE TABLE t (n integer, m channel_measures)');
sql($node, "SET client_encoding = 'LATIN1'; COPY (SELECT n, m FROM valid) TO '$dir/latin1' (FORMAT binary)");
my $latin = $node->safe_psql('latin1', <<"END");
COPY t FROM '$dir/latin1' (FORMAT binary);
COPY (SELECT m::text FROM t ORDER BY n) TO '$dir/text' (ENCODING 'UTF8');
SELECT count(*) FROM t
END
is($latin, $valid, 'values in another encoding');
sql($node, "COPY (SELECT m::text FROM valid ORDER BY n) TO '$dir/text_utf8' (ENCODING 'UTF8')");
is(slurp_file("$dir/text"), slurp_file("$dir/text_utf8"), 'are the same');

# Many channels
is(sql($node, <<'END'), '1000000|1000000|t', 'a million names');
CREATE TABLE million AS
SELECT channel_measures_agg(j, '1 h', '1 day', NULL, NULL, NULL, 'month', 'UTC', NULL, NULL) AS m
FROM (SELECT journey_agg('2025-01-01Z'::timestamptz + n * interval '1 s', 'channel ' || n, 'a') AS j FROM generate_series(1, 1000000) n GROUP BY n / 1000) j;
SELECT (SELECT count(*) FROM million, channel_mix(m)), (SELECT sum(touchpoints) FROM million, channel_mix(m)), m::text::channel_measures = m FROM million
END
is(slurp_file($node->data_dir . '/postmaster.pid'), $postmaster, 'the server is the same');
is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
