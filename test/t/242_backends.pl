# The examples of a backend, in Node and in Python: told by the server, and by nothing else, they send whoever writes to an
# agent; several at once do nothing twice. What isn't there is skipped: "make clientcheck" installs it.
use strict;
use warnings;
use FindBin;
use IPC::Run;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $examples = "$FindBin::RealBin/../../examples";
my $dir = PostgreSQL::Test::Utils::tempdir;
sub found { return run_log([ 'sh', '-c', "$_[0] >/dev/null 2>&1" ]) }

my %command;
if (found('node --version'))
{
    my $modules = -d '/usr/share/nodejs/pg' ? '/usr/share/nodejs' : "$dir/node_modules";
    local $ENV{HOME} = $dir;
    $command{Node} = [ 'env', "NODE_PATH=$modules", 'node', "$examples/node/backend.js", 'crm' ]
      if -d "$modules/pg"
      || slowly(0, 1) && found("cd $dir && npm install --silent --no-audit --no-fund --no-save --fetch-retries=0 --fetch-timeout=20000 pg");
}
for my $python ('/usr/bin/python3', 'python3')
{
    $command{Python} //= [ $python, "$examples/python/backend.py", 'crm' ] if found("$python -c 'import psycopg; psycopg.ClientCursor'");
}

my $node = start_server('main');
sql($node, <<'END');
CREATE ROLE backend LOGIN;
SELECT journey_create_hub('crm');
SELECT crm.grant_access('backend'), crm.grant_access('backend', 'writer');
INSERT INTO crm.agents (agent, on_duty, capacity) VALUES ('Rita', true, 2), ('Nuno', true, 1000), ('Marta', true, 1000);
INSERT INTO crm.queues (queue) VALUES ('chats');
INSERT INTO crm.agent_queues (queue, agent) SELECT 'chats', agent FROM crm.agents;
INSERT INTO crm.routing_rules (position, queue) VALUES (1, 'chats');
SELECT crm.create_segment('writers', '{"pattern": "chat.message"}');
END

# Customers write: one for each name
sub write_chats
{
    my (@names) = @_;
    sql($node, "SELECT crm.record(ARRAY[identifier('id', n)], now(), 'chat', 'message', direction => 'in', conversation => n, source => 'x') FROM unnest('{"
          . join(',', @names) . "}'::text[]) n");
}

my %run;
for my $name (sort keys %command)
{
    local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PGUSER => 'backend', EVERY => 100000,
        PGAPPNAME => $name);
    $run{$name} = { out => '', err => '' };
    $run{$name}{process} = IPC::Run::start($command{$name}, '<', \undef, '>', \$run{$name}{out}, '2>', \$run{$name}{err});
    ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'backend' AND application_name = '$name' AND state = 'idle')"),
        "$name: is there");
}

for my $name (sort keys %command)
{
    # alone, because the other one is held
    $_->{process}->signal('STOP') for map { $run{$_} } grep { $_ ne $name } keys %run;
    write_chats("${name}_first");
    ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM crm.assignments WHERE conversation = '${name}_first' AND agent IS NOT NULL)"),
        "$name: who writes is assigned");
    $_->{process}->signal('CONT') for map { $run{$_} } grep { $_ ne $name } keys %run;
}

SKIP:
{
    skip 'neither pg of Node\'s nor psycopg of Python\'s', 1 if !%command;

    write_chats("many_$_") for 1 .. 40;
    sql($node, 'SELECT crm.refresh()');
    ok($node->poll_query_until('postgres', "SELECT count(*) = 40 FROM crm.assignments WHERE conversation LIKE 'many%' AND agent IS NOT NULL"),
        'many write, and all are assigned');
    write_chats('last');
    ok($node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM crm.segment_log WHERE taken_at IS NULL)"), 'who entered the segment is taken');
    is(sql($node, "SELECT count(*) - count(DISTINCT conversation), count(*) FILTER (WHERE outcome IS NOT NULL),
                   count(*) FILTER (WHERE agent = 'Rita') <= 2 FROM crm.assignments"), '0|0|t', 'each once, and nobody gets too many');
    my %seen;
    for my $name (sort keys %run)
    {
        ok($run{$name}{process}->pumpable, "$name: still runs") or diag $run{$name}{err};
        $run{$name}{process}->signal('TERM');
        eval { $run{$name}{process}->finish };
        $seen{$_}++ for $run{$name}{out} =~ /^(customer \d+ (?:entered|left) .*)$/mg;
        $seen{$_}++ for $run{$name}{out} =~ /^(customer \d+ \w+):/mg;
        note "$name: ", scalar(() = $run{$name}{out} =~ /^customer.*: /mg), " assigned\n", $run{$name}{err};
        unlike($run{$name}{err}, qr/rror/, "$name: no errors");
    }
    is_deeply([ grep { $seen{$_} > 1 } sort keys %seen ], [], 'nobody acts on the same twice');
    is(scalar(keys %seen), sql($node, 'SELECT (SELECT count(*) FROM crm.segment_log) + (SELECT count(*) FROM crm.assignments)'), 'and somebody on each');
}
for my $name (qw(Node Python))
{
    SKIP: { skip $name eq 'Node' ? q(no Node, or no pg of Node's) : 'no Python, or no psycopg', 1 if !$command{$name}; pass("$name was run") }
}

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
