-- Payloads of other systems, read by the rules of a format: rows of a hub's table "formats".

CREATE FUNCTION journey_payload_events(
    payloads text[], rules json,
    OUT payload integer, OUT item text, OUT kind text, OUT reason text, OUT sqlstate text,
    OUT identifiers identifier[], OUT occurred_at timestamptz, OUT channel text, OUT action text, OUT value numeric,
    OUT currency text,
    OUT direction text, OUT conversation text, OUT agent text, OUT campaign text, OUT source_key text,
    OUT subject text, OUT url text, OUT attributes jsonb, OUT traits jsonb,
    OUT consents jsonb)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 100;

COMMENT ON FUNCTION journey_payload_events(text[], json) IS
    'what payloads say by the rules of a format: a row for each touchpoint, evidence, traits without these, or '
    'rejected item';
