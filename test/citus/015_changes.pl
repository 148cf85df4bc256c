# Proves that a spread hub is exact whatever changes: touchpoints that come, change and go, customers that join and part,
# bots, the currency, erasure, a new name; before the next refresh, and after; and that rights are what they were.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin", "$FindBin::Bin/../t/lib";
use CitusCluster;
use PgJourney;
use Test::More;

my ($node, @workers) = start_citus();
sql($node, <<'END');
SELECT journey_create_hub('crm');
SELECT cardinality(crm.record_many(array_agg((ARRAY[identifier('c', (i % 300)::text), identifier('tab', (i % 100)::text)], timestamptz '2026-01-01Z' + i * interval '3 min',
       (ARRAY['web', 'store', 'phone'])[1 + i % 3], (ARRAY['view', 'buy', 'call', 'return'])[1 + i % 4], i % 10, NULL, NULL, NULL, NULL, NULL, 'x', i::text, NULL, NULL, NULL)::crm.event)))
FROM generate_series(1, 6000) i;
SELECT crm.refresh();
SELECT journey_distribute_hub('crm');
END

# what has changed since the last refresh, of all kinds
my $change = <<"END";
SELECT crm.record('{c:7}', '2026-02-05Z', 'web', 'view'), crm.record('{brandnew:1}', '2026-02-05Z', 'web', 'view');
SELECT crm.must_link('c:10', 'c:20'), crm.must_link('brandnew:1', 'c:30');
DELETE FROM crm.touchpoints WHERE touchpoint_id < 20;
UPDATE crm.touchpoints SET channel = 'store' WHERE touchpoint_id > 5980;
INSERT INTO crm.agents VALUES ('bot:new', NULL, false);
SELECT crm.record('{c:8}', '2026-02-05Z', 'chat', 'answer', direction => 'out', agent => 'bot:new');
END
sub exact
{
	my ($when) = @_;
	is(sql($node, <<"END"), '0|0', "$when: current_journeys and current_blocks are exact");
SELECT (SELECT count(*) FROM ((TABLE crm.current_journeys EXCEPT ALL TABLE crm.home_journeys) UNION ALL (TABLE crm.home_journeys EXCEPT ALL TABLE crm.current_journeys)) d),
       (SELECT count(*) FROM ((SELECT u.customer, u.journey FROM crm.current_blocks b, unnest(b.block) u EXCEPT ALL TABLE crm.home_journeys)
                              UNION ALL (TABLE crm.home_journeys EXCEPT ALL SELECT u.customer, u.journey FROM crm.current_blocks b, unnest(b.block) u)) d)
END
}
sql($node, $change);
exact('changed');
sql($node, "SELECT crm.refresh()");
exact('refreshed');
is(sql($node, "SELECT (SELECT count(*) FROM crm.unspread), (SELECT count(*) FROM (TABLE crm.spread_journeys EXCEPT TABLE crm.customer_journeys) d)"), '0|0', 'workers have it all');
sql($node, "SELECT crm.refresh(true); SELECT crm.set_rule('c', max_per_customer => 1), crm.stitch_all()");
exact('stitched again');
sql($node, "SELECT crm.refresh()");
exact('and refreshed');
my $erased = sql($node, "SELECT crm.customer_of('c:8')");
sql($node, "SELECT crm.erase($erased, 'asked for')");
is(sql($node, "SELECT count(*) FROM crm.spread_journeys WHERE customer_id = $erased"), 0, 'workers forget who is erased');
is(sql($node, "SELECT count(*) FROM (SELECT u.customer FROM crm.spread_blocks b, unnest(b.block) u UNION ALL SELECT u.customer FROM crm.spread_blocks b, unnest(b.newer) u) u WHERE customer = $erased"),
	0, 'in blocks, too');
exact('erased');
sql($node, "UPDATE crm.settings SET currency = 'USD'");
exact('another currency');
sql($node, "TRUNCATE crm.customer_journeys");
is(sql($node, "SELECT count(*) FROM crm.current_journeys"), sql($node, "SELECT count(*) FROM crm.home_journeys"), 'truncated');
sql($node, "SELECT crm.refresh(true)");
exact('and made anew');
sql($node, "SELECT journey_rename_hub('crm', 'renamed'), journey_upgrade_hub('renamed')");
sql($node, "SELECT journey_rename_hub('renamed', 'crm')");
exact('renamed, and back');

# rights: a reader reads what workers have, and agents and strangers do not
sql($node, "CREATE ROLE reader LOGIN; CREATE ROLE steward LOGIN; CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA crm TO stranger; SELECT crm.grant_access('reader'), crm.grant_access('steward', 'steward')");
is(sql($node, "SET ROLE reader; SELECT count(*) FROM crm.current_journeys"), sql($node, "SET ROLE reader; SELECT count(*) FROM crm.home_journeys"), 'a reader reads it');
my (undef, undef, $error) = $node->psql('postgres', 'SET ROLE stranger; SELECT count(*) FROM crm.current_journeys');
like($error, qr/permission denied/, 'a stranger does not');
is(sql($node, "SET ROLE steward; SELECT crm.record('{c:9}', '2026-02-06Z', 'web', 'view') > 0, crm.refresh() > 0"), 't|t', 'a steward refreshes');
exact('by a steward');

sql($node, "SELECT journey_drop_hub('crm', force => true)");
is(sql($workers[0], "SELECT count(*) FROM pg_class WHERE relname LIKE 'spread_journeys%'"), 0, 'a dropped hub leaves nothing on workers');
done_testing();
