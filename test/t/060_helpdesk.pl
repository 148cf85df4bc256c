# Proves the extension on a real log: the tickets of a help desk, each a journey,
# give the variants, directly-follows pairs with their times, first and last
# activities and rework that a process-mining library computed, by functions and by
# patterns. All rows are compared, both ways. The data isn't part of the project: PGJ_SHARED_DATA names
# its folder, ../shared/data beside the repository by default.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = ($ENV{PGJ_SHARED_DATA} || "$FindBin::Bin/../../../shared/data") . '/helpdesk';
plan skip_all => "no help-desk log in $data (PGJ_SHARED_DATA names the folder above it)" if !-r "$data/events.csv";

my $node = start_server('main');
sql($node, <<"END");
CREATE TABLE event (case_id text, activity text, ts timestamptz, seq bigint);
\\copy event FROM '$data/events.csv' CSV HEADER
CREATE TABLE variants (variant text, cases bigint);
\\copy variants FROM '$data/variants.csv' CSV HEADER
CREATE TABLE dfg (a text, b text, count bigint, mean float8, median float8, min float8, max float8, sum float8,
                  stdev float8);
\\copy dfg FROM '$data/dfg.csv' CSV HEADER
CREATE TABLE eventually (a text, b text, count bigint);
\\copy eventually FROM '$data/eventually_follows.csv' CSV HEADER
CREATE TABLE starts (activity text, count bigint);
\\copy starts FROM '$data/start_activities.csv' CSV HEADER
CREATE TABLE ends (activity text, count bigint);
\\copy ends FROM '$data/end_activities.csv' CSV HEADER
CREATE TABLE rework (activity text, cases bigint);
\\copy rework FROM '$data/rework.csv' CSV HEADER
CREATE TABLE ticket AS
SELECT case_id, journey_agg(ts, 'support', activity, NULL::numeric, seq) AS j FROM event GROUP BY case_id;
END

# rows computed from the journeys that the expected table lacks, and the other way round
sub same_rows
{
    my ($name, $query) = @_;
    cmp_ok(sql($node, "SELECT count(*) FROM $name"), '>', 0, "$name: there are rows to compare");
    is(sql($node, <<"END"), '', "$name: all rows, both ways");
WITH computed AS ($query)
SELECT 'computed only', c::text FROM (SELECT * FROM computed EXCEPT ALL TABLE $name) c
UNION ALL SELECT 'expected only', e::text FROM (TABLE $name EXCEPT ALL SELECT * FROM computed) e LIMIT 10
END
}

is(sql($node, 'SELECT count(*), sum(journey_length(j)) FROM ticket'), '4580|21348', 'tickets and events');
is(sql($node, <<'END'), 0, 'every event comes back from its journey');
SELECT count(*) FROM (SELECT case_id, action, occurred_at, ref FROM ticket, journey_steps(j)) s
FULL JOIN event e ON (e.case_id, e.activity, e.ts, e.seq) = (s.case_id, s.action, s.occurred_at, s.ref)
WHERE e.case_id IS NULL OR s.case_id IS NULL
END
same_rows('variants', "SELECT array_to_string(journey_path(j, 'action'), ' > '), count(*) FROM ticket GROUP BY 1");
same_rows('starts', 'SELECT touchpoint_action(j[1]), count(*) FROM ticket GROUP BY 1');
same_rows('ends', 'SELECT touchpoint_action(journey_nth(j, -1)), count(*) FROM ticket GROUP BY 1');
same_rows('rework', <<'END');
SELECT action, count(*) FROM (SELECT case_id, action FROM ticket, unnest(journey_path(j, 'action')) action
                              GROUP BY case_id, action HAVING count(*) > 1) r GROUP BY action
END
same_rows('eventually', <<'END');
SELECT x.action, y.action, count(*) FROM ticket, journey_steps(j) x, journey_steps(j) y
WHERE x."position" < y."position" GROUP BY 1, 2
END

# the standard deviation is that of a sample, NaN where there is one pair only
is(sql($node, <<'END'), '55|0', 'dfg: all rows and columns, both ways');
WITH pair AS (
    SELECT lag(action) OVER (PARTITION BY case_id ORDER BY "position") AS a, action AS b,
           extract(epoch FROM since_previous)::float8 AS seconds, "position"
    FROM ticket, journey_steps(j)
), computed AS (
    SELECT a, b, count(*),
           ARRAY[avg(seconds), percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), min(seconds), max(seconds),
                 sum(seconds), coalesce(stddev_samp(seconds), 'NaN')] AS seconds
    FROM pair WHERE "position" > 1 GROUP BY a, b
), expected AS (SELECT a, b, count, ARRAY[mean, median, min, max, sum, stdev] AS seconds FROM dfg)
SELECT count(*), count(*) FILTER (WHERE c.count IS DISTINCT FROM e.count OR EXISTS (
           SELECT FROM unnest(c.seconds, e.seconds) AS s(c, e)
           WHERE (s.c = s.e OR abs(s.c - s.e) <= 1e-9 * abs(s.e)) IS NOT TRUE))
FROM computed c FULL JOIN expected e USING (a, b)
END

# The same by patterns: a pattern for each ordered pair of activities, each put to
# each ticket, of three patterns one unless PGJ_SLOW is set. eventually_follows.csv counts pairs of events (above), not tickets, so
# what is to be compared with it is which pairs there are; how many tickets have each
# pair, and in how many of a ticket's matches, is compared with the rows.
my $every = slowly(3, 1);
sql($node, <<"END");
CREATE FUNCTION step(activity text) RETURNS text LANGUAGE sql RETURN 'support."' || replace(activity, '"', '""') || '"';
CREATE TABLE pair AS
SELECT a, b, (step(a) || ' -> ' || step(b))::journey_pattern AS later, (step(a) || ' => ' || step(b))::journey_pattern AS next
FROM (SELECT a, b, row_number() OVER (ORDER BY a COLLATE "C", b COLLATE "C") AS n
      FROM (SELECT DISTINCT activity FROM event) x(a), (SELECT DISTINCT activity FROM event) y(b)) x
WHERE n % $every = 0;
CREATE TABLE some_variants AS
SELECT variant, cases FROM (SELECT *, row_number() OVER (ORDER BY variant COLLATE "C") AS n FROM variants) v WHERE n % $every = 0;
CREATE TABLE found AS
SELECT a, b, count(*) FILTER (WHERE j ~ later) AS tickets, count(*) FILTER (WHERE journey_reached(j, later) = 2) AS reached,
       sum(journey_match_count(j, next)) AS next
FROM pair, ticket GROUP BY a, b;
END
is(sql($node, 'SELECT count(*), count(*) FILTER (WHERE tickets > 0) FROM found'),
    int(196 / $every) . '|' . sql($node, 'SELECT count(*) FROM eventually JOIN pair USING (a, b)'), 'pairs, and those that some ticket has');
is(sql($node, <<'END'), '', 'a -> b: the tickets that have it, all pairs');
SELECT f.* FROM found f LEFT JOIN eventually e USING (a, b)
LEFT JOIN (SELECT x.activity AS a, y.activity AS b, count(DISTINCT case_id) AS tickets
           FROM event x JOIN event y USING (case_id) WHERE (x.ts, x.seq) < (y.ts, y.seq) GROUP BY 1, 2) r USING (a, b)
WHERE (f.tickets > 0) <> (e.count IS NOT NULL) OR f.tickets > e.count
   OR f.tickets <> coalesce(r.tickets, 0) OR f.tickets <> f.reached
END
is(sql($node, <<'END'), '', 'a -> a: rework');
SELECT f.* FROM found f LEFT JOIN rework ON activity = a WHERE a = b AND tickets <> coalesce(cases, 0)
END
# Two matches of a => b can share a touchpoint only if a = b. So they are all the pairs,
# unless a = b: of k times a in a row k - 1 are pairs, but only k / 2 don't overlap. There
# the pairs are the touchpoints a less the rows of them.
is(sql($node, <<'END'), '', 'a => b: as often as it directly follows, all pairs');
SELECT f.* FROM found f LEFT JOIN dfg USING (a, b) WHERE a <> b AND next <> coalesce(count, 0)
UNION ALL
SELECT f.* FROM found f LEFT JOIN dfg USING (a, b) CROSS JOIN LATERAL (
    SELECT sum(journey_match_count(j, step(a)::journey_pattern) -
               cardinality(array_positions(journey_path(j, 'action', true), a))) AS pairs FROM ticket) p
WHERE a = b AND pairs <> coalesce(count, 0)
UNION ALL
SELECT f.* FROM found f LEFT JOIN (
    SELECT activity AS a, sum(k / 2) AS matches
    FROM (SELECT activity, count(*) AS k
          FROM (SELECT case_id, activity, row_number() OVER (PARTITION BY case_id ORDER BY ts, seq)
                       - row_number() OVER (PARTITION BY case_id, activity ORDER BY ts, seq) AS row FROM event) e
          GROUP BY case_id, activity, row) r GROUP BY 1) r USING (a)
WHERE a = b AND next <> coalesce(matches, 0)
END
is(sql($node, <<'END'), '', 'a => b: seconds between, all pairs of different activities');
SELECT a, b, seconds, sum FROM dfg JOIN pair USING (a, b) LEFT JOIN (
    SELECT a, b, sum(extract(epoch FROM journey_end(m) - journey_start(m)))::float8 AS seconds
    FROM pair, ticket, journey_match_all(j, next) m GROUP BY a, b) s USING (a, b)
WHERE a <> b AND seconds IS DISTINCT FROM sum
END
same_rows('some_variants', <<'END');
SELECT variant, sum((j ~ p)::integer)
FROM (SELECT variant, ('^ ' || (SELECT string_agg(step(a), ' => ' ORDER BY n) FROM unnest(string_to_array(variant, ' > ')) WITH ORDINALITY u(a, n))
                       || ' $')::journey_pattern AS p FROM some_variants) v, ticket GROUP BY variant
END
same_rows('starts', "SELECT a, count(*) FROM (SELECT DISTINCT a FROM pair) p, ticket WHERE j ~ ('^ ' || step(a))::journey_pattern GROUP BY a");
same_rows('ends', "SELECT a, count(*) FROM (SELECT DISTINCT a FROM pair) p, ticket WHERE j ~ (step(a) || ' \$')::journey_pattern GROUP BY a");

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
