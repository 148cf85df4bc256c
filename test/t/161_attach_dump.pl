# Proves that attached tables are dumped and restored with their hub, in each form of dump, and
# go on from there: their triggers feed the hub, a backfill that was interrupted is completed,
# and detaching leaves nothing behind. Restoring records nothing twice. The application's own
# dumps are restored where neither hub nor extension is, and over what is attached, which is
# found again; a logical replica feeds a hub; and writers' transactions may be prepared.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', allows_streaming => 'logical');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->restart;
my $dir = PostgreSQL::Test::Utils::tempdir;

sql($node, <<'END');
SELECT journey_create_hub('the "hub"');
CREATE SCHEMA shop;
CREATE FUNCTION shop.clean(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower($1) $$;
CREATE TABLE shop."Orders" (gone int, id integer PRIMARY KEY, "Customer" text, email text, total numeric, at timestamptz DEFAULT '2026-01-01');
ALTER TABLE shop."Orders" DROP COLUMN gone;
INSERT INTO shop."Orders" SELECT i, 'C' || i % 50, CASE WHEN i % 3 = 0 THEN 'e' || i % 70 END, i FROM generate_series(1, 500) i;
INSERT INTO shop."Orders" VALUES (501);
CREATE TABLE shop.web (at timestamptz, id int, visitor text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE shop.web_1 (visitor text, id int NOT NULL, at timestamptz NOT NULL);
ALTER TABLE shop.web ATTACH PARTITION shop.web_1 DEFAULT;
INSERT INTO shop.web SELECT '2026-01-01'::timestamptz + i * interval '1 h', i, 'v' || i % 40 FROM generate_series(1, 300) i;
SET search_path = shop, public;
SELECT "the ""hub""".attach_source('"Orders"', '{"occurred_at": "at", "channel": "''store''", "action": "''purchase''", "value": "total",
    "identifiers": {"crm": "clean(\"Customer\")", "email": "email"}, "attributes": "jsonb_build_object(''t'', total)"}');
SELECT "the ""hub""".attach_source('web', '{"occurred_at": "at", "channel": "''web''", "action": "''view''", "identifiers": {"cookie": "visitor"}}',
    'web shop', backfill => false);
ALTER TABLE "Orders" RENAME COLUMN total TO amount;
CALL "the ""hub""".feed(source => 'Orders');
END

my $state = <<'END';
SELECT source, relation, state, rows_done FROM "the ""hub""".source_progress ORDER BY 1;
SELECT count(*), count(DISTINCT source_key), sum(value) FROM "the ""hub""".touchpoints;
SELECT source_key, sqlstate FROM "the ""hub""".source_rejects;
SELECT count(*) FROM "the ""hub""".evidence;
SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ 'shop';
SELECT p.oid::regprocedure, p.prosecdef FROM pg_proc p WHERE prorettype = 'trigger'::regtype AND pronamespace = 'shop'::regnamespace ORDER BY 1;
SELECT count(*) FROM "the ""hub""".feed_notes WHERE key <> '{}';
END
my $goes_on = <<'END';
INSERT INTO shop."Orders" VALUES (600, 'NEW', 'new', 5);
UPDATE shop."Orders" SET amount = amount + 1, email = 'x' || id WHERE id < 10;
UPDATE shop."Orders" SET "Customer" = 'found' WHERE id = 501;
DELETE FROM shop."Orders" WHERE id BETWEEN 20 AND 30;
INSERT INTO shop.web_1 VALUES ('v1', 1000, '2026-02-01');
DELETE FROM shop.web WHERE id = 7;
CALL "the ""hub""".feed();
CALL "the ""hub""".backfill_source('web shop');
SELECT source, state FROM "the ""hub""".source_progress ORDER BY 1;
SELECT journey_create_hub('fresh');
SELECT fresh.attach_source(relation, mapping, source) FROM
    (SELECT relation, replace(replace(mapping::text, 'total', 'amount'), 'clean', 'shop.clean')::json AS mapping, source FROM "the ""hub""".sources) s;
SELECT count(*) FROM (
    (SELECT source, source_key, occurred_at, channel, action, value, attributes FROM "the ""hub""".touchpoints
     EXCEPT ALL SELECT source, source_key, occurred_at, channel, action, value, attributes FROM fresh.touchpoints)
    UNION ALL
    (SELECT source, source_key, occurred_at, channel, action, value, attributes FROM fresh.touchpoints
     EXCEPT ALL SELECT source, source_key, occurred_at, channel, action, value, attributes FROM "the ""hub""".touchpoints)) s;
SELECT count(*) FROM "the ""hub""".stitch_check();
SELECT journey_drop_hub('fresh', true);
SELECT journey_upgrade_hub('the "hub"');
SELECT "the ""hub""".detach_source(source, keep => false) FROM "the ""hub""".sources;
SELECT count(*) FROM "the ""hub""".touchpoints;
SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ 'shop';
END
my $before = sql($node, $state);
like($before, qr/^Orders\|shop."Orders"\|attached\|501\nweb shop\|shop.web\|backfilling\|0\n500\|500\|/, 'two tables are attached');

my $from = $node->connstr('postgres');
my %dump = (
    plain => [ [ [ 'pg_dump', '-f', "$dir/plain", $from ] ], [ [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain" ] ] ],
    custom => [ [ [ 'pg_dump', '-Fc', '-f', "$dir/custom", $from ] ], [ [ 'pg_restore', '-e', "$dir/custom" ] ] ],
    directory => [ [ [ 'pg_dump', '-Fd', '-j2', '-f', "$dir/directory", $from ] ], [ [ 'pg_restore', '-e', '-j2', "$dir/directory" ] ] ],
    schema => [ [ [ 'pg_dump', '-s', '-f', "$dir/schema", $from ], [ 'pg_dump', '-a', '--disable-triggers', '-f', "$dir/data", $from ] ],
        [ [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/schema" ], [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data" ] ] ],
    # the tables come before the hub, whose triggers fire
    triggers => [ [ [ 'pg_dump', '-s', '-f', "$dir/schema", $from ], [ 'pg_dump', '-a', '-f', "$dir/data", $from ] ],
        [ [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/schema" ], [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data" ] ] ],
);
# Plain and directory alone are little else than schema and custom
for my $name (slowly([qw(custom schema triggers)], [ sort keys %dump ])->@*)
{
    my ($dump, $restore) = @{ $dump{$name} };
    sql($node, "CREATE DATABASE $name TEMPLATE template0");
    command_ok($_, "$name: dump") for @$dump;
    command_ok([ @$_, '-d', $node->connstr($name) ], "$name: restore") for @$restore;
    is($node->safe_psql($name, $state), $before, "$name: it is as it was");
    is($node->safe_psql($name, $goes_on) =~ s/^\|?\n//mgr =~ s/^\(\d{3},\d{3},0\)\n|\A\d+\n//mgr, "Orders|attached\nweb shop|attached\n0\n0\nt\nt\n0\n0", "$name: it goes on");
}

# the application alone, where there is neither hub nor extension: its triggers do nothing
sql($node, 'CREATE DATABASE alone TEMPLATE template0');
command_ok([ 'pg_dump', '-n', 'shop', '-f', "$dir/shop", $from ], 'the application alone: dump');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/shop", '-d', $node->connstr('alone') ], 'the application alone: restore');
is($node->safe_psql('alone', <<'END'), "502\n301", 'the application alone: it works');
INSERT INTO shop."Orders" VALUES (700, 'NEW', 'new', 5);
UPDATE shop."Orders" SET amount = amount + 1;
INSERT INTO shop.web VALUES ('2026-02-01', 1000, 'v1');
SELECT count(*) FROM shop."Orders";
SELECT count(*) FROM shop.web;
TRUNCATE shop.web;
END

# over what is attached, as it was some time ago
sql($node, 'CREATE DATABASE clean TEMPLATE template0');
command_ok([ 'pg_restore', '-e', '-d', $node->connstr('clean'), "$dir/custom" ], 'restored over: all');
command_ok([ 'pg_dump', '-Fc', '-t', 'shop."Orders"', '-f', "$dir/shop.custom", $node->connstr('clean') ], 'restored over: dump');
$node->safe_psql('clean', q(UPDATE shop."Orders" SET amount = 99 WHERE id < 100; DELETE FROM shop."Orders" WHERE id > 400;
    INSERT INTO shop."Orders" VALUES (900, 'X', 'x', 1); CALL "the ""hub""".feed(); CALL "the ""hub""".backfill_source('web shop')));
is($node->safe_psql('clean', 'SELECT count(*), sum(value) FROM "the ""hub""".touchpoints WHERE source = $$Orders$$'), '401|85052', 'restored over: what had changed');
command_ok([ 'pg_restore', '--clean', '--if-exists', '-e', '-d', $node->connstr('clean'), "$dir/shop.custom" ], 'restored over: restore');
is($node->safe_psql('clean', 'SELECT DISTINCT state FROM "the ""hub""".source_progress ORDER BY 1'), "attached\nchanged", 'restored over: state');
is($node->safe_psql('clean', <<'END') =~ s/\A\d+\n//r, "Orders|attached\nweb shop|attached\n500|125256\n300\n0", 'restored over: found again');
UPDATE shop."Orders" SET amount = amount + 1 WHERE id <= 6;
CALL "the ""hub""".feed();
SELECT source, state FROM "the ""hub""".source_progress ORDER BY 1;
SELECT count(*), sum(value) FROM "the ""hub""".touchpoints WHERE source = 'Orders';
SELECT count(*) FROM "the ""hub""".touchpoints WHERE source = 'web shop';
SELECT count(*) FROM "the ""hub""".stitch_check();
END

# a transaction that is prepared, and committed or rolled back later
is($node->safe_psql('postgres', <<'END') =~ s/^\d+\n//mgr, "1001:open", 'prepared transactions');
BEGIN;
INSERT INTO shop."Orders" VALUES (1001, 'P', 'p', 1);
PREPARE TRANSACTION 'one';
BEGIN;
INSERT INTO shop."Orders" VALUES (1002, 'P', 'p', 1);
PREPARE TRANSACTION 'two';
CALL "the ""hub""".feed();
COMMIT PREPARED 'one';
ROLLBACK PREPARED 'two';
CALL "the ""hub""".feed();
SELECT string_agg(source_key || ':open', ' ') FROM "the ""hub""".touchpoints WHERE source = 'Orders' AND source_key::int > 1000;
END

# a hub beside a logical replica, which only row triggers tell what the subscription does
sql($node, 'CREATE DATABASE replica');
$node->safe_psql('replica', 'CREATE TABLE visits (id int PRIMARY KEY, visitor text, at timestamptz, page text)');
sql($node, q(CREATE TABLE visits (id int PRIMARY KEY, visitor text, at timestamptz, page text);
    INSERT INTO visits VALUES (1, 'a', '2026-01-01', 'x'), (2, 'b', '2026-01-01', 'y');
    CREATE PUBLICATION visits FOR TABLE visits; SELECT pg_create_logical_replication_slot('visits', 'pgoutput')));
$node->safe_psql('replica', q(CREATE EXTENSION pg_journey; SELECT journey_create_hub('crm')));
my $attach = q(SELECT crm.attach_source('visits', '{"occurred_at": "at", "channel": "''web''", "action": "page", "identifiers": {"c": "visitor"}}', feed => '%s'));
$node->safe_psql('replica', sprintf $attach, 'row');
$node->safe_psql('replica', "CREATE SUBSCRIPTION visits CONNECTION '" . $from =~ s/'/''/gr . "' PUBLICATION visits WITH (create_slot = false, slot_name = 'visits')");
$node->wait_for_subscription_sync($node, 'visits', 'replica');
sql($node, q(INSERT INTO visits VALUES (3, 'c', '2026-01-02', 'z'); UPDATE visits SET page = 'changed' WHERE id = 1; DELETE FROM visits WHERE id = 2));
$node->wait_for_catchup('visits');
my $has = q(CALL crm.feed(); SELECT string_agg(source_key || action, ' ' ORDER BY source_key) FROM crm.touchpoints);
is($node->safe_psql('replica', $has) =~ s/\A\d+\n//r, '1changed 3z', 'logical replica: fed by row');
sql($node, 'TRUNCATE visits');
$node->wait_for_catchup('visits');
is($node->safe_psql('replica', "$has; SELECT state FROM crm.source_progress") =~ s/\A\d+\n//r, "\nattached", 'logical replica: truncated');
$node->safe_psql('replica', q(SELECT crm.detach_source('visits', false);) . sprintf $attach, 'queued');
is($node->safe_psql('replica', 'SELECT state FROM crm.source_progress'), 'triggers disabled', 'logical replica: statement triggers would not fire');
$node->safe_psql('replica', 'ALTER SUBSCRIPTION visits DISABLE; ALTER SUBSCRIPTION visits SET (slot_name = NONE); DROP SUBSCRIPTION visits');

# a table in another database, through postgres_fdw: polled, with what is deleted found by resync_source
SKIP:
{
    skip 'no postgres_fdw', 2 if sql($node, q(SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw')) == 0;
    sql($node, q(INSERT INTO visits VALUES (1, 'a', now() - interval '1 h', 'x'), (2, 'b', now() - interval '1 h', NULL)));
    my ($host, $port) = ($node->host, $node->port);
    my $feed = q(CALL crm.feed(); SELECT string_agg(source_key || action, ' ' ORDER BY source_key) FROM crm.touchpoints WHERE source = 'far');
    is($node->safe_psql('replica', <<"END") =~ s/^\d*\n|^\(2,.*\n//mgr, '1x 2none 3y', 'foreign table: polled');
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
CREATE SCHEMA far;
IMPORT FOREIGN SCHEMA public LIMIT TO (visits) FROM SERVER far INTO far;
SELECT crm.attach_source('far.visits', '{"key": "id", "watermark": "at", "occurred_at": "at", "channel": "''web''", "action": "coalesce(page, ''none'')", "identifiers": {"c": "visitor"}}',
    source => 'far', feed => 'poll');
INSERT INTO far.visits VALUES (3, 'c', now(), 'y');
$feed;
END
    is($node->safe_psql('replica', "DELETE FROM far.visits WHERE id = 1; $feed; SELECT crm.resync_source('far'); SELECT count(*) FROM crm.check_source('far'); $feed") =~ s/^\d*\n//mgr,
        "1x 2none 3y\n2none 3y", 'foreign table: what is deleted');
}

# the extension goes, with all its hubs: it is no concern of who writes
is($node->safe_psql('clean', <<'END') =~ s/^\s*\n//mgr, '2', 'the extension is dropped');
SET client_min_messages = error;
DROP EXTENSION pg_journey CASCADE;
INSERT INTO shop."Orders" VALUES (2000, 'NEW', 'new', 5), (2001, 'NEW', 'new', 5);
UPDATE shop."Orders" SET amount = amount + 1;
DELETE FROM shop."Orders" WHERE id < 2000;
INSERT INTO shop.web VALUES ('2026-02-02', 1001, 'v1');
TRUNCATE shop.web;
SELECT count(*) FROM shop."Orders";
END

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
