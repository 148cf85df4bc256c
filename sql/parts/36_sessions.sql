-- Sessions of plain rows, as journey_sessions makes them of a journey.

-- not STRICT: the server ignores it in window functions
CREATE FUNCTION session_number(occurred_at timestamptz, gap interval) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION session_number(timestamptz, interval) IS
    'number of the session, from 1: a new one where rows are more than the gap apart';
