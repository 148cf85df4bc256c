-- The law where rules come after the data: spellings are one identifier, shared_above counts
-- people, what is blocked is told, and what was broken by hand is mended.
SET client_min_messages = warning;
-- a hub as it is when it is made: to empty it takes a tenth of what it takes to make another
CREATE SCHEMA blank;
CREATE VIEW blank.tables AS
SELECT relname AS name, (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND attgenerated = '' AND NOT attisdropped) AS columns
FROM pg_class c WHERE relnamespace = to_regnamespace('crm') AND relkind IN ('r', 'p') AND NOT relispartition AND relnatts > 0;
CREATE FUNCTION anew() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    IF to_regnamespace('crm') IS NULL THEN
        PERFORM journey_create_hub('crm');
        FOR t IN TABLE blank.tables LOOP
            EXECUTE format('CREATE TABLE blank.%I AS SELECT %s FROM crm.%1$I', t.name, t.columns);
        END LOOP;
        RETURN;
    END IF;
    SET LOCAL session_replication_role = replica;  -- no triggers
    EXECUTE (SELECT format('TRUNCATE %s RESTART IDENTITY CASCADE', string_agg(format('crm.%I', i.name), ', ')) FROM blank.tables i);
    FOR t IN TABLE blank.tables LOOP
        EXECUTE format('INSERT INTO crm.%I (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM blank.%1$I', t.name, t.columns);
    END LOOP;
    PERFORM setval(c.oid, 1, false) FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'S';
END $$;
-- customers as people see them, and whatever is wrong
CREATE FUNCTION customers(OUT customer text, OUT shared text, OUT blocked text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT string_agg(i.identifier::text, ' ' ORDER BY i.identifier),
                        string_agg(i.identifier::text, ' ' ORDER BY i.identifier) FILTER (WHERE i.shared),
                        string_agg(i.identifier::text, ' ' ORDER BY i.identifier) FILTER (WHERE i.blocked)
                 FROM crm.identities i WHERE i.normal_id = i.identity_id GROUP BY i.customer_id
                 UNION ALL
                 SELECT 'WRONG ' || c::text, NULL, NULL FROM crm.stitch_check() c
                 UNION ALL
                 SELECT 'WRONG count ' || c::text, NULL, NULL FROM crm.customers c
                 WHERE c.identities <> (SELECT count(*) FROM crm.identities i WHERE i.customer_id = c.customer_id AND i.normal_id = i.identity_id)
                 ORDER BY 1;
END $$;

-- a replay is one, whatever the rules were then
SELECT anew();
SELECT crm.identify('{account:1,email:Ana@Example.PT}', '2026-01-01Z', 'crm', '1');
SELECT crm.set_rule('email', normalizer => 'email') >= 0 AS done;
SELECT crm.identify('{account:1,email:Ana@Example.PT}', '2026-01-01Z', 'crm', '1');
SELECT crm.identify('{email:ana@example.pt,account:1}', '2026-01-01Z', 'crm', '1');
SELECT crm.identify_many(ARRAY[('{email:ANA@example.pt,account:1}', '2026-01-01Z', 'crm', '1')]::crm.observation[]);
\set VERBOSITY terse
SELECT crm.identify('{email:rui@example.pt,account:1}', '2026-01-01Z', 'crm', '1');
\set VERBOSITY default
SELECT crm.drop_rule('email') >= 0 AS done;
SELECT * FROM customers();
SELECT count(*) FROM crm.evidence;
\set VERBOSITY terse
SELECT crm.identify('{email:ana@example.pt,account:1}', '2026-01-01Z', 'crm', '1');  -- these are two again
\set VERBOSITY default

-- limits count an identifier once, whatever its forms
SELECT anew();
SELECT crm.set_rule('email', priority => 20, max_per_customer => 1);
SELECT crm.identify('{account:1,email:Ana@Example.PT}', '2026-01-01Z', 'crm', '1'), crm.identify('{cookie:x,email:ana@example.pt}', '2026-01-02Z', 'web', '2');
SELECT crm.set_rule('email', normalizer => 'email');
SELECT crm.customer_of('account:1'), crm.customer_of('cookie:x');
SELECT * FROM customers();
SELECT identifiers_of FROM crm.identifiers_of(1);
SELECT crm.set_rule('email', normalizer => '');
SELECT * FROM customers();
SELECT crm.set_rule('*', normalizer => 'email') >= 0 AS done;
SELECT * FROM customers();  -- email says itself that it has none, account and cookie can't be read
SELECT crm.drop_rule('email') >= 0 AS done;
SELECT * FROM customers();

-- so does who is shared
SELECT anew();
SELECT crm.set_rule('phone', priority => 10, shared_above => 3), crm.set_rule('account', priority => 30);
SELECT crm.identify(ARRAY[identifier('account', n::text), identifier('phone', v)], '2026-01-01Z', 'x', n::text)
FROM unnest('{912 345 678,912 345 678,912345678,912345678}'::text[]) WITH ORDINALITY u(v, n);
SELECT crm.set_rule('phone', normalizer => 'phone', default_country => 'PT') > 0 AS moved;
SELECT identifier, shared FROM crm.identities ORDER BY identifier;
SELECT * FROM customers();
SELECT crm.set_rule('phone', default_country => 'ES') > 0 AS moved;
SELECT * FROM customers();
SELECT crm.set_rule('phone', default_country => '') > 0 AS moved;  -- these can't be read any more
SELECT * FROM customers();
SELECT crm.set_rule('phone', normalizer => '') > 0 AS moved;
SELECT * FROM customers();

-- people, not addresses: three addresses of one account are one person, in whatever order that comes to light
SELECT anew();
SELECT crm.set_rule('phone', shared_above => 1), crm.set_rule('till', shared_above => 1);
SELECT crm.identify(ARRAY['email:' || n, 'phone:1']::identifier[], '2026-01-01Z', 'calls', n::text) IS NOT NULL AS known FROM generate_series(1, 3) n;
SELECT * FROM customers();
SELECT crm.identify(ARRAY['email:' || n, 'account:1']::identifier[], '2026-01-02Z', 'crm', n::text) IS NOT NULL AS known FROM generate_series(1, 3) n;
SELECT * FROM customers();
SELECT crm.retract('crm', '2');
SELECT * FROM customers();
SELECT crm.must_link('email:2', 'account:1');
SELECT * FROM customers();
SELECT crm.cannot_link('email:2', 'account:1');
SELECT * FROM customers();
SELECT crm.clear_pair('email:2', 'account:1'), crm.identify('{email:2,cookie:7}', '2026-01-02Z', 'web', '1') > 0, crm.identify('{cookie:7,account:1}', '2026-01-02Z', 'web', '2') > 0;
SELECT * FROM customers();
-- a till's phone and its e-mail don't hide each other: people are those of the accounts
SELECT anew();
SELECT crm.set_rule('phone', shared_above => 2), crm.set_rule('email', shared_above => 2);
SELECT crm.identify(ARRAY['loyalty:' || n, 'phone:till', 'email:till']::identifier[], '2026-01-01Z', 'till', n::text) IS NOT NULL AS known FROM generate_series(1, 3) n;
SELECT * FROM customers();
-- without anybody else, each is the other's people
SELECT crm.identify(ARRAY['phone:shop', 'email:' || n]::identifier[], '2026-01-01Z', 'form', n::text) IS NOT NULL AS known FROM generate_series(1, 3) n;
SELECT * FROM customers();
SELECT finding, identifier, reason FROM crm.stitch_report WHERE finding = 'shared';

-- many of one evidence: each evidence is read once, whichever of them are told apart
SELECT anew();
SELECT crm.set_rule('tab', shared_above => 2);
SELECT crm.identify(array(SELECT identifier('c', n::text) FROM generate_series(1, 2000) n), '2026-01-01Z', 's', 'all') > 0 AS known;
SELECT crm.identify(array(SELECT identifier('d', n::text) FROM generate_series(1, 2000) n), '2026-01-01Z', 's', 'all too') > 0 AS known;
SELECT count(crm.identify(ARRAY[v, 'tab:1']::identifier[], '2026-01-01Z', 's', v)) FROM unnest('{c:1,c:2,d:1,d:2}'::text[]) v;
SELECT crm.identify('{c:3,d:3}', '2026-01-01Z', 's', 'both'), crm.identify('{tab:1,e:1}', '2026-01-01Z', 's', 'third');
SELECT crm.retract('s', 'both');
SELECT count(DISTINCT customer_id), bool_or(shared) FROM crm.identities;
SELECT crm.retract('s', 'all too');
SELECT count(DISTINCT customer_id) FROM crm.identities;
SELECT crm.must_link('d:1', 'd:2'), crm.retract('s', 'all');
SELECT count(DISTINCT customer_id) FROM crm.identities;
SELECT crm.must_link('d:1', 'c:1'), crm.must_link('c:2', 'e:1');
SELECT count(DISTINCT customer_id), bool_or(shared) FROM crm.identities;
SELECT * FROM crm.stitch_check();

-- what is shared by the time it comes in, in one batch
SELECT anew();
SELECT crm.set_rule('tab', shared_above => 1, priority => 1);
SELECT cardinality(crm.identify_many(array_agg((ARRAY['tab:t' || n % 2, 'c:c' || n / 2, 'd:' || n]::identifier[], '2026-01-01Z', 's', n::text)::crm.observation)))
FROM generate_series(1, 7) n;
SELECT * FROM customers();

-- a value is blocked in whatever form it is told, and is told of
SELECT anew();
SELECT crm.set_rule('phone', normalizer => 'phone', default_country => 'PT', blocked => ARRAY['912 345 678', '~^\+34']);
SELECT crm.identify('{phone:+351 912 345 678,a:1}', '2026-01-01Z', 's', '1'), crm.identify('{phone:912345678,a:2}', '2026-01-01Z', 's', '2'),
       crm.identify('{phone:+34 612 345 678,a:3}', '2026-01-01Z', 's', '3'), crm.identify('{phone:none,a:4}', '2026-01-01Z', 's', '4');
SELECT * FROM customers();
SELECT finding, identifier, identities, reason FROM crm.stitch_report WHERE finding = 'blocked';
SELECT crm.set_rule('phone', blocked => '{}') > 0 AS moved;
SELECT * FROM customers();

-- pairs, in whatever form
SELECT anew();
SELECT crm.cannot_link('email:Ana@Example.pt', 'a:1'), crm.cannot_link('email:ANA@example.pt', 'email:ana@example.pt'), crm.must_link('email:rui@example.pt', 'a:2');
SELECT crm.set_rule('email', normalizer => 'email') >= 0 AS done;
SELECT crm.cannot_link('email:ana@example.pt', 'a:1') AS new, crm.must_link('email:RUI@example.pt', 'a:2') AS new;
SELECT crm.link('email:ana@example.pt', 'a:1', '2026-01-01Z'), crm.link('email:ana@example.pt', 'a:2', '2026-01-01Z');
SELECT * FROM customers();
SELECT finding, identifier, other, reason FROM crm.stitch_report WHERE finding LIKE 'cannot%' ORDER BY 2, 3;
SELECT step, from_identifier, to_identifier, outcome FROM crm.why('email:ANA@EXAMPLE.pt', 'a:1');
SELECT crm.clear_pair('email:ana@EXAMPLE.pt', 'a:1') AS was, crm.clear_pair('a:1', 'email:ana@example.pt') AS was;
SELECT * FROM customers();

-- what was thought then is told in any form that is one with it now; a former number leads somewhere when the identity
-- that it was is gone with its rule
SELECT anew();
SELECT crm.identify('{account:1,email:Ana@Example.pt}', '2026-01-01Z', 'crm', '1');
SELECT clock_timestamp() AS then \gset
SELECT crm.set_rule('email', normalizer => 'email');
SELECT crm.link('email:ANA@example.pt', 'cookie:1', '2026-01-02Z', 'web', '2');
SELECT v, crm.customer_at(v::identifier, :'then')
FROM unnest('{email:Ana@Example.pt,email:ana@example.pt,email:ANA@example.pt,email:anA@example.pt,cookie:1,email:rui@example.pt}'::text[]) v;
SELECT crm.set_rule('phone', normalizer => 'phone', default_country => 'PT');
SELECT crm.identify('{phone:912345678}', '2026-01-01Z'), crm.identify('{phone:+351 912 345 678,cookie:2}', '2026-01-01Z', 's', '3');
SELECT crm.set_rule('phone', default_country => 'BR') > 0 AS moved;
SELECT crm.customer_of('cookie:2') AS number \gset
SELECT crm.drop_rule('phone') > 0 AS moved;
SELECT count(*) FROM crm.identities WHERE identity_id = :number;
SELECT crm.current_customer(:number) = crm.customer_of('cookie:2') AS led, array(SELECT crm.identifiers_of(:number)) AS identifiers, crm.current_customer(999);
SELECT * FROM customers();

-- a touchpoint holds on to what it names
SELECT anew();
SELECT crm.set_rule('email', normalizer => 'email');
SELECT crm.identify('{email:Ana@Example.pt}', '2026-01-01Z') > 0 AS known, crm.record('{email:ana@example.pt}', '2026-01-02Z', 'web', 'view') > 0 AS recorded;
SELECT crm.drop_rule('email') >= 0 AS done;
SELECT * FROM customers();
SELECT count(*) FROM crm.touchpoints t JOIN crm.identities i ON i.identity_id = t.identity_id WHERE i.identifier = 'email:ana@example.pt';

-- the recommended rules, before or after
SELECT anew();
SELECT crm.record('{account:7,email:Ana@Example.PT}', '2026-01-01Z', 'web', 'view') > 0 AS recorded,
       crm.record('{email:ana@example.pt,phone:912 345 678}', '2026-01-02Z', 'web', 'view') > 0 AS recorded,
       crm.set_rule('account', priority => 99) AS moved;
SELECT * FROM crm.use_recommended_rules('PT');
SELECT * FROM customers();
SELECT count(*) FROM crm.use_recommended_rules('PT');
SELECT namespace, priority FROM crm.identifier_rules ORDER BY 1;
-- the country may come later
SELECT anew();
SELECT crm.identify('{account:8,"phone:912 345 678"}', '2026-01-01Z', 's', '1'), count(*) FROM crm.use_recommended_rules();
SELECT * FROM crm.use_recommended_rules('PT');
SELECT crm.customer_of('account:8') = crm.customer_of('phone:+351912345678') AS one, count(*) FROM crm.use_recommended_rules('ES');
\set VERBOSITY terse
SELECT crm.use_recommended_rules('XX');
\set VERBOSITY default

-- what hands have broken
SELECT anew();
SELECT crm.identify('{a:1,a:2,a:3}', '2026-01-01Z', 's', '1'), crm.identify('{a:4,a:5}', '2026-01-01Z', 's', '2'), crm.identify('{a:6,a:7}', '2026-01-01Z', 's', '3'),
       crm.cannot_link('a:4', 'a:6');
DELETE FROM crm.identities WHERE identifier IN ('a:1', 'a:4');
UPDATE crm.identities SET normal_id = 6 WHERE identifier = 'a:2';
INSERT INTO crm.customers (customer_id, identities) VALUES (1000, 1);
SELECT what, count(*) FROM crm.stitch_check() GROUP BY 1 ORDER BY 1;
SELECT crm.stitch_all() >= 0 AS done;
SELECT count(*) FROM crm.stitch_check();
SELECT * FROM customers();
UPDATE crm.identities SET customer_id = 3 WHERE identifier = 'a:7';
SELECT crm.set_rule('email', normalizer => 'email') >= 0 AS done, crm.identify('{email:A@x.pt}', '2026-01-01Z') > 0 AS known;
UPDATE crm.identities SET customer_id = 3 WHERE identifier = 'email:A@x.pt';
\set VERBOSITY terse
SELECT crm.identify('{email:A@x.pt,new:1}', '2026-01-01Z');
\set VERBOSITY default
SELECT crm.stitch_all() > 0 AS moved;
SELECT * FROM customers();
SELECT source_key, cardinality(identities), retracted_at IS NOT NULL AS retracted FROM crm.evidence ORDER BY 1;
SELECT crm.stitch_all();

-- an index that returns a part of what there is must not change who is who
SELECT anew();
SET gin_fuzzy_search_limit = 1;
SELECT crm.set_rule('tab', shared_above => 2);
SELECT crm.identify(ARRAY['tab:1', 'c:' || n % 9, 'd:' || n]::identifier[], '2026-01-01Z', 's', n::text) IS NULL AS lost FROM generate_series(1, 300) n GROUP BY 1;
SELECT crm.retract('s', n::text) AS retracted, count(*) FROM generate_series(1, 290) n GROUP BY 1;
SELECT * FROM customers() WHERE customer ~ 'WRONG|c:1|tab';
SELECT count(*) FROM crm.why('d:291', 'd:300');
RESET gin_fuzzy_search_limit;

-- a component that rules part: what changes nothing in it is not stitched anew
SELECT anew();
SELECT crm.set_rule('account', priority => 9, max_per_customer => 1);
SELECT crm.identify('{account:1,phone:1}', '2026-01-01Z', 's', '1'), crm.identify('{account:2,phone:1}', '2026-01-02Z', 's', '2');
SELECT crm.identify('{account:1,cookie:1}', '2026-01-03Z', 's', '3'), crm.identify('{phone:1,cookie:2}', '2026-01-03Z', 's', '4'),
       crm.identify('{account:2,phone:1}', '2026-01-04Z', 's', '5'), crm.identify('{cookie:1,account:1}', '2026-01-04Z', 's', '6');
SELECT * FROM customers();
SELECT crm.identify('{account:1,phone:1}', '2026-01-05Z', 's', '7');
SELECT * FROM customers();
SELECT crm.identify('{cookie:2,account:3}', '2026-01-05Z', 's', '8');
SELECT * FROM customers();
SELECT customer_id, component_id, identities, component_identities FROM crm.customers ORDER BY 1;
-- and a quarantined one
SELECT crm.set_quarantine_above(4) > 0 AS moved;
SELECT * FROM customers();
SELECT crm.identify('{cookie:2,cookie:3}', '2026-01-05Z', 's', '9'), crm.identify('{b:1,b:2}', '2026-01-05Z', 's', '10'), crm.must_link('b:1', 'b:2');
SELECT crm.identify('{b:1,cookie:1,b:3}', '2026-01-05Z', 's', '11') > 0 AS known;
SELECT * FROM customers();
SELECT customer_id, component_id, identities, component_identities FROM crm.customers ORDER BY 1;
SELECT crm.set_quarantine_above(NULL) > 0 AS moved;
SELECT * FROM customers();

-- much evidence is retracted at once: of many small components by the law, of large ones by a search
SELECT anew();
SELECT crm.set_rule('account', priority => 9, max_per_customer => 1), crm.set_rule('tab', shared_above => 1);
SELECT cardinality(crm.identify_many(array_agg(o::crm.observation))) AS known
FROM generate_series(1, 150) n,
     LATERAL (VALUES (ARRAY['c:' || n, 'd:' || n]::identifier[], timestamptz '2026-01-01Z', 's', 'both ' || n),
                     (ARRAY['c:' || n, 'tab:' || n]::identifier[], '2026-01-01Z', 's', 'c ' || n),
                     (ARRAY['d:' || n, 'tab:' || n]::identifier[], '2026-01-01Z', 's', 'd ' || n),
                     (ARRAY['d:' || n, 'e:' || n]::identifier[], '2026-01-02Z', 's', 'e ' || n),
                     (ARRAY['d:' || n, 'e:' || n, 'f:' || n % 100]::identifier[], '2026-01-02Z', 's', 'f ' || n)) o;
SELECT crm.identify(array(SELECT identifier('large', n::text) FROM generate_series(0, 600) n), '2026-01-01Z', 's', 'large') > 0 AS known,
       cardinality(crm.identify_many(array_agg(ROW(ARRAY['large:' || n, 'x:' || n]::identifier[], '2026-01-01Z', 's', 'x ' || n)::crm.observation)))
FROM generate_series(0, 9) n;
SELECT crm.identify('{account:1,account:2,x:1}', '2026-01-03Z', 's', 'parted') > 0 AS known, crm.must_link('c:1', 'c:2');
CREATE TABLE rows_before (tid, min) AS SELECT ctid, xmin::text FROM crm.identities;
CREATE FUNCTION counts(OUT customers bigint, OUT largest bigint, OUT shared bigint, OUT written bigint, OUT wrong bigint) LANGUAGE sql AS $$
    SELECT count(DISTINCT customer_id), (SELECT max(identities) FROM crm.customers), count(*) FILTER (WHERE shared),
           count(*) FILTER (WHERE NOT EXISTS (SELECT FROM rows_before b WHERE (b.tid, b.min) = (i.tid, i.min))), (SELECT count(*) FROM crm.stitch_check())
    FROM (SELECT customer_id, shared, ctid AS tid, xmin::text AS min FROM crm.identities) i $$;
SELECT * FROM counts();
-- what other evidence has too moves nobody
SELECT crm.retract_many('s', array_agg('e ' || n)) FROM generate_series(1, 150) n;
SELECT * FROM counts();
SELECT crm.retract_many('s', array_agg('both ' || n) || '{x 0,x 1,parted,none,x 1,NULL}') FROM generate_series(1, 150) n;
SELECT * FROM counts();
SELECT crm.retract_many('s', array_agg(source_key)) FROM crm.evidence WHERE source_key ~ '^[cfx]';
SELECT * FROM counts();
SELECT crm.retract_many('s', array_agg(source_key)) FROM crm.evidence;
SELECT * FROM counts();
SELECT crm.retract_many('s', array_agg(source_key)), crm.retract_many('s', '{}'), crm.retract_many('s', NULL), crm.retract_many(NULL, '{x 0}') FROM crm.evidence;
-- people are told apart in a chain of more rounds than a number has bits
SELECT anew();
SELECT crm.set_rule('tab', shared_above => 1) >= 0 AS done;
SELECT cardinality(crm.identify_many(array_agg((ARRAY[identifier(k, 'a' || n), CASE WHEN n < 80 THEN identifier(k, 'a' || n + 1) ELSE 'tab:t' END],
                                                '2026-01-01Z', 's', k || n)::crm.observation))) AS known
FROM generate_series(1, 80) n, unnest('{c,d}'::text[]) k;
SELECT count(DISTINCT customer_id) AS customers, count(*) FILTER (WHERE shared) AS shared FROM crm.identities;
SELECT crm.link('c:a1', 'd:a1') > 0 AS joined;
SELECT count(DISTINCT customer_id) AS customers, count(*) FILTER (WHERE shared) AS shared, (SELECT count(*) FROM crm.stitch_check()) AS wrong FROM crm.identities;
SELECT journey_drop_hub('crm', true);
SET client_min_messages = warning;
DROP SCHEMA blank CASCADE;
