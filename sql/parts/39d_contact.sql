-- What the touchpoints of a customer are for the service: contacts, and resolutions at first contact.

-- not STRICT: the server ignores it in window functions
CREATE FUNCTION contact_kind(occurred_at timestamptz, source text, conversation text, direction text, means text,
                             repeat_within interval, session_gap interval) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION resolved_at_first_contact(occurred_at timestamptz, source text, conversation text, direction text,
                                          means text, repeat_within interval) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION contact_kind(timestamptz, text, text, text, text, interval, interval) IS
    'of a message of the customer that is a contact, first or repeat; NULL: it is none. Rows are the touchpoints of '
    'the customer in order. Means: resolves, reopens, asks_and_resolves, NULL for a message, or another word for none';
COMMENT ON FUNCTION resolved_at_first_contact(timestamptz, text, text, text, text, interval) IS
    'of what resolves a conversation for the first time, whether the customer asks again, or reopens any, no sooner '
    'than the interval after it; NULL: it is another. Rows and means as of contact_kind';
