# Proves that real clients can use a hub: PostgreSQL's ODBC and JDBC drivers, which BI tools use, and Node's pg. Types arrive
# usable, parameters work, pattern queries with a parameter use the index. What isn't there is skipped: "make clientcheck"
# installs it all.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = "$FindBin::RealBin/../clients";
my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = start_server('main');
# only the drivers need TCP, and only from here
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\ntimezone = 'Asia/Tokyo'\n");
$node->restart;
my $port = $node->port;

sql($node, <<'END');
CREATE ROLE app LOGIN;
SELECT journey_create_hub('crm');
SELECT crm.grant_access('app', identifiers => true), crm.grant_access('app', 'writer');
SELECT crm.record('{email:ana@example.pt,cookie:1}', '2026-03-01 10:00Z', 'web', 'view');
SELECT crm.record('{email:ana@example.pt}', '2026-03-01 11:00:00.123456Z', 'store', 'buy', 49.90, 'EUR', attributes => '{"till": 3}');
SELECT crm.record('{email:ana@example.pt}', '2026-03-02 11:00Z', 'phone', 'call', direction => 'in');
SELECT cardinality(crm.record_many(array_agg((ARRAY[identifier('c', (n / 4)::text)], timestamptz '2026-03-01Z' + n * interval '1 min', 'web',
                                             CASE WHEN n IN (3000, 9000) THEN 'thing' ELSE 'view' END,
                                             NULL, NULL, NULL, NULL, NULL, NULL, 'x', n::text, NULL, NULL, NULL)::crm.event)))
FROM generate_series(1, 12000) n;
UPDATE crm.touchpoints SET channel = 'rare' WHERE action = 'thing';
SELECT crm.refresh();
ANALYZE crm.customer_journeys;
END

my %common = (
    text => 'store',
    numeric => '49.90',
    array => 'phone store web',
    journey => '{web.view@2026-03-01T10:00:00Z#1, store.buy=49.9@2026-03-01T11:00:00.123456Z#2, phone.call.in@2026-03-02T11:00:00Z#3}',
    customer => 'true',
    error => '22P02',
    index => 'true',
    matches => 2,
    boolean => 'true',
    null => 'null');

my $stored = q(12345678.0123456789|2026-03-05 09:00:00.123456|{"text": "it's"});

# What a client printed, and what it did to the hub
sub compare
{
    my ($client, $expected, $printed) = @_;
    my %got = $printed =~ /^(.*?): (.*?)\r?$/mg;
    is($got{$_}, $expected->{$_}, "$client: $_") for grep { $_ ne 'stored' } sort keys %$expected;
    is(sql($node, "SELECT value, occurred_at AT TIME ZONE 'UTC', attributes FROM crm.touchpoints WHERE source = lower('$client')"),
        $expected->{stored}, "$client: stored as it was given") if $expected->{stored};
}

sub found { return run_log([ 'sh', '-c', "$_[0] >/dev/null 2>&1" ]) }

SKIP: {
    skip 'no DBD::ODBC, or no ODBC driver of PostgreSQL', 1
      if !eval { require DBI; require DBD::ODBC; 1 } || !found("odbcinst -q -d -n 'PostgreSQL Unicode'");
    # DBD::ODBC would take the second colon of "::" for a parameter's, so that casts are spelt out. With plans kept on the server, and without: parameters become text in the query then
    for my $prepare (1, 0)
    {
        my $db = DBI->connect(
            "dbi:ODBC:Driver={PostgreSQL Unicode};Server=127.0.0.1;Port=$port;Database=postgres;Uid=app;UseServerSidePrepare=$prepare;BoolsAsChar=0",
            undef, undef, { RaiseError => 1, PrintError => 0, LongReadLen => 1 << 20 });
        my $out = '';
        my $say = sub { $out .= "$_[0]: $_[1]\n" };
        my $query = $db->prepare(
                'SELECT t.customer_id, t.channel, t.direction, t.value, t.occurred_at, t.since_previous, t.is_handoff, t.attributes,'
              . ' journey_channels(j.journey) AS channels, m.identifiers, j.journey'
              . ' FROM crm.timeline t JOIN crm.current_journeys j USING (customer_id) JOIN crm.customer_360 m USING (customer_id)'
              . ' WHERE t.customer_id = ? ORDER BY t.occurred_at LIMIT 2');
        $query->execute(1);
        $query->fetch;
        my $row = $query->fetchrow_hashref;
        $say->('bigint', $row->{customer_id});
        $say->('text', $row->{channel});
        $say->('null', $row->{direction} // 'null');
        $say->('numeric', $row->{value});
        $say->('timestamptz', $row->{occurred_at});
        $say->('interval', $row->{since_previous});
        $say->('boolean', $row->{is_handoff} ? 'true' : 'false');
        $say->('array', $row->{channels});
        $say->('identifier', $row->{identifiers});
        $say->($_, $row->{$_}) for qw(attributes journey);
        $query->finish;

        # a timestamp of ODBC's has no time zone, so one that has goes as text
        my $record = $db->prepare(
            'SELECT crm.record(CAST(? AS identifier[]), CAST(CAST(? AS text) AS timestamptz), ?, ?, value => CAST(? AS numeric), source => ?, source_key => ?, attributes => CAST(? AS jsonb))');
        my @ids;
        for (1, 2)
        {
            $record->execute(q({odbc:1,"odbc:\"1\" \\\\ 'x'"}), '2026-03-05 10:00:00.123456+01', 'odbc', 'click', '12345678.0123456789',
                "odbc$prepare", '1', q({"text": "it's"}));
            push @ids, $record->fetchrow_array;
            $record->finish;
        }
        $say->('recorded', $ids[0] == $ids[1] ? 'true' : "@ids");
        my ($customer) = $db->selectrow_array('SELECT crm.customer_of(CAST(? AS identifier)) = crm.customer_of(?)', undef, q(odbc:"1" \\ 'x'), 'odbc:1');
        $say->('customer', $customer ? 'true' : 'false');
        eval { $db->selectrow_array(q(SELECT crm.record(CAST(? AS identifier[]), now(), 'x', 'x')), undef, '{no namespace}') };
        $say->('error', $db->state);

        my $index = 'true';
        for (1 .. 12)
        {
            my $plan = $db->selectcol_arrayref('EXPLAIN SELECT customer_id FROM crm.customer_journeys WHERE journey ~ CAST(? AS journey_pattern)', undef, 'rare.thing');
            $index = "@$plan" if !grep { /customer_journeys_journey_idx/ } @$plan;
        }
        $say->('index', $index);
        ($customer) = $db->selectrow_array('SELECT count(*) FROM crm.customer_journeys WHERE journey ~ CAST(? AS journey_pattern)', undef, 'rare.thing');
        $say->('matches', $customer);
        $say->('views', join ' ', map { $_->[2] } @{ $db->table_info(undef, 'crm', 'c%', 'VIEW')->fetchall_arrayref });
        $say->('columns', join ' ', map { "$_->[3] $_->[5]" } @{ $db->column_info(undef, 'crm', 'current_journeys', '%')->fetchall_arrayref });
        $db->disconnect;
        compare("ODBC$prepare", {
            %common, bigint => 1, recorded => 'true', timestamptz => '2026-03-01 20:00:00.123456', interval => '01:00:00.123456',
            array => '{phone,store,web}', identifier => '{cookie:1,email:ana@example.pt}', attributes => '{"till": 3}',
            views => 'changed_journeys channel_mix channel_mix_monthly channel_transitions channel_transitions_monthly contacts conversation_touchpoints conversations conversions current_blocks current_journeys customer_360 customer_profile customer_segments', columns => 'customer_id int8 journey journey',
            stored => $stored }, $out);
        }
}

SKIP: {
    my ($jar) = glob '/usr/share/java/postgresql.jar';
    skip 'no JDK, or no JDBC driver of PostgreSQL', 1 if !$jar || !found('java --list-modules | grep jdk.compiler');
    my ($out, $err);
    run_log([ 'java', '-XX:-UsePerfData', '-Duser.timezone=America/Sao_Paulo', '-cp', $jar, "$clients/Clients.java", "jdbc:postgresql://127.0.0.1:$port/postgres?user=app" ],
        '>', \$out, '2>', \$err) or diag $err;
    compare('JDBC', {
        %common, bigint => '1 true', numeric => '49.90 true', timestamptz => '2026-03-01T11:00:00.123456Z', interval => '1 h', jsonb => '{"till": 3}',
        identifier => '{cookie:1,email:ana@example.pt}', 'recorded 1' => 'true', 'recorded 2' => 'true', untyped => 'true 1',
        kinds => 'BIGINT VARCHAR NUMERIC TIMESTAMP BIT OTHER ARRAY OTHER',
        views => 'changed_journeys channel_mix channel_mix_monthly channel_transitions channel_transitions_monthly contacts conversation_touchpoints conversations conversions current_blocks current_journeys customer_360 customer_profile customer_segments',
        columns => 'customer_id int8: the customer; journey journey: all touchpoints of the customer, with touchpoint_id as ref, in, out or bot as detail, and values that are in the settings\' currency, or in none; ',
        stored => $stored }, $out);
}

SKIP: {
    skip 'no Node', 1 if !found('node --version');
    my $modules = -d '/usr/share/nodejs/pg' ? '/usr/share/nodejs' : "$dir/node_modules";
    if (!-d "$modules/pg")
    {
        local $ENV{HOME} = $dir;
        skip q(no pg of Node's, and npm can't get it), 1
          if !found("cd $dir && npm install --silent --no-audit --no-fund --no-save --fetch-retries=0 --fetch-timeout=20000 pg");
    }
    local $ENV{NODE_PATH} = $modules;
    local $ENV{TZ} = 'America/Sao_Paulo';
    my ($out, $err);
    run_log([ 'node', "$clients/clients.js", "postgresql://app\@127.0.0.1:$port/postgres" ], '>', \$out, '2>', \$err) or diag $err;
    compare('Node', {
        %common, bigint => 1, timestamptz => '2026-03-01T11:00:00.123Z', interval => '1 h', jsonb => 3, identifier => 'cookie:1 email:ana@example.pt',
        recorded => 'true', told => 'crm true true', many => 2, ingested => 1, stored => $stored }, $out);
}

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
