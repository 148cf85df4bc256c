-- What is kept of somebody, to be read by him; and of all, for the register of processing.

-- An expression for the columns of a row x that are exported: one object each, for no function takes so many arguments.
CREATE OR REPLACE FUNCTION @hub@.exported_fields(relation text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT string_agg(format('pg_catalog.jsonb_build_object(%L, x.%I)', p.column_name, p.column_name),
                              ' OPERATOR(pg_catalog.||) ' ORDER BY p.column_name)
            FROM personal_data p WHERE p.relation = exported_fields.relation AND p.exported);
END $$;
COMMENT ON FUNCTION @hub@.exported_fields(text) IS
    'an expression for the columns of a table that are exported, as JSON; NULL: there are none';

-- Rows of a person in a table, by the register: the columns that are exported, sorted, so that they are the same as
-- long as nothing has changed.
CREATE OR REPLACE FUNCTION @hub@.exported_rows(relation text, ids bigint[], known_by bigint[], texts text[],
                                               mention text[])
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT regclass := to_regclass(personal_relation(relation));
    queries text;
    found jsonb;
BEGIN
    IF id IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(personal_rows(format('SELECT x.tableoid, x.ctid, %s AS row FROM %s x', f.fields, id), ',',
                                    p.column_name, p.reached_by), ' UNION ')
    INTO queries
    FROM exported_fields(relation) f(fields) CROSS JOIN personal_data p
    WHERE f.fields IS NOT NULL AND p.relation = exported_rows.relation AND p.reached_by IS NOT NULL;
    IF queries IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT pg_catalog.jsonb_agg(r.row ORDER BY r.row) FROM (%s) r', queries)
    INTO found USING ids, known_by, texts, mention;
    RETURN found;
END $$;
COMMENT ON FUNCTION @hub@.exported_rows(text, bigint[], bigint[], text[], text[]) IS
    'what is kept of a person in a table; NULL: nothing';

-- guesses: true: all that they join; false: refuse whom they hold together; NULL: what facts join with the identity
CREATE OR REPLACE FUNCTION @hub@.export_person(customer_id bigint, guesses boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    person record;
    all_ids bigint[];
    identifiers @extschema@.identifier[];
    texts text[];
    mention text[];
    other_ids bigint[];  -- what devices that are others' too were seen with, of those: by what, and when
    other_sources text[];
    other_keys text[];
    other_times timestamptz[];
    told jsonb;
    result jsonb;
    listed record;
BEGIN
    PERFORM check_may('identifiers'), check_may('steward');
    PERFORM check_sees_all();
    SELECT p.customer, p.ids, p.kept INTO person FROM person_of(customer_id, guesses IS NULL) p;
    IF NOT guesses THEN
        PERFORM check_guesses('export_customer', person.customer);
    END IF;
    -- the number is another's where guesses alone join it
    IF guesses IS NULL AND person.customer <> ALL (person.ids || person.kept) THEN
        person.customer := (SELECT min(u.id) FROM unnest(person.ids || person.kept) u(id));
    END IF;
    all_ids := person.ids || person.kept;
    identifiers := array(SELECT i.identifier FROM identities i WHERE i.identity_id = ANY (all_ids) ORDER BY 1);
    texts := array(SELECT u.i::text FROM unnest(identifiers) u(i)
                   UNION SELECT identifier_value(u.i) FROM unnest(identifiers) u(i));
    mention := mention_of(array(SELECT i.identifier FROM identities i WHERE i.identity_id = ANY (person.ids)));
    result := jsonb_build_object(
        'customer_id', person.customer,
        'identifiers', coalesce(to_jsonb(identifiers), '[]'),
        'profile', coalesce((SELECT profile_traits(t.identity_id, t.trait, t.value, t.source, t.source_key,
                                                   t.observed_at,
                                                   (SELECT rules_of_traits()))
                             FROM traits t JOIN identities i ON i.identity_id = t.identity_id
                             WHERE t.identity_id = ANY (person.ids) AND NOT (i.blocked OR i.shared)), '{}'));

    result := result || jsonb_build_object(
        'segments', coalesce((SELECT jsonb_agg(s.segment ORDER BY s.segment COLLATE "C")
                              FROM customer_segments s WHERE s.customer_id = person.customer), '[]'));

    -- what erase() would take: of what came with a device that is others' too what came with the person. Who else there
    -- was is told by number
    SELECT array_agg(w.identity_id), array_agg(w.source), array_agg(w.source_key), array_agg(w.at)
    INTO other_ids, other_sources, other_keys, other_times
    FROM told_with(person.ids) w JOIN identities i ON i.identity_id = w.identity_id
    WHERE w.identity_id = ANY (person.kept) OR i.blocked OR i.shared;
    EXECUTE format('SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(''identifier'', i.identifier) '
                   'OPERATOR(pg_catalog.||) %s ORDER BY x.occurred_at, x.touchpoint_id) '
                   'FROM touchpoints x JOIN identities i ON i.identity_id = x.identity_id '
                   'WHERE x.identity_id = ANY ($1 || $2) AND (x.identity_id = ANY ($1) OR EXISTS (SELECT FROM ROWS '
                   'FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5)) '
                   'w(id, source, key, at) WHERE w.id = x.identity_id AND w.source = x.source '
                   'AND (w.key = x.source_key OR x.source_key IS NULL AND w.at = x.occurred_at)))',
                   exported_fields('touchpoints'))
    INTO told USING person.ids, coalesce(other_ids, '{}'), other_sources, other_keys, other_times;
    result := result || jsonb_build_object(
        'touchpoints', coalesce(told, '[]'),
        'conversations',
        coalesce((SELECT jsonb_agg(c.told ORDER BY c.told)
                  FROM (SELECT jsonb_build_object('source', t.value ->> 'source', 'conversation',
                                                  t.value ->> 'conversation',
                                                  'touchpoints', count(*), 'first', min(t.value ->> 'occurred_at'),
                                                  'last', max(t.value ->> 'occurred_at')) AS told
                        FROM jsonb_array_elements(told) t(value) WHERE t.value ->> 'conversation' IS NOT NULL
                        GROUP BY t.value ->> 'source', t.value ->> 'conversation') c), '[]'),
        'evidence',
        coalesce((WITH own AS MATERIALIZED (
                      SELECT i.identity_id, i.identifier FROM identities i WHERE i.identity_id = ANY (all_ids)
                  ), seen AS MATERIALIZED (
                      SELECT row_number() OVER () AS n, v.source, v.source_key, v.observed_at, v.recorded_at,
                             v.retracted_at, v.strength, v.identities
                      FROM evidence_of(person.ids) v
                  ), named AS (
                      SELECT s.n, jsonb_agg(o.identifier ORDER BY o.identifier)
                                      FILTER (WHERE o.identifier IS NOT NULL) AS identifiers,
                             count(*) FILTER (WHERE o.identifier IS NULL) AS others
                      FROM seen s CROSS JOIN LATERAL (SELECT DISTINCT unnest(s.identities) AS id) u
                           LEFT JOIN own o ON o.identity_id = u.id
                      GROUP BY s.n
                  )
                  SELECT jsonb_agg(e.told ORDER BY e.told)
                  FROM (SELECT jsonb_build_object(
                                   'source', s.source,
                                   -- that of a guess may name whom it is about
                                   'source_key', CASE WHEN s.strength IS NULL OR d.others = 0 THEN s.source_key END,
                                   'observed_at', s.observed_at,
                                   'recorded_at', s.recorded_at, 'retracted_at', s.retracted_at,
                                   'identifiers', d.identifiers, 'others', d.others)
                               || CASE WHEN s.strength IS NOT NULL THEN jsonb_build_object('strength', s.strength)
                                       ELSE '{}' END AS told
                        FROM seen s JOIN named d ON d.n = s.n) e), '[]'));
    FOR listed IN
        SELECT p.relation FROM personal_data p
        WHERE p.relation <> ALL ('{evidence,touchpoints}')
        GROUP BY p.relation HAVING bool_or(p.exported) AND bool_or(p.reached_by IS NOT NULL)
        ORDER BY p.relation
    LOOP
        told := exported_rows(listed.relation, CASE WHEN listed.relation = 'identities'
                              THEN all_ids ELSE person.ids END,
                              person.ids || person.customer, texts, mention);
        result := result || jsonb_build_object(listed.relation, coalesce(told, '[]'));
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION @hub@.export_person(bigint, boolean) IS 'what export_customer and my_export return';

CREATE OR REPLACE FUNCTION @hub@.export_customer(customer_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('identifiers'), check_may('steward'), note_access('export_customer', customer_id);
    RETURN export_person(customer_id, false);
END $$;
CREATE OR REPLACE FUNCTION @hub@.export_customer(customer_id bigint, guesses boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('identifiers'), check_may('steward'), note_access('export_customer', customer_id);
    RETURN export_person(customer_id, coalesce(guesses, false));
END $$;
COMMENT ON FUNCTION @hub@.export_customer(bigint, boolean) IS
    'the same, also of a customer whom guesses hold together: all that they join is one person, the caller says';
COMMENT ON FUNCTION @hub@.export_customer(bigint) IS
    'all that is kept of a customer, with where it came from, as the register has it: see the manual for its members. '
    'Of others there is but how many they were';

CREATE OR REPLACE VIEW @hub@.suppressed_by_day WITH (security_invoker = true) AS
SELECT w.source, (w.dropped_at AT TIME ZONE s.time_zone)::date AS day, sum(w.touchpoints) AS touchpoints,
       sum(w.others) AS others
FROM @hub@.suppressed_writes w CROSS JOIN @hub@.settings s
GROUP BY 1, 2;
COMMENT ON VIEW @hub@.suppressed_by_day
    IS 'what was dropped because it came with an erased identifier, by source and day';
COMMENT ON COLUMN @hub@.suppressed_by_day.source IS 'system it came from';
COMMENT ON COLUMN @hub@.suppressed_by_day.day IS 'the day, in the time zone of settings';
COMMENT ON COLUMN @hub@.suppressed_by_day.touchpoints IS 'how many touchpoints';
COMMENT ON COLUMN @hub@.suppressed_by_day.others IS 'how much evidence, traits and payloads without one';

-- Times of a table are those of the column that comes first of these
CREATE OR REPLACE FUNCTION @hub@.privacy_report(
    OUT relation text, OUT holds text[], OUT columns text[], OUT rows bigint, OUT people bigint, OUT sources text[],
    OUT oldest timestamptz, OUT newest timestamptz, OUT kept_for interval, OUT on_erase text, OUT purpose text,
        OUT basis text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 30 SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    t record;
    id regclass;
    by_identity text;
    at text;
    has_source boolean;
BEGIN
    PERFORM check_may('steward');
    FOR t IN
        SELECT p.relation, array_agg(DISTINCT p.holds ORDER BY p.holds) AS holds,
               array_agg(p.column_name ORDER BY p.column_name) AS columns, min(p.position) AS place,
               coalesce(string_agg(DISTINCT p.on_erase, ', ') FILTER (WHERE p.on_erase <> 'keep'),
                        string_agg(DISTINCT p.on_erase, ', ')) AS on_erase,
               string_agg(DISTINCT p.purpose, '; ') AS purpose, string_agg(DISTINCT p.basis, '; ') AS basis
        FROM personal_data p WHERE p.holds IS NOT NULL GROUP BY p.relation ORDER BY min(p.position), p.relation
    LOOP
        relation := t.relation;
        holds := t.holds;
        columns := t.columns;
        on_erase := t.on_erase;
        purpose := t.purpose;
        basis := t.basis;
        id := to_regclass(personal_relation(t.relation));
        CONTINUE WHEN id IS NULL;
        SELECT max(a.attname) FILTER (WHERE p.reached_by = 'identity'),
               (array_agg(a.attname ORDER BY u.n)
                FILTER (WHERE u.n IS NOT NULL AND a.atttypid = 'timestamptz'::regtype))[1],
               coalesce(bool_or(a.attname = 'source'), false)
        INTO by_identity, at, has_source
        FROM pg_attribute a LEFT JOIN personal_data p ON p.relation = t.relation AND p.column_name = a.attname
             LEFT JOIN unnest('{occurred_at,observed_at,received_at,rejected_at,noted_at,set_at,first_seen,'
                              'suppressed_at,given_at,seen_at,asked_at,assigned_at,at}'::name[])
                       WITH ORDINALITY u(name, n)
                 ON u.name = a.attname
        WHERE a.attrelid = id AND a.attnum > 0 AND NOT a.attisdropped;
        EXECUTE format('SELECT count(*), %s, %s, %s, %s FROM %s x%s',
                       CASE WHEN by_identity IS NOT NULL THEN 'count(DISTINCT i.customer_id)' ELSE 'NULL::bigint' END,
                       CASE WHEN has_source
                           THEN 'array_agg(DISTINCT x.source::pg_catalog.text)' ELSE 'NULL::pg_catalog.text[]' END,
                       coalesce('min(x.' || quote_ident(at) || ')', 'NULL::pg_catalog.timestamptz'),
                       coalesce('max(x.' || quote_ident(at) || ')', 'NULL::pg_catalog.timestamptz'), id,
                       CASE WHEN by_identity IS NOT NULL
                            THEN format(' LEFT JOIN %I.identities i ON i.identity_id = x.%I', current_schema(),
                                        by_identity)
                            ELSE '' END)
        INTO rows, people, sources, oldest, newest;
        kept_for := kept_for(CASE t.relation WHEN 'touchpoint_keys' THEN 'keys' ELSE t.relation END);
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.privacy_report() IS
    'the register of processing: of each table that may hold something of people what that is, of how many, where it '
    'came from, since when, how long it is kept, what erase() does with it, for what purpose and on which '
    'basis, as personal_data has it';
