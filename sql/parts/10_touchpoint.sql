-- touchpoint: one contact of a customer on one channel.
-- It is stored as a journey of exactly one touchpoint, so both types share
-- their format, comparison and hashing.

CREATE TYPE touchpoint;

CREATE FUNCTION touchpoint_in(cstring) RETURNS touchpoint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_out(touchpoint) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_recv(internal) RETURNS touchpoint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_send(touchpoint) RETURNS bytea
AS 'MODULE_PATHNAME', 'journey_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE touchpoint (
    INPUT = touchpoint_in,
    OUTPUT = touchpoint_out,
    RECEIVE = touchpoint_recv,
    SEND = touchpoint_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);

CREATE FUNCTION touchpoint(occurred_at timestamptz, channel text, action text,
                           value numeric DEFAULT NULL, ref bigint DEFAULT NULL,
                           detail text DEFAULT NULL)
RETURNS touchpoint
AS 'MODULE_PATHNAME', 'touchpoint_make' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION touchpoint_time(touchpoint) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'journey_start' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_channel(touchpoint) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_action(touchpoint) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_detail(touchpoint) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_label(touchpoint) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_value(touchpoint) RETURNS numeric
AS 'MODULE_PATHNAME', 'journey_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_ref(touchpoint) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION touchpoint_lt(touchpoint, touchpoint) RETURNS boolean
AS 'MODULE_PATHNAME', 'journey_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_le(touchpoint, touchpoint) RETURNS boolean
AS 'MODULE_PATHNAME', 'journey_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_eq(touchpoint, touchpoint) RETURNS boolean
AS 'MODULE_PATHNAME', 'journey_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_ne(touchpoint, touchpoint) RETURNS boolean
AS 'MODULE_PATHNAME', 'journey_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_ge(touchpoint, touchpoint) RETURNS boolean
AS 'MODULE_PATHNAME', 'journey_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_gt(touchpoint, touchpoint) RETURNS boolean
AS 'MODULE_PATHNAME', 'journey_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_cmp(touchpoint, touchpoint) RETURNS integer
AS 'MODULE_PATHNAME', 'journey_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_hash(touchpoint) RETURNS integer
AS 'MODULE_PATHNAME', 'journey_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_hash_extended(touchpoint, bigint) RETURNS bigint
AS 'MODULE_PATHNAME', 'journey_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    LEFTARG = touchpoint, RIGHTARG = touchpoint, PROCEDURE = touchpoint_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = touchpoint, RIGHTARG = touchpoint, PROCEDURE = touchpoint_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = touchpoint, RIGHTARG = touchpoint, PROCEDURE = touchpoint_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = touchpoint, RIGHTARG = touchpoint, PROCEDURE = touchpoint_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = touchpoint, RIGHTARG = touchpoint, PROCEDURE = touchpoint_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = touchpoint, RIGHTARG = touchpoint, PROCEDURE = touchpoint_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS touchpoint_ops DEFAULT FOR TYPE touchpoint USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 touchpoint_cmp(touchpoint, touchpoint);
CREATE OPERATOR CLASS touchpoint_ops DEFAULT FOR TYPE touchpoint USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 touchpoint_hash(touchpoint),
    FUNCTION 2 touchpoint_hash_extended(touchpoint, bigint);

CREATE FUNCTION touchpoint_to_json(touchpoint) RETURNS json
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION touchpoint_to_jsonb(touchpoint) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE CAST (touchpoint AS json) WITH FUNCTION touchpoint_to_json(touchpoint);
CREATE CAST (touchpoint AS jsonb) WITH FUNCTION touchpoint_to_jsonb(touchpoint);

COMMENT ON TYPE touchpoint IS 'one contact of a customer on a channel: channel.action[.detail][=value]@time[#ref]';
COMMENT ON FUNCTION touchpoint_in(cstring) IS 'I/O';
COMMENT ON FUNCTION touchpoint_out(touchpoint) IS 'I/O';
COMMENT ON FUNCTION touchpoint_recv(internal) IS 'I/O';
COMMENT ON FUNCTION touchpoint_send(touchpoint) IS 'I/O';
COMMENT ON FUNCTION touchpoint(timestamptz, text, text, numeric, bigint, text) IS
    'make a touchpoint; NULL if time, channel and action are all NULL, an error if only some are';
COMMENT ON FUNCTION touchpoint_time(touchpoint) IS 'when it happened';
COMMENT ON FUNCTION touchpoint_channel(touchpoint) IS 'channel, unquoted';
COMMENT ON FUNCTION touchpoint_action(touchpoint) IS 'action, unquoted';
COMMENT ON FUNCTION touchpoint_detail(touchpoint) IS 'detail, unquoted, or NULL';
COMMENT ON FUNCTION touchpoint_label(touchpoint) IS
    'channel.action or channel.action.detail, each part quoted where its text needs it';
COMMENT ON FUNCTION touchpoint_value(touchpoint) IS 'value, or NULL';
COMMENT ON FUNCTION touchpoint_ref(touchpoint) IS 'the caller''s reference (such as a row id), or NULL';
COMMENT ON FUNCTION touchpoint_lt(touchpoint, touchpoint) IS 'implementation of < operator';
COMMENT ON FUNCTION touchpoint_le(touchpoint, touchpoint) IS 'implementation of <= operator';
COMMENT ON FUNCTION touchpoint_eq(touchpoint, touchpoint) IS 'implementation of = operator';
COMMENT ON FUNCTION touchpoint_ne(touchpoint, touchpoint) IS 'implementation of <> operator';
COMMENT ON FUNCTION touchpoint_ge(touchpoint, touchpoint) IS 'implementation of >= operator';
COMMENT ON FUNCTION touchpoint_gt(touchpoint, touchpoint) IS 'implementation of > operator';
COMMENT ON FUNCTION touchpoint_cmp(touchpoint, touchpoint) IS
    'total order: time, ref (NULL last), channel, action, detail (none first), value (NULL last)';
COMMENT ON FUNCTION touchpoint_hash(touchpoint) IS 'hash';
COMMENT ON FUNCTION touchpoint_hash_extended(touchpoint, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON FUNCTION touchpoint_to_json(touchpoint) IS 'touchpoint as a JSON object';
COMMENT ON FUNCTION touchpoint_to_jsonb(touchpoint) IS 'touchpoint as a JSON object';
COMMENT ON OPERATOR < (touchpoint, touchpoint) IS 'less than';
COMMENT ON OPERATOR <= (touchpoint, touchpoint) IS 'less than or equal';
COMMENT ON OPERATOR = (touchpoint, touchpoint) IS 'equal';
COMMENT ON OPERATOR <> (touchpoint, touchpoint) IS 'not equal';
COMMENT ON OPERATOR >= (touchpoint, touchpoint) IS 'greater than or equal';
COMMENT ON OPERATOR > (touchpoint, touchpoint) IS 'greater than';
