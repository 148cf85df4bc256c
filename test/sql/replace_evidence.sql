-- What rows of an attached table tell is replaced by what they tell now: the customers are those of a hub that has
-- heard nothing else.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('crm'), journey_create_hub('plain');
CREATE FUNCTION observed(key text, identifiers identifier[], day int DEFAULT 1) RETURNS crm.observation LANGUAGE sql
RETURN ROW(identifiers, timestamptz '2026-01-01Z' + day * interval '1 day', 'shop', key)::crm.observation;
CREATE VIEW evidence AS
SELECT e.source_key, array(SELECT i.identifier FROM crm.identities i WHERE i.identity_id = ANY (e.identities) ORDER BY 1) AS identifiers,
       e.observed_at, e.retracted_at IS NOT NULL AS retracted
FROM crm.evidence e;

-- numbers follow keys that are set aside
ALTER SEQUENCE crm.touchpoints_touchpoint_id_seq RESTART 100;
SELECT * FROM crm.replace_evidence('shop', '{1,2,3}', ARRAY[observed('1', '{a:1,b:1}'), observed('2', '{a:2,b:2,c:2}'), observed('3', '{a:3}')]);
-- nothing new: nothing is written
CREATE VIEW state AS
SELECT 'identity' AS what, identity_id::text AS id, ctid::text AS place, xmin::text AS made FROM crm.identities
UNION ALL SELECT 'evidence', source_key, ctid::text AS place, xmin::text AS made FROM crm.evidence;
CREATE TABLE rows_then AS TABLE state;
SELECT * FROM crm.replace_evidence('shop', '{1,2,3}', ARRAY[observed('3', '{a:3}'), observed('2', '{b:2,c:2,a:2}'), observed('1', '{b:1,a:1}')]);
SELECT * FROM state EXCEPT SELECT * FROM rows_then;
DROP VIEW state;
DROP TABLE rows_then;
-- another time; another identifier, one less, none but one, one more
SELECT * FROM crm.replace_evidence('shop', '{1,2,3}', ARRAY[observed('1', '{a:1,b:1}', 2), observed('2', '{a:2,b:2,d:2}'), observed('3', '{a:3,b:3}')]);
SELECT * FROM evidence ORDER BY 1;
SELECT * FROM crm.former_memberships WHERE identity_id <> crm.identity_of('c:2');
SELECT * FROM crm.replace_evidence('shop', '{1,2,3,4}', ARRAY[observed('1', '{a:1}'), observed('2', '{a:2,b:2}')]);
SELECT * FROM evidence ORDER BY 1;
-- again what was retracted, which others can't
SELECT crm.link('a:5', 'b:5', '2026-01-01Z', 'shop', '5') > 0 AS linked, crm.retract('shop', '5');
SELECT crm.link('a:5', 'b:5', '2026-01-01Z', 'shop', '5') > 0 AS linked;
SELECT crm.customer_of('a:5') = crm.customer_of('b:5') AS joined;
SELECT cardinality(customers) FROM crm.replace_evidence('shop', '{5}', ARRAY[observed('5', '{a:5,b:5}')]);
SELECT crm.customer_of('a:5') = crm.customer_of('b:5') AS joined;
SELECT source_key = '5' AS plain, retracted FROM evidence WHERE source_key ~ '^5' ORDER BY 1 DESC;
SELECT source_key, outcome FROM crm.why('a:2', 'c:2');
-- what a touchpoint told that was taken back is set aside when it is recorded again
SELECT crm.record('{t:1,u:1}', '2026-01-01Z', 'web', 'view', source => 'shop', source_key => 't') > 0 AS recorded, crm.unrecord('shop', 't'),
       crm.record('{t:1,u:1}', '2026-01-01Z', 'web', 'view', source => 'shop', source_key => 't') > 0 AS recorded;
SELECT source_key = 't' AS plain, retracted FROM evidence WHERE source_key ~ '^t' ORDER BY 1 DESC;
SELECT cardinality(customers) FROM crm.replace_evidence('shop', '{t}', ARRAY[observed('t', '{t:1,u:1}')]);
SELECT source_key = 't' AS plain, retracted FROM evidence WHERE source_key ~ '^t' ORDER BY 1 DESC;
SELECT cardinality(customers) FROM crm.replace_evidence('shop', '{t}', ARRAY[observed('t', '{t:1,v:1}')]);
SELECT source_key = 't' AS plain, identifiers, retracted FROM evidence WHERE source_key ~ '^t' ORDER BY 1 DESC, 2;
SELECT * FROM crm.replace_evidence('shop', '{t,5}', '{}');
SELECT * FROM evidence WHERE NOT retracted;
SELECT * FROM crm.stitch_check();
SELECT crm.replace_evidence('shop', '{9}', ARRAY[observed('9', '{}')]);
SELECT crm.replace_evidence('shop', '{9}', ARRAY[observed('9', '{a:1,NULL}')]);

-- at random: rules, pairs, and evidence of others
CREATE FUNCTION any_identifier() RETURNS identifier LANGUAGE sql VOLATILE AS $$
    SELECT format('%s:%s', (ARRAY['account', 'email', 'tab', 'c', 'c'])[ceil(k * 5)], floor(v * 12))::identifier
    FROM (SELECT random() AS k, random() AS v OFFSET 0) r $$;
CREATE TABLE stored (key int PRIMARY KEY, identifiers identifier[], day int);
CREATE PROCEDURE live(seed float8) LANGUAGE plpgsql AS $$
DECLARE
    keys int[];
BEGIN
    PERFORM setseed(seed);
    TRUNCATE stored;
    PERFORM journey_drop_hub('crm', true), journey_drop_hub('plain', true);
    PERFORM journey_create_hub('crm'), journey_create_hub('plain');
    FOR step IN 1 .. 12 LOOP
        keys := array(SELECT DISTINCT ceil(random() * 25)::int FROM generate_series(1, 12));
        INSERT INTO stored SELECT k, array(SELECT any_identifier() FROM generate_series(0, floor(random() * 3 + 0 * k)::int)), ceil(random() * 5)
        FROM unnest(keys) k
        ON CONFLICT (key) DO UPDATE SET identifiers = CASE WHEN random() < 0.3 THEN stored.identifiers ELSE excluded.identifiers END,
            day = excluded.day;
        DELETE FROM stored s WHERE s.key = ANY (keys) AND random() < 0.2;
        PERFORM crm.replace_evidence('shop', keys::text[],
                                     array(SELECT ROW(s.identifiers, timestamptz '2026-01-01Z' + s.day * interval '1 day', 'shop', s.key)::crm.observation
                                           FROM stored s WHERE s.key = ANY (keys)));
        IF random() < 0.3 THEN
            PERFORM crm.identify(array(SELECT any_identifier() FROM generate_series(1, 3)), '2026-01-03Z', 'other', step::text);
        END IF;
        IF random() < 0.2 THEN
            PERFORM crm.retract_many('shop', array(SELECT e.source_key FROM crm.evidence e
                                                   JOIN stored s ON s.key::text = e.source_key AND cardinality(s.identifiers) = 1));
        END IF;
        IF step = 3 THEN
            PERFORM crm.set_rule('account', priority => 9, max_per_customer => 1), crm.set_rule('tab', shared_above => 2),
                    crm.set_rule('email', priority => 5, shared_above => 3), crm.cannot_link('c:1', 'c:2'), crm.must_link('c:3', 'c:4');
        ELSIF step = 8 THEN
            PERFORM crm.set_quarantine_above(8);
        END IF;
        IF EXISTS (SELECT FROM crm.stitch_check()) THEN
            RAISE EXCEPTION 'seed %, step %: %', seed, step, (SELECT array_agg(c) FROM crm.stitch_check() c);
        END IF;
    END LOOP;
    PERFORM plain.set_rule('account', priority => 9, max_per_customer => 1), plain.set_rule('tab', shared_above => 2),
            plain.set_rule('email', priority => 5, shared_above => 3), plain.cannot_link('c:1', 'c:2'), plain.must_link('c:3', 'c:4'),
            plain.set_quarantine_above(8);
    PERFORM plain.identify(ARRAY[i.identifier]) FROM crm.identities i;
    PERFORM plain.identify(s.identifiers, timestamptz '2026-01-01Z' + s.day * interval '1 day', 'shop', s.key::text) FROM stored s;
    PERFORM plain.identify(array(SELECT i.identifier FROM crm.identities i WHERE i.identity_id = ANY (e.identities)), e.observed_at, 'other', e.source_key)
    FROM crm.evidence e WHERE e.source = 'other';
    IF EXISTS (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM crm.identities i GROUP BY i.customer_id
               EXCEPT SELECT array_agg(i.identifier ORDER BY i.identifier) FROM plain.identities i GROUP BY i.customer_id) THEN
        RAISE EXCEPTION 'seed %: other customers', seed;
    END IF;
END $$;
SELECT setseed(0.5);
DO $$ BEGIN FOR n IN 1 .. 3 LOOP CALL live(n / 10.0); END LOOP; END $$;
SELECT journey_drop_hub('crm', true), journey_drop_hub('plain', true);
