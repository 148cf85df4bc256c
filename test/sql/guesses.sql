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
DROP VIEW public.people;
SELECT journey_drop_hub('crm', true);
