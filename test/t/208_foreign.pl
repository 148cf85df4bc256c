# What postgres_fdw sends to the other server, and that the answers are the same: conditions
# and parameters of our types and of arrays of them, order, grouping, aggregates.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my ($host, $port) = ($node->host, $node->port);
sql($node, <<"END");
CREATE EXTENSION postgres_fdw;
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres', extensions 'pg_journey');
CREATE USER MAPPING FOR CURRENT_USER SERVER other;
CREATE TABLE here AS
SELECT n, identifier('account', (n % 20)::text) AS id, ARRAY[identifier('cookie', n::text), identifier('email', n % 9 || '\@a.pt')] AS ids,
       touchpoint('2026-01-01Z'::timestamptz + n * interval '1 h', 'web', 'view', n, n) AS t,
       ARRAY[touchpoint('2026-01-01Z'::timestamptz + n % 5 * interval '1 h', 'web', 'view')] AS ts,
       touchpoint('2026-01-01Z'::timestamptz + n * interval '1 h', 'web', 'view') || touchpoint('2026-01-02Z', 'web', 'buy') AS j,
       format('web.view -[<= %s h]-> web.buy', n % 7 + 1)::journey_pattern AS p
FROM generate_series(1, 100) n;
CREATE FOREIGN TABLE there (n integer, id identifier, ids identifier[], t touchpoint, ts touchpoint[], j journey, p journey_pattern)
    SERVER other OPTIONS (table_name 'here');
END

# a query with %s for the table, and what must be in the remote query
my @cases = (
	[ q{SELECT n FROM %s WHERE id = 'account:7' ORDER BY n},                          qr/WHERE \(\(id OPERATOR\(public\.=\) 'account:7'/ ],
	[ q{SELECT n FROM %s WHERE id = ANY ('{account:7,account:8}') ORDER BY n},        qr/ANY \('\{account:7,account:8\}'::public\.identifier\[\]\)/ ],
	[ q{SELECT n FROM %s WHERE ids && '{cookie:7,"email:3@a.pt"}' ORDER BY n},        qr/WHERE \(\(ids && '/ ],
	[ q{SELECT n FROM %s WHERE ids <> ARRAY[id, 'email:0@a.pt'] ORDER BY n},          qr/<> ARRAY\[id, 'email/ ],
	[ q{SELECT n FROM %s WHERE 'web.view@2026-01-01T03:00:00Z' = ANY (ts) ORDER BY n}, qr/ANY \(ts\)/ ],
	[ q{SELECT n FROM %s WHERE ts && '{web.view@2026-01-01T03:00:00Z}' ORDER BY n},   qr/WHERE \(\(ts && / ],
	[ q{SELECT n FROM %s WHERE t > 'web.view@2026-01-03T03:00:00Z' ORDER BY n},       qr/WHERE \(\(t OPERATOR\(public\.>\)/ ],
	[ q{SELECT n FROM %s WHERE j ~ 'web.view -[<= 5 h]-> web.buy' ORDER BY n},        qr/OPERATOR\(public\.~\)/ ],
	[ q{SELECT n FROM %s WHERE p IN ('web.view -[<= 2 h]-> web.buy', 'web.view') ORDER BY n}, qr/ANY \('\{.*journey_pattern\[\]\)/ ],
	[ q{SELECT n FROM %s WHERE p < 'web.view -[<= 3 h]-> web.buy' ORDER BY n},        qr/OPERATOR\(public\.<\)/ ],
	[ q{SELECT p, count(*) FROM %s GROUP BY p ORDER BY p},                            qr/count\(\*\) FROM .* GROUP BY/ ],
	[ q{SELECT p FROM %s ORDER BY p, n LIMIT 3},                                      qr/ORDER BY p ASC.* LIMIT/ ],
	[ q{SELECT array_agg(id ORDER BY id, n) FROM %s},                                 qr/array_agg\(id ORDER BY/ ],
	[ q{SELECT journey_funnel_agg(j, 'web.view -> web.buy') FROM %s},                 qr/SELECT public\.journey_funnel_agg/ ],
	[ q{SELECT retention(n > 1, n > 200) FROM %s},                                    qr/SELECT public\.retention/ ],
	[ q{SELECT identity_components(ids[1], ids[2]) FROM %s},                          qr/SELECT public\.identity_components/ ],
);
for (@cases)
{
	my ($query, $sent) = @$_;
	my $plan = sql($node, 'EXPLAIN (VERBOSE, COSTS OFF) ' . sprintf $query, 'there');
	like($plan, qr/Remote SQL: .*$sent/, "sent: $query");
	is(sql($node, sprintf $query, 'there'), sql($node, sprintf $query, 'here'), "the same: $query");
}

# parameters, too
for ([ 'identifier[]', 'ids && $1', '{cookie:7,"email:3@a.pt"}' ], [ 'touchpoint[]', 'ts && $1', '{web.view@2026-01-01T03:00:00Z}' ],
	[ 'journey_pattern[]', 'p = ANY ($1)', '{web.view,"web.view -[<= 2 h]-> web.buy"}' ], [ 'journey_pattern', 'j ~ $1', 'web.buy -> web.view' ])
{
	my ($type, $condition, $value) = @$_;
	my $prepare = "SET plan_cache_mode = force_generic_plan; PREPARE q($type) AS SELECT n FROM there WHERE $condition ORDER BY n;";
	(my $literal = $condition) =~ s/\$1/'$value'/;
	like(sql($node, "$prepare EXPLAIN (VERBOSE, COSTS OFF) EXECUTE q('$value')"), qr/Remote SQL: .*\$1::public\.\Q$type\E/, "parameter sent: $type");
	is(sql($node, "$prepare EXECUTE q('$value')"), sql($node, "SELECT n FROM here WHERE $literal ORDER BY n"), "the same: $type");
}

# so after the extension was dropped and made again, and where an array type was a column's
is( sql($node, <<'END'), "6\nt", 'all arrays are members, and go with the extension');
SELECT count(*) FROM pg_type t JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
WHERE t.typname IN ('_touchpoint', '_journey', '_journey_pattern', '_identifier', '_funnel_step', '_retention_cell');
BEGIN;
DROP FOREIGN TABLE there;
DROP TABLE here;
DROP EXTENSION pg_journey;
SELECT to_regtype('identifier[]') IS NULL AND to_regtype('_identifier') IS NULL;
ROLLBACK;
END

done_testing();
