# Proves that attached tables are dumped and restored with their hub, in each form of dump, and
# go on from there: their triggers feed the hub, a backfill that was interrupted is completed,
# and detaching leaves nothing behind. Restoring records nothing twice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
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
END

my $state = <<'END';
SELECT source, relation, state, rows_done FROM "the ""hub""".source_progress ORDER BY 1;
SELECT count(*), count(DISTINCT source_key), sum(value) FROM "the ""hub""".touchpoints;
SELECT source_key, sqlstate FROM "the ""hub""".source_rejects;
SELECT count(*) FROM "the ""hub""".evidence;
SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ 'shop';
SELECT obj_description(oid) FROM pg_proc WHERE proname ~ '^(map|key)_' ORDER BY 1;
END
my $goes_on = <<'END';
INSERT INTO shop."Orders" VALUES (600, 'NEW', 'new', 5);
UPDATE shop."Orders" SET amount = amount + 1, email = 'x' || id WHERE id < 10;
UPDATE shop."Orders" SET "Customer" = 'found' WHERE id = 501;
DELETE FROM shop."Orders" WHERE id BETWEEN 20 AND 30;
INSERT INTO shop.web_1 VALUES ('v1', 1000, '2026-02-01');
DELETE FROM shop.web WHERE id = 7;
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
for my $name (sort keys %dump)
{
    my ($dump, $restore) = @{ $dump{$name} };
    sql($node, "CREATE DATABASE $name TEMPLATE template0");
    command_ok($_, "$name: dump") for @$dump;
    command_ok([ @$_, '-d', $node->connstr($name) ], "$name: restore") for @$restore;
    is($node->safe_psql($name, $state), $before, "$name: it is as it was");
    is($node->safe_psql($name, $goes_on) =~ s/^\|?\n//mgr =~ s/^\(\d{3},\d{3},0\)\n//mgr, "Orders|attached\nweb shop|attached\n0\n0\nt\nt\n0\n0", "$name: it goes on");
}

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
