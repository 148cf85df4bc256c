# Nothing depends on the locale of the database: in Turkish and Azeri the small letter of I
# has no dot, and the capital of i has one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
plan skip_all => 'the server is built without ICU' if sql($node, q{SELECT count(*) FROM pg_collation WHERE collname = 'tr-x-icu'}) eq '0';

my $questions = <<'END';
SELECT string_agg(v, ' ' ORDER BY v COLLATE "C") FROM unnest('{UNDEFINED,undefined,NIL,NaN,INVALID,UNIDENTIFIED,ID,id,İd,Iıi}'::text[]) v
WHERE identifier_blocked(identifier('id', v), '{undefined,NIL,nan,~^INVAL,~^unıdent|^unident,Id}');
SELECT identifier_blocked('TAXID:111111111', '{document:111111111}'), identifier_blocked('EMAIL:x', '{EMAIL:x}'), identifier_blocked('EMAIL:x', '{email:X}');
SELECT count(*) FILTER (WHERE identifier_blocked(i, r.blocked, '')), count(*)
FROM crm.identifier_rules r, unnest('{id:UNDEFINED,id:NIL,id:INVALID,"email:NOREPLY@X.PT","id:[OBJECT IDENTITY]","id:{FIRSTNAME}",id:%USERID%}'::identifier[]) i
WHERE r.namespace = '*';
SELECT normalize_email('INFO@EXAMPLE.PT'), normalize_document('12abcı34501de35') IS NULL, normalize_phone('TEL:+351912345678', 'pt');
SELECT 'a.IDI'::journey_pattern::text, 'WEB.INFO@2026-01-01T00:00:00Z'::touchpoint::text, 'a.b -[<= 5 min]-> c.d'::journey_pattern::text;
SELECT crm.link('id:UNDEFINED', 'email:a@x.pt'), crm.link('id:UNDEFINED', 'email:b@x.pt');
SELECT crm.customer_of('email:a@x.pt') = crm.customer_of('email:b@x.pt');
END

my %answers;
for my $locale (qw(en tr az))
{
	sql($node, "CREATE DATABASE $locale TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE '$locale'");
	$answers{$locale} = $node->safe_psql($locale, "CREATE EXTENSION pg_journey; SELECT journey_create_hub('crm');\n$questions");
}
is($node->safe_psql('tr', q{SELECT lower('ID') = 'ıd'}), 't', 'the locale is Turkish');
is($answers{$_}, $answers{en}, "$_ as en") for qw(tr az);
like($answers{en}, qr/^ID INVALID NIL NaN UNDEFINED UNIDENTIFIED id undefined İd$/m, 'what is blocked');
like($answers{en}, qr/\nf$/, 'nobody is joined');

done_testing();
