# What comes next: against a second definition in plain SQL, over random journeys; and whether what
# it says is true of others: of what is called 30 %, 30 % happen. Half of the customers tell what
# comes next, of the other half it is counted what came: in Markov chains, whose chances are known
# exactly, and in the year of the demo's shop.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $demo = "$FindBin::RealBin/../../demo";

# ---- a second definition, row by row ----

sql($node, <<"END");
SELECT setseed(($PgJourney::SEED % 1000) / 1000.0);
CREATE TABLE touch (j int, n int, at timestamptz, item text, r int);
CREATE FUNCTION naive(within interval, until timestamptz, steps int, at_least int)
RETURNS TABLE (context text[], customers bigint, times bigint, effective float8, converted bigint, item text,
               item_customers bigint, item_times bigint, item_converted bigint)
LANGUAGE sql AS \$\$
    WITH pause AS (
        SELECT t.*, lead(item) OVER w AS next_item, lead(at) OVER w AS next_at, coalesce(at - lag(at) OVER w > within, true) AS begins
        FROM touch t WINDOW w AS (PARTITION BY j ORDER BY n)
    ), path AS (
        SELECT p.*, row_number() OVER (PARTITION BY j, part ORDER BY n) AS b
        FROM (SELECT p.*, sum(begins::int) OVER (PARTITION BY j ORDER BY n) AS part FROM pause p) p
    ), place AS MATERIALIZED (
        SELECT p.j, p.n, p.b, CASE WHEN next_at - at <= within THEN next_item END AS outcome,
               EXISTS (SELECT FROM touch c WHERE c.j = p.j AND c.n > p.n AND c.item = 'i0' AND c.at - p.at <= within) AS converts
        FROM path p WHERE until = 'infinity' OR until - at >= within
    ), met AS MATERIALIZED (
        SELECT p.*, CASE WHEN k > b THEN ARRAY[NULL] ELSE '{}' END
                    || (SELECT array_agg(q.item ORDER BY q.n) FROM touch q WHERE q.j = p.j AND q.n BETWEEN p.n - least(k, b) + 1 AND p.n) AS context
        FROM place p, generate_series(1, steps) k
        WHERE k <= b + 1
    ), whole AS (
        SELECT context, count(*) AS customers, sum(n) AS times, sum(n)::float8 ^ 2 / sum(n * n)::float8 AS effective, sum(c) AS converted
        FROM (SELECT context, j, count(*) AS n, count(*) FILTER (WHERE converts) AS c FROM met GROUP BY 1, 2) m
        GROUP BY context HAVING count(*) >= at_least
    ), outcome AS (
        SELECT context, outcome FROM met GROUP BY 1, 2 HAVING outcome IS NULL OR count(DISTINCT j) >= least(at_least, 5)
    ), named AS (
        SELECT m.*, CASE WHEN o.context IS NULL THEN '(other)' ELSE m.outcome END AS name
        FROM met m LEFT JOIN outcome o ON o.context = m.context AND o.outcome IS NOT DISTINCT FROM m.outcome
    )
    SELECT w.context, w.customers, w.times::bigint, w.effective, w.converted::bigint, n.name, count(DISTINCT n.j), count(*), count(*) FILTER (WHERE n.converts)
    FROM whole w JOIN named n ON n.context = w.context GROUP BY 1, 2, 3, 4, 5, 6;
\$\$;
END

my ($rows, $wrong) = (0, 0);
for my $run (1 .. slowly(12, 200))
{
    my $journeys = 1 + int rand 90;
    my $items = 2 + int rand 5;
    my $within = any('7 minutes', '1 hour', '1 day', '1 month');
    my $until = any("'infinity'", "'2026-03-02 12:00Z'", "'2026-03-05Z'");
    my ($steps, $at_least) = (1 + int rand 4, any(1, 1, 2, 6));
    my $got = sql($node, <<"END");
SELECT setseed($run / 1000.0) IS NULL;
TRUNCATE touch;
INSERT INTO touch
SELECT j, row_number() OVER (PARTITION BY j ORDER BY at, r), at, item, r
FROM (SELECT j, timestamptz '2026-03-01Z' + (random() * 20)::int * interval '7 minutes' + (random() * 3)::int * interval '1 day' AS at,
             'i' || floor(random() * random() * $items)::int AS item, (random() * 1e6)::int * 100 + i AS r
      FROM generate_series(1, $journeys) j, generate_series(1, 12) i WHERE i <= 1 + abs(hashint4(j)) % 12) t;
CREATE TEMP TABLE n AS
SELECT s.context, s.journeys_met, s.times, s.effective, s.converted, u.*
FROM next_steps(ARRAY(SELECT journey_agg(at, item, 'do', NULL, r) FROM touch GROUP BY j), 'channel', 'i0.do', '$within', $until, $steps, $at_least) s,
     unnest(s.items, s.item_journeys, s.item_times, s.item_converted) u(item, item_journeys, item_times, item_converted);
CREATE TEMP TABLE o AS SELECT * FROM naive('$within', $until, $steps, $at_least);
SELECT (SELECT count(*) FROM n),
       (SELECT count(*) FROM (SELECT * FROM (TABLE n EXCEPT ALL TABLE o) a UNION ALL SELECT * FROM (TABLE o EXCEPT ALL TABLE n) b) d);
DROP TABLE n, o;
END
    my (undef, $n, $differ) = split /[|\n]/, $got;
    $rows += $n;
    note "run $run: $n rows";
    next if $differ == 0;
    $wrong++;
    diag "run $run: $journeys journeys, $items items, within $within until $until, $steps steps, at least $at_least: $differ rows";
}
is($wrong, 0, "$rows rows of random journeys are as plain SQL has them");
cmp_ok($rows, '>', 100, '... and there were some');

# The same through a hub: each customer's last steps, the longest context that is known
like(sql($node, <<"END"), qr/^\s*t\|0\|t$/, q(each customer's next steps are as plain SQL has them));
TRUNCATE touch;
SELECT FROM setseed(($PgJourney::SEED % 1000) / 1000.0);
SELECT FROM journey_create_hub('crm');
UPDATE crm.next_step_models SET item = 'channel', conversion = 'i0.do', within = '2 days', at_least = 6;
BEGIN;
INSERT INTO touch
SELECT j, row_number() OVER (PARTITION BY j ORDER BY at, r), at, item, r
FROM (SELECT j, now() - (random() * 20)::int * interval '7 minutes' - (random() * 12)::int * interval '12 hours' AS at,
             'i' || floor(random() * random() * 5)::int AS item, (j * 100 + i) AS r
      FROM generate_series(1, 200) j, generate_series(1, 12) i WHERE i <= 1 + abs(hashint4(j)) % 12) t;
INSERT INTO crm.identities (identity_id, identifier, normal_id, customer_id, member_since)
SELECT j, identifier('id', j::text), j, j, now() FROM touch GROUP BY j;
INSERT INTO crm.customers (customer_id, identities) SELECT j, 1 FROM touch GROUP BY j;
INSERT INTO crm.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action) SELECT r, j, at, item, 'do' FROM touch;
SELECT FROM crm.refresh();
CREATE TEMP TABLE o AS SELECT * FROM naive('2 days', now(), 3, 6);
CREATE TEMP TABLE said AS SELECT j, s.* FROM (SELECT DISTINCT j FROM touch) t, crm.next_step(j) s;
CREATE TEMP TABLE last_steps AS  -- since the last pause that is too long
SELECT l.j, k, (SELECT array_agg(q.item ORDER BY q.n) FROM touch q WHERE q.j = l.j AND q.n > l.n - k) AS context
FROM (SELECT j, max(n) AS n, max(at) AS at FROM touch GROUP BY j HAVING now() - max(at) <= '2 days') l, generate_series(1, 3) k
WHERE k <= l.n AND NOT EXISTS (SELECT FROM touch a JOIN touch b ON b.j = a.j AND b.n = a.n + 1 WHERE a.j = l.j AND a.n > l.n - k AND b.at - a.at > '2 days');
INSERT INTO last_steps SELECT j, k + 1, ARRAY[NULL] || context FROM (SELECT DISTINCT ON (j) * FROM last_steps ORDER BY j, k DESC) l WHERE k < 3;
CREATE TEMP TABLE wanted AS
SELECT c.j, coalesce(o.item, '(end)') AS item, o.item_times / o.times::float8 AS probability, o.item_customers AS customers,
       CASE WHEN o.item IS NULL THEN 0 WHEN o.item_customers >= 6 THEN o.item_converted / o.item_times::float8 END AS converts,
       CASE WHEN o.customers - o.item_customers >= 6 THEN (o.converted - o.item_converted) / (o.times - o.item_times)::float8 END AS otherwise, array_replace(o.context, NULL, '(start)') AS context
FROM (SELECT DISTINCT ON (j) j, context FROM last_steps WHERE EXISTS (SELECT FROM o WHERE o.context = last_steps.context) ORDER BY j, k DESC) c JOIN o ON o.context = c.context;
SELECT (SELECT count(*) FROM wanted) > 100,
       (SELECT count(*) FROM wanted w FULL JOIN (SELECT * FROM said WHERE probability IS NOT NULL) s ON s.j = w.j AND s.item = w.item
        WHERE (w.probability, w.customers, w.converts, w.otherwise, w.context)
              IS DISTINCT FROM (s.probability, s.customers, s.converts, s.converts_otherwise, s.context)
              OR NOT (s.low <= s.probability AND s.probability <= s.high)),
       (SELECT bool_and(abs(p - 1) < 1e-9) FROM (SELECT sum(probability) AS p FROM said WHERE probability IS NOT NULL GROUP BY j) p)
       AND NOT EXISTS (SELECT FROM said s WHERE (s.probability IS NULL) <> (NOT EXISTS (SELECT FROM wanted w WHERE w.j = s.j)))
       AND NOT EXISTS (SELECT FROM said WHERE probability IS NULL AND reason IS NULL);
COMMIT;
END

# ---- is it true? ----

# What half of the customers of all_journeys tell: of each context and step the chance, its interval, and the chance to convert;
# and what came for the other half: how many times the context was met, the step came, and a conversion after it. A place counts
# for its longest context that is known.
sql($node, <<'END');
CREATE TABLE all_journeys (id bigint, journey journey);
CREATE FUNCTION wilson(p float8, n float8, sign int) RETURNS float8 LANGUAGE sql AS $$
    SELECT (p + 3.8415 / (2 * n) + sign * 1.95996 * sqrt(p * (1 - p) / n + 3.8415 / (4 * n ^ 2))) / (1 + 3.8415 / n)
$$;
CREATE FUNCTION held(part text, conversion journey_pattern, within interval, until timestamptz, steps int, at_least int)
RETURNS TABLE (context text[], item text, p float8, low float8, high float8, converts float8, converts_low float8, converts_high float8,
               times bigint, effective float8, happened bigint, converted bigint)
LANGUAGE sql AS $$
    WITH told AS MATERIALIZED (
        SELECT s.context, u.item, u.t / s.times::float8 AS p, s.effective AS n, u.j, CASE WHEN u.j >= at_least THEN u.c / u.t::float8 END AS converts
        FROM next_steps(ARRAY(SELECT journey FROM all_journeys WHERE id % 2 = 0), part, conversion, within, until, steps, at_least) s,
             unnest(s.items, s.item_journeys, s.item_times, s.item_converted) u(item, j, t, c)
    ), known AS MATERIALIZED (
        SELECT DISTINCT context FROM told
    ), step AS (
        SELECT id, s.position, s.occurred_at AS at, CASE part WHEN 'channel' THEN s.channel ELSE s.channel || '.' || s.action END AS item,
               journey[s.position:s.position] ~ conversion AS converts
        FROM all_journeys, journey_steps(journey) s WHERE id % 2 = 1
    ), place AS (
        SELECT id, at, lead(item) OVER w AS next_item, lead(at) OVER w - at <= within AS goes_on, item AS c1,
               CASE WHEN at - lag(at) OVER w <= within THEN lag(item) OVER w END AS c2,
               CASE WHEN at - lag(at) OVER w <= within AND lag(at) OVER w - lag(at, 2) OVER w <= within THEN lag(item, 2) OVER w END AS c3,
               coalesce(min(at) FILTER (WHERE converts) OVER (PARTITION BY id ORDER BY position ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) - at <= within, false) AS converts
        FROM step WINDOW w AS (PARTITION BY id ORDER BY position)
    ), held AS MATERIALIZED (
        SELECT coalesce(k3.context, k2.context, k1.context) AS context, CASE WHEN goes_on THEN next_item END AS outcome, converts, id
        FROM place LEFT JOIN known k3 ON k3.context = ARRAY[c3, c2, c1] LEFT JOIN known k2 ON k2.context = ARRAY[c2, c1] LEFT JOIN known k1 ON k1.context = ARRAY[c1]
        WHERE until = 'infinity' OR until - at >= within
    ), came AS MATERIALIZED (
        SELECT context, outcome, count(*) AS times, count(*) FILTER (WHERE converts) AS converted FROM held WHERE context IS NOT NULL GROUP BY 1, 2
    ), met AS MATERIALIZED (
        SELECT context, sum(n)::bigint AS times, sum(n)::float8 ^ 2 / sum(n * n)::float8 AS effective
        FROM (SELECT context, id, count(*) AS n FROM held WHERE context IS NOT NULL GROUP BY 1, 2) h GROUP BY 1
    )
    SELECT t.context, t.item, t.p, wilson(t.p, t.n, -1), wilson(t.p, t.n, 1), t.converts, wilson(t.converts, t.j, -1), wilson(t.converts, t.j, 1),
           m.times, m.effective, coalesce(c.times, 0), coalesce(c.converted, 0)
    FROM told t JOIN met m ON m.context = t.context LEFT JOIN came c ON c.context = t.context AND coalesce(c.outcome, '') = coalesce(t.item, '')
    WHERE t.item IS DISTINCT FROM '(other)';
$$;
END

# A chain of six states and an end, whose chances go by the last two
my $customers = slowly(6000, 60000);
sql($node, <<"END");
SELECT setseed(($PgJourney::SEED % 1000) / 1000.0);
CREATE TABLE chance AS
SELECT a, b, c, w / sum(w) OVER (PARTITION BY a, b) AS p, sum(w) OVER (PARTITION BY a, b ORDER BY c) / sum(w) OVER (PARTITION BY a, b) AS upto
FROM (SELECT a, b, c, random() ^ 2 + 0.02 AS w FROM generate_series(0, 6) a, generate_series(1, 6) b, generate_series(0, 6) c) x;
DO \$\$
DECLARE
    chance float8[] := ARRAY(SELECT h.upto FROM chance h ORDER BY h.a, h.b, h.c);
    a int; b int; c int; x float8; at timestamptz; all_times timestamptz[]; items text[];
BEGIN
    FOR id IN 1 .. $customers LOOP
        a := 0; b := 1 + floor(random() * 6); at := '2026-01-01Z'; all_times := '{}'; items := '{}';
        LOOP
            all_times := all_times || at; items := items || ('s' || b);
            x := random();
            c := 0;
            WHILE c < 6 AND chance[a * 42 + (b - 1) * 7 + c + 1] < x LOOP
                c := c + 1;
            END LOOP;
            EXIT WHEN c = 0;
            a := b; b := c; at := at + random() * interval '1 hour';
        END LOOP;
        INSERT INTO all_journeys SELECT id, journey_agg(t, i, 'do', NULL, n) FROM unnest(all_times, items) WITH ORDINALITY u(t, i, n);
    END LOOP;
END \$\$;
CREATE TABLE tell AS SELECT * FROM held('channel', 's1.do', '1 day', 'infinity', 3, 30);
END
my ($pairs, $covered) = split /\|/, sql($node, <<'END');
SELECT count(*), avg((c.p BETWEEN t.low AND t.high)::int)
FROM tell t JOIN chance c ON c.b = right(t.context[cardinality(t.context)], 1)::int AND c.a = coalesce(right(t.context[cardinality(t.context) - 1], 1)::int, 0)
                             AND c.c = CASE WHEN t.item IS NULL THEN 0 ELSE right(t.item, 1)::int END
WHERE cardinality(t.context) >= 2
END
cmp_ok($pairs, '>', 200, "Markov chain: $pairs chances are told by two steps or three");
cmp_ok($covered, '>', 0.93, "... and of 95 % intervals $covered have the true one in them");
calibrated('Markov chain');

# The demo's shop
my $part = slowly(3, 1);
my $file = $node->basedir . '/events';
sql($node, 'CREATE DATABASE shop');
run_log([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('shop'), '-f', "$demo/10_shop.sql" ])
  or BAIL_OUT('the shop is not to be had');
run_log([ 'psql', '-Xq', '-d', $node->connstr('shop'), '-c',
    "\\copy (SELECT customer_id, occurred_at, channel, action, value, id FROM shop.events WHERE customer_id % $part = 0) TO '$file'" ]);
sql($node, <<"END");
TRUNCATE all_journeys;
CREATE TABLE event (customer bigint, at timestamptz, channel text, action text, value numeric, id bigint);
\\copy event FROM '$file'
INSERT INTO all_journeys SELECT customer / $part, journey_agg(at, channel, action, value, id) FROM event GROUP BY customer;
TRUNCATE tell;
INSERT INTO tell SELECT * FROM held('label', '%.purchase', '30 days', '2026-01-01Z', 3, 30);
END
cmp_ok(sql($node, 'SELECT count(*) FROM tell'), '>', 100, 'the shop: chances are told');
calibrated('the shop');

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();

# Of what is called 30 %, 30 % happen, within the error that is told, and that of having counted what happened: in each tenth of
# chances, and so for conversions
sub calibrated
{
    my ($what) = @_;
    my @off;
    for (split /\n/, sql($node, <<'END'))
SELECT 'goes on', least(9, floor(p * 10)), sum(p * times) / sum(times), sum(happened)::float8 / sum(times), sum(times), sum((high - low) / 2 * times) / sum(times)
FROM tell GROUP BY 2 HAVING sum(times) >= 500
UNION ALL
SELECT 'converts', least(9, floor(converts * 10)), sum(converts * happened) / sum(happened), sum(converted)::float8 / sum(happened), sum(happened),
       sum((converts_high - converts_low) / 2 * happened) / sum(happened)
FROM tell WHERE converts IS NOT NULL GROUP BY 2 HAVING sum(happened) >= 500
ORDER BY 1, 2
END
    {
        my ($which, $tenth, $said, $happened, $times, $error) = split /\|/;
        note sprintf '%s, %s: of what is called %.3f, +- %.3f, %.3f happen (%d times)', $what, $which, $said, $error, $happened, $times;
        push @off, "$which $tenth: said $said, happened $happened" if abs($said - $happened) > $error + 2 * sqrt($happened * (1 - $happened) / $times);
    }
    # row by row: what was told and what happened are both counted, so both have an error
    for (split /\n/, sql($node, <<'END'))
SELECT 'step', count(*), avg((wilson(happened::float8 / times, effective, 1) >= low AND wilson(happened::float8 / times, effective, -1) <= high)::int)
FROM tell WHERE effective >= 30
UNION ALL
SELECT 'conversion', count(*), avg((wilson(converted::float8 / happened, happened, 1) >= converts_low AND wilson(converted::float8 / happened, happened, -1) <= converts_high)::int)
FROM tell WHERE converts IS NOT NULL AND happened >= 30
END
    {
        my ($which, $rows, $within) = split /\|/;
        note "$what: $rows chances of a $which, $within of them within the errors";
        push @off, "$which: $within" if $within < 0.95;
    }
    is("@off", '', "$what: of what is called 30 %, 30 % happen");
}
