# Proves that what a hub tells from packed journeys is what plain SQL over its rows tells: test/t/lib/oracle.sql. Hubs
# are random, and so is what happens to them: touchpoints that come in, late ones too, customers that turn out to be
# one and the reverse, touchpoints that are changed, moved and deleted, settings, actions and channels, journeys that are
# packed and some that are not yet. Times are around the days on which clocks change, a step or none apart, so that equal
# times and steps as long as the limits come up. Some read with row-level security. PGJ_SEED repeats a run, PGJ_RUNS
# sets the number of hubs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(10, 200);
my @channels = qw(web web app phone store whatsapp balcão);
my @actions = qw(message message view resolved reopened read call);
# where clocks change, at midnight too, where a day is missing, where a year ends within a week
my @places = (['UTC', '2015-12-28'], ['Europe/Lisbon', '2015-03-28'], ['Europe/Lisbon', '2015-10-24'], ['America/Sao_Paulo', '2014-10-18'],
    ['America/Sao_Paulo', '2015-02-21'], ['Australia/Lord_Howe', '2015-04-04'], ['Pacific/Apia', '2011-12-29'], ['Asia/Kolkata', '2016-02-28'],
    ['America/New_York', '2014-12-30']);

sub quoted { return join ', ', map { !defined $_ ? 'NULL' : "'$_'" } @_ }

# Steps between touchpoints, and what limits may be
my %limits = ('1 min' => [ '1 min', '3 min', '6 min', '12 min' ], '20 min' => [ '30 min', '40 min', '1 day', '7 days' ],
    '6 hours' => [ '6 hours', '24 hours', '1 day 12 hours', '3 days' ], '5 days' => [ '10 days', '1 mon', '30 days', '100 years' ]);

my ($base, $step, $width);
sub at { return "('$base'::timestamptz + " . int(rand $width) . " * interval '$step')" }

sub identifiers { return 'ARRAY[' . join(', ', map { "'n:" . (1 + int rand 7) . "'" } 1 .. any(1, 1, 1, 1, 2)) . ']::identifier[]' }

sub event
{
    return '(' . join(', ', identifiers(), at(), quoted(any(@channels), any(@actions)), any('NULL', 'NULL', 'NULL', int(rand 50) / 4),
        quoted(any('EUR', 'EUR', 'USD', undef), any('in', 'in', 'out', 'out', undef), any(undef, 'a', 'a', 'b'),
            any(undef, undef, 'bot', 'bot:x', 'marta', 'bottom'), undef, any('x', 'x', 'y'), undef, any(undef, '{"a": 1}', '{"a": null, "b": [2]}'))) . ', NULL, NULL)::crm.event';
}

# Something that happens to a hub
sub change
{
    my $which = int rand 24;
    my $one = 1 + int rand 6;
    my $some = 'touchpoint_id % ' . any(2, 3, 5, 9) . ' = 1';
    my $limit = any(@{ $limits{$step} });
    my $gap = any(grep { !/mon|year/ } @{ $limits{$step} });
    return
        $which < 8  ? 'SELECT crm.record_many(ARRAY[' . join(",\n", map { event() } 1 .. any(1, 2, 9, 25)) . '])'
      : $which == 8 ? "SELECT crm.link('n:$one', 'n:@{[ $one + 1 ]}', '$base', 'link', '$one')"
      : $which == 9 ? "SELECT crm.retract('link', '$one')"
      : $which == 10 ? "UPDATE crm.touchpoints SET direction = " . quoted(any('in', 'out', undef)) . " WHERE $some"
      : $which == 11 ? "UPDATE crm.touchpoints SET agent = " . quoted(any('bot', 'bot:y', 'rui', undef)) . " WHERE $some"
      : $which == 12 ? "UPDATE crm.touchpoints SET " . any('channel = ' . quoted(any(@channels)), 'action = ' . quoted(any(@actions))) . " WHERE $some"
      : $which == 13 ? "UPDATE crm.touchpoints SET value = " . any(1.5, 'NULL', 'value + 1') . ', currency = ' . quoted(any('EUR', 'USD', undef)) . " WHERE $some"
      : $which == 14 ? 'UPDATE crm.touchpoints SET occurred_at = ' . at() . " WHERE $some"
      : $which == 15 ? "UPDATE crm.touchpoints SET identity_id = (SELECT min(identity_id) FROM crm.identities) WHERE $some"
      : $which == 16 ? any("DELETE FROM crm.touchpoints WHERE $some", "DELETE FROM crm.touchpoints WHERE $some", 'TRUNCATE crm.touchpoints')
      : $which == 17 ? 'UPDATE crm.settings SET ' . any('currency = ' . quoted(any('EUR', 'USD', undef)), 'time_zone = ' . quoted($places[ rand @places ][0]))
      : $which == 18 ? 'UPDATE crm.settings SET ' . any("session_gap = '$gap'", "handoff_within = '$limit'", "repeat_within = '$limit'")
      : $which == 19 ? any("DELETE FROM crm.actions WHERE action IN ('read', 'call')", "INSERT INTO crm.actions VALUES ('call', 'asks_and_resolves') ON CONFLICT DO NOTHING",
            "INSERT INTO crm.actions VALUES ('view', 'status') ON CONFLICT DO NOTHING", "DELETE FROM crm.actions WHERE action = 'view'")
      : $which == 20 ? any("DELETE FROM crm.channels WHERE channel = 'app'", "UPDATE crm.channels SET kind = 'digital' WHERE channel = 'whatsapp'",
            "INSERT INTO crm.channels VALUES ('balcão', 'Balcão', 'physical', 'owned', 'assisted') ON CONFLICT DO NOTHING")
      : any('SELECT crm.refresh()', 'SELECT crm.refresh()', 'SELECT crm.refresh(rebuild => true)');
}

my $node = start_server('main');
sql($node, q{SELECT journey_create_hub('crm')});
die 'oracle.sql failed' if !run_script($node, "$FindBin::Bin/lib/oracle.sql");
sql($node, <<'END');
CREATE ROLE reader_of_all;
CREATE ROLE reader_of_x;
SELECT crm.grant_access('reader_of_all'), crm.grant_access('reader_of_x');
GRANT USAGE ON SCHEMA oracle TO reader_of_all, reader_of_x;
GRANT SELECT ON ALL TABLES IN SCHEMA oracle TO reader_of_all, reader_of_x;
SELECT format('ALTER VIEW oracle.%I SET (security_invoker = true)', relname) FROM pg_class WHERE relnamespace = 'oracle'::regnamespace AND relkind = 'v' \gexec
ALTER TABLE crm.touchpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON crm.touchpoints TO reader_of_all USING (true);
CREATE POLICY x ON crm.touchpoints TO reader_of_x USING (source = 'x');
END
# A view, or rows of a function, of the hub, and what the oracle says: columns of the oracle, in words, so that 24:00 is not 1 day
sql($node, <<'END');
CREATE FUNCTION differences(told text, wanted text, columns name) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH f AS MATERIALIZED (SELECT ROW(%3$s)::text AS line FROM %1$s),
                                      e AS MATERIALIZED (SELECT ROW(%3$s)::text AS line FROM %2$s)
                                 (SELECT %4$L || line FROM (TABLE f EXCEPT ALL TABLE e) d)
                                 UNION ALL (SELECT %5$L || line FROM (TABLE e EXCEPT ALL TABLE f) d)', told, wanted,
                                (SELECT CASE WHEN wanted LIKE '%(%' THEN 'period_start, ' ELSE '' END
                                        || string_agg(CASE WHEN wanted LIKE '% t' THEN 't.' ELSE '' END || quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                                 WHERE a.attrelid = format('oracle.%I', columns)::regclass AND a.attnum > 0),
                                told || ' found    ', told || ' expected ');
END $$;
END

# What differs between measures over the hub's journeys and over blocks of them
sub asked_of_blocks
{
    my $some = $limits{$step};
    my $question = join ', ', map({ "'" . any(@$some) . "'" } 1 .. 2), quoted(any('{}', '{read}', '{view,message}')), "'{web,app}'", "'{phone,store,whatsapp}'",
        quoted(any(qw(day week month quarter year all))), quoted($places[ rand @places ][0]), map { any("'$base'::timestamptz + " . int(rand $width) . " * interval '$step'", 'NULL') } 1, 2;
    $question =~ s/('[^']*'::timestamptz \+ \S+ \* interval '[^']*'), ('[^']*'::timestamptz \+ \S+ \* interval '[^']*')$/least($1, $2), greatest($1, $2)/;
    my $parts = any(1, 3);
    return "SELECT 'blocks: ' || m FROM (SELECT (SELECT channel_measures_agg(j.journey, $question) FROM crm.current_journeys j)::text,
                   (SELECT channel_measures_agg(g.b, $question) FROM (SELECT journey_block_agg(j.customer_id, j.journey) AS b FROM crm.current_journeys j
                                                                      GROUP BY j.customer_id % $parts) g)::text) v(m, b) WHERE m IS DISTINCT FROM b";
}

# Queries for what differs; nothing should
sub asked
{
    my @asked = map { "SELECT differences('crm.$_', 'oracle.$_', '$_')" } qw(timeline visits sessions handoffs customer_360 channel_mix channel_transitions omnichannel);
    push @asked, map { "SELECT differences('crm.$_', 'oracle.journeys', 'journeys')" } qw(current_journeys journeys_by_customer);
    push @asked, map { "SELECT differences('crm.customers c CROSS JOIN LATERAL crm.${_}_of(c.customer_id) t', 'oracle.$_ t', '$_')" } any(qw(timeline visits sessions handoffs));
    push @asked, q{SELECT 'is_omnichannel ' || h.touchpoint_id
                   FROM crm.handoffs h LEFT JOIN crm.channels n ON n.channel = h.to_channel LEFT JOIN crm.channels p ON p.channel = h.from_channel
                   WHERE h.is_omnichannel IS DISTINCT FROM coalesce((n.kind = 'digital') <> (p.kind = 'digital'), false)};
    for my $name (qw(channel_mix channel_transitions omnichannel))
    {
        push @asked, "SELECT differences('crm.${name}_monthly', 'oracle.$name(''month'', NULL, NULL)', '$name')";
        for (1 .. 2)
        {
            my @range = sort { $a <=> $b } map { int rand 1.2 * $width } 1 .. 2;
            my $range = join ', ', map { any(1, 1, 0) ? "'$base'::timestamptz + $_ * interval '$step'" : 'NULL' } @range;
            my $call = "$name(" . quoted(any(qw(day week month quarter year all), undef)) . ", $range)";
            push @asked, 'SELECT differences(' . join(', ', map { "'" . s/'/''/gr . "'" } "crm.$call", "oracle.$call") . ", '$name')";
        }
    }
    push @asked, asked_of_blocks();
    return @asked;
}

my $reset = <<'END';
TRUNCATE crm.touchpoints, crm.touchpoint_keys, crm.identities, crm.customers, crm.evidence, crm.former_memberships, crm.customer_journeys, crm.journey_changes;
DELETE FROM crm.channels WHERE channel IN ('balcão');
INSERT INTO crm.channels VALUES ('app', 'App', 'digital', 'owned', 'self-service') ON CONFLICT DO NOTHING;
UPDATE crm.channels SET kind = 'human' WHERE channel = 'whatsapp';
DELETE FROM crm.actions WHERE action IN ('view', 'call');
INSERT INTO crm.actions VALUES ('read', 'status') ON CONFLICT DO NOTHING;
END

my $parallel = parallel_settings($node);
my ($checks, $failed) = (0, 0);
for my $run (1 .. $runs)
{
    my $place = $places[ rand @places ];
    $base = "$place->[1] 00:00Z";
    $step = any(sort keys %limits);
    $width = any(20, 60, 200);
    my $some = $limits{$step};
    my $script = "SET jit = off;\n$reset" . "UPDATE crm.settings SET currency = 'EUR', time_zone = '$place->[0]', session_gap = '$some->[0]', handoff_within = '$some->[1]', repeat_within = '$some->[2]';\n";
    $script .= $parallel if $run % 4 == 0;
    for (1 .. any(1, 2, 3))
    {
        $script .= change() . ";\n" for 1 .. 1 + int rand 9;
        my @asked = asked();
        $checks += @asked;
        my $role = any('NONE', 'NONE', 'NONE', 'reader_of_all', 'reader_of_x');
        $script .= "SET ROLE $role;\n\\echo =\n" . join(";\n", @asked) . ";\n\\echo =\nRESET ROLE;\n";
    }
    # answers between the signs, of changes outside
    my @parts = split /^=$/m, sql($node, $script), -1;
    my @differences = grep { /\S/ } map { $parts[ 2 * $_ + 1 ] } 0 .. $#parts / 2 - 1;
    next if !@differences;
    fail("hub $run");
    diag $script, @differences;
    BAIL_OUT('packed journeys tell something else than rows');
}
ok(1, "$runs hubs, $checks answers from packed journeys are as from rows");

$node->stop;
done_testing();
