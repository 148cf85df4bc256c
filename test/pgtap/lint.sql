-- Catalogue lint (pgTAP): every member of the extension is commented, labelled,
-- harmless and complete; any owner of a database may create the extension, in any
-- schema. Run it in a database of its own: it drops and creates the extension, and
-- rolls everything back.
\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\pset pager off
SET client_min_messages = warning;
BEGIN;
DROP EXTENSION IF EXISTS pg_journey;
CREATE SCHEMA tap;
CREATE EXTENSION IF NOT EXISTS pgtap SCHEMA tap;
-- in a schema that the search path lacks
CREATE SCHEMA installed;
SET search_path = tap, pg_catalog;
CREATE EXTENSION pg_journey SCHEMA installed;
SELECT no_plan();

CREATE TEMP VIEW member AS
SELECT d.classid, d.objid, i.type, i.identity
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass,
     pg_identify_object(d.classid, d.objid, 0) i
WHERE e.extname = 'pg_journey' AND d.deptype = 'e';
CREATE TEMP VIEW func AS
SELECT f.*, f.oid AS id, m.identity, l.lanname
FROM member m JOIN pg_proc f ON f.oid = m.objid AND m.classid = 'pg_proc'::regclass
JOIN pg_language l ON l.oid = f.prolang;
CREATE TEMP VIEW agg AS SELECT * FROM func JOIN pg_aggregate ON aggfnoid = id;
CREATE TEMP VIEW oper AS
SELECT o.*, o.oid AS id, m.identity
FROM member m JOIN pg_operator o ON o.oid = m.objid AND m.classid = 'pg_operator'::regclass;
CREATE TEMP VIEW kind AS  -- but for arrays, which the server makes
SELECT t.*, t.oid AS id, m.identity
FROM member m JOIN pg_type t ON t.oid = m.objid AND m.classid = 'pg_type'::regclass
WHERE NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid);
CREATE TEMP VIEW class AS
SELECT c.*, c.oid AS id, a.amname, m.identity
FROM member m JOIN pg_opclass c ON c.oid = m.objid AND m.classid = 'pg_opclass'::regclass
JOIN pg_am a ON a.oid = c.opcmethod;

-- what there is, and where
SELECT cmp_ok((SELECT count(*) FROM func), '>', 60::bigint, 'there are functions to check');
SELECT cmp_ok((SELECT count(*) FROM oper), '>=', 17::bigint, 'there are operators to check');
SELECT cmp_ok((SELECT count(*) FROM kind), '>=', 3::bigint, 'there are types to check');
SELECT cmp_ok((SELECT count(*) FROM class), '>=', 6::bigint, 'there are operator classes to check');
SELECT is_empty($$
    SELECT identity FROM func WHERE pronamespace <> 'installed'::regnamespace
    UNION ALL SELECT identity FROM oper WHERE oprnamespace <> 'installed'::regnamespace
    UNION ALL SELECT identity FROM kind WHERE typnamespace <> 'installed'::regnamespace
    UNION ALL SELECT identity FROM class WHERE opcnamespace <> 'installed'::regnamespace
    $$, 'every member is in the schema asked for');
SELECT is_empty($$
    SELECT type, identity FROM member WHERE type NOT IN
        ('function', 'aggregate', 'type', 'operator', 'operator class', 'operator family', 'cast', 'language')
    $$, 'no views, tables, triggers or other members that hold or show data');
SELECT is_empty($$
    SELECT type, identity FROM member
    WHERE type IN ('function', 'aggregate', 'type', 'operator') AND identity NOT LIKE '%[]'
          AND coalesce(obj_description(objid, classid::regclass::name), '') = ''
    $$, 'functions, aggregates, types and operators have comments');

-- functions
SELECT set_eq($$SELECT proname::text, provolatile::text FROM func WHERE provolatile <> 'i'$$, $$VALUES
    ('journey_sel', 's'), ('journey_typanalyze', 's'),  -- look at statistics
    ('attribution_agg_transfn', 's'), ('journey_funnel_partial_transfn', 's'),  -- with options: times in them may depend on the time zone
    ('journey_is_hub', 's'), ('journey_row_expression', 's'), ('journey_query_calls', 's'), ('journey_check_hub', 's'), ('journey_check_hub_name', 's'),
    ('journey_hub_name_in_functions', 's'), ('journey_hub_is_spread', 's'), ('journey_check_coordinator', 's'),  -- look at the catalog, or settings
    ('journey_hub_holds_data', 's'),                    -- looks at tables
    ('svg_funnel', 's'), ('svg_matches', 's'), ('svg_heatmap', 's'), ('svg_retention', 's'), ('svg_journey', 's'), ('svg_flow', 's'),  -- lc_numeric, TimeZone
    ('journey_changed_rows', 'v'), ('journey_note_rows', 'v'), ('journey_note_row', 'v'),  -- of triggers: look at what has changed, and write
    ('journey_create_hub', 'v'), ('journey_upgrade_hub', 'v'), ('journey_rename_hub', 'v'), ('journey_drop_hub', 'v'),
    ('journey_distribute_hub', 'v'), ('journey_undistribute_hub', 'v'),  -- make and drop objects
    ('journey_run_hub_template', 'v'), ('journey_lock_hub', 'v'), ('journey_hub_is_in_use', 'v'), ('journey_run_as_owner', 'v'), ('journey_make_months', 'v'),  -- likewise, for these
    ('journey_change_hub', 'v'), ('journey_try_template', 'v'), ('journey_run_migrations', 'v'), ('journey_renew_rows', 'v'), ('journey_record_template', 'v'), ('journey_hub_outdated', 'v'),
    ('journey_hub_objects', 'v'), ('journey_hub_rows', 'v'), ('journey_run_as_role', 'v'), ('journey_retire', 'v'), ('journey_drop_retired', 'v'),  -- upgrades
    ('journey_hub_columns', 's'),                       -- looks at the catalog
    ('journey_pass', 'v'),                              -- locks
    ('journey_plpgsql_call', 'v'), ('journey_plpgsql_validator', 'v')  -- of a language
    $$, 'functions are IMMUTABLE but for these');
SELECT set_eq($$SELECT proname::text FROM func WHERE proparallel <> 's'$$, ARRAY[
    'journey_create_hub', 'journey_upgrade_hub', 'journey_rename_hub', 'journey_drop_hub', 'journey_run_hub_template',  -- they write
    'journey_distribute_hub', 'journey_undistribute_hub', 'journey_check_coordinator',
    'journey_lock_hub', 'journey_hub_is_in_use', 'journey_run_as_owner', 'journey_make_months', 'journey_plpgsql_call', 'journey_plpgsql_validator',
    'journey_change_hub', 'journey_try_template', 'journey_run_migrations', 'journey_renew_rows', 'journey_record_template', 'journey_hub_outdated',
    'journey_hub_objects', 'journey_hub_rows', 'journey_run_as_role', 'journey_retire', 'journey_drop_retired',
    'journey_note_rows', 'journey_note_row',
    'journey_changed_rows',    -- workers don't have the rows of a trigger
    'journey_hub_holds_data', 'journey_pass'  -- by what writes
    ], 'functions are PARALLEL SAFE but for these');
SELECT is_empty('SELECT identity FROM func WHERE prosecdef', 'no function is SECURITY DEFINER');
SELECT set_eq('SELECT proname::text FROM func WHERE proleakproof', ARRAY['identifier_eq'], 'only what is byteaeq claims to be LEAKPROOF');
SELECT is_empty('SELECT identity FROM func WHERE proacl IS NOT NULL', 'no privilege is given or taken');
SELECT is_empty($$
    SELECT identity FROM func
    WHERE lanname NOT IN ('c', 'internal') AND prosqlbody IS NULL
          AND NOT coalesce(proconfig::text LIKE '%search_path=%', false)
    $$, 'bodies in SQL or PL/pgSQL are BEGIN ATOMIC or set search_path');
SELECT is_empty($$SELECT identity, probin FROM func WHERE lanname = 'c' AND probin <> '$libdir/pg_journey'$$,
    'functions in C are those of the library');
SELECT set_eq($$SELECT proname::text FROM func WHERE prokind IN ('f', 'w') AND NOT proisstrict$$, ARRAY[
    'normalize_phone',          -- the country may be NULL
    'normalize_identifier', 'identifier_blocked',  -- and so may the normalizer
    'touchpoint',               -- value and ref may be NULL, and all three of the others
    'journey_agg_transfn',      -- the first state is NULL, and so may be value and ref
    'journey_agg_merge_transfn',  -- the first state is NULL
    'journey_agg_combinefn',    -- a worker that saw no row has no state
    'journey_agg_finalfn',      -- no row, no state
    'journey_block_agg_transfn', 'journey_block_agg_combinefn', 'journey_block_agg_finalfn',  -- likewise
    'journey_label_agg_transfn', 'journey_label_agg_combinefn', 'journey_label_agg_finalfn',  -- likewise
    'journey_length_agg_transfn', 'journey_length_agg_combinefn', 'journey_length_agg_finalfn',  -- likewise
    'journey_path_agg_transfn', 'journey_path_agg_combinefn', 'journey_path_agg_finalfn',  -- likewise; length NULL: all
    'journey_funnel_agg_transfn', 'journey_funnel_agg_combinefn', 'journey_funnel_agg_finalfn',  -- likewise
    'journey_funnel_period_agg_transfn', 'journey_funnel_period_agg_combinefn', 'journey_funnel_period_agg_finalfn',  -- likewise; NULL: all
    'journey_retention_agg_transfn', 'journey_retention_agg_combinefn', 'journey_retention_agg_finalfn',  -- likewise
    'journey_funnel_partial_transfn', 'journey_retention_partial_transfn',  -- likewise
    'channel_measures_agg_transfn', 'channel_measures_agg_combinefn', 'channel_measures_agg_finalfn',  -- likewise
    'attribution_agg_transfn', 'attribution_agg_combinefn', 'attribution_agg_finalfn',  -- likewise
    'flow_agg_transfn', 'flow_agg_combinefn', 'flow_agg_finalfn',  -- likewise
    'flow_edges',               -- top NULL: all items
    'osa_distance', 'match_level',  -- max NULL: no limit; thresholds and nicknames NULL: none
    'match_compare', 'match_patterns', 'match_patterns_near',  -- likewise
    'svg_matches',              -- thresholds NULL: none are drawn
    'conversation_agg_transfn', 'conversation_agg_combinefn', 'conversation_agg_finalfn', 'conversation_replies_agg_finalfn',
    'conversation_spans_agg_finalfn',  -- likewise
    'identity_components_transfn', 'identity_components_combinefn', 'identity_components_finalfn',  -- likewise
    'identifier_components_transfn', 'identifier_components_combinefn', 'identifier_components_finalfn',  -- likewise
    'profile_transfn', 'profile_combinefn', 'profile_traits_finalfn', 'profile_provenance_finalfn',  -- likewise
    'window_funnel_transfn', 'sequence_transfn', 'sequence_next_node_transfn', 'retention_transfn',  -- likewise, and conditions may be NULL
    'journey_rows_combinefn', 'sequence_next_node_combinefn',  -- a worker that saw no row that counts has no state
    'window_funnel_finalfn', 'sequence_match_finalfn', 'sequence_count_finalfn', 'sequence_match_events_finalfn',  -- no row, nothing was met
    'session_number', 'contact_kind', 'resolved_at_first_contact',  -- the server ignores it in window functions
    'journey_create_hub', 'journey_upgrade_hub', 'journey_rename_hub', 'journey_drop_hub', 'journey_lock_hub', 'journey_hub_is_in_use',
    'journey_check_hub', 'journey_check_hub_name', 'journey_hub_name_in_functions',  -- NULL is no hub: an error, not silence
    'journey_hub_holds_data', 'journey_distribute_hub', 'journey_undistribute_hub', 'journey_check_coordinator',
    'journey_changed_rows', 'journey_note_rows', 'journey_note_row',  -- no used columns: any may have changed; no lookup: the table
    'journey_hub_template', 'journey_plpgsql_call', 'journey_delivered_tables', 'journey_drop_retired'  -- take nothing
    ], 'functions are STRICT but for these');
SELECT is_empty('SELECT identity FROM func WHERE proretset AND prorows IN (0, 1000)',
    'functions of sets estimate their rows');
SELECT set_eq($$
    SELECT DISTINCT f.proname::text FROM func f JOIN pg_proc p USING (proname)
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
    $$, ARRAY['unnest'], 'no name of a core function is taken but unnest');

-- aggregates
SELECT is_empty($$
    SELECT identity FROM agg
    WHERE aggcombinefn = 0 OR aggtranstype = 'internal'::regtype AND (aggserialfn = 0 OR aggdeserialfn = 0)
    $$, 'aggregates can run in parallel');
SELECT is_empty($$SELECT identity FROM agg WHERE aggfinalmodify <> 'r' OR aggkind <> 'n'$$,
    'aggregates can be windowed and shared');
SELECT is_empty($$SELECT identity FROM agg WHERE aggtranstype = 'internal'::regtype AND aggtransspace = 0$$,
    'aggregates say how large their state is');

-- types
SELECT is_empty('SELECT identity FROM kind WHERE typreceive = 0 OR typsend = 0', 'types have a binary form');
SELECT is_empty('SELECT identity FROM kind WHERE typacl IS NOT NULL', 'types are for everybody');
SELECT is_empty($$
    SELECT identity FROM kind k
    WHERE typtype <> 'c'  -- the server does that
          AND NOT EXISTS (SELECT FROM class WHERE opcintype = k.id AND amname = 'hash' AND opcdefault)
    $$, 'types can be hashed');
SELECT is_empty($$
    SELECT identity FROM kind k
    WHERE typtype <> 'c'  -- likewise
          AND NOT EXISTS (SELECT FROM class WHERE opcintype = k.id AND amname = 'btree' AND opcdefault)
    $$, 'types can be sorted');
SELECT is_empty($$
    SELECT k.identity FROM kind k
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = k.typarray)
    $$, 'arrays of types are members, too');

-- operators
SELECT is_empty($$
    SELECT o.identity FROM oper o LEFT JOIN func f ON f.id = o.oprcode
    WHERE o.oprname <> '~@'  -- GiST's name of ~
          AND coalesce(position('implementation of ' || o.oprname || ' operator' IN obj_description(f.id, 'pg_proc')), 0) = 0
    $$, 'every operator has a named function, whose comment says so');
SELECT is_empty($$SELECT identity FROM oper WHERE oprname = '=' AND NOT oprcanhash$$, '= can hash');
SELECT is_empty($$
    SELECT identity FROM oper WHERE oprname = '=' AND NOT oprcanmerge
        AND EXISTS (SELECT FROM class WHERE opcintype = oprleft AND amname = 'btree')
    $$, '= can merge where there is an order');
SELECT is_empty($$SELECT identity FROM oper WHERE oprresult = 'boolean'::regtype AND (oprrest = 0 OR oprjoin = 0)$$,
    'operators that select have estimators');
-- of two blocks the second's journeys win
SELECT results_eq('SELECT DISTINCT oprleft::regtype::text FROM oper WHERE oprcom = 0', ARRAY['installed.journey_block'],
    'every operator has a commutator but the merge of blocks');
SELECT is_empty($$SELECT identity FROM oper WHERE oprname IN ('=', '<>', '<', '<=', '>', '>=') AND oprnegate = 0$$,
    'comparisons have negators');
SELECT is_empty($$
    SELECT o.identity FROM oper o JOIN pg_operator c ON c.oid = o.oprcom
    WHERE c.oprcom <> o.id OR c.oprleft <> o.oprright OR c.oprright <> o.oprleft OR c.oprresult <> o.oprresult
    $$, 'commutators agree');
SELECT is_empty($$
    SELECT o.identity FROM oper o JOIN pg_operator n ON n.oid = o.oprnegate
    WHERE n.oprnegate <> o.id OR n.oprleft <> o.oprleft OR n.oprright <> o.oprright
    $$, 'negators agree');
SELECT is_empty($$
    SELECT o.identity FROM oper o JOIN pg_operator n ON n.oid IN (o.oprcom, o.oprnegate) WHERE n.oprcode = 0
    $$, 'no operator is a mere shell');

-- operator classes and casts
SELECT is_empty('SELECT identity FROM class WHERE NOT amvalidate(id)', 'operator classes are valid');
SELECT is_empty($$
    SELECT identity FROM class c
    WHERE amname = 'hash' AND NOT EXISTS (
        SELECT FROM pg_amproc p WHERE p.amprocfamily = c.opcfamily AND p.amprocnum = 2)
    $$, 'hash operator classes have the extended hash');
SELECT is_empty($$
    SELECT m.identity FROM member m JOIN pg_cast c ON c.oid = m.objid AND m.classid = 'pg_cast'::regclass
    WHERE castcontext <> 'e'
          AND NOT (castsource = 'installed.touchpoint'::regtype AND casttarget = 'installed.journey'::regtype)
          AND NOT (castsource IN ('text'::regtype, 'varchar'::regtype) AND casttarget = 'installed.identifier'::regtype)
    $$, 'casts are explicit, but for those of a touchpoint to a journey, and of what drivers send to an identifier');

-- the extension itself, in use without its schema in the search path
SELECT results_eq($$
    SELECT superuser, trusted, relocatable
    FROM pg_available_extension_versions v JOIN pg_available_extensions a USING (name)
    WHERE name = 'pg_journey' AND version = default_version
    $$, 'VALUES (true, true, false)', 'trusted, and not relocatable');
SELECT ok(installed.journey_agg(now(), 'a', 'b') OPERATOR(installed.=) installed.touchpoint(now(), 'a', 'b'),
    'works by qualified names');
SELECT lives_ok('CREATE TEMP TABLE t (j installed.journey PRIMARY KEY, p installed.touchpoint UNIQUE)',
    'default operator classes are found');
SELECT lives_ok($$INSERT INTO t SELECT p, p FROM (SELECT installed.touchpoint(now(), 'a', 'b') p) x$$,
    'the implicit cast is found');
SELECT lives_ok('SELECT DISTINCT j, j[1] AS one, j[1:2] AS two FROM t ORDER BY t.j',
    'sorting, hashing and subscripts need no search path');
DROP TABLE t;

-- a hub: all is explained; functions name their search_path, or nothing at all and qualify all names, run in no other schema and
-- as the invoker, and leak nothing
SELECT lives_ok($$SELECT installed.journey_create_hub('linted')$$, 'a hub is made');
SELECT is_empty($$
    SELECT c.relkind, c.relname FROM pg_class c
    WHERE c.relnamespace = 'linted'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''
    $$, 'tables and views of a hub have comments');
SELECT is_empty($$
    SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'linted'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped
          AND coalesce(col_description(a.attrelid, a.attnum), '') = ''
    $$, 'their columns have comments');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'linted'::regnamespace AND coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
    UNION ALL
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'linted'::regnamespace AND p.pronargs > 0
          AND (p.proargnames IS NULL OR '' = ANY (p.proargnames[1:p.pronargs]))
    $$, 'functions of a hub have comments, and names for their arguments');
SELECT is_empty($$
    SELECT t.typname FROM pg_type t
    WHERE t.typnamespace = 'linted'::regnamespace AND t.typelem = 0 AND coalesce(obj_description(t.oid, 'pg_type'), '') = ''
          AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
    $$, 'types of a hub have comments');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = 'linted'::regnamespace
          AND (p.prosecdef AND coalesce(has_function_privilege('public', p.oid, 'EXECUTE'), true) OR p.proleakproof
               OR p.prosqlbody IS NULL
                  AND NOT (l.lanname = 'journey_plpgsql'
                           AND (p.proconfig IS NULL OR 'search_path=linted, installed, pg_temp' = ANY (p.proconfig))))
    $$, 'functions of a hub run in its schema, as the invoker unless they are for few, and leak nothing');
SELECT is_empty($$
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'linted'::regnamespace AND c.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
          -- what policies ask tells each role of itself alone
          AND NOT (c.relname IN ('my_queues', 'my_customers', 'my_identities') AND 'security_barrier=true' = ANY (c.reloptions))
    $$, 'views of a hub have the rights of who reads them');
SELECT lives_ok($$SELECT installed.journey_drop_hub('linted', true)$$, 'and dropped');

-- a user who isn't a superuser, with CREATE on the database, can create it and use it
DROP EXTENSION pg_journey;
CREATE ROLE lint_journey_user;
SELECT format('GRANT CREATE ON DATABASE %I TO lint_journey_user', current_database()) \gexec
SELECT lives_ok($$
    SET ROLE lint_journey_user; CREATE SCHEMA own; CREATE EXTENSION pg_journey SCHEMA own; RESET ROLE
    $$, 'a plain user creates the extension');
SELECT lives_ok($$
    SET ROLE lint_journey_user; SELECT own.journey_length(own.journey_agg(now(), 'a', 'b')); RESET ROLE
    $$, 'a plain user uses it');
SELECT throws_ok('ALTER EXTENSION pg_journey SET SCHEMA tap', '0A000', NULL, 'it stays where it was created');
SELECT lives_ok('SET ROLE lint_journey_user; DROP EXTENSION pg_journey; RESET ROLE', 'a plain user drops it');

SELECT * FROM finish();
ROLLBACK;
