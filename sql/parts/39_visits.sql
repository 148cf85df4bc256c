-- One journey's own touchpoints, sessions, hand-offs and visits.

-- COST: some 0.2 us a touchpoint of a journey of 20, most of it for the rows
CREATE FUNCTION journey_timeline(journey, session_gap interval, handoff_within interval, not_own text[] DEFAULT '{}',
                                 OUT ref bigint, OUT occurred_at timestamptz, OUT channel text, OUT action text,
                                 OUT detail text, OUT value numeric, OUT since_previous interval, OUT session bigint,
                                 OUT own boolean, OUT previous_channel text, OUT since_own interval,
                                 OUT previous_ref bigint, OUT is_handoff boolean, OUT begins_visit boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 20;
CREATE FUNCTION journey_visits(journey, handoff_within interval, not_own text[] DEFAULT '{}',
                               OUT visit bigint, OUT channel text, OUT started_at timestamptz,
                               OUT ended_at timestamptz, OUT touchpoints bigint, OUT first_ref bigint,
                               OUT came_from text, OUT came_after interval, OUT came_ref bigint, OUT left_to text,
                               OUT left_after interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 5;
CREATE FUNCTION journey_summary(journey, session_gap interval, handoff_within interval, not_own text[] DEFAULT '{}',
                                OUT touchpoints bigint, OUT sessions bigint, OUT visits bigint, OUT handoffs bigint,
                                OUT channels text[], OUT preferred_channel text, OUT first_at timestamptz,
                                OUT last_at timestamptz, OUT last_channel text, OUT last_action text,
                                OUT last_own_at timestamptz)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_own(journey, not_own text[] DEFAULT '{}') RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;

COMMENT ON FUNCTION journey_timeline(journey, interval, interval, text[]) IS
    'touchpoints of the journey with their session, whether they are own, and hand-offs and visits that begin with'
    ' them';
COMMENT ON FUNCTION journey_visits(journey, interval, text[]) IS
    'visits: own touchpoints in one channel, each at most handoff_within after the own one before; and the hand-offs'
    ' with which they begin and end';
COMMENT ON FUNCTION journey_summary(journey, interval, interval, text[]) IS
    'what customer_360 tells of a journey: counts, channels, the first and the last touchpoint';
COMMENT ON FUNCTION journey_own(journey, text[]) IS
    'own touchpoints alone: those whose detail is not out or bot, and whose action is not in not_own';
