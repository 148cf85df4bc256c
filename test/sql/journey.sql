-- The type journey: text form, accessors, changes, comparison, casts.
SET timezone = 'UTC';

-- text form: input order is free, duplicates stay, output is sorted
SELECT '{}'::journey, ' { } '::journey;
SELECT '{ store.purchase=49.90@2026-03-02T09:30:00Z#42 ,web.view@2026-03-01T10:00:00Z#1,web.view@2026-03-01T10:00:00Z#1}'::journey;
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
    ('web.view@2026-03-01T10:00:00Z'),
    ('{web.view@2026-03-01T10:00:00Z'),
    ('{web.view@2026-03-01T10:00:00Z,}'),
    ('{,}'),
    ('{web.view@2026-03-01T10:00:00Z}}'),
    ('{web.view@2026-03-01T10:00:00Z web.view@2026-03-01T10:00:00Z}')
) v(input), refused('journey', input) r;
\x off
DROP FUNCTION refused;

CREATE TABLE j (id int PRIMARY KEY, j journey);
INSERT INTO j VALUES
    (0, NULL),
    (1, '{}'),
    (2, '{web.view@2026-03-01T10:00:00Z#1}'),
    (3, '{web.view@2026-03-01T10:00:00Z#1, web.view@2026-03-01T10:20:00Z#2, email.open@2026-03-01T10:50:00Z#3, store.purchase=49.90@2026-03-02T09:30:00Z#42, store.return=-20@2026-03-05T17:00:00Z}'),
    (4, '{"my shop"."é ""x"""=0.1@2026-03-28T23:00:00Z, a.b=1e17@2026-03-29T01:00:00.000001Z, a.b=0.2@2026-03-29T01:00:00.000001Z}');

SELECT id, journey_length(j), journey_start(j), journey_end(j), journey_period(j) FROM j ORDER BY id;
SELECT id, journey_channels(j), journey_actions(j), journey_labels(j), journey_value(j) FROM j ORDER BY id;
SELECT id, journey_path(j), journey_path(j, 'channel'), journey_path(j, 'channel', true), journey_path(j, collapse => true) FROM j ORDER BY id;
SELECT journey_path(j, 'action', true) FROM j WHERE id = 3;
SELECT journey_path(j, 'Channel') FROM j WHERE id = 3;

-- sums are exact beyond a bigint, and the whole range of time fits one journey
SELECT journey_value(journey_agg('2026-01-01 00:00Z'::timestamptz + i * interval '1 s', 'a', 'b', v)), sum(v)
FROM (SELECT i, 999999999999999999::numeric v FROM generate_series(1, 9) i
      UNION ALL VALUES (10, 223372036854775816), (11, 0.5), (12, 0.5)) s;
SELECT j, j[2:], journey_end(j), journey_length(journey_slice(j, '[2026-01-01,)')), count(s)
FROM (SELECT '{a.b@-4713-11-24T00:00:00Z, a.b@+294276-12-31T23:59:59.999999Z}'::journey j) x, journey_sessions(j, '100000000 days') s GROUP BY j;

-- one by one
SELECT id, s.* FROM j, journey_steps(j) s ORDER BY id, position;
SELECT id, t FROM j, unnest(j) t ORDER BY id, t;
SELECT count(*) FROM (SELECT unnest(j) FROM j LIMIT 2) s;

-- subscripts
SELECT j[1], j[5], j[6], j[0], j[-1], j[NULL] FROM j WHERE id = 3;
SELECT pg_typeof(j[1]), pg_typeof(j[1:1]) FROM j WHERE id = 3;
SELECT j[2:3], j[:1], j[5:], j[6:], j[3:2], j[-5:1], j[NULL:2] FROM j WHERE id = 3;
SELECT j[:] = j FROM j ORDER BY id;
SELECT journey_nth(j, 1), journey_nth(j, -1), journey_nth(j, 0), journey_nth(j, 6), journey_nth(j, -6), journey_nth(j, -2147483648) FROM j WHERE id = 3;
SELECT j[1][2] FROM j;
SELECT j['x'] FROM j;
UPDATE j SET j[1] = 'web.view@2026-03-01T10:00:00Z';

-- merge
SELECT j || '{web.click@2026-03-01T10:10:00Z}' FROM j WHERE id IN (1, 2) ORDER BY id;
SELECT j || touchpoint('2026-03-01 09:00', 'ads', 'click') FROM j WHERE id = 2;
SELECT touchpoint('2026-03-01 09:00', 'ads', 'click') || touchpoint('2026-03-01 08:00', 'ads', 'view'),
       'ads.click@2026-03-01T09:00:00Z'::touchpoint || 'ads.view@2026-03-01T08:00:00Z',
       'ads.click@2026-03-01T09:00:00Z'::touchpoint || '{ads.view@2026-03-01T08:00:00Z}'::journey;
SELECT j || NULL FROM j WHERE id = 2;
SELECT (a.j || b.j) = (b.j || a.j) AND journey_length(a.j || b.j) = journey_length(a.j) + journey_length(b.j)
FROM j a, j b WHERE a.id = 3 AND b.id = 4;

-- slice
SELECT journey_length(journey_slice(j, r)), r
FROM j, unnest(ARRAY['[2026-03-01 10:00,2026-03-01 10:50]', '(2026-03-01 10:00,2026-03-01 10:50)', '[2026-03-01 10:20,2026-03-01 10:20]',
    '(,)', 'empty', '[2026-03-02 09:30,)', '(2026-03-02 09:30,)', '(,2026-03-02 09:30)', '(,2026-03-02 09:30]', '[-infinity,infinity]',
    '[2026-03-03,2026-03-04)', '[2027-01-01,)', '(,2020-01-01)']::tstzrange[]) WITH ORDINALITY u(r, o)
WHERE id = 3 ORDER BY o;

-- sessions: a new one where the gap is larger, not where it is equal
SELECT journey_path(s) FROM j, journey_sessions(j, '30 minutes') WITH ORDINALITY x(s, n) WHERE id = 3 ORDER BY n;
SELECT count(*) FROM j, journey_sessions(j, '29:59') s WHERE id = 3;
SELECT id, count(s) FROM j LEFT JOIN journey_sessions(j, '0') s ON true GROUP BY id ORDER BY id;
SELECT count(*) FROM j, journey_sessions(j, '10000 days') s WHERE id = 3;
SELECT journey_sessions(j, '1 month') FROM j WHERE id = 3;
SELECT journey_sessions(j, '-1 second') FROM j WHERE id = 3;
SELECT journey_sessions(j, make_interval(days => 2147483647)) FROM j WHERE id = 2;

-- ranges
SELECT r, j && r AS overlaps, r && j AS overlapped, j <@ r AS within, r @> j AS contains,
       journey_overlaps(j, r) = journey_overlaps(r, j) AND journey_within(j, r) = journey_within(r, j) AS same
FROM j, unnest(ARRAY['[2026-03-01 10:00,2026-03-05 17:00]', '(2026-03-01 10:00,2026-03-05 17:00]', '[2026-03-01 10:00,2026-03-05 17:00)',
    '(,)', 'empty', '(,2026-03-01 10:00)', '(,2026-03-01 10:00]', '[2026-03-05 17:00,)', '(2026-03-05 17:00,)', '[2026-03-03,2026-03-04]']::tstzrange[]) WITH ORDINALITY u(r, o)
WHERE id = 3 ORDER BY o;
SELECT j && '(,)'::tstzrange, j <@ 'empty'::tstzrange, j && r AS agrees FROM j, LATERAL (SELECT journey_period(j) r) s WHERE id = 1;

-- order and equality
SELECT a.id, b.id, journey_cmp(a.j, b.j) FROM j a, j b WHERE a.id > 0 AND b.id > 0 ORDER BY 1, 2;
SELECT '{a.a@2026-01-01T00:00:00Z, b.b@2026-01-01T00:00:00Z}'::journey = '{b.b@2026-01-01T00:00:00Z, a.a@2026-01-01T01:00:00+01:00}'::journey;
SELECT '{a.a=1@2026-01-01T00:00:00Z}'::journey = '{a.a=1.000@2026-01-01T00:00:00Z}'::journey;
SELECT '{a.a@2026-01-01T00:00:00Z}'::journey < '{a.a@2026-01-01T00:00:00Z, a.a@2026-01-01T00:00:00Z}'::journey;
SELECT '{a.a@2026-01-01T00:00:00Z}'::journey = 'a.a@2026-01-01T00:00:00Z'::touchpoint;
SELECT id, journey_hash(j) = journey_hash_extended(j, 0)::bit(32)::int AS low_bits,
       journey_hash_extended(j, 0) <> journey_hash_extended(j, 1) AS seeded FROM j ORDER BY id;
-- these must never change: hash partitions depend on them
SELECT id, journey_hash_extended(j, 0), journey_hash(j) FROM j ORDER BY id;

-- casts
SELECT j::json FROM j WHERE id IN (1, 4) ORDER BY id;
SELECT to_jsonb(j) FROM j WHERE id = 3;
SELECT jsonb_array_length(j::jsonb) FROM j ORDER BY id;

-- output does not depend on settings
SET timezone = 'Europe/Lisbon';
SET datestyle = 'SQL, DMY';
SELECT j FROM j WHERE id = 4;
SELECT position, occurred_at, since_previous FROM j, journey_steps(j) WHERE id = 4;
RESET datestyle;
SET timezone = 'UTC';

-- soft errors, where the server has them
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        ASSERT NOT (SELECT pg_input_is_valid('{web.view@2026}', 'journey'));
        ASSERT NOT (SELECT pg_input_is_valid('web.view=1e30@2026-01-01T00:00:00Z', 'touchpoint'));
        ASSERT (SELECT pg_input_is_valid('{web.view@2026-03-01T10:00:00Z}', 'journey'));
        ASSERT (SELECT sql_error_code = '22003' FROM pg_input_error_info('web.view=1e30@2026-01-01T00:00:00Z', 'touchpoint'));
    END IF;
END $$;

-- a domain, an array, a composite, a default
CREATE DOMAIN short_journey AS journey CHECK (journey_length(VALUE) < 3);
SELECT '{web.view@2026-03-01T10:00:00Z}'::short_journey;
SELECT ('{web.view@2026-03-01T10:00:00Z}'::short_journey)[1];
SELECT j::short_journey FROM j WHERE id = 3;
SELECT ARRAY['{web.view@2026-03-01T10:00:00Z, web.click@2026-03-01T11:00:00Z}'::journey];
SELECT (ARRAY['{web.view@2026-03-01T10:00:00Z, web.click@2026-03-01T11:00:00Z}'::journey])[1][2];
DROP DOMAIN short_journey;
DROP TABLE j;

-- more than 256 labels, toasted out of line: heads are read from slices
CREATE TABLE big (j journey);
INSERT INTO big SELECT journey_agg('2026-01-01 00:00Z'::timestamptz + make_interval(secs => i), 'channel' || i % 3, 'action' || i % 1000, i / 100.0, i) FROM generate_series(1, 50000) i;
SELECT pg_column_size(j) > 8000 AS toasted, journey_length(j), journey_start(j), journey_end(j), cardinality(journey_labels(j)),
       journey_channels(j), cardinality(journey_actions(j)), journey_value(j), j[777], journey_nth(j, -1), journey_length(j[100:199]) FROM big;
SELECT j = (SELECT journey_agg(t ORDER BY touchpoint_ref(t) DESC) FROM unnest(j) t) FROM big;
SELECT count(*), sum(ref), sum(value) FROM big, journey_steps(j);
DROP TABLE big;
