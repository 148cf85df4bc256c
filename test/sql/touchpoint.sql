-- The type touchpoint: text form, limits, accessors, order, casts.
SET timezone = 'UTC';

-- text form: canonical output
SELECT t::touchpoint FROM (VALUES
    ('web.view@2026-03-01T10:00:00Z'),
    ('store.purchase=49.90@2026-03-02T09:30:00Z#42'),
    ('web.view = 1 @ 2026-03-01 10:00Z # 7 '),
    ('web.check-out@2026-03-01T10:00:00+01:00'),
    ('"web"."view"@2026-03-01T10:00:00-0330'),
    ('"a ""quoted"" part"."two.dots"@2026-03-01T10:00:00+00'),
    ('""."1st"@2026-03-01T10:00:00.5Z'),
    ('"-x"."x-"@2026-03-01T10:00:00.123456Z'),
    ('loja.reclamação@2026-03-01T10:00:00.100000000Z'),
    ('"日本 語".電話@2026-03-01T24:00:00Z'),
    ('web.x@2016-12-31T23:59:60Z'),
    ('web.x@0000-02-29T00:00:00Z'),
    ('web.x@-4713-11-24T00:00:00Z'),
    ('web.x@+12345-06-07T08:09:10Z'),
    ('web.x=-0.5@2026-01-01T00:00:00Z'),
    ('web.x=-0@2026-01-01T00:00:00Z'),
    ('web.x=1e3@2026-01-01T00:00:00Z'),
    ('web.x=.25@2026-01-01T00:00:00Z'),
    ('web.x=12.500e-2@2026-01-01T00:00:00Z'),
    ('web.x=999999999999999999@2026-01-01T00:00:00Z'),
    ('web.x=-0.000000000000000001@2026-01-01T00:00:00Z'),
    ('web.x=123456789.987654321@2026-01-01T00:00:00Z#-9223372036854775808'),
    ('web.x@2026-01-01T00:00:00Z#+9223372036854775807')
) v(t);

-- errors: where, what was expected, what was found
-- what an input is refused with
CREATE FUNCTION refused(kind regtype, input text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT %L::%s', input, kind);
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
\x on
SELECT input, r.* FROM (VALUES
    (''),
    ('web'),
    ('web.'),
    ('1web.view@2026-01-01T00:00:00Z'),
    ('web.view-@2026-01-01T00:00:00Z'),
    ('web . view@2026-01-01T00:00:00Z'),
    ('"web.view@2026-01-01T00:00:00Z'),
    ('web.view'),
    ('web.view=@2026-01-01T00:00:00Z'),
    ('web.view=1e@2026-01-01T00:00:00Z'),
    ('web.view=NaN@2026-01-01T00:00:00Z'),
    ('web.view=-infinity@2026-01-01T00:00:00Z'),
    ('web.view=1000000000000000000@2026-01-01T00:00:00Z'),
    ('web.view=0.0000000000000000001@2026-01-01T00:00:00Z'),
    ('web.view=123456789012.1234567@2026-01-01T00:00:00Z'),
    ('web.view=1e999999999999@2026-01-01T00:00:00Z'),
    ('web.view@yesterday'),
    ('web.view@infinity'),
    ('web.view@-infinity'),
    ('web.view@2026-01-01'),
    ('web.view@2026-01-01T00:00:00'),
    ('web.view@2026-02-29T00:00:00Z'),
    ('web.view@2026-01-01T25:00:00Z'),
    ('web.view@2026-01-01T00:60:00Z'),
    ('web.view@2026-01-01T00:00:00+16:00'),
    ('web.view@2026-01-01T00:00:00.0000001Z'),
    ('web.view@+294277-01-01T00:00:00Z'),
    ('web.view@-9999999-01-01T00:00:00Z'),
    ('web.view@2026-01-01T00:00:00Z#'),
    ('web.view@2026-01-01T00:00:00Z#9223372036854775808'),
    ('web.view@2026-01-01T00:00:00Z x'),
    ('web.view@2026-01-01T00:00:00Z, web.view@2026-01-01T00:00:00Z'),
    (('web.' || repeat('é', 128) || '@2026-01-01T00:00:00Z'))
) v(input), refused('touchpoint', input) r;
\x off
DROP FUNCTION refused;

-- 255 bytes are allowed
SELECT octet_length(touchpoint_action(('web.' || repeat('é', 127) || 'x@2026-01-01T00:00:00Z')::touchpoint));

-- the constructor
SELECT touchpoint('2026-03-01 10:00+01', 'web', 'view');
SELECT touchpoint('2026-03-01 10:00+01', 'store', 'purchase', 49.90, 42);
SELECT touchpoint(occurred_at => '2026-03-01 10:00Z', channel => 'store', action => 'visit', ref => 7);
SELECT touchpoint(NULL, NULL, NULL, 1, 1) IS NULL AS skipped;
SELECT touchpoint(NULL, 'web', 'view');
SELECT touchpoint('2026-03-01', NULL, 'view');
SELECT touchpoint('2026-03-01', 'web', NULL);
SELECT touchpoint('infinity', 'web', 'view');
SELECT touchpoint('2026-03-01', repeat('x', 256), 'view');
SELECT touchpoint('2026-03-01', 'web', 'view', 'NaN');
SELECT touchpoint('2026-03-01', 'web', 'view', '-Infinity');
SELECT touchpoint('2026-03-01', 'web', 'view', 1e18);
SELECT touchpoint('2026-03-01', 'web', 'view', 1e-19);
SELECT touchpoint('2026-03-01', 'web', 'view', 12345678901234.56789);

-- numeric in, numeric out, at every digit
SELECT count(*), bool_and(touchpoint_value(touchpoint('2026-03-01', 'web', 'view', v)) = v)
FROM (SELECT (s || d)::numeric * 10::numeric ^ e AS v
      FROM unnest(ARRAY['', '-']) s,
           unnest(ARRAY['0', '1', '9', '10', '99', '1234', '9999', '10000', '10001', '99990001', '123456789012345678', '999999999999999999', '100000000000000001']) d,
           generate_series(-18, 17) e) x
WHERE abs(v) < 1e18 AND trim_scale(v) = trim_scale(round(v, 18))
  AND length(trim_scale(abs(v))::text) - (trim_scale(v)::text LIKE '%.%')::int - (trim_scale(abs(v))::text LIKE '0.%')::int <= 18;

-- accessors
SELECT touchpoint_time(t), touchpoint_channel(t), touchpoint_action(t), touchpoint_label(t),
       touchpoint_value(t), touchpoint_ref(t)
FROM unnest(ARRAY['store.purchase=49.90@2026-03-02T09:30:00Z#42',
                  '"my web"."""x"""@2026-03-02T09:30:00Z']::touchpoint[]) t;

-- total order: time, ref with NULL last, channel, action, value with NULL last
SELECT t FROM unnest(ARRAY[
    'b.a@2026-01-01T00:00:00Z', 'a.b@2026-01-01T00:00:00Z', 'a.a@2026-01-01T00:00:00Z',
    'a.a=2@2026-01-01T00:00:00Z', 'a.a=1.5@2026-01-01T00:00:00Z', 'a.a=-1@2026-01-01T00:00:00Z',
    'z.z@2026-01-01T00:00:00Z#1', 'z.z@2026-01-01T00:00:00Z#-1', 'z.z@2025-12-31T23:59:59.999999Z',
    'Z.z@2026-01-01T00:00:00Z', 'é.z@2026-01-01T00:00:00Z', 'ab.a@2026-01-01T00:00:00Z',
    '"".z@2026-01-01T00:00:00Z']::touchpoint[]) t ORDER BY t;
SELECT a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, touchpoint_cmp(a, b) AS cmp
FROM (VALUES ('a.a=1@2026-01-01T00:00:00Z'::touchpoint, 'a.a=1.00@2026-01-01T01:00:00+01:00'::touchpoint),
             ('a.a=1@2026-01-01T00:00:00Z', 'a.a=2@2026-01-01T00:00:00Z'),
             ('b.a@2026-01-01T00:00:00Z', 'a.z@2026-01-01T00:00:00Z')) v(a, b);

-- hashing: equal values, equal hashes; seed 0 continues the 32-bit hash
SELECT touchpoint_hash(a) = touchpoint_hash(b) AS equal,
       touchpoint_hash(a) = touchpoint_hash_extended(a, 0)::bit(32)::int AS low_bits,
       touchpoint_hash_extended(a, 0) <> touchpoint_hash_extended(a, 1) AS seeded
FROM (SELECT 'a.a=1@2026-01-01T00:00:00Z'::touchpoint a, 'a.a=1.0@2026-01-01T00:00:00Z'::touchpoint b) s;
-- these must never change: hash partitions depend on them
SELECT touchpoint_hash_extended('web.view@2026-01-01T00:00:00Z', 0),
       touchpoint_hash_extended('loja.reclamação=-1.25@2026-01-01T00:00:00.5Z#9', 42),
       touchpoint_hash('web.view@2026-01-01T00:00:00Z');

-- casts
SELECT 'store.purchase=49.90@2026-03-02T09:30:00Z#42'::touchpoint::journey;
SELECT 'store."a ""b"" ü"=49.90@2026-03-02T09:30:00Z#42'::touchpoint::json;
SELECT to_jsonb('store.purchase@2026-03-02T09:30:00Z'::touchpoint);
SELECT 'web.view@2026-03-01T10:00:00Z'::touchpoint::text || '!';

-- output does not depend on settings
SET timezone = 'America/Sao_Paulo';
SET datestyle = 'German';
SET extra_float_digits = 0;
SELECT 'web.view@2026-03-01T10:00:00Z'::touchpoint, touchpoint('2026-03-01 10:00', 'web', 'view');
RESET ALL;

-- indexes
CREATE TABLE tp (t touchpoint PRIMARY KEY);
INSERT INTO tp SELECT touchpoint('2026-01-01 00:00Z'::timestamptz + make_interval(mins => i % 50), 'web', 'a' || i % 7, i) FROM generate_series(1, 500) i;
INSERT INTO tp SELECT t FROM tp LIMIT 1;
CREATE INDEX tp_hash ON tp USING hash (t);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM tp WHERE t = 'web.a1=1@2026-01-01T00:01:00Z';
SELECT * FROM tp WHERE t = 'web.a1=1@2026-01-01T00:01:00Z';
SELECT count(*) FROM tp WHERE t < 'web.a1=1@2026-01-01T00:01:00Z';
DROP TABLE tp;
