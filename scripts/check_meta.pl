#!/usr/bin/perl
# Checks META.json against PGXN's specification 1.0.0 and every place that says the version against the control file.
# Run in the tree; prints what is wrong, one a line.
use strict;
use warnings;
use JSON::PP;

my @wrong;
my %text;
for my $file ('META.json', 'pg_journey.control', 'CHANGELOG.md', 'LICENSE', 'debian/changelog')
{
	open my $in, '<:raw', $file or do { push @wrong, "$file: $!"; next };
	$text{$file} = do { local $/; <$in> };
}
my $meta = eval { decode_json($text{'META.json'} // '') };
push @wrong, "META.json is not JSON: $@" unless ref $meta eq 'HASH';
my ($version) = ($text{'pg_journey.control'} // '') =~ /^default_version = '([^']*)'/m;
push @wrong, 'pg_journey.control has no default_version' unless defined $version;

if (!@wrong)
{
	my $semver = qr/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$/;
	my $string = sub { defined $_[0] && !ref $_[0] && length $_[0] };
	my $is = sub { push @wrong, "META.json: $_[1]" unless $_[0] };

	$is->($string->($meta->{$_}), "$_ is missing or no text") for qw(name abstract version license generated_by);
	$is->(($meta->{version} // '') =~ $semver, 'version is not a semantic version');
	$is->(ref $meta->{maintainer} eq 'ARRAY' && @{ $meta->{maintainer} } && !grep({ !$string->($_) } @{ $meta->{maintainer} }),
		'maintainer is no list of names');
	$is->(($meta->{license} // '') eq 'postgresql' && $text{LICENSE} =~ /^PostgreSQL License/, 'license is not that of LICENSE');
	$is->(ref $meta->{'meta-spec'} eq 'HASH' && ($meta->{'meta-spec'}{version} // '') eq '1.0.0', 'meta-spec is not 1.0.0');
	$is->(ref $meta->{tags} eq 'ARRAY' && !grep({ !$string->($_) || length > 255 || m{[/\\[:cntrl:]]} } @{ $meta->{tags} }),
		'tags are no list of short texts');
	for my $phase (values %{ $meta->{prereqs} // {} })
	{
		for my $kind (values %$phase)
		{
			$is->($kind->{$_} =~ $semver || $kind->{$_} eq '0', "the required version of $_ is none") for keys %$kind;
		}
	}
	my @known = qw(name abstract description version maintainer license provides prereqs tags meta-spec generated_by
		no_index release_status resources);
	for my $key (grep !/^x_/i, keys %$meta)
	{
		$is->(scalar(grep $_ eq $key, @known), "the specification knows no $key");
	}
	my $provides = $meta->{provides};
	$is->(ref $provides eq 'HASH' && $provides->{pg_journey}, 'it does not provide pg_journey');
	for my $name (sort keys %{ ref $provides eq 'HASH' ? $provides : {} })
	{
		my $it = $provides->{$name};
		$is->(($it->{version} // '') eq $version, "$name has another version than pg_journey.control, $version");
		$is->(($it->{file} // '') eq "sql/$name--$version.sql", "the file of $name is not sql/$name--$version.sql");
		$is->(!defined $it->{docfile} || -f $it->{docfile}, "the docfile of $name does not exist");
	}
	$is->($meta->{version} eq $version, "another version than pg_journey.control, $version");
	push @wrong, "CHANGELOG.md does not begin with version $version" unless $text{'CHANGELOG.md'} =~ /^## (\S+)/m && $1 eq $version;
	push @wrong, "debian/changelog does not begin with version $version"
		unless $text{'debian/changelog'} =~ /^pg-journey \(\Q$version\E-\d/;
}
print "$_\n" for @wrong;
exit(@wrong ? 1 : 0);
