# Proves that single calls of ingest, ingest_many, ingest_ndjson and retry_rejected never deadlock: some clients send batches that
# meet the same customers crosswise, known ones and new ones, in one slice and in several, with items that are refused and
# keys that come twice. The data must be the same as if one client had sent all.
# Slow: part of "make slowtest".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "deadlock_timeout = '100ms'\nfsync = off\n");
$node->restart;
sql($node, <<'END');
SELECT journey_create_hub('crm');
-- what some() sends is told by a number, so that two clients can send the same
CREATE FUNCTION track(u int, key text) RETURNS text LANGUAGE sql
RETURN format('{"type": "track", "event": "e", "userId": "u%s", "anonymousId": "a%s", "messageId": "%s", "timestamp": "2026-03-01T10:00:00Z"}', u, u, key);
CREATE FUNCTION identify(u int, key text) RETURNS text LANGUAGE sql
RETURN format('{"type": "identify", "userId": "u%s", "traits": {"email": "u%s@x.pt"}, "messageId": "%s", "timestamp": "2026-03-01T10:00:00Z"}', u, u, key);
-- refused by the hub alone: its halves are tried
CREATE FUNCTION late(u int, key text) RETURNS text LANGUAGE sql
RETURN format('{"type": "track", "event": "late", "userId": "u%s", "anonymousId": "a%s", "messageId": "%s", "timestamp": "12026-03-01T10:00:00Z"}', u, u, key);
END

# name, how many times each of 8 clients runs it, script
my @scripts = (
    [ 'a track and an identify, crosswise', 100, <<'END' ],
\set a random(1, 4)
\set b random(1, 4)
SELECT * FROM crm.ingest_many(ARRAY[track(:a, gen_random_uuid()::text), identify(:b, gen_random_uuid()::text)], 'segment');
END
    [ 'new identifiers, crosswise', 100, <<'END' ],
\set a random(1000, 1200)
\set b random(1000, 1200)
SELECT * FROM crm.ingest(format('{"batch": [%s, %s]}', track(:a, gen_random_uuid()::text), identify(:b, gen_random_uuid()::text)), 'segment');
END
    [ 'halves of a set with an item that is refused', 50, <<'END' ],
\set a random(1, 8)
\set b random(1, 8)
\set c random(1, 8)
SELECT * FROM crm.ingest_many(ARRAY[track(:a, gen_random_uuid()::text), track(:b, gen_random_uuid()::text), late(:c, gen_random_uuid()::text),
    track(:c, gen_random_uuid()::text)], 'segment');
END
    [ 'slices, up and down, with the same keys', 1, <<'END' ],
SELECT * FROM crm.ingest_ndjson((SELECT string_agg(track(10000 + i, 'k' || i), E'\n' ORDER BY i * (:client_id % 2 * 2 - 1)) FROM generate_series(1, 2500) i), 'segment');
END
    [ 'slices of known single identifiers, up and down', 1, <<'END' ],
SELECT * FROM crm.ingest_many((SELECT array_agg(replace(track(10000 + i, 's' || i), 'anonymousId', 'nobody') ORDER BY i * (:client_id % 2 * 2 - 1))
    FROM generate_series(1, 2500) i), 'segment');
END
    [ 'retries among others', 20, <<'END' ],
\set a random(1, 8)
\set b random(1, 8)
SELECT * FROM crm.retry_rejected('segment');
SELECT * FROM crm.ingest_many(ARRAY[late(:a, gen_random_uuid()::text), track(:b, gen_random_uuid()::text), track(:a, gen_random_uuid()::text)], 'segment');
END
);
for (@scripts)
{
    my ($name, $times, $text) = @$_;
    my $path = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
    append_to_file($path, $text);
    my ($out, $err);
    IPC::Run::run([ 'pgbench', '-n', '-c8', '-j2', "-t$times", "--random-seed=$PgJourney::SEED", '-f', $path, $node->connstr('postgres') ],
        '>', \$out, '2>', \$err);
    like($out, qr(actually processed: ${\ (8 * $times)}/), $name) || diag $err;
}
is(sql($node, 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'), 0, 'there was no deadlock at all');

# what is in it
is(sql($node, q(SELECT count(*) FROM crm.touchpoints WHERE source_key ~ '^[ks]\d+$')), 5000, 'a key that came from all clients is one touchpoint');
is(sql($node, q(SELECT count(*) FROM crm.touchpoints WHERE action = 'late')), 0, 'what was refused is not there');
is(sql($node, q(SELECT count(*) FROM crm.touchpoint_keys WHERE touchpoint_id NOT IN (SELECT touchpoint_id FROM crm.touchpoints))), 0,
    'nor are keys without touchpoints');
is(sql($node, q(SELECT count(*) FROM crm.identities i WHERE NOT EXISTS (SELECT FROM crm.customers c WHERE c.customer_id = i.customer_id)
    OR NOT EXISTS (SELECT FROM crm.evidence e WHERE e.identities @> ARRAY[i.identity_id]))), 0, 'each identity has a customer, and evidence');
is(sql($node, 'SELECT crm.stitch_all()'), 0, 'the whole law changes nothing');
is(sql($node, q(SELECT string_agg(DISTINCT s::text, ' ') FROM (SELECT count(DISTINCT customer_id) AS s FROM crm.identities
    GROUP BY substr(split_part(identifier::text, ':', 2), 1, 1) = 'x', regexp_replace(identifier::text, '^.*:.(\d+).*$', '\1')) g)), 1,
    'and all identifiers of a user are one customer');
done_testing();
