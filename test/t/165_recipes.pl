# The recipes: nine applications' tables, retyped (test/recipes), attached by a few lines of mapping each. The
# application writes as a role that has no right in the hub, as it writes without one: it gets the same rows and no
# error, and a dump of its own schema needs neither hub nor extension. What the hub makes of it, after CALL feed(),
# is what test/recipes/APPLICATION.out says; RECIPES_OUT=FOLDER keeps what it was.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = "$FindBin::RealBin/../recipes";
my $node = start_server('recipes');
my %schema = (map({ $_ => $_ } qw(chatwoot zammad odoo medusa listmonk umami keycloak asterisk)), gotrue => 'auth');
sql($node, 'CREATE ROLE application LOGIN');
sql($node, 'CREATE DATABASE hub');

# Runs files in a database; what they print, if they run without an error
sub run_files
{
    my ($db, $role, @files) = @_;
    my ($out, $err) = ('', '');
    my $script = "SET timezone = 'UTC';\n" . ($role ? "SET SESSION AUTHORIZATION $role;\n" : '') . join('', map { "\\i '$dir/$_'\n" } @files);
    my $status = $node->psql($db, $script, stdout => \$out, stderr => \$err, on_error_stop => 1,
        extra_params => [ '--pset=format=aligned', '--pset=tuples_only=off' ]);
    is($status, 0, "$db: @files run without an error") or diag $err;
    $out =~ s/[ \t]+$//mg;
    return $out;
}

# All rows of a schema but for what differs by itself
sub rows_of
{
    my ($db, $schema) = @_;
    my $query = $node->safe_psql($db, "SELECT string_agg(format('SELECT %L AS t, (to_jsonb(r) - ''uuid'')::text AS row FROM %s r', c.oid::regclass, c.oid::regclass), ' UNION ALL ')
        FROM pg_class c WHERE c.relnamespace = '$schema'::regnamespace AND c.relkind = 'r'");
    return $node->safe_psql($db, "SELECT * FROM ($query) s ORDER BY 1, 2");
}

sub fed
{
    my ($db) = @_;
    my ($out, $err) = ('', '');
    $node->psql($db, 'CALL crm.feed()', stdout => \$out, stderr => \$err);
    is($err, '', "$db: feed() has nothing to complain of");
    is($node->safe_psql($db, q{SELECT part, state, pending, last_error FROM crm.source_progress WHERE state <> 'attached' OR pending > 0 OR last_error IS NOT NULL}), '',
        "$db: all parts are attached, and nothing waits");
    is($node->safe_psql($db, 'SELECT DISTINCT s.source, c.* FROM (SELECT DISTINCT source FROM crm.sources) s, crm.check_source(s.source) c'), '', "$db: the hub says what the tables say");
    is($node->safe_psql($db, 'SELECT count(*) FROM crm.stitch_check()'), '0', "$db: what is stitched follows from the evidence");
}

# Hubs are alike, and take a while to make
run_files('hub', undef, 'hub.sql');
sub create_database
{
    my ($db, $with_hub) = @_;
    my $template = $with_hub ? 'TEMPLATE hub' : '';
    $node->safe_psql('postgres', "CREATE DATABASE $db $template; GRANT CREATE ON DATABASE $db TO application");
}

for my $app (sort keys %schema)
{
    my $schema = $schema{$app};
    for my $db ("bare_$app", $app)
    {
        create_database($db, $db eq $app);
        run_files($db, 'application', "$app.sql");
    }
    my @agents = -e "$dir/${app}_agents.sql" ? "${app}_agents.sql" : ();
    run_files($app, undef, "${app}_attach.sql", @agents);
    run_files($_, 'application', "${app}_play.sql") for "bare_$app", $app;
    is(rows_of($app, $schema), rows_of("bare_$app", $schema), "$app has the same rows with and without the hub");
    is($node->safe_psql($app, "SELECT count(*) FROM pg_roles WHERE rolname = 'application' AND has_schema_privilege(oid, 'crm', 'usage')"), '0', "$app has no rights in the hub");
    fed($app);

    my $out = run_files($app, undef, 'show.sql');
    if ($ENV{RECIPES_OUT}) { append_to_file("$ENV{RECIPES_OUT}/$app.out", $out) }
    is($out, slurp_file("$dir/$app.out"), "$app: timeline, conversations and customers");
    unlike($out, qr/$app\.\w+:/, "$app: no internal keys");

    # The application's own backup
    my $dump = $node->basedir . "/$app.dump";
    $node->command_ok([ 'pg_dump', '-n', $schema, '-f', $dump, $node->connstr($app) ], "$app is dumped");
    $node->safe_psql('postgres', "CREATE DATABASE restored_$app");
    $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr("restored_$app") ], "$app is restored where there is no hub");
    is(rows_of("restored_$app", $schema), rows_of($app, $schema), "$app is restored whole");
    my ($table, $column) = split /\|/, $node->safe_psql("restored_$app",
        "SELECT tgrelid::regclass, a.attname FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = 1 WHERE NOT tgisinternal ORDER BY 1 LIMIT 1");
    ok($table, "$app: its triggers are restored with it");
    is($node->safe_psql("restored_$app", "SET ROLE application; UPDATE $table SET $column = $column; DELETE FROM $table WHERE false; SELECT 'written'"), 'written',
        "$app goes on without a hub");
}

# One customer in three applications
create_database('three', 1);
my @three = qw(chatwoot medusa asterisk);
run_files('three', 'application', "$_.sql") for @three;
run_files('three', undef, map({ "${_}_attach.sql" } @three), 'asterisk_agents.sql');
run_files('three', 'application', "${_}_play.sql") for @three;
fed('three');
my $out = run_files('three', undef, 'show.sql');
if ($ENV{RECIPES_OUT}) { append_to_file("$ENV{RECIPES_OUT}/three.out", $out) }
is($out, slurp_file("$dir/three.out"), 'one customer in three applications');

# Detached without their touchpoints, nothing is left of them, and the applications' tables are as they were
is($node->safe_psql('three', 'SELECT bool_and(crm.detach_source(source, keep => false)) FROM (SELECT DISTINCT source FROM crm.sources) s'), 't', 'all are detached');
is($node->safe_psql('three', "SELECT (SELECT count(*) FROM crm.touchpoints), (SELECT count(*) FROM crm.evidence WHERE retracted_at IS NULL), (SELECT count(*) FROM crm.traits),
    (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ 'chatwoot|medusa|asterisk'),
    (SELECT count(*) FROM pg_proc WHERE pronamespace::regnamespace::text IN ('chatwoot', 'medusa', 'asterisk'))"), '0|0|0|0|0', 'and nothing of them is left');

# An application in another database, by foreign tables that are polled
my ($host, $port) = ($node->host, $node->port);
create_database('far', 1);
$node->safe_psql('far', <<"END");
CREATE EXTENSION postgres_fdw;
CREATE SERVER app FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'bare_listmonk');
CREATE USER MAPPING FOR CURRENT_USER SERVER app;
CREATE SCHEMA listmonk;
CREATE TYPE listmonk.subscriber_status AS ENUM ('enabled', 'disabled', 'blocklisted');
IMPORT FOREIGN SCHEMA listmonk LIMIT TO (subscribers, campaign_views) FROM SERVER app INTO listmonk;
SELECT crm.attach_source('listmonk.subscribers', source => 'listmonk', part => 'subscribers', feed => 'poll', mapping => \$\${
    "key": "id", "watermark": "updated_at", "makes": ["evidence", "traits"], "references": {"listmonk.subscriber": "id"},
    "identifiers": {"email": "email"}, "traits": {"name": "name"}, "occurred_at": "created_at", "traits_at": "updated_at"}\$\$);
SELECT crm.attach_source('listmonk.campaign_views', source => 'listmonk', part => 'views', feed => 'poll', mapping => \$\${
    "key": "id", "watermark": "created_at", "occurred_at": "created_at", "channel": "'email'", "action": "'opened'",
    "where": "subscriber_id IS NOT NULL", "references": {"listmonk.subscriber": "subscriber_id"}}\$\$);
END
$node->safe_psql('bare_listmonk', q{INSERT INTO listmonk.subscribers (uuid, email, name) VALUES (gen_random_uuid(), 'eva@example.pt', 'Eva');
    UPDATE listmonk.subscribers SET name = 'Ana Ribeiro', updated_at = now() WHERE email = 'ana@example.pt';
    INSERT INTO listmonk.campaign_views (campaign_id, subscriber_id) SELECT 2, id FROM listmonk.subscribers WHERE name = 'Eva'});
fed('far');
my $profiles = q{SELECT p.traits ->> 'name' AS name, count(t.touchpoint_id) FROM crm.customer_profile p LEFT JOIN crm.timeline t USING (customer_id) GROUP BY 1 ORDER BY 1};
is($node->safe_psql('far', $profiles), "Ana Ribeiro|1\nEva|1\nRui Costa|1", 'what another database holds is polled');
$node->safe_psql('bare_listmonk', q{DELETE FROM listmonk.subscribers WHERE name = 'Eva'});
$node->safe_psql('far', 'CALL crm.feed()');
is($node->safe_psql('far', q{SELECT part, problem FROM crm.check_source('listmonk') ORDER BY 1}), "subscribers|too many", 'what is deleted there is not, but check_source finds it');
is($node->safe_psql('far', q{SELECT crm.resync_source('listmonk') > 0}), 't', 'resync_source mends it');
is($node->safe_psql('far', $profiles), "Ana Ribeiro|1\nRui Costa|1\n|0", 'of her there is an address left, until settings say that it is forgotten');

$node->stop;
done_testing();
