-- measure.sql: how the benchmark measures inside the server, and writes it down.
--
-- bench.measure runs a section's candidates in turn (A B C, A B C, ...), so that
-- noise hits all alike. The first round warms up under EXPLAIN ANALYZE (again if
-- that found the cache cold) and keeps the plan; the timed rounds run the bare
-- query between two clock readings.
-- Every query returns one number, which must be the same in every round.

SET search_path = bench, public;

CREATE TABLE candidate (
    section text,
    seq int GENERATED ALWAYS AS IDENTITY,
    name text,
    floor text,             -- the candidate of the same section to divide by
    touchpoints bigint,     -- to divide the time by; NULL: no figure per touchpoint
    settings text[],
    query text,
    PRIMARY KEY (section, name)
);
CREATE TABLE result (section text, name text, run int, value float8, answer bigint);
CREATE TABLE plan (section text, name text, plan jsonb);
CREATE TABLE aim (n int, aim text, measured numeric, met boolean);      -- met NULL: not measured

-- Settings that leave the planner one way to group, and with 2 workers make it use
-- them: left alone it finds one process cheaper for many groups.
CREATE FUNCTION settings(way text, workers int) RETURNS text[] LANGUAGE sql
AS $$
    SELECT array_cat(
        ARRAY['max_parallel_workers_per_gather=' || workers, 'parallel_setup_cost=0', 'parallel_tuple_cost=0.01'],
        CASE way
            WHEN 'hash' THEN '{enable_sort=off,enable_indexscan=off,enable_indexonlyscan=off}'
            WHEN 'sort' THEN '{enable_hashagg=off,enable_indexscan=off,enable_indexonlyscan=off,enable_bitmapscan=off}'
            WHEN 'index' THEN '{enable_hashagg=off,enable_sort=off,enable_seqscan=off,enable_bitmapscan=off}'
            WHEN 'lookup' THEN '{enable_seqscan=off}'
            WHEN 'heap' THEN '{enable_indexscan=off,enable_indexonlyscan=off,enable_bitmapscan=off}'
            ELSE '{}'
        END::text[])
$$;

-- slow: what has no floor and takes longer than so many milliseconds to warm up is timed once.
CREATE PROCEDURE measure(which text, runs int, slow float8 DEFAULT 'infinity') LANGUAGE plpgsql
AS $$
DECLARE
    c bench.candidate;
    names text[] := ARRAY(SELECT name FROM bench.candidate WHERE section = which ORDER BY seq);
    n text;
    s text;
    began timestamptz;
    ended timestamptz;
    got bigint;
    warm json;
BEGIN
    FOR run IN 0..runs LOOP
        FOREACH n IN ARRAY names LOOP
            SELECT * INTO c FROM bench.candidate WHERE section = which AND name = n;
            CONTINUE WHEN run > 1 AND c.floor = '' AND EXISTS (
                SELECT FROM bench.plan p
                WHERE p.section = which AND p.name = n AND (p.plan->0->>'Execution Time')::float8 > slow);
            FOREACH s IN ARRAY c.settings LOOP
                PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), true);
            END LOOP;
            IF run = 0 THEN
                FOR attempt IN 1..2 LOOP
                    EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, BUFFERS, TIMING OFF, FORMAT JSON) ' || c.query INTO warm;
                    EXIT WHEN bench.plan_flaws(warm::jsonb) = '';
                END LOOP;
                INSERT INTO bench.plan VALUES (which, n, warm::jsonb);
            ELSE
                began := clock_timestamp();
                EXECUTE c.query INTO got;
                ended := clock_timestamp();
                INSERT INTO bench.result VALUES (which, n, run, extract(epoch FROM ended - began) * 1000, got);
            END IF;
            COMMIT;     -- also ends the settings
        END LOOP;
    END LOOP;
    IF EXISTS (SELECT FROM bench.result WHERE section = which GROUP BY name HAVING min(answer) <> max(answer)) THEN
        RAISE EXCEPTION 'section %: the answer changed between runs', which;
    END IF;
END
$$;

-- Node names from the top down, as "Finalize HashAggregate < Gather < ...".
CREATE FUNCTION plan_nodes(plan jsonb) RETURNS text LANGUAGE sql
AS $$
    WITH RECURSIVE node(n, depth) AS (
        SELECT plan->0->'Plan', 0
        UNION ALL
        SELECT child, depth + 1 FROM node, jsonb_array_elements(n->'Plans') child
    )
    SELECT string_agg(concat(
               nullif(n->>'Partial Mode', 'Simple') || ' ',
               CASE WHEN (n->>'Parallel Aware')::boolean THEN 'Parallel ' END,
               CASE WHEN n->>'Node Type' <> 'Aggregate' THEN n->>'Node Type'
                    ELSE CASE n->>'Strategy' WHEN 'Hashed' THEN 'HashAggregate'
                                             WHEN 'Sorted' THEN 'GroupAggregate' ELSE 'Aggregate' END
               END), ' < ' ORDER BY depth)
    FROM node
$$;

CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN bench.plan_nodes(plan::jsonb);
END
$$;

-- What would spoil a timing, or '' if nothing did.
CREATE FUNCTION plan_flaws(plan jsonb) RETURNS text LANGUAGE sql
AS $$
    SELECT concat_ws(', ',
        CASE WHEN plan @? '$.**."Disk Usage" ? (@ > 0)' OR plan @? '$.**."Sort Space Type" ? (@ == "Disk")'
             THEN 'spilled to disk' END,
        CASE WHEN plan @? '$.**."Shared Read Blocks" ? (@ > 0)' THEN 'read '
             || (plan->0->'Plan'->>'Shared Read Blocks') || ' blocks from outside shared_buffers' END,
        CASE WHEN plan @? '$.**."Workers Planned"'
                  AND NOT plan @? '$.** ? (@."Workers Planned" == @."Workers Launched")'
             THEN 'not all workers started' END)
$$;

CREATE FUNCTION megabytes(kb float8) RETURNS text LANGUAGE sql
AS $$ SELECT round((kb / 1024)::numeric) || ' MB' $$;

-- Hash table or sort memory, the leader's and the workers' added up.
CREATE FUNCTION plan_memory(plan jsonb) RETURNS text LANGUAGE sql
AS $$
    SELECT bench.megabytes(sum(v::float8))
    FROM jsonb_path_query(plan, 'strict $.**."Peak Memory Usage"') v
    HAVING sum(v::float8) > 0
    UNION ALL
    SELECT 'sort ' || bench.megabytes(sum(v::float8))
    FROM jsonb_path_query(plan, 'strict $.**."Sort Space Used"') v
    HAVING sum(v::float8) > 0
    LIMIT 1
$$;

CREATE VIEW summary AS
SELECT section, name, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median,
       min(value), max(value)
FROM result GROUP BY section, name;

CREATE FUNCTION plain(v float8) RETURNS text LANGUAGE sql
AS $$
    SELECT CASE WHEN abs(v) >= 100 THEN round(v::numeric)
                WHEN abs(v) >= 10 THEN round(v::numeric, 1)
                ELSE round(v::numeric, 2) END::text
$$;

CREATE FUNCTION report_plans(which text) RETURNS SETOF text LANGUAGE sql
AS $$
    SELECT format('Plan of %s: %s.', string_agg(name, ', ' ORDER BY seq), bench.plan_nodes(plan))
    FROM bench.candidate JOIN bench.plan USING (section, name)
    WHERE section = which GROUP BY bench.plan_nodes(plan) ORDER BY min(seq)
$$;

CREATE FUNCTION report_flaws(which text) RETURNS SETOF text LANGUAGE sql
AS $$
    SELECT format('**Beware:** %s: %s.', name, bench.plan_flaws(plan))
    FROM bench.plan WHERE section = which AND bench.plan_flaws(plan) <> ''
$$;

-- One section as a Markdown table, its plan or plans below.
CREATE FUNCTION report(which text) RETURNS SETOF text LANGUAGE sql
AS $$
    VALUES ('| query | median ms | min | max | ns a touchpoint | ratio to floor | memory |'),
           ('|---|---:|---:|---:|---:|---:|---|')
    UNION ALL
    (SELECT format('| %s | %s | %s | %s | %s | %s | %s |', c.name,
                   bench.plain(s.median), bench.plain(s.min), bench.plain(s.max),
                   bench.plain(s.median * 1e6 / c.touchpoints), round((s.median / f.median)::numeric, 2),
                   bench.plan_memory(p.plan))
     FROM bench.candidate c
          JOIN bench.summary s USING (section, name)
          LEFT JOIN bench.plan p USING (section, name)
          LEFT JOIN bench.summary f ON f.section = c.section AND f.name = c.floor
     WHERE c.section = which ORDER BY c.seq)
    UNION ALL
    SELECT ''
    UNION ALL
    SELECT bench.report_plans(which)
    UNION ALL
    SELECT format('**Beware:** %s and its floor %s had different plans.', c.name, c.floor)
    FROM bench.candidate c
         JOIN bench.plan p USING (section, name)
         JOIN bench.plan f ON f.section = c.section AND f.name = c.floor
    WHERE c.section = which AND c.name LIKE 'journey_agg%' AND c.floor LIKE 'noop_agg%'
          AND bench.plan_nodes(p.plan) <> bench.plan_nodes(f.plan)
    UNION ALL
    SELECT bench.report_flaws(which)
    UNION ALL
    SELECT ''
$$;
