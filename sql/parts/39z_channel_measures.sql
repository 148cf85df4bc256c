-- Channels, hand-offs and customers of all journeys by period: one pass, one value, which can be stored and added up.

CREATE TYPE channel_measures;

CREATE FUNCTION channel_measures_in(cstring) RETURNS channel_measures
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_out(channel_measures) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_recv(internal) RETURNS channel_measures
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_send(channel_measures) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE channel_measures (
    INPUT = channel_measures_in,
    OUTPUT = channel_measures_out,
    RECEIVE = channel_measures_recv,
    SEND = channel_measures_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);

-- Equal measures are equal bytes: the server's functions for bytea are the order, which means nothing else.
CREATE FUNCTION channel_measures_lt(channel_measures, channel_measures) RETURNS boolean
AS 'bytealt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_le(channel_measures, channel_measures) RETURNS boolean
AS 'byteale' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_eq(channel_measures, channel_measures) RETURNS boolean
AS 'byteaeq' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_ne(channel_measures, channel_measures) RETURNS boolean
AS 'byteane' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_ge(channel_measures, channel_measures) RETURNS boolean
AS 'byteage' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_gt(channel_measures, channel_measures) RETURNS boolean
AS 'byteagt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_cmp(channel_measures, channel_measures) RETURNS integer
AS 'byteacmp' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_hash(channel_measures) RETURNS integer
AS 'hashvarlena' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION channel_measures_hash_extended(channel_measures, bigint) RETURNS bigint
AS 'hashvarlenaextended' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    LEFTARG = channel_measures, RIGHTARG = channel_measures, PROCEDURE = channel_measures_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = channel_measures, RIGHTARG = channel_measures, PROCEDURE = channel_measures_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = channel_measures, RIGHTARG = channel_measures, PROCEDURE = channel_measures_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = channel_measures, RIGHTARG = channel_measures, PROCEDURE = channel_measures_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = channel_measures, RIGHTARG = channel_measures, PROCEDURE = channel_measures_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = channel_measures, RIGHTARG = channel_measures, PROCEDURE = channel_measures_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS channel_measures_ops DEFAULT FOR TYPE channel_measures USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 channel_measures_cmp(channel_measures, channel_measures);
CREATE OPERATOR CLASS channel_measures_ops DEFAULT FOR TYPE channel_measures USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 channel_measures_hash(channel_measures),
    FUNCTION 2 channel_measures_hash_extended(channel_measures, bigint);

-- COST: some 1 us for a journey of 20 touchpoints
CREATE FUNCTION channel_measures_agg_transfn(channel_measures, journey, session_gap interval, handoff_within interval,
                                             not_own text[], digital text[], personal text[], period text,
                                             time_zone text, since timestamptz, until timestamptz)
RETURNS channel_measures
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION channel_measures_agg_combinefn(channel_measures, channel_measures) RETURNS channel_measures
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION channel_measures_agg_finalfn(channel_measures) RETURNS channel_measures
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- STYPE: not internal, so that partial states can come from anywhere. In memory it is an expanded object.
CREATE AGGREGATE channel_measures_agg(journey, session_gap interval, handoff_within interval, not_own text[],
                                      digital text[], personal text[], period text, time_zone text, since timestamptz,
                                      until timestamptz) (
    SFUNC = channel_measures_agg_transfn, STYPE = channel_measures, SSPACE = 10000,
    COMBINEFUNC = channel_measures_agg_combinefn, FINALFUNC = channel_measures_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
-- The same, but only what measures says is counted
CREATE FUNCTION channel_measures_agg_transfn(channel_measures, journey, session_gap interval, handoff_within interval,
                                             not_own text[], digital text[], personal text[], period text,
                                             time_zone text, since timestamptz, until timestamptz, measures text[])
RETURNS channel_measures
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE AGGREGATE channel_measures_agg(journey, session_gap interval, handoff_within interval, not_own text[],
                                      digital text[], personal text[], period text, time_zone text, since timestamptz,
                                      until timestamptz, measures text[]) (
    SFUNC = channel_measures_agg_transfn, STYPE = channel_measures, SSPACE = 10000,
    COMBINEFUNC = channel_measures_agg_combinefn, FINALFUNC = channel_measures_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
-- Of blocks, with the same states. COST: that of some 1000 journeys
CREATE FUNCTION channel_measures_agg_transfn(channel_measures, journey_block, session_gap interval,
                                             handoff_within interval, not_own text[], digital text[], personal text[],
                                             period text, time_zone text, since timestamptz, until timestamptz)
RETURNS channel_measures
AS 'MODULE_PATHNAME', 'channel_measures_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100000;
CREATE AGGREGATE channel_measures_agg(journey_block, session_gap interval, handoff_within interval, not_own text[],
                                      digital text[], personal text[], period text, time_zone text, since timestamptz,
                                      until timestamptz) (
    SFUNC = channel_measures_agg_transfn, STYPE = channel_measures, SSPACE = 10000,
    COMBINEFUNC = channel_measures_agg_combinefn, FINALFUNC = channel_measures_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE FUNCTION channel_measures_agg_transfn(channel_measures, journey_block, session_gap interval,
                                             handoff_within interval, not_own text[], digital text[], personal text[],
                                             period text, time_zone text, since timestamptz, until timestamptz,
                                             measures text[])
RETURNS channel_measures
AS 'MODULE_PATHNAME', 'channel_measures_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100000;
CREATE AGGREGATE channel_measures_agg(journey_block, session_gap interval, handoff_within interval, not_own text[],
                                      digital text[], personal text[], period text, time_zone text, since timestamptz,
                                      until timestamptz, measures text[]) (
    SFUNC = channel_measures_agg_transfn, STYPE = channel_measures, SSPACE = 10000,
    COMBINEFUNC = channel_measures_agg_combinefn, FINALFUNC = channel_measures_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE channel_measures_agg(channel_measures) (
    SFUNC = channel_measures_agg_combinefn, STYPE = channel_measures, SSPACE = 10000,
    COMBINEFUNC = channel_measures_agg_combinefn, FINALFUNC = channel_measures_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

CREATE FUNCTION channel_mix(channel_measures, OUT period_start date, OUT channel text, OUT touchpoints bigint,
                            OUT customers bigint, OUT inbound bigint, OUT outbound bigint, OUT sessions bigint,
                            OUT visits bigint, OUT visits_left bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 100;
CREATE FUNCTION channel_transitions(channel_measures, OUT period_start date, OUT from_channel text, OUT to_channel text,
                                    OUT handoffs bigint, OUT customers bigint, OUT median_time interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 100;
CREATE FUNCTION channel_customers(channel_measures, OUT period_start date, OUT customers bigint,
                                  OUT multichannel bigint, OUT cross_channel bigint, OUT omnichannel bigint,
                                  OUT handoffs bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10;

COMMENT ON TYPE channel_measures IS
    'channels, transitions between them and their customers by period, with the question that they answer';
COMMENT ON FUNCTION channel_measures_in(cstring) IS 'I/O';
COMMENT ON FUNCTION channel_measures_out(channel_measures) IS 'I/O';
COMMENT ON FUNCTION channel_measures_recv(internal) IS 'I/O';
COMMENT ON FUNCTION channel_measures_send(channel_measures) IS 'I/O';
COMMENT ON FUNCTION channel_measures_lt(channel_measures, channel_measures) IS 'implementation of < operator';
COMMENT ON FUNCTION channel_measures_le(channel_measures, channel_measures) IS 'implementation of <= operator';
COMMENT ON FUNCTION channel_measures_eq(channel_measures, channel_measures) IS 'implementation of = operator';
COMMENT ON FUNCTION channel_measures_ne(channel_measures, channel_measures) IS 'implementation of <> operator';
COMMENT ON FUNCTION channel_measures_ge(channel_measures, channel_measures) IS 'implementation of >= operator';
COMMENT ON FUNCTION channel_measures_gt(channel_measures, channel_measures) IS 'implementation of > operator';
COMMENT ON FUNCTION channel_measures_cmp(channel_measures, channel_measures) IS 'a total order, bytewise';
COMMENT ON FUNCTION channel_measures_hash(channel_measures) IS 'hash';
COMMENT ON FUNCTION channel_measures_hash_extended(channel_measures, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON OPERATOR < (channel_measures, channel_measures) IS 'less than';
COMMENT ON OPERATOR <= (channel_measures, channel_measures) IS 'less than or equal';
COMMENT ON OPERATOR = (channel_measures, channel_measures) IS 'equal';
COMMENT ON OPERATOR <> (channel_measures, channel_measures) IS 'not equal';
COMMENT ON OPERATOR >= (channel_measures, channel_measures) IS 'greater than or equal';
COMMENT ON OPERATOR > (channel_measures, channel_measures) IS 'greater than';
COMMENT ON FUNCTION channel_measures_agg_transfn(channel_measures, journey, interval, interval, text[], text[], text[],
                                                 text, text, timestamptz, timestamptz) IS
    'transition of channel_measures_agg';
COMMENT ON FUNCTION channel_measures_agg_combinefn(channel_measures, channel_measures) IS
    'sum of two states of channel_measures_agg';
COMMENT ON FUNCTION channel_measures_agg_finalfn(channel_measures) IS 'result of channel_measures_agg';
COMMENT ON AGGREGATE channel_measures_agg(journey, interval, interval, text[], text[], text[], text, text, timestamptz,
                                          timestamptz) IS
    'measures of channels over all journeys, each of one customer, by day, week, month, quarter, year or all in [since,'
    ' until); not_own: actions that are nobody''s own; digital, personal: channels';
COMMENT ON FUNCTION channel_measures_agg_transfn(channel_measures, journey_block, interval, interval, text[], text[],
                                                 text[], text, text, timestamptz, timestamptz) IS
    'transition of channel_measures_agg over blocks';
COMMENT ON AGGREGATE channel_measures_agg(journey_block, interval, interval, text[], text[], text[], text, text,
                                          timestamptz, timestamptz) IS
    'channel_measures_agg over the journeys of blocks';
COMMENT ON FUNCTION channel_measures_agg_transfn(channel_measures, journey, interval, interval, text[], text[], text[],
                                                 text, text, timestamptz, timestamptz, text[]) IS
    'transition of channel_measures_agg';
COMMENT ON FUNCTION channel_measures_agg_transfn(channel_measures, journey_block, interval, interval, text[], text[],
                                                 text[], text, text, timestamptz, timestamptz, text[]) IS
    'transition of channel_measures_agg over blocks';
COMMENT ON AGGREGATE channel_measures_agg(journey, interval, interval, text[], text[], text[], text, text, timestamptz,
                                          timestamptz, text[]) IS
    'the same, of which only these measures are counted: channels, transitions, median_time, customers';
COMMENT ON AGGREGATE channel_measures_agg(journey_block, interval, interval, text[], text[], text[], text, text,
                                          timestamptz, timestamptz, text[]) IS
    'the same, of which only these measures are counted: channels, transitions, median_time, customers';
COMMENT ON AGGREGATE channel_measures_agg(channel_measures) IS
    'sum of measures of the same question over other journeys; a customer with journeys in several of them counts in'
    ' each';
COMMENT ON FUNCTION channel_mix(channel_measures) IS
    'a row for each period and channel; distinct customers of several don''t add up';
COMMENT ON FUNCTION channel_transitions(channel_measures) IS
    'a row for each period and pair of channels with hand-offs, in the period in which they happened; distinct'
    ' customers of several don''t add up; median_time is NULL where it was not counted';
COMMENT ON FUNCTION channel_customers(channel_measures) IS
    'a row for each period: customers with an own touchpoint in it, with such in two channels or more, with a'
    ' hand-off, and with one between a digital and a personal channel; distinct customers of several don''t add up';
