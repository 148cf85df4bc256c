# Proves that who is kept in a segment is who meets its definition. The judge is plain SQL over touchpoints, profiles and
# customer_360, made of random definitions by this file. Between refreshes touchpoints come, late too, change and go,
# traits are told and taken back, customers merge, part and are forgotten, rules, actions, bots, settings and definitions
# change, and time passes; after each the judge decides in the transaction of the refresh, so by the same clock. The log
# must tell each entering and leaving, by turns. Then the clock alone is put forward and back; and at last several
# sessions do all of it at once.
# PGJ_SEED repeats a run, PGJ_RUNS sets the number of refreshes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(8, 400);
my $node = start_server('main');
my @channels = qw(web store chat);
my @actions = qw(view purchase message resolved);
my @periods = ('300 milliseconds', '2 seconds', '4 seconds', '1 minute', '36 hours', '10 days');

sub label { return join '.', any(@channels, '%'), any(@actions, '%') }

sub like_label
{
    my ($t, $label) = @_;
    my ($channel, $action) = split /\./, $label;
    return '(' . join(' AND ', 'true', $channel eq '%' ? () : "$t.channel = '$channel'", $action eq '%' ? () : "$t.action = '$action'") . ')';
}

# A period as members of a condition, and as a condition on t
sub period
{
    my $kind = int rand 6;
    my ($p) = any(@periods);
    return ('', 'true') if $kind < 2;
    return (qq(, "within": "$p"), "t.occurred_at >= $::AT - interval '$p'") if $kind < 4;
    return (qq(, "older_than": "$p"), "t.occurred_at < $::AT - interval '$p'") if $kind == 4;
    return (qq(, "since": "2026-01-20"), "t.occurred_at >= timestamp '2026-01-20' AT TIME ZONE (SELECT time_zone FROM crm.settings)");
}
our $AT = '(SELECT at FROM at)';

sub touches { my ($during) = @_; return "(SELECT t.*, row_number() OVER (ORDER BY t.occurred_at, t.touchpoint_id) AS n FROM tp t WHERE t.customer_id = c.customer_id AND $during)" }

# A random condition, as JSON and in SQL; @$made: segments there are
sub condition
{
    my ($depth, $made) = @_;
    my $kind = int rand($depth > 0 ? 16 : 11);
    my ($json, $during) = period();
    my ($a, $b) = (label(), label());
    my $t = touches($during);
    return (qq({"pattern": "$a"$json}), "EXISTS (SELECT FROM $t x WHERE " . like_label('x', $a) . ')') if $kind < 2;
    return (qq({"pattern": "$a -> $b"$json}), "EXISTS (SELECT FROM $t x JOIN $t y ON x.n < y.n WHERE " . like_label('x', $a) . ' AND ' . like_label('y', $b) . ')') if $kind == 2;
    return (qq({"pattern": "$a => $b"$json}), "EXISTS (SELECT FROM $t x JOIN $t y ON x.n + 1 = y.n WHERE " . like_label('x', $a) . ' AND ' . like_label('y', $b) . ')') if $kind == 3;
    return (qq({"pattern": "^ $a"$json}), "EXISTS (SELECT FROM $t x WHERE x.n = 1 AND " . like_label('x', $a) . ')') if $kind == 4 && rand() < 0.5;
    return (qq({"pattern": "$a -[!$b]-> \$"$json}), "EXISTS (SELECT FROM $t x WHERE " . like_label('x', $a)
          . " AND NOT EXISTS (SELECT FROM $t y WHERE y.n > x.n AND " . like_label('y', $b) . '))') if $kind == 4;
    my ($low, $high) = (int rand 4, 2 + int rand 4);
    $high = $low if $high < $low;
    my ($limits, $in) = @{ any([ qq("min": $low), ">= $low" ], [ qq("max": $high), "<= $high" ], [ qq("min": $low, "max": $high), "BETWEEN $low AND $high" ]) };
    return (qq({"pattern": "$a", "times": {$limits}$json}), "(SELECT count(*) FROM $t x WHERE " . like_label('x', $a) . ") $in") if $kind == 5;
    return (qq({"measure": "touchpoints", $limits$json}), "(SELECT count(*) FROM $t x) $in") if $kind == 6 && rand() < 0.4;
    return (qq({"measure": "channels", $limits$json}), "(SELECT count(DISTINCT x.channel) FROM $t x) $in") if $kind == 6 && rand() < 0.4;
    return (qq({"measure": "value", $limits$json}), "(SELECT coalesce(sum(x.value), 0) FROM $t x WHERE coalesce(x.currency = (SELECT currency FROM crm.settings), x.currency IS NULL)) $in") if $kind == 6;
    if ($kind == 7)
    {
        my ($measure, $is) = @{ any([ 'first_seen', 'min(t.occurred_at)' ], [ 'last_seen', 'max(t.occurred_at)' ]) };
        my ($p) = any(@periods);
        my ($key, $op) = @{ any([ 'within', '>=' ], [ 'older_than', '<' ]) };
        return (qq({"measure": "$measure", "$key": "$p"}), "coalesce((SELECT $is FROM tp t WHERE t.customer_id = c.customer_id) $op $AT - interval '$p', false)");
    }
    if ($kind == 8)
    {
        my $measure = any(qw(handoffs visits sessions open_conversations));
        return (qq({"measure": "$measure", $limits}), "(SELECT k.$measure FROM crm.customer_360 k WHERE k.customer_id = c.customer_id) $in");
    }
    if ($kind < 11)
    {
        my ($path, $sql) = @{ any([ '$.plan == \"gold\"', q(p.traits ->> 'plan' = 'gold') ],
              [ '$.age >= 30', q(CASE WHEN jsonb_typeof(p.traits -> 'age') = 'number' THEN (p.traits ->> 'age')::numeric >= 30 END) ],
              [ 'exists($.city)', q(p.traits ? 'city') ]) };
        return (qq({"trait": "$path"}), "coalesce((SELECT $sql FROM crm.customer_profile p WHERE p.customer_id = c.customer_id), false)");
    }
    if ($kind == 11 && @$made)
    {
        my $other = any(@$made);
        return (qq({"segment": "$other->{name}"}), "($other->{sql})");
    }
    my ($x, $x_sql) = condition($depth - 1, $made);
    return (qq({"not": $x}), "(NOT $x_sql)") if $kind < 13;
    my ($y, $y_sql) = condition($depth - 1, $made);
    my $word = any('and', 'or');
    return (qq({"$word": [$x, $y]}), "($x_sql $word $y_sql)");
}

my @segments;
my $number = 0;

# A new segment, or another definition of one that no other names
sub define
{
    my ($json, $sql, $name);
    my @named = map { @{ $_->{names} } } @segments;
    my @free = grep { my $s = $_; !grep { $_ eq $s->{name} } @named } @segments;
    ($json, $sql) = condition(2, \@segments);
    my @names = $json =~ /"segment": "(\w+)"/g;
    if (@segments >= 12 && @free)
    {
        my $old = any(@free);
        return if grep { $_ eq $old->{name} } @names;
        @segments = grep { $_ ne $old } @segments;
        return "SELECT crm.drop_segment('$old->{name}');\n" if rand() < 0.3;
        $name = $old->{name};
    }
    $name //= 's' . ++$number;
    push @segments, { name => $name, sql => $sql, names => \@names };
    return "SELECT crm.create_segment('$name', '$json', replace => true);\n";
}

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }
my $key = 0;

sub someone { my ($kind) = @_; return any('c', 'd', 'e') . ':' . int rand 9 }

sub change
{
    my $kind = int rand 24;
    my $when = any("clock_timestamp() - random() * interval '4 seconds'", "clock_timestamp() - random() * interval '4 seconds'",
        "timestamptz '2026-01-01Z' + random() * interval '60 days'", "clock_timestamp() + random() * interval '2 seconds'");
    my ($channel, $action) = (any(@channels), any(@actions));
    my $who = someone();
    $key++;
    return "SELECT crm.record(ARRAY['$who'::identifier" . (rand() < 0.1 ? ", '" . someone() . "'" : '') . "], $when, '$channel', '$action', "
      . any('NULL', 1, 2.5) . ', ' . any('NULL', "'EUR'", "'USD'") . ', ' . any('NULL', "'in'", "'out'") . ", conversation => "
      . any('NULL', "'k" . int(rand 3) . "'") . ", agent => " . any('NULL', "'rita'", "'bot'") . ", source => 'x', source_key => '$key');\n" if $kind < 9;
    return "SELECT crm.set_traits('$who', '" . any('{"plan": "gold"}', '{"plan": null, "age": 31}', '{"age": 20, "city": "Porto"}', '{"age": "31"}') . "', '"
      . any(qw(crm shop)) . "', timestamptz '2026-01-01Z' + " . int(rand 9) . " * interval '1 day');\n" if $kind < 12;
    return "SELECT crm.link('$who', '" . someone() . "', '2026-02-0" . (1 + int rand 9) . "Z', 'crm', 'l" . int(rand 12) . "-$key');\n" if $kind == 12;
    return "SELECT crm.retract(source, source_key) FROM (SELECT * FROM crm.evidence WHERE retracted_at IS NULL ORDER BY random() LIMIT 2) e;\n" if $kind < 15;
    return "DELETE FROM crm.touchpoints WHERE touchpoint_id = (SELECT min(touchpoint_id) + (random() * (max(touchpoint_id) - min(touchpoint_id)))::int FROM crm.touchpoints);\n" if $kind == 15;
    return "UPDATE crm.touchpoints SET " . any("conversation = 'k1'", 'value = 2', "occurred_at = occurred_at - interval '3 days'", "action = 'view'")
      . " WHERE touchpoint_id % 11 = " . int(rand 11) . ";\n" if $kind == 16;
    return "SELECT crm.put_traits('table', ARRAY['r" . int(rand 4) . "'], ARRAY['$who']::identifier[], ARRAY['" . any('{"plan": "gold"}', '{"city": "Faro"}', '{}') . "']::jsonb[], ARRAY[now()]);\n" if $kind == 17;
    return any("DELETE FROM crm.traits WHERE random() < 0.1;\n",
        "INSERT INTO crm.trait_rules (trait, rule) VALUES ('plan', 'longest') ON CONFLICT (trait) DO UPDATE SET rule = CASE trait_rules.rule WHEN 'min' THEN 'max' ELSE 'min' END;\n",
        "SELECT crm.set_rule('c', max_per_customer => " . int(rand 3) . ", blocked => ARRAY['" . int(rand 9) . "']);\n",
        "SELECT crm.set_rule('d', shared_above => " . int(rand 4) . ");\n") if $kind < 20;
    return any("INSERT INTO crm.actions (action, means) VALUES ('view', 'status') ON CONFLICT (action) DO UPDATE SET means = 'asks_and_resolves';\n",
        "DELETE FROM crm.actions WHERE action = 'view';\n",
        "INSERT INTO crm.agents (agent, is_bot) VALUES ('rita', true) ON CONFLICT (agent) DO UPDATE SET is_bot = NOT agents.is_bot;\n",
        "UPDATE crm.settings SET time_zone = CASE time_zone WHEN 'UTC' THEN 'America/Sao_Paulo' ELSE 'UTC' END;\n",
        "UPDATE crm.settings SET handoff_within = CASE WHEN handoff_within > '1 hour' THEN interval '1 minute' ELSE '1 day' END, session_gap = '1 minute';\n",
        "UPDATE crm.settings SET currency = CASE currency WHEN 'EUR' THEN 'USD' ELSE 'EUR' END;\n",
        "UPDATE crm.settings SET forget_unreferenced = NOT forget_unreferenced;\n") if $kind == 20;
    return define() // '';
}

sql($node, <<'END');
SELECT journey_create_hub('crm');
UPDATE crm.settings SET notify = false;
SELECT crm.set_rule('e', priority => 2);
CREATE VIEW tp AS SELECT i.customer_id, t.* FROM crm.touchpoints t JOIN crm.identities i USING (identity_id);
CREATE VIEW replayed AS
SELECT l.segment, l.customer_id,
       bool_or(l.entered = l.before) AS twice, (array_agg(l.entered ORDER BY l.log_id DESC))[1] AS is_in
FROM (SELECT l.*, lag(l.entered, 1, false) OVER (PARTITION BY l.segment, l.customer_id ORDER BY l.log_id) AS before FROM crm.segment_log l) l
GROUP BY 1, 2;
CREATE TABLE flaws (run integer, segment text, what text, customer_id bigint);
END

# What is wrong, into flaws; how: the judge, and what must agree with it
sub judge
{
    my ($run, $live) = @_;
    my $sql = '';
    for my $s (@segments)
    {
        my $name = quoted($s->{name});
        my %others = (kept => "SELECT k.customer_id FROM crm.customer_segments k WHERE k.segment = $name");
        if ($live)
        {
            $others{live} = "SELECT m FROM crm.segment_members($name, $AT) m";
            $others{'one by one'} = "SELECT c.customer_id FROM crm.customers c WHERE crm.in_segment($name, c.customer_id, $AT)";
        }
        $sql .= "CREATE TEMP TABLE judged ON COMMIT DROP AS SELECT c.customer_id FROM crm.customers c WHERE $s->{sql};\n";
        $sql .= "INSERT INTO flaws SELECT $run, $name, '$_', d.* FROM ((TABLE judged EXCEPT ALL $others{$_}) UNION ALL ($others{$_} EXCEPT ALL TABLE judged)) d;\n" for sort keys %others;
        $sql .= "DROP TABLE judged;\n";
    }
    $sql .= "INSERT INTO flaws SELECT $run, r.segment, 'log', r.customer_id FROM replayed r FULL JOIN crm.customer_segments k USING (segment, customer_id) WHERE r.twice OR r.is_in IS DISTINCT FROM (k.segment IS NOT NULL);\n";
    $sql .= "INSERT INTO flaws SELECT $run, NULL, 'all of one', c.customer_id FROM crm.customers c WHERE ARRAY(SELECT crm.segments_of(c.customer_id, $AT)) <> ARRAY(SELECT k.segment FROM crm.customer_segments k WHERE k.customer_id = c.customer_id ORDER BY 1);\n" if $live;
    return $sql;
}

sub flaws { return sql($node, "SELECT f.*, (SELECT s.definition FROM crm.segments s WHERE s.segment = f.segment) FROM flaws f ORDER BY 1, 2, 3 LIMIT 5") }

sub run_all
{
    my ($sql) = @_;
    my ($status, $out, $error) = $node->psql('postgres', "SET client_min_messages = warning;\n$sql");
    my @wrong = grep { /ERROR/ } split /\n/, $error;
    is("@wrong", '', 'no errors') or note $sql;
    return;
}

my $script = join '', map { define() // '' } 1 .. 10;
for my $run (1 .. $runs)
{
    $script .= join '', map { change() } 1 .. 1 + int rand 25;
    # what notes say holds before the refresh as well as after it
    my $before = rand() < 0.3 ? "CREATE TEMP TABLE at ON COMMIT DROP AS SELECT now() AS at;\n"
      . "INSERT INTO flaws SELECT $run, s.segment, 'before', d.m FROM crm.segments s CROSS JOIN LATERAL ((SELECT m FROM crm.segment_members(s.segment) m EXCEPT SELECT c.customer_id FROM crm.customers c WHERE s.segment IN (SELECT crm.segments_of(c.customer_id)))) d;\nDROP TABLE at;\n" : '';
    run_all($script . "BEGIN;\n$before" . ($run % 9 == 8 ? "SELECT crm.refresh(rebuild => true);\n" : "SELECT crm.refresh();\n")
          . "CREATE TEMP TABLE at ON COMMIT DROP AS SELECT now() AS at;\n" . judge($run, $run % 4 == 0) . 'COMMIT;');
    $script = '';
    is(flaws(), '', "run $run: " . @segments . ' segments') or last;
}
# The clock alone
for my $ahead ('1 second', '3 seconds', '1 minute', '1 day', '9 days', '11 days', '2 days', '30 days')
{
    run_all("BEGIN; CREATE TEMP TABLE at ON COMMIT DROP AS SELECT now() + interval '$ahead' AS at;\n"
          . "SELECT crm.refresh();\nSELECT crm.refresh_segments((SELECT at FROM at));\n" . judge(1000, 1) . 'COMMIT;') if $ahead eq '1 second';
    run_all("BEGIN; CREATE TEMP TABLE at ON COMMIT DROP AS SELECT now() + interval '$ahead' AS at;\n"
          . "SELECT crm.refresh_segments((SELECT at FROM at));\n" . judge(1000, 0) . 'COMMIT;');
    is(flaws(), '', "after $ahead");
}
cmp_ok(sql($node, "SELECT count(*) FROM crm.segment_log WHERE why = '{time}'"), '>', 0, 'the clock alone has moved somebody');
cmp_ok(sql($node, "SELECT count(*) FROM crm.segment_log WHERE 'identities' = ANY (why)"), '>', 0, 'so have merges');

# All at once
my @clients;
my $dir = PostgreSQL::Test::Utils::tempdir;
for my $client (1 .. 4)
{
    my @own = @segments;
    my $sql = join '', map { my $c; do { $c = $client == 4 ? "SELECT crm.refresh();\n" : change() } while $c =~ /_segment/; $c } 1 .. slowly(25, 2000);
    @segments = @own;
    write_bytes("$dir/$client", "SET client_min_messages = warning;\n$sql");
    my ($in, $out, $error) = ('', '', '');
    push @clients, { error => \$error, handle => IPC::Run::start([ 'psql', '-Xq', '-o', '/dev/null', '-d', $node->connstr('postgres'), '-f', "$dir/$client" ], \$in, \$out, \$error) };
}
for (@clients)
{
    $_->{handle}->finish;
    my @wrong = grep { /ERROR/ && !/deadlock|identif|could not obtain/ } split /\n/, ${ $_->{error} };
    is("@wrong", '', 'no strange errors');
}
run_all("BEGIN; SELECT crm.refresh(); CREATE TEMP TABLE at ON COMMIT DROP AS SELECT now() AS at;\n" . judge(2000, 1) . 'COMMIT;');
is(flaws(), '', 'after all at once');

# Listeners are told, as the log has it
like(sql($node, <<'END'), qr/Asynchronous notification "crm" with payload "\{"segment": "told", "customer_id": \d+, "entered": true\}"/, 'who listens is told');
UPDATE crm.settings SET notify = true;
SELECT crm.create_segment('told', '{"pattern": "web.told"}') IS NOT NULL;
SELECT crm.refresh() IS NOT NULL;
SELECT crm.record('{c:told}', now(), 'web', 'told') IS NOT NULL;
LISTEN crm;
SELECT crm.refresh() IS NOT NULL;
END
is(crashes($node), '', 'no crashes');
done_testing();
