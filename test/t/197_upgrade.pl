# An upgrade gives what a fresh installation gives. A version 0.2.0 is made of this one, which changes one of each kind: a
# function has another parameter, one another column, one is gone; views have a column in the middle; tables have other
# columns; triggers, policies, rights, comments and rows that come with a hub change; and a C function that hubs call has
# another signature. Hubs with all that users add come through it, or stay whole where an upgrade fails.
use strict;
use warnings;
use File::Basename;
use File::Copy;
use File::Path 'make_path';
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The server, with a directory of extensions that can be written
my $config = $ENV{PG_CONFIG} || 'pg_config';
my ($bin, $share, $lib) = split /\n/, `$config --bindir --sharedir --pkglibdir`;
my @prefix;
{
    my ($b, $s) = ([ split m{/}, $bin ], [ split m{/}, $share ]);
    push @prefix, shift @$b and shift @$s while @$b && @$s && $b->[0] eq $s->[0];
}
my $prefix = join '/', @prefix;
my $root = PostgreSQL::Test::Utils::tempdir . '/pg';
my ($new_bin, $new_share, $new_lib) = map { my $p = $_; $p =~ s/^\Q$prefix\E//; "$root$p" } $bin, $share, $lib;
make_path($new_bin, "$new_share/extension", dirname($new_lib));
symlink $lib, $new_lib or die $!;
symlink $_, "$new_share/" . basename($_) foreach grep { !m{/extension$} } glob "$share/*";
symlink $_, "$new_share/extension/" . basename($_) foreach grep { !/pg_journey/ } glob "$share/extension/*";
foreach (glob "$bin/*") {
    my $name = basename($_);
    if ($name =~ /^(postgres|initdb|pg_ctl)$/) {
        copy($_, "$new_bin/$name") or die $!;
        chmod 0755, "$new_bin/$name";
    }
    else {
        symlink $_, "$new_bin/$name";
    }
}

my $control = slurp_file("$share/extension/pg_journey.control");
my ($old_version) = $control =~ /default_version = '(.*)'/;
my $version = '9.0.0';
my $old = slurp_file("$share/extension/pg_journey--$old_version.sql");

# The next version: each change must find what it changes
my $new = $old;
sub change
{
    my ($what, $make) = @_;
    die "nothing is like $what" unless $new =~ s/$what/$make->()/ge;
}
sub after { my ($what, $text) = @_; return change(qr/(\Q$what\E)/, sub { $1 . $text }) }
sub instead { my ($what, $text) = @_; return change(qr/\Q$what\E/, sub { $text }) }

instead("(hub_version) VALUES ('$old_version')", "(hub_version) VALUES ('$version')");
# a parameter, of a function that policies call; a column of a function's; a function that is gone
after("besides name DEFAULT ''", ', more boolean DEFAULT false');
instead('hides_rows(regclass, name)', 'hides_rows(regclass, name, boolean)');
after('unlisted_columns(OUT relation text, OUT column_name text', ', OUT note text');
after('SELECT c.relname::text, a.attname::text', ", 'none'");
instead('wrong_forms', 'other_forms');
# columns in the middle of views, of which others are made; and what the table has that is read
instead('SELECT m.identity_id, m.customer_id, m.member_from,', 'SELECT m.identity_id, m.customer_id, 1 AS weight, m.member_from,');
instead("SELECT i.identity_id, i.customer_id, i.member_since, NULL FROM", 'SELECT i.identity_id, i.customer_id, 2, i.member_since, NULL FROM');
instead('SELECT t.channel, t.touchpoints, t.first_at, t.last_at', 'SELECT t.channel, 0 AS rank, t.touchpoints, t.first_at, t.last_at');
instead('SELECT c.channel, c.label, c.kind, c.ownership, c.service, true AS is_known', 'SELECT c.channel, c.label, c.kind, c.ownership, c.region, true AS is_known');
instead('.dim_channels.service IS', '.dim_channels.region IS');
# columns of tables, which a migration changes
change(qr/(CREATE TABLE \@hub\@\.channels \(\n)/, sub { $1 . "    region text DEFAULT 'here',\n" });
change(qr/(CREATE TABLE \@hub\@\.rejected \(.*?)items text\[\] NOT NULL/s, sub { $1 . 'items varchar(9999)[] NOT NULL' });
change(qr/(CREATE TABLE \@hub\@\.queues \(.*?)    label text,\n/s, sub { $1 });
$new =~ s/^COMMENT ON COLUMN \@hub\@\.queues\.label IS.*?;\n//ms or die;
after("('settings', '{one_row,", 'more,');
instead("('channels', '{channel,", "('channels', '{region,channel,");
change(qr/(hub_version text NOT NULL,\n)/, sub { "$1    more integer NOT NULL DEFAULT 1,\n" });
change(qr/(CREATE TABLE \@hub\@\.agent_queues)/, sub { "CREATE TABLE \@hub\@.shifts (shift text PRIMARY KEY);\n$1" });
# triggers, policies, comments, rights
instead('TRIGGER check_target BEFORE INSERT OR UPDATE ON', 'TRIGGER check_targets BEFORE UPDATE ON');
instead('ON @hub@.noted_waits FOR DELETE USING (true)', 'ON @hub@.noted_waits FOR DELETE USING (1 = 1)');
instead("IS 'name of the hub; an error if", "IS 'name of this hub; an error if");
change(qr/(COMMENT ON FUNCTION \@hub\@\.see_triggers\(integer\) IS [^;]*;)/, sub { "$1\nREVOKE EXECUTE ON FUNCTION \@hub\@.see_triggers(integer) FROM PUBLIC;" });
# rows that come with a hub: one changes, one comes, one goes
instead("('web', 'Web site'", "('web', 'Site'");
instead("('app', 'App', 'digital', 'owned', 'self-service'),\n", "('kiosk 2', 'Kiosk', 'physical', 'owned', 'self-service'),\n");
instead("('email', 'E-mail'", "('email', 'Mail'");
instead("'of a robot, not a customer'", "'of a robot'");
instead("'null', 'nil', 'none', 'undefined',", "'null', 'nil', 'none', 'undefined', 'nowhere',");
# C: another parameter, of what a view of the hub calls
my $own_head = "CREATE FUNCTION journey_own(journey, not_own text[] DEFAULT '{}', more integer DEFAULT 0) RETURNS journey\nAS 'MODULE_PATHNAME'";
change(qr/CREATE FUNCTION journey_own\(journey, not_own text\[\] DEFAULT '\{\}'\) RETURNS journey\nAS 'MODULE_PATHNAME'/, sub { $own_head });
instead('journey_own(journey, text[])', 'journey_own(journey, text[], integer)');
instead('(SELECT @hub@.not_own_actions())) AS journey', '(SELECT @hub@.not_own_actions()), 1) AS journey');

my $migration = <<'END';
ALTER TABLE @hub@.channels ADD COLUMN region text DEFAULT 'here';
ALTER TABLE @hub@.rejected ALTER COLUMN items TYPE varchar(9999)[];
ALTER TABLE @hub@.queues DROP COLUMN label;
DELETE FROM @hub@.personal_data p WHERE p.relation = 'queues' AND p.column_name = 'label';
ALTER TABLE @hub@.settings ADD COLUMN more integer NOT NULL DEFAULT 1;
CREATE TABLE @hub@.shifts (shift text PRIMARY KEY);
END
change(qr/(^, \('85_access', \$part\$)/m, sub { ", ('migration $version', \$part\$$migration\$part\$)\n, ('migration 0.0.1', \$part\$never run\$part\$)\n$1" });

# The upgrade script: what is new of it
my ($template) = $new =~ /(CREATE FUNCTION journey_hub_template\(.*\z)/s;
$template =~ s/^CREATE FUNCTION/CREATE OR REPLACE FUNCTION/;
my ($own_whole) = $new =~ /(CREATE FUNCTION journey_own\(.*?;)/s;
my ($own_comment) = $new =~ /(COMMENT ON FUNCTION journey_own\(.*?;)/s;
my $upgrade = "SELECT \@extschema\@.journey_retire('\@extschema\@.journey_own(\@extschema\@.journey, text[])');\n$own_whole\n$own_comment\n$template";
append_to_file("$new_share/extension/pg_journey--$old_version.sql", $old);
append_to_file("$new_share/extension/pg_journey--$version.sql", $new);
append_to_file("$new_share/extension/pg_journey--$old_version--$version.sql", $upgrade);
append_to_file("$new_share/extension/pg_journey.control", $control);

# Everything there is of a schema, a line each; columns by name, because migrations add theirs at the end
sub catalog
{
    my ($node, $database, $schema) = @_;
    return $node->safe_psql($database, <<"END");
SET search_path = $schema, public;
CREATE TEMP VIEW relations AS SELECT * FROM pg_class WHERE relnamespace = '$schema'::regnamespace;
SELECT line FROM (
SELECT concat_ws(' ', 'function', pg_get_functiondef(oid), proacl, obj_description(oid, 'pg_proc')) FROM pg_proc
WHERE pronamespace = '$schema'::regnamespace AND prokind <> 'a'
UNION ALL SELECT concat_ws(' ', 'relation', relname, relkind, relrowsecurity, relreplident, reloptions, relacl, obj_description(oid, 'pg_class'),
                           CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) END) FROM relations
UNION ALL SELECT concat_ws(' ', 'column', relname, attname, CASE WHEN relkind = 'v' THEN attnum END, format_type(atttypid, atttypmod), attnotnull, attacl,
                           col_description(c.oid, attnum), (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
FROM pg_attribute JOIN relations c ON c.oid = attrelid WHERE attnum > 0 AND NOT attisdropped AND relkind <> 'i'
UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid)) FROM pg_index JOIN relations c ON c.oid = indrelid
UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
WHERE connamespace = '$schema'::regnamespace AND conrelid <> 0
UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t JOIN relations c ON c.oid = tgrelid WHERE NOT tgisinternal
UNION ALL SELECT concat_ws(' ', 'policy', relname, polname, polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
FROM pg_policy JOIN relations c ON c.oid = polrelid) s(line) ORDER BY line COLLATE "C"
END
}
sub rows
{
    my ($node, $database, $schema) = @_;
    return $node->safe_psql($database, join ';', map { "SELECT '$_', to_jsonb(t) FROM $schema.$_ t ORDER BY 2" }
        qw(formats identifier_rules resolved_rules channels actions trait_rules contact_rules personal_data settings template_objects))
        =~ s/("rules_changed_at": )"[^"]*"/$1/r;
}
my $extension = <<'END';
SELECT pg_describe_object(classid, objid, 0), CASE WHEN classid = 'pg_proc'::regclass THEN (SELECT pg_get_functiondef(oid) FROM pg_proc WHERE oid = objid AND prokind <> 'a') END,
       obj_description(objid, classid::regclass::name)
FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_journey') AND deptype = 'e'
ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C"
END
sub same
{
    my ($got, $expected, $what) = @_;
    return ok(1, $what) if $got eq $expected;
    my %expected = map { $_ => 1 } split /\n/, $expected;
    my %got = map { $_ => 1 } split /\n/, $got;
    diag "got $_" foreach grep { !$expected{$_} } sort keys %got;
    diag "not got $_" foreach grep { !$got{$_} } sort keys %expected;
    return ok(0, $what);
}
sub refused
{
    my ($node, $query) = @_;
    my $error = '';
    $node->psql('postgres', $query, stderr => \$error);
    return $error;
}

my $node = PostgreSQL::Test::Cluster->new('main', install_path => dirname($new_bin));
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "jit = off\nfsync = off\n");
$node->start;

# what users have
sql($node, <<"END");
CREATE ROLE keeper;
CREATE ROLE analyst;
CREATE ROLE reader;
CREATE EXTENSION pg_journey;
GRANT CREATE ON DATABASE postgres TO keeper;
SET ROLE keeper;
SELECT journey_create_hub('plain');
SELECT journey_create_hub('My "Hub"');
RESET ROLE;
CREATE SCHEMA bi AUTHORIZATION analyst;
GRANT USAGE ON SCHEMA "My ""Hub""" TO analyst, reader;
GRANT SELECT ON ALL TABLES IN SCHEMA "My ""Hub""" TO analyst;
SET ROLE keeper;
SET search_path = "My ""Hub""", public;
SELECT record('{c:1,d:1}', '2026-01-01Z', 'web', 'view'), record('{c:nowhere,d:2}', '2026-01-02Z', 'odd', 'buy'), record('{c:nowhere,d:3}', '2026-01-02Z', 'odd', 'buy');
ALTER TABLE channels ADD COLUMN own text DEFAULT 'mine';
ALTER TABLE touchpoints ADD COLUMN own text DEFAULT 'mine';
UPDATE channels SET own = 'ours' WHERE channel = 'web';
UPDATE channels SET label = 'Post' WHERE channel = 'email';
DELETE FROM formats WHERE format = 'snowplow' AND reason IS NOT NULL AND rule = (SELECT min(rule) FROM formats WHERE format = 'snowplow' AND reason IS NOT NULL);
INSERT INTO formats (format, rule, condition, makes) VALUES ('own', 1, '/a', 'nothing');
CREATE VIEW own_view WITH (security_barrier = true) AS SELECT m.customer_id, count(*) AS parts FROM memberships m GROUP BY 1;
CREATE VIEW own_view_of_it AS SELECT o.*, u.channel FROM own_view o LEFT JOIN unknown_channels u ON true;
CREATE VIEW own_rows AS SELECT m FROM memberships m;
COMMENT ON VIEW own_view IS 'mine';
COMMENT ON COLUMN own_view.parts IS 'how many';
GRANT SELECT ON own_view TO reader WITH GRANT OPTION;
GRANT SELECT (channel) ON dim_channels TO reader;
GRANT SELECT ON memberships TO reader;
GRANT EXECUTE ON FUNCTION hides_rows(regclass, name) TO reader;
REVOKE EXECUTE ON FUNCTION hides_rows(regclass, name) FROM PUBLIC;
CREATE FUNCTION own_function(c bigint) RETURNS SETOF bigint LANGUAGE sql BEGIN ATOMIC SELECT m.identity_id FROM memberships m WHERE m.customer_id = own_function.c; END;
CREATE FUNCTION wrong_forms(of text) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION own_trigger_function() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.own := ''by trigger''; RETURN NEW; END';
CREATE TRIGGER own_trigger BEFORE INSERT ON channels FOR EACH ROW EXECUTE FUNCTION own_trigger_function();
CREATE FUNCTION own_instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER own_instead INSTEAD OF DELETE ON dim_channels FOR EACH ROW EXECUTE FUNCTION own_instead();
CREATE POLICY own_policy ON spend AS RESTRICTIVE TO reader USING (NOT hides_rows('touchpoints'));
COMMENT ON POLICY own_policy ON spend IS 'mine, too';
ALTER TABLE spend ENABLE ROW LEVEL SECURITY;
SET ROLE analyst;
CREATE VIEW bi.report AS SELECT d.channel, d.label, d.is_known FROM "My ""Hub""".dim_channels d;
GRANT SELECT ON bi.report TO reader;
END
my $own = <<'END';
SET search_path = "My ""Hub""", public;
SELECT pg_get_userbyid(relowner), relname, relacl, reloptions, obj_description(oid, 'pg_class') FROM pg_class WHERE relname IN ('own_view', 'own_view_of_it', 'own_rows', 'report') ORDER BY relname;
SELECT * FROM own_view_of_it WHERE customer_id IN (1, 3) ORDER BY 1;
SELECT col_description('own_view'::regclass, 2), pg_get_viewdef('own_view'), pg_get_viewdef('own_rows'), pg_get_viewdef('bi.report');
SELECT channel, own FROM channels WHERE own <> 'mine' AND channel <> 'kiosk 2';
SELECT count(*), min(own) FROM touchpoints;
SELECT pg_get_functiondef('own_function'::regproc), wrong_forms('x'), (SELECT count(*) FROM own_function(1));
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'own_%' ORDER BY 1;
SELECT polname, polcmd, polroles::regrole[], polpermissive, obj_description(oid, 'pg_policy') FROM pg_policy WHERE polname = 'own_policy';
SELECT has_column_privilege('reader', 'dim_channels', 'channel', 'SELECT'), has_table_privilege('reader', 'memberships', 'SELECT'),
       (SELECT bool_and(has_function_privilege('reader', oid, 'EXECUTE')) AND NOT bool_or(has_function_privilege('public', oid, 'EXECUTE')) FROM pg_proc
        WHERE proname = 'hides_rows' AND pronamespace = '"My ""Hub"""'::regnamespace);
SELECT * FROM formats WHERE format = 'own';
SELECT label FROM channels WHERE channel = 'email';
SELECT count(*) FROM stitch_check();
END
my $before = sql($node, $own);

# the extension: what hubs call stays until they do not
sql($node, "ALTER EXTENSION pg_journey UPDATE TO '$version'");
like(refused($node, 'SELECT * FROM "My ""Hub""".own_journeys'), qr/was replaced when pg_journey was upgraded.*journey_upgrade_hub/s, 'what hubs call says what to do');
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', "CREATE EXTENSION pg_journey VERSION '$version'; SET ROLE keeper; RESET ROLE; GRANT CREATE ON DATABASE fresh TO keeper; SET ROLE keeper; SELECT journey_create_hub('plain')");

# upgrades that fail change nothing
my $whole = catalog($node, 'postgres', '"My ""Hub"""') . rows($node, 'postgres', '"My ""Hub"""');
my $hub_oids = q(SELECT md5(string_agg(oid::text || ' ' || proname, ',' ORDER BY oid)) FROM pg_proc WHERE pronamespace = '"My ""Hub"""'::regnamespace);
my $oids = sql($node, $hub_oids);
my $call = q(SELECT journey_upgrade_hub('My "Hub"'));
sub fails
{
    my ($make, $like, $undo, $what) = @_;
    sql($node, "SET search_path = \"My \"\"Hub\"\"\", public; $make");
    like(refused($node, $call), $like, "$what is refused");
    sql($node, "SET search_path = \"My \"\"Hub\"\"\", public; $undo");
}
fails('CREATE MATERIALIZED VIEW stored AS SELECT * FROM dim_channels', qr/In the way: materialized view .*stored/, 'DROP MATERIALIZED VIEW stored', 'what cannot be made again');
fails('CREATE VIEW uses AS SELECT service FROM dim_channels', qr/view .*uses would not work any more.*service/s, 'DROP VIEW uses', 'a view of what is no more');
fails('CREATE FUNCTION uses() RETURNS SETOF memberships LANGUAGE sql BEGIN ATOMIC SELECT * FROM memberships; END', qr/function .*uses\(\) would not work any more/,
    'DROP FUNCTION uses()', 'a function that returns the former rows');
fails('CREATE FUNCTION other_forms() RETURNS integer LANGUAGE sql RETURN 1', qr/has what version \S+ brings.*other_forms/s, 'DROP FUNCTION other_forms()', 'what has a name of the new version');
fails(<<'END', qr/division by zero/, 'DROP FUNCTION journey_hub_template(); ALTER FUNCTION good_template() RENAME TO journey_hub_template', 'what raises at the end');
ALTER FUNCTION journey_hub_template() RENAME TO good_template;
CREATE FUNCTION public.journey_hub_template(OUT part text, OUT script text) RETURNS SETOF record LANGUAGE sql
AS $$SELECT t.part, t.script || CASE WHEN t.part LIKE '85%' THEN 'SELECT 1 / 0' ELSE '' END FROM public.good_template() t$$;
END
like(refused($node, "SET ROLE keeper; $call"), qr/In the way: view bi\.report/, 'views of others are in the way of who may not become these');
same(catalog($node, 'postgres', '"My ""Hub"""') . rows($node, 'postgres', '"My ""Hub"""'), $whole, 'after all that the hub is whole');
is(sql($node, $hub_oids), $oids, 'and the same');

# the upgrade
sql($node, $call);
is(sql($node, $own), $before, 'what users have is as it was');
is(sql($node, q(SELECT string_agg(c.channel || ' ' || c.label || ' ' || c.region, ', ' ORDER BY c.channel) FROM "My ""Hub""".channels c WHERE c.channel IN ('web', 'app', 'kiosk 2', 'email'))),
    'email Post here, kiosk 2 Kiosk here, web Site here', 'rows that nobody changed are what they are now');
is(sql($node, q(SELECT count(DISTINCT customer_id) FROM "My ""Hub""".identities WHERE identifier::text ~ '^d:[23]')), 2, 'and customers by the rules of now');
sql($node, q(SELECT journey_upgrade_hub('plain')));
same(catalog($node, 'postgres', 'plain'), catalog($node, 'fresh', 'plain'), 'a hub that was upgraded is as a new one');
same(rows($node, 'postgres', 'plain'), rows($node, 'fresh', 'plain'), 'and so are its rows');
same(sql($node, $extension), $node->safe_psql('fresh', $extension), 'and so is the extension');

# once more nothing changes; older ones are refused
sql($node, q(SELECT journey_upgrade_hub('plain')));
same(catalog($node, 'postgres', 'plain') . rows($node, 'postgres', 'plain'), catalog($node, 'fresh', 'plain') . rows($node, 'fresh', 'plain'), 'once more, and nothing changes');
sql($node, q(UPDATE plain.settings SET hub_version = '10.0'));
like(refused($node, q(SELECT journey_upgrade_hub('plain'))), qr/hub plain is newer than the extension/, 'a hub is not downgraded');

done_testing();
