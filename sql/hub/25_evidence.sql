-- Evidence as the law reads it.

-- Identifiers of observations that the hub does not know, numbered by themselves.
CREATE OR REPLACE FUNCTION @hub@.unknown_identifiers(extra @hub@.observation[], OUT identity_id bigint, OUT identifier @extschema@.identifier)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 4611686018427387904 + row_number() OVER (ORDER BY u.identifier), u.identifier
    FROM (SELECT DISTINCT i.identifier FROM unnest(extra) o, unnest(o.identifiers) i(identifier)) u
    WHERE NOT EXISTS (SELECT FROM identities k WHERE k.identifier = u.identifier);
END $$;
COMMENT ON FUNCTION @hub@.unknown_identifiers(@hub@.observation[]) IS 'identifiers of observations that are not among the identities, with numbers no identity has';

-- Evidence that names one of some identities, retracted or not; a row of it may come more than once. A GIN index reads
-- few keys at a time much faster than many, so they go in portions; that it is read must not depend on statistics.
CREATE OR REPLACE FUNCTION @hub@.evidence_of(ids bigint[]) RETURNS SETOF @hub@.evidence
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT e.*
    FROM (SELECT array_agg(s.id) AS ids FROM unnest(evidence_of.ids) WITH ORDINALITY s(id, n) GROUP BY s.n / 64) portion
         JOIN evidence e ON e.identities && portion.ids;
END $$;
COMMENT ON FUNCTION @hub@.evidence_of(bigint[]) IS 'evidence of some identities';

-- Evidence that holds: of a scope, or all, and observations as if they were.
CREATE OR REPLACE FUNCTION @hub@.live_evidence(scope bigint[], extra @hub@.observation[], OUT identities bigint[], OUT observed_at timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10000
BEGIN ATOMIC
    SELECT e.identities, e.observed_at FROM @hub@.evidence e WHERE scope IS NULL AND e.retracted_at IS NULL
    UNION ALL
    SELECT e.identities, e.observed_at FROM @hub@.evidence_of(scope) e WHERE scope IS NOT NULL AND e.retracted_at IS NULL
    UNION ALL
    SELECT array(SELECT k.identity_id FROM unnest(o.identifiers) i(identifier) JOIN @hub@.identities k ON k.identifier = i.identifier
                 UNION
                 SELECT k.identity_id FROM unnest(o.identifiers) i(identifier)
                        JOIN @hub@.unknown_identifiers(extra) k ON k.identifier = i.identifier), o.observed_at
    FROM unnest(extra) o
    WHERE extra IS NOT NULL
          AND NOT EXISTS (SELECT FROM @hub@.evidence e WHERE e.source = o.source AND e.source_key = o.source_key);
END;
COMMENT ON FUNCTION @hub@.live_evidence(bigint[], @hub@.observation[]) IS 'evidence that is not retracted, of identities in a scope or of all';
