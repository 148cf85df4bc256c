-- What must be recognised without being kept, and what must be signed.

CREATE FUNCTION journey_hmac(message bytea, key bytea) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION journey_hmac(bytea, bytea) IS 'HMAC-SHA-256 of a message under a key, 32 bytes';
