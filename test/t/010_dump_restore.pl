# Proves that pg_dump and pg_restore bring back every touchpoint: tables of
# journeys and touchpoints with non-ASCII labels, values out of line and
# compressed, hash partitions, indexes, constraints, generated columns, arrays,
# views. What comes back is equal value for value, in the same partitions.
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

my @rows = map { [ pack('N', $_), encode(random_journey(any(1, 5, 40))) ] } 1 .. 500;
copy_file("$dir/rows", @rows);

sql($node, <<"END");
CREATE TABLE customer (
    id integer PRIMARY KEY,
    j journey NOT NULL DEFAULT '{}' CHECK (journey_length(j) >= 0),
    length integer GENERATED ALWAYS AS (journey_length(j)) STORED,
    last touchpoint,
    sessions journey[]
);
COPY customer (id, j) FROM '$dir/rows' (FORMAT binary);
INSERT INTO customer (id) VALUES (501);
-- long enough for TOAST: out of line, and compressed as well
INSERT INTO customer (id, j)
SELECT 1000 + n, journey_agg('2026-03-01 00:00:00+00'::timestamptz + hashint8(i * n) % 1000000000 * interval '1 us',
                             'canal ' || hashint4(i) % 40, 'ação', i / 100.0, i)
FROM generate_series(1, 3) n, generate_series(1, 20000) i GROUP BY n;
UPDATE customer SET last = journey_nth(j, -1), sessions = ARRAY(SELECT journey_sessions(j, '30 min'));
CREATE TABLE compressed (LIKE customer);
ALTER TABLE compressed ALTER j SET STORAGE extended;
INSERT INTO compressed (id, j)
SELECT id, ('{' || repeat('web.view=1.50\@2026-03-01T00:00:00Z#7,', id - 1) || 'app.buy\@2026-03-02T00:00:00Z}')::journey
FROM (VALUES (300), (30000)) v(id);
CREATE TABLE by_journey (j journey, id integer) PARTITION BY HASH (j);
CREATE TABLE by_point (t touchpoint, id integer) PARTITION BY HASH (t);
SELECT format('CREATE TABLE %s_%s PARTITION OF %1\$s FOR VALUES WITH (MODULUS 4, REMAINDER %2\$s)', p, r)
FROM unnest('{by_journey,by_point}'::text[]) p, generate_series(0, 3) r \\gexec
INSERT INTO by_journey SELECT j, id FROM customer;
INSERT INTO by_point SELECT unnest(j), id FROM customer WHERE id < 1000;
CREATE INDEX ON customer (journey_start(j));
CREATE INDEX ON customer USING hash (j);
CREATE INDEX ON customer (last);
CREATE INDEX ON by_point (t, id);
CREATE VIEW timeline AS SELECT id, s.* FROM customer, journey_steps(j) s;
CREATE MATERIALIZED VIEW path AS SELECT journey_path(j, 'channel', true) AS path, count(*) FROM customer GROUP BY 1;
CREATE FUNCTION first_of(j journey) RETURNS touchpoint LANGUAGE sql IMMUTABLE RETURN j[1];
END

my %checks = (
    customer => <<'END',
SELECT count(*), sum(journey_length(j)), sum(length), sum(journey_hash_extended(j, 1)), sum(touchpoint_hash_extended(last, 2)),
       md5(string_agg(j::text || last::text || sessions::text, chr(10) ORDER BY id)) FROM customer
END
    compressed => <<'END',
SELECT count(*), sum(journey_length(j)), sum(journey_hash_extended(j, 1)), md5(string_agg(j::text, chr(10) ORDER BY id))
FROM compressed
END
    by_journey => <<'END',
SELECT tableoid::regclass::text AS part, count(*), sum(journey_hash_extended(j, 1)) FROM by_journey GROUP BY 1 ORDER BY part
END
    by_point => <<'END',
SELECT tableoid::regclass::text AS part, count(*), sum(touchpoint_hash_extended(t, 1)) FROM by_point GROUP BY 1 ORDER BY part
END
    timeline => <<'END',
SELECT count(*), sum(value), sum(ref), sum(extract(epoch FROM since_previous)) FROM timeline WHERE id > 1000
END
    path => 'SELECT md5(string_agg(path::text || count, chr(10) ORDER BY path, count)) FROM path',
    index => <<'END',
SELECT count(*), md5(string_agg(indexdef, chr(10) ORDER BY indexdef)) FROM pg_indexes WHERE schemaname = 'public'
END
    found => <<'END',
SET enable_seqscan = off;
SELECT count(*) FROM customer a JOIN customer b ON a.j = b.j AND b.last >= a.last
END
    function => 'SELECT first_of(j) FROM customer WHERE id = 1001',
);
my %before = map { $_ => sql($node, $checks{$_}) } keys %checks;
like($before{customer}, qr/^504\|/, 'rows to dump');
cmp_ok(sql($node, 'SELECT pg_column_size(j) FROM customer WHERE id = 1001'), '>', 50000, 'a long journey');
cmp_ok(sql($node, 'SELECT pg_column_size(j) FROM compressed WHERE id = 30000'), '<', 30000, 'a compressed journey');

my $from = $node->connstr('postgres');
my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1');
my %dump = (
    plain => [ [ 'pg_dump', '-f', "$dir/plain", $from ], [ @psql, '-f', "$dir/plain" ] ],
    inserts => [ [ 'pg_dump', '--rows-per-insert=20', '-f', "$dir/inserts", $from ], [ @psql, '-f', "$dir/inserts" ] ],
    custom => [ [ 'pg_dump', '-Fc', '-f', "$dir/custom", $from ], [ 'pg_restore', '-e', '-j2', "$dir/custom" ] ],
    directory => [ [ 'pg_dump', '-Fd', '-j2', '--load-via-partition-root', '-f', "$dir/directory", $from ],
        [ 'pg_restore', '-e', '-j2', "$dir/directory" ] ],
);
for my $name (sort keys %dump)
{
    my ($dump, $restore) = @{ $dump{$name} };
    sql($node, "CREATE DATABASE $name TEMPLATE template0");
    command_ok($dump, "$name: dump");
    command_ok([ @$restore, '-d', $node->connstr($name) ], "$name: restore");
    is($node->safe_psql($name, $checks{$_}), $before{$_}, "$name: $_") for sort keys %checks;
}

# a database in another encoding takes what it has letters for
sql($node, "CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
command_ok([ 'pg_dump', '-f', "$dir/latin1", '-t', 'compressed', '-t', 'customer', '--exclude-table-data', 'customer',
        $node->connstr('postgres') ], 'dump for LATIN1');
$node->safe_psql('latin1', 'CREATE EXTENSION pg_journey');
command_ok([ @psql, '-f', "$dir/latin1", '-d', $node->connstr('latin1') ], 'restore in LATIN1');
sql($node, "COPY (SELECT id, j FROM customer WHERE id > 1000) TO '$dir/copy' (ENCODING 'UTF8')");
$node->safe_psql('latin1', "COPY customer (id, j) FROM '$dir/copy' (ENCODING 'UTF8')");
my $query = <<'END';
SELECT count(*), sum(journey_length(j)), max(journey_actions(j)) = ARRAY['a' || convert_from('\xc3a7c3a3', 'UTF8') || 'o']
FROM customer WHERE id > 1000
END
is($node->safe_psql('latin1', $query), sql($node, $query), 'customer: LATIN1');
is($node->safe_psql('latin1', 'SELECT sum(journey_length(j)) FROM compressed'), 30300, 'compressed: LATIN1');

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
