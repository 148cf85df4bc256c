# Proves that pg_dump and pg_restore bring hubs back as they are: tables row for row,
# functions and views that work, a user's own index, grant and policy in the hub; and that
# the hub goes on from there: it is what a rebuild gives, knows what it knew, and numbers
# new identities without a clash.
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
SELECT setseed(0.5);
CREATE ROLE hub_owner;
CREATE ROLE hub_reader;
GRANT CREATE ON DATABASE postgres TO hub_owner;
SELECT journey_create_hub('empty');
SET ROLE hub_owner;
SELECT journey_create_hub('größe "x"');
SET search_path = "größe ""x""", public;
SELECT set_rule('crm', priority => 9, max_per_customer => 1), set_rule('tab', shared_above => 3), set_quarantine_above(200),
       set_rule('email', normalizer => 'email', blocked => ARRAY['~^spam', 'o''brien\@example.com', 'ação']);
SELECT cardinality(identify_many(array_agg((ARRAY[identifier(n, (k / 8)::text), identifier('c', k::text)], now() - i * interval '1 h', 'x', i::text)::observation)))
FROM (SELECT i, (ARRAY['crm', 'tab', 'c', 'email'])[ceil(random() * 4)] AS n, ceil(random() * 400)::int AS k FROM generate_series(1, 600) i) s;
SELECT identify(ARRAY['email:Ana@EXAMPLE.com', 'email:ação', 'c:"quoted" \ and '' 日本']::identifier[], source_key => E'a\tkey \\ ''');
SELECT must_link('c:1', 'c:300'), cannot_link('c:2', 'c:3');
SELECT retract('x', i::text) FROM generate_series(1, 60) i;
RESET search_path;
CREATE INDEX own_index ON "größe ""x""".evidence (observed_at);
CREATE VIEW "größe ""x""".own_view AS SELECT count(*) FROM "größe ""x""".stitch_check();
GRANT USAGE ON SCHEMA "größe ""x""" TO hub_reader;
GRANT SELECT ON "größe ""x""".customers TO hub_reader;
ALTER TABLE "größe ""x""".customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY large ON "größe ""x""".customers TO hub_reader USING (identities > 1);
END

my @tables = split /\n/, sql($node, <<'END');
SELECT relname FROM pg_class WHERE relnamespace = '"größe ""x"""'::regnamespace AND relkind IN ('r', 'v')
       AND relname NOT IN ('own_view', 'stitch_report') ORDER BY 1
END
my %checks = (
    (map { $_ => qq(SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) FROM "größe ""x""".$_ t) } @tables),
    report => 'SELECT finding, identifier, other, identities, reason FROM "größe ""x""".stitch_report ORDER BY 1, 2, 3',
    check => 'SELECT count(*) FROM "größe ""x""".stitch_check()',
    own => 'SELECT * FROM "größe ""x""".own_view',
    why => q(SELECT * FROM "größe ""x""".why('c:1', 'c:300')),
    known => q(SELECT "größe ""x""".customer_of('email:ana@example.com') = "größe ""x""".customer_of('c:"quoted" \ and '' 日本')),
    reader => 'SET ROLE hub_reader; SELECT count(*) FROM "größe ""x""".customers',
    empty => q(SELECT count(*), (SELECT count(*) FROM empty.stitch_check()) FROM empty.identities),
    parts => <<'END',
SELECT nspname, count(*), md5(string_agg(d, chr(10) ORDER BY d))
FROM (SELECT pronamespace AS n, pg_get_functiondef(oid) || coalesce(obj_description(oid, 'pg_proc'), '') AS d FROM pg_proc WHERE prokind = 'f'
      UNION ALL SELECT relnamespace, relname || coalesce(obj_description(oid, 'pg_class'), '') || coalesce(reloptions::text, '')
                       || pg_get_userbyid(relowner) || coalesce(relacl::text, '') FROM pg_class
      UNION ALL SELECT relnamespace, attname || coalesce(col_description(c.oid, attnum), '') FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
                WHERE attnum > 0) s JOIN pg_namespace ON pg_namespace.oid = n
WHERE nspname IN ('empty', 'größe "x"') GROUP BY 1 ORDER BY 1
END
);
my %before = map { $_ => sql($node, $checks{$_}) } keys %checks;
like($before{former_memberships}, qr/^[1-9]\d+\|/, 'there is a history');
like($before{identity_pairs}, qr/^2\|/, 'there are pairs');
is($before{check}, 0, 'the hub is what a rebuild gives');
is($before{known}, 't', 'the hub knows');

# a new identity, a merge and an undo, as they come out in a hub
my $goes_on = <<'END';
SELECT "größe ""x""".identify('{new:1,new:2}', source_key => 'new') = max(identity_id) + 1 FROM "größe ""x""".identities;
SELECT "größe ""x""".retract('x', '100'), "größe ""x""".set_rule('tab', shared_above => 5) >= 0, "größe ""x""".stitch_all();
SELECT count(*) FROM "größe ""x""".stitch_check();
SELECT journey_upgrade_hub('größe "x"'), journey_drop_hub('empty');
END
my $from = $node->connstr('postgres');
my %dump = (
    plain => [ [ 'pg_dump', '-f', "$dir/plain", $from ], [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain" ] ],
    custom => [ [ 'pg_dump', '-Fc', '-f', "$dir/custom", $from ], [ 'pg_restore', '-e', "$dir/custom" ] ],
    directory => [ [ 'pg_dump', '-Fd', '-j2', '-f', "$dir/directory", $from ], [ 'pg_restore', '-e', '-j2', "$dir/directory" ] ],
);
for my $name (sort keys %dump)
{
    my ($dump, $restore) = @{ $dump{$name} };
    sql($node, "CREATE DATABASE $name TEMPLATE template0");
    command_ok($dump, "$name: dump");
    command_ok([ @$restore, '-d', $node->connstr($name) ], "$name: restore");
    is($node->safe_psql($name, $checks{$_}), $before{$_}, "$name: $_") for sort keys %checks;
    is($node->safe_psql($name, $goes_on), "t\nt|t|0\n0\n|", "$name: the hub goes on");
}

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
