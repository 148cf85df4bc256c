# Proves hand-offs on a real log: the tickets of a help desk as customers, its
# activities as channels. Which follows which, how often, and after what median time, is
# what a process-mining library computed. The data isn't part of the project:
# PGJ_SHARED_DATA names its folder, ../shared/data beside the repository by default.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = ($ENV{PGJ_SHARED_DATA} || "$FindBin::Bin/../../../shared/data") . '/helpdesk';
plan skip_all => "no help-desk log in $data (PGJ_SHARED_DATA names the folder above it)" if !-r "$data/events.csv";

my $node = start_server('main');
sql($node, <<"END");
SELECT journey_create_hub('crm');
UPDATE crm.settings SET handoff_within = '100 years';
CREATE TABLE event (case_id text, activity text, ts timestamptz, seq bigint);
\\copy event FROM '$data/events.csv' CSV HEADER
CREATE TABLE dfg (a text, b text, count bigint, mean float8, median float8, min float8, max float8, sum float8, stdev float8);
\\copy dfg FROM '$data/dfg.csv' CSV HEADER
WITH told AS (
    SELECT case_id, crm.identify(ARRAY[identifier('ticket', case_id)]) AS id FROM event GROUP BY case_id
)
INSERT INTO crm.touchpoints (identity_id, occurred_at, channel, action, conversation)
SELECT t.id, e.ts, e.activity, e.activity, e.case_id FROM event e JOIN told t USING (case_id) ORDER BY e.case_id, e.ts, e.seq;
ANALYZE;
END
is(sql($node, 'SELECT count(*), count(DISTINCT customer_id) FROM crm.timeline'), '21348|4580', 'touchpoints and customers');
is(sql($node, 'SELECT count(*), sum(count) > 10000 FROM dfg WHERE a <> b'), sql($node, 'SELECT count(*), sum(handoffs) > 10000 FROM crm.channel_transitions'),
    'pairs to compare');
is(sql($node, <<'END'), '', 'channel_transitions: all pairs with their counts and median times, both ways');
SELECT t.*, d.count, d.median FROM crm.channel_transitions t FULL JOIN (SELECT * FROM dfg WHERE a <> b) d ON (d.a, d.b) = (t.from_channel, t.to_channel)
WHERE t.handoffs IS DISTINCT FROM d.count OR abs(extract(epoch FROM t.median_time) - d.median) > 0.001
END
is(sql($node, 'SELECT count(*), sum(extract(epoch FROM after))::bigint FROM crm.handoffs'),
    sql($node, 'SELECT sum(count), sum(sum)::bigint FROM dfg WHERE a <> b'), 'hand-offs, and the time between');

# A ticket is a conversation; that it is closed is what resolves it
is(sql($node, <<'END'), '0', 'conversations: open, resolved, when, and how often reopened');
INSERT INTO crm.actions VALUES ('Closed', 'resolves') ON CONFLICT DO NOTHING;
SELECT count(*)
FROM crm.conversations c
     FULL JOIN (SELECT case_id, bool_or(activity = 'Closed') AS closed, min(ts) AS first, count(*) AS n, min(ts) FILTER (WHERE activity = 'Closed') AS closed_at
                FROM event GROUP BY case_id) e ON e.case_id = c.conversation
WHERE (c.status, c.started_at, c.touchpoints, c.resolved_at, c.resolution_time, c.reopenings)
      IS DISTINCT FROM (CASE WHEN e.closed THEN 'resolved' ELSE 'open' END, e.first, e.n, e.closed_at, e.closed_at - e.first, 0::bigint)
END

$node->stop;
done_testing();
