# journey_block from elsewhere: binary images of clients and stored bytes, damaged in
# thousands of ways, are read as what they are or refused with a clear error, never take
# the server down, and what was accepted is sound: text and binary forms give it back.
# The binary form is judged by the second implementation in PgJourney.pm.
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

# The bytes of journey_block_send() of [customer, touchpoint, ...], ...: as a journey's, the touchpoints parted
sub encode_block
{
    my @journeys = @_;
    my $all = encode(map { my (undef, @points) = @$_; @points } @journeys);
    my ($labels) = label_bytes($all);
    my $at = length($labels) + 4;
    my $body = pack 'N', scalar @journeys;
    for my $journey (@journeys)
    {
        my ($customer, @points) = @$journey;
        my $length = 0;
        $length += 13 + ($_->[3] ? 9 : 0) + (defined $_->[4] ? 8 : 0) for @points;
        $body .= pack('q> N', $customer, scalar @points) . substr $all, $at, $length;
        $at += $length;
    }
    return $labels . $body;
}

# Version and labels of a binary form
sub label_bytes
{
    my ($bytes) = @_;
    my $at = 5;
    for (1 .. 3 * unpack 'x N', $bytes) { $at += 4 + unpack "x$at N", $bytes }
    return substr $bytes, 0, $at;
}

sub block_text
{
    my %of;
    for (@_) { my ($customer, @points) = @$_; push @{ $of{$customer} }, @points }
    return '{' . join(', ', map { "$_: " . journey_text(sort { PgJourney::compare($a, $b) } @{ $of{$_} || [] }) } sort { $a <=> $b } keys %of) . '}';
}

# there and back, customers in any order, some twice, far apart, without touchpoints
my @extreme = (0, 1, -1, 9223372036854775807, -9223372036854775807 - 1);
my @blocks = ([], [ [7] ], map {
    my $n = any(1, 2, 3, 10, 40);
    my $wide = any(10, 1000, 1000000000);
    [ map { [ any(int(rand $wide) - $wide / 2, int(rand $wide), any(@extreme)), any(0, 1, 1) ? random_journey(any(1, 3, 20)) : () ] } 1 .. $n ]
} 1 .. 300);
push @blocks, [ map { my $c = $_; [ $c, map { [ ($_ * 7 + $c) * 1000000, "c" . $_ % 300, "a$c", undef, undef ] } 1 .. 10 ] } 1 .. 100 ];
copy_file("$dir/in", map { [ pack('N', $_), encode_block(@{ $blocks[$_] }) ] } 0 .. $#blocks);
sql($node, <<"END");
CREATE TABLE t (id integer, b journey_block);
COPY t FROM '$dir/in' (FORMAT binary);
COPY (SELECT * FROM t ORDER BY id) TO '$dir/out' (FORMAT binary);
CREATE TABLE again (id integer, b journey_block);
COPY again FROM '$dir/out' (FORMAT binary);
END
my @text = split /\n/, sql($node, "SELECT encode(convert_to(b::text, 'UTF8'), 'hex') FROM t ORDER BY id");
is(join(' ', grep { $text[$_] ne unpack 'H*', block_text(@{ $blocks[$_] }) } 0 .. $#blocks), '', 'text of what was copied in');
is(sql($node, 'SELECT count(*) FROM t JOIN again USING (id) WHERE t.b = again.b AND t.b::text::journey_block = t.b'), scalar @blocks, 'binary and text come back');
is(sql($node, <<'END'), '0', 'journeys are what they are alone');
SELECT count(*) FROM t, unnest(b) u WHERE journey <> journey::text::journey OR journey_send(journey) <> journey_send(journey::text::journey)
END

# from clients: truncations, bits and mutants
my @sent = map { $_->[1] } read_copy("$dir/out");
my $small = encode_block([ 5, [ 826000000000000, 'web', 'a', [ 150, 2 ], 7, 'in' ] ], [6], [ -9, [ 826000000000001, 'app', 'b', undef, undef ] ]);
my %image = (
    good => $small,
    empty => pack('C N N', 1, 0, 0),
    'no journeys' => pack('C N', 1, 0),
    'too many journeys' => pack('C N N', 1, 0, 0x7fffffff),
    'negative journeys' => pack('C N N', 1, 0, 0x80000000),
    'too many touchpoints' => pack('C N N q> N', 1, 0, 1, 7, 0x7fffffff),
    'label not used' => pack('C N (N/a)3 N q> N', 1, 1, 'web', 'view', '', 1, 7, 0),
    'byte left over' => "$small\0",
    'version' => "\2" . substr($small, 1),
    'customer without a journey' => pack('C N N q>', 1, 0, 1, 7),
);
my @names = sort keys %image;
my @images = (@image{@names}, @sent,
    (map { substr $small, 0, $_ } 0 .. length($small) - 1),
    (map { my $copy = $small; vec($copy, $_, 1) ^= 1; $copy } 0 .. 8 * length($small) - 1),
    (map { mutate(any(@sent[ 0 .. 200 ])) } 1 .. slowly(1500, 10000)));
mkdir "$dir/images" or die;
copy_file("$dir/images/$_", [ $images[$_] ]) for 0 .. $#images;
sql($node, <<'END');
CREATE TABLE accepted (n integer DEFAULT current_setting('pgj.n')::integer, b journey_block);
CREATE TABLE refused (n integer, state text, message text);
CREATE FUNCTION receive(n integer, file text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pgj.n', n::text, true);
    RAISE LOG 'receiving image %', n;
    EXECUTE format('COPY accepted (b) FROM %L (FORMAT binary)', file);
EXCEPTION WHEN OTHERS THEN
    INSERT INTO refused VALUES (n, SQLSTATE, SQLERRM);
END $$;
END
write_bytes("$dir/receive.sql", "SET statement_timeout = '1h';\n" . join('', map { "SELECT receive($_, '$dir/images/$_');\n" } 0 .. $#images));
ok(run_script($node, "$dir/receive.sql"), scalar(@images) . ' images received');
is(sql($node, 'SELECT count(*) FROM accepted') + sql($node, 'SELECT count(*) FROM refused'), scalar @images, 'each was accepted or refused');
is(sql($node, q{SELECT state, min(message) FROM refused WHERE state NOT IN ('22P03', '22021', '08P01', '22003', '22008', '42622') GROUP BY state}),
    '', 'refused with a clear error');
is(join(', ', @names[ split /\n/, sql($node, "SELECT n FROM accepted WHERE n < ${\ scalar @names} ORDER BY n") ]), 'empty, good', 'which are accepted');
cmp_ok(sql($node, q{SELECT count(*) FROM refused WHERE state = '22P03'}), '>', 200, 'many are refused');
cmp_ok(sql($node, 'SELECT count(*) FROM accepted'), '>', 500, 'some mutants are valid');
is(sql($node, <<"END"), sql($node, 'SELECT count(*) FROM accepted'), 'the accepted go out and come back');
COPY (SELECT n, b FROM accepted) TO '$dir/accepted' (FORMAT binary);
CREATE TABLE back (n integer, b journey_block);
COPY back FROM '$dir/accepted' (FORMAT binary);
SELECT count(*) FROM accepted a JOIN back b USING (n) WHERE a.b = b.b AND a.b::text::journey_block = b.b
END

# stored bytes, put in through casts that only a superuser can make
sql($node, <<'END');
CREATE CAST (bytea AS journey_block) WITHOUT FUNCTION;
CREATE CAST (journey_block AS bytea) WITHOUT FUNCTION;
CREATE TABLE image (n integer, b bytea);
CREATE TABLE outcome (n integer, probe text, state text, message text);
END
my @stored = map { pack 'H*', $_ } split /\n/, sql($node, "SELECT encode(b::bytea, 'hex') FROM t ORDER BY id");
my @mutant = @stored;
for my $image ($stored[1], grep { length $_ > 60 && length $_ < 300 } @stored[ 2 .. 60 ])
{
    push @mutant, map { substr $image, 0, $_ } 0 .. (length($image) > 80 ? 80 : length($image)) - 1;
    for my $at (0 .. (length($image) > 60 ? 60 : length $image) - 1)
    {
        my @copy = ($image) x 4;
        substr($copy[0], $at, 1) = chr((ord(substr $image, $at, 1) + 1) % 256);
        substr($copy[1], $at, 1) = chr((ord(substr $image, $at, 1) + 255) % 256);
        substr($copy[2], $at, 1) = "\xff";
        substr($copy[3], $at, 1) = "\0";
        push @mutant, @copy;
    }
    last if @mutant > slowly(4000, 20000);
}
push @mutant, map { mutate(any(@stored)) } 1 .. slowly(1500, 10000);
# behind the header of large ones, whose length stays
my @large = grep { length $_ > 200 } @stored;
push @mutant, map { my $image = any(@large); substr($image, 20 + int rand(length($image) - 20), 1) = chr int rand 256; $image } 1 .. slowly(1500, 10000);
write_bytes("$dir/image", join '', map { "$_\t\\\\x" . unpack('H*', $mutant[$_]) . "\n" } 0 .. $#mutant);
my %probe = (
    (map { $_ => "$_(b)" } qw(journey_block_length journey_block_touchpoints journey_block_customers journey_block_out
          journey_block_send journey_block_hash)),
    hash_extended => 'journey_block_hash_extended(b, 1)',
    unnest => '(SELECT count(u::text) FROM unnest(b) u)',
    merge => "b || '{7: {web.view=1.5\@2026-04-01T00:00:00Z#3}, 9: {}}'",
    merged => "'{7: {web.view=1.5\@2026-04-01T00:00:00Z#3}, 9: {}}'::journey_block || b",
    twice => 'b || b',
    without => "journey_block_without(b, '{1,2,7}')",
    split => '(SELECT count(s::text) FROM journey_block_split(b, 200) s)',
    compare => "journey_block_cmp(b, '{7: {web.view\@2026-04-01T00:00:00Z}}')",
    compare_self => "b = (b::bytea || '')::journey_block",
    aggregate => '(SELECT journey_block_agg(customer, journey) FROM unnest(b))',
    paths => "(SELECT journey_path_agg(x, 'label', 3)::text FROM (VALUES (b)) v(x))",
    lengths => '(SELECT journey_length_agg(x)::text FROM (VALUES (b)) v(x))',
    sessions => "journey_block_sessions(b, '1 hour')",
    labels => "(SELECT journey_label_agg(x, 'channel')::text FROM (VALUES (b)) v(x))",
    days => "(SELECT journey_label_agg(x, 'label', 'day', 'UTC', '2000-01-01Z', '2026-04-01Z')::text FROM (VALUES (b)) v(x))",
    transitions => "(SELECT channel_measures_agg(x, '1 hour', '400 days', NULL, NULL, NULL, 'all', 'UTC', NULL, NULL, '{transitions}')::text FROM (VALUES (b)) v(x))",
    medians => "(SELECT channel_measures_agg(x, '1 hour', '400 days', NULL, NULL, NULL, 'month', 'UTC', NULL, NULL, '{median_time}')::text FROM (VALUES (b)) v(x))",
);
my $functions = join '', map { <<"END" } sort keys %probe;
CREATE FUNCTION probe_$_(n integer, b journey_block) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    answer text;
BEGIN
    answer := ($probe{$_})::text;
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE <> 'XX001' THEN INSERT INTO outcome VALUES (n, '$_', SQLSTATE, SQLERRM); END IF;
END \$\$;
END
my $calls = join '', map { "    PERFORM probe_$_(n, b);\n" } sort keys %probe;
my $path = write_bytes("$dir/probes.sql", <<"END");
ALTER TABLE image ALTER b SET STORAGE external;
COPY image FROM '$dir/image';
$functions
CREATE FUNCTION probe_each(n integer, b journey_block) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    RAISE LOG 'probing image %', n;
$calls
END \$\$;
SET statement_timeout = '1h';
SELECT format('SELECT probe_each(n, b::journey_block) FROM image WHERE n BETWEEN %s AND %s', n, n + 99) FROM generate_series(0, (SELECT max(n) FROM image), 100) n \\gexec
-- as in memory, with a long header
SELECT format('SELECT probe_each(n, (b || \$\$\$\$)::journey_block) FROM image WHERE n %% 4 = 0 AND n BETWEEN %s AND %s', n, n + 99)
FROM generate_series(0, (SELECT max(n) FROM image), 100) n \\gexec
END
ok(run_script($node, $path), scalar(@mutant) . ' images probed by ' . scalar(keys %probe) . ' expressions')
  or diag "crashed at: " . (grep { /probing image/ } split /\n/, slurp_file($node->logfile))[-1];
is(sql($node, <<'END'), '', 'no error but data_corrupted or out of range');
SELECT state, probe, count(*), min(message), (SELECT encode(b, 'hex') FROM image WHERE image.n = min(outcome.n)) FROM outcome
WHERE state NOT IN ('22003', '22008') GROUP BY state, probe ORDER BY 1, 2 LIMIT 20
END
is(sql($node, <<'END'), scalar @stored, 'valid images are read as what they are');
WITH image AS MATERIALIZED (SELECT t.b, image.b AS stored FROM t JOIN image ON n = id) -- no others may be hashed
SELECT count(*) FROM image WHERE b = stored::journey_block
END

# dumped and restored, out of line, compressed and in hash partitions
sql($node, <<'END');
DROP TABLE image;
DROP CAST (bytea AS journey_block);
DROP CAST (journey_block AS bytea);
CREATE TABLE blocks (first_customer bigint PRIMARY KEY, b journey_block NOT NULL, newer journey_block DEFAULT '{}', length bigint GENERATED ALWAYS AS (journey_block_length(b)) STORED);
INSERT INTO blocks (first_customer, b) SELECT min(id), journey_block_agg(id, journey) FROM t, unnest(b) GROUP BY id / 30;
ALTER TABLE blocks ALTER b SET STORAGE extended;
INSERT INTO blocks (first_customer, b) SELECT -1 - id, b FROM t WHERE id > 290;
CREATE TABLE by_block (b journey_block) PARTITION BY HASH (b);
CREATE TABLE by_block_0 PARTITION OF by_block FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_block_1 PARTITION OF by_block FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_block SELECT b FROM t;
CREATE INDEX ON by_block USING hash (b);
CREATE DATABASE restored;
END
my $sums = "SELECT count(*), sum(length), md5(string_agg(b::text || newer::text, ',' ORDER BY first_customer)) FROM blocks
    UNION ALL SELECT count(*), min(tableoid::regclass::text = 'by_block_0')::int, md5(string_agg(b::text, ',' ORDER BY b::text COLLATE \"C\")) FROM by_block GROUP BY tableoid ORDER BY 3";
$sums =~ s/min\((tableoid[^)]*)\)::int/bool_and($1)::int/;
my $before = sql($node, $sums);
my $from = $node->connstr('postgres');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $from ], 'pg_dump');
command_ok([ 'pg_restore', '-d', $node->connstr('restored'), "$dir/dump" ], 'pg_restore');
is($node->safe_psql('restored', $sums), $before, 'every block came back');

is(slurp_file($node->data_dir . '/postmaster.pid'), $postmaster, 'the server is the same');
is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
