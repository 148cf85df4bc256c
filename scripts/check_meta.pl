#!/usr/bin/perl
# Checks META.json against PGXN's specification 1.0.0, and every place that says the version against the control file.
# Run in the tree; prints what is wrong, one a line.
use strict;
use warnings;
use JSON::PP;

my (@wrong, %text);
for my $file ('META.json', 'pg_journey.control', 'CHANGELOG.md', 'LICENSE', 'debian/changelog')
{
	open my $in, '<:raw', $file or die "$file: $!\n";
	$text{$file} = do { local $/; <$in> };
}
my $meta = eval { decode_json($text{'META.json'}) };
die "META.json is no JSON object\n" unless ref $meta eq 'HASH';
my ($version) = $text{'pg_journey.control'} =~ /^default_version = '([^']*)'/m or die "pg_journey.control has no default_version\n";

sub must { my ($what, $holds) = @_; push @wrong, $what unless $holds }
sub is_text { my ($it) = @_; defined $it && !ref $it && length $it }
sub is_texts { my ($it) = @_; ref $it eq 'ARRAY' && @$it && !grep { !is_text($_) } @$it }
my $semver = qr/^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?$/;

must("META.json: $_ is missing", is_text($meta->{$_})) for qw(name abstract description version license generated_by);
must('META.json: maintainer and tags must be lists of texts', is_texts($meta->{maintainer}) && is_texts($meta->{tags}));
must("META.json: $_ is no tag", length($_) < 256 && !m{[/\\\x00-\x1f]}) for @{ $meta->{tags} // [] };
must('META.json: license is not that of LICENSE', $meta->{license} eq 'postgresql' && scalar $text{LICENSE} =~ /^PostgreSQL License/);
must('META.json: meta-spec is not 1.0.0', ($meta->{'meta-spec'} // {})->{version} eq '1.0.0');
my %known = map { $_ => 1 } qw(name abstract description version maintainer license provides prereqs tags meta-spec generated_by
	no_index release_status resources);
must("META.json: the specification knows no $_", $known{$_} || /^x_/i) for keys %$meta;
for my $required (map { values %$_ } values %{ $meta->{prereqs} // {} })
{
	must("META.json: no version of $_ is required", $required->{$_} eq '0' || scalar $required->{$_} =~ $semver) for keys %$required;
}
must("META.json has version $meta->{version}, pg_journey.control $version", $meta->{version} eq $version && scalar $version =~ $semver);
must('META.json does not provide pg_journey', $meta->{provides}{pg_journey});
for my $name (sort keys %{ $meta->{provides} })
{
	my $it = $meta->{provides}{$name};
	must("META.json provides $name $it->{version}, pg_journey.control says $version", $it->{version} eq $version);
	must("META.json: the file of $name is not sql/$name--$version.sql", $it->{file} eq "sql/$name--$version.sql");
	must("META.json: the docfile of $name does not exist", -f ($it->{docfile} // $it->{file}));
}
must("CHANGELOG.md does not begin with version $version", scalar $text{'CHANGELOG.md'} =~ /^[^#]*# Changelog[^#]*## \Q$version\E\b/);
must("debian/changelog does not begin with version $version", scalar $text{'debian/changelog'} =~ /^pg-journey \(\Q$version\E-\d/);
print "$_\n" for @wrong;
exit(@wrong ? 1 : 0);
