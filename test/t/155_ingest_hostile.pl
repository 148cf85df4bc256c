# Proves that hostile payloads cost no memory: a million bad ones, of all kinds, are read in one session, which is no larger
# after the last batch than after the first ones. A fifth of them goes into a hub, and all of that is in rejected. A large call
# can be cancelled. And what a database's encoding has not is rejected, as is what is no UTF-8 where there is no encoding.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "jit = off\nfsync = off\nautovacuum = off\nmax_wal_size = '4GB'\n");
$node->restart;
sql($node, "SELECT journey_create_hub('crm')");

# one of each kind; %s is a number that makes each payload another one
my @kinds = (
    '', '{', '[', '"%s', '{"userId": "%s"', '{"userId": %s,}', "{'userId': '%s'}", '{"userId": NaN, "n": %s}', '{"userId": "%s\\u0000"}',
    '{"userId": "%s\\ud800"}', '{"userId": "%s", "userId": "x"}', '{"userId": %s1e99999}', '{"userId": "%s"} x', '{"userId": "\\x%s"}',
    '[1, %s, null, true, "x", []]', 'null', '%s', '{"a": {"b": [{"c": "%s"}, {"d": [1.5, 99999999999999999999999]}]}}',
    '{"event": "e", "userId": {"id": "%s"}}', '{"event": "e", "userId": "%s", "timestamp": "yesterday"}',
    '{"event": ["%s"], "userId": "u"}', '{"event": "e", "userId": "%s", "properties": {"revenue": "much"}}',
    '{"event": "e", "anonymousId": "", "n": "%s"}', '{"batch": [null, {"n": %s}, {"event": "e"}, {"type": "identify"}]}',
    '{"type": "dance", "userId": "%s", "text": "olá \\u00e9 \\ud83d\\ude00"}',
    '{"n": %s, "a": ' . '[' x 70 . ']' x 70 . '}',
    '{"n": %s, "text": "' . 'x' x 300 . '"}');
my $array = join ', ', map { my $k = $_; $k =~ s/'/''/g; "'$k'" } @kinds;

# 100 batches of 10,000, the last of each five into the hub; what the backend has is asked after each ten
my $session = <<"END";
CREATE TEMP TABLE memory AS SELECT 0 AS batch, 0::bigint AS contexts, 0::bigint AS rss;
PREPARE reads AS SELECT count(*) FROM journey_payload_events(
    array(SELECT format((ARRAY[$array])[1 + i % ${\ scalar @kinds}], i + \$1 * 10000) FROM generate_series(1, 10000) i),
    (SELECT json_agg(f ORDER BY rule) FROM crm.formats f WHERE format = 'segment')) WHERE kind = 'rejected';
PREPARE ingests AS SELECT rejected FROM crm.ingest_many(
    array(SELECT format((ARRAY[$array])[1 + i % ${\ scalar @kinds}], i + \$1 * 10000) FROM generate_series(1, 10000) i), 'segment');
END
my $measure = -e "/proc/$$/status" ? q{(regexp_match(pg_read_file('/proc/self/status'), 'RssAnon:\s*(\d+)'))[1]::bigint} : '0';
for my $batch (1 .. 100)
{
    $session .= ($batch % 5 == 0 ? 'EXECUTE ingests' : 'EXECUTE reads') . "($batch);\n";
    $session .= "INSERT INTO memory SELECT $batch, (SELECT sum(total_bytes) FROM pg_backend_memory_contexts), $measure;\n" if $batch % 10 == 0;
}
my $out = sql($node, $session . 'SELECT batch, contexts, rss FROM memory WHERE batch > 0 ORDER BY batch');
my @lines = split /\n/, $out;
my @counts = splice @lines, 0, 100;
my $sum = 0;
my $kept = 0;
$sum += $_ for @counts;
$kept += $counts[ $_ * 5 + 4 ] for 0 .. 19;
cmp_ok($sum, '>', 1_000_000, "$sum items rejected of a million payloads");
is(sql($node, 'SELECT count(*), sum(cardinality(items)) FROM crm.rejected'), "200000|$kept", 'all that went into the hub is kept');
is(sql($node, 'SELECT (SELECT count(*) FROM crm.touchpoints) + (SELECT count(*) FROM crm.evidence)'), 0, 'and made nothing');
my ($first, $last) = map { [ split /\|/ ] } @lines[ 2, -1 ];
note "memory after batch, contexts, RssAnon in kB: $_" for @lines;
cmp_ok($last->[1], '<=', $first->[1] * 1.05 + 100_000, 'memory contexts do not grow');
SKIP:
{
    skip 'no /proc to read memory from', 1 if $measure eq '0';
    cmp_ok($last->[2], '<=', $first->[2] * 1.05 + 4000, 'nor does the process, shared memory aside');
}

# a payload as large as may be
my $large = sub {
    my ($payload) = @_;
    return sql($node, "SELECT kind, count(*) FROM journey_payload_events(ARRAY[$payload],
        (SELECT json_agg(f ORDER BY rule) FROM crm.formats f WHERE format = 'whatsapp')) GROUP BY kind ORDER BY kind");
};
like($large->(q{json_build_object('entry', json_build_array(json_build_object('changes', json_build_array(json_build_object('value', json_build_object(
        'contacts', (SELECT json_agg(json_build_object('wa_id', i)) FROM generate_series(1, 60000) i),
        'messages', (SELECT json_agg(json_build_object('from', 0, 'timestamp', i, 'id', i)) FROM generate_series(1, 40000) i)))))))::text}),
    qr/^rejected\|39\d\d\d\ntouchpoint\|\d+$/, 'contacts of a message are looked up, but not without end');

# many rejected items of one payload are found again among all that is in it
is(sql($node, q{
    DELETE FROM crm.rejected;
    SELECT * FROM crm.ingest(format('{"batch": [%s{"event": "e", "userId": "u"}]}', repeat('{},', 30000)), 'segment');
    SELECT * FROM crm.retry_rejected('segment');
    SELECT count(*), sum(cardinality(items)) FROM crm.rejected}), "1|0|0|30000\n0|0|0|30000\n1|30000", 'many rejected items of one payload are retried');

# cancelled in the middle
my (undef, undef, $error) = $node->psql('postgres', <<'END');
SET statement_timeout = '300ms';  -- of minutes
SELECT count(*) FROM crm.ingest_many(array(SELECT '{"event": "e", "userId": "u' || i || '"}' FROM generate_series(1, 1000000) i), 'segment');
END
like($error, qr/canceling statement due to statement timeout/, 'a large call is cancelled');

# databases of other encodings
sub encoded
{
    my ($encoding, @payloads) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE \L$encoding\E ENCODING $encoding LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    my $array = join ', ', map { "E'$_'" } @payloads;
    return $node->safe_psql(lc $encoding, <<"END");
SET client_encoding = 'UTF8';
CREATE EXTENSION pg_journey;
SELECT journey_create_hub('crm') \\g /dev/null
SELECT * FROM crm.ingest_many(ARRAY[$array], 'segment');
SELECT identifier, action, attributes FROM crm.touchpoints JOIN crm.identities USING (identity_id) ORDER BY touchpoint_id;
SELECT sqlstate, reason FROM crm.rejected ORDER BY rejected_id;
END
}
my @texts = (
    '{"event": "ol\\\\u00e1 é", "userId": "ção", "properties": {"é": "ü"}}', '{"event": "\\\\u4e2d", "userId": "u"}',
    '{"event": "e", "userId": "\\\\u20ac"}', '{"event": "e", "userId": "u", "properties": {"p": "\\\\ud83d\\\\ude00"}}', '{"event": "é", ');
my $no = '22P05|a character that the database\'s encoding does not have';
is(encoded('LATIN1', @texts), <<"END" =~ s/\n\z//r, 'LATIN1: what it has not is rejected');
1|0|0|4
user_id:ção|olá é|{"properties": {"é": "ü"}}
$no
$no
$no
22P02|invalid JSON: expected a string in double quotes, but the text ends
END
is(encoded('SQL_ASCII', @texts[ 0, 1 ], '{"event": "\\xff", "userId": "u"}', '{"event": "\\xed\\xa0\\x80", "userId": "u"}', '{"event": "\\xc0\\x80", "userId": "u"}'),
    <<'END' =~ s/\n\z//r, 'no encoding: what is no UTF-8 is rejected');
2|0|0|3
user_id:ção|olá é|{"properties": {"é": "ü"}}
user_id:u|中|
22021|invalid JSON: invalid UTF-8 at byte 12: 0xff
22021|invalid JSON: invalid UTF-8 at byte 12: 0xed
22021|invalid JSON: invalid UTF-8 at byte 12: 0xc0
END
my (undef, undef, $bad) = $node->psql('postgres', q{SELECT * FROM crm.ingest(E'{"event": "\\xff", "userId": "u"}', 'segment')});
like($bad, qr/invalid byte sequence for encoding "UTF8": 0xff/, 'UTF8: the server does not let it in');

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
