# Proves that background workers feed, refresh and maintain the hubs that ask for one, as their owners; that they stop when told to,
# go on after errors, follow a hub that is renamed, and start where a standby is promoted.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_journey'\npg_journey.worker = on\n");
$node->restart;

# a worker comes at the next search, and a search when the configuration is read
sub search { $_[0]->reload }
sub comes { my ($server, $query, $what) = @_; ok($server->poll_query_until('postgres', $query), $what) }

sql($node, <<'END');
CREATE ROLE keeper LOGIN;
CREATE ROLE nobody NOLOGIN;
CREATE SCHEMA shop AUTHORIZATION keeper;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO keeper, nobody', current_database()); END $$;
SET ROLE keeper;
SELECT journey_create_hub('crm'), journey_create_hub('quiet');
CREATE TABLE shop.orders (id bigint PRIMARY KEY, email text, total int, at timestamptz NOT NULL);
SELECT crm.attach_source('shop.orders', '{"occurred_at": "at", "channel": "''store''", "action": "''buy''", "value": "100 / total",
    "identifiers": {"email": "email"}}');
UPDATE crm.settings SET worker = true, refresh_every = '1 ms', maintain_every = '1 ms';
INSERT INTO shop.orders VALUES (1, 'ana@x.pt', 10, now());
END
is(sql($node, q{SELECT detail ~ 'does not run' FROM crm.health WHERE topic = 'worker'}), 't', 'health: it is asked for, and there is none yet');
search($node);
comes($node, q{SELECT count(*) = 1 FROM crm.touchpoints}, 'a row is fed');
comes($node, q{SELECT count(*) = 1 FROM crm.customer_journeys}, 'and packed');
comes($node, q{SELECT bool_and(error IS NULL) AND count(*) = 2 FROM crm.work_done WHERE task <> 'look'}, 'the hub is refreshed and maintained');
is(sql($node, q{SELECT usename, application_name FROM pg_stat_activity WHERE backend_type = 'pg_journey worker'}),
    'keeper|pg_journey worker for hub crm', 'there is one worker, a session of the owner');
is(sql($node, q{SELECT detail FROM crm.health WHERE topic = 'worker'}), 'it runs', 'health says so');

# whoever writes, and more than once
sql($node, <<'END');
CREATE ROLE clerk LOGIN;
GRANT USAGE ON SCHEMA shop TO clerk;
GRANT INSERT ON shop.orders TO clerk;
SET ROLE clerk;
INSERT INTO shop.orders SELECT n, 'c' || n || '@x.pt', 10, now() FROM generate_series(2, 500) n;
INSERT INTO shop.orders VALUES (501, 'bad@x.pt', 0, now());
END
comes($node, q{SELECT count(*) = 500 FROM crm.touchpoints}, 'rows are fed as they come');
comes($node, q{SELECT count(*) = 1 FROM crm.source_rejects}, 'one that can be none is rejected');

# what fails does not end it
sql($node, 'ALTER TABLE shop.orders RENAME TO gone');
sql($node, "INSERT INTO shop.gone VALUES (502, 'late\@x.pt', 10, now())");
comes($node, q{SELECT count(*) = 501 FROM crm.touchpoints}, 'a renamed table is followed');
sql($node, 'ALTER TABLE crm.customer_journeys RENAME TO hidden');
sql($node, "INSERT INTO shop.gone VALUES (503, 'later\@x.pt', 10, now())");
comes($node, q{SELECT count(*) = 502 FROM crm.touchpoints}, 'it feeds where it can not refresh');
comes($node, q{SELECT error IS NOT NULL FROM crm.work_done WHERE task = 'refresh'}, 'and remembers why');
sql($node, 'ALTER TABLE crm.hidden RENAME TO customer_journeys');
comes($node, q{SELECT error IS NULL FROM crm.work_done WHERE task = 'refresh'}, 'until it can');

# a hub that is renamed
sql($node, "SELECT journey_rename_hub('crm', 'care')");
sql($node, "INSERT INTO shop.gone VALUES (504, 'new\@x.pt', 10, now())");
comes($node, q{SELECT count(*) = 503 FROM care.touchpoints}, 'a renamed hub is followed');

# a worker that is terminated comes again
sql($node, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_journey worker'});
comes($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_journey worker'}, 'it ends when it is told to');
search($node);
comes($node, q{SELECT care.worker_runs()}, 'and comes again');

# an owner who may not log in, and another's hub
my $from17 = sql($node, 'SHOW server_version_num') >= 170000;
sql($node, <<'END');
SET ROLE nobody;
SELECT journey_create_hub('theirs');
UPDATE theirs.settings SET worker = true;
END
my $offset = -s $node->logfile;
search($node);
if ($from17) { comes($node, q{SELECT theirs.worker_runs()}, 'an owner needs no LOGIN') }
else
{
    $node->wait_for_log(qr/hub theirs has no worker: its owner may not log in/, $offset);
    pass('an owner without LOGIN has none, and the log says why');
}
sql($node, "UPDATE theirs.settings SET worker = false");
comes($node, q{SELECT NOT theirs.worker_runs()}, 'it is not asked for any more');
sql($node, "SELECT journey_drop_hub('theirs', true)");

# a standby has none before it is promoted, and answers
sql($node, <<'END');
SELECT care.create_segment('buyers', '{"pattern": "store.buy"}'), care.create_segment('told', '{"trait": "$.vip == true"}');
INSERT INTO care.queues (queue) VALUES ('desk');
INSERT INTO care.routing_rules (position, queue) VALUES (1, 'desk');
INSERT INTO care.quiet_hours (quiet_from, quiet_until) VALUES ('22:00', '08:00');
UPDATE care.settings SET access_log = true;
END
my $answers = <<'END';
SELECT care.in_segment('buyers', c.customer_id), care.in_segment('told', c.customer_id), (SELECT count(*) FROM care.segment_members('buyers')),
       (SELECT count(*) FROM care.segments_of(c.customer_id)), r.queue, r.reasons, care.handover(c.customer_id) - 'at' - 'may_contact', (SELECT count(*) FROM care.next_step(c.customer_id)),
       (SELECT count(*) FROM care.waiting_now()), (SELECT allowed FROM care.may_contact(c.customer_id, 'news', 'email')), care.export_customer(c.customer_id) - 'access_log'
FROM (SELECT min(customer_id) AS customer_id FROM care.customers) c CROSS JOIN LATERAL care.route(c.customer_id, 'chat') r
END
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(sql($standby, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'pg_journey'}), 0, 'a standby has none');
comes($node, q{SELECT NOT EXISTS (SELECT FROM care.journey_changes) AND NOT EXISTS (SELECT FROM care.segment_changes)}, 'all is refreshed');
$node->wait_for_catchup($standby);
my $answered = sql($standby, $answers);
like($answered, qr/^t\|f\|\d+\|1\|desk\|/, 'segments, routes and hand-overs are told there');
is($answered, sql($node, $answers), 'as on the primary');
$standby->promote;
search($standby);
comes($standby, q{SELECT care.worker_runs()}, 'one that was promoted has');
sql($standby, "INSERT INTO shop.gone VALUES (505, 'there\@x.pt', 10, now())");
comes($standby, q{SELECT count(*) = 504 FROM care.touchpoints}, 'it feeds there');
$standby->stop('fast');

# nobody but its owner keeps a hub from having one, and hubs of other databases are not kept waiting by it
sql($node, 'UPDATE care.settings SET worker = false');
comes($node, q{SELECT NOT care.worker_runs()}, 'it ends when the settings ask for it no more');
my $other = $node->background_psql('postgres');
$other->query_safe(q{SELECT pg_advisory_lock('care'::regnamespace::oid::integer, x'6a6f7572'::integer)});
is(sql($node, 'SELECT care.worker_runs()'), 'f', 'a lock of anybody is not its');
$other->query_safe('BEGIN; LOCK TABLE quiet.settings');
sql($node, <<'END');
CREATE DATABASE zweite;
\c zweite
CREATE EXTENSION pg_journey;
SELECT journey_create_hub('crm');
CREATE TABLE public.settings (worker boolean);
UPDATE crm.settings SET worker = true;
\c postgres
UPDATE care.settings SET worker = true;
END
my $from = -s $node->logfile;
search($node);
comes($node, q{SELECT care.worker_runs() AND count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'pg_journey worker'}, 'all others have theirs');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile, $from), qr/canceling statement due to statement timeout/, 'the one that is locked is passed over');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $from), qr/does not exist/, 'a table of that name is no hub');
$other->quit;

# a statement of it is cancelled, a database is dropped while one works there
sql($node, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_journey worker' AND datname = 'postgres'});
sql($node, 'DROP DATABASE zweite WITH (FORCE)');
comes($node, q{SELECT count(*) = 1 AND care.worker_runs() FROM pg_stat_activity WHERE backend_type = 'pg_journey worker'}, 'it ends with its database, and the other goes on');

# no longer asked for; switched off; dropped
sql($node, 'UPDATE care.settings SET worker = false');
comes($node, q{SELECT NOT care.worker_runs()}, 'it ends when the settings ask for it no more');
sql($node, 'UPDATE care.settings SET worker = true');
search($node);
comes($node, q{SELECT care.worker_runs()}, 'and comes when they do');
sql($node, "ALTER SYSTEM SET pg_journey.worker = off");
$node->reload;
comes($node, q{SELECT NOT care.worker_runs()}, 'it ends when it is switched off');
sql($node, "ALTER SYSTEM SET pg_journey.worker = on");
search($node);
comes($node, q{SELECT care.worker_runs()}, 'and comes when it is on');
# it may be at work, so that the hub is in use
for (1 .. 100) { last if $node->psql('postgres', "SELECT journey_drop_hub('care', true)") == 0 }
comes($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_journey worker'}, 'it ends with its hub');

is(crashes($node), '', 'no process crashed');
$node->stop('fast');
done_testing();
