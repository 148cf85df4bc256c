-- Row-level security by tenant: a hub of several shops, each of which sees its own customers only, through every view and function.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_shop_a;
CREATE ROLE regress_shop_b;
CREATE ROLE regress_shop_none;
CREATE ROLE regress_shop_loader;
SELECT journey_create_hub('shops');
-- rules add normal forms for all tenants at once, so an identifier tells its tenant itself
ALTER TABLE shops.identities ADD COLUMN tenant text
    GENERATED ALWAYS AS ('regress_shop_' || split_part(identifier_namespace(identifier), '_', 1)) STORED;
ALTER TABLE shops.touchpoints ADD COLUMN tenant text NOT NULL, ALTER tenant SET DEFAULT current_setting('shops.tenant');
ALTER TABLE shops.spend ADD tenant text NOT NULL DEFAULT current_user, DROP CONSTRAINT one_amount, ADD UNIQUE NULLS NOT DISTINCT (tenant, day, channel, campaign, currency);
INSERT INTO shops.spend (day, channel, campaign, amount, tenant) SELECT '2026-03-01', 'ads', 'call ' || t, 1, 'regress_shop_' || t FROM unnest('{a,b}'::text[]) t;
INSERT INTO shops.spend (day, channel, amount, tenant) SELECT '2026-03-01', 'web', 1, 'regress_shop_' || t FROM unnest('{a,b}'::text[]) t;
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES
        ('identities', 'tenant = current_user'),
        ('touchpoints', 'tenant = current_user'),
        ('customers', 'EXISTS (SELECT FROM shops.identities i WHERE i.identity_id = customers.customer_id)'),
        ('customer_journeys', 'EXISTS (SELECT FROM shops.identities i WHERE i.identity_id = customer_journeys.customer_id)'),
        ('former_memberships', 'EXISTS (SELECT FROM shops.identities i WHERE i.identity_id = former_memberships.identity_id)'),
        ('journey_changes', 'EXISTS (SELECT FROM shops.identities i WHERE i.identity_id = journey_changes.identity_id)'),
        ('evidence', 'EXISTS (SELECT FROM shops.identities i WHERE i.identity_id = ANY (evidence.identities))'),
        ('identity_pairs', 'EXISTS (SELECT FROM shops.identities i WHERE i.identity_id = identity_pairs.a)'),
        ('spend', 'tenant = current_user')) v(name, condition)
    LOOP
        EXECUTE format('ALTER TABLE shops.%I ENABLE ROW LEVEL SECURITY', t.name);
        EXECUTE format('CREATE POLICY own_tenant ON shops.%I FOR SELECT USING (%s)', t.name, t.condition);
        EXECUTE format('CREATE POLICY loads_all ON shops.%I TO regress_shop_loader USING (true)', t.name);
    END LOOP;
END $$;
SELECT count(shops.grant_access(role, 'reader', identifiers => true)) FROM unnest('{regress_shop_a,regress_shop_b,regress_shop_none}'::text[]) role;
SELECT shops.grant_access('regress_shop_loader', 'writer');

-- the loader says for whom it loads; the shops have the same customers, by identifiers of their own
SET ROLE regress_shop_loader;
\set VERBOSITY terse
SELECT shops.record('{a_card:1}', '2026-03-01Z', 'web', 'view');
SELECT set_config('shops.tenant', 'regress_shop_' || t, false), cardinality(shops.record_many(ARRAY[
    (ARRAY[identifier(t || '_card', '1'), identifier(t || '_cookie', '1')], '2026-03-01 10:00Z', 'web', 'view', NULL, NULL, 'in', 'thread ' || t, NULL, NULL, t, '1', NULL, NULL, NULL),
    (ARRAY[identifier(t || '_card', '1')], '2026-03-01 11:00Z', 'store ' || t, 'buy', 10, 'EUR', NULL, NULL, NULL, NULL, t, '2', '{"size": 1}', NULL, NULL),
    (ARRAY[identifier(t || '_card', '2')], '2026-03-02 11:00Z', 'phone', 'call', NULL, NULL, 'in', 'call ' || t, NULL, NULL, t, '3', NULL, NULL, NULL)]::shops.event[])) AS recorded
FROM unnest('{a,b}'::text[]) t;
SELECT shops.retract('a', '1');
-- traits are seen with the identity they are of, which needs no policy of the shop's
SELECT count(shops.set_traits(identifier(t || '_card', '1'), jsonb_build_object('shop', 'store ' || t, 'name', 'thread ' || t), t, '2026-03-01Z'))
FROM unnest('{a,b}'::text[]) t;
-- so are assignments
RESET ROLE;
INSERT INTO shops.queues (queue) VALUES ('desk');
SELECT count(shops.assign(shops.customer_of(identifier(t || '_card', '2')), 'desk', source => t, conversation => 'call ' || t)) FROM unnest('{a,b}'::text[]) t;
UPDATE shops.settings SET trait_history = true;
SELECT count(shops.set_traits(identifier(t || '_card', '1'), jsonb_build_object('shop', 'store ' || t || ' now'), t, '2026-03-02Z'))
FROM unnest('{a,b}'::text[]) t;
SELECT tenant, count(*) FROM shops.touchpoints GROUP BY tenant ORDER BY tenant;
SELECT shops.refresh();
SELECT shops.must_link('a_card:1', 'a_cookie:1'), shops.must_link('b_card:2', 'b_cookie:1');
SELECT shops.set_rule('*', max_per_customer => 2) >= 0 AS set;
-- by whoever, with whichever setting
SELECT set_config('shops.tenant', 'regress_shop_b', false), shops.record('{b_mail:B@x.pt,b_card:1}', '2026-03-03Z', 'web', 'view') > 0 AS b;
SELECT set_config('shops.tenant', 'regress_shop_a', false), shops.record('{a_mail:A@x.pt,a_card:1}', '2026-03-03Z', 'web', 'view') > 0 AS a;
SELECT count(shops.set_rule(mail, normalizer => 'email')) FROM unnest('{a_mail,b_mail}'::text[]) mail;

-- Matching knows all shops; what is of two of them neither sees, if they may read it at all
INSERT INTO shops.match_records (identity_id, source, source_key, fields)
SELECT shops.identity_of(identifier(t || '_card', n::text)), t, n::text, jsonb_build_object('name', 'thread ' || t) FROM unnest('{a,b}'::text[]) t, generate_series(1, 2) n;
SELECT shops.set_block('{name}') > 0, shops.set_match('name', '{name}'), shops.set_conflict('{name}');
INSERT INTO shops.match_pairs (a, b, model, score, levels, rule)
SELECT x.record_id, y.record_id, 'default', 9, 0, 1 FROM shops.match_records x JOIN shops.match_records y ON y.record_id > x.record_id;
SELECT count(*) AS pairs, (SELECT count(*) FROM shops.match_keys) AS keys, (SELECT count(*) FROM shops.match_values) AS values FROM shops.match_pairs;
GRANT SELECT ON shops.match_records, shops.match_pairs, shops.match_keys, shops.match_due, shops.match_blocks, shops.match_models, shops.match_report, shops.match_review,
    shops.match_large_blocks TO regress_shop_a, regress_shop_b, regress_shop_none;

-- Each view, and each function that reads: whose rows does each tenant see? Texts of the other tenant's must not be among them.
CREATE FUNCTION pg_temp.seen(role text, query text, OUT n bigint, OUT texts text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE format('SELECT count(*) FILTER (WHERE NOT (q.*) IS NULL), coalesce(string_agg((q.*)::text, '' ''), '''') FROM (%s) q', query) INTO n, texts;
    RESET ROLE;
END $$;
CREATE TEMP TABLE query (name text, query text);
INSERT INTO query
SELECT relname, format('SELECT * FROM shops.%I', relname) FROM pg_class
WHERE relnamespace = 'shops'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition AND has_table_privilege('regress_shop_a', oid, 'SELECT')
      AND relname NOT IN ('settings', 'channels', 'business_calendars', 'business_hours', 'business_exceptions', 'calendar_uses', 'actions', 'identifier_rules', 'resolved_rules', 'trait_rules')
UNION ALL
SELECT q, 'SELECT * FROM shops.' || q FROM unnest(ARRAY[
    $$customer_of('a_card:1')$$, $$customer_of('b_card:1')$$, $$identity_of('b_cookie:1')$$, $$customer_at('b_card:1', 'infinity')$$, $$identifiers_of(2)$$,
    $$identifiers_of((SELECT min(identity_id) FROM shops.identities))$$, $$identifier_values(5)$$, $$current_customer(5)$$, $$current_customer(2)$$,
    $$simulate()$$, $$stitch_findings()$$, $$evidence_of('{2,3,4,5,6,7}')$$, $$members_of('{2,3,4,5,6,7}')$$, $$linked_with('{2,3,4,5,6,7}')$$,
    $$ruled(NULL, NULL, NULL)$$, $$stitch_flags()$$, $$partition_of(NULL)$$, $$look_up('{b_card:1,a_card:1}')$$,
    $$customer_profile_at((SELECT min(customer_id) FROM shops.customers), '2026-03-01Z')$$, $$return_on_spend(by => 'campaign', conversion => '%.buy', models => '{last}')$$]) q;
SELECT q.name, a.n AS a, b.n AS b, o.n AS nobody, s.n AS everybody,
       a.texts ~ 'b_card|b_cookie|store b|thread b|call b' OR b.texts ~ 'a_card|a_cookie|store a|thread a|call a' AS leaks
FROM query q, pg_temp.seen('regress_shop_a', q.query) a, pg_temp.seen('regress_shop_b', q.query) b, pg_temp.seen('regress_shop_none', q.query) o,
     pg_temp.seen(current_user, q.query) s
ORDER BY q.name COLLATE "C";
-- Blocks hold customers of both: a tenant reads none, by whatever way, and has them packed of what he may see.
SELECT shops.refresh(), count(*) > 0 AS blocks FROM shops.journey_blocks;
SELECT shops.record('{b_card:3}', '2026-03-04Z', 'phone', 'call') > 0 AS pending;
CREATE FUNCTION leak(journey_block) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    RAISE WARNING 'leaked: %', $1;
    RETURN true;
END $$;
CREATE FUNCTION leak(bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    RAISE WARNING 'leaked: %', $1;
    RETURN true;
END $$;
CREATE VIEW blocks WITH (security_invoker = true) AS
SELECT (SELECT count(*) FROM shops.journey_blocks) AS stored,
       (SELECT count(*) FROM shops.customer_journeys) AS journeys,
       (SELECT count(*) FROM shops.current_blocks b, unnest(b.block)) AS current,
       (SELECT count(*) FROM (SELECT u.customer, u.journey FROM shops.current_blocks b, unnest(b.block) u
                              EXCEPT ALL TABLE shops.current_journeys) d)
       + (SELECT count(*) FROM (TABLE shops.current_journeys
                                EXCEPT ALL SELECT u.customer, u.journey FROM shops.current_blocks b, unnest(b.block) u) d)
           AS flaws,
       (SELECT (SELECT m::text FROM shops.channel_measures('day') AS m(m))
           = channel_measures_agg(j.journey, s.session_gap, s.handoff_within, shops.not_own_actions(),
                                  ARRAY(SELECT channel FROM shops.channels WHERE kind = 'digital'),
                                  ARRAY(SELECT channel FROM shops.channels WHERE kind <> 'digital'), 'day', 'UTC', NULL,
                                  NULL)::text
        FROM shops.current_journeys j, shops.settings s GROUP BY s.session_gap, s.handoff_within) AS measures,
       (SELECT array_agg(f.customers ORDER BY f.step) FROM shops.funnel('web.view -> %.view') f)
           = (SELECT array_agg(f.reached ORDER BY f.step)
              FROM unnest((SELECT journey_funnel_agg(j.journey, 'web.view -> %.view')
                           FROM shops.current_journeys j)) f) AS funnel;
GRANT SELECT ON blocks TO PUBLIC;
SELECT 'owner' AS who, * FROM blocks;
SET ROLE regress_shop_a;
SELECT current_user AS who, * FROM blocks;
SET client_min_messages = warning;
SELECT first_customer FROM shops.journey_blocks WHERE leak(block) AND leak(newer) AND leak(first_customer);
SELECT journey_block_length(block) AS own FROM shops.current_blocks WHERE leak(block);
COPY shops.journey_blocks TO STDOUT;
COPY (SELECT block FROM shops.current_blocks) TO STDOUT;
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
                SELECT b.block FROM shops.journey_blocks b WHERE leak(b.block) LOOP
        IF line ~ 'journey_blocks' THEN
            RAISE WARNING '%', replace(line, 'rows=0.00', 'rows=0');
        END IF;
    END LOOP;
END $$;
SELECT count(*) FROM pg_stats WHERE tablename = 'journey_blocks';
SET client_min_messages = error;
SET row_security = off;
SELECT count(*) FROM shops.journey_blocks;
SELECT count(*) FROM shops.current_blocks;
RESET row_security;
RESET ROLE;
SET ROLE regress_shop_b;
SELECT current_user AS who, * FROM blocks;
SET ROLE regress_shop_none;
SELECT current_user AS who, * FROM blocks;
RESET ROLE;
-- whoever sees all by policies doesn't read them either, and empties them by a refresh
SELECT shops.grant_access('regress_shop_loader', 'steward');
SET ROLE regress_shop_loader;
SELECT current_user AS who, * FROM blocks;
SELECT shops.refresh();
SELECT current_user AS who, * FROM blocks;
RESET ROLE;
SELECT 'owner' AS who, * FROM blocks;
SELECT shops.refresh();
SELECT 'owner' AS who, * FROM blocks;
DROP VIEW blocks;
DROP FUNCTION leak(journey_block), leak(bigint);

SET ROLE regress_shop_a;
SELECT * FROM shops.why('a_card:1', 'a_cookie:1');
SELECT * FROM shops.why('b_card:2', 'b_cookie:1');
SELECT * FROM shops.why('a_card:1', 'b_cookie:1');
SELECT customer_id, identifiers, channels, value, open_conversations, profile FROM shops.customer_360 ORDER BY customer_id;
SELECT customer_id, journey FROM shops.current_journeys ORDER BY customer_id;
SELECT customer_id FROM shops.customer_journeys WHERE journey ~ '"store b".buy';
-- writing is not what a reader may do
INSERT INTO shops.touchpoints (identity_id, occurred_at, channel, action, tenant) VALUES (1, now(), 'x', 'x', 'regress_shop_b');

-- An index is used where the operator can't tell a row that must not be seen: = of identifiers and of numbers can't, ~ of journeys
-- might.
CREATE FUNCTION pg_temp.index_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (FORMAT json) ' || query LOOP
        RETURN substring(line FROM 'identities_identifier_key|customer_journeys_journey_idx');
    END LOOP;
END $$;
SET enable_seqscan = off;
SELECT current_user AS who, pg_temp.index_of($$SELECT customer_id FROM shops.identities WHERE identifier = 'a_card:1'$$),
       pg_temp.index_of($$SELECT customer_id FROM shops.customer_journeys WHERE journey ~ 'store.buy'$$);
RESET ROLE;
SELECT 'owner' AS who, pg_temp.index_of($$SELECT customer_id FROM shops.identities WHERE identifier = 'a_card:1'$$),
       pg_temp.index_of($$SELECT customer_id FROM shops.customer_journeys WHERE journey ~ 'store.buy'$$);
RESET enable_seqscan;

DROP OWNED BY regress_shop_a, regress_shop_b, regress_shop_none, regress_shop_loader;
SELECT journey_drop_hub('shops', true);
DROP ROLE regress_shop_a, regress_shop_b, regress_shop_none, regress_shop_loader;
