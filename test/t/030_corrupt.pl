# Proves that a damaged stored value never takes the server down: thousands of
# mutated images of valid journeys and touchpoints, put in through casts from
# bytea that only a superuser can make, are given to every function. Each must
# answer or raise data_corrupted (or say that a number is out of range), in
# bounded time and memory.
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
sql($node, <<'END');
CREATE CAST (bytea AS journey) WITHOUT FUNCTION;
CREATE CAST (bytea AS touchpoint) WITHOUT FUNCTION;
CREATE CAST (journey AS bytea) WITHOUT FUNCTION;
CREATE TABLE image (n integer, b bytea);
CREATE TABLE outcome (n integer, probe text, state text, message text);
END

# images of valid values: small and large, with and without values and refs,
# and one of a thousand labels
my @valid = ([], map { [ random_journey($_) ] } (1) x 20, (2, 3, 5, 10) x 10, (100) x 6);
push @valid,
  [ map { [ $_ * 1000000, 'c' . $_ % 1000, 'a', $_ % 7 ? undef : [ $_, 2 ], $_ % 3 ? $_ : undef ] } 1 .. 2000 ],
  # sets of details, and lists of them
  [ map { [ $_ * 1000000, 'c' . $_ % 50, 'a', undef, undef, ('', 'in', 'out', 'bot')[ $_ % 4 ] ] } 1 .. 200 ],
  [ map { [ $_ * 1000000, 'c' . $_ % 3, 'a' . $_ % 2, undef, undef, ('in', 'd' . $_ % 20, 'x' x 200)[ $_ % 3 ] ] } 1 .. 200 ];
copy_file("$dir/valid", map { [ encode(@$_) ] } @valid);
my @image = map { pack 'H*', $_ } split /\n/, sql($node, <<"END"), -1;
CREATE TABLE valid (id serial, j journey);
COPY valid (j) FROM '$dir/valid' (FORMAT binary);
SELECT encode(j::bytea, 'hex') FROM valid ORDER BY id;
END
is(scalar @image, scalar @valid, 'valid images');

my @mutant = ('', @image);
for my $image (@image[ 0 .. 8 ], any(@image[ 21 .. 40 ]))
{
    push @mutant, map { substr $image, 0, $_ } 1 .. (length($image) > 80 ? 80 : length($image)) - 1;
    # every byte of the header and the first streams: off by one, all ones, all zeros
    for my $at (0 .. (length($image) > 48 ? 48 : length $image) - 1)
    {
        my @copy = ($image) x 4;
        substr($copy[0], $at, 1) = chr((ord(substr $image, $at, 1) + 1) % 256);
        substr($copy[1], $at, 1) = chr((ord(substr $image, $at, 1) + 255) % 256);
        substr($copy[2], $at, 1) = "\xff";
        substr($copy[3], $at, 1) = "\0";
        push @mutant, @copy;
    }
}
push @mutant, map { mutate(any(@image)) } 1 .. 2500;
# mutants of the headers of large ones, and strangers
for (1 .. 500)
{
    my $image = any(@image[ -7 .. -1 ]);
    push @mutant, mutate(substr $image, 0, 64) . substr $image, 64;
}
push @mutant, map { join '', map { chr int rand 256 } 1 .. any(1, 8, 32, 64, 200) } 1 .. 200;
push @mutant, map { substr(any(@image), 0, any(16, 24, 32, 40)) . substr(any(@image), any(8, 16, 24)) } 1 .. 200;
write_bytes("$dir/image", join '', map { "$_\t\\\\x" . unpack('H*', $mutant[$_]) . "\n" } 0 .. $#mutant);

# one function for each probe, so that its plan is made once
my %probe = (
    (map { $_ => "$_(j)" } qw(journey_length journey_start journey_end journey_period journey_channels
          journey_actions journey_details journey_labels journey_value journey_path journey_out journey_send journey_hash
          journey_to_json journey_to_jsonb)),
    hash_extended => 'journey_hash_extended(j, 1)',
    path_channel => "journey_path(j, 'channel', true)",
    path_action => "journey_path(j, 'action', true)",
    path_detail => "journey_path(j, 'detail', true)",
    matches => "j ~ '%.%.in -> %.view.so%'",
    filter => "journey_filter(j, '%.%.out')",
    own => "journey_own(j, '{view,call}')",
    timeline => "(SELECT count(t::text) FROM journey_timeline(j, '1 hour', '1 day', '{view,call}') t)",
    visits => "(SELECT count(v::text) FROM journey_visits(j, '1 day', '{view,call}') v)",
    measures => "(SELECT channel_measures_agg(x, '1 hour', '1 day', '{view,call}', '{web}', '{app}', 'month', 'UTC', NULL, NULL)::text FROM (VALUES (j)) v(x))",
    paths => "(SELECT journey_path_agg(x, 'label', NULL)::text FROM (VALUES (j)) v(x))",
    days => "(SELECT journey_label_agg(x, 'label', 'day', 'UTC', '2000-01-01Z', '2026-04-01Z')::text FROM (VALUES (j)) v(x))",
    transitions => "(SELECT channel_measures_agg(x, '1 hour', '1 day', NULL, NULL, NULL, 'all', 'UTC', NULL, NULL, '{transitions}')::text FROM (VALUES (j)) v(x))",
    summary => "(SELECT s::text FROM journey_summary(j, '1 hour', '1 day', '{view,call}') s)",
    time_in => "(SELECT count(s::text) FROM journey_time_in(j, 'detail') s)",
    first => 'journey_nth(j, 1)',
    last => 'journey_nth(j, -1)',
    subscript => 'j[2]',
    subscripts => 'j[2:3]',
    from_first => 'j[1:]',
    unnest => '(SELECT count(t::text) FROM unnest(j) t)',
    steps => '(SELECT count(s::text) FROM journey_steps(j) s)',
    sessions => "(SELECT count(s::text) FROM journey_sessions(j, '1 day') s)",
    slice => "journey_slice(j, '[2000-01-01 00:00:00+00,2026-04-01 00:00:00+00)')",
    all => "journey_slice(j, '(,)')",
    overlaps => "j && '[2000-01-01 00:00:00+00,2026-04-01 00:00:00+00)'",
    within => "j <@ '[2000-01-01 00:00:00+00,2026-04-01 00:00:00+00)'",
    merge => "j || 'web.view=1.5\@2026-04-01T00:00:00Z#3'::touchpoint",
    merged => "'{web.view=1.5\@2026-04-01T00:00:00Z#3, app.buy\@2026-04-01T00:00:00.5Z}'::journey || j",
    twice => 'j || j',
    compare => "journey_cmp(j, 'web.view=1.5\@2026-04-01T00:00:00Z#3'::touchpoint)",
    compare_self => "j = (j::bytea || '')::journey",
    aggregate => '(SELECT journey_agg(x) FROM (VALUES (j), (j)) v(x))',
    aggregate_points => '(SELECT journey_agg(t) FROM unnest(j) t)',
    (map { $_ => "$_(j::bytea::touchpoint)" } qw(touchpoint_time touchpoint_channel touchpoint_action
          touchpoint_detail touchpoint_label touchpoint_value touchpoint_ref touchpoint_out touchpoint_send touchpoint_hash
          touchpoint_to_json touchpoint_to_jsonb)),
    point_compare => "j::bytea::touchpoint < 'web.view=1.5\@2026-04-01T00:00:00Z#3'::touchpoint",
    point_aggregate => '(SELECT journey_agg(x) FROM (VALUES (j::bytea::touchpoint)) v(x))',
);
my $functions = join '', map { <<"END" } sort keys %probe;
CREATE FUNCTION probe_$_(n integer, j journey) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    answer text;
BEGIN
    answer := ($probe{$_})::text;
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE <> 'XX001' THEN INSERT INTO outcome VALUES (n, '$_', SQLSTATE, SQLERRM); END IF;
END \$\$;
END
# query_canceled isn't caught: a probe that runs away ends the script
my $calls = join '', map { "    PERFORM probe_$_(n, j);\n" } sort keys %probe;
my $path = write_bytes("$dir/probes.sql", <<"END");
COPY image FROM '$dir/image';
$functions
CREATE FUNCTION probe_each(n integer, j journey) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    RAISE LOG 'probing image %', n;
$calls
END \$\$;
SET statement_timeout = '1h';
CREATE VIEW batch AS SELECT n AS first, n + 99 AS last FROM generate_series(0, (SELECT max(n) FROM image), 100) n;
-- as stored: with a short header, or out of line
SELECT format('SELECT probe_each(n, b::journey) FROM image WHERE n BETWEEN %s AND %s', first, last) FROM batch \\gexec
-- as in memory, with a long header
SELECT format('SELECT probe_each(n, (b || \$\$\$\$)::journey) FROM image WHERE n %% 4 = 0 AND n BETWEEN %s AND %s', first, last)
FROM batch \\gexec
END
ok(run_script($node, $path), scalar(@mutant) . ' images probed by ' . scalar(keys %probe) . ' expressions')
  or diag "crashed at: " . (grep { /probing image/ } split /\n/, slurp_file($node->logfile))[-1];

# Numbers that became too large for a timestamp, an interval or a numeric may say so
my $strange = sql($node, <<'END');
SELECT state, probe, count(*), min(message), (SELECT encode(b, 'hex') FROM image WHERE image.n = min(outcome.n)) FROM outcome
WHERE state NOT IN ('22003', '22008') GROUP BY state, probe ORDER BY 1, 2 LIMIT 20
END
is($strange, '', 'no error but data_corrupted or out of range');
note sql($node, 'SELECT state, count(*), min(message) FROM outcome GROUP BY 1 ORDER BY 1');

my $last = @image;
is(sql($node, <<"END"), $last, 'valid images are read as what they are');
SELECT count(*) FROM valid JOIN (SELECT n, b::journey AS b FROM image WHERE n BETWEEN 1 AND $last OFFSET 0) i ON n = id
WHERE j = b AND j::text = b::text
END
is(slurp_file($node->data_dir . '/postmaster.pid'), $postmaster, 'the server is the same');
is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
