# Flows against plain SQL: a real help desk's log and what a process-mining library makes of
# it, where that is at hand, and random journeys of which everything is counted a second time by
# queries over their rows, whatever the options. The log isn't part of the project:
# PGJ_SHARED_DATA names its folder, ../shared/data beside the repository by default.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $data = ($ENV{PGJ_SHARED_DATA} || "$FindBin::Bin/../../../shared/data") . '/helpdesk';

SKIP:
{
    skip "no help-desk log in $data (PGJ_SHARED_DATA names the folder above it)", 9 if !-r "$data/events.csv";
    sql($node, <<"END");
CREATE TABLE event (case_id text, activity text, ts timestamptz, seq bigint);
\\copy event FROM '$data/events.csv' CSV HEADER
CREATE TABLE dfg (a text, b text, count bigint, mean float8, median float8, min float8, max float8, sum float8, stdev float8);
\\copy dfg FROM '$data/dfg.csv' CSV HEADER
CREATE TABLE follows (a text, b text, count bigint);
\\copy follows FROM '$data/eventually_follows.csv' CSV HEADER
CREATE TABLE variant (variant text, cases bigint);
\\copy variant FROM '$data/variants.csv' CSV HEADER
CREATE TABLE starts (a text, count bigint);
\\copy starts FROM '$data/start_activities.csv' CSV HEADER
CREATE TABLE ends (a text, count bigint);
\\copy ends FROM '$data/end_activities.csv' CSV HEADER
CREATE TABLE rework (a text, count bigint);
\\copy rework FROM '$data/rework.csv' CSV HEADER
CREATE TABLE ticket AS
SELECT row_number() OVER () AS id, journey_agg(ts, 'support', activity, NULL, seq) AS journey FROM event GROUP BY case_id;
CREATE TABLE flows AS SELECT flow_agg(journey, 'action') AS flow FROM ticket;
END
    is(sql($node, 'SELECT sum(journey_length(journey)), count(*), flow_paths(flow) FROM ticket, flows GROUP BY flow'),
        '21348|4580|4580', 'the log');
    is(sql($node, <<'END'), '55', 'dfg.csv: all pairs, with counts, mean, median, least and greatest time');
SELECT count(*)
FROM flows CROSS JOIN LATERAL flow_transitions(flow) t JOIN dfg d ON (d.a, d.b) = (t.source, t.target)
WHERE t.times = d.count AND abs(extract(epoch FROM t.mean_time) - d.mean) < 0.000001
      AND extract(epoch FROM t.median_time) = d.median AND extract(epoch FROM t.min_time) = d.min
      AND extract(epoch FROM t.max_time) = d.max
END
    is(sql($node, 'SELECT count(*) FROM flows, flow_transitions(flow) WHERE source IS NOT NULL AND target IS NOT NULL'),
        '55', '... and no other');
    is(sql($node, "SELECT count(*), bool_and(t.times = s.count AND t.journeys = s.count)
        FROM (SELECT t.* FROM flows, flow_transitions(flow) t WHERE source IS NULL) t FULL JOIN starts s ON s.a = t.target"),
        sql($node, 'SELECT count(*), true FROM starts'), 'start_activities.csv');
    is(sql($node, "SELECT count(*), bool_and(t.times = s.count AND t.journeys = s.count)
        FROM (SELECT t.* FROM flows, flow_transitions(flow) t WHERE target IS NULL) t FULL JOIN ends s ON s.a = t.source"),
        sql($node, 'SELECT count(*), true FROM ends'), 'end_activities.csv');
    is(sql($node, "SELECT count(*), bool_and(coalesce(v.journeys = f.cases, false))
        FROM (SELECT v.* FROM flows, flow_variants(flow) v) v FULL JOIN variant f ON f.variant = array_to_string(v.path, ' > ')"),
        sql($node, 'SELECT count(*), true FROM variant'), 'variants.csv');
    is(sql($node, "SELECT count(*), bool_and(coalesce(t.rework = r.count, false))
        FROM (SELECT t.* FROM flows, flow_items(flow) t WHERE rework > 0) t FULL JOIN rework r ON r.a = t.item"),
        sql($node, 'SELECT count(*), true FROM rework'), 'rework.csv');
    is(sql($node, "SELECT count(*), bool_and(coalesce(t.times = r.count, false))
        FROM (SELECT t.* FROM flows, flow_follows(flow) t) t FULL JOIN follows r ON (r.a, r.b) = (t.source, t.target)"),
        sql($node, 'SELECT count(*), true FROM follows'), 'eventually_follows.csv');
    is(sql($node, "SELECT count(*) FROM flows WHERE flow = (SELECT flow_agg(journey_block, 'action') FROM
            (SELECT journey_block_agg(id, journey) AS journey_block FROM ticket GROUP BY id % 7) b)
        AND flow = (SELECT flow_agg(part) FROM (SELECT flow_agg(journey, 'action') AS part FROM ticket GROUP BY id % 5) p)
        AND flow = flow::text::flow"), '1', 'the same over blocks, in parts, and as text');
}

# ---- random journeys, and their rows ----

sql($node, <<"END");
SELECT setseed(($PgJourney::SEED % 1000) / 1000.0);
CREATE TABLE touch AS
SELECT j, row_number() OVER (PARTITION BY j ORDER BY at, r) AS n, at, item, r
FROM (SELECT j, timestamptz '2026-03-01' + (random() * 20)::int * interval '7 minutes' + (random() * 3)::int * interval '1 day' AS at,
             'i' || floor(random() * random() * 6)::int AS item, (random() * 1e6)::int * 100 + i AS r
      FROM generate_series(1, 60) j, generate_series(1, 12) i WHERE i <= 1 + hashint4(j) \% 12 OR i = 1) t;
CREATE TABLE random_journey AS
SELECT j AS id, journey_agg(at, item, 'do', NULL, r) AS journey FROM touch GROUP BY j;

-- The touchpoints of paths: which path, counted in the order of reading, and which step. A second definition, row by row
CREATE FUNCTION path_rows(start_item text, end_item text, backward boolean, gap interval, collapse boolean,
                          OUT path text, OUT step int, OUT steps int, OUT item text, OUT first timestamptz, OUT last timestamptz,
                          OUT touches int, OUT converted boolean)
RETURNS SETOF record LANGUAGE plpgsql AS \$\$
DECLARE
    x record;
    of_journey int := -1;
    part int := 0;
    inside boolean;
    prior timestamptz;
    begins text := CASE WHEN backward THEN end_item ELSE start_item END;
    ends text := CASE WHEN backward THEN start_item ELSE end_item END;
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS cut (path text, n int, item text, at timestamptz, o int);
    TRUNCATE cut;
    FOR x IN SELECT t.j, t.n, t.item, t.at FROM touch t ORDER BY t.j, CASE WHEN backward THEN -t.n ELSE t.n END LOOP
        IF x.j <> of_journey THEN
            of_journey := x.j; part := 0; inside := false;
        ELSIF inside AND greatest(x.at - prior, prior - x.at) > gap THEN
            inside := false;
        END IF;
        prior := x.at;
        IF NOT inside AND (begins IS NULL OR x.item = begins) THEN
            inside := true; part := part + 1;
        ELSIF NOT inside THEN
            CONTINUE;
        END IF;
        INSERT INTO cut VALUES (x.j || '.' || part, x.n, x.item, x.at, 0);
        IF x.item = ends THEN
            inside := false;
        END IF;
    END LOOP;
    RETURN QUERY
    WITH g AS (
        SELECT c.*, sum(CASE WHEN NOT collapse OR c.item IS DISTINCT FROM c.before THEN 1 ELSE 0 END) OVER (PARTITION BY c.path ORDER BY c.n)::int AS s
        FROM (SELECT c.*, lag(c.item) OVER (PARTITION BY c.path ORDER BY c.n) AS before FROM cut c) c
    ), st AS (
        SELECT g.path, g.s, min(g.item) AS item, min(g.at) AS first, max(g.at) AS last, count(*)::int AS touches FROM g GROUP BY 1, 2
    )
    SELECT st.path, (CASE WHEN backward THEN 1 + max(st.s) OVER w - st.s ELSE st.s END)::int, max(st.s) OVER w, st.item, st.first, st.last,
           st.touches, coalesce((SELECT c.item = end_item FROM cut c WHERE c.path = st.path ORDER BY c.n DESC LIMIT 1), false)
    FROM st WINDOW w AS (PARTITION BY st.path);
END \$\$;
END

my @options;
for my $i (1 .. slowly(12, 300))
{
    my %o;
    $o{start} = '"i' . int(rand 3) . '.do"' if rand() < 0.4;
    $o{end} = '"i' . int(rand 3) . '.do"' if rand() < 0.4;
    $o{direction} = '"backward"' if rand() < 0.4;
    $o{gap} = '"' . (20, 60, 1440)[ rand 3 ] . ' minutes"' if rand() < 0.4;
    $o{collapse} = 'true' if rand() < 0.4;
    $o{max_steps} = 1 + int rand 6 if rand() < 0.4;
    push @options, $i == 1 ? {} : \%o;
}

for my $o (@options)
{
    my $json = '{' . join(', ', map { "\"$_\": $o->{$_}" } sort keys %$o) . '}';
    my $item = sub { my $x = $o->{ $_[0] }; defined $x ? "'" . ($x =~ s/["]|\.do//gr) . "'" : 'NULL' };
    my $back = defined $o->{direction} ? 1 : 0;
    my $max = $o->{max_steps} // 1000000;
    my $gap = defined $o->{gap} ? "interval '" . ($o->{gap} =~ s/"//gr) . "'" : 'NULL';
    my $collapse = defined $o->{collapse} ? 'true' : 'false';
    my $top = 1 + int rand 3;
    my $cuts = "path_rows(@{[$item->('start')]}, @{[$item->('end')]}, @{[$back ? 'true' : 'false']}, $gap, $collapse)";
    my $got = sql($node, <<"END");
CREATE TEMP TABLE f AS SELECT flow_agg(journey, 'channel', '$json') AS flow FROM random_journey;
CREATE TEMP TABLE p AS SELECT * FROM $cuts WHERE step <= $max;
CREATE TEMP TABLE e AS
SELECT a.path, a.step, a.item AS node, a.touches, coalesce(b.item, CASE WHEN a.steps > $max AND a.step = $max THEN '(more)' WHEN $back = 1 THEN '(start)' ELSE '(end)' END) AS other,
       CASE WHEN $back = 1 THEN a.first - b.last ELSE b.first - a.last END AS after
FROM p a LEFT JOIN p b ON b.path = a.path AND b.step = a.step + 1;
SELECT 'paths ' || (SELECT coalesce(flow_paths(flow), 0) FROM f) - (SELECT count(DISTINCT path) FROM p);
SELECT 'edges', count(*) FROM (
    SELECT CASE WHEN $back = 1 THEN -1 - step ELSE step END AS step,
           CASE WHEN $back = 1 THEN -1 - step || ' ' || other ELSE step || ' ' || node END AS source,
           CASE WHEN $back = 1 THEN -step || ' ' || node ELSE step + 1 || ' ' || other END AS target, count(*) AS journeys,
           sum(touches)::bigint AS touchpoints, percentile_cont(0.5) WITHIN GROUP (ORDER BY after) AS median,
           percentile_cont(0.9) WITHIN GROUP (ORDER BY after) AS p90
    FROM e GROUP BY step, node, other) x
FULL JOIN (SELECT s.* FROM f, flow_edges(flow) s) y USING (step, source, target)
WHERE (x.journeys, x.touchpoints, x.median, x.p90) IS DISTINCT FROM (y.journeys, y.touchpoints, y.median_time, y.p90_time);
WITH r AS (
    SELECT step, node, row_number() OVER (PARTITION BY step ORDER BY count(*) DESC, node COLLATE "C") AS rank FROM e GROUP BY 1, 2
), x AS (
    SELECT CASE WHEN $back = 1 THEN -1 - e.step ELSE e.step END AS step,
           CASE WHEN r.rank <= $top THEN e.node ELSE '(other)' END AS node,
           CASE WHEN s.rank <= $top OR e.other LIKE '(%' THEN e.other ELSE '(other)' END AS other, count(*) AS journeys,
           sum(e.touches)::bigint AS touchpoints, percentile_cont(0.5) WITHIN GROUP (ORDER BY e.after) AS median
    FROM e JOIN r ON (r.step, r.node) = (e.step, e.node) LEFT JOIN r s ON (s.step, s.node) = (e.step + 1, e.other) GROUP BY 1, 2, 3
)
SELECT 'top', count(*)
FROM (SELECT step, step || ' ' || CASE WHEN $back = 1 THEN other ELSE node END AS source,
             step + 1 || ' ' || CASE WHEN $back = 1 THEN node ELSE other END AS target, journeys, touchpoints, median FROM x) x
     FULL JOIN (SELECT s.* FROM f, flow_edges(flow, $top) s) y USING (step, source, target)
WHERE (x.journeys, x.touchpoints, x.median) IS DISTINCT FROM (y.journeys, y.touchpoints, y.median_time);
SELECT 'transitions', count(*) FROM (
    SELECT CASE WHEN $back = 1 THEN other ELSE node END AS source, CASE WHEN $back = 1 THEN node ELSE other END AS target, count(*) AS times,
           count(DISTINCT path) AS journeys, avg(after) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY after) AS median,
           percentile_cont(0.9) WITHIN GROUP (ORDER BY after) AS p90, min(after) AS min, max(after) AS max
    FROM e WHERE other NOT LIKE '(%' GROUP BY 1, 2) x
FULL JOIN (SELECT s.* FROM f, flow_transitions(flow) s WHERE source IS NOT NULL AND target IS NOT NULL) y USING (source, target)
WHERE (x.times, x.journeys, x.median, x.p90, x.min, x.max) IS DISTINCT FROM (y.times, y.journeys, y.median_time, y.p90_time, y.min_time, y.max_time)
      OR abs(extract(epoch FROM x.mean - y.mean_time)) > 0.000002;
SELECT 'variants', count(*) FROM (
    SELECT path, count(*) AS journeys, percentile_cont(0.5) WITHIN GROUP (ORDER BY took) AS took
    FROM (SELECT CASE WHEN $back = 1 AND max(steps) > $max THEN ARRAY['(more)'] END
                 || array_agg(item ORDER BY CASE WHEN $back = 1 THEN -step ELSE step END)
                 || CASE WHEN $back = 0 AND max(steps) > $max THEN ARRAY['(more)'] END AS path, max(last) - min(first) AS took, bool_or(converted) AS converted
          FROM p GROUP BY p.path) v
    GROUP BY path, converted) x
FULL JOIN (SELECT s.* FROM f, flow_variants(flow) s) y ON (x.path, x.journeys, x.took) = (y.path, y.journeys, y.median_duration)
WHERE x.path IS NULL OR y.path IS NULL;
SELECT 'shares', count(*) FROM f, flow_variants(flow) v WHERE abs(share - journeys::float8 / flow_paths(flow)) > 1e-12;
SELECT 'sums', count(*) FROM (
    SELECT sum(journeys) FILTER (WHERE $back = 1 OR true) AS all_journeys FROM f, flow_edges(flow, $top) GROUP BY step
    HAVING sum(journeys) > (SELECT flow_paths(flow) FROM f)) s;
SELECT 'again', count(*) FROM f, flow_what_if(flow, '{}') w WHERE abs(visits - changed_visits) > 1e-9 * visits
    OR abs(coalesce(conversions - changed_conversions, 0)) > 1e-9 * visits;
SELECT 'forms', count(*) FROM f WHERE flow IS DISTINCT FROM flow::text::flow
    OR flow IS DISTINCT FROM (SELECT flow_agg(block, 'channel', '$json') FROM (SELECT journey_block_agg(id, journey) AS block FROM random_journey GROUP BY id % 3) b)
    OR flow IS DISTINCT FROM (SELECT flow_agg(part) FROM (SELECT flow_agg(journey, 'channel', '$json' ORDER BY id DESC) AS part FROM random_journey GROUP BY id % 4) b);
DROP TABLE f, p, e;
END
    is($got, "paths 0\nedges|0\ntop|0\ntransitions|0\nvariants|0\nshares|0\nsums|0\nagain|0\nforms|0", "flows with $json");
}

# ---- alignments ----

# A journey is a match if, and only if, it costs nothing; the moves tell what they say
my @patterns;
for (1 .. slowly(12, 200))
{
    my @links = ('->', '=>', '-[!i' . int(rand 4) . '.%]->');
    my $step = sub { my $x = rand; return $x < 0.7 ? 'i' . int(rand 4) . '.do' : $x < 0.8 ? '%' : '(i0.do | i' . (1 + int rand 4) . '.do)' };
    my $pattern = rand() < 0.4 ? '^ ' : '';
    for my $n (0 .. int rand 4)
    {
        $pattern .= ' ' . $links[ rand @links ] . ' ' if $n > 0;
        $pattern .= $step->() . (rand() < 0.2 ? '{1,3}' : $n > 0 && rand() < 0.2 ? '?' : '');
    }
    $pattern .= ' $' if rand() < 0.4;
    push @patterns, $pattern;
}
push @patterns, 'all(i0.do, i1.do, i2.do)', '^ (i0.do =>){2} => i1.do $';
my $list = join ', ', map { "('$_'::journey_pattern)" } @patterns;
is(sql($node, <<"END"), '0|0|0|0|t', 'alignments: fitness is 1 just for matches, and moves cost what it says');
SELECT count(*) FILTER (WHERE (fitness = 1) <> (journey ~ p)), count(*) FILTER (WHERE fitness < 0 OR fitness > 1),
       count(*) FILTER (WHERE (cost = 0) <> (fitness = 1)), count(*) FILTER (WHERE NOT in_order OR wrong > 0), count(*) FILTER (WHERE fitness < 1) > 20
FROM (SELECT journey, p, journey_fitness(journey, p) AS fitness FROM random_journey, (VALUES $list) v(p)) f,
     LATERAL (SELECT count(*) FILTER (WHERE move <> 'match') AS cost,
                     array_agg(position ORDER BY n) FILTER (WHERE position IS NOT NULL) IS NOT DISTINCT FROM array_agg(position ORDER BY position) FILTER (WHERE position IS NOT NULL) AS in_order,
                     count(*) FILTER (WHERE move = 'match' AND touchpoint_action(journey[position]) <> 'do') AS wrong
              FROM journey_alignment(journey, p) WITH ORDINALITY a(move, step, position, n)) a
END

# Against a plan without freedom: what the longest common subsequence leaves
my (@expected, @plans);
for (1 .. 8)
{
    push @plans, [ map { 'i' . int rand 4 } 0 .. int rand 6 ];
}
my %path = map { split /\|/ } split /\n/, sql($node, "SELECT id, array_to_string(journey_path(journey, 'channel'), ',') FROM random_journey");
for my $id (sort { $a <=> $b } keys %path)
{
    my @j = split /,/, $path{$id};
    for my $k (0 .. $#plans)
    {
        my @p = @{ $plans[$k] };
        my @row = (0) x (@p + 1);
        for my $item (@j)
        {
            my @next = (0);
            push @next, $item eq $p[$_] ? $row[$_] + 1 : $row[ $_ + 1 ] > $next[$_] ? $row[ $_ + 1 ] : $next[$_] for 0 .. $#p;
            @row = @next;
        }
        push @expected, sprintf '%d|%d|%d', $id, $k, @j + @p - 2 * $row[-1];
    }
}
my $values = join ', ', map { "($_, '^ " . join(' => ', map { "$_.do" } @{ $plans[$_] }) . " \$')" } 0 .. $#plans;
is(sql($node, "SELECT id, k, (SELECT count(*) FROM journey_alignment(journey, p::journey_pattern) WHERE move <> 'match')
    FROM random_journey, (VALUES $values) v(k, p) ORDER BY id, k"), join("\n", @expected), 'alignments with strict plans cost as little as can be');

# ---- with workers, as binary, and corrupt ----

my $mixed = q('channel', '{"end": "i1.do", "gap": "1 day", "collapse": true}');
my $binary = $node->basedir . '/flow.bin';
is(sql($node, <<"END"), "t\nt", 'the same with workers, and from its binary form');
CREATE TABLE of_random AS SELECT flow_agg(journey, $mixed) AS flow FROM random_journey;
ALTER TABLE random_journey SET (parallel_workers = 2);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT flow = (SELECT flow_agg(journey, $mixed) FROM random_journey) FROM of_random;
CREATE TABLE again (flow flow);
COPY of_random TO '$binary' BINARY;
COPY again FROM '$binary' BINARY;
SELECT a.flow = o.flow FROM again a, of_random o;
END

# Bytes changed, cut off, put in: each reader answers, or says that the value is corrupt
my $mutations = slowly(1500, 100000);
is(sql($node, <<"END"), '0', "$mutations corrupt values: an answer, or that it is corrupt");
CREATE CAST (flow AS bytea) WITHOUT FUNCTION;
CREATE CAST (bytea AS flow) WITHOUT FUNCTION;
CREATE TABLE wrong (state text, message text);
CREATE FUNCTION try_corrupt(bytes bytea) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    f flow := bytes::flow;
    query text;
BEGIN
    FOREACH query IN ARRAY ARRAY['SELECT count(*) FROM flow_edges(\$1, 2)', 'SELECT count(*) FROM flow_transitions(\$1)',
        'SELECT count(*) FROM flow_variants(\$1)', 'SELECT count(*) FROM flow_items(\$1)', 'SELECT count(*) FROM flow_follows(\$1)',
        'SELECT count(*) FROM flow_next(\$1, ''{i0.do\@2026-03-01T00:00:00Z}'')', 'SELECT count(*) FROM flow_what_if(\$1, ''{}'')',
        'SELECT length(\$1::text)', 'SELECT length(flow_agg(f)::bytea) FROM (VALUES (\$1), ((SELECT flow FROM of_random))) v(f)'] LOOP
        BEGIN
            EXECUTE query USING f;
        EXCEPTION WHEN OTHERS THEN
            -- a changed option or count may be a sound one of something else
            IF SQLSTATE NOT IN ('XX001', '22023', '22003', '54000') THEN
                INSERT INTO wrong VALUES (SQLSTATE, SQLERRM || ' of ' || query || ' of ' || encode(bytes, 'hex'));
            END IF;
        END;
    END LOOP;
END \$\$;
DO \$\$
DECLARE
    sound bytea := (SELECT flow::bytea FROM of_random);
    b bytea;
    at int;
BEGIN
    FOR i IN 1 .. $mutations LOOP
        at := floor(random() * length(sound));
        b := CASE i % 4
             WHEN 0 THEN substr(sound, 1, at)
             WHEN 1 THEN set_byte(sound, at, floor(random() * 256)::int)
             WHEN 2 THEN substr(sound, 1, at) || substr(sound, at + 2 + floor(random() * 4)::int)
             ELSE set_byte(set_byte(sound, at, get_byte(sound, at) # (1 << floor(random() * 8)::int)), (at * 7) % length(sound), floor(random() * 4)::int) END;
        PERFORM try_corrupt(b);
    END LOOP;
END \$\$;
SELECT count(*) FROM wrong;
END
diag(sql($node, 'SELECT * FROM wrong LIMIT 3')) if sql($node, 'SELECT count(*) FROM wrong') ne '0';

$node->stop;
done_testing();
