-- Property tests, part 4: journeys at the edges where a packed format changes
-- shape: numbers of labels around 1, 2^4, 2^8 and 2^16, numbers of touchpoints
-- around 2^7 to 2^16, one label among many, values and refs on one end only.
-- Each is compared, touchpoint by touchpoint, with the rows it was made of.
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.row_of(i bigint, labels integer)
RETURNS TABLE (at timestamptz, channel text, action text, value numeric, ref bigint, detail text) LANGUAGE sql IMMUTABLE AS $$
SELECT '2026-03-01 00:00:00+00'::timestamptz + i * interval '1 second' + (i % 3) * interval '1 ms',
       'c' || i % labels % 250, 'a' || i % labels,
       CASE WHEN i % 10 = 0 THEN i / 100.0 END, CASE WHEN i % 2 = 0 THEN i END,
       CASE i % labels % 7 WHEN 0 THEN NULL WHEN 1 THEN 'in' WHEN 2 THEN 'out' ELSE 'd' || i % labels % 11 END
$$;

-- What is wrong with the journey of n touchpoints of so many labels; NULL if nothing is
CREATE FUNCTION pg_temp.wrong(n integer, labels integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    j journey;
    k journey;
    t journey;
    bad bigint;
BEGIN
    SELECT journey_agg(r.at, r.channel, r.action, r.value, r.ref, r.detail ORDER BY hashint8(i)) INTO j
    FROM generate_series(1, n) i, pg_temp.row_of(i, labels) r;
    IF journey_length(j) <> n THEN RETURN 'length'; END IF;
    IF cardinality(journey_labels(j)) <> least(n, labels) THEN RETURN 'labels'; END IF;
    IF journey_actions(j) <> (SELECT array_agg(DISTINCT 'a' || i % labels ORDER BY 'a' || i % labels)
                              FROM generate_series(1, n) i)
    THEN RETURN 'actions'; END IF;
    SELECT count(*) INTO bad FROM journey_steps(j) s, pg_temp.row_of(s."position", labels) r
    WHERE (r.at, r.channel, r.action, r.value, r.ref, r.detail) IS DISTINCT FROM
          (s.occurred_at, s.channel, s.action, s.value, s.ref, s.detail);
    IF bad > 0 THEN RETURN bad || ' steps'; END IF;
    IF journey_path(j, 'action') <> (SELECT array_agg('a' || i % labels ORDER BY i) FROM generate_series(1, n) i)
    THEN RETURN 'path'; END IF;
    IF j::text::journey <> j OR j::text::journey::text <> j::text THEN RETURN 'text'; END IF;
    k := j[:n / 2] || j[n / 2 + 1:];
    IF k <> j OR k::text <> j::text OR journey_hash(k) <> journey_hash(j) THEN RETURN 'halves'; END IF;
    t := j || touchpoint('2026-02-01 00:00:00+00', 'new', 'label', 1e-18, -1);
    IF t[2:] <> j OR journey_length(t) <> n + 1 OR t[1] <> 'new.label=0.000000000000000001@2026-02-01T00:00:00Z#-1'
    THEN RETURN 'append'; END IF;
    IF j[n] <> journey_nth(j, -1) OR j[1] <> journey_nth(j, -n) OR j[n + 1] IS NOT NULL THEN RETURN 'nth'; END IF;
    IF (SELECT count(*) FROM unnest(j) WITH ORDINALITY u(t, o), pg_temp.row_of(u.o, labels) r
        WHERE u.t = touchpoint(r.at, r.channel, r.action, r.value, r.ref, r.detail)) <> n THEN RETURN 'unnest'; END IF;
    RETURN NULL;
END $$;

SELECT n, labels, wrong
FROM (VALUES (1), (2), (3), (4), (5), (15), (16), (17), (127), (128), (129), (255), (256), (257), (511), (512), (513),
             (1024), (2049)) l(labels),
     LATERAL (VALUES (labels), (labels + labels / 2 + 1)) s(n),
     LATERAL (SELECT pg_temp.wrong(n, labels) OFFSET 0) w(wrong)
WHERE wrong IS NOT NULL;
SELECT n, labels, wrong
FROM (VALUES (16384, 300), (16385, 1), (65536, 65536), (65537, 65537)) v(n, labels),
     LATERAL (SELECT pg_temp.wrong(n, labels) OFFSET 0) w(wrong)
WHERE wrong IS NOT NULL;

-- the order of labels is that of bytes, also beyond 65536 of them
SELECT channels = (SELECT array_agg(c ORDER BY c COLLATE "C") FROM unnest(channels) c) AS sorted,
       cardinality(channels) AS channels
FROM (SELECT journey_channels(journey_agg('2026-03-01 00:00:00+00', chr(97 + i % 26) || i, 'a')) AS channels
      FROM generate_series(1, 70000) i) c;

-- a single odd touchpoint at either end of many like ones: value, ref, unit of time, label
WITH many AS (
    SELECT journey_agg('2026-03-01 00:00:00+00'::timestamptz + i * interval '1 minute', 'web', 'view') AS j
    FROM generate_series(1, 1000) i
), odd(t) AS (VALUES
    ('web.view=1@2026-02-01T00:00:00Z'::touchpoint), ('web.view=0.000000000000000001@2027-02-01T00:00:00Z'),
    ('web.view@2026-02-01T00:00:00Z#1'), ('web.view@2027-02-01T00:00:00Z#-9223372036854775808'),
    ('web.view@2026-02-01T00:00:00.000001Z'), ('web.view@+294276-12-31T23:59:59.999999Z'),
    ('web.view@-4713-11-24T00:00:00Z'), ('""."日本"=-999999999999999999@2026-03-01T00:00:30.5Z#9223372036854775807'))
SELECT t FROM many, odd
WHERE NOT (journey_length(j || t) = 1001
           AND (SELECT count(*) FROM unnest(j || t) u WHERE u = t) = 1
           AND (SELECT journey_agg(u) FROM unnest(j || t) u WHERE u <> t) = j
           AND (j || t)::text::journey = t || j);
