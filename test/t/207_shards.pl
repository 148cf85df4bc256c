# Aggregates whose partial states are plain values give the same result when a
# distributed server computes them, which calls their functions without an expression:
# nothing then says what types they are called with.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my ($cc, $include) = map { `$pg_config --$_` } 'cc', 'includedir-server');
system(split(' ', $cc), '-O1', '-fPIC', '-shared', "-I$include", '-o', "$dir/shards.so", "$FindBin::Bin/lib/shards.c") == 0
  or BAIL_OUT('shards.c does not compile');
chmod 0755, $dir, "$dir/shards.so";

my $node = start_server('main');
sql($node, <<"END");
CREATE FUNCTION shards_transfn(internal, regprocedure, VARIADIC "any") RETURNS internal AS '$dir/shards' LANGUAGE C;
CREATE FUNCTION shards_finalfn(internal) RETURNS text AS '$dir/shards' LANGUAGE C;
CREATE AGGREGATE shards(regprocedure, VARIADIC "any") (SFUNC = shards_transfn, STYPE = internal, FINALFUNC = shards_finalfn);
CREATE TABLE data AS
SELECT n, n % 3 = 0 AS a, n % 5 = 0 AS b, n % 7 = 0 AS c, journey_agg(at, channel, action) AS j
FROM generate_series(1, 200) n,
     LATERAL (SELECT '2026-01-01Z'::timestamptz + (n % 40 + i * n % 11) * interval '1 day' AS at, 'web' AS channel,
                     (ARRAY['view', 'cart', 'buy'])[1 + (n + i) % 3] AS action
              FROM generate_series(1, 8) i) t
GROUP BY n;
END

my @calls = (
	[ 'journey_funnel_agg(journey, journey_pattern)', q{j, 'web.view -> web.cart -> web.buy'::journey_pattern} ],
	[   'journey_retention_agg(journey, journey_pattern, journey_pattern, text, text)',
		q{j, 'web.view'::journey_pattern, 'web.buy'::journey_pattern, 'week'::text, 'UTC'::text}
	],
	[ 'flow_agg(journey, jsonb)', q{j, '{"item": "channel"}'::jsonb} ],
	[ 'attribution_agg(journey, journey_pattern, journey_pattern, interval, jsonb)', q{j, 'web.buy'::journey_pattern, 'web.%'::journey_pattern, '30 days'::interval, '{"item": "label"}'::jsonb} ],
	[   'channel_measures_agg(' . join(', ', 'journey', ('interval') x 2, ('text[]') x 3, ('text') x 2, ('timestamptz') x 2) . ')',
		q{j, '1 hour'::interval, '3 days'::interval, '{}'::text[], '{web}'::text[], NULL::text[], 'month'::text, 'UTC'::text, NULL::timestamptz,
			'2027-01-01Z'::timestamptz}
	],
	(   map {
			[   "$_(timestamptz, bigint, text, text, boolean, text, text)",
				q{'2026-01-01Z'::timestamptz + n * interval '1 min', n::bigint, CASE WHEN a THEN 'web' ELSE 'chat' END, CASE WHEN b THEN 'ana' WHEN c THEN 'bot' END, c,}
				  . q{CASE WHEN b OR c THEN 'out' ELSE 'in' END, CASE WHEN n % 50 = 0 THEN 'resolves' END}
			]
		} 'conversation_agg', 'conversation_replies_agg', 'conversation_spans_agg'),
	(   map {
			[ "retention($_->[0])", $_->[1] ]
		} [ 'boolean', 'a' ],
		[ 'boolean, boolean',                  'a, b' ],
		[ 'boolean, boolean, boolean',         'a, NULL::boolean, b AND c' ],
		[ join(', ', ('boolean') x 8), join(', ', ('a', 'b', 'c', 'true') x 2) ],
		[ 'boolean[]', 'ARRAY[a, b, c]' ]));
for (@calls)
{
	my ($signature, $arguments) = @$_;
	(my $name = $signature) =~ s/\(.*//;
	my ($whole, $shards, $one) = split /\n/, sql($node, <<"END"), -1;
SELECT $name($arguments)::text FROM data;
SELECT shards('$signature', $arguments) FROM data;
SELECT shards('$signature', $arguments) IS NOT DISTINCT FROM $name($arguments)::text FROM data WHERE n = 1;
END
	isnt($whole, '', "$signature has a result");
	is($shards, $whole, "$signature of shards");
	is($one, 't', "$signature of one row, in one shard");
}

# an aggregate of a program that makes its own of our functions has no type but theirs either
is( sql($node, <<'END'), 't', 'an aggregate made of our functions');
CREATE AGGREGATE my_funnel(journey, journey_pattern) (SFUNC = journey_funnel_agg_transfn, STYPE = bytea,
    COMBINEFUNC = journey_funnel_agg_combinefn, FINALFUNC = journey_funnel_agg_finalfn);
SELECT my_funnel(j, 'web.view -> web.buy') = journey_funnel_agg(j, 'web.view -> web.buy') FROM data;
END

# where nothing can tell the types, an error says so
my ($code, undef, $stderr) = $node->psql('postgres', q{SELECT shards('retention("any")', a, b) FROM data});
isnt($code, 0, 'VARIADIC "any" without an expression is refused');
like($stderr, qr/could not determine the types of the conditions/, 'and says why');

done_testing();
