# Proves that concurrent clients lose nothing: eight of them bring 30,000 links of
# known truth, and merge and part customers by wrong links that they retract, while
# their backends are terminated and one is killed with SIGKILL. The partition is
# exactly the truth. Then the same with rules, pairs and retractions, where the
# truth is a second hub that is given what is left in another order, in batches.
# Slow: part of "make slowtest".
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

use constant { CLIENTS => 8, CUSTOMERS => 500, IDENTITIES => 20, LINKS => 30000, WRONG => 1500 };

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
$node->append_conf('postgresql.conf', <<'END');
restart_after_crash = on
log_line_prefix = '%m [%p] state=%e '
deadlock_timeout = '200ms'
END
$node->restart;
my ($customers, $identities, $links, $wrong) = (CUSTOMERS, IDENTITIES, LINKS, WRONG);

# What the clients do: each transaction takes the next turn. The links of a customer
# are a random tree, so that all of them are needed, and as many more as there is room for.
my $seed = 'SELECT setseed(' . $PgJourney::SEED % 1000 . ' / 1000.0)';
sql($node, <<"END");
$seed;
SELECT journey_create_hub('hub');
CREATE TABLE link AS
SELECT 'right-' || i AS key, ARRAY[format('c:%s-%s', c, a), format('c:%s-%s', c, 1 + (a - 1 + hop) % $identities)]::identifier[] AS identifiers
FROM (SELECT i, (i - 1) % $customers + 1 AS c, t,
             CASE WHEN t <= $identities THEN t ELSE ceil(random() * $identities) END::int AS a,
             -- to one of those before, or to any other
             CASE WHEN t <= $identities THEN $identities - floor(random() * (t - 1)) - 1 ELSE ceil(random() * ($identities - 1)) END::int AS hop
      FROM generate_series(1, $links) i, LATERAL (SELECT (i - 1) / $customers + 2 AS t) s) s;
CREATE TABLE wrong AS
SELECT i AS n, 'wrong-' || i AS key,
       ARRAY[format('c:%s-%s', a, ceil(random() * $identities)), format('c:%s-%s', b, ceil(random() * $identities))]::identifier[] AS identifiers
FROM generate_series(1, $wrong) i, LATERAL (SELECT ceil(random() * $customers) AS a, ceil(random() * $customers + 0 * i) AS b) s
WHERE a <> b;
ALTER TABLE wrong ADD PRIMARY KEY (n);
CREATE SEQUENCE turn;
CREATE SEQUENCE wrong_turn;
CREATE TABLE todo (n bigint PRIMARY KEY, key text, identifiers identifier[]);
CREATE FUNCTION new_round(OUT n bigint) LANGUAGE plpgsql AS \$\$
BEGIN
    TRUNCATE todo;
    INSERT INTO todo SELECT row_number() OVER (ORDER BY random()), key, identifiers
    FROM link WHERE NOT EXISTS (SELECT FROM hub.evidence e WHERE e.source = 'storm' AND e.source_key = link.key);
    GET DIAGNOSTICS n = ROW_COUNT;
    ALTER SEQUENCE turn RESTART;
END \$\$;
END
my %script = (
    one => <<'END',
SELECT nextval('turn') AS n \gset
SELECT hub.identify(identifiers, source => 'storm', source_key => key) FROM todo WHERE n = :n;
END
    link => <<'END',
SELECT nextval('turn') AS n \gset
SELECT hub.link(identifiers[2], identifiers[1], source => 'storm', source_key => key) FROM todo WHERE n = :n;
END
    twice => <<'END',
SELECT nextval('turn') AS n \gset
BEGIN;
SELECT hub.identify(identifiers, source => 'storm', source_key => key) FROM todo WHERE n = :n;
SELECT hub.customer_of(identifiers[1]) = hub.customer_of(identifiers[2]) FROM todo WHERE n = :n;
SELECT hub.link(identifiers[1], identifiers[2], source => 'storm', source_key => key) FROM todo WHERE n = :n;
END;
END
    many => <<'END',
SELECT min(t) AS n, max(t) AS m FROM (SELECT nextval('turn') AS t FROM generate_series(1, 10)) s \gset
SELECT hub.identify_many(array_agg((identifiers, now(), 'storm', key)::hub.observation)) FROM todo WHERE n BETWEEN :n AND :m HAVING count(*) > 0;
END
    wrong => <<"END",
SELECT nextval('wrong_turn') % $wrong + 1 AS n \\gset
SELECT hub.identify(identifiers, source => 'storm', source_key => key || '-' || :client_id || '-' || pg_backend_pid()) FROM wrong WHERE n = :n;
SELECT hub.retract('storm', key || '-' || :client_id || '-' || pg_backend_pid()) FROM wrong WHERE n = :n;
END
    many_wrong => <<"END",
SELECT nextval('wrong_turn') % $wrong + 1 AS n \\gset
SELECT hub.identify_many(array_agg((identifiers, now(), 'storm', key || '-' || pg_backend_pid())::hub.observation)) FROM wrong WHERE n BETWEEN :n AND :n + 2;
SELECT hub.retract_many('storm', array_agg(key || '-' || pg_backend_pid())) FROM wrong WHERE n BETWEEN :n AND :n + 2;
END
    guess => <<"END",
SELECT nextval('wrong_turn') % $wrong + 1 AS n \\gset
SELECT hub.guess_many(array_agg(identifiers[1]), array_agg(identifiers[2]), array_agg(n::real), 'storm', array_agg(key || '-guess-' || pg_backend_pid() || '-' || :client_id))
FROM wrong WHERE n BETWEEN :n AND :n + 2 AND hub.customer_of(identifiers[1]) IS NOT NULL AND hub.customer_of(identifiers[2]) IS NOT NULL;
SELECT hub.retract_many('storm', array_agg(key || '-guess-' || pg_backend_pid() || '-' || :client_id)) FROM wrong WHERE n BETWEEN :n AND :n + 2;
END
    ruled => <<'END',
SELECT nextval('turn') AS n \gset
SELECT play(:n);
END
);
write_bytes("$dir/$_", $script{$_}) for keys %script;
my @mix = map { ('-f', "$dir/$_") } qw(one@4 link@4 twice@2 many@1 wrong@1 many_wrong@1 guess@1);

# Clients that begin again whenever they are cut off, until all turns are taken.
# Meanwhile victims are terminated, and one is killed.
sub storm
{
    my ($turns, $victims, @script) = @_;
    my (@client, $killed, $runs);
    my ($terminated, $last) = (0, 0);
    while (1)
    {
        my ($status, $taken) = $node->psql('postgres', 'SELECT last_value FROM turn');
        my $over = $status == 0 && $taken >= $turns;
        for my $n (0 .. CLIENTS - 1)
        {
            if ($client[$n])
            {
                next if $client[$n]->pumpable;
                eval { $client[$n]->finish };
                $client[$n] = undef;
            }
            next if $over;
            $runs++;
            $client[$n] = IPC::Run::start([ 'pgbench', '-n', '-M', 'prepared', '-c', '1', '-t', '500', "--random-seed=$runs",
                    @script, $node->connstr('postgres') . ' application_name=storm' ],
                '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(3600));
        }
        last if $over && !grep { $_ } @client;
        if ($victims && $status == 0 && !$over && $taken > $last + 200)
        {
            $last = $taken;
            my ($failed, $pid) = $node->psql('postgres',
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'storm' AND state = 'active' ORDER BY random() LIMIT 1");
            if ($failed == 0 && $pid)
            {
                if (!$killed && $taken > $turns / 3) { $killed = kill 'KILL', $pid }
                else { $terminated += $node->psql('postgres', "SELECT pg_terminate_backend($pid)") == 0 }
            }
        }
        sleep 0.05;
    }
    note "$turns turns, $runs runs, $terminated terminated";
    return ($terminated, $killed ? 1 : 0);
}

# What a rebuild would change, and what is wrong in counts and history
sub flaws
{
    my ($hub) = @_;
    return sql($node, <<"END");
SELECT (SELECT count(*) FROM $hub.stitch_check()),
       (SELECT count(*) FROM $hub.customers c
        FULL JOIN (SELECT customer_id, count(*) AS n FROM $hub.identities WHERE normal_id = identity_id GROUP BY 1) i USING (customer_id)
        WHERE c.identities IS DISTINCT FROM i.n),
       (SELECT count(*) FROM (SELECT member_from, member_until, lead(member_from) OVER w AS next FROM $hub.memberships
                              WINDOW w AS (PARTITION BY identity_id ORDER BY member_from, member_until)) m
        WHERE member_until < member_from OR member_until IS DISTINCT FROM next),
       $hub.stitch_all()
END
}

my ($terminated, $killed) = (0, 0);
my $rounds = 0;
while ((my $missing = sql($node, 'SELECT new_round()')) > 0 && ++$rounds <= 10)
{
    my ($t, $k) = storm($missing, $rounds == 1, @mix);
    $terminated += $t;
    $killed += $k;
    # where nothing is cut off any more, nothing is missed any more
    is(sql($node, 'SELECT new_round()'), 0, "round $rounds: all that had a turn is in") if $rounds > 1;
}
cmp_ok($terminated, '>', 5, 'backends were terminated');
is($killed, 1, 'a backend was killed');
cmp_ok(sql($node, "SELECT count(*) FROM hub.evidence WHERE source_key LIKE 'wrong%' AND retracted_at IS NOT NULL"), '>', 100,
    'customers were merged and parted');
sql($node, "SELECT hub.retract(source, source_key) FROM hub.evidence WHERE source_key LIKE 'wrong%' AND retracted_at IS NULL");
is(sql($node, "SELECT count(*) FROM link FULL JOIN hub.evidence e ON e.source_key = link.key
               WHERE link.key IS NULL AND e.retracted_at IS NULL OR e.source_key IS NULL"), 0, 'the evidence is the truth');
is(sql($node, <<'END'), join('|', CUSTOMERS, CUSTOMERS, CUSTOMERS, CUSTOMERS * IDENTITIES), 'the partition is the truth');
SELECT count(DISTINCT customer_id), count(DISTINCT truth), count(DISTINCT (customer_id, truth)), count(*)
FROM (SELECT customer_id, split_part(identifier_value(identifier), '-', 1) AS truth FROM hub.identities) s
END
is(flaws('hub'), '0|0|0|0', 'it is what a rebuild gives');

# With rules: a customer has one crm number; e-mail addresses, in two spellings each, and tablets may be shared.
# So who is shared depends on who is whose crm number and cookies, which others bring together meanwhile.
sql($node, <<"END");
$seed;
SELECT journey_create_hub('ruled'), journey_create_hub('again');
CREATE FUNCTION rules(hub text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    EXECUTE format('SELECT %1\$I.set_rule(''crm'', priority => 9, max_per_customer => 1),
                           %1\$I.set_rule(''email'', priority => 5, shared_above => 3, normalizer => ''email''),
                           %1\$I.set_rule(''tab'', shared_above => 6)', hub);
END \$\$;
SELECT rules('ruled'), rules('again');
CREATE FUNCTION near(customer float8) RETURNS identifier LANGUAGE sql VOLATILE AS \$\$
    SELECT format('%s:%s', n, CASE n WHEN 'crm' THEN c::text WHEN 'email' THEN format('%s%s\@x.pt', (ARRAY['e', 'E'])[ceil(random() * 2)], 3 * c + floor(3 * random()))
                                     WHEN 'tab' THEN floor(c / 12)::text ELSE (8 * c + floor(8 * random()))::text END)::identifier
    FROM (SELECT (ARRAY['crm', 'email', 'email', 'email', 'tab', 'c', 'c', 'c', 'c', 'c'])[ceil(random() * 10)] AS n,
                 CASE WHEN random() < 0.015 THEN ceil(random() * 400) ELSE customer END AS c) s \$\$;
CREATE TABLE act AS
SELECT n, CASE WHEN k < 0.7 THEN 'identify' WHEN k < 0.75 THEN 'many' WHEN k < 0.9 THEN 'retract' WHEN k < 0.94 THEN 'must'
               WHEN k < 0.97 THEN 'cannot' ELSE 'clear' END AS kind,
       ceil(random() * n)::int AS which, now() + random() * interval '30 days' AS at,
       ARRAY(SELECT near(c) FROM generate_series(1, 2 + (n % 5 = 0)::int) WHERE n > 0) AS identifiers
FROM (SELECT n, random() AS k, ceil(random() * 400) AS c FROM generate_series(1, 12000) n) s;
ALTER TABLE act ADD PRIMARY KEY (n);
CREATE FUNCTION play(turn bigint) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    a act;
    pair identifier[];
BEGIN
    SELECT * INTO a FROM act WHERE n = turn;
    -- pairs, and what is retracted, are of the same few, so that they meet
    SELECT identifiers INTO pair FROM act WHERE n = a.which % 300 + 1;
    CASE a.kind
        WHEN 'identify' THEN PERFORM ruled.identify(a.identifiers, a.at, 'storm', turn::text);
        WHEN 'many' THEN PERFORM ruled.identify_many(array_agg((identifiers, at, 'many', turn || '-' || n)::ruled.observation))
                         FROM act WHERE n BETWEEN turn AND turn + 5;
        WHEN 'retract' THEN
            IF a.n % 2 = 0 THEN
                PERFORM ruled.retract('storm', a.which::text);
            ELSE
                PERFORM ruled.retract_many('storm', ARRAY[a.which, a.which / 2, a.n - 1, a.n - 3]::text[]);
            END IF;
        WHEN 'must' THEN PERFORM ruled.must_link(pair[1], pair[2]) WHERE lower(pair[1]::text) <> lower(pair[2]::text);
        WHEN 'cannot' THEN PERFORM ruled.cannot_link(pair[1], pair[2]) WHERE lower(pair[1]::text) <> lower(pair[2]::text);
        WHEN 'clear' THEN PERFORM ruled.clear_pair(pair[1], pair[2]) WHERE lower(pair[1]::text) <> lower(pair[2]::text);
        ELSE  -- all turns are taken
    END CASE;
END \$\$;
ALTER SEQUENCE turn RESTART;
END
storm(sql($node, 'SELECT max(n) FROM act'), 0, '-f', "$dir/ruled");
cmp_ok(sql($node, 'SELECT count(*) FROM ruled.evidence WHERE retracted_at IS NOT NULL'), '>', 100, 'rules: some is retracted');
cmp_ok(sql($node, 'SELECT count(*) FROM ruled.identities WHERE shared'), '>', 5, 'rules: some are shared');
cmp_ok(sql($node, 'SELECT count(*) FROM ruled.customers WHERE component_id IS NOT NULL'), '>', 5, 'rules: components are more than one customer');
is(flaws('ruled'), '0|0|0|0', 'rules: it is what a rebuild gives');
sql($node, <<'END');
SELECT again.identify(ARRAY[identifier]) FROM ruled.identities ORDER BY identifier;
SELECT CASE kind WHEN 'must' THEN again.must_link(a.identifier, b.identifier) ELSE again.cannot_link(a.identifier, b.identifier) END
FROM ruled.identity_pairs p JOIN ruled.identities a ON a.identity_id = p.a JOIN ruled.identities b ON b.identity_id = p.b;
SELECT cardinality(again.identify_many(array_agg((identifiers, observed_at, source, source_key)::again.observation)))
FROM (SELECT row_number() OVER (ORDER BY random()) % 10 AS batch, source, source_key, observed_at,
             ARRAY(SELECT identifier FROM ruled.identities i WHERE i.identity_id = ANY (e.identities)) AS identifiers
      FROM ruled.evidence e WHERE retracted_at IS NULL) s
GROUP BY batch;
END
my $groups = 'SELECT array_agg(identifier ORDER BY identifier) FROM %s.identities WHERE normal_id = identity_id GROUP BY customer_id';
is(sql($node, sprintf("SELECT count(*) FROM (($groups) EXCEPT ($groups)) s", 'ruled', 'again')), 0, 'rules: no customer too many');
is(sql($node, sprintf("SELECT count(*) FROM (($groups) EXCEPT ($groups)) s", 'again', 'ruled')), 0, 'rules: no customer too few');

# nothing failed but by our hand: no deadlock, no serialization failure, no crash
my $log = slurp_file($node->logfile);
my %state;
$state{$1}++ while $log =~ /state=(\w{5}) (?:ERROR|FATAL|PANIC):/g;
# terminated; killed along with another; starting up; lost
delete @state{qw(57P01 57P02 57P03 08006 08P01 08003)};
is_deeply(\%state, {}, 'no errors in the log');
unlike($log, qr/deadlock/, 'no deadlock');
my @crashed = crashes($node) =~ /terminated by signal (\d+)/g;
is_deeply(\@crashed, [9], 'nothing crashed but what was killed');
$node->stop;
done_testing();
