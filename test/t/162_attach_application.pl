# Proves that a hub says what an application's tables say, after a storm on them: two tables that are
# parts of one source, one partitioned, both with a lookup whose rows change, with status changes that
# are touchpoints of their own and with traits. Clients change keys, cascade, merge, move rows between
# partitions, truncate, attach, detach and drop partitions, disable triggers for a while, prepare
# transactions, roll back to savepoints, and delete rows and insert others under their keys, while
# several feeders, refresh, maintain and backfills run, are terminated and killed. What the hub should
# have is worked out by plain SQL over the application's tables, and by a log of the application's own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'sleep';

use constant { CLIENTS => 3, CHANGES => slowly(1000, 60000), TERMINATED => slowly(3, 40), KILLED => slowly(1, 4) };

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
$node->append_conf('postgresql.conf', <<'END');
log_line_prefix = '%m [%p] app=%a state=%e '
deadlock_timeout = '200ms'
max_connections = 30
max_prepared_transactions = 10
restart_after_crash = on
END
$node->restart;

sql($node, <<'END');
SELECT journey_create_hub('hub');
CREATE SCHEMA app;
SET search_path = app, public;
CREATE SEQUENCE new_id START 1000;
CREATE SEQUENCE change;
CREATE TABLE customers (id integer PRIMARY KEY, email text, name text, unused integer);
CREATE TABLE tickets (id integer PRIMARY KEY, customer_id integer REFERENCES customers ON UPDATE CASCADE ON DELETE SET NULL,
    status integer NOT NULL DEFAULT 0, updated timestamptz NOT NULL DEFAULT now(), unused integer);
CREATE TABLE lines (bucket integer, id integer, customer_id integer, total numeric, sent boolean DEFAULT true, unused integer,
    at timestamptz NOT NULL DEFAULT now() - random() * interval '20 days', PRIMARY KEY (bucket, id)) PARTITION BY LIST (bucket);
CREATE TABLE lines_0 PARTITION OF lines FOR VALUES IN (0);
CREATE TABLE lines_1 (at timestamptz NOT NULL, total numeric, gone int, id integer NOT NULL, sent boolean, unused integer, customer_id integer,
    bucket integer NOT NULL);
ALTER TABLE lines_1 DROP COLUMN gone;
ALTER TABLE lines ATTACH PARTITION lines_1 FOR VALUES IN (1);
CREATE INDEX ON tickets (customer_id);
CREATE INDEX ON lines (customer_id);
INSERT INTO customers SELECT i, CASE WHEN i % 4 > 0 THEN 'e' || i END, 'n' || i FROM generate_series(1, 60) i;
INSERT INTO tickets SELECT i, i % 60 + 1 FROM generate_series(1, 80) i;
INSERT INTO lines (bucket, id, customer_id, total) SELECT i % 2, i, i % 60 + 1, i FROM generate_series(1, 120) i;

-- what the application knows of changes: those of rows there are, of the same key since they were inserted
CREATE TABLE log (id integer, status integer, at timestamptz);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM app.log;
    ELSIF TG_OP = 'DELETE' OR NEW.id <> OLD.id THEN
        DELETE FROM app.log l WHERE l.id = OLD.id;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.status <> OLD.status THEN
        INSERT INTO app.log VALUES (NEW.id, NEW.status, NEW.updated);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER log AFTER UPDATE OR DELETE ON tickets FOR EACH ROW EXECUTE FUNCTION log();
CREATE TRIGGER log_all AFTER TRUNCATE ON tickets FOR EACH STATEMENT EXECUTE FUNCTION log();
-- and what it touches again when it is touched
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE app.tickets t SET status = 1 WHERE t.id = NEW.id AND NEW.unused % 10 = 3 AND t.status <> 1;
    RETURN NULL;
END $$;
CREATE TRIGGER touch AFTER UPDATE OF unused ON tickets FOR EACH ROW EXECUTE FUNCTION touch();

SELECT hub.attach_source('tickets', '{"makes": "evidence", "channel": "''desk''", "conversation": "id",
    "references": {"desk.ticket": "id"}, "identifiers": {"crm": "customer_id", "email": "customer.email"},
    "lookups": {"customer": "customers(id = customer_id)"}, "traits": {"name": "customer.name"},
    "on_change": {"column": "status", "at": "updated", "actions": {"0": "reopened", "1": "resolved", "2": "closed"}}}',
    source => 'desk', part => 'tickets');
SELECT hub.attach_source('lines', '{"occurred_at": "at", "channel": "''shop''", "action": "''line''", "value": "total",
    "identifiers": {"crm": "customer_id", "email": "customer.email"}, "lookups": {"customer": "customers(id = customer_id)"},
    "where": "sent", "subject": "coalesce(customer.name, ''nobody'')"}', source => 'desk', part => 'lines', backfill => false);
CREATE ROLE application LOGIN;
GRANT USAGE ON SCHEMA app TO application;
GRANT ALL ON ALL TABLES IN SCHEMA app TO application;
GRANT ALL ON ALL SEQUENCES IN SCHEMA app TO application;
END

my $choose = "\\set t random(1, 80)\n\\set l random(1, 120)\n\\set c random(1, 60)\n\\set n random(0, 99)\n";
my %script = (
    status => 'UPDATE app.tickets SET status = (:n % 4), updated = clock_timestamp() WHERE id = :t;',
    twice => 'BEGIN; UPDATE app.tickets SET status = 2, updated = clock_timestamp() WHERE id = :t;
        UPDATE app.tickets SET status = 0, updated = clock_timestamp() WHERE id = :t; COMMIT;',
    point => 'UPDATE app.tickets SET customer_id = (SELECT max(id) FROM app.customers WHERE id <= :c) WHERE id = :t;',
    touched => 'UPDATE app.tickets SET unused = :n WHERE id = :t;',
    renewed => 'BEGIN; DELETE FROM app.tickets WHERE id = :t; INSERT INTO app.tickets (id, status) VALUES (:t, :n % 3) ON CONFLICT DO NOTHING; COMMIT;',
    gone => 'DELETE FROM app.tickets WHERE id = :t;',
    back => 'INSERT INTO app.tickets (id, status) VALUES (:t, 0) ON CONFLICT (id) DO UPDATE SET status = 1 - least(app.tickets.status, 1), updated = clock_timestamp();',
    key => q(UPDATE app.tickets SET id = nextval('app.new_id') WHERE id = :t;),
    email => q(UPDATE app.customers SET email = NULLIF('e' || :c + :n % 3, 'e0') WHERE id = :c;),
    name => q(UPDATE app.customers SET name = 'm' || :n WHERE id BETWEEN :c AND :c + 2;),
    unused => 'UPDATE app.customers SET unused = :n WHERE id = :c;',
    moved => 'UPDATE app.customers SET id = id + 100 * (CASE WHEN id > 100 THEN -1 ELSE 1 END) WHERE id IN (:c, :c + 100)
        AND NOT EXISTS (SELECT FROM app.customers x WHERE x.id IN (:c, :c + 100) HAVING count(*) > 1);',
    left => 'DELETE FROM app.customers WHERE id = :c;',
    came => q(INSERT INTO app.customers VALUES (:c, 'e' || :c, 'back') ON CONFLICT DO NOTHING;),
    line => q(INSERT INTO app.lines (bucket, id, customer_id, total) VALUES (:n % 2, nextval('app.new_id'), :c, :n);),
    lines => q(INSERT INTO app.lines (bucket, id, customer_id, total) SELECT i % 2, nextval('app.new_id'), :c + i, CASE i WHEN 3 THEN 'NaN'::numeric ELSE i END FROM generate_series(1, 5) i;),
    move => 'UPDATE app.lines SET bucket = 1 - bucket WHERE id = :l AND bucket < 2;',
    total => 'UPDATE app.lines SET total = total + 1, sent = :n % 5 > 0 WHERE id BETWEEN :l AND :l + 3;',
    direct => 'UPDATE app.lines_1 SET total = :n WHERE id BETWEEN :l AND :l + 2;',
    merge => 'MERGE INTO app.lines x USING (SELECT i FROM generate_series(:l, :l + 4) i) v ON x.id = v.i AND x.bucket = v.i % 2
        WHEN MATCHED AND :n % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET customer_id = :c
        WHEN NOT MATCHED THEN INSERT (bucket, id, customer_id, total) VALUES (v.i % 2, v.i, :c, 1);',
    saved => 'BEGIN; UPDATE app.lines SET total = 0 WHERE id = :l; SAVEPOINT a; UPDATE app.tickets SET status = 2 WHERE id = :t;
        DELETE FROM app.lines WHERE id = :l; ROLLBACK TO a; UPDATE app.lines SET unused = :n WHERE id = :l; COMMIT;',
    undone => 'BEGIN; DELETE FROM app.tickets WHERE id = :t; UPDATE app.lines SET customer_id = :c WHERE id = :l; ROLLBACK;',
    repeatable => 'BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE app.lines SET total = total + 1 WHERE id = :l; COMMIT;',
    serializable => 'BEGIN ISOLATION LEVEL SERIALIZABLE; DELETE FROM app.lines WHERE id = :l; COMMIT;',
    prepared => q(SELECT nextval('app.new_id') AS gid \gset
        BEGIN; UPDATE app.lines SET total = total + 2 WHERE id = :l; INSERT INTO app.lines (bucket, id, customer_id) VALUES (0, :gid, :c);
        PREPARE TRANSACTION ':gid'; COMMIT PREPARED ':gid';),
    unprepared => q(SELECT nextval('app.new_id') AS gid \gset
        BEGIN; DELETE FROM app.lines WHERE id = :l; PREPARE TRANSACTION ':gid'; ROLLBACK PREPARED ':gid';),
);
my %weight = (status => 8, twice => 2, renewed => 2, name => 3, line => 3, total => 3);
for (sort keys %script)
{
    write_bytes("$dir/$_", $choose . ($script{$_} =~ s/\s*\n\s*/\n/gr =~ s/^(?!.*gset)(.*)$/$1/gmr) . "\n");
}
my @mix = map { ('-f', "$dir/$_\@" . ($weight{$_} // 1)) } grep { $weight{$_} // 1 } sort keys %script;

# By the tables' owner, one after the other; one that does not come to a lock is tried another time
my @ddl = (
    q(CREATE TABLE app.lines_2 (LIKE app.lines INCLUDING ALL); INSERT INTO app.lines_2 (bucket, id, customer_id, total) SELECT 2, 5000 + i, i, i FROM generate_series(1, 20) i;
      GRANT ALL ON app.lines_2 TO application; ALTER TABLE app.lines ATTACH PARTITION app.lines_2 FOR VALUES IN (2)),
    q(UPDATE app.lines_2 SET total = 7 WHERE id % 3 = 0; BEGIN; TRUNCATE app.tickets; INSERT INTO app.tickets (id, status) SELECT i, i % 2 FROM generate_series(1, 80, 2) i;
      UPDATE app.tickets SET status = 2, updated = clock_timestamp() WHERE id = 3; COMMIT),
    q(ALTER TABLE app.lines DETACH PARTITION app.lines_2; UPDATE app.lines_2 SET total = 9 WHERE id % 3 = 1; DELETE FROM app.lines_2 WHERE id % 5 = 0;
      ALTER TABLE app.lines ATTACH PARTITION app.lines_2 FOR VALUES IN (2)),
    q(BEGIN; ALTER TABLE app.lines_0 DISABLE TRIGGER ALL; UPDATE app.lines SET total = 11 WHERE bucket = 0 AND id % 7 = 0; ALTER TABLE app.lines_0 ENABLE TRIGGER ALL; COMMIT),
    q(BEGIN; ALTER TABLE app.customers DISABLE TRIGGER USER; UPDATE app.customers SET name = 'silent' WHERE id % 9 = 0; ALTER TABLE app.customers ENABLE TRIGGER USER; COMMIT),
    q(BEGIN; ALTER TABLE app.tickets RENAME updated TO changed; ALTER TABLE app.tickets RENAME changed TO updated; COMMIT; ALTER TABLE app.lines ALTER total TYPE numeric(12,2)),
    q(ALTER TABLE app.lines DETACH PARTITION app.lines_2),
    q(DROP TABLE app.lines_2),
);

sub start { return IPC::Run::start([@_], '>', '/dev/null', '2>', '/dev/null') }
sub ask { my ($status, $out) = $node->psql('postgres', $_[0]); return $status == 0 ? $out : undef }
my $connection = $node->connstr('postgres');
my @other = (
    (q(CALL hub.feed(forever => true))) x 2,
    q(CALL hub.backfill_source('desk')),
    q(SELECT hub.refresh()),
    q(CALL hub.maintain(made => 0, dropped => 0, postponed => 0)));
my ($terminated, $killed, $turns, $ddl, $done, $rounds) = (0, 0, 0, 0, 0, 0);
my (@client, @busy);
while ($terminated < TERMINATED || $killed < KILLED || $done < CHANGES || $ddl < @ddl)
{
    for (0 .. CLIENTS - 1)
    {
        next if $client[$_] && $client[$_]->pumpable;
        eval { $client[$_]->finish } if $client[$_];
        $client[$_] = start('pgbench', '-n', '-c1', '-t2000', '--max-tries=5', '--random-seed=' . (1000 * $PgJourney::SEED + ++$turns), @mix,
            "$connection user=application application_name=client");
    }
    for (0 .. $#other)
    {
        next if $busy[$_] && $busy[$_]->pumpable;
        eval { $busy[$_]->finish } if $busy[$_];
        $busy[$_] = start('psql', '-Xq', '-d', "$connection application_name=hub", '-c', $other[$_]);
    }
    sleep 0.1;
    $done = ask('SELECT last_value FROM hub.feed_notes_note_id_seq') // $done;
    last if ++$rounds > slowly(400, 9000);
    if ($ddl < @ddl && $done > CHANGES * $ddl / (@ddl + 1))
    {
        my ($status, $out, $error) = $node->psql('postgres', "SET lock_timeout = '2s'; SET application_name = 'client'; $ddl[$ddl]");
        $ddl++ if $status == 0;
        $ddl++ if $status != 0 && $error =~ /already exists|is already a partition|is not a partition/;
    }
    if ($killed < KILLED && $done > CHANGES * ($killed + 1) / (KILLED + 1))
    {
        my $pid = ask(q(SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL hub.feed%' ORDER BY pid LIMIT 1));
        if ($pid)
        {
            $killed++;
            kill 'KILL', $pid;
            sleep 0.2 until defined ask('SELECT 1');
        }
    }
    # of clients that are gone, as transaction managers do
    ask("COMMIT PREPARED '$_'") for split /\n/, ask(q(SELECT gid FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - interval '1 s')) // '';
    if (rand() < 0.3)
    {
        my $pid = ask(q(SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND application_name = 'hub' ORDER BY random() LIMIT 1));
        $terminated++ if $pid && (ask("SELECT pg_terminate_backend($pid)") // '') eq 't';
    }
}
for (@client, @busy) { $_->kill_kill if $_ }
ask(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('hub', 'client')));
$node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name IN ('hub', 'client')));
ask(qq(ROLLBACK PREPARED '$_')) for split /\n/, sql($node, 'SELECT gid FROM pg_prepared_xacts');
cmp_ok($done, '>=', CHANGES, 'the application has changed much');
is("$killed $ddl", KILLED . ' ' . @ddl, 'a feeder was killed, and the application changed');
note "before: " . sql($node, 'SELECT string_agg(p::text, $$ $$) FROM hub.source_progress p');
sql($node, q(CALL hub.backfill_source('desk')));
sql($node, 'CALL hub.feed()');
is(sql($node, 'SELECT part, state, pending, last_error FROM hub.source_progress ORDER BY 1'), "lines|attached|0|\ntickets|attached|0|", 'nothing is left to be fed');
is(sql($node, q(SELECT * FROM hub.check_source('desk') LIMIT 5)), '', 'check_source finds nothing');

# The hub against the application, without functions of the hub
my $who = q((SELECT array_agg(DISTINCT w ORDER BY w) FROM unnest(ARRAY['crm:' || x.customer_id, 'email:' || nullif(c.email, '')%s]) w WHERE w IS NOT NULL));
my %should = (
    lines => qq(SELECT 'lines:' || ROW(x.bucket, x.id)::text AS key, x.at, 'line' AS action, x.total, coalesce(c.name, 'nobody') AS subject
        FROM app.lines x LEFT JOIN app.customers c ON c.id = x.customer_id WHERE x.sent AND x.total IS DISTINCT FROM 'NaN' AND (x.customer_id IS NOT NULL OR c.email IS NOT NULL)),
    changes => q(SELECT 'tickets:' || l.id AS key, l.at, (ARRAY['reopened', 'resolved', 'closed'])[l.status + 1] AS action
        FROM app.log l WHERE l.status < 3),
    evidence => 'SELECT * FROM (SELECT ' . q('lines:' || ROW(x.bucket, x.id)::text AS key, ) . sprintf($who, '') . q( AS people
        FROM app.lines x LEFT JOIN app.customers c ON c.id = x.customer_id WHERE x.sent AND x.total IS DISTINCT FROM 'NaN'
        UNION ALL SELECT 'tickets:' || x.id, ) . sprintf($who, q(, 'desk.ticket:' || x.id)) . q{
        FROM app.tickets x LEFT JOIN app.customers c ON c.id = x.customer_id) s WHERE cardinality(people) > 1},
    traits => q(SELECT 'tickets:' || x.id AS key, to_jsonb(c.name) AS name FROM app.tickets x JOIN app.customers c ON c.id = x.customer_id WHERE c.name <> ''),
    rejects => q(SELECT 'lines:' || ROW(x.bucket, x.id)::text AS key FROM app.lines x LEFT JOIN app.customers c ON c.id = x.customer_id
        WHERE x.sent AND (x.total = 'NaN' OR x.customer_id IS NULL AND c.email IS NULL)),
);
my %is = (
    lines => q(SELECT source_key, occurred_at, action, value, subject FROM hub.touchpoints WHERE source = 'desk' AND source_key ~ '^lines'),
    changes => q(SELECT regexp_replace(source_key, '/status/\d+$', ''), occurred_at, action FROM hub.touchpoints WHERE source = 'desk' AND source_key ~ '^tickets'),
    evidence => q(SELECT regexp_replace(source_key, '#\d+$', ''), (SELECT array_agg(DISTINCT i.identifier::text ORDER BY i.identifier::text) FROM hub.identities i WHERE i.identity_id = ANY (e.identities))
        FROM hub.evidence e WHERE source = 'desk' AND retracted_at IS NULL AND source_key !~ '/status/' AND cardinality(e.identities) > 1),
    traits => q(SELECT source_key, value FROM hub.traits WHERE source = 'desk'),
    rejects => q(SELECT source_key FROM hub.source_rejects WHERE source = 'desk'),
);
for (sort keys %is)
{
    cmp_ok(sql($node, "SELECT count(*) FROM ($should{$_}) s"), '>', 0, "$_: there are some") if $_ ne 'rejects';
    is(sql($node, "SELECT * FROM (($is{$_}) EXCEPT ALL ($should{$_})) s ORDER BY 1 LIMIT 5"), '', "$_: nothing too much");
    is(sql($node, "SELECT * FROM (($should{$_}) EXCEPT ALL ($is{$_})) s ORDER BY 1 LIMIT 5"), '', "$_: nothing is missing");
}
is(sql($node, <<'END'), '', 'touchpoints are whose the rows say');
SELECT t.source_key, i.identifier FROM hub.touchpoints t JOIN hub.identities i USING (identity_id) JOIN app.lines l ON t.source_key = 'lines:' || ROW(l.bucket, l.id)::text
    LEFT JOIN app.customers c ON c.id = l.customer_id
WHERE i.identifier::text NOT IN (coalesce('crm:' || l.customer_id, ''), coalesce('email:' || c.email, '')) LIMIT 5
END
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'customers are what a rebuild gives');

my %state;
for (split /\n/, slurp_file($node->logfile))
{
    $state{"$1 $2"}++ if /app=(\w*) state=(\w{5}) (?:ERROR|FATAL|PANIC):/;
}
# terminated; killed along with another; starting up; lost; serialization; a lock not had, by backfill_source too; of clients among themselves: a deadlock, a key or table there was
delete @state{ grep { /57P01|57P02|57P03|08006|08P01|08003|40001|55P03/ || /^client (40P01|23505|23503|42P07|42P17|42P01|42809)/ || /^ 57/ } keys %state };
is_deeply(\%state, {}, 'no other errors in the log');
$node->stop;
done_testing();
