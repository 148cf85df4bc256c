-- Aggregates over plain rows: funnels, sequences, retention. Conditions are
-- VARIADIC "any" and not boolean[], because making an array of them for each row
-- costs more than all the rest.

CREATE FUNCTION journey_rows_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_rows_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_rows_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION window_funnel_transfn(internal, interval, timestamptz, VARIADIC "any") RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION window_funnel_transfn(internal, interval, text, timestamptz, VARIADIC "any") RETURNS internal
AS 'MODULE_PATHNAME', 'window_funnel_mode_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION window_funnel_finalfn(internal) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE window_funnel(interval, timestamptz, VARIADIC "any") (
    SFUNC = window_funnel_transfn, STYPE = internal, SSPACE = 128, FINALFUNC = window_funnel_finalfn,
    COMBINEFUNC = journey_rows_combinefn, SERIALFUNC = journey_rows_serialfn, DESERIALFUNC = journey_rows_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE window_funnel(interval, text, timestamptz, VARIADIC "any") (
    SFUNC = window_funnel_transfn, STYPE = internal, SSPACE = 128, FINALFUNC = window_funnel_finalfn,
    COMBINEFUNC = journey_rows_combinefn, SERIALFUNC = journey_rows_serialfn, DESERIALFUNC = journey_rows_deserialfn,
    PARALLEL = SAFE
);

CREATE FUNCTION sequence_transfn(internal, text, timestamptz, VARIADIC "any") RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION sequence_match_finalfn(internal) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION sequence_count_finalfn(internal) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION sequence_match_events_finalfn(internal) RETURNS timestamptz[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE sequence_match(text, timestamptz, VARIADIC "any") (
    SFUNC = sequence_transfn, STYPE = internal, SSPACE = 128, FINALFUNC = sequence_match_finalfn,
    COMBINEFUNC = journey_rows_combinefn, SERIALFUNC = journey_rows_serialfn, DESERIALFUNC = journey_rows_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE sequence_count(text, timestamptz, VARIADIC "any") (
    SFUNC = sequence_transfn, STYPE = internal, SSPACE = 128, FINALFUNC = sequence_count_finalfn,
    COMBINEFUNC = journey_rows_combinefn, SERIALFUNC = journey_rows_serialfn, DESERIALFUNC = journey_rows_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE sequence_match_events(text, timestamptz, VARIADIC "any") (
    SFUNC = sequence_transfn, STYPE = internal, SSPACE = 128, FINALFUNC = sequence_match_events_finalfn,
    COMBINEFUNC = journey_rows_combinefn, SERIALFUNC = journey_rows_serialfn, DESERIALFUNC = journey_rows_deserialfn,
    PARALLEL = SAFE
);

CREATE FUNCTION sequence_next_node_transfn(internal, text, text, timestamptz, text, boolean) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION sequence_next_node_transfn(internal, text, text, timestamptz, text, boolean, VARIADIC "any")
RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION sequence_next_node_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION sequence_next_node_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sequence_next_node_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sequence_next_node_finalfn(internal) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE AGGREGATE sequence_next_node(text, text, timestamptz, text, boolean) (
    SFUNC = sequence_next_node_transfn, STYPE = internal, SSPACE = 512, FINALFUNC = sequence_next_node_finalfn,
    COMBINEFUNC = sequence_next_node_combinefn, SERIALFUNC = sequence_next_node_serialfn,
    DESERIALFUNC = sequence_next_node_deserialfn, PARALLEL = SAFE
);
CREATE AGGREGATE sequence_next_node(text, text, timestamptz, text, boolean, VARIADIC "any") (
    SFUNC = sequence_next_node_transfn, STYPE = internal, SSPACE = 512, FINALFUNC = sequence_next_node_finalfn,
    COMBINEFUNC = sequence_next_node_combinefn, SERIALFUNC = sequence_next_node_serialfn,
    DESERIALFUNC = sequence_next_node_deserialfn, PARALLEL = SAFE
);

-- Typed besides, so that Citus pushes partial aggregation down: it calls the transition function without an expression,
-- which alone would tell the types of VARIADIC "any".
CREATE FUNCTION retention_transfn(bytea, boolean) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean, boolean) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean, boolean, boolean) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean, boolean) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean, boolean, boolean) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean, boolean, boolean, boolean)
RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, boolean[]) RETURNS bytea
AS 'MODULE_PATHNAME', 'retention_array_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_transfn(bytea, VARIADIC "any") RETURNS bytea
AS 'MODULE_PATHNAME', 'retention_any_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION retention_combinefn(bytea, bytea) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION retention_finalfn(bytea) RETURNS boolean[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE AGGREGATE retention(boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean, boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean, boolean, boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean, boolean, boolean, boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean, boolean, boolean, boolean, boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean, boolean, boolean, boolean, boolean, boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean, boolean, boolean, boolean, boolean, boolean, boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean, boolean, boolean, boolean, boolean, boolean, boolean, boolean) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(boolean[]) (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE retention(VARIADIC "any") (
    SFUNC = retention_transfn, STYPE = bytea, SSPACE = 16, FINALFUNC = retention_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = retention_combinefn, PARALLEL = SAFE
);

COMMENT ON FUNCTION journey_rows_serialfn(internal) IS 'partial state of an aggregate over rows, to be sent';
COMMENT ON FUNCTION journey_rows_deserialfn(bytea, internal) IS 'partial state of an aggregate over rows, as received';
COMMENT ON FUNCTION journey_rows_combinefn(internal, internal) IS
    'combination of partial states of an aggregate over rows';
COMMENT ON FUNCTION window_funnel_transfn(internal, interval, timestamptz, VARIADIC "any") IS
    'transition of window_funnel';
COMMENT ON FUNCTION window_funnel_transfn(internal, interval, text, timestamptz, VARIADIC "any") IS
    'transition of window_funnel';
COMMENT ON FUNCTION window_funnel_finalfn(internal) IS 'result of window_funnel';
COMMENT ON AGGREGATE window_funnel(interval, timestamptz, VARIADIC "any") IS
    'how many conditions are met one after the other, within the window from the first: window, time, conditions';
COMMENT ON AGGREGATE window_funnel(interval, text, timestamptz, VARIADIC "any") IS
    'how many conditions are met one after the other, within the window from the first: window, mode (strict_order, '
    'strict_once, ...), time, conditions';
COMMENT ON FUNCTION sequence_transfn(internal, text, timestamptz, VARIADIC "any") IS
    'transition of sequence_match, sequence_count and sequence_match_events';
COMMENT ON FUNCTION sequence_match_finalfn(internal) IS 'result of sequence_match';
COMMENT ON FUNCTION sequence_count_finalfn(internal) IS 'result of sequence_count';
COMMENT ON FUNCTION sequence_match_events_finalfn(internal) IS 'result of sequence_match_events';
COMMENT ON AGGREGATE sequence_match(text, timestamptz, VARIADIC "any") IS
    'do the rows that meet a condition match a pattern such as (?1)(?t<=3600).*(?2)? pattern, time, conditions';
COMMENT ON AGGREGATE sequence_count(text, timestamptz, VARIADIC "any") IS
    'number of matches of a pattern that do not overlap: pattern, time, conditions';
COMMENT ON AGGREGATE sequence_match_events(text, timestamptz, VARIADIC "any") IS
    'times of the events of the first match of a pattern, or of its longest beginning that matches: pattern, time, '
    'conditions';
COMMENT ON FUNCTION sequence_next_node_transfn(internal, text, text, timestamptz, text, boolean) IS
    'transition of sequence_next_node';
COMMENT ON FUNCTION sequence_next_node_transfn(internal, text, text, timestamptz, text, boolean, VARIADIC "any") IS
    'transition of sequence_next_node';
COMMENT ON FUNCTION sequence_next_node_combinefn(internal, internal) IS
    'combination of partial states of sequence_next_node';
COMMENT ON FUNCTION sequence_next_node_serialfn(internal) IS 'partial state of sequence_next_node, to be sent';
COMMENT ON FUNCTION sequence_next_node_deserialfn(bytea, internal) IS
    'partial state of sequence_next_node, as received';
COMMENT ON FUNCTION sequence_next_node_finalfn(internal) IS 'result of sequence_next_node';
COMMENT ON AGGREGATE sequence_next_node(text, text, timestamptz, text, boolean) IS
    'value of the first or last row, if it meets the condition of a base: direction, base, time, value, base condition';
COMMENT ON AGGREGATE sequence_next_node(text, text, timestamptz, text, boolean, VARIADIC "any") IS
    'value of the row behind a chain of rows that meet the conditions: direction (forward, backward), base (head, '
    'tail, first_match, last_match), time, value, base condition, conditions';
COMMENT ON FUNCTION retention_transfn(bytea, boolean) IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean, boolean) IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean, boolean, boolean) IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean) IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean) IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean, boolean)
    IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean, boolean, boolean)
    IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean, boolean, boolean, boolean, boolean, boolean, boolean, boolean)
    IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, boolean[]) IS 'transition of retention';
COMMENT ON FUNCTION retention_transfn(bytea, VARIADIC "any") IS 'transition of retention';
COMMENT ON FUNCTION retention_combinefn(bytea, bytea) IS 'combination of partial states of retention';
COMMENT ON FUNCTION retention_finalfn(bytea) IS 'result of retention';
COMMENT ON AGGREGATE retention(boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean, boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean, boolean, boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean, boolean, boolean, boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean, boolean, boolean, boolean, boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean, boolean, boolean, boolean, boolean, boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean, boolean, boolean, boolean, boolean, boolean, boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean, boolean, boolean, boolean, boolean, boolean, boolean, boolean)
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(boolean[])
    IS 'was the first condition met by some row, and with it each other one? conditions';
COMMENT ON AGGREGATE retention(VARIADIC "any") IS
    'was the first condition met by some row, and with it each other one? conditions';
