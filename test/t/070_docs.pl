# The SQL of README.md, doc/*.md and doc/recipes/*.md runs as printed: every ```sql block, in order, in a database of
# its own for each page; and a ```text block right after one holds exactly what psql shows for it. A comment
# <!-- run: FILE --> runs a file that the page doesn't show; after <!-- file: FILE --> the block is that file.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $node = start_server('docs');
my $n = 0;

# What psql prints, without blanks at the ends of lines and empty lines around
sub trimmed
{
    my ($text) = @_;
    $text =~ s/[ \t]+$//mg;
    $text =~ s/\A\n+|\n+\z//g;
    return $text;
}

for my $page ("$top/README.md", sort glob("$top/doc/*.md"), sort glob "$top/doc/recipes/*.md")
{
    my $name = $page =~ s/^\Q$top\E\///r;
    my $text = slurp_file($page);
    my (@blocks, $script);

    while ($text =~ /^<!-- run: (\S+) -->\n|^(?:<!-- file: (\S+) -->\n)?```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/msg)
    {
        my ($run, $file, $sql, $expected) = ($1, $2, $3, $4);
        my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
        is($sql, slurp_file("$top/$file"), "$name line $line is $file") if defined $file;
        push @blocks, [ $sql // "\\o /dev/null\n\\i '$top/$run'\n\\o\n", $expected, $line ];
    }
    ok(@blocks > 0, "$name has SQL to run") or next;

    my $db = 'docs' . $n++;
    $node->safe_psql('postgres', "CREATE DATABASE $db");
    $script = "SET timezone = 'UTC';\n";
    $script .= "\\echo \@block $_\n$blocks[$_][0]" for 0 .. $#blocks;

    my ($out, $err) = ('', '');
    my $status = $node->psql($db, $script, stdout => \$out, stderr => \$err, on_error_stop => 1,
        extra_params => [ '--pset=format=aligned', '--pset=tuples_only=off' ]);
    is($status, 0, "$name runs without an error") or diag $err;

    my (undef, %printed) = split /^\@block (\d+)$/m, $out;
    for my $i (0 .. $#blocks)
    {
        my ($sql, $expected, $line) = @{ $blocks[$i] };
        next unless defined $expected;
        is(trimmed($printed{$i} // ''), trimmed($expected), "$name line $line shows what psql prints");
    }
}

$node->stop;
done_testing();
