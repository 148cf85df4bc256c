# What a comparison or a hash has detoasted is freed at once: sorts and indexes call them
# millions of times in memory that lasts as long as the statement.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/status';

my $node = start_server('main');
# more than 2 kB a row, so that each value is compressed or out of line; what tells them apart stands behind what they share
sql($node, <<'END');
CREATE TABLE patterns AS
SELECT (repeat('a.b -> ', 900) || format('c%s.d', hashint4(n) & 65535))::journey_pattern AS v FROM generate_series(1, 1500) n;
CREATE TABLE journeys AS
SELECT base || touchpoint('2036-01-01Z'::timestamptz + hashint4(n) % 1000000 * interval '1 s', 'web', 'view') AS v
FROM (SELECT journey_agg('2026-01-01Z'::timestamptz + hashint4(i) % 1000000 * interval '1 s', 'web', 'view') AS base
      FROM generate_series(1, 2500) i) b, generate_series(1, 1500) n;
CREATE TABLE blocks AS SELECT journey_block_agg(1, v) AS v FROM journeys GROUP BY v::text;
CREATE TABLE identifiers AS
SELECT identifier('x', repeat('y', 1000) || (hashint4(n) & 65535)) AS v, filler
FROM (SELECT string_agg(md5(i::text), '') AS filler FROM generate_series(1, 45) i) f, generate_series(1, 10000) n;
ANALYZE;
END
is(sql($node, <<'END'), 't|t|t', 'values are stored as they should be');
SELECT (SELECT max(pg_column_size(v)) < 1000 FROM patterns), (SELECT min(pg_column_size(v)) > 2500 FROM journeys),
       (SELECT max(pg_column_size(v)) < 200 FROM identifiers);
END

# The most memory, in MB, that a session of its own has taken for a statement
sub peak
{
    my ($query) = @_;
    return sql($node, <<"END");
SET max_parallel_workers_per_gather = 0; SET max_parallel_maintenance_workers = 0; SET enable_hashagg = off;
SET work_mem = '16MB'; SET maintenance_work_mem = '16MB';
CREATE TEMP TABLE answer AS $query;
SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)')::int / 1024;
END
}

my $base = peak('SELECT 1 AS x');
for my $type (qw(patterns journeys blocks identifiers))
{
	my $more = peak("SELECT count(*) FROM (SELECT v FROM $type ORDER BY v OFFSET 0) s") - $base;
	cmp_ok($more, '<', 60, "sorting $type takes memory for them alone");
}

done_testing();
