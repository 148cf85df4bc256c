# META.json is what PGXN wants, and the version is the same wherever it is said: scripts/check_meta.pl, which "make dist" asks.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $tree = $ENV{TESTDIR};
my $copy = PostgreSQL::Test::Utils::tempdir();

# check(FILE => [FROM, TO] ...): what the script says of a tree whose files were changed so
sub check
{
	my %change = @_;
	mkdir "$copy/$_" for qw(debian sql);
	for my $file (qw(META.json pg_journey.control CHANGELOG.md LICENSE README.md debian/changelog))
	{
		my $text = slurp_file("$tree/$file");
		my ($from, $to) = @{ $change{$file} // [] };
		die "$file has no $from" if defined $from && $text !~ s/$from/$to/;
		open my $out, '>:raw', "$copy/$file" or die $!;
		print $out $text;
		close $out;
	}
	return scalar qx(cd "$copy" && perl "$tree/scripts/check_meta.pl" 2>&1);
}

my $version = (slurp_file("$tree/pg_journey.control") =~ /^default_version = '(.*)'/m)[0];
is(check(), '', 'this version can be archived');
like(check('META.json' => [qr/"version": "\Q$version\E"/, '"version": "9.9.9"']), qr/has version 9\.9\.9, pg_journey.control \Q$version/, 'META.json');
like(check('META.json' => [qr/"version": "\Q$version\E"\n/, "\"version\": \"9.9.9\"\n"]), qr/provides pg_journey 9\.9\.9/, 'what it provides');
like(check('META.json' => [qr/"abstract": "[^"]*",/, '']), qr/abstract is missing/, 'a text that must be there');
like(check('META.json' => [qr/"license"/, '"licence"']), qr/knows no licence/, 'a key that is none');
like(check('META.json' => [qr/,/, '']), qr/no JSON object/, 'no JSON');
like(check('CHANGELOG.md' => [qr/## \Q$version/, '## 9.9.9']), qr/CHANGELOG.md does not begin with/, 'CHANGELOG.md');
like(check('debian/changelog' => [qr/\Q$version/, '9.9.9']), qr{debian/changelog does not begin with}, 'debian/changelog');

done_testing();
