# No name that a user gives can capture anything in a hub. The template keeps to rules that are checked first. Then the tests
# of hubs must print what they always print where all tables of a hub have a column for every word in its template that
# one could capture, tables beside it one for every word in what reads attached tables, and the hub a table named like
# each type of the extension; also after the hub was upgraded. PGJ_NAMES lists types of those columns: by default point, which has
# no operator in common with what the hub compares, so that a capture is an error; PGJ_NAMES_TESTS lists tests. The long way is
# PGJ_NAMES=point,text,bigint,timestamptz,boolean,jsonb PGJ_NAMES_TESTS=all: with other types it could be a wrong result.
use strict;
use warnings;
use Cwd 'abs_path';
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = abs_path("$FindBin::Bin/../..");
my @types = split /,/, $ENV{PGJ_NAMES} || slowly('point', 'point,text');
my %known = map { m{([^/]+)\.sql$} => 1 } grep { slurp_file($_) =~ /journey_create_hub/ } glob "$top/test/sql/*.sql";
my $tests = $ENV{PGJ_NAMES_TESTS} || slowly('ingest_hub,timeline', 'all');
my @tests = $tests eq 'all' ? sort keys %known : split /,/, $tests;
my @parts = sort glob "$top/sql/hub/*.sql";
is(join(',', grep { !$known{$_} } @tests), '', 'the tests are tests of hubs');

# What would make rules of names break, by file and function
sub flaws
{
    my ($path) = @_;
    my ($file) = $path =~ m{([^/]+)$};
    my $text = slurp_file($path);
    my ($line, @flaws);
    foreach (split /\n/, $text) {
        $line++;
        push @flaws, "$file, line $line: more than 120 columns" if length > 120;
    }
    push @flaws, "$file: $1 in a comment" while $text =~ /(?:^|\s)--[^\n]*(\@(?:hub|extschema|version)\@)/mg;
    while ($text =~ /^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) (\S+?)\(((?:(?!^CREATE ).)*?)\nAS (\$\w*\$)\n(.*?)\3;/msg) {
        my ($name, $head, $body) = ("$file: $1", $2, $4);
        $body =~ s/--.*//g;
        my ($declared) = $body =~ /^DECLARE\n(.*?)^BEGIN$/ms;
        my %records = map { $_ => 1 } ($declared // '') =~ /^    (\w+)(?: CONSTANT)? (?!\@extschema\@|text|bigint|integer|smallint|boolean|timestamptz|interval|numeric|jsonb?|name|reg\w+|oid)[\w\@.]+(?!\[)(?: :=|;)/mg;
        push @flaws, "$name: no search_path" if $head !~ /SET search_path = (?:\@hub\@|pg_catalog), / && $body !~ /\@hub\@\./;
        push @flaws, "$name: use_column" if $body =~ /use_column/;
        push @flaws, "$name: no #variable_conflict use_variable"
            if $path =~ m{/hub/} && $body =~ /\b(?:SELECT|INSERT|UPDATE|DELETE)\b/ && $body !~ /^#variable_conflict use_variable$/m;
        push @flaws, "$name: type $1 without its schema" while $body =~ /(?:::|^    \w+(?: CONSTANT)? )(identifier|touchpoint|journey|journey_pattern)\b(?! \w|\()/mg;
        my %aliases = map { $_ => 1 } $body =~ /(?<!DISTINCT )\b(?:FROM|JOIN|LATERAL|ORDINALITY) (?:ONLY )?(?:[\w\@.]+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))? (?:AS )?)?(\w+)\b/g;
        push @flaws, "$name: $_ is a record and an alias" foreach grep { $records{$_} } sort keys %aliases;
    }
    return @flaws;
}

is_deeply([ map { flaws($_) } @parts, sort glob "$top/sql/parts/*.sql" ], [], 'the template and the extension keep to the rules of names, and to 120 columns');

my $node = start_server('main');
my $version = sql($node, q(SELECT extversion FROM pg_extension WHERE extname = 'pg_journey'));
my $reserved = join '|', split ' ', sql($node, q{SELECT string_agg(word, ' ') FROM pg_get_keywords() WHERE catcode IN ('R', 'T')});
my $system = 'tableoid|xmin|xmax|cmin|cmax|ctid';

# The words of SQL that a column could capture: but for comments, data, messages, names of functions and what is qualified
sub words
{
    my ($text) = @_;
    $text =~ s/--.*//g;
    $text =~ s/^COMMENT ON.*?;$//msg;
    $text =~ s/^(?:INSERT INTO|UPDATE) \@hub\@\..*?;\n//msg;
    $text =~ s/(?:MESSAGE|DETAIL|HINT) = (?:format\()?'(?:[^']|\'\')*'//g;
    return grep { !/^(?:$reserved|$system)$/ && /^[a-z0-9_]{1,63}$/ } $text =~ /(?<![.\@\w'])([a-z_]\w*)\b(?!\s?\()/g;
}

# What each table is read by: what names it, its rows in a trigger, or a function that returns its rows
my $template = join '', map { slurp_file($_) } @parts;
my @chunks = split /^(?=CREATE )/m, $template;
my (%readers, %words);
foreach my $table ($template =~ /^CREATE TABLE (?:IF NOT EXISTS )?\@hub\@\.(\w+) \(\n/mg) {
    $readers{$table} = join '|', $table, ($table eq 'touchpoints' ? qw(new_rows old_rows) : ()),
        map { /^CREATE \S+ \S+ FUNCTION \@hub\@\.(\w+)\(.*?RETURNS SETOF \@hub\@\.$table\n/s } @chunks;
}
foreach my $chunk (grep { /^CREATE OR REPLACE/ } @chunks) {
    my @chunk_words = words($chunk);
    foreach my $table (grep { $chunk =~ /\b(?:$readers{$_})\b/ } keys %readers) {
        $words{$table}{$_} = 1 foreach @chunk_words;
    }
}
my %attached = map { $_ => 1 } words(join '', map { slurp_file($_) } grep { /feed|attach/ } @parts);
my $attached_words = join ',', sort keys %attached;
cmp_ok(scalar keys %words, '>', 15, 'tables and words: ' . join ', ', map { "$_ " . keys %{ $words{$_} } } sort keys %words);

# The template with a column for each word that is no column of the table yet
sub worded
{
    my ($type) = @_;
    my %script = map { my ($part) = m{([^/]+)\.sql$}; ($part => slurp_file($_)) } @parts;
    foreach (values %script) {
        s{(CREATE TABLE (?:IF NOT EXISTS )?\@hub\@\.(\w+) \(\n(.*?))\n\)}{
            my ($head, $table, $columns) = ($1, $2, $3);
            my %has = map { $_ => 1 } $columns =~ /^ +(\w+) /mg;
            $has{$_} = 1 foreach map { /ADD COLUMN (\w+)/g } $template =~ /^ALTER TABLE \@hub\@\.$table\n(.*?);\n/msg;
            $has{$_} = 1 foreach $template =~ /^ALTER TABLE \@hub\@\.$table ADD COLUMN (\w+)/mg;
            $head . join('', map { ",\n$_ pg_catalog.$type" } grep { !$has{$_} } sort keys %{ $words{$table} }) . "\n)"
        }gse;
        # as the Makefile does
        s/LANGUAGE plpgsql/LANGUAGE journey_plpgsql/g;
        s/\@version\@/$version/g;
        s/\$(\w*)\$/\$$1\@tag\@\$/g;
        s/\@extschema\@/public/g;
    }
    return %script;
}

foreach my $type (@types) {
    my $database = 'contrib_regression';  # as it is called in what is expected
    $node->safe_psql('postgres', "DROP DATABASE IF EXISTS $database");
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    my %script = worded($type);
    $node->safe_psql($database, join '', <<"END", map { "INSERT INTO worded.template VALUES ('$_', \$part\$$script{$_}\$part\$);\n" } sort keys %script);
CREATE EXTENSION pg_journey;
CREATE SCHEMA worded;
GRANT USAGE ON SCHEMA worded TO public;
CREATE TABLE worded.template (part text, script text);
GRANT SELECT ON worded.template TO public;
CREATE OR REPLACE FUNCTION journey_hub_template(OUT part text, OUT script text) RETURNS SETOF record LANGUAGE sql ROWS 10
AS 'SELECT part, script FROM worded.template';
ALTER FUNCTION journey_create_hub(text) RENAME TO journey_create_new_hub;
CREATE FUNCTION journey_create_hub(name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS \$\$
DECLARE
    type name;
BEGIN
    PERFORM public.journey_create_new_hub(name);
    IF current_setting('worded.types', true) = 'on' THEN
        FOR type IN SELECT t.typname FROM pg_type t JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
                    WHERE d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'pg_journey') AND t.typelem = 0 LOOP
            EXECUTE format('CREATE TABLE IF NOT EXISTS %I.%I (nothing int)', name, type);  -- a hub has an attribution
        END LOOP;
    END IF;
    PERFORM public.journey_upgrade_hub(name);
END \$\$;
ALTER EXTENSION pg_journey ADD FUNCTION journey_create_hub(text);
CREATE FUNCTION worded.widen() RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS \$\$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT d.objid FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid
                    WHERE d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
                          AND d.schema_name <> 'worded' AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid)
                          AND NOT EXISTS (SELECT FROM pg_class s WHERE s.relnamespace = c.relnamespace AND s.relname = 'settings')
                          AND EXISTS (SELECT FROM pg_class s WHERE s.relname = 'source_rejects') LOOP
        EXECUTE (SELECT CASE WHEN count(*) > 0 THEN format('ALTER TABLE %s %s', relation, string_agg(format('ADD COLUMN %I pg_catalog.$type', w), ', ')) ELSE '' END
                 FROM unnest('{$attached_words}'::text[]) w
                 WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = w));
    END LOOP;
END \$\$;
CREATE EVENT TRIGGER widen ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION worded.widen();
END
    # where a test has the hub in its search_path, such a table would take the type from the test
    foreach my $types ('off', 'on') {
        my @some = grep { (slurp_file("$top/test/sql/$_.sql") =~ /search_path/) == ($types eq 'off') } @tests or next;
        my $outputs = "$PostgreSQL::Test::Utils::tmp_check/worded_${type}_$types";
        mkdir $outputs;
        symlink "$top/expected", "$outputs/expected";
        local $ENV{PGOPTIONS} = "-c worded.types=$types";
        my $log = '';
        my $ran = IPC::Run::run([ $ENV{PG_REGRESS}, "--inputdir=$top/test", '--bindir=', '--use-existing', "--dbname=$database",
                '--host=' . $node->host, '--port=' . $node->port, @some ], '>&', \$log, init => sub { chdir $outputs or die });
        ok($ran, "columns of type $type" . ($types eq 'on' ? ', and tables named like types,' : '') . " change nothing: @some")
            or diag $log . (-e "$outputs/regression.diffs" ? slurp_file("$outputs/regression.diffs") : '');
    }
}

done_testing();
