-- Attribution in a hub: periods, segments, campaigns, spend.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET timezone = 'UTC';
\pset null '(null)'
SELECT journey_create_hub('crm');
SET search_path = crm, public;
UPDATE settings SET time_zone = 'Europe/Berlin';
-- mistakes are told before there is data
SELECT * FROM attribution('fortnight');
SELECT * FROM attribution(by => 'page');
SELECT * FROM attribution(models => '{u_shape}');
SELECT * FROM attribution(conversion => 'a.b -> c.d');
SELECT * FROM attribution(lookback => '0');
SELECT * FROM attribution(options => '{"decay": 1}');
SELECT * FROM attribution(since => '2024-02-01', until => '2024-01-01');
SELECT * FROM conversions(conversion => 'a.b -> c.d');
SELECT * FROM return_on_spend(by => 'label');
SELECT count(*) FROM attribution();
SELECT count(*) FROM attribution('month');
SELECT count(*) FROM conversions;

SELECT count(record(ARRAY[identifier('c', who)], at::timestamptz, channel, action, value => value, currency => currency, campaign => campaign))
FROM (VALUES ('ann', '2024-01-05 10:00+00', 'ads', 'click', NULL::numeric, NULL, 'winter'), ('ann', '2024-01-20 10:00+00', 'email', 'click', NULL, NULL, 'news'),
             ('ann', '2024-01-31 22:30+00', 'web', 'purchase', 100, 'EUR', NULL), ('ann', '2024-01-31 23:30+00', 'web', 'purchase', 60, 'USD', NULL),
             ('bob', '2024-01-31 12:00+00', 'ads', 'click', NULL, NULL, 'winter'), ('bob', '2024-02-02 12:00+00', 'ads', 'click', NULL, NULL, 'spring'),
             ('bob', '2024-02-03 12:00+00', 'app', 'purchase', 40, 'EUR', NULL),
             ('eve', '2024-02-10 12:00+00', 'email', 'click', NULL, NULL, 'news'), ('eve', '2024-02-11 12:00+00', 'social', 'view', NULL, NULL, NULL))
     v (who, at, channel, action, value, currency, campaign);
SELECT identifier_value(i.identifier) AS who, c.occurred_at, c.channel, c.action, c.value, c.touchpoints, c.first_channel, c.last_channel, c.path, c.took
FROM conversions c JOIN identities i USING (customer_id) ORDER BY c.occurred_at;
SELECT period_start, count(*), sum(value) FROM conversions('month') GROUP BY 1 ORDER BY 1;

-- the period is that of the conversion, in the hub's time zone; days sum up to all
SELECT period_start, model, item, round(conversions::numeric, 6) AS conversions, round(value, 4) AS value FROM attribution('month', models => '{last,linear,markov}');
SELECT model, item, round(conversions::numeric, 6) AS conversions, round(value, 4) AS value FROM attribution(models => '{linear}');
SELECT (SELECT jsonb_agg(x ORDER BY x) FROM (SELECT model, item, round(sum(conversions)::numeric, 9), round(sum(value), 9) FROM attribution('day') GROUP BY 1, 2 HAVING sum(conversions) > 0) x
        WHERE model <> 'markov')
     = (SELECT jsonb_agg(x ORDER BY x) FROM (SELECT model, item, round(sum(conversions)::numeric, 9), round(sum(value), 9) FROM attribution() GROUP BY 1, 2 HAVING sum(conversions) > 0) x
        WHERE model <> 'markov') AS days_sum_up;
SELECT period_start, item, conversions FROM attribution('quarter', since => '2024-02-01', models => '{first}') WHERE conversions > 0;
SELECT item, conversions FROM attribution(until => '2024-01-31 23:00+00', models => '{first}') WHERE conversions > 0;
-- a segment, as any set of customers
SELECT item, conversions FROM attribution(models => '{first}', customers => ARRAY(SELECT customer_id FROM identities WHERE identifier_value(identifier) = 'bob')) WHERE conversions > 0;
SELECT count(*) FROM conversions(customers => '{}');
-- by campaign
SELECT model, item, round(conversions::numeric, 6) AS conversions, round(value, 4) AS value FROM attribution(by => 'campaign', models => '{linear}');
-- one that is longer than a detail may be, as links bring it, and what was spent on it
BEGIN;
SELECT record(ARRAY[identifier('c', 'zoe')], '2024-01-20 10:00+00', 'ads', 'click', campaign => repeat('ä', 200)) > 0,
       record(ARRAY[identifier('c', 'zoe')], '2024-01-21 10:00+00', 'ads', 'purchase') > 0;
INSERT INTO spend (day, campaign, amount) VALUES ('2024-01-20', repeat('ä', 200), 7);
SELECT left(item, 50), length(item), conversions, spent FROM return_on_spend(by => 'campaign', models => '{last}') WHERE spent > 0;
ROLLBACK;
-- a path that may still have a conversion is left out
SELECT model, item, round(conversions::numeric, 6) AS conversions FROM attribution(models => '{markov}', options => '{"until": "2024-02-12"}');
-- after a refresh blocks say the same
CREATE TABLE before AS SELECT * FROM attribution('month');
SELECT refresh() IS NOT NULL;
SELECT count(*) FROM (TABLE before EXCEPT SELECT * FROM attribution('month')) x;

-- what it cost
INSERT INTO spend (day, channel, campaign, amount, currency) VALUES
    ('2024-01-05', 'ads', 'winter', 30, NULL), ('2024-01-31', 'ads', 'winter', 10, 'eur'), ('2024-02-01', 'ads', 'spring', 8, 'EUR'),
    ('2024-02-01', 'tv', NULL, 99, 'EUR'), ('2024-02-02', 'email', 'news', 5, 'USD'), ('2024-02-03', NULL, 'news', 2, 'EUR');
\set VERBOSITY terse
INSERT INTO spend (day, amount) VALUES ('2024-01-05', 1);
INSERT INTO spend (day, channel, campaign, amount) VALUES ('2024-01-05', 'ads', 'winter', 1);
\set VERBOSITY default
SELECT period_start, item, round(conversions::numeric, 6) AS conversions, round(value, 4) AS value, spent, cost_per_conversion, return_on_spend, spent_in_others
FROM return_on_spend('month', models => '{linear}');
SELECT item, round(conversions::numeric, 6) AS conversions, round(value, 4) AS value, spent, cost_per_conversion, return_on_spend, spent_in_others
FROM return_on_spend(by => 'campaign', models => '{linear}');

-- the same in a report, of all and of a segment
SET lc_numeric = 'C';
CREATE FUNCTION told(page text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(l, '</t[hd]>(?=<)', ' | ', 'g'), '<[^>]+>', '', 'g') FROM regexp_split_to_table(substring(page FROM '<h2>Credit.*?</section>'), '\n') l $$;
SELECT told(report('all'));
SELECT told(report('month', since => '2024-02-01', conversion => 'app.%', customers => ARRAY(SELECT customer_id FROM identities WHERE identifier_value(identifier) IN ('bob', 'eve'))));
SELECT told(report('all', conversion => 'store.%')), told(report('all', conversion => NULL)) IS NULL AS none;
SELECT substring(report('all', customers => ARRAY(SELECT customer_id FROM identities WHERE identifier_value(identifier) = 'bob')) FROM '<header>.*?</header>');
SELECT report('all', customers => ARRAY(SELECT customer_id FROM customers)) ~ '; 3 of 3 customers</p>' AS all;
SELECT report('month', customers => '{}') ~ 'no touchpoints as yet.; 0 of 3' AS nobody;
DROP FUNCTION told;
RESET lc_numeric;

-- who may
CREATE ROLE regress_attribution_reader;
SELECT grant_access('regress_attribution_reader');
SET ROLE regress_attribution_reader;
SELECT count(*) > 0 FROM attribution();
SELECT count(*) > 0 FROM attribution(by => 'campaign');
SELECT count(*) FROM return_on_spend();
SELECT count(*) FROM conversions;
SELECT count(*) > 0 FROM attribution;
INSERT INTO spend VALUES ('2024-01-01', 'ads', NULL, 1);
RESET ROLE;
SELECT revoke_access('regress_attribution_reader');
DROP ROLE regress_attribution_reader;
SELECT journey_drop_hub('crm', true);
