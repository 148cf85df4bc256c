# The generator of people with errors makes what it says, the same each time; and the comparators tell records of one person
# from those of others in it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub people { my @options = @_; my ($out, $err) = run_command([ $^X, "$FindBin::Bin/../people.pl", @options ]); is($err, '', "people.pl @options"); return $out }

my $people = slowly(600, 20000);
my $csv = people('--people', $people, '--seed', 7);
is(people('--people', $people, '--seed', 7), $csv, 'the same again');
isnt(people('--people', $people, '--seed', 8), $csv, 'others of another seed');
unlike(people('--people', 300, '--languages', 'pt,es'), qr/\+44/, 'languages are chosen');

my $node = start_server('main');
my $columns = join ', ', map { $_ . ($_ =~ /^(record_id|person_id|household)$/ ? ' int' : ' text') } split /,/, (split /\n/, $csv)[0];
for (([ 'people', $csv ], [ 'spotless', people('--people', 500, '--errors', 0) ]))
{
    my ($table, $rows) = @$_;
    sql($node, "CREATE TABLE $table ($columns)");
    $node->safe_psql('postgres', "SET client_encoding = 'UTF8'; COPY $table FROM STDIN CSV HEADER;\n$rows\n\\.\n");
}
is(sql($node, 'SELECT count(DISTINCT person_id), max(person_id), count(DISTINCT record_id) = count(*), max(record_id) = count(*) FROM people'), "$people|$people|t|t", 'people and records');
is(sql($node, q{SELECT string_agg(DISTINCT c, ' ' ORDER BY c) FROM people, regexp_split_to_table(changes, ' ') c WHERE c <> ''}),
    'accents born_swapped born_typo born_year_only capitals document_typo email_company email_new email_typo fewer_names initial married moved nickname'
      . ' phone_new phone_typo sound swapped_names twin typo_family typo_given', 'all that can happen has happened');
is(sql($node, q{SELECT string_agg(DISTINCT changes, ' ') FROM spotless}), 'twin', 'nothing but twins without errors');

# records of one person, and of any two
sql($node, q{CREATE TABLE pairs AS
    SELECT a.person_id = b.person_id AS same, a.name AS name_a, b.name AS name_b, a.born AS born_a, b.born AS born_b, a.phone AS phone_a, b.phone AS phone_b,
           a.document AS document_a, b.document AS document_b, a.email AS email_a, b.email AS email_b
    FROM people a JOIN people b ON a.record_id < b.record_id
        AND (a.person_id = b.person_id OR (a.record_id * 7919 + b.record_id) % 2003 = 0 AND a.household <> b.household)});
my %floor = (name => 1, born => 1, phone => 1, document => 1, email => 2);
my %comparator = (name => 'name pt', born => 'date', phone => 'phone PT', document => 'document', email => 'email');
for my $column (sort keys %comparator)
{
    my $found = sql($node, qq{SELECT string_agg(format('%s', round(share, 2)), ' ' ORDER BY same)
        FROM (SELECT same, avg((match_level(${column}_a, ${column}_b, '$comparator{$column}') >= $floor{$column})::int) AS share FROM pairs GROUP BY same) s});
    my ($others, $own) = split ' ', $found;
    cmp_ok($own, '>=', 0.7, "$column: level $floor{$column} for records of one person");
    cmp_ok($others, '<=', 0.25, "$column: and seldom for others");
}
is(sql($node, q{SELECT count(*) FROM spotless a JOIN spotless b ON a.person_id = b.person_id AND a.record_id < b.record_id
    WHERE match_level(a.name, b.name, 'name') < 4 OR match_level(a.born, b.born, 'date') < 4 OR match_level(a.phone, b.phone, 'phone') < 1 OR match_level(a.email, b.email, 'email') < 4
          OR match_level(a.document, b.document, 'document') < 2}), '0', 'what is right agrees');

$node->stop;
done_testing();
