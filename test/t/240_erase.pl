# Proves that erase() takes a person out of all that a hub keeps, and nobody else:
# - the law: whatever people shared, the partition of the others, and their touchpoints, are those of a hub that never
#   got what named the person;
# - a dump names nobody who was erased, each value looked for; restored, the hub knows them again and drops what comes;
# - eight writers replay those who are being erased, by every way in, rows of an attached table too, while others are
#   recorded, merged, fed and refreshed: nothing of the erased is left, the law holds, and the others have all that was
#   told of them;
# - an erasure that is interrupted has done nothing; one of a customer of many touchpoints takes no more memory.
# PGJ_SEED repeats a run, PGJ_RUNS sets the number of random worlds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(5, 300);
my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;

# ---- the law ----

sub quoted { return "'{" . join(',', map { qq("$_") } @_) . "}'" }
sub some_of { my ($most, @of) = @_; my @taken; push @taken, splice(@of, rand @of, 1) while @of && @taken < $most; return @taken }

for my $hub ('crm', 'reference')
{
    sql($node, "SELECT journey_create_hub('$hub'); SELECT count(*) FROM $hub.use_recommended_rules('PT');
        SELECT $hub.set_rule('till', priority => -1, shared_above => 2); UPDATE $hub.settings SET past_within = NULL");
}
sql($node, q{
CREATE TABLE event (n bigint GENERATED ALWAYS AS IDENTITY, world int, ids identifier[], at timestamptz);
CREATE FUNCTION partition(hub text, world int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    told text;
BEGIN
    EXECUTE format('SELECT string_agg(c.ids, E''\n'' ORDER BY c.ids)
                    FROM (SELECT string_agg(i.identifier || CASE WHEN i.shared THEN '' shared'' ELSE '''' END, '' '' ORDER BY i.identifier::text)
                                 || '': '' || coalesce((SELECT string_agg(t.source_key, '' '' ORDER BY t.source_key)
                                                      FROM %1$I.touchpoints t JOIN %1$I.identities o USING (identity_id)
                                                      WHERE o.customer_id = i.customer_id), '''') AS ids
                          FROM %1$I.identities i WHERE i.identifier::text ~ $1 GROUP BY i.customer_id) c', hub)
    INTO told USING ':w' || world || '-';
    RETURN told;
END $$;
CREATE FUNCTION erase_of(world int, person text, OUT same boolean, OUT own boolean, OUT wrong bigint, OUT theirs text, OUT should_be text)
LANGUAGE plpgsql AS $$
DECLARE
    gone identifier[];
BEGIN
    CREATE TEMP TABLE known AS SELECT i.identifier FROM crm.identities i WHERE i.identifier::text ~ (':w' || world || '-');
    PERFORM crm.erase(crm.customer_of(identifier('account', person)), 'test');
    gone := array(SELECT k.identifier FROM known k EXCEPT SELECT i.identifier FROM crm.identities i);
    DROP TABLE known;
    -- all that is the person's own, and nothing that is another's own
    own := identifier('account', person) = ANY (gone) AND identifier('email', person || '@x.pt') = ANY (gone)
           AND NOT EXISTS (SELECT FROM unnest(gone) g(i) WHERE identifier_namespace(g.i) IN ('account', 'email') AND g.i::text !~ (person || '(@|$)'));
    PERFORM reference.record(e.ids, e.at, 'web', 'view', source => 's', source_key => e.n::text)
    FROM event e WHERE e.world = erase_of.world AND NOT e.ids && gone;
    wrong := (SELECT count(*) FROM crm.stitch_check());
    theirs := partition('crm', world);
    should_be := partition('reference', world);
    same := theirs IS NOT DISTINCT FROM should_be;
END $$;
});

my $people = 0;
for my $world (1 .. $runs)
{
    my @persons = map { "w$world-$_" } 'a' .. any(qw(b c d e));
    my @devices = map { "$_:w$world-" . int(rand 3) } ('cookie') x 3, ('till') x 2, ('phone') x 1;
    my (@values, $at);
    # each owns an account and an address, which are told at once; everything else in any order
    push @values, map { [ "account:$_", "email:$_\@x.pt" ] } @persons;
    for (1 .. 3 + int rand 12)
    {
        my $who = any(@persons);
        push @values, [ some_of(1 + int rand 2, "account:$who", "email:$who\@x.pt"), some_of(int rand 3, @devices) ];
        push @values, [ any(@devices) ] if rand() < 0.2;
    }
    my $person = any(@persons);
    my $script = join '', map { sprintf "INSERT INTO event (world, ids, at) VALUES (%d, %s, '2026-01-01Z'::timestamptz + %d * interval '1 minute');\n", $world, quoted(@$_), int rand 9 } @values;
    $script .= "SELECT crm.record(e.ids, e.at, 'web', 'view', source => 's', source_key => e.n::text) FROM event e WHERE world = $world ORDER BY "
      . any('n', 'n DESC', 'md5(n::text)') . ";\n";
    $script .= "SELECT crm.must_link('account:$person', 'card:w$world-1');\n" if rand() < 0.2;
    $script .= "SELECT crm.refresh();\n" if rand() < 0.3;
    sql($node, $script);
    my $told = sql($node, "SELECT * FROM erase_of($world, '$person')");
    $people++;
    if ($told !~ /^t\|t\|0\|/)
    {
        fail("world $world: $person");
        diag($told, "\n", $script);
        last;
    }
}
is($people, $runs, "$runs worlds: the others are as in a hub that never knew whom was erased, and the law holds");
is(sql($node, 'SELECT count(*) FROM crm.touchpoints t WHERE NOT EXISTS (SELECT FROM crm.identities i WHERE i.identity_id = t.identity_id)'), 0, 'no touchpoint is of nobody');
# packed journeys, as they are when all is packed anew
sql($node, 'SELECT crm.refresh()');
my $packed = 'SELECT md5(string_agg(customer_id || journey::text, E\'\n\' ORDER BY customer_id)) FROM crm.customer_journeys';
my $blocks = 'SELECT count(*), sum(journey_block_length(block)) FROM crm.current_blocks';
my ($was, $of_blocks) = (sql($node, $packed), sql($node, $blocks));
like($of_blocks, qr/\|(\d+)$/, 'blocks hold journeys');
is((split /\|/, $of_blocks)[1], sql($node, 'SELECT count(*) FROM crm.customer_journeys'), 'as many as there are');
sql($node, 'SELECT crm.refresh(rebuild => true)');
is(sql($node, $packed), $was, 'packed journeys are what they are when all are packed anew');

# ---- the storm ----

my ($erased, $kept) = (slowly(4, 6), slowly(8, 20));
sql($node, "
SELECT journey_drop_hub('crm', true), journey_drop_hub('reference', true), journey_create_hub('crm');
SELECT count(*) FROM crm.use_recommended_rules('PT');
SELECT crm.set_rule('till', priority => -1, shared_above => 2);
UPDATE crm.settings SET trait_history = true, erase_attached = 'detach';
CREATE TABLE talk (who int PRIMARY KEY, body text, at timestamptz);
SELECT crm.attach_source('talk', '{\"key\": \"who\", \"occurred_at\": \"at\", \"channel\": \"''chat''\", \"action\": \"''talk''\", \"subject\": \"body\",
    \"identifiers\": {\"account\": \"''p'' || who\", \"cookie\": \"''private'' || who\"}, \"traits\": {\"name\": \"body\"}, \"consents\": {\"news\": \"who % 2 = 0\"}}'::json);
CREATE FUNCTION events_of(who int) RETURNS SETOF crm.event LANGUAGE sql AS \$\$
    SELECT (CASE n WHEN 1 THEN ARRAY[identifier('account', 'p' || who), identifier('email', 'Secret' || who || '\@Mail.example')]
                   WHEN 2 THEN ARRAY[identifier('account', 'p' || who), identifier('cookie', 'tablet' || who % 5)]
                   WHEN 3 THEN ARRAY[identifier('email', 'secret' || who || '\@mail.example')]
                   ELSE ARRAY[identifier('cookie', 'private' || who), identifier('account', 'p' || who), identifier('till', 'till' || who % 3)] END,
            '2026-01-01Z'::timestamptz + n * interval '1 hour', 'web', 'view', n, 'EUR', 'in', 'talk of secret' || who, NULL, NULL, 'shop', 'order-secret' || who || '-' || n,
            jsonb_build_object('name', 'Name Secret' || who), 'subject secret' || who, NULL)::crm.event
    FROM generate_series(1, 4) n \$\$;
CREATE FUNCTION write_of(who int, how int) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    CASE how WHEN 0 THEN PERFORM crm.record(e.identifiers, e.occurred_at, e.channel, e.action, e.value, e.currency, e.direction, e.conversation, e.agent,
                                            e.campaign, e.source, e.source_key, e.attributes, e.subject, e.url) FROM events_of(who) e;
             WHEN 1 THEN PERFORM crm.record_many(array(SELECT e FROM events_of(who) e));
             WHEN 2 THEN PERFORM crm.identify(e.identifiers, e.occurred_at, 'seen', e.source_key) FROM events_of(who) e;
             WHEN 3 THEN PERFORM crm.set_traits(identifier('account', 'p' || who), jsonb_build_object('name', 'Name Secret' || who));
             WHEN 4 THEN PERFORM crm.ingest(jsonb_build_object('type', 'track', 'event', 'View', 'messageId', 'secret' || who, 'timestamp', '2026-01-05T00:00:00Z', 'userId', 'p' || who,
                                            'context', jsonb_build_object('traits', jsonb_build_object('email', 'secret' || who || '\@mail.example'))), 'segment');
             WHEN 5 THEN PERFORM crm.record(ARRAY[identifier('cookie', 'private' || who)], '2026-01-03Z', 'app', 'open');
             WHEN 7 THEN INSERT INTO talk VALUES (who, 'talk of secret' || who, '2026-01-06Z') ON CONFLICT ON CONSTRAINT talk_pkey DO UPDATE SET at = talk.at + interval '1 minute';
             ELSE PERFORM crm.identify_many(array(SELECT ROW(e.identifiers, e.occurred_at, 'seen', e.source_key)::crm.observation FROM events_of(who) e)); END CASE;
END \$\$;
SELECT write_of(p, h) FROM generate_series(1, $erased + $kept) p, generate_series(0, 7) h;
CALL crm.feed();
SELECT crm.ingest('{\"type\": \"track\", \"event\": \"\", \"userId\": \"secret' || p || '\@mail.example\"}', 'segment') FROM generate_series(1, $erased) p;
SELECT crm.refresh();
");
my $others = "SELECT md5(string_agg(e::text, E'\\n' ORDER BY p)) FROM generate_series($erased + 1, $erased + $kept) p, LATERAL (SELECT string_agg(t.source_key || t.occurred_at, ' ' ORDER BY t.touchpoint_id) "
  . "FROM crm.touchpoints t WHERE t.source_key ~ ('order-secret' || p || '-')) e";
my $before = sql($node, $others);
append_to_file("$dir/replay.sql", "\\set who random(1, $erased + $kept)\n\\set how random(0, 7)\nSELECT write_of(:who, :how);\n");
append_to_file("$dir/feed.sql", "CALL crm.feed();\n");
append_to_file("$dir/merge.sql", "\\set a random($erased + 1, $erased + $kept)\n\\set b random(1, $erased + $kept)\nSELECT crm.link(('cookie:private' || :a)::identifier, ('cookie:tablet' || :b % 5)::identifier, '2026-01-02Z', 'merge', :a || '-' || :b);\nSELECT crm.retract('merge', :a || '-' || :b);\n");
append_to_file("$dir/refresh.sql", "SELECT crm.refresh();\n");
my $writers = IPC::Run::start([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', slowly(25, 1500), '-f', "$dir/replay.sql\@12", '-f', "$dir/merge.sql\@2", '-f', "$dir/refresh.sql\@1", '-f', "$dir/feed.sql\@1",
        '-d', $node->connstr('postgres') ], '>', \my $bench_out, '2>', \my $bench_error);
for my $p (1 .. $erased)
{
    my ($status, $out, $error) = $node->psql('postgres', "SET lock_timeout = '60s'; SELECT " . ($p % 3 ? 'crm.erase' : 'crm.anonymize') . "(crm.customer_of('account:p$p'), 'storm')");
    is($status, 0, "person $p is erased among eight writers") or diag($error);
}
$writers->finish;
is(join("\n", grep { !/^pgbench \(|^(?:pgbench: )?warning/ } grep { /error|abort|ERROR/i } split /\n/, $bench_error), '', 'no writer failed');
sql($node, "SELECT write_of(p, h) FROM generate_series(1, $erased + $kept) p, generate_series(0, 7) h; CALL crm.feed(); SELECT crm.refresh()");
is(sql($node, "SELECT count(*) FROM crm.touchpoints t WHERE t.source = 'talk' AND t.source_key::int <= $erased"), 0, 'what the attached table says of the erased is not fed');
is(sql($node, "SELECT count(DISTINCT identity_id) FROM crm.consents WHERE source = 'talk'"), $kept, 'but of the others');
is(sql($node, 'SELECT count(*) FROM crm.stitch_check()'), 0, 'the law holds');
is(sql($node, $others), $before, 'the others have what they had');
cmp_ok(sql($node, 'SELECT sum(touchpoints) FROM crm.suppressed_by_day'), '>=', 4 * $erased, 'what was dropped is counted');

# ---- the dump, and what is restored of it ----

sub named_in
{
    my ($path) = @_;
    my $dump = slurp_file($path);
    return join ' ', grep { $dump =~ /(?<![0-9a-z])$_(?![0-9])/i } map { ("secret$_", "p$_", "private$_", "Name Secret$_") } 1 .. $erased;
}
command_ok([ 'pg_dump', '--schema', 'crm', '-f', "$dir/dump", $node->connstr('postgres') ], 'the hub is dumped');
is(named_in("$dir/dump"), '', 'the dump names nobody who was erased');
like(slurp_file("$dir/dump"), qr/secret@{[$erased + 1]}/, 'but the others');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/whole", $node->connstr('postgres') ], 'all is dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '-e', '-d', $node->connstr('restored'), "$dir/whole" ], 'and restored');
$node->safe_psql('restored', "SELECT write_of(p, h) FROM generate_series(1, $erased) p, generate_series(0, 6) h");
command_ok([ 'pg_dump', '--schema', 'crm', '-f', "$dir/again", $node->connstr('restored') ], 'dumped again after a replay');
is(named_in("$dir/again"), '', 'the restored hub knows whom it was told to forget');

# an old backup: the marks are brought over, and the erasures done again
$node->safe_psql('restored', "CREATE TABLE marks AS TABLE crm.suppressions; DELETE FROM crm.suppressions;
    SELECT write_of(p, h) FROM generate_series(1, $erased) p, generate_series(0, 7) h; CALL crm.feed(); SELECT crm.refresh(); INSERT INTO crm.suppressions TABLE marks; DROP TABLE marks;
    SELECT crm.reapply_erasures()");
is($node->safe_psql('restored', 'SELECT count(*) FROM crm.stitch_check()'), 0, 'erased again: the law holds');
command_ok([ 'pg_dump', '--schema', 'crm', '-f', "$dir/old", $node->connstr('restored') ], 'dumped');
is(named_in("$dir/old"), '', 'and nobody is named');

# ---- much, and halfway ----

my $many = slowly(2000, 100000);
sql($node, "SELECT crm.record_many(array_agg(ROW(ARRAY[identifier('account', 'much'), identifier('cookie', 'much' || n % 50)], '2026-01-01Z'::timestamptz + n * interval '1 second', 'web', 'view', n, 'EUR',
    NULL, 'talk ' || n / 10, NULL, NULL, 'shop', 'much-' || n, '{\"a\": 1}', NULL, NULL)::crm.event)) FROM generate_series(1, $many) n; SELECT crm.refresh()");
my $state = "SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (SELECT identity_id || ' ' || touchpoint_id FROM crm.touchpoints UNION ALL SELECT identities::text FROM crm.evidence "
  . "UNION ALL SELECT identifier::text FROM crm.identities UNION ALL SELECT source_key FROM crm.touchpoint_keys UNION ALL SELECT encode(mark, 'hex') FROM crm.suppressions) s(x)";
my $whole = sql($node, $state);
my ($status, $out, $error) = $node->psql('postgres', "BEGIN; SELECT crm.erase(crm.customer_of('account:much'), 'halfway'); SELECT pg_terminate_backend(pg_backend_pid())");
isnt($status, 0, 'a session ends before it commits');
is(sql($node, $state), $whole, 'nothing has gone');
($status, $out, $error) = $node->psql('postgres', "SET statement_timeout = '5ms'; SELECT crm.erase(crm.customer_of('account:much'), 'halfway')");
is(sql($node, $state), $whole, 'nor when it is cancelled');
SKIP:
{
    skip 'no /proc to read memory from', 1 if !-e "/proc/$$/status";
    my $peak = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int};
    my $memory = sql($node, "SELECT crm.erase(crm.customer_of('account:p@{[$erased + 1]}'), 'first'); $peak; SELECT crm.erase(crm.customer_of('account:much'), 'much') IS NOT NULL; $peak");
    my (undef, $first, undef, $then) = split /\n/, $memory;
    cmp_ok($then - $first, '<', 128 * 1024, "$many touchpoints took " . ($then - $first) . ' kB');
}
is(sql($node, q{SELECT count(*) FROM crm.touchpoints WHERE source_key ~ '^much-'}), 0, 'and are gone');
is(sql($node, 'SELECT count(*) FROM crm.stitch_check()'), 0, 'the law holds');
is(crashes($node), '', 'nothing crashed');
$node->stop;
done_testing();
