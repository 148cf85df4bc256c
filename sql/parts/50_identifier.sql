-- identifier: what one customer is known by in one namespace.
-- It is stored as a bytea is (src/identity/identifier.c), and ordered as one.

CREATE TYPE identifier;

CREATE FUNCTION identifier_in(cstring) RETURNS identifier
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_out(identifier) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_recv(internal) RETURNS identifier
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_send(identifier) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE identifier (
    INPUT = identifier_in,
    OUTPUT = identifier_out,
    RECEIVE = identifier_recv,
    SEND = identifier_send,
    LIKE = bytea
);

CREATE FUNCTION identifier(namespace text, value text) RETURNS identifier
AS 'MODULE_PATHNAME', 'identifier_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_namespace(identifier) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_value(identifier) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION identifier_lt(identifier, identifier) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_le(identifier, identifier) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_eq(identifier, identifier) RETURNS boolean
-- LEAKPROOF as byteaeq is, so that row-level security leaves look-ups their index
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION identifier_ne(identifier, identifier) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_ge(identifier, identifier) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_gt(identifier, identifier) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_cmp(identifier, identifier) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_sortsupport(internal) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_hash(identifier) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_hash_extended(identifier, bigint) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    LEFTARG = identifier, RIGHTARG = identifier, PROCEDURE = identifier_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = identifier, RIGHTARG = identifier, PROCEDURE = identifier_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = identifier, RIGHTARG = identifier, PROCEDURE = identifier_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = identifier, RIGHTARG = identifier, PROCEDURE = identifier_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = identifier, RIGHTARG = identifier, PROCEDURE = identifier_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = identifier, RIGHTARG = identifier, PROCEDURE = identifier_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS identifier_ops DEFAULT FOR TYPE identifier USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 identifier_cmp(identifier, identifier),
    FUNCTION 2 identifier_sortsupport(internal),
    FUNCTION 4 btequalimage(oid);
CREATE OPERATOR CLASS identifier_ops DEFAULT FOR TYPE identifier USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 identifier_hash(identifier),
    FUNCTION 2 identifier_hash_extended(identifier, bigint);

-- Drivers send text, and arrays of text.
CREATE CAST (text AS identifier) WITH INOUT AS IMPLICIT;
CREATE CAST (varchar AS identifier) WITH INOUT AS IMPLICIT;

CREATE FUNCTION normalize_email(text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION normalize_phone(phone text, default_country text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION normalize_document(text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION normalize_identifier(identifier identifier, normalizer text, default_country text DEFAULT NULL)
RETURNS identifier
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION identifier_blocked(
    identifier identifier, blocked text[], normalizer text DEFAULT NULL, default_country text DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON TYPE identifier IS 'what a customer is known by: namespace:value';
COMMENT ON FUNCTION identifier_in(cstring) IS 'I/O';
COMMENT ON FUNCTION identifier_out(identifier) IS 'I/O';
COMMENT ON FUNCTION identifier_recv(internal) IS 'I/O';
COMMENT ON FUNCTION identifier_send(identifier) IS 'I/O';
COMMENT ON FUNCTION identifier(text, text) IS 'make an identifier of a namespace and a value, both kept as given';
COMMENT ON FUNCTION identifier_namespace(identifier) IS 'namespace';
COMMENT ON FUNCTION identifier_value(identifier) IS 'value';
COMMENT ON FUNCTION identifier_lt(identifier, identifier) IS 'implementation of < operator';
COMMENT ON FUNCTION identifier_le(identifier, identifier) IS 'implementation of <= operator';
COMMENT ON FUNCTION identifier_eq(identifier, identifier) IS 'implementation of = operator';
COMMENT ON FUNCTION identifier_ne(identifier, identifier) IS 'implementation of <> operator';
COMMENT ON FUNCTION identifier_ge(identifier, identifier) IS 'implementation of >= operator';
COMMENT ON FUNCTION identifier_gt(identifier, identifier) IS 'implementation of > operator';
COMMENT ON FUNCTION identifier_cmp(identifier, identifier) IS 'total order: namespace, then value, bytewise';
COMMENT ON FUNCTION identifier_sortsupport(internal) IS 'sort support';
COMMENT ON FUNCTION identifier_hash(identifier) IS 'hash';
COMMENT ON FUNCTION identifier_hash_extended(identifier, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON OPERATOR < (identifier, identifier) IS 'less than';
COMMENT ON OPERATOR <= (identifier, identifier) IS 'less than or equal';
COMMENT ON OPERATOR = (identifier, identifier) IS 'equal';
COMMENT ON OPERATOR <> (identifier, identifier) IS 'not equal';
COMMENT ON OPERATOR >= (identifier, identifier) IS 'greater than or equal';
COMMENT ON OPERATOR > (identifier, identifier) IS 'greater than';
COMMENT ON FUNCTION normalize_email(text) IS 'e-mail address in one form, or NULL if it is none';
COMMENT ON FUNCTION normalize_phone(text, text) IS
    'phone number as E.164, or NULL if it is none or its country is not known';
COMMENT ON FUNCTION normalize_document(text) IS
    'CPF, CNPJ or NIF without punctuation, or NULL if it is none or its check digits are wrong';
COMMENT ON FUNCTION normalize_identifier(identifier, text, text)
    IS 'identifier with its value as normalizer email, phone or document has it, or NULL if that can''t read it; any '
       'other leaves it as it is';
COMMENT ON FUNCTION identifier_blocked(identifier, text[], text, text) IS
    'whether its value is in a list of values and ~regular expressions, or phone:... for that kind of namespace, or '
    'is what the normalizer makes of one';
