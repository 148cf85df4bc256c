-- Property tests, part 1: random touchpoints, and what plain SQL says of them.
--
-- Makes the schema "property", which the files property_*.sql read:
--   event       random touchpoints in no order, in groups g; a group draws the
--               kind of its times, labels, values, refs and its size
--   step        the same rows, each with its position in its group
--   expected    what each group's journey must be, by plain SQL
-- The numbers are hashes of the row and of a seed: the same on every run. The
-- environment variable PGJ_SEED gives other data; the output stays the same.
-- Every query lists what is wrong, so the right answer is always no row.
\set seed 1
\getenv seed PGJ_SEED
-- more of them where PGJ_SLOW is set
\getenv slow PGJ_SLOW
\if :{?slow}
\set groups 1000
\else
\set groups 400
\endif
\set VERBOSITY terse
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE SCHEMA property;
SET search_path = property, public;

-- k-th random number of row i, from 0 to n - 1
CREATE FUNCTION rnd(i bigint, k integer, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(i * 64 + k, :seed) & 9223372036854775807) % n;

-- a number around a power of two: where packed integers change their length
CREATE FUNCTION near_power(i bigint, k integer, bits integer) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (1::bigint << rnd(i, k, bits)::integer) + rnd(i, k + 1, 3) - 1;
END $$;

-- the time so many microseconds after 2000, in exact numbers
CREATE FUNCTION micros(n bigint) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN '2000-01-01 00:00:00+00'::timestamptz + (n || ' microseconds')::interval;
END $$;

CREATE FUNCTION random_time(kind bigint, g bigint, i bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN CASE kind
    WHEN 0 THEN micros((826000000 + g * 3600 + rnd(i, 1, 7776000)) * 1000000)
    WHEN 1 THEN micros((826000000000 + rnd(i, 1, 7776000000)) * 1000)
    WHEN 2 THEN micros(826000000000000 + rnd(i, 1, 7776000000000))
    WHEN 3 THEN micros((rnd(i, 1, 20000) - 2) * (ARRAY[60000000, 3600000000, 86400000000])[1 + g % 3])
    WHEN 4 THEN micros((826000000 + g + rnd(i, 1, 3)) * 1000000)
    WHEN 5 THEN (ARRAY['4713-01-01 00:00:00+00 BC', '4714-11-24 00:00:00.000001+00 BC',
                       '0044-03-15 12:00:00+00 BC', '0001-12-31 23:59:59.999999+00 BC',
                       '0001-01-01 00:00:00+00', '1999-12-31 23:59:59.999999+00',
                       '9999-12-31 23:59:59+00', '10000-01-01 00:00:00.5+00',
                       '294276-12-31 23:59:59.999999+00'])[1 + rnd(i, 1, 9)]::timestamptz
    WHEN 6 THEN micros(near_power(i, 2, 62))
    WHEN 7 THEN micros(-near_power(i, 2, 57))
    ELSE micros(826000000000000 + rnd(i, 1, 7776000000000)  -- mixed units
                - (826000000000000 + rnd(i, 1, 7776000000000)) % (10 ^ rnd(i, 2, 8))::bigint)
    END;

-- names that need no quotes, names that do, non-ASCII, empty, as long as may be
CREATE FUNCTION random_name(kind bigint, i bigint, k integer) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE kind
    WHEN 0 THEN 'web'
    WHEN 1 THEN (ARRAY['web', 'app', 'e-mail', 'store', 'sms'])[1 + rnd(i, k, 5)]
    WHEN 2 THEN (ARRAY['a', 'A', 'a-', '-a', 'a-b', 'a--b', 'a_b', '_', '1a', 'a1', 'a.b', 'a b', '',
                       ' ', '"', '""', 'a"b', '{', '}', ',', '=', '@', '#', '\', e'\n', e'\t', e'\x01',
                       e'\x7f', 'null', 'NULL', 'ação', 'é', 'É', '日本語', 'naïve-café', '€uro', '🛒',
                       'a🛒b', 'ü-', '-', 'ab', 'aa', '0', 'a/b', '''', '~', 'x''y'])[1 + rnd(i, k, 47)]
    WHEN 3 THEN 'n' || rnd(i, k, 30)
    ELSE (ARRAY[repeat('x', 255), repeat('x', 254) || 'y', repeat('x', 254), repeat('é', 127),
                repeat('日', 85), repeat('"', 255), repeat(' ', 255), repeat('x', 126), repeat('x', 127),
                repeat('x', 128)])[1 + rnd(i, k, 10)]
    END;

CREATE FUNCTION random_value(kind bigint, i bigint) RETURNS numeric LANGUAGE sql IMMUTABLE
RETURN CASE kind
    WHEN 0 THEN NULL
    WHEN 1 THEN CASE WHEN rnd(i, 9, 10) = 0 THEN rnd(i, 10, 100000) / 100.0 END
    WHEN 2 THEN (rnd(i, 10, 1000000) - 100000) / 100.0
    WHEN 3 THEN CASE WHEN rnd(i, 9, 3) > 0 THEN  -- up to 18 digits, up to 18 of them decimals
        ((rnd(i, 10, (10::numeric ^ (1 + rnd(i, 11, 18)))::bigint) * (1 - 2 * rnd(i, 12, 2)))
         || 'e-' || rnd(i, 13, 19))::numeric END
    WHEN 4 THEN (ARRAY[999999999999999999, -999999999999999999, 0.000000000000000001, 0, -0.1,
                       -0.000000000000000001, 99999999999999999.9, 0.999999999999999999,
                       100000000000000000, 123456789.123456789, 1e17, 1.50, NULL])[1 + rnd(i, 10, 13)]
    WHEN 5 THEN (ARRAY[NULL, 0, 1, 1.0, 1.00, -1, 10])[1 + rnd(i, 10, 7)]
    ELSE near_power(i, 10, 59) * (1 - 2 * rnd(i, 12, 2))
    END;

CREATE FUNCTION random_ref(kind bigint, i bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE kind
    WHEN 0 THEN NULL
    WHEN 1 THEN i
    WHEN 2 THEN hashint8extended(i, 2)
    WHEN 3 THEN (ARRAY[NULL, 1, 2])[1 + rnd(i, 15, 3)]
    WHEN 4 THEN (ARRAY[-9223372036854775808, 9223372036854775807, -1, 0, 1, NULL])[1 + rnd(i, 15, 6)]
    ELSE near_power(i, 15, 63) * (1 - 2 * rnd(i, 17, 2))
    END;

-- an empty detail is none
CREATE FUNCTION random_detail(kind bigint, i bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN kind < 2 THEN NULL
    WHEN kind = 2 THEN (ARRAY['in', 'out'])[1 + rnd(i, 18, 2)]
    WHEN kind = 3 THEN (ARRAY['in', 'out', 'bot', NULL])[1 + rnd(i, 18, 4)]
    WHEN kind = 4 THEN (ARRAY['in', 'out', 'bot', NULL, 'ina', 'i', 'sofas', 'web'])[1 + rnd(i, 18, 8)]
    ELSE nullif(random_name(kind - 3, i, 18), '')
    END;

CREATE TABLE event (g integer, at timestamptz, channel text, action text, value numeric, ref bigint, detail text);
INSERT INTO event
SELECT g, random_time(rnd(-g, 1, 9), g, i),
       random_name(label_kind, i, 5), random_name(label_kind, i, 6),
       random_value(rnd(-g, 3, 7), i), random_ref(rnd(-g, 4, 6), i), random_detail(rnd(-g, 7, 8), i)
FROM (SELECT g, rnd(-g, 2, 5) AS label_kind,
             CASE rnd(-g, 5, 50) WHEN 0 THEN 200 + rnd(-g, 6, 300)
                                 WHEN 1 THEN 20 + rnd(-g, 6, 100)
                                 WHEN 2 THEN 1 ELSE 1 + rnd(-g, 6, 12) END AS size
      FROM generate_series(1, :groups) g) kinds,
     LATERAL (SELECT g::bigint * 1000 + n AS i FROM generate_series(1, size) n) rows
ORDER BY hashint8extended(i, 3);
-- twins, so that equal touchpoints in a journey and equal journeys are not rare
INSERT INTO event SELECT * FROM event WHERE g % 10 = 0;
INSERT INTO event SELECT g + 2000, at, channel, action, value, ref, detail FROM event WHERE g % 4 = 0;
-- every length up to 70 and those around 128 and 256, with few values, few refs, few labels or none
INSERT INTO event
SELECT 4000 + size, micros(rnd(i, 1, 1000000000000)), random_name(size % 2, i, 5), random_name(size % 3, i, 6),
       random_value(size % 4, i), random_ref(size % 5, i), random_detail(size % 8, i)
FROM generate_series(1, 258) size, LATERAL (SELECT size * 1000 + n AS i FROM generate_series(1, size) n) rows
WHERE size <= 70 OR size BETWEEN 126 AND 130 OR size >= 254;
ANALYZE event;

-- the text forms, by plain SQL
CREATE FUNCTION name_text(name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN regexp_replace(name, '[^\x01-\x7f]', 'x', 'g') ~ '^[A-Za-z_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$'
            THEN name ELSE '"' || replace(name, '"', '""') || '"' END;
CREATE FUNCTION label_text(channel text, action text, detail text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN name_text(channel) || '.' || name_text(action) || coalesce('.' || name_text(detail), '');
CREATE FUNCTION time_text(utc timestamp) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    year integer := extract(year FROM utc);  -- -1 for 1 BC, which is the year 0000
    rest text := rtrim(rtrim(to_char(utc, '-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';
BEGIN
    RETURN CASE WHEN year > 9999 THEN '+' || year
                WHEN year < -1 THEN '-' || lpad((-year - 1)::text, 4, '0')
                WHEN year = -1 THEN '0000'
                ELSE lpad(year::text, 4, '0') END || rest;
END $$;
CREATE FUNCTION touchpoint_text(at timestamptz, channel text, action text, value numeric, ref bigint, detail text)
RETURNS text LANGUAGE sql IMMUTABLE
RETURN label_text(channel, action, detail) || coalesce('=' || trim_scale(value), '')
       || '@' || time_text(at AT TIME ZONE 'UTC') || coalesce('#' || ref, '');

-- rank: the same for equal touchpoints, in the order of touchpoints
CREATE TABLE step AS
SELECT g, row_number() OVER (PARTITION BY g ORDER BY at, ref NULLS LAST, channel COLLATE "C",
                             action COLLATE "C", detail COLLATE "C" NULLS FIRST, value NULLS LAST)::integer AS "position",
       at, channel, action, value, ref, detail,
       touchpoint_text(at, channel, action, value, ref, detail) AS "text", label_text(channel, action, detail) AS label,
       dense_rank() OVER (ORDER BY at, ref NULLS LAST, channel COLLATE "C", action COLLATE "C",
                          detail COLLATE "C" NULLS FIRST, value NULLS LAST)::integer AS "rank"
FROM event;
CREATE UNIQUE INDEX ON step (g, "position");

-- ranks: journeys are ordered as these arrays are
-- fits: the time from first to last fits in an interval
CREATE TABLE expected AS
SELECT g, count(*)::integer AS length, min(at) AS "start", max(at) AS "end", sum(value) AS value,
       '{' || string_agg("text", ', ' ORDER BY "position") || '}' AS "text",
       array_agg("rank" ORDER BY "position") AS ranks,
       extract(epoch FROM max(at)) - extract(epoch FROM min(at)) < 9223372036854 AS fits
FROM step GROUP BY g;
ANALYZE step;
ANALYZE expected;

-- the journeys under test
CREATE TABLE built AS SELECT g, journey_agg(at, channel, action, value, ref, detail) AS j FROM event GROUP BY g;
ALTER TABLE built ADD PRIMARY KEY (g);
ANALYZE built;

-- Are two journeys one and the same by every means of telling them apart? *= compares stored bytes.
CREATE FUNCTION same(a journey, b journey) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN coalesce(a = b AND NOT a <> b AND a <= b AND a >= b AND NOT a < b AND NOT a > b
                AND journey_cmp(a, b) = 0 AND journey_hash(a) = journey_hash(b)
                AND journey_hash_extended(a, 7) = journey_hash_extended(b, 7)
                AND journey_send(a) = journey_send(b) AND a::text = b::text
                AND ROW(a)::record *= ROW(b)::record, false);

-- there is something to test: enough touchpoints, ties, twins and kinds of everything
SELECT count(*) > 15 * :groups AND count(*) FILTER (WHERE ref IS NULL) > :groups
       AND count(*) FILTER (WHERE value IS NULL) > :groups AND count(*) - count(DISTINCT "rank") > 3 * :groups
       AND count(DISTINCT label) > :groups AND count(*) FILTER (WHERE detail IS NULL) > 5 * :groups
       AND count(*) FILTER (WHERE detail IN ('in', 'out', 'bot')) > 3 * :groups AND count(DISTINCT detail) > 80 AS enough FROM step;

-- journeys print as plain SQL says
SELECT :seed AS seed, g FROM expected FULL JOIN built USING (g)
WHERE j::text IS DISTINCT FROM "text" ORDER BY g LIMIT 5;
