-- References of applications join people as identifiers do, and are not shown.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('crm');
SELECT count(*) FROM crm.use_recommended_rules('PT');
SELECT crm.set_rule('chatwoot.contact', internal => true), crm.set_rule('chatwoot.conversation', internal => true);
-- a value list, placeholders, a normalizer and limits of all others are not theirs
SELECT crm.set_rule('*', blocked => blocked || '{1,2}', shared_above => 1, max_per_customer => 1) FROM crm.identifier_rules WHERE namespace = '*';
SELECT crm.identify('{chatwoot.contact:0,"phone:912 345 678",email:ana@example.pt}', '2026-01-01Z', 'chatwoot', 'contact 0') AS contact;
SELECT crm.identify(ARRAY['chatwoot.conversation:' || n, 'chatwoot.contact:0']::identifier[], '2026-01-02Z', 'chatwoot', 'conversation ' || n) AS conversation
FROM generate_series(1, 3) n;
SELECT crm.identifiers_of(1), crm.customer_of('chatwoot.conversation:2');
SELECT crm.identifiers_of(1, internal => true);
SELECT identifiers, identifier_texts FROM crm.customer_360;
SELECT identifier, blocked, shared FROM crm.identities WHERE blocked OR shared;
SELECT step, from_identifier, to_identifier, source_key, outcome FROM crm.why('chatwoot.conversation:3', 'phone:912345678');
SELECT finding, identifier, identities FROM crm.stitch_report;
SELECT n.namespace, r.priority, r.max_per_customer, r.shared_above, r.blocked, r.normalizer, r.internal FROM crm.identifier_rules n, crm.rule_of(n.namespace) r WHERE n.namespace ~ 'chatwoot' ORDER BY 1;
-- the weakest: where a limit parts people, such links go first
SELECT crm.set_rule('account', max_per_customer => 1), crm.set_rule('weak', priority => -5);
SELECT crm.identify('{account:1,chatwoot.contact:7}', '2026-02-02Z', 's', '1') > 0, crm.identify('{account:2,chatwoot.contact:7}', '2026-02-01Z', 's', '2') > 0,
       crm.identify('{account:2,weak:1}', '2026-02-01Z', 's', '3') > 0, crm.identify('{weak:1,chatwoot.contact:7}', '2026-01-01Z', 's', '4') > 0;
SELECT crm.identifiers_of(crm.customer_of('account:2'), true);
-- a limit of its own
SELECT crm.set_rule('chatwoot.contact', shared_above => 1) > 0 AS moved;
SELECT identifier FROM crm.identities WHERE shared;
SELECT crm.set_rule('chatwoot.contact', shared_above => 0) > 0 AS moved;
-- touchpoints of a known reference lock nothing, and write nothing but themselves
CREATE VIEW state AS
SELECT 'identity' AS what, identity_id::text AS id, ctid::text AS place, xmin::text AS made, xmax::text AS locked FROM crm.identities
UNION ALL SELECT 'customer', customer_id::text, ctid::text AS place, xmin::text AS made, xmax::text AS locked FROM crm.customers
UNION ALL SELECT 'evidence', source_key, ctid::text AS place, xmin::text AS made, xmax::text AS locked FROM crm.evidence;
CREATE TABLE rows_then AS TABLE state;
CREATE VIEW written AS SELECT * FROM state EXCEPT SELECT * FROM rows_then;
SELECT crm.record('{chatwoot.conversation:1}', '2026-03-01Z', 'chat', 'message', source => 'chatwoot', source_key => 'message 1') > 0 AS recorded;
TABLE written;
-- nor what is known of such evidence already
SELECT crm.identify('{chatwoot.conversation:1,chatwoot.contact:0}', '2026-01-02Z', 'chatwoot', 'conversation 1');
SELECT crm.identify_many(ARRAY[ROW('{chatwoot.conversation:2,chatwoot.contact:0}', '2026-01-02Z', 'chatwoot', 'conversation 2')::crm.observation,
                               ROW('{chatwoot.conversation:3,chatwoot.contact:0}', '2026-01-02Z', 'chatwoot', 'conversation 3')::crm.observation]);
TABLE written;
-- what is new is
SELECT crm.identify('{chatwoot.conversation:1,chatwoot.contact:0}', '2026-01-02Z', 'chatwoot', 'again');
SELECT what, id FROM written ORDER BY 1, 2;
SELECT touchpoints FROM crm.customer_360 WHERE customer_id = 1;
-- what was known before can't be hidden, and what is hidden has no other rules
SELECT crm.set_rule('phone', internal => true);
SELECT crm.set_rule('*', internal => true);
SELECT crm.set_rule('chatwoot.contact', priority => 5);
SELECT crm.set_rule('chatwoot.new', blocked => '{x}', internal => true);
SELECT crm.set_rule('chatwoot.contact', max_per_customer => 3) > 0 AS moved, crm.set_rule('chatwoot.contact', internal => true) > 0 AS moved;
SELECT identifier FROM crm.simulate(rules => ARRAY[ROW('chatwoot.contact', NULL, NULL, NULL, NULL, NULL, NULL, false)::crm.identifier_rules]);
SELECT crm.set_rule('later', priority => 3, blocked => '{x}', normalizer => 'email'), crm.set_rule('later', internal => true);
SELECT * FROM crm.identifier_rules WHERE namespace = 'later';
-- it may be shown again
SELECT crm.set_rule('chatwoot.contact', internal => false) > 0 AS moved;
SELECT crm.identifiers_of(1);
SELECT * FROM crm.stitch_check();
DROP VIEW written, state;
DROP TABLE rows_then;
SELECT journey_drop_hub('crm', true);
