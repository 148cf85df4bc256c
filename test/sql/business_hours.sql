-- Business hours: the extension's business_time, and the calendars of hubs.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';

-- Without a hub. Monday 3 March 2025 to Friday: 9 to 18, and Friday until 13. 10:00 to Friday 15:00 is 8 + 3 * 9 + 4 hours; a
-- holiday on Tuesday takes 9 of them, and 10 to 12 on Wednesday 7. There and back.
WITH h(hours, holidays) AS (VALUES ('[[1, "9:00", "18:00"], [2, "09:00", "18:00"], [3, "09:00", "18:00"], [4, "09:00:00", "18:00:00"], [5, "09:00", "13:00"]]'::jsonb,
                                    '[["2025-03-05", "10:00", "12:00"], ["2025-03-04"]]'::jsonb))
SELECT business_time('2025-03-03 10:00Z', '2025-03-07 15:00Z', jsonb_build_object('hours', hours)) AS week,
       business_time('2025-03-03 10:00Z', '2025-03-07 15:00Z', jsonb_build_object('hours', hours, 'exceptions', holidays)) AS holiday,
       business_time('2025-03-07 15:00Z', '2025-03-03 10:00Z', jsonb_build_object('hours', hours, 'exceptions', holidays)) AS back,
       business_time('2025-03-03 10:00Z', '2025-03-03 10:00Z', jsonb_build_object('hours', hours)) AS nothing,
       business_time('2025-03-03 10:00Z', '2025-03-03 12:00Z', jsonb_build_object('hours', hours, 'time_zone', 'Atlantic/Azores')) AS azores,
       business_time(NULL, '2025-03-03 10:00Z', jsonb_build_object('hours', hours)) AS unknown
FROM h;
-- always open, but for 25 December: two days less one
SELECT business_time('2025-12-24 12:00Z', '2025-12-26 12:00Z', '{}') AS always, business_time('2025-12-24 12:00Z', '2025-12-26 12:00Z', '{"exceptions": [["2025-12-25"]]}') AS holiday,
       business_time('2025-12-26 12:00Z', '2025-12-24 12:00Z', '{}') AS back;
-- A calendar of a day of hours, 2,000 years of it: 104,355 Mondays, less the one that is an exception
SELECT business_time('0001-01-01 00:00Z', '2001-01-01 00:00Z', '{"hours": [[1, "00:00", "01:00"]], "exceptions": [["1000-01-06"]]}') AS millennia;
-- Hours that clocks skip are read as those after them, and count once; the day that Samoa left out, 30 December 2011, is read as the next
SELECT business_time('2025-03-30 00:00Z', '2025-03-31 00:00Z', '{"time_zone": "Europe/Lisbon", "hours": [[7, "01:30", "01:45"], [7, "02:00", "03:00"]]}') AS skipped,
       business_time('2011-12-29 00:00Z', '2012-01-01 00:00Z', '{"time_zone": "Pacific/Apia", "hours": [[5, "09:00", "12:00"], [6, "11:00", "13:00"]]}') AS samoa;
-- At 0:01 of 29 October 2006 clocks in Newfoundland went back to 23:01 of the day before, which is open to its end, 59 minutes after that
SELECT business_time('2006-10-29 02:30:30Z', '2006-10-29 12:00Z', '{"time_zone": "America/St_Johns", "hours": [[6, "00:00", "24:00"]]}') AS put_back;

-- what is not hours
SELECT business_time('2025-01-01', '2025-01-02', '[]');
SELECT business_time('2025-01-01', '2025-01-02', '"Monday"');
SELECT business_time('2025-01-01', '2025-01-02', '{"hour": []}');
SELECT business_time('2025-01-01', '2025-01-02', '{"hours": {}}');
SELECT business_time('2025-01-01', '2025-01-02', '{"hours": [1]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"hours": [[1]]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"hours": [[8, "09:00", "18:00"]]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"hours": [[1.5, "09:00", "18:00"]]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"hours": [[1, "09:00", "24:01"]]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"hours": [[1, "18:00", "09:00"]]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"exceptions": [["2025-02-29"]]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"exceptions": [[25]]}');
SELECT business_time('2025-01-01', '2025-01-02', '{"time_zone": 1}');
SELECT business_time('2025-01-01', '2025-01-02', '{"time_zone": "Lisbon"}');
SELECT business_time('-infinity', '2025-01-02', '{}');
SELECT business_time('4713-01-01 BC', '294276-12-31', '{}');
SELECT business_time('294276-12-31', '4713-01-01 BC', '{"hours": [[1, "9:00", "10:00"]]}');

-- Against a plain count: openings as ranges of instants, of which none counts twice. Random hours, exceptions and zones, some of
-- which skip days or put clocks back at a minute past midnight; times from hours to months, near the changes and far from them.
CREATE FUNCTION counted_time(since timestamptz, upto timestamptz, hours jsonb) RETURNS interval LANGUAGE sql AS $$
    SELECT coalesce(sum(least(upper(r), upto) - greatest(lower(r), since)) FILTER (WHERE upper(r) > since AND lower(r) < upto), '0')
    FROM (SELECT unnest(range_agg(tstzrange(a, b)))
          FROM (SELECT (d.day + o.opens) AT TIME ZONE (hours ->> 'time_zone'), (d.day + o.closes) AT TIME ZONE (hours ->> 'time_zone')
                FROM (SELECT (since AT TIME ZONE (hours ->> 'time_zone'))::date + n
                      FROM generate_series(-2, (upto AT TIME ZONE (hours ->> 'time_zone'))::date - (since AT TIME ZONE (hours ->> 'time_zone'))::date + 2) n) d(day)
                     CROSS JOIN LATERAL (
                         SELECT (h ->> 1)::time, (h ->> 2)::time FROM jsonb_array_elements(hours -> 'exceptions') h
                         WHERE (h ->> 0)::date = d.day AND h ->> 1 IS NOT NULL
                         UNION ALL
                         SELECT (h ->> 1)::time, (h ->> 2)::time FROM jsonb_array_elements(hours -> 'hours') h
                         WHERE (h ->> 0)::integer = extract(isodow FROM d.day)
                               AND NOT EXISTS (SELECT FROM jsonb_array_elements(hours -> 'exceptions') e WHERE (e ->> 0)::date = d.day)) o(opens, closes)) p(a, b)
          WHERE b > a) q(r);
$$;
SELECT setseed(0.14);
CREATE TEMP TABLE cases AS
WITH zone(names) AS (VALUES ('{Europe/Lisbon,America/St_Johns,Pacific/Apia,Australia/Lord_Howe,UTC,Africa/Casablanca,America/Sao_Paulo,Asia/Kathmandu,Atlantic/Azores,America/Havana}'::text[])),
     opening AS (SELECT n, k, 1 + (random() * 6)::integer AS weekday, date '2006-10-01' + (random() * 40 + 100 * (random() * 20)::integer)::integer AS day,
                        o * interval '15 min' AS opens, (o + 1 + (random() * (95 - o))::integer) * interval '15 min' AS closes, k % 3 = 0 AND random() < 0.5 AS closed
                 FROM generate_series(1, 150) n, generate_series(1, 9) k, LATERAL (SELECT (random() * 80)::integer + 0 * n AS o) r),
     calendar AS (SELECT n, jsonb_build_object('time_zone', (SELECT names FROM zone)[1 + n % 10],
                                               'hours', jsonb_agg(jsonb_build_array(weekday, opens, closes)) FILTER (WHERE k <= 1 + n % 5),
                                               'exceptions', jsonb_agg(CASE WHEN closed THEN jsonb_build_array(day) ELSE jsonb_build_array(day, opens, closes) END) FILTER (WHERE k > 5)) AS hours
                  FROM opening GROUP BY n)
SELECT hours, since, since + (random() * (ARRAY[600, 8000, 100000])[1 + g % 3])::integer * interval '1 min' AS upto
FROM calendar, generate_series(1, 6) g, LATERAL (SELECT timestamptz '2006-10-20Z' + ((random() * 15000)::integer + 525600 * (g % 6) + 0 * n) * interval '1 min') s(since);
SELECT count(*) > 800 AS many, sum(business_time(since, upto, hours)) > '10000 hours' AS long,
       count(*) FILTER (WHERE business_time(since, upto, hours) <> counted_time(since, upto, hours)) AS different,
       count(*) FILTER (WHERE business_time(upto, since, hours) <> -counted_time(since, upto, hours)) AS different_back
FROM cases;
SELECT * FROM cases WHERE business_time(since, upto, hours) <> counted_time(since, upto, hours) LIMIT 3;

-- A hub with three calendars: the company's, Monday to Friday 9 to 18; a shop's in the Azores, an hour behind, on Saturday too; and a line that is always open
SELECT journey_create_hub('crm');
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
SELECT crm.business_time('2025-03-07 17:00Z', '2025-03-10 10:00Z') AS no_hours, crm.business_time('2025-03-07 17:00Z', '2025-03-10 10:00Z', 'default') AS by_name;
INSERT INTO crm.business_hours SELECT d, '09:00', '18:00' FROM generate_series(1, 5) d;
INSERT INTO crm.business_calendars VALUES ('açores', 'Atlantic/Azores'), ('line', NULL);
INSERT INTO crm.business_hours SELECT d, '09:00', '18:00', 'açores' FROM generate_series(1, 6) d;
INSERT INTO crm.business_exceptions (day) VALUES ('2025-03-10');
INSERT INTO crm.business_exceptions VALUES ('2025-03-08', '10:00', '12:00', 'açores'), ('2025-03-08', '11:00', '13:00', 'açores');
-- Friday 17:00 to Monday 10:00: an hour, and Monday is a holiday; in the Azores, where it is 16:00, two, three on Saturday, none on Monday, where it is 9:00
SELECT crm.business_time('2025-03-07 17:00Z', '2025-03-10 10:00Z') AS company, crm.business_time('2025-03-07 17:00Z', '2025-03-10 10:00Z', 'açores') AS azores,
       crm.business_time('2025-03-07 17:00Z', '2025-03-10 10:00Z', 'line') AS line, crm.business_time('2025-03-10 10:00Z', '2025-03-07 17:00Z', 'açores') AS back;
SELECT crm.calendar_hours() AS hours;
-- source before channel before default
INSERT INTO crm.calendar_uses VALUES ('source', 'ponta', 'açores'), ('channel', 'phone', 'line');
SELECT source, channel, business_time('2025-03-07 17:00Z', '2025-03-10 10:00Z', h.hours)
FROM (VALUES ('ponta', 'email'), ('ponta', 'phone'), ('desk', 'phone'), ('desk', 'email')) v(source, channel), crm.hours_of(source, channel) h;
-- and so for conversations: three wait from Friday 17:00 to Monday 10:00
SELECT count(crm.record('{id:1}', at, channel, 'message', direction => direction, conversation => source || channel, source => source))
FROM (VALUES ('ponta', 'phone'), ('desk', 'phone'), ('desk', 'email')) v(source, channel),
     (VALUES (timestamptz '2025-03-07 17:00Z', 'in'), ('2025-03-10 10:00Z', 'out')) d(at, direction);
SELECT source, channel, first_response_business_time FROM crm.conversations ORDER BY source, channel;
SELECT source, channel, reply_business_time FROM crm.replies ORDER BY source, channel;
-- a name that changes, and a calendar that goes
UPDATE crm.business_calendars SET calendar = 'azores' WHERE calendar = 'açores';
SELECT used_by, name, calendar FROM crm.calendar_uses ORDER BY used_by;
DELETE FROM crm.business_calendars WHERE calendar = 'azores';
SELECT count(*) FROM crm.business_hours;
SELECT source, channel, first_response_business_time FROM crm.conversations ORDER BY source, channel;
SELECT journey_rename_hub('crm', 'new hub');
SELECT "new hub".business_time('2025-03-07 17:00Z', '2025-03-10 10:00Z', 'line'), (SELECT sum(c.first_response_business_time) FROM "new hub".conversations c);
SELECT journey_rename_hub('new hub', 'crm');

-- what is refused
SELECT crm.business_time('2025-03-07', '2025-03-10', 'azores');
SELECT crm.business_time('2025-03-07', 'infinity');
INSERT INTO crm.business_hours VALUES (0, '09:00', '18:00');
INSERT INTO crm.business_hours VALUES (1, '18:00', '09:00');
INSERT INTO crm.business_hours VALUES (1, '09:00', NULL);
INSERT INTO crm.business_hours VALUES (1, '09:00', '18:00', 'azores');
INSERT INTO crm.business_hours VALUES (1, '09:00', '18:00');
INSERT INTO crm.business_exceptions VALUES ('2025-12-25', '18:00', '09:00');
INSERT INTO crm.business_exceptions VALUES ('2025-12-25', '18:00');
INSERT INTO crm.business_exceptions VALUES ('2025-03-10', NULL, NULL);
INSERT INTO crm.business_exceptions VALUES ('infinity');
INSERT INTO crm.business_exceptions VALUES ('2025-12-25', NULL, NULL, 'azores');
INSERT INTO crm.business_calendars VALUES ('azores', 'Azores');
INSERT INTO crm.calendar_uses VALUES ('agent', 'marta', 'line');
INSERT INTO crm.calendar_uses VALUES ('channel', 'email', 'azores');
UPDATE crm.settings SET time_zone = 'WEST';

-- whatever the time zone of the session, also where it has no such day
UPDATE crm.settings SET time_zone = 'UTC';
INSERT INTO crm.business_calendars VALUES ('eve');
INSERT INTO crm.business_exceptions VALUES ('2011-12-30', NULL, NULL, 'eve'), ('2012-01-01', '08:00', '24:00', 'eve');
SELECT crm.calendar_hours('eve') AS hours \gset
SET timezone = 'Pacific/Apia';
SET datestyle = 'German';
SELECT crm.calendar_hours('eve') = :'hours' AS same, crm.calendar_hours('eve') -> 'exceptions' AS exceptions;
SELECT crm.business_time('2011-12-29Z', '2012-01-02Z', 'eve');
SET datestyle = 'ISO, MDY';
SET timezone = 'UTC';

DROP FUNCTION counted_time;
DROP TABLE cases;
SELECT journey_drop_hub('crm', true);
