# Proves that the binary form is exact both ways and that whatever bytes a client
# sends are either read as the one right value or refused with a clear error.
# The judge is the second implementation in PgJourney.pm: thousands of mutated
# images must be accepted by both with the same text, or refused by both.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $postmaster = slurp_file($node->data_dir . '/postmaster.pid');
my $hex = sub { unpack 'H*', $_[0] };

# there and back
my @journeys = ([], map { [ random_journey(any(1, 3, 20, 200)) ] } 1 .. 1000);
push @journeys, [ map { [ $_ * 1000000, "c" . $_ % 300, "a$_", [ $_, 2 ], $_ ] } 1 .. 3000 ];
copy_file("$dir/in", map { [ pack('N', $_), encode(@{ $journeys[$_] }) ] } 0 .. $#journeys);
sql($node, <<"END");
CREATE TABLE t (id integer, j journey);
COPY t FROM '$dir/in' (FORMAT binary);
COPY (SELECT * FROM t ORDER BY id) TO '$dir/out' (FORMAT binary);
CREATE TABLE again (id integer, j journey);
COPY again FROM '$dir/out' (FORMAT binary);
END
my @text = split /\n/, sql($node, "SELECT encode(convert_to(j::text, 'UTF8'), 'hex') FROM t ORDER BY id");
my @expected = map { $hex->(journey_text(@$_)) } @journeys;
is_deeply(\@text, \@expected, 'text of what was copied in');
is_deeply([ map { $hex->(journey_text(decode($_->[1]))) } read_copy("$dir/out") ], \@expected, 'binary copied out');
is(sql($node, <<'END'), scalar @journeys, 'binary copied in again');
SELECT count(*) FROM t JOIN again USING (id) WHERE t.j = again.j AND t.j::text = again.j::text
END

# the order of touchpoints and of labels in the message doesn't matter
copy_file("$dir/reversed", map { [ pack('N', $_), encode(reverse @{ $journeys[$_] }) ] } 0 .. $#journeys);
is(sql($node, <<"END"), scalar @journeys, 'touchpoints in reverse order');
TRUNCATE again;
COPY again FROM '$dir/reversed' (FORMAT binary);
SELECT count(*) FROM t JOIN again USING (id) WHERE t.j = again.j AND journey_send(t.j) = journey_send(again.j);
END

# touchpoints alone
my @points = map { [ random_journey(1) ] } 1 .. 500;
copy_file("$dir/points", map { [ encode(@$_) ] } @points);
sql($node, <<"END");
CREATE TABLE p (id serial, t touchpoint);
COPY p (t) FROM '$dir/points' (FORMAT binary);
COPY (SELECT t FROM p ORDER BY id) TO '$dir/points_out' (FORMAT binary);
END
is_deeply([ map { journey_text(decode($_->[0])) } read_copy("$dir/points_out") ],
    [ map { journey_text(@$_) } @points ], 'touchpoints there and back');

# Images that are wrong in one way each, and a few that are odd but right
my $good = encode([ 0, 'web', 'view', undef, undef ]);
my $with = sub {
    my ($number, $time, $flags, $rest) = @_;
    return substr($good, 0, -13) . pack('N q> C', $number, $time, $flags) . $rest;
};
my %image = (
    'version 0' => "\0" . substr($good, 1),
    'version 2' => "\2" . substr($good, 1),
    'nothing' => '',
    'no count of touchpoints' => substr($good, 0, -17),
    'negative labels' => pack('C N', 1, 0xffffffff),
    'too many labels' => pack('C N', 1, 0x7fffffff),
    'too many touchpoints' => pack('C N N', 1, 0, 0x7fffffff),
    'negative touchpoints' => pack('C N N', 1, 0, 0x80000000),
    'touchpoints without a label' => pack('C N N N q> C', 1, 0, 1, 0, 0, 0),
    'label index' => $with->(1, 0, 0, ''),
    'negative label index' => $with->(0xffffffff, 0, 0, ''),
    'flag' => $with->(0, 0, 4, ''),
    'infinity' => $with->(0, 9223372036854775807, 0, ''),
    '-infinity' => $with->(0, -9223372036854775807 - 1, 0, ''),
    'just too late' => $with->(0, PgJourney::END_TIME, 0, ''),
    'just too early' => $with->(0, PgJourney::MIN_TIME - 1, 0, ''),
    'scale 19' => $with->(0, 0, 1, pack 'q> C', 1, 19),
    'scale 255' => $with->(0, 0, 1, pack 'q> C', 1, 255),
    '19 digits' => $with->(0, 0, 1, pack 'q> C', 1000000000000000001, 0),
    '-19 digits' => $with->(0, 0, 1, pack 'q> C', -9223372036854775807 - 1, 0),
    'byte left over' => "$good\0",
    'one byte short' => substr($good, 0, -1),
    'value missing' => $with->(0, 0, 1, ''),
    'ref missing' => $with->(0, 0, 2, ''),
    'label twice' => pack('C N (N/a)6 N (N q> C)2', 1, 2, ('web', 'view', 'in') x 2, 2, 0, 0, 0, 1, 0, 0),
    'unused label' => pack('C N (N/a)6 N N q> C', 1, 2, 'web', 'view', '', 'web', 'view', 'in', 1, 0, 0, 0),
    'name of 256 bytes' => encode([ 0, 'x' x 256, 'view', undef, undef ]),
    'detail of 256 bytes' => encode([ 0, 'web', 'view', undef, undef, 'x' x 256 ]),
    'detail with a zero byte' => encode([ 0, 'web', 'view', undef, undef, "i\0" ]),
    'detail' => encode([ 0, 'web', 'view', undef, undef, 'in' ]),
    'labels that differ in detail' => encode(map { [ 0, 'web', 'view', undef, undef, $_ ] } '', 'in', 'sofas', 'out'),
    'zero byte in a name' => encode([ 0, "a\0b", 'view', undef, undef ]),
    'half a letter' => encode([ 0, "caf\xc3", 'view', undef, undef ]),
    'surrogate' => encode([ 0, "\xed\xa0\x80", 'view', undef, undef ]),
    'overlong' => encode([ 0, "\xc0\xaf", 'view', undef, undef ]),
    'negative name' => pack('C N N', 1, 1, 0xffffffff),
    'long name cut off' => pack('C N N', 1, 1, 255) . 'web',
    'empty' => pack('C N N', 1, 0, 0),
    'needless zeros' => $with->(0, 0, 1, pack 'q> C', 4990000, 5),
    'earliest' => $with->(0, PgJourney::MIN_TIME, 0, ''),
    'latest' => $with->(0, PgJourney::END_TIME - 1, 0, ''),
);
my @names = sort keys %image;
my @images = @image{@names};
my $named = @images;
for (1 .. 4000)
{
    my @touchpoints = @{ any(@journeys[ 1 .. 999 ]) };
    splice @touchpoints, any(1, 2, 3, 10) if @touchpoints > 10;
    push @images, mutate(encode(@touchpoints));
}
push @images, map { mutate(encode(@{ any(@points) })) } 1 .. 1000;
my $as_points = @images - 1000;
# every truncation and every single bit of one small image
my $small = encode([ 826000000000000, 'web', 'a', [ 150, 2 ], 7, 'in' ], [ 826000000000001, 'app', 'b', undef, undef ]);
push @images, map { substr $small, 0, $_ } 0 .. length($small) - 1;
push @images, map { my $copy = $small; vec($copy, $_, 1) ^= 1; $copy } 0 .. 8 * length($small) - 1;

mkdir "$dir/images" or die;
copy_file("$dir/images/$_", [ $images[$_] ]) for 0 .. $#images;
my $table = sub { my ($n) = @_; $n >= $as_points && $n < $as_points + 1000 ? 'accepted_point' : 'accepted' };
sql($node, <<'END');
CREATE TABLE accepted (n integer DEFAULT current_setting('pgj.n')::integer, j journey);
CREATE TABLE accepted_point (n integer DEFAULT current_setting('pgj.n')::integer, j touchpoint);
CREATE TABLE refused (n integer, state text, message text);
CREATE FUNCTION receive(n integer, target text, file text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pgj.n', n::text, true);
    RAISE LOG 'receiving image %', n;
    EXECUTE format('COPY %I (j) FROM %L (FORMAT binary)', target, file);
EXCEPTION WHEN OTHERS THEN
    INSERT INTO refused VALUES (n, SQLSTATE, SQLERRM);
END $$;
END
write_bytes("$dir/receive.sql", "SET statement_timeout = '1h';\n"
      . join('', map { "SELECT receive($_, '" . $table->($_) . "', '$dir/images/$_');\n" } 0 .. $#images));
ok(run_script($node, "$dir/receive.sql"), scalar(@images) . ' images received');

my %answer = map { split /\|/, $_, 2 } split /\n/, sql($node, <<'END');
SELECT n, encode(convert_to(j::text, 'UTF8'), 'hex') FROM accepted
UNION ALL SELECT n, encode(convert_to(j::journey::text, 'UTF8'), 'hex') FROM accepted_point
UNION ALL SELECT n, 'error ' || state || ' ' || message FROM refused;
END
# 08P01 is what the server's own functions raise where bytes are missing
my $clear = qr/^error (?:22P03|22021|22003|22008|42622|54000|08P01) /;
my (@wrong, %count);
for my $n (0 .. $#images)
{
    my @touchpoints = eval { decode($images[$n]) };
    my $reason = $@;
    chomp $reason;
    $reason ||= 'not one touchpoint' if $table->($n) eq 'accepted_point' && @touchpoints != 1;
    my $answer = $answer{$n} // 'no answer';
    $count{ $answer =~ /^error (\S+)/ ? $1 : 'accepted' }++;
    my $right = $reason ? $answer =~ $clear : $answer eq $hex->(journey_text(@touchpoints));
    # a mantissa beyond 18 digits that ends in zeros may be taken or refused
    $right ||= 1 if !$reason && $answer =~ /^error 22003/ && grep { $_->[3] && abs $_->[3][0] >= 1e18 } @touchpoints;
    next if $right;
    push @wrong, join '', $n < $named ? "$names[$n]: " : "image $n: ", $hex->(substr $images[$n], 0, 300),
      "\n  should be ", $reason ? "refused: $reason" : journey_text(@touchpoints), "\n  server: $answer";
}
is(@wrong, 0, 'every image is accepted or refused as it should be')
  or diag join "\n", splice @wrong, 0, 10;
note join ', ', map { "$_: $count{$_}" } sort keys %count;
cmp_ok($count{accepted}, '>', 200, 'some mutants are valid');
cmp_ok($count{'22P03'} // 0, '>', 1000, 'many are not');

# what was accepted is sound: it goes out and comes back
my $accepted = sql($node, 'SELECT count(*) FROM accepted');
is(sql($node, <<"END"), $accepted, 'the accepted come back');
COPY (SELECT n, j FROM accepted) TO '$dir/accepted' (FORMAT binary);
CREATE TABLE back (n integer, j journey);
COPY back FROM '$dir/accepted' (FORMAT binary);
SELECT count(*) FROM accepted a JOIN back b USING (n) WHERE a.j = b.j AND a.j::text::journey = b.j;
END

# Encodings: names are sent in the client's, stored in the database's
my @latin_names = ('web', "caf\xc3\xa9", "a\xc3\xa7\xc3\xa3o", "\xc2\xab \xc2\xbb", "\xc3\xbf" x 120);
my @latin = map { [ random_journey(20, @latin_names) ] } 1 .. 200;
my $to_latin = sub { map { my @t = @$_; defined && (utf8::decode($_), utf8::downgrade($_)) for @t[ 1, 2, 5 ]; \@t } @_ };
copy_file("$dir/UTF8", map { [ pack('N', $_), encode(@{ $latin[$_] }) ] } 0 .. $#latin);
copy_file("$dir/LATIN1", map { [ pack('N', $_), encode($to_latin->(@{ $latin[$_] })) ] } 0 .. $#latin);
sql($node, "CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
$node->safe_psql('latin1', 'CREATE EXTENSION pg_journey; CREATE TABLE t (id integer, j journey)');
for my $database ('postgres', 'latin1')
{
    for my $encoding ('UTF8', 'LATIN1')
    {
        is($node->safe_psql($database, <<"END"), scalar @latin, "$encoding client, database $database");
TRUNCATE t;
SET client_encoding = '$encoding';
COPY t FROM '$dir/$encoding' (FORMAT binary);
COPY (SELECT * FROM t ORDER BY id) TO '$dir/text' (ENCODING 'UTF8');
COPY (SELECT * FROM t ORDER BY id) TO '$dir/out.$encoding' (FORMAT binary);
SELECT count(*) FROM t;
END
        is_deeply([ split /\n/, slurp_file("$dir/text") ],
            [ map { "$_\t" . journey_text(@{ $latin[$_] }) } 0 .. $#latin ],
            "$encoding client, database $database: text");
        my @sent = map { [ $encoding eq 'UTF8' ? @$_ : $to_latin->(@$_) ] } @latin;
        is_deeply([ map { journey_text(decode($_->[1], $encoding)) } read_copy("$dir/out.$encoding") ],
            [ map { journey_text(@$_) } @sent ], "$encoding client, database $database: sent");
    }
}
# SQLSTATE of copying in one image
sub state_of
{
    my ($database, $encoding, $image) = @_;
    copy_file("$dir/image", [ pack('N', 1), $image ]);
    my (undef, undef, $error) = $node->psql($database,
        "SET client_encoding = '$encoding'; COPY t FROM '$dir/image' (FORMAT binary)",
        extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
    return $error =~ /ERROR: +(\w+)/ ? $1 : 'none';
}
is(state_of('latin1', 'UTF8', encode([ 0, "\xe6\x97\xa5", 'view', undef, undef ])), '22P05',
    'a name the database has no letters for');
is(state_of('postgres', 'LATIN1', encode([ 0, "\xe9" x 200, 'view', undef, undef ])), '42622',
    'a name that becomes too long in UTF-8');

# Patterns: the version and the text, in the client's encoding
my @patterns = (
    'web.view', '%', '"a b".% -> we%."50%"', 'web.view -[<= 7 days, !%.purchase]-> web.purchase', 'a.b =[> 1 h 30 min]=> c.d',
    'e.f -> a.b? -[!c.d for 1 day]-> $', '^ -[<= 1.5 s]-> a.b{2,} -> (c.d | e.f{3} =>)+ -> all(g.h, i.j) within 2 weeks',
    '%[value >= 100, value < 1e3] | a.b[value = -0.50] $ | ^ c.d', "caf\xc3\xa9.a\xc3\xa7\xc3\xa3o% -[< 3 \xc2\xb5s]-> \"\xc2\xab\".x",
    'a.' . "\xc3\xbf" x 120 . ' -> b.c', 'a.b{1000}', join(' -> ', map { "c$_.a" } 1 .. 300));
my $to_latin_text = sub { my ($text) = @_; utf8::decode($text); utf8::downgrade($text); return $text };
copy_file("$dir/patterns.UTF8", map { [ "\1$_" ] } @patterns);
copy_file("$dir/patterns.LATIN1", map { [ "\1" . $to_latin_text->($_) ] } @patterns);
sql($node, 'CREATE TABLE pattern (id serial, p journey_pattern)');
write_bytes("$dir/patterns", join '', map { "$_\n" } @patterns);
my @canonical = map { chomp; $_ } split /^/, sql($node, <<"END");
CREATE TABLE pattern_text (id serial, t text);
COPY pattern_text (t) FROM '$dir/patterns';
SELECT t::journey_pattern FROM pattern_text ORDER BY id;
END
is(scalar @canonical, scalar @patterns, 'patterns by their text');
for my $encoding ('UTF8', 'LATIN1')
{
    sql($node, <<"END");
TRUNCATE pattern RESTART IDENTITY;
SET client_encoding = '$encoding';
COPY pattern (p) FROM '$dir/patterns.$encoding' (FORMAT binary);
COPY (SELECT p FROM pattern ORDER BY id) TO '$dir/patterns_out' (FORMAT binary);
END
    is_deeply([ split /\n/, sql($node, 'SELECT p FROM pattern ORDER BY id') ], \@canonical, "patterns from a client with $encoding");
    is_deeply([ map { $_->[0] } read_copy("$dir/patterns_out") ],
        [ map { "\1" . ($encoding eq 'UTF8' ? $_ : $to_latin_text->($_)) } @canonical ], "patterns sent to a client with $encoding");
    is(sql($node, <<"END"), scalar @patterns, "patterns sent back by a client with $encoding");
CREATE TEMPORARY TABLE back (id serial, p journey_pattern);
SET client_encoding = '$encoding';
COPY back (p) FROM '$dir/patterns_out' (FORMAT binary);
SELECT count(*) FROM pattern JOIN back USING (id) WHERE pattern.p = back.p AND pattern.p::text = back.p::text;
END
}

# The judge of a pattern's image is what its text is read as.
%image = (
    'version 0' => "\0a.b", 'version 2' => "\2a.b", 'nothing' => '', 'no text' => "\1", 'no version' => 'a.b', 'zero byte' => "\1a.b\0",
    'zero byte within' => "\1a.\0b", 'half a letter' => "\1a.caf\xc3", 'overlong' => "\1a.\xc0\xaf", 'odd but right' => "\1 a.b->c.d ",
    'too complex' => "\1(a.b?){1000}", 'too deep' => "\1" . '(' x 100000 . 'a.b' . ')' x 100000);
@names = sort keys %image;
@images = @image{@names};
$named = @images;
push @images, map { mutate("\1" . any(@patterns, @canonical)) } 1 .. 2000;
push @images, map { substr "\1$canonical[6]", 0, $_ } 0 .. length $canonical[6];
copy_file("$dir/images/$_", [ $images[$_] ]) for 0 .. $#images;
copy_file("$dir/all_images", map { [ pack('N', $_), $images[$_] ] } 0 .. $#images);
sql($node, <<"END");
TRUNCATE refused;
CREATE TABLE accepted_pattern (n integer DEFAULT current_setting('pgj.n')::integer, j journey_pattern);
CREATE TABLE image (n integer, bytes bytea);
COPY image FROM '$dir/all_images' (FORMAT binary);
-- a pattern's text, or why it is none
CREATE FUNCTION by_text(image bytea) RETURNS text LANGUAGE plpgsql AS \$\$
BEGIN
    IF substr(image, 1, 1) IS DISTINCT FROM '\\x01' THEN RETURN 'error'; END IF;
    RETURN convert_from(substr(image, 2), 'UTF8')::journey_pattern;
EXCEPTION WHEN OTHERS THEN
    RETURN 'error ' || SQLSTATE;
END \$\$;
END
write_bytes("$dir/receive.sql", "SET statement_timeout = '1h';\n"
      . join('', map { "SELECT receive($_, 'accepted_pattern', '$dir/images/$_');\n" } 0 .. $#images));
ok(run_script($node, "$dir/receive.sql"), scalar(@images) . ' images of patterns received');
is(sql($node, <<'END'), '', 'every image of a pattern is accepted or refused as its text is');
SELECT n, bytes, r.state, a.j, by_text(bytes) FROM image LEFT JOIN refused r USING (n) LEFT JOIN accepted_pattern a USING (n)
WHERE (CASE WHEN a.j IS NULL THEN r.state ~ '^(22...|08P01|54...)$' AND by_text(bytes) IN ('error', 'error ' || r.state)
            ELSE by_text(bytes) = a.j::text AND a.j::text::journey_pattern = a.j
                 AND journey_pattern_send(a.j) = '\x01' || convert_to(a.j::text, 'UTF8') END) IS NOT TRUE LIMIT 5
END
%count = map { split /\|/ } split /\n/, sql($node, <<'END');
SELECT state, count(*) FROM refused GROUP BY 1 UNION ALL SELECT 'accepted', count(*) FROM accepted_pattern
END
note join ', ', map { "$_: $count{$_}" } sort keys %count;
cmp_ok($count{$_} // 0, '>', 200, "mutants of patterns: $_") for 'accepted', '22P02';

# Identifiers: version, counted namespace, value
my $identifier = sub { my ($namespace, $value) = @_; pack 'C N/a a*', 1, $namespace, $value };
my $read_identifier = sub { # the second implementation: the text, or nothing
    my ($image) = @_;
    my ($version, $length) = unpack 'C N', $image;
    return if length $image < 5 || $version != 1 || $length > length($image) - 5;
    my ($namespace, $value) = (substr($image, 5, $length), substr($image, 5 + $length));
    return if $namespace !~ /^[-\w.\x80-\xff]{1,63}\z/a || $value !~ /^[^\0]{1,1024}\z/s;
    my $text = "$namespace:$value";
    utf8::decode(my $copy = $namespace) && utf8::decode(my $other = $value) or return; # nor may a letter be cut in two
    return if $copy =~ /[^\x{0}-\x{d7ff}\x{e000}-\x{10ffff}]/ || $other =~ /[^\x{0}-\x{d7ff}\x{e000}-\x{10ffff}]/;
    return $text;
};
my @identifiers = map { $identifier->(@$_) } ['email', 'ana@example.pt'], ['x', ':'], ["caf\xc3\xa9", "\xe6\x97\xa5 \n\t:"],
    ['n' x 63, 'v' x 1024], ['-._', "\x01"];
@images = (
    @identifiers, '', "\1", "\1\0\0\0\0", "\1\0\0\0\0value", "\0" . substr($identifiers[0], 1), "\2" . substr($identifiers[0], 1),
    pack('C N a*', 1, 0xffffffff, 'email'), pack('C N a*', 1, 0x80000000, 'email'), pack('C N a*', 1, 0x7fffffff, 'email'),
    pack('C N a*', 1, 6, 'email'), pack('C N a*', 1, 5, 'email'),
    map({ $identifier->(@$_) } ['n' x 64, 'v'], ['n', 'v' x 1025], ['n', 'v' x 100000], ["n\0", 'v'], ['n', "v\0"], ['a:b', 'v'], ['a b', 'v'],
        ["caf\xc3", "\xa9"], ['n', "\xc0\xaf"], ['n', "\xed\xa0\x80"], ['n', "\xf4\x90\x80\x80"]));
push @images, map { mutate(any(@identifiers)) } 1 .. 1500;
copy_file("$dir/images/$_", [ $images[$_] ]) for 0 .. $#images;
sql($node, <<'END');
TRUNCATE refused;
CREATE TABLE accepted_identifier (n integer DEFAULT current_setting('pgj.n')::integer, j identifier);
END
write_bytes("$dir/receive.sql", join '', map { "SELECT receive($_, 'accepted_identifier', '$dir/images/$_');\n" } 0 .. $#images);
ok(run_script($node, "$dir/receive.sql"), scalar(@images) . ' images of identifiers received');
%answer = map { split /\|/, $_, 2 } split /\n/, sql($node, <<'END');
SELECT n, encode(convert_to(j::text, 'UTF8'), 'hex') FROM accepted_identifier
WHERE j::text::identifier = j AND identifier_send(j) IS NOT NULL
UNION ALL SELECT n, 'error ' || state FROM refused
END
@wrong = grep {
    my $text = $read_identifier->($images[$_]);
    my $answer = $answer{$_} // 'no answer';
    defined $text ? $answer ne $hex->($text) : $answer !~ /^error (?:22P03|22021|22001|42622|08P01)$/;
} 0 .. $#images;
is(@wrong, 0, 'every image of an identifier is accepted or refused as it should be')
  or diag map { $hex->(substr $images[$_], 0, 100) . ": $answer{$_}\n" } splice @wrong, 0, 10;
cmp_ok(scalar(grep { !/error/ } values %answer), '>', 100, 'some mutants of identifiers are valid');

# Encodings again, with one that some letters don't fit
copy_file("$dir/latin", [ $identifier->("caf\xe9", "\xe7:\xff") ]);
for my $database ('postgres', 'latin1')
{
    is($node->safe_psql($database, <<"END"), '\x01000000' . ($database eq 'latin1' ? '04636166e9e73aff' : '05636166c3a9c3a73ac3bf'), "identifier of a client with LATIN1, $database");
CREATE TABLE i (i identifier);
SET client_encoding = 'LATIN1';
COPY i FROM '$dir/latin' (FORMAT binary);
COPY i TO '$dir/latin_out' (FORMAT binary);
COPY i FROM '$dir/latin_out' (FORMAT binary);
SET client_encoding = '@{[ $database eq 'latin1' ? 'LATIN1' : 'UTF8' ]}';
SELECT DISTINCT identifier_send(i) FROM i;
END
}
is($node->safe_psql('latin1', <<'END'), "ana\@xn--caf-dma.fr|jos\xc3\xa9\@x.pt|+351912345678|52998224725", 'normalisers in LATIN1');
SET client_encoding = 'UTF8';
SELECT normalize_email('Ana@café.fr'), normalize_email('José@x.pt'), normalize_phone('912' || chr(160) || '345 678', 'PT'), normalize_document('529.982.247-25');
END
sql($node, "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
is($node->safe_psql('ascii', <<'END'), "ana\@xn--caf-dma.fr|t|t|t", 'normalisers without an encoding');
CREATE EXTENSION pg_journey;
SELECT normalize_email('Ana@café.fr'), normalize_email(E'jos\xe9@x.pt') IS NULL, normalize_phone(E'912\xa0345 678', 'PT') IS NULL,
       normalize_document(E'\xff') IS NULL;
END

is(slurp_file($node->data_dir . '/postmaster.pid'), $postmaster, 'the server is the same');
is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
