-- What a spread hub costs beside one that is not, on a coordinator of Citus with pg_journey and no hub called costs:
--   psql -X -v touchpoints=1000000 -f test/citus/costs.sql
\set ON_ERROR_STOP on
\pset pager off
\o /dev/null
SELECT journey_create_hub('costs');
CALL costs.maintain('2025-01-01Z');
SELECT cardinality(costs.identify_many(array_agg((ARRAY[identifier('c', i::text)], '2025-01-01Z', 'x', i::text)::costs.observation)))
FROM generate_series(1, :touchpoints / 20) i;
INSERT INTO costs.touchpoints (identity_id, occurred_at, channel, action, value, direction)
SELECT 1 + (hashint8extended(i, 1) & 1073741823) % (:touchpoints / 20), timestamptz '2025-01-01Z' + i % 20 * interval '15 days' + (i % 86400) * interval '1 s',
       (ARRAY['web', 'store', 'phone', 'email', 'chat'])[1 + (hashint8extended(i, 2) & 255) % 5],
       (ARRAY['view', 'view', 'purchase', 'message', 'call'])[1 + (hashint8extended(i, 3) & 255) % 5],
       CASE WHEN i % 7 = 0 THEN i % 100 END, CASE WHEN i % 3 = 0 THEN 'in' END
FROM generate_series(1, :touchpoints) i;
SELECT costs.refresh();
VACUUM ANALYZE costs.touchpoints, costs.customer_journeys, costs.journey_blocks;
CREATE PROCEDURE costs_of(layout text) LANGUAGE plpgsql AS $$
DECLARE
    q record;
    began timestamptz;
    best interval;
BEGIN
    FOR q IN VALUES ('pattern, few', $q$SELECT count(*) FROM costs.current_journeys WHERE journey ~ 'chat.purchase -> chat.purchase -> chat.purchase -> chat.purchase'$q$),
                    ('funnel over journeys', $q$SELECT journey_funnel_agg(journey, 'web.view -> store.purchase -> phone.call') FROM costs.current_journeys$q$),
                    ('funnel()', $q$SELECT count(*) FROM costs.funnel('web.view -> store.purchase -> phone.call', 'month')$q$),
                    ('attribution()', 'SELECT count(*) FROM costs.attribution()'),
                    ('flows()', 'SELECT count(*) FROM costs.flow_transitions'),
                    ('channel_transitions', 'SELECT count(*) FROM costs.channel_transitions'),
                    ('one timeline', 'SELECT count(*) FROM costs.timeline_of(7)'),
                    ('record', $q$SELECT costs.record('{c:7}', '2025-12-01Z', 'web', 'view')$q$),
                    ('refresh of one', 'SELECT costs.refresh()')
    LOOP
        best := NULL;
        FOR i IN 1 .. 3 LOOP
            began := clock_timestamp();
            EXECUTE q.column2;
            best := least(best, clock_timestamp() - began);
            COMMIT;
        END LOOP;
        RAISE INFO '% | % | % ms', rpad(layout, 8), rpad(q.column1, 22), round(extract(epoch FROM best) * 1000, 1);
    END LOOP;
END $$;
CALL costs_of('home');
\o
\timing on
SELECT journey_distribute_hub('costs');
\timing off
\o /dev/null
CALL costs_of('spread');
INSERT INTO costs.touchpoints (identity_id, occurred_at, channel, action)
SELECT 1 + i % (:touchpoints / 20), '2025-12-02Z', 'web', 'view' FROM generate_series(1, 10000) i;
\o
\timing on
\echo refresh of 10000 touchpoints
SELECT costs.refresh();
SELECT pg_size_pretty(pg_total_relation_size('costs.customer_journeys')) AS at_home, pg_size_pretty(citus_total_relation_size('costs.spread_journeys')) AS on_workers;
DROP PROCEDURE costs_of(text);
SELECT journey_drop_hub('costs', force => true);
