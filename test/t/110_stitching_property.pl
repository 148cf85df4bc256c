# Proves the law of stitching: the partition of identifiers into customers is a pure
# function of evidence and rules. The judge is the model in StitchModel.pm. Random
# sets of evidence reach a hub as they were made, in another order and repeatedly, in
# batches, and among retractions, pairs and rules that come and go; after every call
# the hub must hold the model's partition. PGJ_SEED repeats a run, PGJ_RUNS sets
# the number of sets.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use lib "$FindBin::Bin/lib";
use List::Util 'shuffle';
use POSIX ();
use PgJourney;
use StitchModel;
use StitchRun;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(40, 1000);
my $batch = 25;    # sets in one script

# The namespaces don't sort as the identifiers' texts do
my @namespaces = ('crm', 'crm-eu', 'e', 'e.mail', "\xc3\xa9");
my @values = (map({ "v$_" } 1 .. 6), 'V1', 'a:b', '10', '9', "o'x", "\xc3\xa7");
my @refused = ('null', 'N/A', 'Test@x', '0000', '-1', 'b1', 'B2');

sub some_of { my ($most, @of) = @_; my @all = shuffle(@of); return @all[ 0 .. ($most < @all ? $most : @all) - 1 ] }

sub random_rule
{
    my %rule = (
        priority => any(undef, 0, 1, 2, -1, 7),
        max => any(undef, undef, 0, 1, 1, 2),
        shared => any(undef, undef, undef, 0, 1, 2, 3),
        blocked => any(undef, undef, undef, [ 'v1' ], [ 'B1', 'v2' ], [ '~^b' ], [ '~[56]$', 'null' ], [], [ '933.333.333', 'RUI@example.pt' ],
            [ '~^ana', '+351912345678', '529982247-25' ]),
        normalizer => any(undef, undef, undef, 'email', 'phone', 'phone', 'document', ''),
        country => any(undef, undef, 'PT', 'PT', 'ES', ''));
    return map { defined $rule{$_} ? ($_ => $rule{$_}) : () } sort keys %rule;
}

my $made = 0;

sub random_observation
{
    my ($universe, $most) = @_;
    my @ids = some_of(1 + int rand $most, @$universe);
    push @ids, $ids[0] if rand() < 0.1;
    my %observation = (ids => \@ids, at => any(1 .. 3), source => any('web', 'web', 'till'));
    $observation{key} = rand() < 0.2 && !single(\%observation) ? undef : 'k' . ++$made;
    return \%observation;
}

# Of one identifier, so no evidence?
sub single { my ($o) = @_; return 2 > keys %{ { map { $_ => 1 } @{ $o->{ids} } } } }

# As a call, if that is possible as link()
sub observe
{
    my ($o) = @_;
    my @ids = @{ $o->{ids} };
    return [ @ids == 2 && $ids[0] ne $ids[1] && rand() < 0.5 ? 'link' : 'identify', $o ];
}

sub random_pair { my ($universe) = @_; return [ any('must_link', 'cannot_link'), some_of(2, @$universe) ] }

# Of what was seen; in every program once, so that it is known
sub random_guesses
{
    my ($observations) = @_;
    my @known = StitchModel::distinct(map { @{ $_->{ids} } } @$observations);
    return if @known < 2;
    return map { { ids => [ some_of(2, @known) ], strength => any(0.5, 1, 1, 2, 7.25), key => 'g' . ++$made } } 1 .. any(1, 2, 3, 6);
}

# What is said of an identifier, in a way that another may say, too
sub random_record
{
    my ($universe) = @_;
    return [ 'tell', any(@$universe), any('clean', 'web'), 'r' . ++$made, born => any(undef, 1, 2, ' 2 '), suffix => any(undef, undef, 'jr', 'Jr', 'sr', '') ];
}

sub random_conflict { return [ 'set_conflict', any([ ['born'], undef ], [ ['born'], undef ], [ ['suffix'], 'web' ], [ [ 'born', 'suffix' ], undef ], [ [], 'clean' ])->@* ] }

# Calls that lead somewhere else
sub detour
{
    my ($universe, $observations, $pairs, $records) = @_;
    if (@$records && rand() < 0.25)
    {
        my $record = any(@$records);
        return any([ 'untell', @$record[ 2, 3 ] ], random_record($universe), [ @{ random_record($universe) }[ 0, 1 ], @$record[ 2, 3 ], born => any(1, 2) ],
            random_conflict(), [ 'drop_conflict', @{ random_conflict() }[ 1, 2 ] ]);
    }
    my $what = rand;
    my $o = any(@$observations);
    return [ 'retract', $o->{source}, $o->{key} ] if $what < 0.15 && defined $o->{key};
    # some of one source; one may be given twice, or be none
    return [ 'retract_many', $o->{source}, some_of(any(2, 4, 9), 'none', map { $_->{source} eq $o->{source} && $_->{key} // () } @$observations, $o) ]
      if $what < 0.25;
    return [ 'set_rule', any(@$universe) =~ s/:.*//sr, random_rule() ] if $what < 0.45;
    return [ 'set_rule', '*', random_rule() ] if $what < 0.5;
    return [ 'drop_rule', any(@$universe) =~ s/:.*//sr ] if $what < 0.55;
    return random_pair($universe) if $what < 0.66;
    # a guess of this program's, perhaps
    return [ 'retract', 'match', 'g' . any(1, int($made / 2), $made - 1, $made) ] if $what < 0.7;
    return [ 'clear_pair', @$pairs ? @{ any(@$pairs) }[ 1, 2 ] : some_of(2, @$universe) ] if $what < 0.75;
    return [ 'set_quarantine_above', any(undef, 1, 2, 3, 5) ] if $what < 0.8;
    return [ 'stitch_all' ] if $what < 0.82;
    # the key of something else
    return [ 'identify', { %$o, ids => [ some_of(3, @$universe) ] } ] if $what < 0.85 && @$universe > 2 && defined $o->{key} && !single($o);
    # the same again, as of another time
    return [ 'identify', { %$o, at => 4 } ] if $what < 0.87 && defined $o->{key};
    return observe(random_observation($universe, 4));
}

sub question
{
    my ($universe, $observations, @guesses) = @_;
    return [ 'why', any(@guesses)->{ids}->@* ] if @guesses && rand() < 0.5;
    return [ 'why', some_of(2, @$universe) ] if rand() < 0.6;
    my @observations = map { random_observation($universe, 4) } 1 .. any(0 .. 3);
    push @observations, any(@$observations) if rand() < 0.3;
    my %rules = map { any(@$universe) =~ s/:.*//sr => { random_rule() } } 1 .. any(0 .. 2);
    return [ 'simulate', \@observations, \%rules ];
}

# Among calls others, wherever it happens to be, without changing the calls' order
sub interspersed
{
    my ($calls, @others) = @_;
    my @calls = @$calls;
    splice @calls, int rand(1 + @calls), 0, $_ for @others;
    return \@calls;
}

# One set of evidence and rules, as programs that must all end alike
sub random_programs
{
    my %universe;
    my @spaces = some_of(2 + int rand 4, @namespaces);
    my $size = 2 + int rand 13;
    my $spelled = any(0, 0.4, 0.9);
    my @spellings = some_of(any(3, 8, 30), @StitchModel::SPELLINGS);
    while (keys %universe < $size)
    {
        $universe{ any(@spaces) . ':' . (rand() < 0.12 ? any(@refused) : rand() < $spelled ? any(@spellings) : any(@values)) } = 1;
    }
    my $universe = [ sort keys %universe ];
    my $most = any(2, 3, 5);
    my @observations = map { random_observation($universe, $most) } 1 .. 2 + int rand(1 + $size);
    # the rules are set, or set otherwise and then so
    my %rules = map { $_ => [ 'set_rule', $_, random_rule() ] } some_of(int rand 4, @spaces), rand() < 0.2 ? '*' : ();
    my @rules = map { $rules{$_} } sort keys %rules;
    push @rules, [ 'set_quarantine_above', any(undef, 1, 2, 3, 4) ] if rand() < 0.35;
    my %pairs = map { pair_of(@$_[ 1, 2 ]) => $_ } map { random_pair($universe) } 1 .. any(0, 0, 1, 2, 3);
    my @pairs = map { $pairs{$_} } sort keys %pairs;
    my @again = (@observations, map { any(@observations) } 1 .. 2);
    my @guesses = map { [ 'guess_many', any(1 .. 3), random_guesses(\@observations) ] } 1 .. any(0, 1, 1, 2, 3);
    @guesses = grep { @$_ > 2 } @guesses;
    my %conflicts = map { join(' ', $_->[1]->@*, '|', $_->[2] // '') => $_ } map { random_conflict() } 1 .. (@guesses ? any(0, 1, 1, 1, 2) : any(0, 0, 1));
    my @conflicts = map { $conflicts{$_} } sort keys %conflicts;
    push @rules, @conflicts;
    my @guessed = map { @$_[ 2 .. $#$_ ] } @guesses;
    my $likely = [ @$universe, map { @{ $_->{ids} } } @guessed ];
    my @records = map { random_record($likely) } 1 .. (@conflicts ? any(4, 8, 12) : 0);
    my @asked = @records && @guessed ? map { [ 'why', any(@guessed)->{ids}->@* ] } 1 .. 3 : ();

    my @batches;
    my @left = shuffle(@again);
    push @batches, [ 'identify_many', splice @left, 0, rand() < 0.15 ? @left : 1 + int rand 6 ] while @left;

    return (
        [ @rules, @records, (rand() < 0.5 ? [ 'identify_many', @observations ] : map { observe($_) } @observations), @guesses, @pairs, @asked ],
        [ @{ interspersed([ shuffle(map { observe($_) } @again), shuffle(@guesses) ], @pairs, @rules, @records) }, @asked ],
        [ @{ interspersed([ @batches, @guesses ], @pairs, @rules, @guesses, shuffle(@records)) }, @asked ],
        [   @{  interspersed(
                    [ map({ observe($_) } shuffle(@observations)), @guesses, @pairs, @rules, @records ],
                    map({ detour($universe, \@observations, \@pairs, \@records) } 1 .. 5 + int rand 8),
                    map({ question($universe, \@observations, @guessed) } 1 .. 2)) },
            map({ question($universe, \@observations, @guessed) } 1 .. 3) ]);
}

# Runs every other batch, from the given one on, in its own database; returns how many
# calls there were, what the programs ended with, and those that failed
sub run_batches
{
    my ($node, $first, $database) = @_;
    my ($calls, @failed) = (0);
    for (my $done = $first * $batch; $done < $runs && !@failed; $done += 2 * $batch)
    {
        srand($PgJourney::SEED * 1000000 + $done);
        my @programs = map { random_programs() } 1 .. ($batch < $runs - $done ? $batch : $runs - $done);
        my @reasons = run_programs($node, $database, 0.1, @programs);
        $calls += @$_ for @programs;
        push @failed, map { { program => $programs[$_], reason => $reasons[$_] } } grep { defined $reasons[$_] } 0 .. $#programs;
    }
    return { calls => $calls, covered => \%StitchRun::covered, failed => \@failed };
}

my $node = start_server('main');
make_hub($node);
sql($node, 'CREATE DATABASE second TEMPLATE postgres');
# There what is done with many is done with few: retract_many with components, all with the plans of a large call
for ([ 'retract_many', 'few CONSTANT integer := 100', 'few CONSTANT integer := 0' ], [ 'plan_for', 'size > 500', 'size > 3' ])
{
    my ($function, $many, $few) = @$_;
    my $definition = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = '$function'";
    is($node->safe_psql('second', <<"END"), 't', "in one database few are many to $function");
DO \$\$
BEGIN
    EXECUTE replace(($definition), '$many', '$few');
END \$\$;
SELECT ($definition) LIKE '%$few%'
END
}

my @databases = ('postgres', 'second');
my @workers;
for my $first (0, 1)
{
    my $child = open(my $report, '-|') // die "fork: $!";
    if (!$child)
    {
        # no end of a test here
        print encode_json(run_batches($node, $first, $databases[$first]));
        close STDOUT;
        POSIX::_exit(0);
    }
    push @workers, $report;
}
my ($calls, %covered, @failed) = (0);
for my $worker (@workers)
{
    local $/;
    my $report = decode_json(<$worker> || die 'a worker ended early');
    $calls += $report->{calls};
    $covered{$_} += $report->{covered}{$_} for keys %{ $report->{covered} };
    push @failed, @{ $report->{failed} };
}
if (@failed)
{
    my ($program, $reason) = shrink($node, @{ $failed[0] }{ 'program', 'reason' });
    diag "seed $PgJourney::SEED:\n" . program_text($program) . $reason;
}
is(scalar @failed, 0, "partitions, answers, rebuilds, history and rows left alone after each of $calls calls");
# all of them come up, if it wasn't cut short
if (!@failed)
{
    note join ', ', map { "$covered{$_} $_" } sort keys %covered;
    cmp_ok($covered{$_} // 0, '>', $runs / 10, "enough programs end with $_")
      for 'in conflict', qw(merged blocked shared skipped quarantined retracted guessed);
    cmp_ok($covered{$_} // 0, '>', $runs / 100, "enough answers: $_") for 'simulated to move',
      map { "why: $_" } qw(joined must_link retracted blocked shared max cannot_link conflict quarantined);
}

# Hubs too large for the model, where much is stitched without the whole law: what a rebuild gives, always
sql($node, <<"END");
CREATE FUNCTION any_identifier(n int) RETURNS identifier LANGUAGE sql VOLATILE AS \$\$
    SELECT CASE k WHEN 0 THEN format('account:%s', v) WHEN 1 THEN format('email:%s%s\@x.pt', (ARRAY['a', 'A'])[1 + v % 2], v / 2)
                  WHEN 2 THEN format('tab:%s', v % (1 + n / 10)) WHEN 3 THEN format('mail:%s%s\@x.pt', (ARRAY['t', 'T'])[1 + v % 2], v % (1 + n / 8))
                  ELSE format('c:%s', v) END::identifier
    FROM (SELECT floor(random() * 6)::int AS k, floor(random() * n)::int AS v OFFSET 0) x \$\$;
-- The first batch is large, and some later ones
CREATE PROCEDURE live(seed float8, n int, above int) LANGUAGE plpgsql AS \$\$
DECLARE
    o record;
    k float8;
BEGIN
    PERFORM setseed(seed);
    PERFORM large.set_rule('account', priority => 9, max_per_customer => 1), large.set_rule('email', priority => 5, normalizer => 'email'),
            large.set_rule('tab', shared_above => 2), large.set_rule('mail', priority => 7, shared_above => 3, normalizer => 'email'),
            large.set_quarantine_above(above), large.set_conflict('{born}');
    COMMIT;
    FOR step IN 1 .. 120 LOOP
        k := CASE WHEN step = 1 THEN 0.99 ELSE random() END;
        BEGIN
            IF k < 0.4 THEN
                SELECT * INTO o FROM any_observation(n, step::text);
                PERFORM large.identify(o.identifiers, o.observed_at, o.source, o.source_key);
            ELSIF k < 0.65 THEN
                PERFORM large.identify_many(array_agg(any_observation(n, format('%s-%s', step, g)))) FROM generate_series(1, 20) g;
            ELSIF k < 0.7 THEN
                PERFORM large.retract_many(e.source, array_agg(e.source_key))
                FROM (SELECT source, source_key FROM large.evidence WHERE retracted_at IS NULL ORDER BY random()
                      LIMIT (ARRAY[10, 200])[1 + (random() < 0.3)::int]) e
                GROUP BY e.source;
            ELSIF k < 0.82 THEN
                PERFORM large.retract(e.source, e.source_key)
                FROM (SELECT source, source_key FROM large.evidence WHERE retracted_at IS NULL ORDER BY random() LIMIT 1) e;
            ELSIF k < 0.85 THEN
                PERFORM large.guess_many(array_agg(x.identifier), array_agg(y.identifier), array_agg((random() * 9)::real),
                                         source_keys => array_agg(format('%s-%s', step, g)))
                FROM generate_series(1, (ARRAY[1, 20, n])[1 + floor(random() * 3)::int]) g
                     CROSS JOIN LATERAL (SELECT i.identifier FROM large.identities i WHERE g > 0 ORDER BY random() LIMIT 1) x
                     CROSS JOIN LATERAL (SELECT i.identifier FROM large.identities i WHERE i.identifier <> x.identifier ORDER BY random() LIMIT 1) y;
            ELSIF k < 0.88 THEN
                -- records that say something else, or are gone
                INSERT INTO large.match_records (identity_id, source, source_key, fields)
                SELECT i.identity_id, 'a', i.identity_id % n, jsonb_build_object('born', floor(random() * 3))
                FROM (SELECT DISTINCT ON (identity_id % n) identity_id FROM (SELECT identity_id FROM large.identities ORDER BY random() LIMIT n / 4) x) i
                ON CONFLICT ON CONSTRAINT match_records_source_key DO UPDATE SET identity_id = excluded.identity_id, fields = excluded.fields;
                DELETE FROM large.match_records WHERE random() < 0.2;
            ELSIF k < 0.9 THEN
                PERFORM large.must_link(any_identifier(n), any_identifier(n));
            ELSIF k < 0.95 THEN
                PERFORM large.cannot_link(any_identifier(n), any_identifier(n));
            ELSIF k < 0.97 THEN
                PERFORM large.set_rule('email', normalizer => CASE WHEN random() < 0.5 THEN 'email' ELSE '' END);
            ELSE
                PERFORM large.identify_many(array_agg(any_observation(n, format('%s-%s', step, g)))) FROM generate_series(1, 3 * n) g;
            END IF;
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL;  -- a pair of one
        END;
        IF step % 20 <= 1 AND EXISTS (SELECT FROM large.stitch_check()) THEN
            RAISE EXCEPTION 'step %: %', step, (SELECT array_agg(c) FROM large.stitch_check() c);
        END IF;
        COMMIT;
    END LOOP;
END \$\$;
END
for (slowly([ [ 60, 40 ], [ 300, 30 ] ], [ [ 60, 40 ], [ 300, 30 ], [ 100, 1000 ], [ 30, 8 ] ])->@*)
{
    my ($size, $above) = @$_;
    sql($node, <<"END");
SELECT journey_create_hub('large');
CREATE FUNCTION any_observation(n int, key text) RETURNS large.observation LANGUAGE sql VOLATILE AS \$\$
    SELECT (array(SELECT any_identifier(n) FROM generate_series(1, 1 + floor(random() * 3)::int)),
            timestamptz '2026-01-01Z' + floor(random() * 100) * interval '1 day', 'a', key)::large.observation \$\$;
END
    my ($status, $out, $err) = $node->psql('postgres', sprintf('CALL live(%f, %d, %d)', $PgJourney::SEED % 1000 / 1000, $size, $above));
    is($err =~ s/^NOTICE.*\n?//gmr, '', "a hub of some $size identifiers a namespace, quarantined above $above, is what a rebuild gives");
    sql($node, "SELECT journey_drop_hub('large', true)");
}
# What a call makes of nothing but new identifiers: shared, limited, too large, blocked, and beside these what no rule minds
sql($node, <<'END');
SELECT journey_create_hub('large');
SELECT large.set_rule('tab', shared_above => 2), large.set_rule('account', max_per_customer => 1), large.set_rule('email', normalizer => 'email', blocked => '{no@x.pt}'),
       large.set_quarantine_above(4);
SELECT cardinality(large.identify_many(array_agg((i, '2026-01-01Z', 'a', n)::large.observation)))
FROM unnest(ARRAY['{tab:1,c:1}', '{tab:1,c:2}', '{tab:1,c:3}', '{tab:2,c:4}', '{c:5,tab:2}', '{account:1,c:6}', '{c:6,account:2}', '{d:1,d:2,d:3}', '{d:3,d:4,d:5}', '{d:6,d:7,d:8,d:9}',
                  '{email:No@x.pt,c:7}', '{email:no@x.pt,c:8}', '{email:A@x.pt,c:9}', '{email:a@x.pt,c:10}', '{c:11}']) WITH ORDINALITY u(i, n);
END
is(sql($node, q{SELECT count(*), (SELECT count(*) FROM large.customers), (SELECT count(*) FILTER (WHERE shared) FROM large.identities) FROM large.stitch_check()}),
    '0|18|1', 'what a call makes of new identifiers alone is what a rebuild gives');
is(crashes($node), '', 'no crash');
$node->stop;

done_testing();
