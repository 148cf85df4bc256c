# Proves attribution against a second implementation, below: paths by their definition, looking back from each conversion,
# and every model by its formula, in rational numbers. A removal effect is the chance to convert of a chain without the
# item, from a dense solve of its own. (The start is the state '', others are such as '=web|=ads'.) Times lie near each other, so that ties and lookbacks of exactly the limit come up.
# PGJ_SEED repeats a run, PGJ_RUNS sets the number of sets of journeys.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(max sum0 uniq);
use Math::BigInt;
use Math::BigRat;
use PgJourney;
use POSIX 'strftime';
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(30, 300);
my @rules = qw(first last last_non_direct linear position j_shape inverse_j time_decay participation shapley ordered_shapley);

my @conversions = (
    [ '%.buy', sub { $_[0]{action} eq 'buy' } ],
    [ '%.buy[value > 0]', sub { $_[0]{action} eq 'buy' && defined $_[0]{value} && $_[0]{value} > 0 } ],
    [ '(web.buy | app.%)', sub { "$_[0]{channel}.$_[0]{action}" eq 'web.buy' || $_[0]{channel} eq 'app' } ],
    [ 'fax.%', sub { 0 } ]);
my @touches = (
    [ '%', sub { 1 } ],
    [ '(ads.% | %.view)', sub { $_[0]{channel} eq 'ads' || $_[0]{action} eq 'view' } ],
    [ '(%.view | %.buy[value >= 2])', sub { $_[0]{action} eq 'view' || ($_[0]{action} eq 'buy' && ($_[0]{value} // 0) >= 2) } ]);

sub rational { return Math::BigRat->new(@_) }

sub at { my ($seconds) = @_; return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(1767225600 + $seconds)) }

sub random_journey_of
{
    my ($span, $grain, $channels) = @_;
    my @times = sort { $a <=> $b } map { int(rand $span / $grain) * $grain } 1 .. any(0, 1, 2, 3, 5, 8, 12);
    my $ref = 0;
    return [ map { { at => $_, ref => ++$ref, channel => any(@$channels), action => any('view', 'view', 'click', 'buy'),
                     detail => any('', '', 'in'), value => any(undef, undef, 1, 2, '19.90', '-3.5', '0.001', 0) } } @times ];
}

sub journey_of
{
    my ($journey) = @_;
    return '{' . join(', ', map {
        my $detail = $_->{detail} eq '' ? '' : ".$_->{detail}";
        my $value = defined $_->{value} ? "=$_->{value}" : '';
        "$_->{channel}.$_->{action}$detail$value\@" . at($_->{at}) . "#$_->{ref}" } @$journey) . '}';
}

# All paths of a journey: [conversion or undef, touches]
sub paths
{
    my ($journey, $q) = @_;
    my @conversions = grep { $q->{conversion}[1]->($journey->[$_]) } 0 .. $#$journey;
    my @paths;
    for my $k (0 .. $#conversions)
    {
        my $c = $conversions[$k];
        my $from = $q->{reset} && $k > 0 ? $conversions[ $k - 1 ] + 1 : 0;
        push @paths, [ $journey->[$c], [ grep { $q->{touches}[1]->($_) && $journey->[$c]{at} - $_->{at} <= $q->{lookback} }
              @$journey[ $from .. $c - 1 ] ] ];
    }
    my $after = @conversions ? $conversions[-1] + 1 : 0;
    my @rest = grep { $q->{touches}[1]->($_) } @$journey[ $after .. $#$journey ];
    push @paths, [ undef, \@rest ] if @rest && (!defined $q->{until} || $q->{until} - $rest[-1]{at} >= $q->{lookback});
    return @paths;
}

sub item
{
    my ($t, $by) = @_;
    return $t->{$by} if $by ne 'label';
    return "$t->{channel}.$t->{action}" . ($t->{detail} eq '' ? '' : ".$t->{detail}");
}

# [item, age, direct] of each touch that remains
sub transformed
{
    my ($path, $q) = @_;
    my @touches = map { my $item = item($_, $q->{item});
        [ $item, $path->[0] ? $path->[0]{at} - $_->{at} : 0, scalar grep { $_ eq $item } @{ $q->{direct} } ] } @{ $path->[1] };
    my %times;
    $times{ $_->[0] }++ for @touches;
    my %seen;
    if ($q->{transform} eq 'exposure')
    {
        my @i = grep { $_ == 0 || $touches[$_][0] ne $touches[ $_ - 1 ][0] } 0 .. $#touches;
        return map { $touches[$_] } @i;
    }
    return grep { !$seen{ $_->[0] }++ } @touches if $q->{transform} eq 'first';
    return reverse grep { !$seen{ $_->[0] }++ } reverse @touches if $q->{transform} eq 'unique';
    return map { [ "$_->[0]($times{ $_->[0] })", $_->[1], $_->[2] ] } grep { !$seen{ $_->[0] }++ } @touches
      if $q->{transform} eq 'frequency';
    return @touches;
}

# The credits of a path's touches by a model: [item, part]
sub parts
{
    my ($model, $q, @touches) = @_;
    my @items = map { $_->[0] } @touches;
    my $n = @items;
    return [ $items[0], 1 ] if $model eq 'first';
    return [ $items[-1], 1 ] if $model eq 'last';
    return [ ((grep { !$_->[2] } @touches), $touches[-1])[ (grep { !$_->[2] } @touches) ? (grep { !$_->[2] } @touches) - 1 : 0 ][0], 1 ]
      if $model eq 'last_non_direct';
    return map { [ $_, rational(1, $n) ] } @items if $model eq 'linear';
    return map { [ $_, 1 ] } uniq @items if $model eq 'participation';
    return map { [ $_, rational(1, scalar uniq @items) ] } uniq @items if $model =~ /shapley/;
    if ($model eq 'time_decay')
    {
        my @weights = map { 2**(-$_->[1] / $q->{half_life}) } @touches;
        my $all = sum0 @weights;
        return map { [ $items[$_], $weights[$_] / $all ] } 0 .. $n - 1;
    }
    my @w = map { rational($_) } @{ { position => $q->{position}, j_shape => [ '0.2', '0.2', '0.6' ], inverse_j => [ '0.6', '0.2', '0.2' ] }->{$model} };
    return [ $items[0], 1 ] if $n == 1;
    if ($n == 2)
    {
        my $both = $w[0] + $w[2];
        return $both == 0 ? map { [ $_, rational('1/2') ] } @items : ([ $items[0], $w[0] / $both ], [ $items[1], $w[2] / $both ]);
    }
    return ([ $items[0], $w[0] ], (map { [ $items[$_], $w[1] / ($n - 2) ] } 1 .. $n - 2), [ $items[-1], $w[2] ]);
}

# The chance to convert, without an item, of chains that are told as {state}{next} = times; rational if exact
sub chance
{
    my ($grams, $without, $exact) = @_;
    my @states = grep { $_ eq '' || !defined $without || $_ !~ /(^|\|)=\Q$without\E$/ } sort keys %$grams;
    my %place = map { $states[$_] => $_ } 0 .. $#states;
    my @rows;
    for my $state (@states)
    {
        my $all = sum0 values %{ $grams->{$state} };
        my @row = map { $exact ? rational(0) : 0 } 0 .. @states;
        $row[ $place{$state} ] += 1;
        for my $next (keys %{ $grams->{$state} })
        {
            my $p = $exact ? rational($grams->{$state}{$next}, $all) : $grams->{$state}{$next} / $all;
            if ($next eq '!') { $row[-1] += $p }
            elsif (defined $place{$next}) { $row[ $place{$next} ] -= $p }
        }
        push @rows, \@row;
    }
    for my $k (0 .. $#rows)
    {
        my ($best) = sort { abs($rows[$b][$k]) <=> abs($rows[$a][$k]) } $k .. $#rows;
        @rows[ $k, $best ] = @rows[ $best, $k ];
        for my $i (0 .. $#rows)
        {
            next if $i == $k || $rows[$i][$k] == 0;
            my $factor = $rows[$i][$k] / $rows[$k][$k];
            $rows[$i][$_] -= $factor * $rows[$k][$_] for $k .. @rows;
        }
    }
    return $rows[ $place{''} ][-1] / $rows[ $place{''} ][ $place{''} ];
}

# The chain of all paths with touches
sub grams
{
    my ($journeys, $q) = @_;
    my %grams;
    for my $path (map { paths($_, $q) } @$journeys)
    {
        my ($state, @last) = ('');
        for (map { $_->[0] } transformed($path, $q))
        {
            push @last, $_;
            shift @last if @last > $q->{order};
            my $next = join '|', map { "=$_" } @last;
            $grams{$state}{$next}++;
            $state = $next;
        }
        $grams{$state}{ $path->[0] ? '!' : '0' }++ if @last;
    }
    return \%grams;
}

# {model}{item or no touch} = [conversions, value], and {effects}{item}
sub expected
{
    my ($journeys, $q, $exact) = @_;
    my (%credit, %items, %place);
    my ($conversions, $value) = (0, rational(0));
    for my $path (map { paths($_, $q) } @$journeys)
    {
        my $worth = $path->[0] ? rational($path->[0]{value} // 0) : 0;
        my @touches = transformed($path, $q);
        if (!@touches)
        {
            for my $model (@rules, 'markov')
            {
                $credit{$model}{'no touch'}[0] += 1;
                $credit{$model}{'no touch'}[1] += $worth;
            }
            next;
        }
        $items{ $_->[0] } = 1 for @touches;
        next unless $path->[0];
        $conversions++;
        $value += $worth;
        for my $model (@rules)
        {
            for my $part (parts($model, $q, @touches))
            {
                $credit{$model}{ $part->[0] }[0] += $part->[1];
                $credit{$model}{ $part->[0] }[1] += $model eq 'time_decay' ? $part->[1] * $worth->numify : $part->[1] * $worth;
            }
        }
        my @distinct = uniq map { $_->[0] } @touches;
        $place{ $distinct[$_] }{ $_ + 1 } += 1 / @distinct for 0 .. $#distinct;
    }
    my %effects = map { $_ => 0 } keys %items;
    if ($conversions)
    {
        my $grams = grams($journeys, $q);
        my $all = chance($grams, undef, $exact);
        %effects = map { $_ => 1 - chance($grams, $_, $exact) / $all } keys %items;
        my $sum = sum0 map { "$_" } $exact ? map { $_->numify } values %effects : values %effects;
        for (keys %items)
        {
            my $effect = ref $effects{$_} ? $effects{$_}->numify : $effects{$_};
            $effects{$_} = $effect;
            $credit{markov}{$_} = [ $effect / $sum * $conversions, $effect / $sum * $value->numify ];
        }
    }
    for my $model (@rules, 'markov')
    {
        $credit{$model}{$_} //= [ 0, 0 ] for keys %items;
    }
    return { credit => \%credit, effects => \%effects, place => \%place };
}

sub number { my ($x) = @_; return ref $x ? $x->numify : $x }
sub near { my ($a, $b) = @_; return abs($a - number($b)) <= 1e-9 * max(1, abs($a)) }

my $node = start_server('main');
sql($node, 'CREATE TABLE journeys (run int, id bigint, journey journey); CREATE TABLE kept (run int, part int, a attribution)');

my $wrong = 0;
for my $run (1 .. $runs)
{
    my $order = $run == 1 ? 1 : any(1, 1, 2, 3, 4);
    my @channels = $order > 2 ? ('ads', 'web') : $order == 2 ? ('ads', 'web', 'app') : ('ads', 'web', 'app', 'email', 'söcial');
    my $span = any(10, 100, 1000);
    my $grain = any(1, 5, 10);
    my $q = { conversion => any(@conversions), touches => any(@touches), lookback => any(1, 5, 10, 50, 1000, 86400),
        item => $order > 1 ? 'channel' : any('channel', 'label', 'action', 'detail'), order => $order,
        half_life => any(1, 7, 100), position => any([ '0.4', '0.2', '0.4' ], [ '0', '1', '0' ], [ '0.5', '0', '0.5' ], [ '0.333', '0.333', '0.334' ]),
        reset => any(1, 0), until => any(undef, undef, $span / 2, $span + 5), transform => any('none', 'none', 'exposure', 'first', 'unique', 'frequency'),
        direct => any([], ['web'], [ 'view', 'web.view', 'ads', 'web' ]) };
    $q->{transform} = 'none' if $order > 2 && $q->{transform} eq 'frequency';
    my @journeys = map { random_journey_of($span, $grain, \@channels) } 1 .. ($run == 1 ? 400 : any(1, 3, 10, 30));
    my $options = sprintf '{"order": %d, "half_life": "%d seconds", "position": [%s], "reset": %s, "until": "%s", "transform": "%s", "direct": [%s], "paths": %s}',
      $order, $q->{half_life}, join(', ', @{ $q->{position} }), $q->{reset} ? 'true' : 'false', defined $q->{until} ? at($q->{until}) : 'infinity',
      $q->{transform}, join(', ', map { "\"$_\"" } @{ $q->{direct} }), any('true', 'false');
    my $args = "'$q->{conversion}[0]', '$q->{touches}[0]', '$q->{lookback} seconds'";
    my $agg = sub { my ($of) = @_; return "attribution_agg($of, $args, '$q->{item}', '$options')" };
    sql($node, "INSERT INTO journeys VALUES " . join ', ', map { "($run, $_, '" . journey_of($journeys[ $_ - 1 ]) . "')" } 1 .. @journeys);

    # paths
    my $found = sql($node, "SELECT id, c.conversion, c.path FROM journeys j, journey_conversions(j.journey, $args, "
          . ($q->{reset} ? 'true' : 'false') . ", '" . (defined $q->{until} ? at($q->{until}) : 'infinity') . "') WITH ORDINALITY c WHERE run = $run ORDER BY id, c.ordinality");
    my $sought = join "\n", map {
        my $id = $_;
        map { "$id|" . ($_->[0] ? substr(journey_of([ $_->[0] ]), 1, -1) : '') . '|' . journey_of($_->[1]) } paths($journeys[ $id - 1 ], $q) } 1 .. @journeys;
    $sought =~ s/=(-?\d+)\.(\d*?)0+\@/$2 eq '' ? "=$1\@" : "=$1.$2\@"/ge;
    is($found, $sought, "run $run: paths of $args") or $wrong++;

    # one value, however it comes about
    my $whole = $agg->('journey');
    my $same = sql($node, "INSERT INTO kept SELECT $run, id % 3, $whole FROM journeys WHERE run = $run GROUP BY id % 3;
        WITH w AS MATERIALIZED (SELECT $whole AS a FROM journeys WHERE run = $run)
        SELECT a = (SELECT attribution_agg(k.a ORDER BY part DESC) FROM kept k WHERE run = $run),
               a = (SELECT " . $agg->('journey ORDER BY id DESC') =~ s/(journey) ORDER BY id DESC(.*)\)$/$1$2 ORDER BY id DESC)/r . " FROM journeys WHERE run = $run),
               a = (SELECT " . $agg->('b') . " FROM (SELECT journey_block_agg(id, journey) FROM journeys WHERE run = $run) v(b)),
               a = (SELECT " . $agg->('b') . " FROM (SELECT journey_block_agg(id, journey) FROM journeys WHERE run = $run GROUP BY id % 2) v(b)),
               a = a::text::attribution, a = a::text::jsonb::text::attribution FROM w");
    is($same, 't|t|t|t|t|t', "run $run: the same value of parts, in another order, of blocks, from text") or $wrong++;

    my $e = expected(\@journeys, $q, $order < 4 && $q->{item} eq 'channel' && $q->{transform} ne 'frequency');
    my (%seen, @off);
    for (split /\n/, sql($node, "SELECT c.model, coalesce(c.item, 'no touch'), c.conversions, c.value FROM (SELECT $whole AS a FROM journeys WHERE run = $run) w, attribution_credit(w.a) c"))
    {
        my ($model, $item, $conversions, $value) = split /\|/;
        my $credit = delete $e->{credit}{$model}{$item};
        push @off, "$model $item: $conversions, $value; not " . ($credit ? join ', ', map { number($_) } @$credit : 'there')
          unless $credit && near($conversions, $credit->[0]) && near($value, $credit->[1]);
        $seen{$model} = 1;
    }
    push @off, map { my $model = $_; map { "$model $_ is missing" } keys %{ $e->{credit}{$model} } } keys %{ $e->{credit} };
    for (split /\n/, sql($node, "SELECT c.item, c.removal_effect FROM (SELECT $whole AS a FROM journeys WHERE run = $run) w, attribution_markov(w.a) c"))
    {
        my ($item, $effect) = split /\|/;
        push @off, "effect of $item: $effect, not $e->{effects}{$item}" unless near($effect, $e->{effects}{$item});
    }
    for (split /\n/, sql($node, "SELECT c.item, c.place, c.conversions FROM (SELECT $whole AS a FROM journeys WHERE run = $run) w, attribution_places(w.a) c"))
    {
        my ($item, $place, $conversions) = split /\|/;
        push @off, "place $place of $item: $conversions" unless near($conversions, delete $e->{place}{$item}{$place} // -1);
    }
    is("@off", '', "run $run: credits, order $order, by $q->{item}, $options") or $wrong++;
    last if $wrong > 5;
}

# A chain of so many states that it is solved by iteration
{
    my $q = { conversion => $conversions[0], touches => $touches[0], lookback => 1000, reset => 1, item => 'label', order => 3, transform => 'none', direct => [] };
    my @journeys = map { random_journey_of(1000, 1, [ 'ads', 'web' ]) } 1 .. 60;
    my $grams = grams(\@journeys, $q);
    cmp_ok(scalar keys %$grams, '>', 100, 'a chain of ' . keys(%$grams) . ' states');
    my $all = chance($grams);
    my $effects = "attribution_markov((SELECT attribution_agg(v.j::journey, '%.buy', '%', '1000 seconds', 'label', '{\"order\": 3}') FROM (VALUES "
      . join(', ', map { "('" . journey_of($_) . "')" } @journeys) . ") v (j)))";
    my @off;
    for (split /\n/, sql($node, "SELECT item, removal_effect FROM $effects ORDER BY removal_effect DESC LIMIT 3"))
    {
        my ($item, $effect) = split /\|/;
        push @off, "$item: $effect" unless near($effect, 1 - chance($grams, $item) / $all);
    }
    is("@off", '', 'its effects');
}

# Credits sum to the conversions, and values to the last digit.
is(sql($node, q(SELECT count(*) FROM (
    SELECT k.run, c.model, sum(c.conversions) - s.conversions AS conversions, sum(c.value) - s.value AS value
    FROM (SELECT run, attribution_agg(a) AS a FROM kept GROUP BY run) k, attribution_summary(k.a) s, attribution_credit(k.a) c
    WHERE c.model <> 'participation' GROUP BY 1, 2, s.conversions, s.value) d
    WHERE abs(d.conversions) > 1e-9 OR d.value <> 0)), 0, 'credits of each model sum to the conversions and to the value');

# The value is the same with workers, and for a copy in binary
sql($node, 'ALTER TABLE journeys SET (parallel_workers = 2)');
is(sql($node, parallel_settings($node) . q( SELECT attribution_agg(journey, '%.buy', '%', '1 day', 'label') = (SELECT attribution_agg(journey, '%.buy', '%', '1 day', 'label' ORDER BY id) FROM journeys) FROM journeys)),
    't', 'workers make the same value');
my $file = PostgreSQL::Test::Utils::tempdir() . '/kept';
sql($node, "COPY kept TO '$file' (FORMAT binary); CREATE TABLE copied (LIKE kept); COPY copied FROM '$file' (FORMAT binary)");
is(sql($node, 'SELECT count(*) FROM kept k FULL JOIN copied c USING (run, part) WHERE k.a IS DISTINCT FROM c.a'), 0, 'binary copies are equal');

# Images of clients and stored bytes, damaged, are refused with a clear error, or sound
my $dir = PostgreSQL::Test::Utils::tempdir;
sql($node, <<"END");
COPY (SELECT a FROM kept ORDER BY run, part LIMIT 30) TO '$dir/valid' (FORMAT binary);
CREATE CAST (bytea AS attribution) WITHOUT FUNCTION;
CREATE CAST (attribution AS bytea) WITHOUT FUNCTION;
CREATE TABLE damaged (id serial, hex text);
CREATE TABLE accepted (a attribution);
CREATE TABLE refused (what text, state text, message text);
CREATE FUNCTION receive(file text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    EXECUTE format('COPY accepted FROM %L (FORMAT binary)', file);
EXCEPTION WHEN OTHERS THEN
    INSERT INTO refused VALUES ('received', SQLSTATE, SQLERRM);
END \$\$;
CREATE FUNCTION probe(hex text) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    a attribution := decode(hex, 'hex')::attribution;
BEGIN
    PERFORM a::text, attribution_summary(a);
    PERFORM c.* FROM attribution_credit(a) c;
    PERFORM p.* FROM attribution_paths(a) p;
EXCEPTION WHEN OTHERS THEN
    INSERT INTO refused VALUES ('stored', SQLSTATE, SQLERRM);
END \$\$;
CREATE FUNCTION probe_sum(hex text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    PERFORM attribution_agg(v.a) FROM (VALUES (decode(hex, 'hex')::attribution), (decode(hex, 'hex')::attribution)) v (a);
EXCEPTION WHEN OTHERS THEN
    INSERT INTO refused VALUES ('summed', SQLSTATE, SQLERRM);
END \$\$;
END
my @sent = map { $_->[0] } read_copy("$dir/valid");
my @images = (map({ substr $sent[0], 0, 7 * $_ } 0 .. length($sent[0]) / 7), map { mutate(any(@sent)) } 1 .. slowly(400, 5000));
mkdir "$dir/images" or die;
copy_file("$dir/images/$_", [ $images[$_] ]) for 0 .. $#images;
write_bytes("$dir/receive.sql", join '', map { "SELECT receive('$dir/images/$_');\n" } 0 .. $#images);
ok(run_script($node, "$dir/receive.sql"), scalar(@images) . ' images received');
my @stored = map { pack 'H*', $_ } split /\n/, sql($node, "SELECT encode(a::bytea, 'hex') FROM kept ORDER BY run, part LIMIT 30");
my @mutants = map { unpack 'H*', $_ } map({ substr $stored[0], 0, 3 * $_ } 0 .. length($stored[0]) / 3), map { mutate(any(@stored)) } 1 .. slowly(1000, 10000);
write_bytes("$dir/damaged", join '', map { "$_\n" } @mutants);
sql($node, "COPY damaged (hex) FROM '$dir/damaged'");
write_bytes("$dir/probe.sql", "SELECT probe(hex), probe_sum(hex) FROM damaged WHERE hex <> '';\n");
ok(run_script($node, "$dir/probe.sql"), scalar(@mutants) . ' stored values probed');
# a client's text may be none, or end too soon; of a sound value something may be missing
is(sql($node, q(SELECT DISTINCT what, state, message FROM refused
    WHERE NOT (state IN ('XX001') OR (what = 'received' AND state IN ('08P01', '22021', '22P03')) OR (what <> 'received' AND state = '55000') OR state = '22003'))), '',
    'errors are those of damage');
cmp_ok(sql($node, 'SELECT count(*) FROM refused'), '>', 100, 'most are refused');
is(sql($node, 'SELECT count(*) FROM accepted WHERE a IS DISTINCT FROM a::text::attribution'), 0, 'what is accepted is sound');
is(crashes($node), '', 'no process crashed');

$node->stop;
done_testing();
