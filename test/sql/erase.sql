-- Erasing people: the register, export, erase, suppression, anonymize, and what is to hold of those who stay.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('crm');
SELECT count(*) FROM crm.use_recommended_rules('PT');
SELECT crm.set_rule('till', shared_above => 2);
SET search_path = crm, public;

-- every column is listed, in this hub and with a table and a column of the owner's
SELECT * FROM unlisted_columns();
ALTER TABLE touchpoints ADD COLUMN seat text;
CREATE TABLE notes (customer_id bigint, note text);
SELECT * FROM unlisted_columns();
INSERT INTO personal_data (relation, column_name, holds, reached_by, on_erase, on_anonymize, exported) VALUES
    ('touchpoints', 'seat', 'content', NULL, NULL, 'clear', true), ('notes', 'customer_id', 'number', 'customer', 'delete', NULL, true),
    ('notes', 'note', 'content', NULL, NULL, NULL, true);
SELECT * FROM unlisted_columns();
SELECT relation, column_name FROM personal_data WHERE relation !~ '\.' EXCEPT
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped WHERE c.relnamespace = 'crm'::regnamespace;
INSERT INTO personal_data (relation, column_name, on_erase) VALUES ('x', 'free', 'delete');
INSERT INTO personal_data (relation, column_name, holds, reached_by, on_erase) VALUES ('x', 'number', 'number', 'identity', 'strip');

-- Where a value stands in the hub, in the text of any table
CREATE FUNCTION public.stands_in(value text) RETURNS TABLE (name text, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                       AND c.relname NOT IN ('secrets', 'suppressions') ORDER BY 1 LOOP  -- which are random, and have any two letters
        EXECUTE format('SELECT count(*) FROM crm.%I x WHERE strpos(lower(x::text), lower($1)) > 0', name) INTO rows USING value;
        IF rows > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION public.people(OUT customer bigint, OUT identifiers text) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT min(dense), string_agg(regexp_replace(identifier, '^(anonymous):.*', '\1') || CASE WHEN shared THEN ' shared' ELSE '' END, ', ' ORDER BY identifier)
    FROM (SELECT dense_rank() OVER (ORDER BY first) AS dense, identifier, shared, customer_id
          FROM (SELECT i.identifier::text, i.shared, i.customer_id, min(i.identifier::text) OVER (PARTITION BY i.customer_id) AS first FROM crm.identities i) i) i
    GROUP BY customer_id ORDER BY 1 $$;

-- Ana and Bea share a tablet, and with Dora a till; Carl has nothing to do with them. Each call is of one of them
CREATE FUNCTION public.tell(who text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*)
    FROM (SELECT record(ids::identifier[], at::timestamptz, 'web', what, 10, 'EUR', source => 'shop', source_key => key, conversation => 'talk ' || key,
                        attributes => jsonb_build_object('told', whose || '-secret'), subject => whose || '-subject')
          FROM (VALUES ('ana', '{account:1001,email:Ana@Example.pt,"phone:912 345 678"}', '2026-01-01Z', 'login', 'a1'),
                       ('ana', '{account:1001,cookie:tablet,till:7}', '2026-01-02Z', 'view', 'a2'),
                       ('ana', '{cookie:tablet,email:ana@example.pt}', '2026-01-03Z', 'view', 'a3'),
                       ('ana', '{phone:+351912345678}', '2026-01-04Z', 'call', 'a4'),
                       ('bea', '{account:1002,email:bea@example.pt}', '2026-01-01Z', 'login', 'b1'),
                       ('bea', '{account:1002,cookie:tablet,till:7}', '2026-01-01 10:00Z', 'view', 'b2'),
                       ('bea', '{cookie:tablet}', '2026-01-02 10:00Z', 'buy', 'b3'),
                       ('dora', '{account:1003,till:7}', '2026-01-01 10:00Z', 'buy', 'd1'),
                       ('carl', '{account:1004,email:carl@example.pt}', '2026-01-01 10:00Z', 'buy', 'c1')) e(whose, ids, at, what, key)
          WHERE whose = who ORDER BY key) t $$;
SELECT tell('ana'), tell('bea'), tell('dora'), tell('carl');
SELECT set_traits('account:1001', '{"name": "Ana Silva-Secret", "size": 38}', 'shop', '2026-01-01Z') > 0 AS ana,
       set_traits('account:1002', '{"name": "Bea"}', 'shop', '2026-01-01Z') > 0 AS bea;
SELECT must_link('account:1001', 'passport:ana-7') AS pair;
SELECT * FROM ingest('{"type": "track", "event": "", "userId": "Ana@example.pt"}', 'segment');
SELECT * FROM ingest('{"type": "track", "event": "", "userId": "bea@example.pt"}', 'segment');
INSERT INTO notes SELECT customer_of('account:' || n), 'note of ' || n FROM generate_series(1001, 1003) n;
SELECT refresh() > 0 AS refreshed;
SELECT tell('ana'), tell('bea') AS replayed;  -- the same keys: the same touchpoints
SELECT * FROM people();
-- who has the tablet, and is the younger owner; it is in one customer
SELECT customer_of('cookie:tablet') = customer_of('account:1001') AS of_ana;
SELECT * FROM stands_in('ana@example.pt');

-- the export: all of Ana, and of others only how many they were
SELECT key, CASE jsonb_typeof(value) WHEN 'array' THEN jsonb_array_length(value)::text ELSE value::text END AS holds
FROM jsonb_each(export_customer(customer_of('account:1001'))) WHERE key <> 'customer_id';
SELECT e ->> 'source_key' AS key, e -> 'identifiers' AS identifiers, e -> 'others' AS others
FROM jsonb_array_elements(export_customer(customer_of('account:1001')) -> 'evidence') e ORDER BY 1;
SELECT t ->> 'source_key' AS key, t ->> 'identifier' AS identifier, t ->> 'subject' AS subject, t -> 'attributes' AS attributes
FROM jsonb_array_elements(export_customer(customer_of('account:1001')) -> 'touchpoints') t;
SELECT export_customer(customer_of('account:1001'))::text ~* 'bea|carl|1002|1003' AS names_others;
SELECT export_customer(0);
CREATE TEMP TABLE was AS SELECT export_customer(customer_of('account:1004')) AS carl;

-- erase: refused, and then done
SELECT erase(customer_of('account:1001'), ' ');
SELECT erase(customer_of('account:1001'), 'request of Ana@Example.pt');
SELECT erase(customer_of('account:1001'), 'asked by ACCOUNT:1001.');
-- however many identifiers there are: an expression of all of them would be too large
SELECT count(*) > 1 AS several, bool_or('{"v":"COOKIE-700"}' ~ m) AS found, bool_or('cookie-7000' ~ m) AS another, bool_or('{"v":"c99"}' ~ m) AS short
FROM (SELECT mention_of(array_agg(identifier('c', CASE i WHEN 99 THEN 'c' ELSE 'cookie-' END || i))) AS expressions FROM generate_series(1, 700) i) e CROSS JOIN LATERAL unnest(e.expressions) m;
BEGIN;
SELECT set_traits('account:1001', '{"name": "Ana D. (Dias)"}') IS NOT NULL AS named;
SELECT erase(customer_of('account:1001'), 'ana d. (dias) asked');
ROLLBACK;
SELECT erase(NULL, 'ticket 1');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT erase(customer_of('account:1001'), 'ticket 1');
ROLLBACK;
BEGIN;
SELECT erase(customer_of('account:1001'), 'ticket 1') ->> 'kind';
ROLLBACK;
SELECT customer_of('account:1001') IS NOT NULL AS all_or_nothing;
SELECT jsonb_pretty(erase(customer_of('account:1001'), 'ticket 1') - 'erased_at' - 'erased_by');
SELECT * FROM people();
SELECT * FROM stitch_check();
SELECT value, s.* FROM unnest('{ana,1001,912345678,+351912,912 345,a1,a2}'::text[]) value, stands_in(value) s;
SELECT customer_of('cookie:tablet') = customer_of('account:1002') AS of_bea, export_customer(customer_of('account:1004')) = carl AS carl_is_as_he_was FROM was;
SELECT customer_id = customer_of('account:1002') AS bea, journey FROM current_journeys WHERE customer_id IN (customer_of('account:1002'), customer_of('account:1004')) ORDER BY 1 DESC;
SELECT refresh() >= 0 AS refreshed;
SELECT customer_id = customer_of('account:1002') AS bea, journey FROM customer_journeys WHERE customer_id IN (customer_of('account:1002'), customer_of('account:1004')) ORDER BY 1 DESC;

-- as a hub that never knew her
SELECT string_agg(p::text, ';') AS people FROM people() p \gset
SELECT string_agg(concat(e.source_key, ' ', (SELECT string_agg(i.identifier::text, ' ' ORDER BY i.identifier) FROM identities i WHERE i.identity_id = ANY (e.identities))), ';' ORDER BY e.source_key) AS evidence FROM evidence e \gset
SELECT journey_create_hub('other');
SELECT count(*) FROM other.use_recommended_rules('PT');
SELECT other.set_rule('till', shared_above => 2);
SET search_path = other, public;
SELECT tell('bea'), tell('dora'), tell('carl');
SELECT string_agg(p::text, ';') = :'people' AS same_people FROM people() p;
SELECT string_agg(concat(e.source_key, ' ', (SELECT string_agg(i.identifier::text, ' ' ORDER BY i.identifier) FROM identities i WHERE i.identity_id = ANY (e.identities))), ';' ORDER BY e.source_key) = :'evidence' AS same_evidence FROM evidence e;
SET search_path = crm, public;
SELECT journey_drop_hub('other', true);

-- what comes with her again is dropped, by every way in, in whatever form, and counted
SELECT tell('ana');
SELECT record('{"phone:00351 912 345 678",cookie:new}', '2026-02-01Z', 'web', 'view') AS other_form,
       record('{passport:ana-7}', '2026-02-01Z', 'web', 'view') AS of_the_pair;
SELECT record_many(ARRAY[ROW('{account:1001}', '2026-02-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 's', '1', NULL, NULL, NULL),
                         ROW('{account:1002}', '2026-02-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 's', '2', NULL, NULL, NULL),
                         ROW('{cookie:new,account:1001}', '2026-02-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 's', '3', NULL, NULL, NULL)]::event[]) \gset
SELECT array_length(:'record_many'::bigint[], 1) AS answers, array_position(:'record_many'::bigint[], NULL) AS first_dropped, (:'record_many'::bigint[])[2] > 0 AS stored;
SELECT identify('{account:1001,cookie:new}', '2026-02-01Z') AS identified, link('cookie:new', 'email:ana@example.pt', '2026-02-01Z') AS linked, set_traits('account:1001', '{"name": "Ana"}') AS told;
SELECT (identify_many(ARRAY[ROW('{account:1001,cookie:new}', '2026-02-01Z', 's', '9'), ROW('{account:1002,email:bea@example.pt}', '2026-02-01Z', 's', '10')]::observation[]))[1] AS identified;
SELECT * FROM ingest('{"type": "page", "messageId": "m1", "userId": "x", "context": {"traits": {"email": "Ana@example.pt"}}}', 'segment');
SELECT * FROM ingest_many(ARRAY['{"type": "identify", "messageId": "m2", "userId": "y", "traits": {"email": "ana@example.pt", "name": "Ana"}}', '{"type": "page", "messageId": "m3", "userId": "y2"}'], 'segment');
SELECT * FROM ingest('{"batch": [{"type": "page", "messageId": "m4", "userId": "z", "context": {"traits": {"email": "ana@example.pt"}}}, {"type": "track", "messageId": "m5"}]}', 'segment');
SELECT must_link('account:1001', 'account:1002');
SELECT cannot_link('account:1002', 'email:ANA@example.pt');
SELECT value, s.* FROM unnest('{ana@,1001,912345678,ana-7,cookie:new}'::text[]) value, stands_in(value) s;
SELECT source, touchpoints, others FROM suppressed_by_day ORDER BY source;
SELECT * FROM stitch_check();

-- rows of attached tables: refused, until they are deleted there, or let go of
CREATE TABLE public.orders (id int PRIMARY KEY, email text, at timestamptz, name text);
INSERT INTO public.orders VALUES (1, 'eva@example.pt', '2026-01-01Z', 'Eva'), (2, 'fay@example.pt', '2026-01-01Z', 'Fay'), (3, 'ana@example.pt', '2026-01-01Z', 'Ana');
SELECT attach_source('public.orders', '{"occurred_at": "at", "channel": "''web''", "action": "''order''", "identifiers": {"email": "email"}, "traits": {"name": "name"}}'::json, feed => 'immediate', backfill => true) \gset
CALL backfill_source('orders');
SELECT source_key, identifier_value(i.identifier) FROM touchpoints t JOIN identities i USING (identity_id) WHERE source = 'orders' ORDER BY 1;
SELECT * FROM attached_rows(customer_of('email:eva@example.pt'));
SELECT erase(customer_of('email:eva@example.pt'), 'ticket 2');
DELETE FROM public.orders WHERE id = 1;
SELECT erase(customer_of('email:eva@example.pt'), 'ticket 2') -> 'delete_there' AS nothing_left;
UPDATE settings SET erase_attached = 'detach';
SELECT erase(customer_of('email:fay@example.pt'), 'ticket 3') -> 'delete_there' AS delete_there;
UPDATE public.orders SET at = '2026-01-05Z';
INSERT INTO public.orders VALUES (4, 'eva@example.pt', '2026-01-01Z', 'Eva'), (5, 'gil@example.pt', '2026-01-01Z', 'Gil');
UPDATE public.orders SET email = 'fay@example.pt' WHERE id = 5;
SELECT count(*) FROM resync_source('orders');
CALL feed();
SELECT value, s.* FROM unnest('{eva@,fay@,Fay,gil@}'::text[]) value, stands_in(value) s WHERE s.name <> 'identities' OR value <> 'gil@';
SELECT source_key FROM touchpoints WHERE source = 'orders';
SELECT detach_source('orders', keep => false);

-- by notes: what was noted before, and comes after, names her no more; nor do changes of its columns
CREATE TABLE public.talks (id int PRIMARY KEY, email text, at timestamptz, status text);
SELECT attach_source('public.talks', '{"occurred_at": "at", "channel": "''chat''", "action": "''talk''", "identifiers": {"email": "email"}, "on_change": {"column": "status", "at": "at", "actions": {"done": "resolved"}}}'::json) \gset
INSERT INTO public.talks VALUES (1, 'hal@example.pt', '2026-01-01Z', 'new'), (2, 'ivy@example.pt', '2026-01-01Z', 'new');
CALL feed() \gset
UPDATE public.talks SET status = 'done';
CALL feed() \gset
SELECT source_key, action FROM touchpoints WHERE source = 'talks' ORDER BY 1;
UPDATE public.talks SET status = 'hal@example.pt' WHERE id = 1;
SELECT erase(customer_of('email:hal@example.pt'), 'ticket 4') -> 'delete_there' AS delete_there;
SELECT count(*) AS notes_of_her FROM feed_notes;
UPDATE public.talks SET status = 'open';
UPDATE public.talks SET status = 'done', email = lower(email);
CALL feed() \gset
INSERT INTO public.talks VALUES (3, 'hal@example.pt', '2026-01-01Z', 'done');
CALL feed() \gset
SELECT source_key, action FROM touchpoints WHERE source = 'talks' ORDER BY 1;
SELECT value, s.* FROM unnest('{hal@}'::text[]) value, stands_in(value) s;
SELECT source, row_key, source_key FROM source_changes ORDER BY 3;
SELECT * FROM source_rejects;
SELECT count(*) AS differs FROM check_source('talks');
SELECT detach_source('talks', keep => false);
DROP TABLE public.talks;

-- anonymized: counts stay, and nothing leads back
SELECT count(*), sum(value), count(DISTINCT conversation) FROM touchpoints;
SELECT jsonb_pretty(anonymize(customer_of('account:1003'), 'ticket 5') - 'erased_at' - 'erased_by');
SELECT count(*), sum(value), count(DISTINCT conversation) FROM touchpoints;
SELECT value, s.* FROM unnest('{dora,1003}'::text[]) value, stands_in(value) s;
SELECT channel, action, value, subject, attributes, source_key, conversation ~ '^anonymous \d+-1$' AS talk FROM touchpoints t JOIN identities i USING (identity_id) WHERE identifier_namespace(i.identifier) = 'anonymous';
SELECT tell('dora');
SELECT * FROM stitch_check();

-- a customer again
SELECT unsuppress('email:ana@EXAMPLE.pt'), unsuppress('email:ana@example.pt') AS again, unsuppress(NULL);
SELECT unsuppress('email:ana@EXAMPLE.pt'), unsuppress('email:ana@example.pt') AS again;
SELECT record('{email:Ana@Example.pt}', '2026-02-01Z', 'web', 'view') > 0 AS again, record('{account:1001,email:Ana@Example.pt}', '2026-02-01Z', 'web', 'view') AS not_this;

-- a backup is restored, and the marks are put back: they are erased again, and nobody else is
CREATE TEMP TABLE marks AS TABLE suppressions;
DELETE FROM suppressions;
SELECT tell('ana'), tell('dora');
INSERT INTO suppressions TABLE marks;
SELECT reapply_erasures(now() + '1 day') AS none;
SELECT reapply_erasures() #>> '{counts,identities}' AS identities;
SELECT reapply_erasures() AS none;
SELECT * FROM people();
SELECT * FROM stitch_check();
SELECT kind, reason, counts -> 'identities' AS identities FROM erasures ORDER BY erasure_id;

-- the register of processing
UPDATE personal_data SET purpose = 'service', basis = 'contract' WHERE relation = 'touchpoints';
SELECT relation, rows, people, sources, on_erase, purpose, basis FROM privacy_report() WHERE relation IN ('touchpoints', 'notes', 'identities', 'rejected');

-- whom only a guess joins: refused, and told which; followed, where the caller says that it is one; taken back, where it is not
SELECT identify('{account:2001,email:kim@x.pt}', '2026-01-01Z', 'k', '1') > 0 AS kim, identify('{account:2002,email:lou@x.pt}', '2026-01-01Z', 'k', '2') > 0 AS lou,
       identify('{cookie:kim,email:k@y.pt}', '2026-01-01Z', 'k', '3') > 0 AS perhaps, record('{email:k@y.pt}', '2026-01-02Z', 'web', 'view', source_key => 'k4', source => 'k') > 0 AS seen;
SELECT guess_many('{email:kim@x.pt,cookie:kim}', '{email:k@y.pt,email:lou@x.pt}', '{9,3}', 'match names', '{kim,lou}') AS guesses;
SELECT customer_of('email:k@y.pt') = customer_of('account:2001') AS joined, customer_of('account:2002') = customer_of('account:2001') AS and_another;
SELECT a.identifier, b.identifier, g.source, g.source_key, g.strength FROM guesses_within(customer_of('account:2001')) g JOIN identities a ON a.identity_id = g.a JOIN identities b ON b.identity_id = g.b;
SELECT erase(customer_of('account:2001'), 'ticket 7');
SELECT anonymize(customer_of('email:k@y.pt'), 'ticket 7');
SELECT export_customer(customer_of('account:2001'));
SELECT export_customer(customer_of('account:2001'), true) -> 'identifiers' AS all_of_them;
SELECT export_person(identity_of('email:k@y.pt'), NULL) -> 'identifiers' AS of_facts, export_person(identity_of('account:2001'), NULL) -> 'identifiers' AS others;
BEGIN;
SELECT erase(customer_of('account:2001'), 'ticket 7', true) -> 'counts' AS counts;
SELECT value, s.* FROM unnest('{kim@,2001,k@y,k4,cookie:kim}'::text[]) value, stands_in(value) s WHERE s.name <> 'evidence';
SELECT customer_of('account:2002') IS NOT NULL AS lou, (SELECT count(*) FROM stitch_check()) AS wrong;
ROLLBACK;
SELECT retract('match names', 'kim');
SELECT customer_of('email:k@y.pt') = customer_of('account:2002') AS then_of_lou;
SELECT retract('match names', 'lou');
SELECT erase(customer_of('account:2001'), 'ticket 7') -> 'counts' AS counts, customer_of('email:k@y.pt') IS NOT NULL AS other;
-- a guess that joins nothing makes nothing another's, too
SELECT identify('{account:2001,email:mia@x.pt}', '2026-02-01Z') AS suppressed, identify('{account:2003,email:mia@x.pt}', '2026-02-01Z', 'k', '5') > 0 AS mia;
SELECT guess_many('{email:mia@x.pt}', '{account:2002}', '{9}', 'match names', '{mia}') AS guesses, customer_of('account:2003') = customer_of('account:2002') AS joined;
SELECT erase(customer_of('account:2003'), 'ticket 8') -> 'counts' -> 'identities' AS identities;
SELECT customer_of('email:mia@x.pt') AS nobody;
SELECT * FROM stitch_check();

-- erased, and then merged; merged, and then erased
SELECT identify('{account:3001,email:nia@x.pt}', '2026-01-01Z', 'm', '1') > 0 AS nia, identify('{account:3002,email:ola@x.pt}', '2026-01-01Z', 'm', '2') > 0 AS ola, identify('{device:n}', '2026-01-01Z') > 0 AS device;
-- what was counted of few is gone, until it is counted again
UPDATE next_step_models SET at_least = 1;
SELECT record('{account:3001}', '2026-01-02Z', 'web', v) > 0 AS seen FROM unnest('{rare1,rare2}'::text[]) v;
SELECT refresh() >= 0 AS refreshed, make_next_steps() > 0 AS counted;
SELECT count(*) > 0 AS told FROM next_step_contexts c WHERE 'rare2' = ANY (c.items) OR c.items::text ~ 'rare2';
SELECT erase(customer_of('account:3001'), 'ticket 9') -> 'counts' -> 'identities' AS identities;
SELECT (SELECT count(*) FROM next_step_contexts) AS contexts, (SELECT count(*) FROM next_step_models WHERE made_at IS NOT NULL) AS counted, make_next_steps() > 0 AS again;
SELECT count(*) AS still_told FROM next_step_contexts c WHERE c.items::text ~ 'rare' OR c.context::text ~ 'rare';
SELECT link('email:nia@x.pt', 'email:ola@x.pt', '2026-02-01Z') AS not_linked, identify('{account:3002,device:n}', '2026-02-01Z', 'm', '3') > 0 AS merged, customer_of('email:nia@x.pt') AS nobody;
SELECT erase(customer_of('device:n'), 'ticket 10') -> 'counts' -> 'identities' AS identities;
SELECT customer_of('device:n') AS nobody, retract('m', '3') AS retracted;
SELECT * FROM stitch_check();

-- what was dropped is a row a source and day
SELECT record('{account:3001}', '2026-02-01Z', 'web', 'view') AS dropped FROM generate_series(1, 3);
SELECT sum(touchpoints) AS were FROM suppressed_by_day \gset
CALL maintain() \gset
SELECT bool_and(n = 1) AS one_each, sum(touchpoints) = :were AS as_many FROM (SELECT count(*) AS n, sum(touchpoints) AS touchpoints FROM suppressed_writes GROUP BY source, dropped_at::date) s;

-- who may: stewards and the owner; who sees all
CREATE ROLE regress_erase_steward;
CREATE ROLE regress_erase_writer;
CREATE ROLE regress_erase_reader;
SELECT grant_access('regress_erase_steward', 'steward'), grant_access('regress_erase_writer', 'writer'), grant_access('regress_erase_reader', 'reader', identifiers => true);
GRANT SELECT ON was TO regress_erase_steward;
GRANT SELECT ON notes TO regress_erase_steward;  -- to export it: erase() has the owner's rights
\set VERBOSITY terse
SELECT customer_of('account:1004') AS carl \gset
SET ROLE regress_erase_writer;
SELECT record('{account:1003}', '2026-02-01Z', 'web', 'view') AS dropped, identify('{account:1003}') AS unknown;
SELECT erase(:carl, 'mine');
SELECT export_customer(:carl);
SELECT secret FROM secrets;
SELECT suppress('{account:1004}', '{account:1004}', 1);
SET ROLE regress_erase_reader;
SELECT export_customer(:carl);
SELECT suppressed_among('{account:1001}');
SELECT unsuppress('account:1001');
SET ROLE regress_erase_steward;
SELECT secret FROM secrets;
SELECT export_customer(:carl) = carl AS same FROM was;
SELECT erase(:carl, 'ticket 5') ->> 'erased_by' = session_user AS erased;
SELECT unsuppress('account:1004');
RESET ROLE;
SELECT record('{account:1004}', '2026-02-01Z', 'web', 'view') > 0 AS back;
SELECT customer_of('account:1004') AS carl \gset
ALTER TABLE identities ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON identities USING (true);
SET ROLE regress_erase_steward;
\set VERBOSITY default
SELECT erase(:carl, 'ticket 6');
SELECT export_customer(:carl);
RESET ROLE;
SELECT erase(:carl, 'ticket 6') -> 'counts' -> 'identities' AS by_the_owner;
REVOKE ALL ON was, notes FROM regress_erase_steward;
SELECT revoke_access(r) FROM unnest('{regress_erase_steward,regress_erase_writer,regress_erase_reader}'::name[]) r;
DROP ROLE regress_erase_steward, regress_erase_writer, regress_erase_reader;
SET search_path = public;
SELECT journey_drop_hub('crm', true);
DROP TABLE orders;
DROP FUNCTION stands_in, people, tell;
