# Proves the extension on a real log: the tickets of a help desk, each a journey,
# give the variants, directly-follows pairs with their times, first and last
# activities and rework that a process-mining library computed. All rows are
# compared, both ways. The data isn't part of the project: PGJ_SHARED_DATA names
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

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
