# Proves that large groups and large texts can be cancelled at any moment, that a
# group's memory is a small multiple of its touchpoints, and that a group of one
# touchpoint takes bytes, not kilobytes.
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
$node->append_conf('postgresql.conf', "jit = off\nmax_parallel_workers_per_gather = 0\nwork_mem = '1GB'\n");
$node->restart;
sql($node, <<'END');
CREATE UNLOGGED TABLE event AS
SELECT '2026-01-01 00:00:00+00'::timestamptz + hashint8(i) * interval '1 ms' AS at, 'c' || i % 10 AS channel,
       'a' AS action, i % 100000 / 100.0 AS value, i AS ref
FROM generate_series(1::bigint, 1000000) i;
CREATE UNLOGGED TABLE large AS
SELECT journey_agg(j) AS j FROM (SELECT journey_agg(at, channel, action, value, ref) AS j FROM event) e, generate_series(1, 3);
CREATE UNLOGGED TABLE large_text AS SELECT j::text AS t FROM large;
END

# Cancelled early and late in its run
sub cancellable
{
    my ($name, $query) = @_;
    cancelled_after($node, $name, $_, $query) for 0.1, 0.5;
}

cancellable('journey_agg', 'SELECT journey_length(journey_agg(at, channel, action)) FROM event, generate_series(1, 3)');
cancellable('journey_agg with values and refs',
    'SELECT journey_length(journey_agg(at, channel, action, value, ref)) FROM event, generate_series(1, 2)');
# nearly all of the time in sorting twelve million touchpoints
cancellable('aggregate of journeys', 'SELECT journey_length(journey_agg(j)) FROM large, generate_series(1, 4)');
cancellable('merge', 'SELECT journey_length(j || j) FROM large');
sql($node, <<'END');
CREATE UNLOGGED TABLE block AS
SELECT journey_block_agg(hashint8extended(n, 0), CASE WHEN n % 500000 = 0 THEN j ELSE '{web.view=1@2026-03-01T10:00:00Z#7}' END) AS b
FROM large, generate_series(1, 1000000) n;
CREATE UNLOGGED TABLE block_text AS SELECT b::text AS t FROM block;
END
cancellable('journey_block_agg', "SELECT journey_block_length(journey_block_agg(hashint8(n), '{web.view\@2026-03-01T10:00:00Z}')) FROM generate_series(1, 5000000) n");
cancellable('merge of blocks', 'SELECT journey_block_length(b || b) FROM block');
cancellable('journey_block_without', 'SELECT journey_block_length(journey_block_without(b, (journey_block_customers(b))[100:900000])) FROM block');
cancellable('journey_block_split', 'SELECT count(s) FROM block, journey_block_split(b, 1000000) s');
cancellable('unnest of a block', 'SELECT count(journey) FROM block, unnest(b)');
cancellable($_, "SELECT count(x) FROM block, $_ x")
  for "journey_block_match(b, '%[value = 1]')", "journey_block_count(b, '% -[> 1 s]-> %')", "journey_block_reached(b, '%[value > 0] -> %')";
cancellable('block, text in', 'SELECT journey_block_length(t::journey_block) FROM block_text');
cancellable('block, text out', 'SELECT b::text IS NULL FROM block');
cancellable('block, send', 'SELECT journey_block_send(b) IS NULL FROM block');
cancellable('block, json', 'SELECT b::json IS NULL FROM block');
cancellable('text in', 'SELECT journey_length(t::journey) FROM large_text');
cancellable($_, "SELECT count(*) FROM large, $_")
  for "journey_timeline(j, '1 s', '1 s')", "journey_visits(j, '1 s')", "journey_summary(j || '{a.a\@2030-01-01T00:00:00Z}', '1 s', '1 s')";
cancellable('text out', 'SELECT j::text IS NULL FROM large');
cancellable('send', 'SELECT journey_send(j) IS NULL FROM large');
cancellable('json', 'SELECT j::json IS NULL FROM large');
cancellable('identity_components',
    'SELECT cardinality(identity_components(hashint8(ref) + 4e9::bigint * n, ref)) FROM event, generate_series(1, 3) n');
# nearly all of the time in listing the nodes, again after every 20,000 rows
cancellable('list of identity_components', <<'END');
SELECT max(cardinality(c)) FROM (
    SELECT identity_components(ref * 7919 << 20, ref) OVER (ORDER BY ref / 20000) AS c FROM event) s
END
cancellable('identity_components of identifiers', <<'END');
SELECT cardinality(identity_components(identifier('h', (hashint8(ref) + n)::text), identifier('r', ref::text)))
FROM event, generate_series(1, 3) n
END
sql($node, <<'END');
CREATE TABLE links AS
SELECT array_agg(h & 524287) AS a, array_agg(h >> 20 & 524287) AS b, array_agg((h >> 40 & 15)::int) AS costs,
       array_agg(1 + (h >> 44 & 7)::int) AS groups
FROM generate_series(1, 1000000) i, hashint8extended(i, 0) h
END
cancellable('identity_conflicts', <<'END');
SELECT count(*) FROM links, identity_conflicts(a, b, a, groups, array_fill(5, '{8}'), a[1:100000], b[1:100000])
END
cancellable('identity_path', 'SELECT count(*) FROM links, generate_series(1, 4) i, identity_path(a, b, costs, a[i], b[i + 9])');
cancellable('identity_bridges', 'SELECT count(*) FROM links, generate_series(1, 3) i, identity_bridges(a || i::bigint, b || 0::bigint)');

# cancelled by another session
my $query = $node->background_psql('postgres', on_error_stop => 0);
$query->query_until(qr/go/, "\\echo go\nSELECT journey_length(journey_agg(j)) FROM large, generate_series(1, 100);\n");
my $others = "FROM pg_stat_activity WHERE query LIKE '%journey_agg%' AND state = 'active' AND pid <> pg_backend_pid()";
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $others"), 'a long statement');
is(sql($node, "SELECT pg_cancel_backend(pid) $others"), 't', 'pg_cancel_backend');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 $others"), '... is obeyed');
$query->quit;

# memory of a single group, at its peak and without the server's own
SKIP:
{
    skip 'no /proc to read memory from', 7 if !-e "/proc/$$/status";
    my $peak = sub {
        my ($query) = @_;
        my $out = sql($node, <<"END");
SET work_mem = '4MB';
SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\\s*(\\d+)'))[1]::bigint AS before \\gset
$query \\gset
SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\\s*(\\d+)'))[1]::bigint - :before;
END
        return 1024 * $out / 1_000_000;
    };
    my $floor = $peak->('SELECT count(at) FROM event');
    for (
        [ 'time and label', 64, 'journey_length(journey_agg(at, channel, action))' ],
        [ 'value and ref', 128, 'journey_length(journey_agg(at, channel, action, value, ref))' ],
        [ 'journeys', 128, 'journey_length(journey_agg(touchpoint(at, channel, action)::journey))' ],
        # each journey as it came, where it is and its labels, and the block
        [ 'a block of a million journeys', 128, 'journey_block_length(journey_block_agg(ref, touchpoint(at, channel, action)::journey))' ],
        [ 'a block of a thousand', 128, 'journey_block_length(journey_block_agg(ref / 1000, touchpoint(at, channel, action)::journey))' ])
    {
        my ($name, $limit, $aggregate) = @$_;
        my $bytes = $peak->("SELECT $aggregate FROM event") - $floor;
        cmp_ok($bytes, '<', $limit, sprintf 'a group of a million, %s: %.0f bytes a touchpoint', $name, $bytes);
    }
    # rows of a journey of three million go to disk
    for my $rows ("journey_timeline(j, '1 s', '1 s')", "journey_visits(j, '0')")
    {
        my $bytes = $peak->("SELECT count(*) FROM large, $rows") / 3;
        cmp_ok($bytes, '<', 48, sprintf '%s: %.0f bytes a touchpoint', $rows, $bytes);
    }
}

# results that no value can hold: seen at the end, and before all is read
for my $n (600000, 1e7)
{
    my (undef, undef, $error) = $node->psql('postgres', <<"END");
\\set VERBOSITY verbose
SELECT cardinality(identity_components(identifier('n', repeat('x', 1000) || i), NULL)) FROM generate_series(1, $n) i
END
    like($error, qr/ERROR:  54000: too many identifiers for identity_components/, "$n identifiers of 1 kB");
}

my (undef, undef, $too_large) = $node->psql('postgres', <<'END');
\set VERBOSITY verbose
SELECT journey_block_length(journey_block_agg(i, j)) FROM large, generate_series(1, 400) i
END
like($too_large, qr/ERROR:  54000: journey block is too large\nDETAIL:  Its 400 journeys with 1200000000 touchpoints would take \d+ bytes, the limit is 1073741823\./, 'a block of more than 1 GB');

# memory of many small groups, by the server's own count
my $groups = 300000;
my $hashed = sub {
    my ($aggregate) = @_;
    my $plan = sql($node, <<"END");
EXPLAIN (ANALYZE, FORMAT json) SELECT i, $aggregate FROM generate_series(1, $groups) i GROUP BY i
END
    return $plan =~ /"Peak Memory Usage": (\d+)/ ? $1 * 1024 / $groups : die $plan;
};
for (
    [ 'time and label', "journey_agg('2026-01-01 00:00:00+00', 'c', 'a')" ],
    [ 'value and ref', "journey_agg('2026-01-01 00:00:00+00', 'c', 'a', 1.5, 7)" ],
    [ 'block', "journey_block_agg(i, '{c.a\@2026-01-01T00:00:00Z}')" ],
    [ 'components', 'identity_components(i, i + 1)' ],
    [ 'components of identifiers', q{identity_components(identifier('n', i::text), identifier('m', i::text))} ])
{
    my ($name, $aggregate) = @$_;
    my $bytes = $hashed->($aggregate) - $hashed->('count(*)');
    cmp_ok($bytes, '<', 512, sprintf 'a group of one, %s: %.0f bytes more than count(*)', $name, $bytes);
}

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
