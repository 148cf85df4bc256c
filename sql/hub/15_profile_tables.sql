-- Who customers are: what sources say of identities, and which of it counts.

ALTER TABLE @hub@.settings ADD COLUMN trait_history boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN @hub@.settings.trait_history IS
    'whether what is told of traits is kept when it is replaced, for customer_profile_at';

CREATE TABLE @hub@.traits (
    identity_id bigint NOT NULL,
    trait text NOT NULL CHECK (octet_length(trait) BETWEEN 1 AND 255),
    value jsonb NOT NULL,
    source text NOT NULL,
    source_key text NOT NULL DEFAULT '',
    observed_at timestamptz NOT NULL CHECK (isfinite(observed_at)),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (identity_id, trait, source, source_key)
) WITH (fillfactor = 90);
CREATE INDEX ON @hub@.traits (source, source_key) WHERE source_key <> '';
COMMENT ON TABLE @hub@.traits IS
    'what sources say of identities, of each source the newest; trait_rules tell what of it is in customer_profile';
COMMENT ON COLUMN @hub@.traits.identity_id IS
    'identity it was said of. Of one that is blocked or shared it counts for nobody, as long as it is';
COMMENT ON COLUMN @hub@.traits.trait IS 'what it says something about, such as name';
COMMENT ON COLUMN @hub@.traits.value IS
    'what it says; null: that there is none, which takes back what the source said before of any '
    'identity of the customer';
COMMENT ON COLUMN @hub@.traits.source IS 'system that says so';
COMMENT ON COLUMN @hub@.traits.source_key IS
    'key there of what says so, a row of a table, which says so until it changes; empty: it was said as of a time';
COMMENT ON COLUMN @hub@.traits.observed_at IS 'as of when';
COMMENT ON COLUMN @hub@.traits.recorded_at IS 'when it came in';

CREATE TABLE @hub@.trait_history (
    identity_id bigint NOT NULL,
    trait text NOT NULL,
    value jsonb NOT NULL,
    source text NOT NULL,
    source_key text NOT NULL,
    observed_at timestamptz NOT NULL,
    until timestamptz,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (identity_id, trait, source, source_key, observed_at)
);
COMMENT ON TABLE @hub@.trait_history IS
    'what was said of traits while trait_history of settings was on, and what that replaced';
COMMENT ON COLUMN @hub@.trait_history.identity_id IS 'identity it was said of';
COMMENT ON COLUMN @hub@.trait_history.trait IS 'the trait';
COMMENT ON COLUMN @hub@.trait_history.value IS 'what was said; null: that there is none';
COMMENT ON COLUMN @hub@.trait_history.source IS 'system that said so';
COMMENT ON COLUMN @hub@.trait_history.source_key IS 'key there of what said so; empty: it had none';
COMMENT ON COLUMN @hub@.trait_history.observed_at IS 'as of when';
COMMENT ON COLUMN @hub@.trait_history.until IS
    'until before when what has a key said so; NULL: until the source said something else';
COMMENT ON COLUMN @hub@.trait_history.recorded_at IS 'when it came in';

CREATE TABLE @hub@.trait_rules (
    trait text PRIMARY KEY CHECK (octet_length(trait) BETWEEN 1 AND 255),
    members text[],
    rule text CHECK (rule IN ('most_recent', 'source_order', 'most_frequent', 'longest', 'min', 'max')),
    source_order text[],
    personal boolean,
    CONSTRAINT source_order_is_for_its_rule
        CHECK ((rule IS NOT DISTINCT FROM 'source_order') = (source_order IS NOT NULL)),
    CONSTRAINT star_has_no_members CHECK (trait <> '*' OR members IS NULL)
);
COMMENT ON TABLE @hub@.trait_rules IS
    'which value of a trait counts where there are several, and whether it is personal; * is for what a trait has no '
    'rule for. Changes take effect at once';
COMMENT ON COLUMN @hub@.trait_rules.trait IS 'name of a trait, or of a group of traits, or *';
COMMENT ON COLUMN @hub@.trait_rules.members IS
    'of a group: its traits. They are taken together, from what one source said of one identity at one time; NULL: '
    'it is a trait';
COMMENT ON COLUMN @hub@.trait_rules.rule IS
    'most_recent; source_order; most_frequent: what most sources, or rows of them, say; longest; min; '
    'max. Of several the '
    'most recent. NULL: as * says';
COMMENT ON COLUMN @hub@.trait_rules.source_order IS
    'of source_order: the sources, the best first; all others come after';
COMMENT ON COLUMN @hub@.trait_rules.personal IS
    'whether it is hidden from who may not read identifiers; NULL: as * says, or else it is';
INSERT INTO @hub@.trait_rules (trait, rule, personal) VALUES ('*', 'most_recent', true);

-- Who may read traits: of identities they see, and personal ones if they see identifiers. A policy of a tenant's
-- on identities is enough, therefore. Whoever may write traits may write all.
CREATE POLICY of_visible_identities ON @hub@.traits FOR SELECT
    USING (NOT (SELECT row_security_active($$@hub@.identities$$::regclass)
                       AND @hub@.hides_rows($$@hub@.identities$$))
           OR EXISTS (SELECT FROM @hub@.identities i WHERE i.identity_id = traits.identity_id));
CREATE POLICY personal ON @hub@.traits AS RESTRICTIVE FOR SELECT
    USING ((SELECT has_column_privilege($$@hub@.identities$$::regclass, 'identifier', 'SELECT'))
           OR CASE WHEN (SELECT coalesce(bool_or(r.personal), true) FROM @hub@.trait_rules r WHERE r.trait = '*')
                   THEN traits.trait IN (SELECT unnest(coalesce(r.members, ARRAY[r.trait])) FROM @hub@.trait_rules r
                                         WHERE NOT r.personal AND r.trait <> '*')
                   ELSE traits.trait NOT IN (SELECT unnest(coalesce(r.members, ARRAY[r.trait]))
                                             FROM @hub@.trait_rules r WHERE r.personal) END);
CREATE POLICY added ON @hub@.traits FOR INSERT WITH CHECK (true);
CREATE POLICY changed ON @hub@.traits FOR UPDATE USING (true);
CREATE POLICY removed ON @hub@.traits FOR DELETE USING (true);
ALTER TABLE @hub@.traits ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_visible_identities ON @hub@.trait_history FOR SELECT
    USING (NOT (SELECT row_security_active($$@hub@.identities$$::regclass)
                       AND @hub@.hides_rows($$@hub@.identities$$))
           OR EXISTS (SELECT FROM @hub@.identities i WHERE i.identity_id = trait_history.identity_id));
CREATE POLICY personal ON @hub@.trait_history AS RESTRICTIVE FOR SELECT
    USING ((SELECT has_column_privilege($$@hub@.identities$$::regclass, 'identifier', 'SELECT'))
           OR CASE WHEN (SELECT coalesce(bool_or(r.personal), true) FROM @hub@.trait_rules r WHERE r.trait = '*')
                   THEN trait_history.trait IN (SELECT unnest(coalesce(r.members, ARRAY[r.trait]))
                                                FROM @hub@.trait_rules r WHERE NOT r.personal AND r.trait <> '*')
                   ELSE trait_history.trait NOT IN (SELECT unnest(coalesce(r.members, ARRAY[r.trait]))
                                                    FROM @hub@.trait_rules r WHERE r.personal) END);
CREATE POLICY added ON @hub@.trait_history FOR INSERT WITH CHECK (true);
CREATE POLICY changed ON @hub@.trait_history FOR UPDATE USING (true);
CREATE POLICY removed ON @hub@.trait_history FOR DELETE USING (true);
ALTER TABLE @hub@.trait_history ENABLE ROW LEVEL SECURITY;
