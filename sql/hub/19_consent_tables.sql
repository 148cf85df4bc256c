-- What customers have agreed to, and by which rules they may be contacted.

-- Without a key, which takes no NULL; all that is said makes a row: the same once more is nothing new.
CREATE TABLE @hub@.consents (
    identity_id bigint NOT NULL,
    purpose text NOT NULL DEFAULT '*' CHECK (octet_length(purpose) BETWEEN 1 AND 255),
    channel text NOT NULL DEFAULT '*' CHECK (octet_length(channel) BETWEEN 1 AND 255),
    state text NOT NULL CHECK (state IN ('granted', 'denied', 'withdrawn', 'expired')),
    basis text NOT NULL DEFAULT 'consent' CHECK (octet_length(basis) BETWEEN 1 AND 255),
    source text NOT NULL DEFAULT 'sql' CHECK (octet_length(source) BETWEEN 1 AND 255),
    source_key text NOT NULL DEFAULT '',
    text_version text CHECK (octet_length(text_version) BETWEEN 1 AND 255),
    given_at timestamptz NOT NULL CHECK (isfinite(given_at)),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    valid_until timestamptz CHECK (valid_until > given_at),
    UNIQUE NULLS NOT DISTINCT (identity_id, purpose, channel, given_at, state, basis, source, text_version, valid_until,
                               source_key)
);
CREATE INDEX ON @hub@.consents (source, source_key) WHERE source_key <> '';
ALTER TABLE @hub@.consents REPLICA IDENTITY FULL;
COMMENT ON TABLE @hub@.consents IS
    'what was said of consent, a row each time; nothing of it is changed later, and it goes with the identity. What'
    ' rows of attached tables say follows these. consent_of() tells what holds';
COMMENT ON COLUMN @hub@.consents.identity_id IS 'identity of whom it was said';
COMMENT ON COLUMN @hub@.consents.purpose IS 'what for, such as marketing; *: everything';
COMMENT ON COLUMN @hub@.consents.channel IS 'where: see channels; *: everywhere';
COMMENT ON COLUMN @hub@.consents.state IS
    'granted; denied: it was asked for, and refused; withdrawn: it had been granted; expired: it is over';
COMMENT ON COLUMN @hub@.consents.basis IS
    'what makes it lawful, such as consent, contract, legal obligation, legitimate interest';
COMMENT ON COLUMN @hub@.consents.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.consents.source_key IS
    'key there of what says so, a row of an attached table; empty: it was said as of a time';
COMMENT ON COLUMN @hub@.consents.text_version IS 'which text it was said to; NULL: not known';
COMMENT ON COLUMN @hub@.consents.given_at IS 'when it was said: it holds from then on';
COMMENT ON COLUMN @hub@.consents.recorded_at IS 'when it came in: before that the hub could not know it';
COMMENT ON COLUMN @hub@.consents.valid_until IS
    'until before when it holds, and is expired then; NULL: no end is known';

SELECT @hub@.show_with_identities('consents', others => '{INSERT}');

CREATE TYPE @hub@.consent AS (
    identifier @extschema@.identifier,
    purpose text,
    channel text,
    state text,
    basis text,
    source text,
    text_version text,
    given_at timestamptz,
    valid_until timestamptz
);
COMMENT ON TYPE @hub@.consent IS 'what set_consents takes';
COMMENT ON COLUMN @hub@.consent.identifier IS 'an identifier of the customer';
COMMENT ON COLUMN @hub@.consent.purpose IS 'what for; NULL or *: everything';
COMMENT ON COLUMN @hub@.consent.channel IS 'where; NULL or *: everywhere';
COMMENT ON COLUMN @hub@.consent.state IS 'granted, denied, withdrawn or expired';
COMMENT ON COLUMN @hub@.consent.basis IS 'what makes it lawful; NULL: consent';
COMMENT ON COLUMN @hub@.consent.source IS 'system it comes from; NULL: sql';
COMMENT ON COLUMN @hub@.consent.text_version IS 'which text it was said to';
COMMENT ON COLUMN @hub@.consent.given_at IS 'when it was said; NULL: now';
COMMENT ON COLUMN @hub@.consent.valid_until IS 'until before when it holds; NULL: no end is known';

CREATE TABLE @hub@.contact_rules (
    purpose text NOT NULL DEFAULT '*' CHECK (purpose <> ''),
    channel text NOT NULL DEFAULT '*' CHECK (channel <> ''),
    basis text NOT NULL DEFAULT 'consent' CHECK (basis <> ''),
    allowed text NOT NULL CHECK (allowed IN ('if_granted', 'unless_refused', 'always')),
    PRIMARY KEY (purpose, channel)
);
COMMENT ON TABLE @hub@.contact_rules IS
    'what a contact takes, by purpose and channel. Of several rules that fit one counts: that of both before that of'
    ' the purpose, before that of the channel, before that of neither. Without any: if_granted';
COMMENT ON COLUMN @hub@.contact_rules.purpose IS 'what for; *: everything';
COMMENT ON COLUMN @hub@.contact_rules.channel IS 'where; *: everywhere';
COMMENT ON COLUMN @hub@.contact_rules.basis IS
    'what makes it lawful, such as consent, contract, legal obligation, legitimate interest: for reports';
COMMENT ON COLUMN @hub@.contact_rules.allowed IS
    'if_granted: who has said nothing is not contacted; unless_refused: he is; always: whatever he has said, as where'
    ' the law demands it';
INSERT INTO @hub@.contact_rules (allowed) VALUES ('if_granted');

CREATE TABLE @hub@.quiet_hours (
    purpose text NOT NULL DEFAULT '*' CHECK (purpose <> ''),
    channel text NOT NULL DEFAULT '*' CHECK (channel <> ''),
    weekday integer CHECK (weekday BETWEEN 1 AND 7),
    quiet_from time,
    quiet_until time,
    UNIQUE NULLS NOT DISTINCT (purpose, channel, weekday, quiet_from),
    CONSTRAINT both_or_neither CHECK ((quiet_from IS NULL) = (quiet_until IS NULL)),
    CONSTRAINT no_hours_on_all_days CHECK (quiet_from IS NOT NULL OR weekday IS NULL)
);
ALTER TABLE @hub@.quiet_hours REPLICA IDENTITY FULL;
COMMENT ON TABLE @hub@.quiet_hours IS
    'when nobody is contacted, in the customer''s time zone: that of the trait time_zone, or else of settings. Rows of'
    ' both purpose and channel count before those of the purpose, before those of the channel, before those of neither';
COMMENT ON COLUMN @hub@.quiet_hours.purpose IS 'what for; *: everything';
COMMENT ON COLUMN @hub@.quiet_hours.channel IS 'where; *: everywhere';
COMMENT ON COLUMN @hub@.quiet_hours.weekday IS 'day on which they begin, 1: Monday, to 7: Sunday; NULL: every day';
COMMENT ON COLUMN @hub@.quiet_hours.quiet_from IS
    'from when on; NULL: there are none for this purpose and channel, though there are for others';
COMMENT ON COLUMN @hub@.quiet_hours.quiet_until IS
    'until before when; if that is not after quiet_from, on the day after';

CREATE TABLE @hub@.contact_caps (
    purpose text NOT NULL DEFAULT '*' CHECK (purpose <> ''),
    channel text NOT NULL DEFAULT '*' CHECK (channel <> ''),
    most integer NOT NULL CHECK (most >= 0),
    within interval NOT NULL CHECK (within > '0' AND within <= '100 years'),
    PRIMARY KEY (purpose, channel, within)
);
COMMENT ON TABLE @hub@.contact_caps IS
    'how often a customer is contacted at most; all caps count that fit. A contact is an outgoing touchpoint, but for'
    ' actions that are no message: see actions. Its purpose is that of its attributes; one without counts for all';
COMMENT ON COLUMN @hub@.contact_caps.purpose IS 'what for; *: everything, together';
COMMENT ON COLUMN @hub@.contact_caps.channel IS 'where; *: everywhere, together';
COMMENT ON COLUMN @hub@.contact_caps.most IS 'so many times';
COMMENT ON COLUMN @hub@.contact_caps.within IS 'in so long a time, up to now';

-- Whoever may ask whether a customer may be contacted must know what time it is there.
INSERT INTO @hub@.trait_rules (trait, personal) VALUES ('time_zone', false);
