# Proves that however many route, pass on and release at once, no agent ever has more than his capacity, no conversation is with
# two, nobody deadlocks, and nobody is lost whose number changes meanwhile: customers are merged and parted all the time. Whoever
# asks looks into a snapshot of what is open. PGJ_SLOW: for longer.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "deadlock_timeout = '50ms'\nfsync = off\n");
$node->restart;
my $times = slowly(25, 1000);
sql($node, <<'END');
SELECT journey_create_hub('crm');
INSERT INTO crm.agents (agent, on_duty, capacity) SELECT 'agent ' || n, true, n % 4 FROM generate_series(1, 12) n;
INSERT INTO crm.queues (queue) VALUES ('night'), ('day');
UPDATE crm.queues SET next_queue = 'night' WHERE queue = 'day';
INSERT INTO crm.agent_queues (queue, agent) SELECT CASE WHEN n % 3 > 0 THEN 'day' ELSE 'night' END, 'agent ' || n FROM generate_series(1, 12) n;
INSERT INTO crm.routing_rules (position, channel, queue, agent) VALUES (1, 'chat', 'day', NULL), (2, 'phone', 'day', 'agent 3'), (3, NULL, 'night', NULL);
SELECT count(crm.record(ARRAY[('c:' || n)::identifier], '2026-03-01Z', 'web', 'view')) FROM generate_series(1, 60) n;
CREATE VIEW overfull AS SELECT a.agent, g.capacity, count(*) AS held FROM crm.assignments a JOIN crm.agents g USING (agent)
WHERE a.released_at IS NULL GROUP BY a.agent, g.capacity HAVING count(*) > g.capacity;
CREATE TABLE seen (what text);
CREATE FUNCTION look() RETURNS void LANGUAGE sql AS $$
INSERT INTO seen SELECT format('%s has %s of %s', agent, held, capacity) FROM overfull;
INSERT INTO seen SELECT 'twice: ' || min(conversation) FROM crm.assignments WHERE released_at IS NULL AND conversation IS NOT NULL GROUP BY source, conversation HAVING count(*) > 1 $$;
-- an agent who is told may be full: that is no error here
CREATE FUNCTION told(customer bigint, agent text, conversation text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm.assign(customer, NULL, agent, 'chat', 'desk', conversation);
EXCEPTION WHEN configuration_limit_exceeded THEN
    NULL;
END $$;
END

my $dir = PostgreSQL::Test::Utils::tempdir;
sub script
{
    my ($name, $text) = @_;
    append_to_file("$dir/$name.sql", $text);
    return ('-f', "$dir/$name.sql");
}
my $customer = "\\set c random(1, 60)\nSELECT crm.customer_of(('c:' || :c)::identifier) AS customer \\gset\n";
my @routed = script('routed', $customer . "SELECT crm.assign(:customer, channel => 'chat');\nSELECT look();\n");
my @conversation = script('conversation', $customer . "SELECT crm.assign(:customer, channel => 'phone', source => 'desk', conversation => 'v' || (:c % 20));\n");
my @told = script('told', $customer . "\\set a random(1, 12)\n\\set v random(1, 20)\nSELECT told(:customer, 'agent ' || :a, 'v' || :v);\nSELECT look();\n");
my @released = script('released', "SELECT crm.release(assignment_id, 'done') FROM crm.assignments WHERE released_at IS NULL ORDER BY random() LIMIT 1;\n");
# two become one and two again: of half of them the number changes
my @merged = script('merged', "\\set c random(1, 59)\n\\set k random(1, 1000000000)\nSELECT crm.link(('c:' || :c)::identifier, ('c:' || :c + 1)::identifier, source => 'storm', source_key => 'k' || :k);\nSELECT crm.retract('storm', 'k' || :k);\n");
my ($out, $err) = ('', '');
IPC::Run::run([ 'pgbench', '-n', '-c8', '-j2', "-t$times", "--random-seed=$PgJourney::SEED", @routed, @conversation, @told, @released, @merged, $node->connstr('postgres') ],
    '>', \$out, '2>', \$err);
like($out, qr(actually processed: ${\ (8 * $times)}/), 'all are assigned, passed on and released') || diag $err;
is(sql($node, 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'), 0, 'there was no deadlock');
is(sql($node, 'SELECT string_agg(DISTINCT what, E\'\n\') FROM seen'), '', 'nobody ever had more than his capacity, and no conversation was with two');
cmp_ok(sql($node, 'SELECT count(*) FROM crm.assignments WHERE agent IS NOT NULL'), '>', 20, 'and agents had a lot to do');
is(sql($node, 'SELECT count(*) FROM crm.assignments a LEFT JOIN crm.identities i USING (identity_id) WHERE i.customer_id IS NULL'), 0, 'all are customers');

# above READ COMMITTED one of two who can't see each other fails, and may try again
my $isolated = script('isolated', "BEGIN ISOLATION LEVEL REPEATABLE READ;\n${customer}SELECT crm.assign(:customer, channel => 'chat');\nCOMMIT;\n");
my @isolated = ('-f', "$dir/isolated.sql");
IPC::Run::run([ 'pgbench', '-n', '-c8', '-j2', '-t' . $times, '--max-tries=100', "--random-seed=$PgJourney::SEED", @isolated, @released, $node->connstr('postgres') ],
    '>', \$out, '2>', \$err);
like($out, qr(actually processed: ${\ (8 * $times)}/), 'at REPEATABLE READ, too, all that are tried again are assigned') || diag $err;
is(sql($node, 'SELECT count(*) FROM overfull'), 0, 'and nobody has more than his capacity');

# the one who fills up while another routes to him: that one takes the next
sql($node, q(UPDATE crm.assignments SET released_at = now() + interval '1 h' WHERE released_at IS NULL; UPDATE crm.agents SET on_duty = agent IN ('agent 1', 'agent 2'), capacity = 1; UPDATE crm.settings SET last_agent_within = '0'));
my $first = $node->background_psql('postgres');
$first->query_safe(q(BEGIN; SELECT crm.assign(crm.customer_of('c:1'), channel => 'chat')));
my $agent = $first->query_safe(q(SELECT agent FROM crm.assignments WHERE released_at IS NULL));
my $second = $node->background_psql('postgres');
$second->query_until(qr/asked/, "\\echo asked\nSELECT crm.assign(crm.customer_of('c:60'), channel => 'chat');\n");
$node->poll_query_until('postgres', q(SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'))) or diag 'the second did not wait';
$first->query_safe('COMMIT');
$first->quit;
$second->quit;
is(sql($node, 'SELECT count(DISTINCT agent) FROM crm.assignments WHERE released_at IS NULL'), 2, "who finds $agent filled up takes the other");
$node->stop;
done_testing();
