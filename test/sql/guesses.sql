-- Guesses: evidence that two identifiers may be one customer, after all facts
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('crm');
SET search_path = crm, public;
CREATE VIEW public.people AS
SELECT array_agg(i.identifier ORDER BY i.identifier) AS identifiers FROM identities i GROUP BY i.customer_id ORDER BY 1;
SELECT set_rule('account', max_per_customer => 1, priority => 9), set_rule('tab', shared_above => 2);
SELECT identify('{account:1,email:a@x.pt}') > 0, identify('{account:2,email:b@x.pt}') > 0, identify('{phone:1,card:3}') > 0,
       identify('{phone:2,card:4}') > 0;
-- the strongest first; the third would join two accounts
SELECT guess_many('{card:3,card:4,card:3}', '{email:a@x.pt,email:b@x.pt,email:b@x.pt}', '{5,4,3}', observed_at => '2026-01-01Z');
TABLE people;
SELECT step, from_identifier, to_identifier, source, source_key, outcome FROM why('card:3', 'email:b@x.pt');
SELECT finding, identifier, other, reason FROM stitch_report WHERE finding = 'skipped link';
-- again, and taken from the other side: nothing new
SELECT guess_many('{email:a@x.pt}', '{card:3}', '{9}', observed_at => '2026-01-01Z');
-- a fact is before all guesses, and one pair may be both
SELECT identify('{card:3,email:b@x.pt}', source => 'till', source_key => '1') = customer_of('account:2') AS joined;
TABLE people;
SELECT retract('till', '1');
TABLE people;
-- guesses make nobody shared
SELECT identify('{tab:1,card:5}') > 0, identify('{tab:1,card:6}') > 0;
SELECT guess_many('{tab:1,tab:1}', '{card:3,card:4}', '{1,-1}');
SELECT i.shared, customer_of('tab:1') = customer_of('card:5') AS fact FROM identities i WHERE i.identifier = 'tab:1';
-- nor anything too large: what facts join stays joined
SELECT set_quarantine_above(6) > 0;
TABLE people;
SELECT finding, identifier, other, reason FROM stitch_report WHERE finding <> 'largest component' ORDER BY 1, 2, 3;
-- one fact within the limit goes in, though with guesses it is beyond
SELECT identify('{account:1,cookie:1}') = customer_of('account:1') AS joined;
TABLE people;
SELECT * FROM stitch_check();
-- stewards are before both
SELECT cannot_link('card:4', 'email:b@x.pt'), must_link('card:4', 'email:a@x.pt');
TABLE people;
SELECT * FROM stitch_check();
SELECT clear_pair('card:4', 'email:b@x.pt'), clear_pair('card:4', 'email:a@x.pt');
-- without them: what facts say
SELECT retract_many('match', array_agg(source_key)) FROM evidence WHERE source = 'match';
TABLE people;
SELECT are_there_guesses(), count(*) FROM stitch_check();
SELECT e ->> 'source' AS source, count(*) FROM jsonb_array_elements(export_customer(customer_of('card:4')) -> 'evidence') e WHERE e ? 'strength' GROUP BY 1;
-- what is no guess
SELECT guess_many('{card:3}', '{card:9}', '{5}');
SELECT guess_many('{card:3}', '{card:3}', '{5}');
SELECT guess_many('{card:3}', '{card:4}', '{NaN}');
SELECT guess_many('{card:3}', '{card:4}', ARRAY[NULL]::real[]);
SELECT guess_many('{card:3}', ARRAY[NULL]::identifier[], '{1}');
SELECT guess_many('{card:3}', '{card:4}', '{5,4}');
SELECT guess_many('{card:3}', '{card:4}', '{5}', source => NULL, observed_at => '2026-01-01Z');
SELECT guess_many('{card:3}', '{card:4}', '{5}', observed_at => 'infinity');
SELECT guess_many('{card:3}', '{card:4}', '{5}', source => 'match', source_keys => '{"card:3 email:a@x.pt"}');
SELECT guess_many('{}', '{}', '{}') AS none, guess_many(NULL, NULL, NULL) AS nothing;
SELECT guess_many('{card:3}', '{card:3}', '{infinity}');

-- Conflicts: what records say parts whom guesses would join, through others, too. A record that says nothing parts nobody
SELECT count(identify(ARRAY[identifier('p', n::text)])) FROM generate_series(1, 5) n;
CREATE VIEW public.persons AS
SELECT string_agg(replace(i.identifier::text, 'p:', ''), ' ' ORDER BY i.identifier) AS who FROM identities i WHERE identifier_namespace(i.identifier) = 'p' GROUP BY i.customer_id;
CREATE VIEW public.partition AS SELECT string_agg(who, ' | ' ORDER BY who) AS persons FROM persons;
INSERT INTO match_records (identity_id, source, source_key, fields)
SELECT identity_of(identifier('p', v.n)), 'a', v.n, jsonb_strip_nulls(jsonb_build_object('born', v.born, 'suffix', v.suffix))
FROM (VALUES ('1', '1980-01-01', 'Jr'), ('2', NULL, NULL), ('3', '1981-01-01', NULL), ('4', ' 1980-01-01', 'JR '), ('5', '', 'Sr')) v(n, born, suffix);
SELECT set_conflict('{born}'), guess_many('{p:1,p:2,p:3,p:2}', '{p:2,p:3,p:4,p:4}', '{5,4,3,2}', observed_at => '2026-01-01Z');
TABLE partition;
SELECT step, from_identifier, to_identifier, source, outcome, strength FROM why('p:1', 'p:3');
SELECT identifier, other, reason FROM stitch_report WHERE finding = 'skipped link' ORDER BY 1, 2;
-- facts and stewards are stronger; who was born twice by them is like nobody else who was born
SELECT identify('{p:1,p:3}', '2026-01-02Z', 'till', '2') > 0;
TABLE partition;
SELECT * FROM stitch_check();
SELECT retract('till', '2'), must_link('p:3', 'p:4');
TABLE partition;
SELECT clear_pair('p:3', 'p:4');
TABLE partition;
-- a fact and a guess say the same; the fact goes
SELECT identify('{p:2,p:3}', '2026-01-02Z', 'till', '3') > 0, identify('{p:3,p:4}', '2026-01-02Z', 'till', '4') > 0;
TABLE partition;
SELECT retract('till', '3');
TABLE partition;
SELECT retract('till', '4');
TABLE partition;
-- a fact that brings two together whom guesses have joined with others
SELECT guess_many('{p:5}', '{p:3}', '{9}', observed_at => '2026-01-01Z'), set_conflict('{suffix,born}', 'a');
TABLE partition;
SELECT identify('{p:5,p:1}', '2026-01-02Z', 'till', '5') > 0;
TABLE partition;
SELECT * FROM stitch_check();
SELECT step, from_identifier, to_identifier, outcome FROM why('p:3', 'p:5');
SELECT retract('till', '5'), drop_conflict('{suffix,born}', 'a');
TABLE partition;
-- what records say changes, and comes and goes
UPDATE match_records SET fields = '{"born": "1981-01-01"}' WHERE source_key = '2';
TABLE partition;
UPDATE match_records SET fields = '{"born": "1980-01-01"}' WHERE source_key = '3';
TABLE partition;
DELETE FROM match_records WHERE source_key = '2';
TABLE partition;
SELECT * FROM stitch_check();
SELECT drop_conflict('{born}');
TABLE partition;
-- two records of one source are two, whatever they say; of one identity they are not
INSERT INTO match_records (identity_id, source, source_key, fields) VALUES (identity_of('p:1'), 'a', '1b', '{}');
SELECT set_conflict(source => 'a');
TABLE partition;
SELECT step, to_identifier, outcome FROM why('p:5', 'p:3');
SELECT * FROM stitch_check();
-- in a transaction that could not see all
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT drop_conflict(source => 'a');
ROLLBACK;
-- who is erased parts nobody any more
SELECT drop_conflict(source => 'a'), set_conflict('{born}');
UPDATE match_records SET fields = '{"born": "1981-01-01"}' WHERE source_key = '3';
INSERT INTO match_records (identity_id, source, source_key, fields) VALUES (identity_of('p:2'), 'a', '2', '{"born": "1981-01-01"}');
TABLE partition;
SELECT erase(customer_of('p:4'), 'request') -> 'counts' -> 'match_records' AS erased;
TABLE partition;
SELECT * FROM stitch_check();
SELECT count(*) AS former FROM former_memberships m WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = m.identity_id);
-- what is emptied parts nobody any more
BEGIN;
TRUNCATE match_records;
TABLE partition;
SELECT (SELECT count(*) FROM match_values) AS values, (SELECT count(*) FROM match_keys) AS keys, (SELECT count(*) FROM match_due) AS due;
SELECT * FROM stitch_check();
ROLLBACK;
BEGIN;
TRUNCATE match_conflicts;
TABLE partition;
SELECT count(*) AS values FROM match_values;
ROLLBACK;
TABLE partition;
-- without the guesses they part nobody
SELECT retract_many('match', array_agg(source_key)) > 0 FROM evidence WHERE source = 'match' AND retracted_at IS NULL;
SELECT identify('{p:1,p:2}') > 0 AS known;
TABLE partition;
SELECT drop_conflict('{born}');
SELECT count(*) AS values FROM match_values;
DROP VIEW public.partition, public.persons;
DROP VIEW public.people;
SELECT journey_drop_hub('crm', true);
