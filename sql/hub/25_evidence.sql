-- Evidence as the law reads it.

-- Identifiers of observations that the hub does not know, numbered by themselves. They are in normal form.
CREATE OR REPLACE FUNCTION @hub@.unknown_identifiers(
    extra @hub@.observation[], OUT identity_id bigint, OUT identifier @extschema@.identifier)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT 4611686018427387904 + row_number() OVER (ORDER BY u.identifier), u.identifier
    FROM (SELECT DISTINCT g.identifier FROM unnest(extra) o, unnest(o.identifiers) g(identifier)) u
    WHERE NOT EXISTS (SELECT FROM identities k WHERE k.identifier = u.identifier);
END $$;
COMMENT ON FUNCTION @hub@.unknown_identifiers(@hub@.observation[])
    IS 'identifiers of observations that are not among the identities, with numbers no identity has';

-- All rows of nodes, as the law calls what is one identifier in whatever form. scope NULL: of all nodes.
CREATE OR REPLACE FUNCTION @hub@.spellings(scope bigint[], extra @hub@.observation[], OUT identity_id bigint,
                                           OUT normal_id bigint)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
    SELECT i.identity_id, i.normal_id FROM @hub@.identities i WHERE spellings.scope IS NULL
    UNION ALL
    SELECT s.id, s.id FROM unnest(spellings.scope) s(id)
        WHERE spellings.scope IS NOT NULL AND s.id <= 4611686018427387904
    UNION ALL
    SELECT i.identity_id, s.id
    FROM unnest(spellings.scope) s(id)
         CROSS JOIN LATERAL (SELECT n.identity_id FROM @hub@.identities n
                             WHERE n.normal_id = s.id AND n.normal_id <> n.identity_id OFFSET 0) i
    WHERE spellings.scope IS NOT NULL
    UNION ALL
    SELECT u.identity_id, u.identity_id FROM @hub@.unknown_identifiers(spellings.extra) u
    WHERE spellings.extra IS NOT NULL
        AND (spellings.scope IS NULL OR u.identity_id IN (SELECT unnest(spellings.scope)));
END;
COMMENT ON FUNCTION @hub@.spellings(bigint[], @hub@.observation[])
    IS 'identities that are one by their normal form, and which that is';

-- Evidence that names one of some identities, retracted or not. A GIN index reads few keys at a time much faster than
-- many, so they go in portions, and what names many of them is read once; that it is read must not depend on
-- statistics.
CREATE OR REPLACE FUNCTION @hub@.evidence_of(ids bigint[]) RETURNS SETOF @hub@.evidence
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT e.*
    FROM evidence e
    WHERE e.ctid = ANY (array(SELECT DISTINCT v.ctid
                              FROM (SELECT array_agg(s.id) AS ids FROM unnest(ids) WITH ORDINALITY s(id, n)
                                    GROUP BY s.n / 64) portion
                                   CROSS JOIN LATERAL (SELECT e.ctid FROM evidence e
                                                       WHERE e.identities && portion.ids OFFSET 0) v));
END $$;
COMMENT ON FUNCTION @hub@.evidence_of(bigint[]) IS 'evidence of some identities';

-- Evidence that holds: of the nodes of a scope, or all, and observations as if they were.
CREATE OR REPLACE FUNCTION @hub@.live_evidence(
    scope bigint[], extra @hub@.observation[], OUT identities bigint[], OUT observed_at timestamptz,
    OUT strength real)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10000
BEGIN ATOMIC
    SELECT e.identities, e.observed_at, e.strength FROM @hub@.evidence e
        WHERE live_evidence.scope IS NULL AND e.retracted_at IS NULL
    UNION ALL
    SELECT e.identities, e.observed_at, e.strength
    FROM @hub@.evidence_of(array(SELECT s.identity_id FROM @hub@.spellings(live_evidence.scope, NULL) s)) e
    WHERE live_evidence.scope IS NOT NULL AND e.retracted_at IS NULL
    UNION ALL
    SELECT array(SELECT k.identity_id FROM unnest(o.identifiers) g(identifier)
                 JOIN @hub@.identities k ON k.identifier = g.identifier
                 UNION
                 SELECT k.identity_id FROM unnest(o.identifiers) g(identifier)
                        JOIN @hub@.unknown_identifiers(live_evidence.extra) k
                            ON k.identifier = g.identifier), o.observed_at, NULL AS strength
    FROM unnest(live_evidence.extra) o
    WHERE live_evidence.extra IS NOT NULL
          AND NOT EXISTS (SELECT FROM @hub@.evidence e WHERE e.source = o.source AND e.source_key = o.source_key);
END;
COMMENT ON FUNCTION @hub@.live_evidence(bigint[], @hub@.observation[])
    IS 'evidence that is not retracted, of identities in a scope or of all';

CREATE OR REPLACE FUNCTION @hub@.are_there_guesses() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (SELECT FROM evidence e WHERE e.strength IS NOT NULL AND e.retracted_at IS NULL);
END $$;
COMMENT ON FUNCTION @hub@.are_there_guesses() IS 'whether any evidence that holds is a guess';

CREATE OR REPLACE FUNCTION @hub@.do_conflicts_matter() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (SELECT FROM match_conflicts c) AND are_there_guesses();
END $$;
COMMENT ON FUNCTION @hub@.do_conflicts_matter() IS 'whether there are conflicts, and guesses that give way to them';

-- Of nodes of a scope what records say of fields in which there may be conflicts. scope NULL: of all nodes.
CREATE OR REPLACE FUNCTION @hub@.conflict_values(
    scope bigint[], OUT node bigint, OUT conflict integer, OUT field smallint, OUT value bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT DISTINCT s.normal_id, v.conflict, v.field, v.value
    FROM spellings(scope, NULL) s JOIN match_values v ON v.identity_id = s.identity_id;
END $$;
COMMENT ON FUNCTION @hub@.conflict_values(bigint[]) IS 'what keeps nodes apart from others of which it differs';
