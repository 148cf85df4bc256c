-- What stitching reads doesn't depend on when statistics were gathered, nor on what a session's plans were made for: here
-- all was empty. Rows read are counted, an identity.
SET client_min_messages = warning;
SELECT journey_create_hub('crm');
SELECT count(*) FROM crm.use_recommended_rules('PT');
ANALYZE crm.identities, crm.customers, crm.evidence, crm.former_memberships, crm.identity_pairs, crm.touchpoint_keys, crm.touchpoints;
SELECT count(crm.identify(ARRAY['w:' || n / 2, 'v:' || n / 3]::identifier[], '2026-01-01Z', 's', 'w' || n)),
       count(crm.retract('s', 'w' || n)) FROM generate_series(1, 20) n;
CREATE FUNCTION seen(n int, kind text) RETURNS crm.observation LANGUAGE sql
RETURN ROW(ARRAY['email:e' || n / 2 || '@x.pt', 'phone:+3519' || 10000000 + n / 3, 'cookie:' || kind || n]::identifier[],
           timestamptz '2026-01-01Z' + n * interval '1 second', 's', kind || n)::crm.observation;
CREATE FUNCTION rows_read(OUT of_identities bigint, OUT of_customers bigint, OUT of_evidence bigint) LANGUAGE sql AS $$
    SELECT sum(s.seq_tup_read + s.idx_tup_fetch) FILTER (WHERE s.relname = 'identities') / 4000,
           sum(s.seq_tup_read + s.idx_tup_fetch) FILTER (WHERE s.relname = 'customers') / 4000,
           sum(s.seq_tup_read + s.idx_tup_fetch) FILTER (WHERE s.relname = 'evidence') / 4000
    FROM pg_stat_xact_user_tables s WHERE s.schemaname = 'crm' $$;
CREATE TABLE step (n int, sql text);
INSERT INTO step VALUES
    (1, $$SELECT count(crm.identify(o.identifiers, o.observed_at, o.source, o.source_key)) FROM generate_series(1, 2000) n, seen(n, 'one') o$$),
    (2, $$SELECT cardinality(crm.identify_many(array_agg(seen(n, 'many')))) FROM generate_series(2001, 4000) n$$),
    (3, $$SELECT cardinality(crm.identify_many(array_agg(seen(n, 'again')))) FROM generate_series(1, 4000) n$$),
    (4, $$SELECT count(crm.retract('s', 'one' || n)) FROM generate_series(1, 1000) n$$),
    (5, $$SELECT crm.retract_many('s', array_agg('again' || n)) FROM generate_series(1, 3000) n$$);
CREATE FUNCTION run(step, OUT few boolean) LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    r record;
    before record;  -- of statements before, whose counts have not gone out
BEGIN
    SELECT * INTO before FROM rows_read();
    EXECUTE $1.sql INTO n;
    SELECT s.of_identities - coalesce(before.of_identities, 0) AS of_identities, s.of_customers - coalesce(before.of_customers, 0) AS of_customers,
           s.of_evidence - coalesce(before.of_evidence, 0) AS of_evidence INTO r FROM rows_read() s;
    few := greatest(r.of_identities, r.of_customers, r.of_evidence) < 100;
    IF NOT few THEN
        RAISE WARNING 'rows read, an identity: %', r;
    END IF;
END $$;
SELECT step.n, run(step) AS few FROM step WHERE n = 1;
SELECT step.n, run(step) AS few FROM step WHERE n = 2;
SELECT step.n, run(step) AS few FROM step WHERE n = 3;
SELECT step.n, run(step) AS few FROM step WHERE n = 4;
SELECT step.n, run(step) AS few FROM step WHERE n = 5;
SELECT count(*) FROM crm.stitch_check();
DROP FUNCTION run, rows_read, seen;
DROP TABLE step;
SELECT journey_drop_hub('crm', true);
