# Proves that a hub can be replicated logically to another server: what is there and what happens then arrives, journeys and
# timeline are the same there at every point, refresh() and maintain() of the publisher do no harm, and the copy can take over.
# And that DROP EXTENSION is refused while there is a hub.
# Slow: part of "make slowtest".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = start_server('publisher', allows_streaming => 'logical');
my $copy = PostgreSQL::Test::Cluster->new('subscriber');
$copy->init(extra => [ '--encoding=UTF8', '--locale=C' ], allows_streaming => 'logical');
$copy->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$copy->start;

sql($node, <<'END');
SELECT journey_create_hub('crm');
CALL crm.maintain('2026-01-01Z');
SELECT cardinality(crm.record_many(array_agg((ARRAY[identifier('c', (i % 50)::text), identifier('d', (i % 70)::text)], timestamptz '2025-12-20Z' + i * interval '3 h',
       (ARRAY['web', 'store'])[1 + i % 2], 'view', i, 'EUR', NULL, NULL, NULL, NULL, 'x', i::text, NULL, NULL, NULL)::crm.event)))
FROM generate_series(1, 300) i;
SELECT crm.refresh();
SELECT crm.record('{c:1,e:1}', '2026-01-05Z', 'phone', 'call', source => 'sql', source_key => 'pending');
CREATE TABLE shops (shop_id int PRIMARY KEY, label text);
INSERT INTO shops VALUES (1, 'North');
CREATE TABLE tickets (ticket_id int PRIMARY KEY, at timestamptz, card text, status text, shop_id int);
INSERT INTO tickets SELECT i, '2026-01-06Z', i % 5, 'open', 1 FROM generate_series(1, 10) i;
SELECT crm.attach_source('tickets', $${"occurred_at": "at", "channel": "'desk'", "action": "'opened'", "identifiers": {"c": "card"}, "subject": "shop.label",
    "lookups": {"shop": "shops(shop_id = tickets.shop_id)"}, "traits": {"shop": "shop.label"},
    "on_change": {"column": "status", "at": "at", "actions": {"solved": "solved"}}}$$);
CREATE PUBLICATION hub FOR TABLES IN SCHEMA crm WITH (publish_via_partition_root = true);
END

# The copy has the same tables, and nothing in them: a hub that is made there would have rules and formats of its own
command_ok([ 'pg_dump', '--schema-only', '--no-publications', '-f', "$dir/schema", $node->connstr('postgres') ], 'the schema is dumped');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $copy->connstr('postgres'), '-f', "$dir/schema" ], 'and restored');
sql($copy, "CREATE SUBSCRIPTION hub CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION hub");
$copy->wait_for_subscription_sync($node, 'hub');

my @tables = split /\n/, sql($node, <<'END');
SELECT relname FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
       AND relname <> 'health'  -- which has the partitions, too
       AND relname !~ '^my_(timeline|conversations|profile|consents)$'  -- which answer who is logged in
ORDER BY 1
END
my $state = join ";\n", map { "SELECT '$_', count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM crm.$_ t" } @tables;
my $exact = <<'END';
SELECT count(*) FROM crm.current_journeys c
    FULL JOIN (SELECT i.customer_id, journey_agg(t.occurred_at, t.channel, t.action, t.value, t.touchpoint_id,
                                     crm.packed_detail(t.direction, t.agent, t.source, (SELECT crm.agent_bots()))) AS journey
    FROM crm.touchpoints t JOIN crm.identities i USING (identity_id) GROUP BY 1) a USING (customer_id) WHERE c.journey IS DISTINCT FROM a.journey
END
sub same
{
    my ($what) = @_;
    $node->wait_for_catchup('hub');
    # rows are shown as of the same time zone
    is(sql($copy, "SET timezone = 'UTC'; $state"), sql($node, "SET timezone = 'UTC'; $state"), "$what: the same there");
    is(sql($copy, $exact), 0, "$what: journeys are what touchpoints make them, there");
    is(sql($copy, 'SELECT count(*) FROM crm.stitch_check()'), 0, "$what: customers are what a rebuild makes them, there");
}
same('at first');
cmp_ok(sql($copy, 'SELECT count(*) FROM crm.journey_changes'), '>', 0, 'journeys that are not packed yet are there, too');
my %steps = (
    '1 a touchpoint' => "SELECT crm.record('{c:2}', '2026-02-05Z', 'web', 'view', source => 'sql', source_key => 'new')",
    '2 a merge' => "SELECT crm.link('c:3', 'd:9', source => 'sql', source_key => 'merge'), crm.must_link('c:4', 'c:5')",
    '3 refresh' => 'SELECT crm.refresh()',
    '4 a split' => "SELECT crm.retract('sql', 'merge'), crm.clear_pair('c:4', 'c:5')",
    '5 deletes and updates' => "DELETE FROM crm.touchpoints WHERE touchpoint_id % 10 = 0;
                                UPDATE crm.touchpoints SET occurred_at = occurred_at + interval '40 days' WHERE touchpoint_id % 10 = 1;
                                UPDATE crm.touchpoints SET channel = 'app' WHERE touchpoint_id % 10 = 2",
    '6 rules' => "SELECT crm.set_rule('c', max_per_customer => 1), crm.set_rule('d', shared_above => 2)",
    '6a business hours' => "INSERT INTO crm.business_calendars VALUES ('line', 'Asia/Kathmandu');
                            INSERT INTO crm.business_hours VALUES (1, '09:00', '18:00', 'line'), (2, '09:00', '18:00', 'line');
                            INSERT INTO crm.business_exceptions VALUES ('2026-01-05', NULL, NULL, 'line'), ('2026-01-06', '10:00', '12:00', 'line');
                            INSERT INTO crm.calendar_uses VALUES ('channel', 'phone', 'line');
                            SELECT crm.record('{c:2}', '2026-01-05Z', 'phone', 'call', direction => 'in', conversation => 'c', agent => 'marta');
                            SELECT crm.record('{c:2}', '2026-01-06Z', 'phone', 'message', direction => 'out', conversation => 'c', agent => 'marta')",
    '6b other hours' => "UPDATE crm.business_exceptions SET opens = '00:00', closes = '24:00' WHERE opens IS NULL; DELETE FROM crm.business_exceptions WHERE day = '2026-01-06';
                         UPDATE crm.business_calendars SET calendar = 'desk' WHERE calendar = 'line'; UPDATE crm.settings SET time_zone = 'Europe/Lisbon'",
    '6c agents' => "INSERT INTO crm.agents VALUES ('marta', 'Marta Lima', true); INSERT INTO crm.agent_aliases VALUES ('', '201', 'marta')",
    '6d traits' => "UPDATE crm.settings SET trait_history = true; INSERT INTO crm.trait_rules VALUES ('name', NULL, 'longest', NULL, false);
                    SELECT crm.set_traits('c:2', '{\"name\": \"Rui Costa\", \"city\": \"Porto\"}', 'crm', '2026-01-01Z');
                    SELECT crm.set_traits('c:2', '{\"name\": \"Rui\", \"city\": null}', 'crm', '2026-01-02Z')",
    '6e notes' => "UPDATE tickets SET status = 'solved' WHERE ticket_id < 4; DELETE FROM tickets WHERE ticket_id = 9; INSERT INTO tickets VALUES (11, 'infinity');
                   UPDATE shops SET label = 'South'",
    '6f fed' => 'CALL crm.feed()',
    # there are partitions here that are not there, which have touchpoints of the default partition
    '7 new partitions' => "SELECT crm.record('{c:7}', '2025-10-05Z', 'web', 'view'); CALL crm.maintain('2025-10-01Z'); SELECT crm.record('{c:8}', '2025-11-05Z', 'web', 'view')",
    '8 rebuild' => 'SELECT crm.refresh(rebuild => true)',
    '9 truncate' => 'TRUNCATE crm.touchpoints');
for (sort keys %steps)
{
    # the last one empties it all, so first see that the copy can stand alone
    if (/truncate/)
    {
        is(sql($node, 'SELECT count(*) > 0 FROM crm.touchpoints_2025_10'), 't', 'a touchpoint has moved to its partition');
    }
    sql($node, $steps{$_});
    same($_);
}
cmp_ok(sql($copy, 'SELECT count(*) FROM crm.trait_history'), '>', 2, 'the history of traits is there');

# the copy takes over: sequences are not replicated
sql($node, "SELECT crm.record('{c:1}', '2026-03-01Z', 'web', 'view'), crm.record('{c:2,c:1}', '2026-03-01Z', 'web', 'view')");
$node->wait_for_catchup('hub');
sql($copy, 'DROP SUBSCRIPTION hub');
$node->stop;
is(sql($copy, <<'END'), "t\nt\nt\n0\n0", 'the copy takes over');
SELECT setval('crm.identities_identity_id_seq', max(identity_id)) > 0 FROM crm.identities;
SELECT setval('crm.touchpoints_touchpoint_id_seq', max(touchpoint_id)) > 0 FROM crm.touchpoints;
SELECT crm.record('{new:1,c:1}', '2026-03-02Z', 'store', 'buy') > max(touchpoint_id) FROM crm.touchpoints;
SELECT count(*) FROM crm.current_journeys c JOIN crm.identities i USING (customer_id)
WHERE i.identifier = 'new:1' AND journey_length(c.journey) <> (SELECT count(*) FROM crm.touchpoints t JOIN crm.identities j USING (identity_id) WHERE j.customer_id = c.customer_id);
SELECT count(*) FROM crm.stitch_check();
END

# what a hub stands on can't go
my ($status, undef, $error) = $copy->psql('postgres', 'DROP EXTENSION pg_journey');
is($status, 3, 'DROP EXTENSION is refused');
like($error, qr/^(psql:.*?)?ERROR:  cannot drop extension pg_journey because other objects depend on it$/m, 'because a hub stands on it');
like($error, qr/^(DETAIL:  )?(column \w+ of table|function) crm\.\w+.* depends on type \w+$/m, 'which it names');
like($error, qr/^HINT:  Use DROP \.\.\. CASCADE to drop the dependent objects too\.$/m, 'and says how to');
sql($copy, 'DROP EXTENSION pg_journey CASCADE');
is(sql($copy, "SELECT to_regproc('crm.record') IS NULL, to_regclass('crm.customer_journeys') IS NOT NULL,
                      (SELECT count(*) FROM pg_attribute WHERE attrelid = 'crm.identities'::regclass AND attname = 'identifier')"),
    't|t|0', 'CASCADE takes the functions, and columns with their data, out of the hub: never do that');

is(crashes($copy), '', 'no process crashed');
$copy->stop;
done_testing();
