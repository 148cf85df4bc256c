# The comparators of people against evaluators of this file, on random texts of many alphabets and lengths: Jaro-Winkler by
# looking through the window, OSA by its whole table, trigrams by sets, sounds by regular expressions, names by trying all
# pairings. Then other encodings, parallel workers, cancelling, and what must hold of every letter there is.
# PGJ_SEED repeats a run.
use strict;
use warnings;
use utf8;
use feature qw(unicode_strings fc);
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(min max);
use Encode qw(encode_utf8 decode_utf8);
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Unicode::Normalize qw(NFD NFC);

my $node = start_server('main');

# Asks a query of rows a, b ... (numbered i) that it finds in the table given; answers in order
sub ask
{
    my ($query, @rows) = @_;
    my $n = 0;
    my $values = join ",\n", map { $n++; "($n, " . join(', ', map { defined ? "'" . s/'/''/gr . "'" : 'NULL' } @$_) . ')' } @rows;
    my $columns = join ', ', 'i', ('a' .. 'h')[ 0 .. $#{ $rows[0] } ];
    my $answer = $node->safe_psql('postgres', encode_utf8("SET client_encoding = 'UTF8'; SELECT $query FROM (VALUES $values) given($columns) ORDER BY i"));
    return map { decode_utf8($_) } split /\n/, $answer, -1;
}

# Compares answers with what an evaluator says; shows the first that differ
sub same
{
    my ($name, $rows, $answers, $evaluate) = @_;
    my $wrong = 0;
    for my $i (0 .. $#$rows)
    {
        my $expected = $evaluate->(@{ $rows->[$i] });
        next if $answers->[$i] eq $expected;
        diag encode_utf8("$name of (@{$rows->[$i]}): $answers->[$i], not $expected") if $wrong++ < 5;
    }
    ok($wrong == 0 && @$answers == @$rows, "$name: " . @$rows . ' pairs');
}

# --- evaluators ---

sub osa
{
    my ($x, $y) = @_;
    my @a = split //, $x;
    my @b = split //, $y;
    my @d = ([ 0 .. @b ]);
    for my $i (1 .. @a)
    {
        $d[$i] = [$i];
        for my $j (1 .. @b)
        {
            my $best = min($d[ $i - 1 ][$j] + 1, $d[$i][ $j - 1 ] + 1, $d[ $i - 1 ][ $j - 1 ] + ($a[ $i - 1 ] ne $b[ $j - 1 ]));
            $best = min($best, $d[ $i - 2 ][ $j - 2 ] + 1) if $i > 1 && $j > 1 && $a[ $i - 1 ] eq $b[ $j - 2 ] && $a[ $i - 2 ] eq $b[ $j - 1 ];
            $d[$i][$j] = $best;
        }
    }
    return $d[-1][-1];
}

sub jaro_winkler
{
    my ($x, $y) = @_;
    return $x eq $y ? 1 : 0 if $x eq '' || $y eq '';
    my @a = split //, $x;
    my @b = split //, $y;
    my $window = max(int(max(scalar @a, scalar @b) / 2) - 1, 0);
    my (@used, @left);
    for my $i (0 .. $#a)
    {
        for my $j (max(0, $i - $window) .. min($#b, $i + $window))
        {
            next if $used[$j] || $a[$i] ne $b[$j];
            $used[$j] = 1;
            push @left, $a[$i];
            last;
        }
    }
    my $m = @left or return 0;
    my @right = map { $used[$_] ? $b[$_] : () } 0 .. $#b;
    my $t = int(grep({ $left[$_] ne $right[$_] } 0 .. $#left) / 2);
    my $jaro = ($m / @a + $m / @b + ($m - $t) / $m) / 3;
    my $prefix = 0;
    $prefix++ while $prefix < 4 && $prefix < @a && $prefix < @b && $a[$prefix] eq $b[$prefix];
    return $jaro > 0.7 ? $jaro + $prefix * 0.1 * (1 - $jaro) : $jaro;
}

sub trigrams
{
    my %set;
    for my $word (split /[^\p{L}\p{N}]+/, $_[0])
    {
        my $padded = "  $word ";
        $set{ substr $padded, $_, 3 } = 1 for 0 .. length($word) - ($word eq '');
    }
    delete $set{'   '};
    return \%set;
}

sub trigram
{
    my ($a, $b) = map { trigrams($_) } @_;
    my $shared = grep { $b->{$_} } keys %$a;
    return $shared ? $shared / (keys(%$a) + keys(%$b) - $shared) : 0;
}

my $consonant = '[bcdfghj-np-tv-xzçñ]';
my @rules = (
    [    # Portuguese
        [ qr/h/, '' ], [ qr/b/, 'B' ], [ qr/ch(?=$consonant)/, 'K' ], [ qr/ch/, 'X' ], [ qr/c(?=[kq])/, '' ], [ qr/c(?=[eiy])/, 'S' ], [ qr/c/, 'K' ],
        [ qr/ç/, 'S' ], [ qr/d/, 'D' ], [ qr/f/, 'F' ], [ qr/g(?=[eiy])/, 'J' ], [ qr/g/, 'G' ], [ qr/j/, 'J' ], [ qr/[kq]/, 'K' ], [ qr/lh/, '1' ],
        [ qr/l/, 'L' ], [ qr/m/, 'M' ], [ qr/nh/, '3' ], [ qr/n(?=n)/, 'N' ], [ qr/n(?=\z|$consonant)/, 'M' ], [ qr/n/, 'N' ], [ qr/ñ/, '3' ], [ qr/ph/, 'F' ],
        [ qr/p/, 'P' ], [ qr/rr/, '2' ], [ qr/(?<![a-zçñ])r/, '2' ], [ qr/r/, 'R' ], [ qr/sch/, 'X' ], [ qr/sh/, 'X' ], [ qr/ss|sc(?=[eiy])|sç/, 'S' ],
        [ qr/(?<=[aeiouy])s(?=[aeiouy])/, 'Z' ], [ qr/s/, 'S' ], [ qr/t/, 'T' ], [ qr/[vw]/, 'V' ], [ qr/xc(?=[eiy])/, 'S' ], [ qr/(?<=^e)x(?=[aeiouy])/, 'Z' ],
        [ qr/x\z/, 'KS' ], [ qr/x/, 'X' ], [ qr/z\z/, 'S' ], [ qr/z/, 'Z' ]
    ],
    [    # Spanish
        [ qr/h/, '' ], [ qr/[bvw]/, 'B' ], [ qr/ch(?=$consonant)/, 'K' ], [ qr/ch/, 'X' ], [ qr/c(?=[kq])/, '' ], [ qr/c(?=[eiy])/, 'S' ], [ qr/c/, 'K' ],
        [ qr/[çz]/, 'S' ], [ qr/d/, 'D' ], [ qr/f/, 'F' ], [ qr/g(?=[eiy])/, 'J' ], [ qr/g/, 'G' ], [ qr/j/, 'J' ], [ qr/[kq]/, 'K' ], [ qr/ll/, 'Y' ],
        [ qr/l/, 'L' ], [ qr/m/, 'M' ], [ qr/ny(?=[aeiouy])/, '3' ], [ qr/n(?=[bvp])/, 'M' ], [ qr/n/, 'N' ], [ qr/ñ/, '3' ], [ qr/ph/, 'F' ], [ qr/^p(?=s)/, '' ],
        [ qr/p/, 'P' ], [ qr/r/, 'R' ], [ qr/sh/, 'X' ], [ qr/sc(?=[eiy])|sz/, 'S' ], [ qr/s/, 'S' ], [ qr/t/, 'T' ], [ qr/xc(?=[eiy])/, 'S' ], [ qr/^x/, 'J' ],
        [ qr/x/, 'KS' ], [ qr/y(?=[aeiouy])/, 'Y' ]
    ]);

# A letter that is there twice sounds once: where its sound is that of the one before, and that is the same letter
sub sound
{
    my ($language, $word) = @_;
    my $code = '';
    my $last = '';
    $word =~ s/^h(?=.)//;
    if ($word =~ /^[aeiou]/ || $word =~ ($language == 0 ? qr/^y/ : qr/^y(?![aeiouy])/))
    {
        $code = uc substr $word, 0, 1;
        $code = 'I' if $code eq 'Y';
        pos($word) = 1;
    }
    while ((my $at = pos($word) // 0) < length $word)
    {
        my ($used, $sound) = (1, '');
        for my $rule (@{ $rules[$language] })
        {
            pos($word) = $at;
            my $pattern = $rule->[0];
            next if $word !~ /\G$pattern/g;
            ($used, $sound) = (pos($word) - $at, $rule->[1]);
            last;
        }
        my $c = substr $word, $at, 1;
        if ($sound eq '') { $last = '' if $c =~ /[aeiouy]/ }
        elsif (!($at > 0 && substr($word, $at - 1, 1) eq $c && substr($sound, 0, 1) eq $last))
        {
            $code .= $sound;
            $last = substr $sound, -1;
        }
        pos($word) = $at + $used;
    }
    return $code;
}

# --- letters ---

my @alphabets = ([ 'a', 'b' ], [ 'a' .. 'f' ], [ 'a' .. 'z' ], [ qw(a á ã b ç c é 日 本 😀 я), ' ' ], [ 'A' .. 'Z', 'a' .. 'z', "'", '-' ], [ map { chr } 0x100 .. 0x2ff ]);

sub random_text
{
    my ($n, $alphabet) = @_;
    return join '', map { any(@$alphabet) } 1 .. $n;
}

# Another text, of some edits
sub edited
{
    my ($text, $edits, $alphabet) = @_;
    for (1 .. $edits)
    {
        my $at = int rand(length($text) + 1);
        my $kind = int rand 4;
        if ($kind == 0) { substr($text, $at, 0) = any(@$alphabet) }
        elsif ($at >= length $text) { next }
        elsif ($kind == 1) { substr($text, $at, 1) = '' }
        elsif ($kind == 2) { substr($text, $at, 1) = any(@$alphabet) }
        else { $text = substr($text, 0, $at) . reverse(substr $text, $at, 2) . (length $text > $at + 2 ? substr $text, $at + 2 : '') }
    }
    return $text;
}

sub random_pairs
{
    my ($n, @lengths) = @_;
    return map {
        my $alphabet = any(@alphabets);
        my $x = random_text(any(@lengths), $alphabet);
        my $y = rand() < 0.7 ? edited($x, int rand 7, $alphabet) : random_text(any(@lengths), $alphabet);
        rand() < 0.1 ? [ $x, substr($y, int rand(1 + length $y)) . $y ] : [ $x, $y ];
    } 1 .. $n;
}

my @short = random_pairs(slowly(500, 20000), 0 .. 14);
my @long = random_pairs(slowly(40, 2000), 60 .. 70, 125 .. 132, 190 .. 200);
my %found;
for my $pair (@short, @long) { $found{"@$pair"} = [ osa(@$pair), jaro_winkler(@$pair) ] }
for (([ 'short', @short ], [ 'long', @long ]))
{
    my ($name, @pairs) = @$_;
    same("osa, $name", \@pairs, [ ask('osa_distance(a, b)', @pairs) ], sub { $found{"@_"}[0] });
    for my $limit (0, 1, 2, 5, 64)
    {
        same("osa, $name, at most $limit", \@pairs, [ ask("osa_distance(b, a, $limit)", @pairs) ], sub { min($found{"@_"}[0], $limit + 1) });
    }
    same("Jaro-Winkler, $name", \@pairs, [ ask('to_char(jaro_winkler(a, b), \'FM0.000000000000\')', @pairs) ], sub { sprintf '%.12f', $found{"@_"}[1] });
    is(join(' ', ask('jaro_winkler(a, b) = jaro_winkler(b, a)', @pairs)), join(' ', ('t') x @pairs), "Jaro-Winkler, $name: the same from both sides");
}
# contrib's distance knows no swaps: it is never less, and the same where there are none
SKIP:
{
    skip 'no fuzzystrmatch here', 1 if sql($node, q{SELECT count(*) FROM pg_available_extensions WHERE name = 'fuzzystrmatch'}) eq '0';
    sql($node, 'CREATE EXTENSION fuzzystrmatch');
    is(join(' ', ask(q{osa_distance(a, b) BETWEEN (levenshtein(a, b) + 1) / 2 AND levenshtein(a, b)
        AND osa_distance(a, translate(b, 'ab', 'xy')) = levenshtein(a, translate(b, 'ab', 'xy'))}, grep { "@$_" !~ /[^ab ]/ } @short)),
        join(' ', ('t') x grep { "@$_" !~ /[^ab ]/ } @short), 'contrib\'s levenshtein agrees where it can');
}

my @words = map { my @l = @$_; [ map { lc NFC($_) =~ s/[^a-z0-9 ]//gr } @l ] } grep { "@$_" =~ /[a-z]/ } random_pairs(400, 3 .. 30);
@words = grep { $_->[0] =~ /\S/ && $_->[1] =~ /\S/ && $_->[0] =~ s/^ +| +$//gr ne $_->[1] =~ s/^ +| +$//gr } @words;
for my $t (0.1, 0.3, 0.5, 0.8)
{
    same("trigrams, $t", \@words, [ ask("match_level(a, b, 'trigram', '{$t}')", @words) ], sub { trigram(@_) >= $t ? 1 : 0 });
}
SKIP:
{
    skip 'no pg_trgm here', 1 if sql($node, q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'}) eq '0';
    sql($node, 'CREATE EXTENSION pg_trgm');
    is(join(' ', ask(q{match_level(a, b, 'trigram', ARRAY[0.3]) = (similarity(a, b) >= 0.3)::int}, @words)), join(' ', ('t') x @words), 'contrib\'s similarity agrees');
}

# --- sounds ---

my @pieces = (qw(a e i o u y ch lh nh ph rr ss sc xc sh sch ll ny gu qu ge gi ce ci ca ç ñ z s x r n m l h ps th sz ck w v b p t d f j k), 'a' .. 'z');
my @sounds = map { [ join '', map { any(@pieces) } 1 .. 1 + int rand 6 ] } 1 .. slowly(800, 30000);
same('Portuguese', \@sounds, [ ask('phonetic_pt(a)', @sounds) ], sub { sound(0, @_) });
same('Spanish', \@sounds, [ ask('phonetic_es(a)', @sounds) ], sub { sound(1, @_) });
is(join(' ', ask('phonetic_pt(upper(a)) = phonetic_pt(a) AND phonetic_es(a) = phonetic_es(a || \' \')', @sounds[ 0 .. 200 ])), join(' ', ('t') x 201), 'case and blanks don\'t count');

# --- names ---

# Two persons' names by trying all pairings; no titles, particles and suffixes among them
my %group;
my %nicknames = (robert => [qw(bob rob)], alexander => ['alex'], alexandra => ['alex'], margarida => [ 'guida', 'magui' ]);
for my $name (keys %nicknames) { $group{$_}{$name} = 1 for $name, @{ $nicknames{$name} } }

sub kind
{
    my ($x, $y) = @_;
    return 0 if $x eq $y;
    return 1 if grep { $group{$y}{$_} } keys %{ $group{$x} // {} };
    return 2 if (length $x == 1) != (length $y == 1) && substr($x, 0, 1) eq substr $y, 0, 1;
    my $least = min(length $x, length $y);
    return 3 if $least >= 4 && osa($x, $y) <= ($least >= 8 ? 2 : 1);
    my $code = sound(0, $x);
    return 3 if length $code > 1 && $code eq sound(0, $y);
    return 4;
}

# The most pairs of names, each of a kind up to the given one
sub most_pairs
{
    my ($kinds, $i, $taken, $up_to) = @_;
    return 0 if $i > $#$kinds;
    my $best = most_pairs($kinds, $i + 1, $taken, $up_to);
    for my $j (grep { !$taken->{$_} && $kinds->[$i][$_] <= $up_to } 0 .. $#{ $kinds->[$i] })
    {
        $best = max($best, 1 + most_pairs($kinds, $i + 1, { %$taken, $j => 1 }, $up_to));
    }
    return $best;
}

sub name_level
{
    my @a = split ' ', $_[0];
    my @b = split ' ', $_[1];
    return 6 if "@a" eq "@b";
    return 5 if join('', @a) eq join '', @b;
    my @kinds = map { my $x = $_; [ map { kind($x, $_) } @b ] } @a;
    my $fewer = min(scalar @a, scalar @b);
    my ($up_to) = grep { most_pairs(\@kinds, 0, {}, $_) == $fewer } 0 .. 3;
    my $alike = grep { $_ <= 3 && $_ != 2 } map { @$_ } @kinds;
    if (defined $up_to && ($fewer > 1 || @a == @b))
    {
        return @a == @b ? 5 : 4 if $up_to == 0;
        return 4 if $up_to == 1;
        return 2 if $up_to == 3;
        return $fewer == 1 || most_pairs(\@kinds, 0, {}, 1) ? 3 : 1;
    }
    return $alike ? 1 : 0;
}

my @names = (keys %group, qw(silva slva costa sousa souza ferreira fereira gonsalves goncalvez christina cristina cristna luis luiz a b r m x bernardo bernardino));
my @people = map {
    my @x = map { any(@names) } 1 .. 1 + int rand 4;
    my @y = map { rand() < 0.6 ? any(@x) : any(@names) } 1 .. 1 + int rand 4;
    @y = map { rand() < 0.2 ? substr $_, 0, 1 : $_ } @y;
    [ "@x", "@y" ]
} 1 .. slowly(400, 5000);
my $nicknames = 'match_nicknames(\'{' . join(', ', map { my $n = $_; "\"$n\": [" . join(', ', map { "\"$_\"" } @{ $nicknames{$n} }) . ']' } sort keys %nicknames) . '}\')';
same('names', \@people, [ ask("match_level(a, b, 'name pt', '{}', (SELECT $nicknames))", @people) ], \&name_level);
is(join(' ', ask("match_level(a, b, 'name pt', '{}', $nicknames) = match_level(b, upper(a), 'name pt', '{}', $nicknames)", @people)), join(' ', ('t') x @people), 'names, from both sides');

# --- values ---

my @dates = map { my @d = (1900 + int rand 120, 1 + int rand 12, 1 + int rand 28); my $x = sprintf '%04d-%02d-%02d', @d;
    my $y = rand() < 0.3 ? sprintf('%04d-%02d-%02d', $d[0], $d[2] > 12 ? 5 : $d[2], $d[1]) : $x;
    while (rand() < 0.5) { my $at = int rand 10; substr($y, $at, 1) = int rand 10 if substr($y, $at, 1) ne '-' }
    [ $x, $y ] } 1 .. 1000;
same('dates', \@dates, [ ask('match_level(a, b, \'date\')', @dates) ], sub {
    my ($x, $y) = map { [ split /-/ ] } @_;
    return '' if grep { $_->[0] == 0 || $_->[1] > 31 || $_->[2] > 31 } $x, $y;
    return $x->[0] == $y->[0] ? 1 : 0 if $y->[1] == 0 || $y->[2] == 0;
    return 4 if "@$x" eq "@$y";
    return 3 if $x->[0] == $y->[0] && $x->[1] == $y->[2] && $x->[2] == $y->[1];
    return 2 if osa(join('', @$x), join '', @$y) <= 1;
    return $x->[0] == $y->[0] ? 1 : 0;
});

sub nif
{
    my ($digits) = @_;
    my $sum = 0;
    $sum += (9 - $_) * substr $digits, $_, 1 for 0 .. 7;
    return $digits . ($sum % 11 < 2 ? 0 : 11 - $sum % 11);
}
my @documents = map { my $x = nif('2' . join '', map { int rand 10 } 1 .. 7); my $y = edited($x, int rand 3, [ 0 .. 9 ]); [ $x, rand() < 0.3 ? nif(substr "${x}00000000", 0, 8) : $y ] } 1 .. 1000;
same('documents', \@documents, [ ask('match_level(a, b, \'document\')', @documents) ], sub {
    my ($x, $y) = @_;
    return 3 if $x eq $y;
    return osa($x, $y) <= 1 && !($y =~ /^(?:[12356]|45|7[0-24579]|8|9[0189])\d*$/ && length $y == 9 && nif(substr $y, 0, 8) eq $y) ? 1 : 0;
});

my @emails = map { my $x = any('ana', 'ana.silva', 'rui', 'bob') . '@' . any('x.pt', 'mail.example.com'); [ $x, rand() < 0.5 ? edited($x, int rand 3, [ 'a' .. 'e', '.' ]) : any('ana', 'rui.s') . '@' . any('x.pt', 'y.com') ] } 1 .. 1000;
same('e-mail addresses', \@emails, [ ask('match_level(a, upper(b), \'email\')', @emails) ], sub {
    my ($x, $y) = map { [ /^(.+)\@([^@]+)$/ ] } @_;
    return '' if !@$x || !@$y;
    my ($local, $domain) = map { $x->[$_] eq $y->[$_] } 0, 1;
    return 4 if $local && $domain;
    return osa($x->[1], $y->[1]) <= 1 ? 3 : 2 if $local;
    return min(map { length $_->[0] } $x, $y) >= 4 && osa($x->[0], $y->[0]) <= 1 ? 3 : 1 if $domain;
    return 0;
});

# numbers as they are dialled: the quick answer by their last digits is that of all of them
my @phones = map { my $n = join '', any('91', '21', '11', '11 9', '2901 15'), ' ', map { int rand 10 } 1 .. 7 + int rand 2;
    my $m = rand() < 0.7 ? edited($n, int rand 2, [ 0 .. 9 ]) : join '', map { int rand 10 } 1 .. 9;
    [ any('', '0', '+351', '+55', '0055', '+54 9') . $n, any('', '0', '+351', '+55', '+54') . $m, any(qw(PT BR AR)) ] } 1 .. 1000;
for my $country (qw(PT BR AR))
{
    my @of_it = grep { $_->[2] eq $country } @phones;
    my @rows = ask("concat_ws(' ', match_level(a, b, 'phone $country'), match_level(b, a, 'phone $country'), right(coalesce(normalize_phone(a, c), a), 30) || '|' || coalesce(normalize_phone(b, c), b))", @of_it);
    my @wrong = grep {
        my ($levels, $x, $y) = $rows[$_] =~ /^((?:\d \d )?)(.*)\|(.*)$/;
        s/\D//g for $x, $y;
        my $level = length($x) < 7 || length($y) < 7 ? '' : $x eq $y ? '2 2 ' : substr($x, -7) eq substr($y, -7) ? '1 1 ' : '0 0 ';
        $level ne $levels
    } 0 .. $#of_it;
    is(scalar @wrong, 0, "phone numbers of $country: " . @of_it . ' pairs') or diag map { "@{$of_it[$_]}: $rows[$_]\n" } @wrong[ 0 .. min(5, $#wrong) ];
}

# --- every letter ---

# Marks are dropped from what they are on, whichever way it is written, in small letters and capitals alike. Of letters that
# this Perl knows and the tables don't, nothing is said; nor of those outside the basic plane but for some.
my @letters = map { [chr] } grep { chr =~ /^\p{Present_In: 14.0}$/ && chr !~ /^[\p{Cc}\p{Cs}]$/ } 1 .. 0xffff, 0x1d400 .. 0x1d7ff, 0x1f600 .. 0x1f650;
my @plain = ask('concat_ws(chr(1), unaccented(a), folded(a), folded(folded(a)), folded(unaccented(a)), folded(b), folded(c), folded(d))',
    map { my $c = $_->[0]; [ $c, NFD($c), uc $c, lc $c ] } @letters);
my (@accents, @twice, @forms, @cases);
for my $i (0 .. $#letters)
{
    my $c = $letters[$i][0];
    my ($unaccented, $folded, $twice, $both, $nfd, $uc, $lc) = split /\x01/, $plain[$i], -1;
    my $nfd_c = NFD($c);
    push @accents, $c if $nfd_c =~ /^([A-Za-z])[\x{300}-\x{36f}]+$/ && $unaccented ne $1;
    push @accents, $c if $nfd_c =~ /^([A-Za-z])[\x{300}-\x{36f}]+$/ && $folded ne lc $1;
    push @accents, $c if $c =~ /^[\x21-\x7e]$/ && ($unaccented ne $c || $folded ne lc $c);
    push @twice, $c if $twice ne $folded || $both ne $folded;
    push @forms, $c if $c =~ /^[\p{Latin}\p{Greek}\p{Cyrillic}]$/ && $c =~ /^\p{L}$/ && $nfd ne $folded;
    push @cases, $c if $c =~ /^\p{L}$/ && uc($c) =~ /^\p{Present_In: 14.0}$/ && lc($c) =~ /^\p{Present_In: 14.0}$/ && ($uc ne $folded || $lc ne $folded);
}
cmp_ok(scalar @letters, '>', 50000, 'letters to look at');
is(encode_utf8("@accents"), '', 'a letter with marks is the letter');
is(encode_utf8("@twice"), '', 'folded is folded');
is(encode_utf8("@forms"), '', 'composed or not');
is(encode_utf8("@cases"), '', 'capital or small');

SKIP:
{
    require Unicode::UCD;
    skip 'another Unicode than that of the table', 1 if Unicode::UCD::UnicodeVersion() ne '14.0.0';
    my ($table) = run_command([ $^X, "$FindBin::Bin/../../scripts/letter_table.pl" ]);
    is($table, slurp_file("$FindBin::Bin/../../src/match/letter_table.h") =~ s/\n\z//r, 'the table is what its script makes');
}

# --- other encodings ---

my $questions = <<'END';
SELECT a, b, jaro_winkler(a, b), osa_distance(a, b), match_level(a, b, 'jaro_winkler', '{0.9}'), match_level(a, b, 'osa', '{1}'), match_level(a, b, 'name pt'),
       match_level(a, b, 'trigram', '{0.5}'), match_level(a, b, 'email'), match_level(a, b, 'phone PT'), match_level(a, b, 'date'), match_level(a, b, 'document'),
       match_level(a, b, 'metaphone_pt'), match_level(a, b, 'exact'), unaccented(a), folded(b), phonetic_pt(a), phonetic_es(b)
FROM (VALUES ('João Gonçalves', 'JOAO GONSALVES'), ('Muñoz', 'MUÑOZ'), ('ana.é@x.pt', 'ANA.É@x.pt'), ('straße µ', 'STRASSE'), ('91 234 56 78', '+351912345678'),
             ('1980-01-02', '02/01/1980'), ('501964843', 'PT501964843'), ('ªº²ÆØ', 'æøÞþ'), ('Zé', 'José')) v(a, b);
SELECT match_level(a, b, 'name', '{}', match_nicknames('{"José": ["Zé", "Zeca"]}')) FROM (VALUES ('Zé Silva', 'José Silva'), ('Zeca', 'Zé')) v(a, b);
END
my $in_utf8 = $node->safe_psql('postgres', encode_utf8("SET client_encoding = 'UTF8';\n$questions"));
for my $encoding (qw(LATIN1 LATIN9 WIN1252 SQL_ASCII))
{
    my $name = lc "in_$encoding";
    sql($node, "CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
    is($node->safe_psql($name, encode_utf8("SET client_encoding = 'UTF8'; CREATE EXTENSION pg_journey;\n$questions")), $in_utf8, "in $encoding as in UTF8");
}
sql($node, "CREATE DATABASE in_euc TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C'");
is($node->safe_psql('in_euc', encode_utf8(q{SET client_encoding = 'UTF8'; CREATE EXTENSION pg_journey;
    SELECT osa_distance('日本語', '日語本'), folded('ＡＢ日'), match_level('山田 太郎', '太郎　山田', 'name'), jaro_winkler('日本', '日本')})), encode_utf8('1|ab日|5|1'), 'in EUC_JP');
# what a letter becomes may not be in the encoding
is($node->safe_psql('in_latin1', encode_utf8(q{SET client_encoding = 'UTF8'; SELECT folded('5 µM É'), (SELECT string_agg(key, '|') FROM match_block_keys('{"a": "µÉ"}', '[[1, "a"]]'))})),
    '5 ?m e|?e', 'what is not in LATIN1');
# bytes of no encoding are letters of their own
is($node->safe_psql('in_sql_ascii', q{SELECT osa_distance(E'jo\xe3o', E'joao'), osa_distance(E'\xe3\xe9', E'\xe9\xe3'), jaro_winkler(E'\xff', E'\xff'),
    folded(E'A\xe3B') = E'a\xe3b', match_level(E'A\xe3', E'a\xe3', 'name'), match_level(E'a\xe3@x.pt', 'a@x.pt', 'email') IS NULL, osa_distance(E'\xe2\x82', E'\xe2')}),
    '1|1|1|t|6|t|1', 'bytes that are no UTF-8');

# --- workers, and cancelling ---

sql($node, q{CREATE TABLE pairs AS SELECT md5(i::text) AS a, md5((i / 2)::text) AS b FROM generate_series(1, 20000) i});
my $sums = 'SELECT sum(osa_distance(a, b)), round(sum(jaro_winkler(a, b)::numeric), 6), sum(match_level(a, b, \'trigram\', \'{0.1,0.2}\')) FROM pairs';
my $settings = parallel_settings($node);
like(sql($node, "$settings EXPLAIN $sums"), qr/Parallel Seq Scan/, 'workers are asked for');
is(sql($node, "$settings $sums"), sql($node, "SET max_parallel_workers_per_gather = 0; $sums"), 'they find the same');

# each of them would take minutes, or years
for my $query ('SELECT osa_distance(repeat(\'ab\', 4000000), repeat(\'bc\', 4000000))',
    'SELECT osa_distance(repeat(\'ab\', 4000000), repeat(\'bc\', 4000000), 3000000)',
    'SELECT count(*) FROM generate_series(1, 1000000) i, (SELECT repeat(\'ab\', 4000000) AS a) s WHERE jaro_winkler(a, repeat(\'ba\', 4000000 + i % 2)) > i')
{
    my ($status, $out, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = 300;\n$query");
    like($error, qr/57014: canceling statement due to statement timeout/, "can be cancelled: $query");
}
# What a session of its own takes at most, in kB: four times as long texts take no more than that for each letter more
SKIP:
{
    skip 'no /proc to read memory from', 4 if !-r '/proc/self/status';
    my $peak = sub { sql($node, "SET max_parallel_workers_per_gather = 0; CREATE TEMP TABLE answer AS SELECT $_[0]; SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)')") };
    for my $call ("osa_distance(a, b, 10)", "jaro_winkler(a, b)", "match_level(a, b, 'trigram', '{0.5}')", "match_level(a, b, 'name pt')")
    {
        my ($less, $more) = map { $peak->("$call AS x FROM (SELECT repeat('ab c', $_) || 'x' AS a, repeat('ab c', $_) || 'y' AS b OFFSET 0) s") } 100000, 400000;
        cmp_ok($more - $less, '<', 1200000 * 64 / 1024, "memory is linear: $call");
    }
}
is(crashes($node), '', 'nothing crashed');

$node->stop;
done_testing();
