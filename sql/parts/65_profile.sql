-- Who a customer is, of what sources say: which of it counts, by rules.

CREATE FUNCTION profile_transfn(internal, bigint, text, jsonb, text, text, timestamptz, jsonb) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION profile_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION profile_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION profile_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION profile_traits_finalfn(internal) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION profile_provenance_finalfn(internal) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

-- They share their state, where their arguments are the same.
CREATE AGGREGATE profile_traits(identity_id bigint, trait text, value jsonb, source text, source_key text,
                                observed_at timestamptz, rules jsonb) (
    SFUNC = profile_transfn, STYPE = internal, SSPACE = 2000,
    FINALFUNC = profile_traits_finalfn, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = profile_combinefn,
    SERIALFUNC = profile_serialfn, DESERIALFUNC = profile_deserialfn, PARALLEL = SAFE
);
CREATE AGGREGATE profile_provenance(identity_id bigint, trait text, value jsonb, source text, source_key text,
                                    observed_at timestamptz, rules jsonb) (
    SFUNC = profile_transfn, STYPE = internal, SSPACE = 2000,
    FINALFUNC = profile_provenance_finalfn, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = profile_combinefn,
    SERIALFUNC = profile_serialfn, DESERIALFUNC = profile_deserialfn, PARALLEL = SAFE
);

COMMENT ON FUNCTION profile_transfn(internal, bigint, text, jsonb, text, text, timestamptz, jsonb) IS
    'transition of profile_traits and profile_provenance';
COMMENT ON FUNCTION profile_combinefn(internal, internal) IS
    'combination of partial states of profile_traits and profile_provenance';
COMMENT ON FUNCTION profile_serialfn(internal) IS 'a state of profile_traits for another process';
COMMENT ON FUNCTION profile_deserialfn(bytea, internal) IS 'a state of profile_traits from another process';
COMMENT ON FUNCTION profile_traits_finalfn(internal) IS 'result of profile_traits';
COMMENT ON FUNCTION profile_provenance_finalfn(internal) IS 'result of profile_provenance';
COMMENT ON AGGREGATE profile_traits(bigint, text, jsonb, text, text, timestamptz, jsonb) IS
    'of each trait the value that counts by the rules, of all that sources say of the identities of a customer. Rules '
    'are an array of objects with trait, members, rule, source_order; NULL: the most recent counts';
COMMENT ON AGGREGATE profile_provenance(bigint, text, jsonb, text, text, timestamptz, jsonb) IS
    'of each trait who says what counts by the rules, and as of when (in UTC)';
