# A hub with all that a dump, an upgrade or a move must bring along, and what shows that it came: what users keep in
# it and add to it, what it answers, and that it goes on.
package FilledHub;
use strict;
use warnings;
use Exporter 'import';
use PgJourney;
use Test::More;

our @EXPORT = qw(fill_hub answers $grants_alone $goes_on $went_on);
my $hub = '"größe ""x"""';

my $fill = <<'END';
SELECT setseed(0.5);
CREATE ROLE hub_owner;
CREATE ROLE hub_reader;
CREATE ROLE hub_analyst;
CREATE ROLE hub_writer;
CREATE ROLE hub_steward;
CREATE ROLE new_owner LOGIN;
GRANT CREATE ON DATABASE postgres TO hub_owner;
GRANT CREATE ON SCHEMA public TO hub_owner;
SET ROLE hub_owner;
SELECT journey_create_hub('empty');
SELECT journey_create_hub('größe "x"');
SET search_path = "größe ""x""", public;
SELECT set_rule('crm', priority => 9, max_per_customer => 1), set_rule('tab', shared_above => 3), set_quarantine_above(200),
       set_rule('email', normalizer => 'email', blocked => ARRAY['~^spam', 'o''brien\@example.com', 'ação']);
SELECT cardinality(identify_many(array_agg((ARRAY[identifier(n, (k / 8)::text), identifier('c', k::text)], now() - i * interval '1 h', 'x', i::text)::observation)))
FROM (SELECT i, (ARRAY['crm', 'tab', 'c', 'email'])[ceil(random() * 4)] AS n, ceil(random() * 400)::int AS k FROM generate_series(1, 600) i) s;
SELECT identify(ARRAY['email:Ana@EXAMPLE.com', 'email:ação', 'c:"quoted" \ and '' 日本']::identifier[], source => 'sql', source_key => E'a\tkey \\ ''');
SELECT must_link('c:1', 'c:300'), cannot_link('c:2', 'c:3');
SELECT retract('x', i::text) FROM generate_series(1, 60) i;

-- touchpoints in partitions and in the default one, journeys that are packed and some that are not yet
UPDATE settings SET time_zone = 'Europe/Lisbon', session_gap = '1 h';
SELECT set_retention('touchpoints', '50 years');
CALL maintain('2025-11-01Z');
SELECT cardinality(record_many(array_agg((ARRAY[identifier('c', ceil(random() * 400)::text)], timestamptz '2025-11-01Z' + i * interval '77 min',
       (ARRAY['web', 'store', 'phone', 'e-mail "x"'])[1 + i % 4], (ARRAY['view', 'buy', 'call', E'a\tb'])[1 + i % 4], CASE WHEN i % 4 = 1 THEN i / 100.0 END, 'EUR',
       (ARRAY['in', 'out', NULL])[1 + i % 3], CASE WHEN i % 5 = 0 THEN 'thread ' || i / 20 END, NULL, NULL, 'y', i::text, jsonb_build_object('n', i), NULL, NULL)::event)))
FROM generate_series(1, 3000) i;
SELECT record('{c:1}', '1999-12-31Z', 'store', 'visit');
SELECT refresh();
SELECT record('{c:2,c:1}', '2026-02-03 04:05:06.789012Z', 'web', 'view', source => 'sql', source_key => 'late');
DELETE FROM touchpoints WHERE source = 'y' AND source_key::int % 100 = 0;
UPDATE channels SET label = 'Loja' WHERE channel = 'store';
DELETE FROM channels WHERE channel = 'kiosk';
INSERT INTO formats (format, rule, condition, identifiers, occurred_at, channel, action) VALUES ('own', 1, '/a', '{c:/c}', '{/at}', '{=web}', '{/a}');
SELECT ingest('{"a": 1}', 'own'), ingest('{"a": "b", "c": "1", "at": "2026-02-01T00:00:00Z"}', 'own');
CREATE TABLE public.sales (sale_id bigint PRIMARY KEY, sold_at timestamptz, card text, amount numeric);
INSERT INTO public.sales SELECT i, timestamptz '2026-01-01Z' + i * interval '1 day', i % 7, i FROM generate_series(1, 30) i;
SELECT attach_source('public.sales', '{"occurred_at": "sold_at", "channel": "''store''", "action": "''sale''", "value": "amount", "identifiers": {"c": "card"}}');

-- who of the company they are, what customers are like, and a table whose changes are touchpoints, of which some wait
INSERT INTO agents VALUES ('marta', 'Marta Lima', false), ('helper', NULL, true);
INSERT INTO agent_aliases VALUES ('', 'm.lima', 'marta'), ('tickets', '201', 'helper');
SELECT record('{c:5}', '2026-02-04Z', 'web', 'answer', direction => 'out', agent => 'm.lima', conversation => 'a', subject => E'Größe\t"x"',
              url => 'https://desk.example/?a=1&b=é', source => 'sql', source_key => 'subject');
UPDATE settings SET trait_history = true;
UPDATE trait_rules SET personal = false WHERE trait = '*';
INSERT INTO trait_rules VALUES ('address', '{city,"zip code"}', 'source_order', '{crm,"shop, \"x\""}', true), ('name', NULL, 'longest', NULL, NULL);
SELECT set_traits('p:5', '{"name": "Ana", "city": "Porto", "zip code": "4000", "age": 30}', 'crm', '2026-01-01Z'),
       set_traits('p:5', '{"name": "Ana Lima", "city": "Lisboa", "age": null, "größe": [1, {"a": "é"}]}', 'shop, "x"', '2026-01-02Z'),
       set_traits('p:6', '{"name": "Rui"}', 'crm', '2026-01-03Z'), set_traits('p:6', '{"name": "Rui Costa"}', 'crm', '2026-01-04Z');
CREATE TABLE public.shops (shop_id integer PRIMARY KEY, label text);
INSERT INTO public.shops VALUES (1, 'Nord'), (2, 'Süd');
CREATE TABLE public.tickets (gone int, ticket_id int PRIMARY KEY, at timestamptz, card text, status text, shop_id int, title text, agent text);
ALTER TABLE public.tickets DROP COLUMN gone;
INSERT INTO public.tickets SELECT i, '2026-01-01Z', i % 9, 'open', 1 + i % 2, 'Ticket ' || i, '201' FROM generate_series(1, 20) i;
INSERT INTO public.tickets VALUES (21, 'infinity', '1', 'open', 1, 'never', NULL);
SELECT attach_source('public.tickets', $${"occurred_at": "at", "channel": "'desk'", "action": "'opened'", "identifiers": {"c": "card"},
    "references": {"desk.ticket": "ticket_id"}, "subject": "title || ' ' || shop.label", "url": "'https://desk.example/' || ticket_id",
    "direction": "'out'", "agent": "agent", "lookups": {"shop": "shops(shop_id = tickets.shop_id)"}, "traits": {"shop": "shop.label"},
    "on_change": {"column": "status", "at": "at + interval '1 day'", "actions": {"solved": "solved"}}}$$, part => 'desk');
UPDATE public.tickets SET status = 'solved' WHERE ticket_id <= 5;
CALL feed();
UPDATE public.tickets SET status = 'solved', title = 'Solved' WHERE ticket_id BETWEEN 6 AND 8;
DELETE FROM public.tickets WHERE ticket_id = 20;
UPDATE public.shops SET label = 'Norden' WHERE shop_id = 1;

-- what customers agreed to, and when they are contacted
SELECT set_consent('p:5', 'größe', '*', 'granted', given_at => '2026-01-01Z', valid_until => '2028-01-01Z'), set_consent('p:5', '*', 'sms', 'denied');
INSERT INTO contact_rules VALUES ('größe', 'post', 'contract', 'unless_refused');
INSERT INTO quiet_hours VALUES ('*', 'sms', NULL, '22:00', '08:00');
INSERT INTO contact_caps VALUES ('*', '*', 3, '1 day');
INSERT INTO access_log (role, login, function, identity_id) VALUES ('a', 'b', 'timeline_of', 1);
INSERT INTO erasure_requests VALUES (5, now(), 'größe');

-- what users add, and who may do what
ALTER TABLE touchpoints ADD COLUMN own_column text DEFAULT 'own';
ALTER TABLE identities ADD COLUMN own_column text NOT NULL DEFAULT 'own';
CREATE INDEX own_index ON evidence (observed_at);
CREATE INDEX own_expression ON touchpoints ((attributes ->> 'n'));
CREATE VIEW own_view AS SELECT count(*) FROM stitch_check();
CREATE FUNCTION own_function() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.own_column := 'by trigger'; RETURN NEW; END $$;
CREATE TRIGGER own_trigger BEFORE INSERT ON touchpoints FOR EACH ROW EXECUTE FUNCTION own_function();
COMMENT ON TABLE touchpoints IS 'Berührungspunkte';
SELECT grant_access('hub_analyst'), grant_access('hub_writer', 'writer'), grant_access('hub_steward', 'steward');
GRANT USAGE ON SCHEMA "größe ""x""" TO hub_reader;
GRANT SELECT ON customers, identities, touchpoints TO hub_reader;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY large ON customers TO hub_reader USING (identities > 1);
ALTER TABLE touchpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY stores ON touchpoints TO hub_reader USING (channel = 'store');
CREATE POLICY all_of_it ON touchpoints TO hub_analyst, hub_writer USING (true);
GRANT INSERT ON public.sales TO hub_writer;
END

# Everything of a catalogue that a dump must bring back, owners and grants apart. (A deparsed function that is restored and deparsed
# again may name a constant, and so may a view.)
my $parts = <<'END';
SELECT nspname, kind, count(*), md5(string_agg(d, chr(10) ORDER BY d COLLATE "C"))
FROM (SELECT pronamespace AS n, 'function' AS kind, replace(pg_get_functiondef(oid), ' AS text', '') || coalesce(obj_description(oid, 'pg_proc'), '') AS d FROM pg_proc WHERE prokind IN ('f', 'p')
      UNION ALL SELECT relnamespace, 'relation', concat_ws(' ', relname, obj_description(oid, 'pg_class'), reloptions, relkind, relrowsecurity, relreplident,
                                                           pg_get_expr(relpartbound, oid), regexp_replace(pg_get_viewdef(CASE WHEN relkind = 'v' THEN oid END), ' AS (text|int8|timestamptz)\M', '', 'g')) FROM pg_class
      UNION ALL SELECT relnamespace, 'column', concat_ws(' ', relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, col_description(c.oid, attnum),
                                                         pg_get_expr(adbin, adrelid))
                FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = attnum
                WHERE attnum > 0 AND NOT attisdropped
      UNION ALL SELECT relnamespace, 'index', pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
      UNION ALL SELECT connamespace, 'constraint', conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0 AND contype <> 'n'
      UNION ALL SELECT relnamespace, 'trigger', pg_get_triggerdef(t.oid) || tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal
      UNION ALL SELECT relnamespace, 'policy', concat_ws(' ', relname, polname, polcmd, polroles::regrole[]::text, pg_get_expr(polqual, polrelid))
                FROM pg_policy JOIN pg_class c ON c.oid = polrelid) s JOIN pg_namespace ON pg_namespace.oid = n
WHERE nspname IN ('empty', 'größe "x"') GROUP BY 1, 2 ORDER BY 1, 2
END
my $grants = <<'END';
SELECT c.relname, pg_get_userbyid(relowner), r.rolname, x.privilege_type, x.attname
FROM pg_class c CROSS JOIN LATERAL (SELECT y.grantee, y.privilege_type, NULL FROM aclexplode(relacl) y
                                    UNION ALL SELECT y.grantee, y.privilege_type, attname FROM pg_attribute, aclexplode(attacl) y WHERE attrelid = c.oid)
                                   x(grantee, privilege_type, attname)
     JOIN pg_roles r ON r.oid = x.grantee
WHERE relnamespace = '"größe ""x"""'::regnamespace AND x.grantee <> relowner ORDER BY relname, rolname, privilege_type, attname
END
(our $grants_alone = $grants) =~ s/pg_get_userbyid\(relowner\), //;

# a new identity, a merge and an undo, touchpoints, journeys and partitions, as they come out in a hub
our $goes_on = <<END;
SELECT $hub.identify('{new:1,new:2}', source => 'sql', source_key => 'new') = max(identity_id) + 1 FROM $hub.identities;
SELECT $hub.retract('x', '100'), $hub.set_rule('tab', shared_above => 5) >= 0, $hub.stitch_all();
SELECT count(*) FROM $hub.stitch_check();
SELECT $hub.record(ARRAY[i.identifier], t.occurred_at, t.channel, t.action, t.value, t.currency, t.direction, t.conversation, t.agent, t.campaign,
                   t.source, t.source_key, t.attributes) = t.touchpoint_id
FROM $hub.touchpoints t JOIN $hub.identities i USING (identity_id) WHERE t.source = 'y' AND t.source_key = '1';
SELECT $hub.record('{new:1}', now(), 'web', 'view', source => 'new', source_key => '1') > max(touchpoint_id) FROM $hub.touchpoints;
SELECT own_column FROM $hub.touchpoints WHERE source = 'new';
INSERT INTO public.sales VALUES (1001, now(), 'new', 5);
UPDATE public.sales SET amount = 6 WHERE sale_id = 1;
CALL $hub.feed() \\gset
UPDATE public.tickets SET status = 'solved' WHERE ticket_id = 9;
CALL $hub.feed() \\gset
SELECT string_agg(concat_ws(' ', source, part, state, pending, last_error), ', ' ORDER BY source) FROM $hub.source_progress;
SELECT string_agg(concat_ws(' ', action, n), ', ' ORDER BY action)
FROM (SELECT action, count(*) AS n FROM $hub.touchpoints WHERE source = 'tickets' GROUP BY 1) t;
SELECT count(*) FROM $hub.check_source('tickets');
SELECT string_agg(DISTINCT value #>> '{}', ' ') FROM $hub.traits WHERE source = 'tickets';
SELECT $hub.set_traits('p:6', '{"name": "R. Costa"}', 'crm', '2026-02-01Z') = $hub.customer_of('p:6');
SELECT c.traits ->> 'name', (SELECT p.traits ->> 'name' FROM $hub.customer_profile_at(c.customer_id, '2026-01-03 12:00Z') p)
FROM $hub.customer_profile_of($hub.customer_of('p:6')) c;
SELECT sum(value) FROM $hub.touchpoints WHERE source = 'sales';
SELECT count(*) FROM $hub.current_journeys c
    FULL JOIN (SELECT i.customer_id, journey_agg(t.occurred_at, t.channel, t.action, t.value, t.touchpoint_id,
                                     $hub.packed_detail(t.direction, t.agent, t.source, (SELECT $hub.agent_bots()))) AS journey
    FROM $hub.touchpoints t JOIN $hub.identities i USING (identity_id) GROUP BY 1) a USING (customer_id) WHERE c.journey IS DISTINCT FROM a.journey;
CREATE TEMP TABLE stale AS SELECT * FROM $hub.current_journeys;
SELECT $hub.refresh() > 0, $hub.refresh(rebuild => true);
SELECT count(*) FROM stale s FULL JOIN $hub.customer_journeys j USING (customer_id) WHERE s.journey IS DISTINCT FROM j.journey;
SELECT $hub.make_partitions('2025-08-01Z') > 0;
SELECT journey_upgrade_hub('größe "x"'), journey_drop_hub('empty');
END
our $went_on = join "\n", 't', 't|t|0', '0', 't', 't', 'by trigger', 'sales  attached 0, tickets desk attached 0', 'opened 19, solved 9', 0,
    'Norden Süd', 't', 'R. Costa|Rui', 475, 0, 't|0', 0, 't', '|';

# What a database answers to questions by name, in one session
sub answers
{
    my ($node, $database, %questions) = @_;
    my $script = join '', map { "\\echo \@question $_\n$questions{$_};\nRESET ALL;\nRESET ROLE;\n" } sort keys %questions;
    my (undef, %answers) = split /^\@question (\w+)\n/m, $node->safe_psql($database, $script) . "\n";
    chomp foreach values %answers;
    return %answers;
}

# Makes the hub; returns what to ask of it, by name, and what it answers
sub fill_hub
{
    my ($node) = @_;
    sql($node, $fill);
    my @tables = split /\n/, sql($node, <<'END');
SELECT relname FROM pg_class WHERE relnamespace = '"größe ""x"""'::regnamespace AND relkind IN ('r', 'p', 'v')
       AND relname NOT IN ('own_view', 'stitch_report', 'health')
       AND relname !~ '^my_(timeline|conversations|profile|consents)$'  -- which answer who is logged in
ORDER BY 1
END
    my %checks = (
        (map { $_ => qq(SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) FROM $hub.$_ t) } @tables),
        sales => 'SELECT count(*), sum(amount) FROM public.sales',
        sequences => q(SELECT string_agg(concat_ws(' ', schemaname, sequencename, last_value), ', ' ORDER BY schemaname, sequencename) FROM pg_sequences),
        health => "SELECT topic, name, waiting, detail FROM $hub.health ORDER BY 1, 2",
        report => "SELECT finding, identifier, other, identities, reason FROM $hub.stitch_report ORDER BY 1, 2, 3",
        check => "SELECT count(*) FROM $hub.stitch_check()",
        own => "SELECT * FROM $hub.own_view",
        why => "SELECT * FROM $hub.why('c:1', 'c:300')",
        known => qq(SELECT $hub.customer_of('email:ana\@example.com') = $hub.customer_of('c:"quoted" \\ and '' 日本')),
        reader => "SET ROLE hub_reader; SELECT (SELECT count(*) FROM $hub.customers), (SELECT count(*) FROM $hub.touchpoints)",
        analyst => "SET ROLE hub_analyst; SELECT (SELECT count(*) FROM $hub.timeline), (SELECT count(identifiers) FROM $hub.customer_360)",
        pattern => "SELECT count(*), sum(customer_id) FROM $hub.customer_journeys WHERE journey ~ 'web.view -> phone.call'",
        by_index => "SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT customer_id FROM $hub.customer_journeys WHERE journey ~ 'web.view -> phone.call'",
        empty => q(SELECT count(*), (SELECT count(*) FROM empty.stitch_check()) FROM empty.identities),
        parts => $parts,
        grants => $grants);

    my %before = answers($node, 'postgres', %checks);
    like($before{$_}, qr/^[1-9]\d*\|/, "there is something in $_")
        for qw(former_memberships touchpoints customer_journeys timeline conversations touchpoint_keys identity_pairs touchpoints_default
               rejected sources source_lookups source_rejects source_changes feed_notes agents agent_aliases traits trait_history
               trait_rules customer_profile);
    like($before{journey_changes}, qr/^[1-9]\d*\|/, 'there are journeys to be refreshed');
    is($before{check}, 0, 'the hub is what a rebuild gives');
    is($before{known}, 't', 'the hub knows');
    like($before{by_index}, qr/customer_journeys_journey_idx/, 'the pattern is found by the index');
    like($before{reader}, qr/^[1-9]\d*\|[1-9]\d*$/, 'policies let some through');

    return (\%checks, \%before);
}

1;
