-- Keys that nobody but the owner reads.

CREATE TABLE @hub@.secrets (
    name text PRIMARY KEY,
    secret bytea NOT NULL CHECK (octet_length(secret) >= 16)
);
COMMENT ON TABLE @hub@.secrets IS 'keys that only the owner of the hub may read: functions use them for the others';
COMMENT ON COLUMN @hub@.secrets.name IS 'what it is for: suppression, portal';
COMMENT ON COLUMN @hub@.secrets.secret IS 'the key';
-- of the server's strong random numbers; 244 bits of 256
INSERT INTO @hub@.secrets (name, secret)
SELECT n.name, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
FROM unnest('{suppression,portal}'::text[]) n(name);
