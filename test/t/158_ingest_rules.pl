# Proves that a rule which is taken can find something: for random places of items and random pointers from them, good ones and
# slips of the pen, a payload is made in which there is something where the rule looks. Either the rule is refused, or
# that is found; and what is well written is not refused. PGJ_SEED repeats a run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $json = JSON::PP->new->canonical->allow_nonref;
my @good = ('a', 'b', 'c d', 'x~1y', 'm~0n', '0', '1', '', '?k=j', '?k==t', '?k==t u');
my @bad = (' a', 'a ', 'a=', '=a', 'a=b', '*', 'a*', '**', '~', 'a~', '~2', '?=', '?k=', '?k==', '?=j', '-', 'a-', '+', '<', 'a > b', '|', '"a"', '00', 'a and',
    'a or', 'a if', 'a is null', '?', '?k');

sub unescaped { return $_[0] =~ s/~1/\//gr =~ s/~0/~/gr }

# Where a part leads from a place, which becomes what the part wants of it; nothing if it is something else already.
sub step
{
    my ($place, $part, $item) = @_;
    my ($key, $like, $equals, $other) = (unescaped($part), unescaped($part) =~ /^\?(.*?)(==?)(.*)$/s);
    if ($part eq '*')
    {
        $$place //= [];
        return ref $$place eq 'ARRAY' ? \$$place->[0] : undef;
    }
    if (defined $like)
    {
        my $value = $equals eq '==' ? $other : 'of the item';
        return undef if $equals eq '=' && (ref $item ne 'HASH' || defined $item->{$other} && $item->{$other} ne $value);
        $item->{$other} = $value if $equals eq '=';
        return undef if defined $$place && ref $$place ne 'ARRAY';
        push @{ $$place }, { $like => $value };
        return \$$place->[-1];
    }
    if (ref $$place eq 'ARRAY')
    {
        return undef unless $key =~ /^(0|[1-9]\d{0,8})$/;
        push @{ $$place }, {} while @{ $$place } < $key;
        return \$$place->[$key];
    }
    $$place //= {};
    return ref $$place eq 'HASH' ? \$$place->{$key} : undef;
}

# A payload in which the pointer leads to "w", or to anything if it only asks whether there is something; if there can be one
sub payload
{
    my ($each, $asks, $up, @parts) = @_;
    my $root = {};
    my @levels = (\$root);
    for my $part (@$each)
    {
        my $next = step($levels[-1], $part, undef) or return;
        push @levels, $next;
    }
    my $item = $levels[-1];
    $$item //= {};
    return unless ref $$item eq 'HASH';
    $$item->{self} = 'w';
    return if $up > $#levels || !@parts;
    my $place = $levels[ $#levels - $up ];
    for my $part (@parts)
    {
        $place = step($place, $part, $$item) or return;
    }
    return if defined $$place && !$asks;
    $$place //= 'w';
    return $json->encode($root);
}

my @terms = (
    sub { [ "=ok if $_[0]", 'ok' ] }, sub { [ $_[0], 'w' ] }, sub { [ "={$_[0]}!", 'w!' ] }, sub { [ "=ok if $_[0] = w", 'ok' ] },
    sub { [ "=ok if $_[0] = z | w and /self", 'ok' ] }, sub { [ "=ok if /self = {$_[0]}", 'ok' ] }, sub { [ "=ok if not /nope and $_[0] = z | {/self}", 'ok' ] });

my (@cases, $clean);
for (1 .. 6000)
{
    my $slips = any(0, 1);
    my @each = map { any('a', 'b', '0', 'x~1y', '*', '*') } 1 .. any(0, 1, 2, 2, 3);
    my @parts = map { $slips ? any(@good, @bad) : any(@good) } 1 .. any(1, 1, 2, 3);
    my $up = any(0, 0, 0, 1, 2, 3);
    my $kind = int rand @terms;
    my $payload = payload(\@each, $kind == 0, $up, @parts);
    my ($term, $wanted) = @{ $terms[$kind]->(($up || any('', '0')) . join '', map { "/$_" } @parts) };
    my $rule = { makes => 'evidence', each => [ join '', map { "/$_" } @each ], identifiers => ['u:=x'], occurred_at => ['now'], conversation => [$term] };
    push @cases, [ $json->encode([$rule]), $payload // '', $wanted, $slips ];
}
my $node = start_server('main');
sql($node, <<'END');
CREATE TABLE cases (n serial, rules text, payload text, wanted text, slips boolean, outcome text);
CREATE FUNCTION outcome(rules text, payload text, wanted text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN EXISTS (SELECT FROM journey_payload_events(ARRAY[payload], rules::json) WHERE conversation = wanted) THEN 'found' ELSE 'not found' END;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'refused';
END $$;
END
sub quoted { return join ', ', map { "'" . s/'/''/gr . "'" } @_ }
while (my @some = splice @cases, 0, 500)
{
    sql($node, 'INSERT INTO cases (rules, payload, wanted, slips) VALUES ' . join ",\n", map { '(' . quoted(@$_) . ')' } @some);
}
sql($node, 'UPDATE cases SET outcome = outcome(rules, payload, wanted)');
# beside an item in a list there may be anything, such as this file does not think of
is(sql($node, "SELECT rules, payload FROM cases WHERE outcome = 'not found' AND (payload <> '' OR rules::jsonb -> 0 ->> 'each' !~ '[*0]') LIMIT 5"), '', 'what is taken finds what is there');
is(sql($node, "SELECT rules, payload FROM cases WHERE outcome = 'refused' AND payload <> '' AND NOT slips LIMIT 5"), '', 'what is well written is taken');
is(sql($node, "SELECT count(*) FILTER (WHERE outcome = 'found') > 1000, count(*) FILTER (WHERE outcome = 'refused') > 1000 FROM cases"), 't|t', 'there are many of both');
is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
