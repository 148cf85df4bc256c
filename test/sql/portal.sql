-- The portal: what a customer sees of himself, and that he sees nothing else.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
\set VERBOSITY terse
SET client_min_messages = error;
SELECT journey_create_hub('crm');
CREATE ROLE regress_portal;
CREATE ROLE regress_portal_app;
SELECT crm.grant_access('regress_portal', 'portal'), crm.grant_access('regress_portal_app', 'steward');
DO $$
BEGIN
    IF to_regprocedure('crm.export_customer(bigint)') IS NULL THEN
        CREATE FUNCTION crm.export_customer(customer_id bigint) RETURNS jsonb LANGUAGE sql AS $export$
            SELECT jsonb_build_object('customer_id', $1, 'identifiers', array_agg(i.identifier::text)) FROM crm.identities i WHERE i.customer_id = $1
        $export$;
    END IF;
END $$;
-- all that is told of him names Bruno
SELECT crm.record('{email:ana@x.pt}', '2026-01-01 10:00Z', 'chat', 'message', 5, 'EUR', 'in', 'c1', 'ann', NULL, 'desk', 'a1', '{"note": "internal"}', 'Help', 'https://x.pt/1') AS ana \gset
SELECT crm.record('{email:bruno@x.pt}', '2026-01-01 11:00Z', 'chat', 'message', 7, 'EUR', 'in', 'bruno1', 'bruno agent', 'bruno campaign', 'bruno desk', 'bruno1', '{"note": "bruno"}', 'Bruno''s', 'https://x.pt/bruno') AS bruno \gset
SELECT crm.customer_of('email:ana@x.pt') AS ana, crm.customer_of('email:bruno@x.pt') AS bruno \gset
SELECT crm.set_traits('email:ana@x.pt', '{"name": "Ana", "tier": "gold"}', 'crm', '2026-01-01Z') = :ana, crm.set_traits('email:bruno@x.pt', '{"name": "Bruno", "tier": "bruno"}', 'bruno crm') = :bruno AS traits;
SELECT crm.set_consent('email:ana@x.pt', 'marketing', 'email', 'granted', given_at => '2026-01-01Z') = :ana, crm.set_consent('email:bruno@x.pt', 'bruno', 'bruno', 'granted') = :bruno AS consents;
SELECT crm.identify('{email:bruno@x.pt,phone:bruno}', '2026-01-02Z', 'bruno', 'bruno') = :bruno AS evidence;
SELECT rejected FROM crm.ingest('bruno', 'segment');
SELECT crm.refresh() > 0 AS refreshed;

-- What the role can reach, of the catalog: these relations, and these functions that run with rights that are lent
SELECT c.relname, string_agg(p, ' ') AS privileges
FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege('regress_portal', c.oid, p) GROUP BY c.relname ORDER BY c.relname;
SELECT count(*) AS columns FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND has_column_privilege('regress_portal', c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES');
SELECT count(*) AS sequences FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('regress_portal', c.oid, 'USAGE, SELECT, UPDATE') END;
SELECT count(*) AS roles FROM pg_auth_members WHERE member = 'regress_portal'::regrole;
SELECT p.oid::regprocedure AS function, has_function_privilege('regress_portal_app', p.oid, 'EXECUTE') AS steward
FROM pg_proc p WHERE p.pronamespace = 'crm'::regnamespace AND p.prosecdef AND has_function_privilege('regress_portal', p.oid, 'EXECUTE') ORDER BY p.proname;
SELECT count(*) AS everybodys FROM pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace = 'crm'::regnamespace AND p.prosecdef AND a.grantee = 0;
SELECT p.proname AS path FROM pg_proc p WHERE p.pronamespace = 'crm'::regnamespace AND p.prosecdef AND NOT coalesce(p.proconfig[1] LIKE 'search_path=crm, public, pg_temp', false);

-- Tokens: of customers there are, by who may make them
CREATE FUNCTION pg_temp.answer(query text, whole boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    state text;
    message text;
    detail text;
    hint text;
    context text;
BEGIN
    EXECUTE query INTO answer;
    RETURN coalesce(answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''), CASE WHEN whole THEN context END);
END $$;
SELECT pg_temp.answer(q) FROM unnest(ARRAY['SELECT crm.portal_token(-1)', 'SELECT crm.portal_token(NULL)', 'SELECT crm.portal_token(1, NULL)', $$SELECT crm.portal_token(1, '0')$$, $$SELECT crm.portal_token(1, '2 years')$$]) q;
SET ROLE regress_portal_app;
SELECT crm.portal_token(:ana) AS ana, crm.portal_token(:bruno, '1 day') AS bruno \gset token_
SELECT pg_temp.answer(q) FROM unnest('{SELECT crm.portal_customer(),SELECT crm.my_timeline(),SELECT crm.revoke_portal_tokens(),"SELECT crm.portal_signature(1, 1)"}'::text[]) q;
SET ROLE regress_portal;
SELECT pg_temp.answer(q) FROM unnest('{SELECT crm.portal_token(1),SELECT crm.revoke_portal_tokens(),SELECT crm.portal_identity(),SELECT crm.portal_customer(),"SELECT crm.portal_signature(1, 1)",SELECT secret FROM crm.secrets}'::text[]) q;

-- Without one, with one that was forged, or is over: the same answer
CREATE TEMP TABLE tried (token text, why text);
INSERT INTO tried VALUES
    (NULL, 'none'), ('', 'empty'), ('x', 'no token'), ('..', 'dots'), (split_part(:'token_ana', '.', 1), 'part'),
    (replace(:'token_ana', :ana || '.', :bruno || '.'), 'other customer'), (upper(:'token_ana'), 'capitals'), (:'token_ana' || ' ', 'space'), (E'\n' || :'token_ana', 'line'),
    (regexp_replace(:'token_ana', '\.(\d+)\.', '.99999999999.'), 'longer'), (regexp_replace(:'token_ana', '^', '0'), 'zero'),
    (split_part(:'token_ana', '.', 1) || '.' || split_part(:'token_ana', '.', 2) || '.' || split_part(:'token_bruno', '.', 3), 'other signature'),
    (split_part(:'token_bruno', '.', 1) || '.' || split_part(:'token_ana', '.', 2) || '.' || split_part(:'token_bruno', '.', 3), 'other time'),
    ('999999999999999999.99999999999.' || repeat('0', 64), 'out of range'), ('99999999999999999999999.1.' || repeat('0', 64), 'too long'), ('-1.1.' || repeat('0', 64), 'negative'),
    ($$' OR true --$$, 'SQL'), (regexp_replace(:'token_ana', '.{64}$', encode(journey_hmac(convert_to(split_part(:'token_ana', '.', 1), 'UTF8'), 'x'), 'hex')), 'own key');
INSERT INTO tried SELECT overlay(:'token_ana' PLACING CASE substr(:'token_ana', length(:'token_ana') - n, 1) WHEN '0' THEN '1' ELSE '0' END FROM length(:'token_ana') - n), 'digit' FROM generate_series(0, 63, 7) n;
SELECT t.answer, count(*), count(DISTINCT why) FROM tried CROSS JOIN LATERAL (SELECT set_config('pg_journey_session.token', token, false) AS set OFFSET 0) s
    CROSS JOIN LATERAL (SELECT pg_temp.answer(CASE WHEN s.set IS NULL THEN 'SELECT 1' ELSE q END) AS answer FROM unnest('{TABLE crm.my_timeline,TABLE crm.my_conversations,TABLE crm.my_profile,TABLE crm.my_consents,SELECT crm.my_export(),"SELECT crm.correct_my_trait(''name'', ''1'')",SELECT crm.withdraw_my_consent(''x''),SELECT crm.ask_for_erasure()}'::text[]) q) t
GROUP BY t.answer;
-- nor is there anything to be learnt from how long it takes: whoever a forged one names, the same is read, and nothing of him
CREATE FUNCTION pg_temp.reads(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    reads CONSTANT text := $q$SELECT jsonb_object_agg(relname, seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_xact_user_tables WHERE schemaname = 'crm'$q$;
    before jsonb;
    after jsonb;
BEGIN
    EXECUTE reads INTO before;
    PERFORM set_config('pg_journey_session.token', token, true), pg_temp.answer('TABLE crm.my_profile');
    EXECUTE reads INTO after;
    RETURN (SELECT string_agg(format('%s: %s', a.key, a.value::int - coalesce((before ->> a.key)::int, 0)), ', ' ORDER BY a.key) FROM jsonb_each_text(after) a
            WHERE a.value::int > coalesce((before ->> a.key)::int, 0));
END $$;
SELECT pg_temp.reads(t.token) AS reads, count(*), string_agg(DISTINCT t.why, ', ' ORDER BY t.why) AS why FROM tried t WHERE t.token ~ '^\d{1,18}\.\d{1,12}\.[0-9a-f]{64}$' GROUP BY 1;
RESET pg_journey_session.token;
SELECT pg_temp.answer('TABLE crm.my_profile');
RESET ROLE;
SELECT crm.portal_token(:ana, '1 microsecond') AS over \gset
SELECT format('%s.%s.%s', :ana, 1000000000, encode(crm.portal_signature(:ana, 1000000000), 'hex')) AS over, format('%s.%s.%s', 12345, 99999999999, encode(crm.portal_signature(12345, 99999999999), 'hex')) AS nobody \gset
SET ROLE regress_portal;
SET pg_journey_session.token = :'over';
SELECT pg_temp.answer('TABLE crm.my_profile');
SET pg_journey_session.token = :'nobody';
SELECT pg_temp.answer('TABLE crm.my_profile');

-- Ana sees herself
SET pg_journey_session.token = :'token_ana';
TABLE crm.my_timeline;
SELECT * FROM crm.my_timeline() WHERE channel = 'chat';
SELECT conversation, subject, channel, touchpoints FROM crm.my_conversations;
TABLE crm.my_profile;
TABLE crm.my_consents;
SELECT crm.my_export() ->> 'customer_id' = :'ana' AS own, crm.my_export()::text ~* 'bruno' AS others;
SELECT crm.correct_my_trait('name', '"Anna"');
SELECT crm.withdraw_my_consent('marketing');
SELECT crm.ask_for_erasure('No more') = crm.ask_for_erasure('again') AS asked;
SELECT trait, value, source FROM crm.my_profile WHERE may_correct;
SELECT purpose, channel, state FROM crm.my_consents;
SELECT pg_temp.answer(q) FROM unnest(ARRAY[$$SELECT crm.correct_my_trait('tier', '"platinum"')$$, $$SELECT crm.correct_my_trait(NULL, '1')$$, $$SELECT crm.correct_my_trait('name', '{"a": 1}')$$,
    $$SELECT crm.correct_my_trait('name', to_jsonb(repeat('x', 2000)))$$, $$SELECT crm.correct_my_trait('name', NULL)$$, $$SELECT crm.withdraw_my_consent('')$$, $$INSERT INTO crm.my_profile VALUES ('tier', '1')$$, $$DELETE FROM crm.my_timeline$$]) q;

-- Each relation and function of the hub, tried with whatever fits: no answer, and no error, names Bruno
RESET ROLE;
CREATE TEMP TABLE attempt (query text);
INSERT INTO attempt
SELECT format('SELECT string_agg(t::text, chr(10)) FROM %s t', c.oid::regclass) FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
UNION ALL
SELECT format(CASE p.prokind WHEN 'p' THEN 'CALL %s(%s)' ELSE 'SELECT string_agg(t::text, chr(10)) FROM %s(%s) t' END, p.oid::regproc,
              (SELECT string_agg(format('%s::%s', CASE WHEN v.given IS NULL THEN 'NULL' ELSE quote_literal(v.given) END, a.kind), ', ' ORDER BY a.n)
               FROM (SELECT format_type(t, NULL) AS kind, n FROM unnest(p.proargtypes) WITH ORDINALITY u(t, n)) a
                    LEFT JOIN LATERAL (SELECT CASE regexp_replace(a.kind, '^crm\.', '')
                        WHEN 'bigint' THEN g.bruno::text WHEN 'bigint[]' THEN format('{%s}', g.bruno) WHEN 'identifier' THEN 'email:bruno@x.pt' WHEN 'identifier[]' THEN '{email:bruno@x.pt,phone:bruno}'
                        WHEN 'text' THEN 'bruno1' WHEN 'text[]' THEN '{bruno1}' WHEN 'name' THEN 'regress_portal' WHEN 'timestamp with time zone' THEN '2026-01-03Z' WHEN 'jsonb' THEN '{}' WHEN 'json' THEN '{}'
                        WHEN 'boolean' THEN 'true' WHEN 'integer' THEN '1' WHEN 'interval' THEN '1 day' WHEN 'numeric' THEN '1' WHEN 'regclass' THEN 'pg_class' END AS given) v ON true))
FROM pg_proc p CROSS JOIN (SELECT :bruno AS bruno) g WHERE p.pronamespace = 'crm'::regnamespace AND p.prorettype <> 'trigger'::regtype AND p.prokind IN ('f', 'p') AND p.proname <> 'mention_of';  -- which gives back what it was given
SELECT count(*) > 300 AS many FROM attempt;
GRANT SELECT ON attempt TO PUBLIC;
SET ROLE regress_portal;
-- what was asked for comes back in messages, so that is left out of them
CREATE TEMP TABLE answered AS SELECT a.query, t.answer FROM attempt a CROSS JOIN LATERAL (SELECT pg_temp.answer(a.query, true) AS answer OFFSET 0) t;
SELECT t.query, t.answer FROM answered t
WHERE regexp_replace(t.answer, 'bruno1|email:bruno@x\.pt|phone:bruno', '', 'gi') ~* 'bruno|^42P01' OR t.answer ~ 'bruno' AND t.answer !~ '^[0-9A-Z]{5} ' AND t.query !~ 'bruno';
-- the errors: what may not be is refused, and the rest is about what was given
SELECT DISTINCT regexp_replace(rtrim(regexp_replace(t.answer, '^([^|]*[|][^|\n]*).*', '\1')), '(permission denied for (?!hub)\w+|must be owner of (?!hub)\w+|"bruno1"|customer) .*', '\1 ...') AS refused FROM answered t WHERE t.answer ~ '^(28|42501|P)' ORDER BY 1;
SELECT DISTINCT left(t.answer, 2) AS class FROM answered t WHERE t.answer ~ '^[0-9A-Z]{5} \|' ORDER BY 1;

-- The token is another's within the session: by prepared plans, by cursors
SET plan_cache_mode = force_generic_plan;
PREPARE own AS SELECT subject FROM crm.my_timeline;
EXECUTE own;
BEGIN;
DECLARE before CURSOR FOR SELECT subject FROM crm.my_timeline;
SET LOCAL pg_journey_session.token = :'token_bruno';
EXECUTE own;
SELECT conversation FROM crm.my_conversations;
FETCH ALL FROM before;
COMMIT;
EXECUTE own;
BEGIN;
DECLARE opened CURSOR FOR SELECT subject FROM crm.my_timeline;
SET LOCAL pg_journey_session.token = '';
SAVEPOINT s;
FETCH ALL FROM opened;
ROLLBACK;
EXECUTE own;
-- in one query it is one customer's, or none's
SELECT pg_temp.answer(format($$SELECT string_agg(t.subject || u.conversation, ' ') FROM crm.my_timeline t, crm.my_conversations u WHERE set_config('pg_journey_session.token', %L, false) <> ''$$, :'token_ana'));

-- Functions that leak what they are shown, before the condition of the view
CREATE FUNCTION pg_temp.leak(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    RAISE WARNING 'seen: %', $1;
    RETURN true;
END $$;
SET client_min_messages = warning;
SELECT count(*) FROM crm.my_timeline WHERE pg_temp.leak(subject);
SELECT count(*) FROM crm.my_profile WHERE pg_temp.leak(value) AND trait = 'tier';
SET client_min_messages = error;
SELECT pg_temp.answer(q) FROM unnest(ARRAY['SELECT 1/0 FROM crm.my_timeline WHERE conversation = ''bruno1''', 'SELECT (subject)::int FROM crm.my_timeline', 'SELECT count(*) FROM crm.touchpoints WHERE pg_temp.leak(subject)']) q;

-- Other roles, paths and temporary objects
SELECT pg_temp.answer(q) FROM unnest(ARRAY['CREATE FUNCTION crm.own() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'CREATE TABLE crm.own ()',
    'CREATE OR REPLACE VIEW crm.my_timeline AS SELECT 1', 'ALTER FUNCTION crm.my_timeline() SECURITY INVOKER', 'GRANT SELECT ON crm.touchpoints TO regress_portal', $$SELECT crm.grant_access('regress_portal', 'reader')$$,
    $$SELECT journey_run_as_owner('crm', 'SELECT max(subject) FROM crm.touchpoints')$$, $$SELECT journey_upgrade_hub('crm')$$, $$SELECT journey_drop_hub('crm', true)$$]) q;
CREATE TEMP TABLE identities AS SELECT :bruno::bigint AS identity_id, :bruno::bigint AS customer_id, 'email:bruno@x.pt'::identifier AS identifier;
CREATE TEMP TABLE secrets AS SELECT 'portal'::text AS name, '\x00000000000000000000000000000000'::bytea AS secret;
CREATE TEMP TABLE settings AS SELECT '{tier}'::text[] AS portal_traits, true AS one_row;
CREATE FUNCTION pg_temp.portal_customer() RETURNS bigint LANGUAGE sql AS 'SELECT 2::bigint';
CREATE FUNCTION pg_temp.journey_hmac(bytea, bytea) RETURNS bytea LANGUAGE sql AS $$SELECT '\x00'::bytea$$;
CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$SELECT ''::text$$;
CREATE FUNCTION pg_temp.eq(bytea, bytea) RETURNS boolean LANGUAGE sql AS $$SELECT true$$;
CREATE OPERATOR pg_temp.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = pg_temp.eq);
SET search_path = pg_temp, pg_catalog, crm, public;
SELECT subject FROM crm.my_timeline;
SELECT pg_temp.answer($$SELECT crm.correct_my_trait('tier', '"platinum"')$$);
SET pg_journey_session.token = :'over';
SELECT pg_temp.answer('TABLE crm.my_profile');
SELECT set_config('pg_journey_session.token', format('%s.%s.%s', :bruno, 99999999999, encode(public.journey_hmac(convert_to(format('portal %s %s', :bruno, 99999999999), 'UTF8'), '\x00000000000000000000000000000000'), 'hex')), false) <> '' AS forged;
SELECT pg_temp.answer('TABLE crm.my_profile');
RESET search_path;
SET pg_journey_session.token = :'token_ana';
SELECT value FROM crm.my_profile WHERE trait = 'tier';
RESET ROLE;

-- A merge after the token was made, a split, and a new key
SELECT crm.identify('{email:ana@x.pt,cookie:1}', '2026-02-01Z', 'web', 'm') = :ana AS one;
SELECT crm.customer_of('cookie:1') = :ana AS same, crm.portal_token(crm.identity_of('cookie:1')) AS cookie \gset token_
SELECT crm.record('{cookie:1}', '2026-02-01Z', 'web', 'view', subject => 'Page') > 0 AS seen;
SET ROLE regress_portal;
SELECT subject FROM crm.my_timeline;
SET pg_journey_session.token = :'token_cookie';
SELECT subject FROM crm.my_timeline;
RESET ROLE;
SELECT crm.retract('web', 'm');
SET ROLE regress_portal;
SELECT subject FROM crm.my_timeline;
RESET ROLE;
-- a guess may be wrong: what it alone joins is not shown; what he exports is noted
SELECT crm.guess_many('{email:ana@x.pt}', '{email:bruno@x.pt}', '{9}') AS guesses;
SELECT crm.customer_of('email:bruno@x.pt') = :ana AS joined;
UPDATE crm.settings SET access_log = true;
SET pg_journey_session.token = :'token_ana';
SET ROLE regress_portal;
SELECT subject FROM crm.my_timeline;
SELECT conversation FROM crm.my_conversations;
SELECT trait, value FROM crm.my_profile;
SELECT purpose, channel, state FROM crm.my_consents;
SELECT crm.my_export() -> 'identifiers' AS identifiers, crm.my_export()::text ~ 'bruno(@| (agent|desk|crm|campaign))|Bruno' AS others;
RESET ROLE;
SELECT role, function, identity_id = :ana AS own, count(*) FROM crm.access_log GROUP BY 1, 2, 3;
UPDATE crm.settings SET access_log = false;
SELECT crm.retract_many('match', array_agg(e.source_key)) AS retracted FROM crm.evidence e WHERE e.source = 'match';
SELECT crm.revoke_portal_tokens();
SET ROLE regress_portal;
SELECT pg_temp.answer('TABLE crm.my_profile');
RESET ROLE;
-- what was done under the tokens is of whom they were made for, and nobody else
SELECT i.identifier, t.trait, t.value FROM crm.traits t JOIN crm.identities i USING (identity_id) WHERE t.source = 'portal';
SELECT i.identifier, c.purpose, c.channel, c.state FROM crm.consents c JOIN crm.identities i USING (identity_id) WHERE c.source = 'portal';
SELECT i.identifier, r.reason FROM crm.erasure_requests r JOIN crm.identities i USING (identity_id);
-- who is gone is logged in nowhere
SELECT crm.portal_token(:bruno) AS bruno \gset token_
DELETE FROM crm.identities WHERE customer_id = :bruno;
SELECT count(*) AS left_over FROM crm.consents c LEFT JOIN crm.identities i USING (identity_id) WHERE i.identity_id IS NULL;
SET ROLE regress_portal;
SET pg_journey_session.token = :'token_bruno';
SELECT pg_temp.answer('TABLE crm.my_profile');
RESET ROLE;
-- settings of a session can't have functions read in another way
\c -
SET client_min_messages = error;
SELECT crm.portal_token(:ana) AS again \gset token_
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET backslash_quote = on;
SET transform_null_equals = on;
SET array_nulls = off;
SET quote_all_identifiers = on;
SET ROLE regress_portal;
SET pg_journey_session.token = :'token_again';
SELECT subject FROM crm.my_timeline;
SELECT crm.correct_my_trait('city', '"Porto"');
SELECT trait, value FROM crm.my_profile WHERE may_correct;
SET pg_journey_session.token = :'token_ana';
SELECT subject FROM crm.my_timeline;
RESET ROLE;
SELECT crm.revoke_access('regress_portal'), crm.revoke_access('regress_portal_app');
SELECT count(*) FROM pg_proc WHERE pronamespace = 'crm'::regnamespace AND proacl::text ~ 'regress_';
SELECT journey_drop_hub('crm', true);
DROP ROLE regress_portal_app;
DROP OWNED BY regress_portal;
DROP ROLE regress_portal;
