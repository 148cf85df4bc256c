-- Conversations: the touchpoints of one, in any order, and who waited for whom.

CREATE TYPE conversation_facts AS (
    started_at timestamptz,
    last_at timestamptz,
    first_ref bigint,
    touchpoints bigint,
    messages_in bigint,
    messages_out bigint,
    reopenings bigint,
    transfers bigint,
    handovers bigint,
    is_answered boolean,
    status text,
    channel text,
    channels text[],
    agents text[],
    handled_by text,
    asked_at timestamptz,
    answered_at timestamptz,
    answered_by text,
    waiting_since timestamptz,
    first_resolved_at timestamptz,
    resolved_at timestamptz,
    reopened_at timestamptz,
    reopening_asked_at timestamptz,
    reopening_answered_at timestamptz,
    handed_over_at timestamptz,
    handover_answered_at timestamptz,
    waiting_time interval,
    bot_time interval,
    people_time interval
);
CREATE TYPE conversation_reply AS (
    kind text,
    ref bigint,
    channel text,
    agent text,
    asked_at timestamptz,
    replied_at timestamptz,
    reopened_at timestamptz,
    handed_over_at timestamptz
);

CREATE TYPE conversation_span AS (
    what text,
    ref bigint,
    channel text,
    agent text,
    began_at timestamptz,
    ended_at timestamptz,
    ended_by text,
    ended_ref bigint
);

CREATE FUNCTION conversation_agg_transfn(bytea, occurred_at timestamptz, ref bigint, channel text, agent text,
                                         is_bot boolean, direction text, means text)
RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION conversation_agg_combinefn(bytea, bytea) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- COST: some 2 us for a conversation of five touchpoints
CREATE FUNCTION conversation_agg_finalfn(bytea) RETURNS conversation_facts
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION conversation_replies_agg_finalfn(bytea) RETURNS conversation_reply[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION conversation_spans_agg_finalfn(bytea) RETURNS conversation_span[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
-- STYPE: not internal, so that partial states can come from anywhere; the server shares it between them. SSPACE: of the
-- 280 bytes of a conversation a touchpoint's part, for the planner takes every touchpoint of theirs for a group
CREATE AGGREGATE conversation_agg(occurred_at timestamptz, ref bigint, channel text, agent text, is_bot boolean,
                                  direction text, means text) (
    SFUNC = conversation_agg_transfn, STYPE = bytea, SSPACE = 60,
    COMBINEFUNC = conversation_agg_combinefn, FINALFUNC = conversation_agg_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE
);
CREATE AGGREGATE conversation_replies_agg(occurred_at timestamptz, ref bigint, channel text, agent text,
                                          is_bot boolean, direction text, means text) (
    SFUNC = conversation_agg_transfn, STYPE = bytea, SSPACE = 60,
    COMBINEFUNC = conversation_agg_combinefn, FINALFUNC = conversation_replies_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE conversation_spans_agg(occurred_at timestamptz, ref bigint, channel text, agent text, is_bot boolean,
                                        direction text, means text) (
    SFUNC = conversation_agg_transfn, STYPE = bytea, SSPACE = 60,
    COMBINEFUNC = conversation_agg_combinefn, FINALFUNC = conversation_spans_agg_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE
);

COMMENT ON TYPE conversation_facts IS 'what conversation_agg tells of a conversation';
COMMENT ON TYPE conversation_reply IS 'an answer of a person that ended a wait of the customer';
COMMENT ON FUNCTION conversation_agg_transfn(bytea, timestamptz, bigint, text, text, boolean, text, text) IS
    'transition of conversation_agg and its like';
COMMENT ON FUNCTION conversation_agg_combinefn(bytea, bytea) IS
    'combination of partial states of conversation_agg and its like';
COMMENT ON FUNCTION conversation_agg_finalfn(bytea) IS 'result of conversation_agg';
COMMENT ON FUNCTION conversation_replies_agg_finalfn(bytea) IS 'result of conversation_replies_agg';
COMMENT ON AGGREGATE conversation_agg(timestamptz, bigint, text, text, boolean, text, text) IS
    'the touchpoints of a conversation, in any order, as one: who asked, who answered, who waited how long. '
    'Direction: in, out, or NULL for neither. Means: resolves, reopens, hands_over (from a bot to people), status (no '
    'message), asks_and_resolves, or NULL for a message, if there is a direction';
COMMENT ON AGGREGATE conversation_replies_agg(timestamptz, bigint, text, text, boolean, text, text) IS
    'the answers of people that ended a wait of the customer in a conversation, in order; arguments as of '
    'conversation_agg';
COMMENT ON TYPE conversation_span IS
    'what lasts in a conversation: a wait of the customer (first_response, reply), until a person answers, takes a '
    'message, or it is resolved; a handover, until a person answers; an open conversation (resolution), until it is '
    'resolved; and agent: who of the people has it, until another speaks';
COMMENT ON FUNCTION conversation_spans_agg_finalfn(bytea) IS 'result of conversation_spans_agg';
COMMENT ON AGGREGATE conversation_spans_agg(timestamptz, bigint, text, text, boolean, text, text) IS
    'what lasts in a conversation, from when until when, in the order in which it began to be known; arguments as of '
    'conversation_agg';
