-- channel_measures: cases by hand, forms, errors, and random journeys around the days on which clocks change, where plain
-- SQL over their rows says the same.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;
CREATE SCHEMA channel_measures;
SET search_path = channel_measures, public;

-- The example of the manual: Ana and Rui
CREATE TABLE sample (customer int, journey journey);
INSERT INTO sample VALUES
    (1, '{web.view@2025-03-28T17:20Z, web.login@2025-03-28T17:25Z, whatsapp.message.in@2025-03-28T17:30Z, whatsapp.message.bot@2025-03-28T17:30:02Z,
          whatsapp.message.out@2025-03-31T08:15Z, whatsapp.message.in@2025-03-31T08:16Z, whatsapp.resolved.out@2025-03-31T08:20Z, store.purchase=799@2025-04-01T08:00Z}'),
    (2, '{email.newsletter.out@2025-03-28T09:00Z, phone.call.in@2025-03-28T11:00Z}'), (3, '{}'), (4, NULL);
-- what hubs ask
CREATE FUNCTION ask(period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, time_zone text DEFAULT 'Europe/Lisbon')
RETURNS channel_measures LANGUAGE sql
RETURN (SELECT channel_measures_agg(journey, '30 min', '1 day', '{resolved}', '{web,email}', '{phone,store,whatsapp}', period, time_zone, since, until)
        FROM sample);
SELECT * FROM channel_mix(ask());
SELECT * FROM channel_transitions(ask());
SELECT * FROM channel_customers(ask());
SELECT p AS period, m.* FROM unnest('{year,quarter,month,week,day}'::text[]) WITH ORDINALITY p(p, n), channel_mix(ask(p)) m ORDER BY n, m.period_start, channel;
SELECT p AS period, m.* FROM unnest('{year,quarter,month,week,day}'::text[]) WITH ORDINALITY p(p, n), channel_transitions(ask(p)) m ORDER BY n, m.period_start, from_channel;
SELECT p AS period, m.* FROM unnest('{year,quarter,month,week,day}'::text[]) WITH ORDINALITY p(p, n), channel_customers(ask(p)) m ORDER BY n, m.period_start;
SELECT ask() = ask('all') AS null_is_all, ask('all') = ask('all', time_zone => NULL) AS zone_is_not_asked, ask('month') = ask('month', time_zone => 'europe/lisbon') AS zone_as_it_is_called,
       ask('month', '-infinity', 'infinity') = ask('month') AS infinity_is_no_limit;

-- A range: what came before is known, and the end of a visit that began in it, whenever; the session of 17:20 in web began before
SELECT * FROM channel_mix(ask('day', '2025-03-28 17:25Z', '2025-03-31 08:20Z'));
SELECT * FROM channel_transitions(ask('day', '2025-03-28 17:30Z', '2025-04-01 08:00Z'));
SELECT * FROM channel_transitions(ask('day', '2025-04-01 08:00Z'));
SELECT * FROM channel_customers(ask('day', '2025-03-31Z', '2025-04-01Z'));
-- limits as intervals compare: a month has 30 days; there is no end to the greatest
SELECT within, t.handoffs, t.median_time, m = m::text::channel_measures AS same
FROM unnest('{1 month,29 days 23:59:59.999999,30 days,178000000 years}'::interval[]) WITH ORDINALITY w(within, n),
     LATERAL (SELECT (SELECT channel_measures_agg(j, within, within, NULL, NULL, NULL, NULL, NULL, NULL, NULL) FROM (VALUES ('{a.a@2025-01-01T00:00Z, b.a@2025-01-31T00:00Z}'::journey)) v(j))) m(m),
     channel_transitions(m) t ORDER BY n;
-- a visit goes on behind the range before it is left, and may never be
SELECT until, ends, (SELECT visits_left FROM channel_mix(channel_measures_agg(j, '30 min', '1 day', '{done}', NULL, NULL, 'all', NULL, NULL, until)) WHERE channel = 'web') AS visits_left
FROM (VALUES ('2025-03-01 12:00Z'::timestamptz), ('2025-03-01 12:00:00.000001Z'), ('2025-03-01 13:00Z'), ('2025-03-02 13:00Z'), (NULL)) u(until),
     (VALUES ('left', 'app.view@2025-03-03T12:59Z'), ('too late', 'app.view@2025-03-03T13:00:00.000001Z'), ('same', 'web.view@2025-03-03T12:59Z'),
             ('not own', 'app.view.out@2025-03-03T12:59Z'), ('not own', 'app.done@2025-03-03T12:59Z'), ('never', NULL)) e(ends, t),
     LATERAL (SELECT '{web.view@2025-03-01T12:00Z, web.view@2025-03-01T13:00Z, web.view@2025-03-02T13:00Z}'::journey || coalesce('{' || t || '}', '{}')::journey) j(j)
GROUP BY until, ends, t ORDER BY until, ends, t;
-- nobody and nothing: over all time there is a row
SELECT * FROM channel_customers(ask(since => '2030-01-01Z'));
SELECT * FROM channel_customers(ask('day', '2030-01-01Z'));
SELECT * FROM channel_mix(ask(since => '2030-01-01Z'));
SELECT channel_measures_agg(journey, '1 h', '1 h', NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS nobody, channel_measures_agg(NULL::channel_measures) AS nothing FROM sample WHERE customer = 4;
SELECT channel_measures_agg(journey, '1 h', '1 h', NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS empty FROM sample WHERE customer = 3;
-- an empty range, and one from infinity
SELECT ask('day', '2025-03-28Z', '2025-03-28Z'), ask('day', 'infinity'), ask('day', NULL, '-infinity');

-- Days: with 23 and 25 hours, and one that comes back for an hour at midnight. Weeks begin on Monday.
CREATE FUNCTION ask_one(j journey, period text, time_zone text) RETURNS channel_measures LANGUAGE sql
RETURN (SELECT channel_measures_agg(v.j, '30 min', '1 day', NULL, NULL, NULL, period, time_zone, NULL, NULL) FROM (VALUES (ask_one.j)) v(j));
SELECT zone, period, m.period_start, touchpoints, customers, sessions, visits
FROM (VALUES ('Europe/Lisbon', 'day', '{a.a@2025-03-29T23:59Z, a.a@2025-03-30T22:59Z, a.a@2025-03-30T23:00Z, a.a@2025-10-25T23:00Z, a.a@2025-10-26T23:59Z, a.a@2025-10-27T00:00Z}'::journey),
             ('America/Sao_Paulo', 'day', '{a.a@2019-02-17T01:59Z, a.a@2019-02-17T02:59Z, a.a@2019-02-17T03:00Z}'),
             ('America/St_Johns', 'day', '{a.a@2010-11-07T02:29Z, a.a@2010-11-07T02:30Z, a.a@2010-11-07T02:31Z, a.a@2010-11-07T03:29:59Z, a.a@2010-11-07T03:30Z}'),
             ('America/St_Johns', 'month', '{a.a@2010-11-07T02:30Z, a.a@2010-11-07T02:31Z}'),
             ('Asia/Kathmandu', 'week', '{a.a@2025-12-28T18:14Z, a.a@2025-12-28T18:15Z}'), ('Asia/Kathmandu', 'year', '{a.a@2025-12-31T18:14Z, a.a@2025-12-31T18:15Z}'),
             ('Etc/GMT-14', 'quarter', '{a.a@2025-03-31T09:59:59.999999Z, a.a@2025-03-31T10:00Z}'), ('UTC', 'quarter', '{a.a@-0100-03-31T23:00Z, a.a@-0100-04-01T00:00Z}'),
             ('Etc/GMT-14', 'year', '{a.a@294276-12-31T09:00Z, a.a@294276-12-31T23:59:59.999999Z}')) v(zone, period, j),
     channel_mix(ask_one(j, period, zone)) m
ORDER BY zone, period, m.period_start;

-- Text: JSON that says all; read back to the same, keys in any order
SELECT jsonb_pretty(ask('month')::text::jsonb);
CREATE TABLE strange AS
SELECT channel_measures_agg(j, '1.5 s', '300 days 0.000001 s', ARRAY['ü"\', 'b', 'a', 'b', '', E'\t\x01'], '{}', NULL, 'all', 'UTC', '0300-01-01Z BC', '2026-01-01 00:00:00.5Z') AS m
FROM (SELECT journey_agg('2025-01-01Z'::timestamptz + n * interval '0.1 s', (ARRAY['a "b" \', 'é', '', repeat('x', 255)])[1 + n / 2 % 4], 'x') FROM generate_series(1, 9) n) v(j);
SELECT m FROM strange;
SELECT m = m::text::channel_measures AS same, m = m::text::jsonb::text::channel_measures AS in_any_order FROM strange
UNION ALL SELECT m = m::text::channel_measures, m = jsonb_pretty(m::text::jsonb)::channel_measures FROM (SELECT ask(p) FROM unnest('{all,day,week}'::text[]) p) p(m);
-- white space, escapes, times in any order and more than once
CREATE FUNCTION measures(periods text, more text DEFAULT '') RETURNS text LANGUAGE sql
RETURN '{"measures": ["channels", "transitions", "median_time", "customers"], "session_gap": 1, "handoff_within": 10, "not_own": [], "digital": [], "personal": [], "period": "month", "time_zone": "UTC", "since": null, "until": null' || more || ', "periods": [' || periods || ']}';
CREATE FUNCTION period(cells text, transitions text DEFAULT '', counts text DEFAULT '2 2 0 0', start text DEFAULT '"2025-01-01"') RETURNS text LANGUAGE sql
RETURN format('{"period_start": %s, "customers": %s, "multichannel": %s, "cross_channel": %s, "omnichannel": %s, "channels": [%s], "transitions": [%s]}',
              VARIADIC ARRAY[start] || string_to_array(counts, ' ') || ARRAY[cells, transitions]);
CREATE FUNCTION cell(channel text, counts text DEFAULT '9 2 3 2 3 7 4') RETURNS text LANGUAGE sql
RETURN format('{"channel": %s, "touchpoints": %s, "customers": %s, "inbound": %s, "outbound": %s, "sessions": %s, "visits": %s, "visits_left": %s}',
              VARIADIC ARRAY['"' || channel || '"'] || string_to_array(counts, ' '));
CREATE FUNCTION transition(a text, b text, times text, customers text DEFAULT '1') RETURNS text LANGUAGE sql
RETURN format('{"from_channel": "%s", "to_channel": "%s", "customers": %s, "times": [%s]}', a, b, customers, times);
SELECT t.*, m.channel = E'b\n"\\/é😀' AS escapes
FROM (SELECT measures(E' \n\t' || period(cell('b\n\u0022\\\/\u00E9\ud83D\uDE00') || ' , ' || cell('a'), transition('b', 'a', '3, 1.5 , [ 3 , 2 ], 0.000001, 10.000000, 0'), '2 2 1 0'))::channel_measures) x(x),
     channel_transitions(x) t, LATERAL (SELECT max(channel) FROM channel_mix(x)) m(channel);
-- the median is exact: of an even number the mean of the two in the middle, half a microsecond to the even one
SELECT times, median_time, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY make_interval(secs => u)) FROM unnest(('{' || times || '}')::numeric[]::float8[]) u) = median_time AS same
FROM unnest('{"1","1,2","2,1,4","0.000001,0.000002","0.000001,0.000004","0.000002,0.000005","9,1,1,9,9,9","3,3,3,3"}'::text[]) times,
     channel_transitions(measures(period(cell('a'), transition('a', 'b', times), '2 2 1 0'))::channel_measures);
SELECT handoffs, median_time FROM channel_transitions(measures(period(cell('a'), transition('a', 'b', '[1, 4611686018427387904], [2, 4611686018427387903]'), '2 2 1 0'))::channel_measures);

-- Adding up: any parts in any order give the same; a customer in two parts is two
SELECT channel_measures_agg(m) = ask('week') AS same FROM (SELECT channel_measures_agg(journey, '30 min', '1 day', '{resolved}', '{web,email}', '{phone,store,whatsapp}', 'week', 'Europe/Lisbon', NULL, NULL) FROM sample GROUP BY customer) p(m);
SELECT c.* FROM (SELECT channel_measures_agg(m) FROM (VALUES (ask('month')), (NULL), (ask('month')), (ask('month'))) v(m)) x(x), channel_customers(x) c;
SELECT t.* FROM (SELECT channel_measures_agg(m) FROM (VALUES (ask('month')), (NULL), (ask('month')), (ask('month'))) v(m)) x(x), channel_transitions(x) t;
SELECT count(DISTINCT m) AS distinct, count(*) FILTER (WHERE m < ask('week')) AS less, count(*) FROM (SELECT ask(p) FROM unnest('{week,week,week,day}'::text[]) p) x(m);
-- as a window: each row's state remains as it was
SELECT customer, (SELECT sum(touchpoints) FROM channel_mix(m)) AS running, (SELECT sum(touchpoints) FROM channel_mix(two)) AS two
FROM (SELECT customer, channel_measures_agg(journey, '30 min', '1 day', '{}', '{}', '{}', 'day', 'UTC', NULL, NULL) OVER (ORDER BY customer) AS m,
             channel_measures_agg(journey, '30 min', '1 day', '{}', '{}', '{}', 'day', 'UTC', NULL, NULL) OVER (ORDER BY customer ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS two
      FROM sample) x ORDER BY customer;

-- Random journeys near the changes of clocks. In Casey 2010-03-05 02:00 was followed by 2010-03-04 23:00, so that dates fall while
-- times ascend; in St. John's clocks went back over midnight.
SELECT setseed(0.14);
CREATE TABLE random AS
SELECT c, journey_agg(t, channel, action, NULL, CASE WHEN with_ref THEN n END, detail) AS journey
FROM (SELECT c, n, c % 2 = 0 AS with_ref,
             (ARRAY['2021-03-27Z', '2021-10-29Z', '2010-11-05Z', '2010-03-03Z', '2019-12-29Z']::timestamptz[])[1 + c % 5]
             + (random() * random() * CASE c % 3 WHEN 0 THEN 4000 WHEN 1 THEN 12000 ELSE 300000 END)::int * interval '30 min' AS t,
             (ARRAY['web', 'app', 'Loja São João', 'phone', 'email'])[1 + floor(random() * random() * 5)::int] AS channel,
             (ARRAY['view', 'message', 'resolved', 'delivered', 'vê'])[1 + floor(random() * random() * 5)::int] AS action,
             (ARRAY['in', 'out', 'bot', 'other', NULL, NULL, NULL])[1 + floor(random() * 7)::int] AS detail
      FROM generate_series(1, 75) c, generate_series(1, 1 + c % 23) n) t GROUP BY c;
ANALYZE random;
CREATE TABLE question (q int, gap interval, within interval, not_own text[], period text, zone text, since timestamptz, until timestamptz);
INSERT INTO question
SELECT q, (ARRAY['0', '30 min', '1 day'])[1 + q % 3]::interval, (ARRAY['1 day', '30 min', '20 days', '0'])[1 + q % 4]::interval, (ARRAY['{}', '{delivered,resolved}', '{vê}'])[1 + q / 2 % 3]::text[],
       (ARRAY['day', 'week', 'month', 'quarter', 'year', 'all', NULL])[1 + q % 7],
       (ARRAY['Europe/Berlin', 'America/St_Johns', 'Antarctica/Casey', 'UTC', 'Asia/Kathmandu'])[1 + q / 3 % 5],
       CASE WHEN q % 4 > 1 THEN '2010-03-04Z'::timestamptz + random() * interval '9 years' END, CASE WHEN q % 5 > 2 THEN '2021-11-02Z'::timestamptz - random() * interval '2 years' END
FROM generate_series(1, 42) q;
-- what the views of hubs say of each, over rows
CREATE TABLE timeline AS
SELECT q, c, ord, at, channel, detail, own, previous_channel, since_own,
       1 + count(*) FILTER (WHERE since_previous > gap) OVER (PARTITION BY q, c ORDER BY ord) AS session,
       own AND coalesce(previous_channel <> channel AND since_own <= within, false) AS is_handoff,
       own AND coalesce(previous_channel <> channel OR since_own > within, true) AS begins_visit,
       CASE WHEN coalesce(period, 'all') <> 'all' THEN date_trunc(period, at AT TIME ZONE zone)::date END AS period_start,
       coalesce(at >= since, true) AND coalesce(at < until, true) AS counts
FROM (SELECT q.*, c, ord, touchpoint_time(t) AS at, touchpoint_channel(t) AS channel, touchpoint_detail(t) AS detail, own,
             touchpoint_time(t) - lag(touchpoint_time(t)) OVER (PARTITION BY q, c ORDER BY ord) AS since_previous,
             touchpoint_time(t) - lag(touchpoint_time(t)) OVER (PARTITION BY q, c, own ORDER BY ord) AS since_own,
             lag(touchpoint_channel(t)) OVER (PARTITION BY q, c, own ORDER BY ord) AS previous_channel
      FROM question q, random, unnest(journey) WITH ORDINALITY u(t, ord),
           LATERAL (SELECT touchpoint_detail(t) IS DISTINCT FROM 'out' AND touchpoint_detail(t) IS DISTINCT FROM 'bot' AND touchpoint_action(t) <> ALL (not_own)) o(own)) r;
ANALYZE timeline;
CREATE TABLE plain_mix AS
WITH sessions AS (SELECT DISTINCT ON (q, c, session, channel) q, c, ord, true AS first FROM timeline ORDER BY q, c, session, channel, ord),
     visits AS (SELECT q, c, ord, lead(is_handoff) OVER (PARTITION BY q, c ORDER BY ord) AS is_left FROM timeline WHERE begins_visit)
SELECT q, period_start, channel, count(*) AS touchpoints, count(DISTINCT c) AS customers, count(*) FILTER (WHERE detail = 'in') AS inbound,
       count(*) FILTER (WHERE detail IN ('out', 'bot')) AS outbound, count(first) AS sessions, count(*) FILTER (WHERE begins_visit) AS visits, count(*) FILTER (WHERE is_left) AS visits_left
FROM timeline LEFT JOIN sessions USING (q, c, ord) LEFT JOIN visits USING (q, c, ord) WHERE counts GROUP BY q, period_start, channel;
CREATE TABLE plain_transitions AS
SELECT q, period_start, previous_channel AS from_channel, channel AS to_channel, count(*) AS handoffs, count(DISTINCT c) AS customers,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY since_own) AS median_time
FROM timeline WHERE counts AND is_handoff GROUP BY q, period_start, previous_channel, channel;
CREATE TABLE plain_customers AS
SELECT q, period_start, count(*) AS customers, count(*) FILTER (WHERE several) AS multichannel, count(*) FILTER (WHERE handoffs > 0) AS cross_channel,
       count(*) FILTER (WHERE crosses) AS omnichannel, sum(handoffs)::bigint AS handoffs
FROM (SELECT q, period_start, c, min(channel) <> max(channel) AS several, count(*) FILTER (WHERE is_handoff) AS handoffs,
             bool_or(is_handoff AND (channel IN ('web', 'app') AND previous_channel IN ('phone', 'Loja São João') OR channel IN ('phone', 'Loja São João') AND previous_channel IN ('web', 'app'))) AS crosses
      FROM timeline WHERE own AND counts GROUP BY q, period_start, c) b GROUP BY q, period_start;
CREATE TABLE ours AS
SELECT q, channel_measures_agg(journey, gap, within, not_own, '{web,app}', '{phone,"Loja São João"}', period, zone, since, until) AS m FROM question, random GROUP BY q;
CREATE TABLE our_mix AS SELECT q, x.* FROM ours, channel_mix(m) x;
CREATE TABLE our_transitions AS SELECT q, x.* FROM ours, channel_transitions(m) x;
CREATE TABLE our_customers AS SELECT q, x.* FROM ours, channel_customers(m) x WHERE customers > 0;
SELECT count(*) AS wrong FROM (TABLE our_mix EXCEPT ALL TABLE plain_mix UNION ALL (TABLE plain_mix EXCEPT ALL TABLE our_mix)) x;
SELECT count(*) AS wrong FROM (TABLE our_transitions EXCEPT ALL TABLE plain_transitions UNION ALL (TABLE plain_transitions EXCEPT ALL TABLE our_transitions)) x;
SELECT count(*) AS wrong FROM (TABLE our_customers EXCEPT ALL TABLE plain_customers UNION ALL (TABLE plain_customers EXCEPT ALL TABLE our_customers)) x;
SELECT (SELECT count(*) FROM plain_mix) > 2000 AS many, (SELECT count(*) FROM plain_transitions WHERE handoffs % 2 = 0) > 50 AS means, (SELECT sum(omnichannel) FROM plain_customers) > 200 AS omnichannel,
       (SELECT count(*) FROM plain_mix WHERE visits_left > 0 AND visits_left < visits) > 50 AS some_left, (SELECT count(*) FROM plain_mix WHERE sessions = 0) > 3 AS sessions_before;
-- rows come in order, and all round trips and parts are the same
SELECT count(*) AS wrong FROM (SELECT lag((coalesce(period_start, '0001-01-01'), channel COLLATE "C")) OVER (PARTITION BY q ORDER BY n) < (coalesce(period_start, '0001-01-01'), channel COLLATE "C") AS ascends
                               FROM ours, channel_mix(m) WITH ORDINALITY x(period_start, channel, t, c, i, o, s, v, l, n)) x WHERE NOT ascends;
SELECT count(*) AS wrong FROM ours WHERE m <> m::text::channel_measures OR m <> m::text::jsonb::text::channel_measures;
SELECT count(*) AS wrong
FROM (SELECT q, channel_measures_agg(m ORDER BY random()) AS m
      FROM (SELECT q, channel_measures_agg(journey, gap, within, not_own, '{app,web,web}', '{"Loja São João",phone}', period, zone, since, until ORDER BY random()) AS m
            FROM question, random GROUP BY q, c * q % (1 + q)) parts GROUP BY q) added JOIN ours USING (q) WHERE added.m <> ours.m;
-- in parallel
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS off) SELECT channel_measures_agg(journey, '30 min', '1 day', '{resolved}', '{web}', '{phone}', 'month', 'UTC', NULL, NULL) FROM random;
CREATE TABLE parallel AS SELECT channel_measures_agg(journey, '30 min', '1 day', '{resolved}', '{web}', '{phone}', 'month', 'UTC', NULL, NULL) AS m FROM random;
SET max_parallel_workers_per_gather = 0;
SELECT p.m = (SELECT channel_measures_agg(journey, '30 min', '1 day', '{resolved}', '{web}', '{phone}', 'month', 'UTC', NULL, NULL) FROM random) AS same FROM parallel p;
RESET max_parallel_workers_per_gather;
-- Measures that are asked for alone are those of all; texts, parts and workers as above. Where there are no channels, blocks are counted otherwise.
CREATE TABLE asked AS SELECT k, k::text::text[] AS measures FROM unnest('{"{channels}","{transitions}","{median_time}","{customers}","{customers,channels}","{median_time,customers,transitions}","{channels,transitions}"}'::text[]) k;
CREATE TABLE parted AS
SELECT k, q, channel_measures_agg(journey, gap, within, not_own, '{web,app}', '{phone,"Loja São João"}', period, zone, since, until, measures) AS m
FROM asked, question, random WHERE q % 2 = 0 GROUP BY k, q;
CREATE TABLE parted_of_blocks AS
SELECT k, q, channel_measures_agg(block, gap, within, not_own, '{web,app}', '{phone,"Loja São João"}', period, zone, since, until, measures) AS m
FROM asked, question, (SELECT journey_block_agg(c, journey) AS block FROM random GROUP BY c % 7) b WHERE q % 2 = 0 GROUP BY k, q;
SELECT count(*) AS wrong FROM parted s JOIN parted_of_blocks b USING (k, q) WHERE s.m <> b.m;
SELECT k, count(*) AS wrong
FROM asked, LATERAL ((SELECT q, x.* FROM parted s, channel_mix(m) x WHERE s.k = asked.k EXCEPT ALL SELECT * FROM our_mix WHERE q % 2 = 0)
                     UNION ALL (SELECT * FROM our_mix WHERE q % 2 = 0 EXCEPT ALL SELECT q, x.* FROM parted s, channel_mix(m) x WHERE s.k = asked.k)) d
WHERE k ~ 'channels' GROUP BY k;
SELECT k, count(*) AS wrong
FROM asked, LATERAL ((SELECT q, x.* FROM parted s, channel_transitions(m) x WHERE s.k = asked.k
                      EXCEPT ALL SELECT q, period_start, from_channel, to_channel, handoffs, customers, CASE WHEN k ~ 'median' THEN median_time END FROM our_transitions WHERE q % 2 = 0)
                     UNION ALL (SELECT q, period_start, from_channel, to_channel, handoffs, customers, CASE WHEN k ~ 'median' THEN median_time END FROM our_transitions WHERE q % 2 = 0
                      EXCEPT ALL SELECT q, x.* FROM parted s, channel_transitions(m) x WHERE s.k = asked.k)) d
WHERE k <> '{channels}' GROUP BY k;
SELECT k, count(*) AS wrong
FROM asked, LATERAL ((SELECT q, x.* FROM parted s, channel_customers(m) x WHERE s.k = asked.k AND x.customers > 0 EXCEPT ALL SELECT * FROM our_customers WHERE q % 2 = 0)
                     UNION ALL (SELECT * FROM our_customers WHERE q % 2 = 0 EXCEPT ALL SELECT q, x.* FROM parted s, channel_customers(m) x WHERE s.k = asked.k)) d
WHERE k ~ 'customers' GROUP BY k;
SELECT count(*) AS wrong FROM parted WHERE m <> m::text::channel_measures OR m <> m::text::jsonb::text::channel_measures;
SELECT count(*) AS wrong
FROM (SELECT k, q, channel_measures_agg(m ORDER BY random()) AS m
      FROM (SELECT k, q, channel_measures_agg(journey, gap, within, not_own, '{app,web}', '{"Loja São João",phone}', period, zone, since, until, measures) AS m
            FROM asked, question, random WHERE q % 2 = 0 GROUP BY k, q, c * q % (1 + q)) parts GROUP BY k, q) added JOIN parted USING (k, q) WHERE added.m <> parted.m;
SELECT count(*) AS wrong
FROM (SELECT q, channel_measures_agg(journey, gap, within, not_own, '{web,app}', '{phone,"Loja São João"}', period, zone, since, until, NULL) AS m FROM question, random GROUP BY q) a
     JOIN ours USING (q) WHERE a.m <> ours.m;
-- all touchpoints own, so that a block's bytes are looked at: few channels and many, journeys longer than what is read at once
CREATE TABLE bytes AS
SELECT c, n, '2025-01-30Z'::timestamptz + n * n % 1000 * c % 37 * interval '7 min' AS at, 'c' || n * (c + 7) / 3 % CASE WHEN c < 10 THEN 3 ELSE 60 END AS channel
FROM generate_series(1, 60) c, generate_series(1, CASE WHEN c % 20 = 1 THEN 700 ELSE c % 11 END) n;
CREATE FUNCTION bytes_differ(low int, high int, k text[], period text, within interval, since timestamptz, until timestamptz) RETURNS boolean LANGUAGE sql
RETURN (SELECT channel_measures_agg(j, '1 h', within, NULL, NULL, NULL, period, 'UTC', since, until, k) FROM (SELECT journey_agg(at, channel, 'a') AS j FROM bytes WHERE c BETWEEN low AND high GROUP BY c) j)
       IS DISTINCT FROM
       (SELECT channel_measures_agg(b, '1 h', within, NULL, NULL, NULL, period, 'UTC', since, until, k)
        FROM (SELECT journey_block_agg(c, j) AS b FROM (SELECT c, journey_agg(at, channel, 'a') AS j FROM bytes WHERE c BETWEEN low AND high GROUP BY c) j GROUP BY c / 40) b);
SELECT count(*) AS asked, count(*) FILTER (WHERE bytes_differ(low, high, k, period, within, since, until)) AS wrong
FROM (VALUES (1, 60), (1, 9), (50, 50)) s(low, high), (VALUES ('{transitions}'::text[]), ('{median_time}')) m(k), unnest('{all,day,month}'::text[]) period,
     unnest('{0,1 hour,1 day,400 days}'::interval[]) within, (VALUES (NULL::timestamptz, NULL::timestamptz), ('2025-02-01Z', '2025-02-03Z'), ('2025-02-01Z', NULL)) r(since, until);
SELECT sum(handoffs) > 1000 AS many FROM channel_transitions((SELECT channel_measures_agg(b, '1 h', '1 day', NULL, NULL, NULL, 'all', NULL, NULL, NULL, '{transitions}')
    FROM (SELECT journey_block_agg(c, j) AS b FROM (SELECT c, journey_agg(at, channel, 'a') AS j FROM bytes GROUP BY c) j) b));
-- in many groups, in memory and sorted
SELECT count(*) AS wrong FROM (SELECT c, channel_measures_agg(journey, '30 min', '1 day', '{resolved}', '{web}', '{phone}', 'month', 'UTC', NULL, NULL) AS m FROM random GROUP BY c) g
WHERE m <> (SELECT channel_measures_agg(journey, '30 min', '1 day', '{resolved}', '{web}', '{phone}', 'month', 'UTC', NULL, NULL) FROM random r WHERE r.c = g.c);
-- more channels than a walk keeps, and names that are found by a table
SELECT count(*) AS channels, sum(touchpoints) AS touchpoints, sum(visits_left) AS visits_left, min(channel), max(channel)
FROM (SELECT channel_measures_agg(j, '1 h', '1 day', NULL, NULL, NULL, 'all', NULL, NULL, NULL)
      FROM (SELECT journey_agg('2025-01-01Z'::timestamptz + n * interval '1 min', 'channel ' || n, 'a') AS j FROM generate_series(1, 40000) n GROUP BY n / 100) j) x(m), channel_mix(m);

-- Errors
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
\x on
SELECT given, state, message, detail, hint FROM (VALUES
    ('NULL, ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'), ('''1 h'', NULL, ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'),
    ('''-1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'), ('''1 h'', ''1 month -31 days'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{a,NULL}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'), ('''1 h'', ''1 d'', ''{}'', ''{NULL}'', ''{}'', ''day'', ''UTC'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{a,b,NULL}'', ''day'', ''UTC'', NULL, NULL'), ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''days'', ''UTC'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', '''', ''UTC'', NULL, NULL'), ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''Month'', ''UTC'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', NULL, NULL, NULL'), ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''Europe/Nowhere'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', ''2025-02-01Z'', ''2025-01-01Z''')
) v(given), refused('SELECT channel_measures_agg(journey, ' || given || ') FROM sample') r(state, message, detail, hint);
SELECT given, state, message, detail, hint
FROM unnest(ARRAY['''{}''', '''{handoffs}''', '''{channels,NULL}''', '''{Channels}''', '(CASE customer WHEN 1 THEN ''{channels}'' ELSE ''{customers}'' END)::text[]']) given,
     refused('SELECT channel_measures_agg(journey, ''1 h'', ''1 d'', NULL, NULL, NULL, NULL, NULL, NULL, NULL, ' || given || ') FROM sample') r(state, message, detail, hint);
SELECT f, state, message, detail, hint FROM (VALUES ('channel_mix', 'transitions'), ('channel_transitions', 'channels'), ('channel_customers', 'median_time')) v(f, k),
     refused(format('SELECT %s(channel_measures_agg(journey, ''1 h'', ''1 d'', NULL, NULL, NULL, NULL, NULL, NULL, NULL, ''{%s}'')) FROM sample', f, k)) r(state, message, detail, hint);
-- also where nobody has a journey
SELECT * FROM refused('SELECT channel_measures_agg(NULL::journey, ''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''fortnight'', ''UTC'', NULL, NULL)');
-- different questions
SELECT given, state, message, detail, hint FROM (VALUES ('customer * interval ''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'),
    ('''1 h'', customer * interval ''1 h'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'), ('''1 h'', ''1 d'', ARRAY[customer::text], ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ARRAY[customer::text], ''{}'', ''day'', ''UTC'', NULL, NULL'), ('''1 h'', ''1 d'', ''{}'', ''{}'', ARRAY[customer::text], ''day'', ''UTC'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', CASE customer WHEN 1 THEN ''day'' ELSE ''week'' END, ''UTC'', NULL, NULL'), ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', CASE customer WHEN 1 THEN ''day'' END, ''UTC'', NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', CASE customer WHEN 1 THEN ''UTC'' ELSE ''Europe/Lisbon'' END, NULL, NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', ''2024-12-31Z''::timestamptz + customer * interval ''1 day'', NULL'),
    ('''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, CASE customer WHEN 1 THEN ''2025-12-31Z''::timestamptz END')
) v(given), refused('SELECT channel_measures_agg(journey, ' || given || ') FROM sample') r(state, message, detail, hint);
SELECT * FROM refused('SELECT channel_measures_agg(m) FROM (VALUES (channel_measures.ask(''day'')), (channel_measures.ask(''week''))) v(m)');
SELECT * FROM refused('SELECT channel_measures_agg_transfn(NULL, NULL, ''1 h'', ''1 d'', ''{}'', ''{}'', ''{}'', ''day'', ''UTC'', NULL, NULL)');
SELECT * FROM refused('SELECT channel_measures_agg_combinefn(NULL, channel_measures.ask())');
SELECT * FROM refused('SELECT channel_measures_agg_finalfn(channel_measures.ask())');
SELECT * FROM refused('SELECT channel_measures_agg(m::channel_measures) FROM (VALUES (1), (2)) v(n), LATERAL (SELECT measures(period(cell(''a'', ''9223372036854775807 1 0 0 0 0 0'')))) m(m)');
\x off
-- text that is refused
SELECT n, CASE WHEN length(t) < 80 THEN t END AS t, state, message, detail
FROM (VALUES (1, ''), (2, '{'), (3, '[]'), (4, '{}'), (5, 'null'), (6, '{"session_gap": -1}'), (7, '{"session_gap": 1.0000001}'), (8, '{"session_gap": 01}'), (9, '{"session_gap": 1e3}'), (10, '{"session_gap": 1.}'),
    (11, '{"session_gap": 9223372036854.775808}'), (12, '{"session_gap": 1, "session_gap": 1}'), (13, '{"gap": 1}'), (14, '{"session_gap": 1 "not_own": []}'), (15, '{"not_own": ["a" "b"]}'),
    (16, '{"not_own": ["a\x"]}'), (17, '{"not_own": ["\u000'), (18, '{"not_own": ["\u0000"]}'), (19, '{"not_own": ["\ud800"]}'), (20, '{"not_own": ["\udc00"]}'), (21, '{"not_own": ["\ud800\u0061"]}'), (22, E'{"not_own": ["\n"]}'),
    (23, '{"not_own": [1]}'), (24, '{"not_own": ["a",]}'), (25, '{"not_own": "a"}'), (26, '{"periods": ['), (27, '{"periods": [{"a": "]}'), (28, '{"time_zone": 1}'),
    (30, measures('') || 'x'), (31, replace(measures(''), 'month', 'fortnight')), (32, replace(measures(''), '"UTC"', 'null')), (33, replace(measures(''), 'month', 'all')), (34, replace(measures(''), '"UTC"', '"' || repeat('x', 300) || '"')),
    (35, replace(measures(''), '"since": null', '"since": "today"')), (36, replace(measures(''), '"until": null', '"until": "2025-01-01"')), (37, replace(measures(''), '"until": null', '"until": "-infinity"')),
    (38, replace(measures(''), '"since": null', '"since": "infinity"')), (39, replace(measures(''), '"since": null, "until": null', '"since": "2025-01-01T00:00:00.000001Z", "until": "2025-01-01T00:00:00Z"')),
    (40, measures('x')), (41, measures('{}')), (42, measures(period(cell('a')) || ',')), (43, measures(period(cell('a')) || period(cell('a')))), (44, measures(period(cell('a')) || ',' || period(cell('a')))),
    (45, measures(period(cell('a'), start => 'null'))), (46, measures(period(cell('a'), start => '"2025-01-02"'))), (47, measures(period(cell('a'), start => '"today"'))), (48, measures(period(cell('a'), start => '"2025-01-01T00:00:00Z"'))),
    (49, measures(period(cell('a'), start => '"2025-02-30"'))), (50, measures(period(cell('a') || cell('b')))), (51, measures(period(cell('a') || ',' || cell('a')))), (52, measures(period(cell('a', '0 0 0 0 0 0 0')))),
    (53, measures(period(cell('a', '9 10 0 0 0 0 0')))), (54, measures(period(cell('a', '9 1 5 5 0 0 0')))), (55, measures(period(cell('a', '9 1 0 0 10 0 0')))), (56, measures(period(cell('a', '9 1 0 2 1 8 0')))), (57, measures(period(cell('a', '9 1 0 2 1 7 8')))),
    (58, measures(period(cell('a', '9 1 0 2 1 7 9223372036854775808')))), (59, measures(period(cell(repeat('x', 256))))), (60, measures(period(cell('a'), counts => '2 3 0 0'))), (61, measures(period(cell('a'), counts => '2 0 1 0'))),
    (62, measures(period(cell('a'), transition('a', 'b', '1'), '2 0 0 0'))), (63, measures(period(cell('a'), transition('a', 'b', '1'), '2 2 1 2'))), (64, measures(period(cell('a'), transition('a', 'a', '1'), '2 2 1 0'))),
    (65, measures(period(cell('a'), transition('a', 'b', ''), '2 2 1 0'))), (66, measures(period(cell('a'), transition('a', 'b', '1, 2', '3'), '2 2 1 0'))), (67, measures(period(cell('a'), transition('a', 'b', '10.000001'), '2 2 1 0'))),
    (68, measures(period(cell('a'), transition('a', 'b', '[1, 0]'), '2 2 1 0'))), (69, measures(period(cell('a'), transition('a', 'b', '[1]'), '2 2 1 0'))), (70, measures(period(cell('a'), transition('a', 'b', '[[1, 1]]'), '2 2 1 0'))),
    (71, measures(period(cell('a'), transition('a', 'b', '1') || ',' || transition('a', 'b', '1'), '2 2 1 0'))), (72, measures(period(cell('a'), transition('a', 'b', '[1, 9223372036854775807], 2'), '2 2 1 0'))),
    (73, measures('', ', "version": 1')), (74, measures('[' || repeat('[', 100000))), (76, replace(measures(''), '"median_time"', '"medians"')), (77, replace(measures(''), '["channels", "transitions", "median_time", "customers"]', '[]')),
    (78, replace(measures(period(cell('a'), transition('a', 'b', '1'), '2 2 1 0')), '"median_time", ', '')), (79, replace(measures(period(cell('a'))), '"channels", ', '')), (80, replace(measures(period(cell('a'))), ', "customers"]', ']')),
    (81, replace(measures(period(cell('a'))), '"transitions", "median_time", "customers"', '')), (82, replace(replace(measures(period(cell('a'), transition('a', 'b', '1'), '2 2 1 0')), '"median_time", ', ''), '"times": [1]', '"handoffs": 0')),
    (75, measures(period(cell('a'), transition('a', 'b', '1'), '1 1 1 0') || repeat(' ', 20) || '}'))
) v(n, t), refused(format('SELECT %L::channel_measures', t)) r(state, message, detail, hint) ORDER BY n;

DROP SCHEMA channel_measures CASCADE;
