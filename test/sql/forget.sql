-- What nothing names any more is forgotten, if the settings say so: when evidence is retracted, and by maintain().
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('crm');
SELECT count(*) FROM crm.use_recommended_rules('PT');
CREATE FUNCTION known(OUT customer_id bigint, OUT identifiers text, OUT wrong text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT i.customer_id, string_agg(i.identity_id || ' ' || i.identifier || CASE WHEN i.last_seen IS NULL THEN ' unseen' ELSE '' END, ', ' ORDER BY i.identity_id),
                        (SELECT string_agg(c::text, ' ') FROM crm.stitch_check() c)
                 FROM crm.identities i GROUP BY i.customer_id
                 UNION ALL SELECT c.customer_id, 'no such customer', NULL FROM crm.customers c WHERE NOT EXISTS (SELECT FROM crm.identities i WHERE i.customer_id = c.customer_id)
                 ORDER BY 1;
END $$;
-- off: all stays
SELECT crm.identify('{a:1,b:1}', '2026-01-01Z', 's', '1'), crm.retract('s', '1');
SELECT * FROM known();
UPDATE crm.settings SET forget_unreferenced = true;
CALL crm.maintain();
SELECT * FROM known();
-- a contact is deleted: what others name stays, by evidence, touchpoint or pair
SELECT crm.identify('{"phone:912 345 678",email:ana@example.pt,c:evidence,c:touchpoint,c:pair,c:alone,guest:null}', '2026-01-01Z', 'contacts', '1') AS ana,
       crm.identify('{phone:912345678,c:evidence}', '2026-01-01Z', 'calls', '1') AS call,
       crm.record('{c:touchpoint}', '2026-01-01Z', 'web', 'view') > 0 AS recorded, crm.must_link('c:pair', 'c:other') AS pair;
SELECT * FROM known();
SELECT crm.retract_many('contacts', '{1}');
SELECT * FROM known();
SELECT identity_id, customer_id FROM crm.former_memberships ORDER BY 1, 2;
-- a replay of what was retracted is none the less
SELECT crm.identify('{"phone:912 345 678",email:ana@example.pt,c:evidence,c:touchpoint,c:pair,c:alone,guest:null}', '2026-01-01Z', 'contacts', '1') > 0 AS known;
SELECT crm.identify_many(ARRAY[ROW('{email:ana@example.pt,c:evidence,c:alone}', '2026-01-01Z', 'contacts', '1')::crm.observation]) IS NOT NULL AS known;
SELECT * FROM known();
CALL crm.maintain();
SELECT * FROM known();
-- a customer that was merged and is parted again: former numbers lead on
SELECT crm.identify('{x:1,x:2}', '2026-01-01Z', 's', '2') < crm.identify('{y:1,y:2}', '2026-01-01Z', 's', '3') AS older, crm.link('x:2', 'y:1', '2026-01-01Z', 's', '4') > 0 AS linked;
SELECT crm.customer_of('y:1') = crm.identity_of('x:1') AS merged, crm.customer_of('y:1') AS number, crm.identity_of('y:1') AS former \gset
SELECT crm.retract('s', '2'), :'merged';
SELECT crm.current_customer(:former) = crm.customer_of('y:1') AS leads, crm.current_customer(:number) = crm.customer_of('x:2') AS leads_on, crm.identity_of('x:1');
SELECT crm.retract_many('s', '{3,4}');
SELECT * FROM known();
-- touchpoints go first, journeys are noted, and who is shared or blocked is forgotten, too
SELECT crm.set_rule('tab', shared_above => 1);
SELECT crm.record(ARRAY['z:' || n, 'tab:1', 'z:null']::identifier[], '2026-01-01Z', 'web', 'login', source => 'app', source_key => n::text) > 0 AS recorded FROM generate_series(1, 3) n;
SELECT crm.refresh() > 0 AS refreshed;
SELECT identifier, shared, blocked FROM crm.identities WHERE shared OR blocked;
SELECT crm.unrecord('app', n::text) FROM generate_series(1, 3) n;
SELECT * FROM known();
SELECT count(*) > 0 AS noted FROM crm.journey_changes;
SELECT crm.refresh() > 0 AS refreshed;
SELECT count(*) FROM crm.customer_journeys WHERE customer_id NOT IN (SELECT customer_id FROM crm.customers);
-- it is not done where others can't be seen
SELECT crm.identify('{v:1,v:2}', '2026-01-01Z', 's', '9') > 0 AS known;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT crm.retract('s', '9');
COMMIT;
SELECT identifier FROM crm.identities WHERE identifier >= 'v:1' ORDER BY 1;
CALL crm.maintain();
SELECT * FROM known();
-- who is known by a trait only stays as long as it is told, and its history goes with it
UPDATE crm.settings SET trait_history = true;
SELECT crm.set_traits('t:1', '{"name": "Ana"}', 'app', '2026-01-01Z') > 0 AS told, crm.link('t:2', 't:3', '2026-01-01Z', 's', '10') > 0 AS linked,
       crm.put_traits('shop', '{1,2}', '{t:2,t:4}', ARRAY['{"name": "Bo"}', '{"name": "Cy"}']::jsonb[], '{2026-01-01Z,2026-01-01Z}');
SELECT crm.retract('s', '10');
CALL crm.maintain();
SELECT identifier FROM crm.identities WHERE identifier >= 't:0' ORDER BY 1;
SELECT crm.put_traits('shop', '{1,2}', '{t:5,t:4}', ARRAY['{"name": "Bo"}', NULL]::jsonb[], '{2026-02-01Z,2026-02-01Z}');
SELECT identifier FROM crm.identities WHERE identifier >= 't:0' ORDER BY 1;
SELECT count(*) AS history_of_nobody FROM crm.trait_history h WHERE NOT EXISTS (SELECT FROM crm.identities i WHERE i.identity_id = h.identity_id);
SELECT crm.set_traits('t:4', '{"name": "Cy"}') > 0 AS told_again, crm.drop_traits('shop', '{1}');
SELECT identifier FROM crm.identities WHERE identifier >= 't:0' ORDER BY 1;
SELECT * FROM known();
-- a touchpoint of one identifier has no evidence
SELECT crm.record('{u:1}', '2026-01-01Z', 'web', 'view', source => 'app', source_key => 'u') > 0 AS recorded;
SELECT crm.unrecord('app', 'u');
SELECT identifier FROM crm.identities WHERE identifier >= 'u:0' ORDER BY 1;
-- rows of attached tables: whom nothing else names goes with them, at once
CREATE TABLE people (id integer PRIMARY KEY, email text, phone text, name text, at timestamptz DEFAULT '2026-01-01Z');
SELECT crm.attach_source('people', '{"occurred_at": "at", "channel": "''web''", "action": "''signup''", "identifiers": {"email": "email", "phone": "phone"}, "traits": {"name": "name"}}'::json);
INSERT INTO people SELECT n, 'w' || n || '@x.pt', CASE WHEN n % 2 = 0 THEN '91234567' || n END, CASE WHEN n < 7 THEN 'W' || n END FROM generate_series(1, 8) n;
CALL crm.feed();
SELECT crm.record('{email:w2@x.pt}', '2026-01-01Z', 'web', 'view') > 0 AS recorded, crm.identify('{email:w4@x.pt,w:1}', '2026-01-01Z', 's', '11') > 0 AS known, crm.set_traits('phone:912345676', '{"vip": true}') > 0 AS told;
CREATE VIEW of_people AS SELECT array_agg(i.identifier ORDER BY i.identifier) AS identifiers, (SELECT count(*) FROM crm.stitch_check()) AS flaws
FROM crm.identities i WHERE i.identifier::text ~ '^(email:w|phone:.?.?.?.?9123456)' AND i.last_seen IS NOT NULL;
SELECT * FROM of_people;
UPDATE people SET email = 'v' || id || '@x.pt', name = NULL WHERE id IN (1, 2, 7);
CALL crm.feed();
SELECT * FROM of_people;
DELETE FROM people WHERE id IN (1, 3, 4, 5, 6);
UPDATE people SET phone = NULL WHERE id = 8;
CALL crm.feed();
SELECT * FROM of_people;
SELECT crm.detach_source('people', keep => false);
SELECT * FROM of_people;
SELECT identifier FROM crm.identities WHERE identifier::text ~ 'email:v';
-- evidence of one identifier tells nothing, and is not missed
SELECT crm.attach_source('people', '{"makes": "evidence", "identifiers": {"email": "email", "phone": "phone"}}'::json);
CALL crm.feed();
CALL crm.maintain();
SELECT * FROM crm.check_source('people');
SELECT crm.resync_source('people');
SELECT crm.detach_source('people', keep => false);
DROP VIEW of_people;
DROP TABLE people;
-- at random: the customers are those of a hub that forgets nothing
SELECT journey_drop_hub('crm', true);
SELECT journey_create_hub('crm'), journey_create_hub('plain');
UPDATE crm.settings SET forget_unreferenced = true;
CREATE FUNCTION any_identifier() RETURNS identifier LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN k < 0.3 THEN format('email:%s%s@x.pt', (ARRAY['a', 'A'])[ceil(random() * 2)], floor(v * 9)) ELSE format('%s:%s', (ARRAY['account', 'tab', 'c'])[ceil(k * 3)], floor(v * 9)) END::identifier
    FROM (SELECT random() AS k, random() AS v OFFSET 0) r $$;
SELECT crm.set_rule('account', priority => 9, max_per_customer => 1), plain.set_rule('account', priority => 9, max_per_customer => 1), crm.set_rule('email', normalizer => 'email', priority => 20), plain.set_rule('email', normalizer => 'email', priority => 20),
       crm.set_rule('tab', shared_above => 1), plain.set_rule('tab', shared_above => 1);
DO $$
DECLARE
    given identifier[];
    keys text[];
BEGIN
    PERFORM setseed(0.3);
    FOR step IN 1 .. 150 LOOP
        given := array(SELECT any_identifier() FROM generate_series(0, (random() * 3)::int));
        IF random() < 0.3 THEN
            PERFORM crm.record(given, now(), 'web', 'view', source => 'r', source_key => step::text), plain.record(given, now(), 'web', 'view', source => 'r', source_key => step::text);
        ELSE
            PERFORM crm.identify(given, '2026-01-01Z', 'r', step::text), plain.identify(given, '2026-01-01Z', 'r', step::text);
        END IF;
        IF random() < 0.3 THEN
            PERFORM crm.put_traits('t', ARRAY[(step % 7)::text], given[:1], ARRAY[CASE WHEN random() < 0.6 AND given <> '{}' THEN '{"name": "x"}'::jsonb END], '{2026-01-01Z}');
        END IF;
        IF step % 5 = 0 THEN
            keys := array(SELECT ceil(random() * step)::text FROM generate_series(1, 5));
            PERFORM crm.unrecord('r', k), plain.unrecord('r', k) FROM unnest(keys) k;
            PERFORM crm.retract_many('r', keys), plain.retract_many('r', keys);
        END IF;
        IF step % 10 = 0 THEN
            PERFORM crm.forget_after(0);
            IF EXISTS (SELECT FROM crm.stitch_check()) OR EXISTS (SELECT FROM (SELECT identity_id FROM crm.touchpoints UNION ALL SELECT identity_id FROM crm.traits) t
                                                                    WHERE NOT EXISTS (SELECT FROM crm.identities i WHERE i.identity_id = t.identity_id)) THEN
                RAISE EXCEPTION 'step %: %', step, (SELECT array_agg(c) FROM crm.stitch_check() c);
            END IF;
        END IF;
    END LOOP;
END $$;
SELECT count(*) FROM (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM crm.identities i GROUP BY i.customer_id
                      EXCEPT
                      SELECT array_agg(i.identifier ORDER BY i.identifier) FROM plain.identities i WHERE EXISTS (SELECT FROM crm.identities k WHERE k.identifier = i.identifier)
                      GROUP BY i.customer_id) x;
SELECT (SELECT count(*) FROM plain.identities) > (SELECT count(*) FROM crm.identities) AS forgotten,
       (SELECT count(*) FROM crm.identities i WHERE i.last_seen IS NOT NULL AND NOT EXISTS (SELECT FROM crm.evidence e WHERE i.identity_id = ANY (e.identities) AND e.retracted_at IS NULL)
                                                    AND NOT EXISTS (SELECT FROM crm.touchpoints t WHERE t.identity_id = i.identity_id)
                                                    AND NOT EXISTS (SELECT FROM crm.traits t WHERE t.identity_id = i.identity_id)) AS unreferenced;
DROP FUNCTION known, any_identifier;
SELECT journey_drop_hub('crm', true), journey_drop_hub('plain', true);
