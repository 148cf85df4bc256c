# Proves that whatever reads runs on a hot standby, and answers there what it answers on the primary: every view of a hub,
# and every function of which the manual speaks and that writes nothing. They are taken from the catalog and from the
# manual, so that a new one is found; where it is not told below what it is called with, or that it writes, this fails.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', allows_streaming => 1);
sql($node, <<'END');
SELECT journey_create_hub('crm');
CALL crm.maintain('2026-01-01Z');
SELECT crm.set_rule('email', priority => 9);
INSERT INTO crm.agents (agent, name, is_bot) VALUES ('ana', 'Ana Lima', false), ('helper', NULL, true);
INSERT INTO crm.business_calendars VALUES ('line', 'Europe/Lisbon');
INSERT INTO crm.business_hours VALUES (1, '09:00', '18:00', 'line'), (2, '09:00', '18:00', 'line');
INSERT INTO crm.calendar_uses VALUES ('channel', 'phone', 'line');
INSERT INTO crm.service_targets (what, within, channel) VALUES ('first_response', '1 h', 'phone');
INSERT INTO crm.queues (queue) VALUES ('desk');
INSERT INTO crm.routing_rules (position, queue) VALUES (1, 'desk');
SELECT cardinality(crm.record_many(array_agg((ARRAY[identifier('email', i % 20 || '@a.pt'), identifier('cookie', (i % 30)::text)], timestamptz '2026-01-05Z' + i * interval '5 h',
    (ARRAY['web', 'phone', 'store'])[1 + i % 3], (ARRAY['view', 'call', 'purchase'])[1 + i % 3], i, 'EUR', (ARRAY['in', 'out'])[1 + i % 2], 'c' || i / 4, CASE WHEN i % 2 = 1 THEN 'ana' END,
    NULL, 'log', i::text, NULL, NULL, NULL)::crm.event))) FROM generate_series(1, 200) i;
UPDATE crm.settings SET trait_history = true;
SELECT crm.set_traits('email:1@a.pt', '{"name": "Rui", "city": "Porto"}', 'crm', '2026-01-05Z');
SELECT crm.set_consent('email:1@a.pt', 'news', 'email', 'granted', given_at => '2026-01-05Z');
SELECT crm.create_segment('buyers', '{"pattern": "store.purchase"}');
CREATE TABLE tickets (ticket_id int PRIMARY KEY, at timestamptz, email text, title text);
INSERT INTO tickets SELECT i, '2026-02-01Z', i % 20 || '@a.pt', 'Ticket ' || i FROM generate_series(1, 10) i;
SELECT crm.attach_source('tickets', '{"occurred_at": "at", "channel": "''desk''", "action": "''opened''", "identifiers": {"email": "email"}, "subject": "title"}');
CREATE TABLE records (id int PRIMARY KEY, name text, email text);
INSERT INTO records SELECT i, md5((i / 2)::text), i / 2 || '@a.pt' FROM generate_series(2, 61) i;
SELECT crm.set_match('name', '{name}');
SELECT crm.set_block('{name}');
SELECT crm.set_match('email', '{email}');
SELECT crm.take_match_records('records', 'id', '{name,email}');
SELECT count(*) FROM crm.train_matches();
SELECT crm.refresh();
-- what is not packed yet is read, too
SELECT crm.record('{email:2@a.pt}', '2026-03-01Z', 'web', 'view', source => 'log', source_key => 'late');
SELECT crm.make_next_steps();
UPDATE crm.settings SET access_log = true;
CREATE ROLE looker LOGIN;
SELECT crm.grant_access('looker', 'reader', identifiers => true);
END
my ($customer, $touchpoint, $token) = split /\n/, sql($node, <<'END');
SELECT crm.customer_of('email:1@a.pt');
SELECT min(touchpoint_id) FROM crm.touchpoints;
SELECT crm.portal_token(crm.identity_of('email:1@a.pt'), '1 day');
END

# What functions are called with
my $time = "'2026-02-01Z'::timestamptz";
my @range = ("'2026-01-01Z'::timestamptz", "'2026-12-01Z'::timestamptz");
my $period = join ', ', "'month'", @range;
my %reads = (
	# of one customer
	(   map { ($_ => $customer) }
		  qw(customer_profile_of current_customer identifiers_of timeline_of visits_of sessions_of handoffs_of identifier_values conversations_of replies_of customer_360_of attached_rows
		  export_customer handover next_step consents_of segments_of)
	),
	customer_profile_at => "$customer, $time",
	consent_of => "$customer, 'news', 'email'",
	may_contact => "$customer, 'news', 'email', $time",
	route => "$customer, 'phone', $time",
	in_segment => "'buyers', $customer",
	identity_of => "'email:1\@a.pt'",
	customer_of => "'email:1\@a.pt'",
	customer_at => "'email:1\@a.pt', $time",
	timeline_row => $touchpoint,
	why => "'email:1\@a.pt', 'cookie:1'",
	# of all, by time
	(map { ($_ => join ', ', @range) } qw(timeline_between conversations_between replies_between contacts_between resolutions_between service_clocks_between backlog)),
	(map { ($_ => $period) } qw(attribution return_on_spend conversions flows channel_measures channel_transitions channel_mix omnichannel service_levels breaches report)),
	funnel => "'web.view -> store.purchase', $period",
	conversations_named => "'c3'",
	waiting_now => $range[0],
	# segments, hours, agents, identities, matching
	(map { ($_ => "'buyers'") } qw(segment_members segment_text explain_segment)),
	period_start => "$time, 'month', 'Europe/Lisbon'",
	calendar_hours => "'line'",
	hours_of => "'log', 'phone'",
	business_time => "$range[0], $range[1], 'line'",
	business_time_after => "$time, '3 h', 'line'",
	in_hours => "$time, crm.calendar_hours('line')",
	is_bot => "'bot:x'",
	simulate => "ARRAY[('{email:1\@a.pt,email:2\@a.pt}', $time, 'try', 'x')]::crm.observation[]",
	preview_source => "'tickets', '{\"occurred_at\": \"at\", \"channel\": \"''desk''\", \"action\": \"''opened''\", \"identifiers\": {\"email\": \"email\"}}'::jsonb",
	check_source => "'tickets'",
	match_threshold => '',
	why_match => "'records:2', 'records:3'",
	match_of => "'{\"email\": \"1\@a.pt\"}'",
	apply_retention => 'dry_run => true',
	# without arguments
	(   map { ($_ => '') }
		  qw(agent_bots not_own_actions stitch_check privacy_report unlisted_columns match_fields suggest_matching match_picture my_timeline my_conversations my_profile my_consents my_export access_rights access_functions)
	),
);
# and those that write, and must not run on a standby
my %writes = map { ($_ => 1) } qw(set_traits put_traits drop_traits identify_many identify link record record_many unrecord_many unrecord maintain refresh ingest ingest_many ingest_ndjson retry_rejected
  attach_source resync_source alter_source backfill_source detach_source part retract_many retract must_link cannot_link clear_pair guess_many take_match_records take_match_traits set_block drop_block
  set_match drop_match set_conflict drop_conflict train_matches find_matches accept_matches retract_model cannot_link_many set_rule use_recommended_rules drop_rule set_quarantine_above stitch_all
  assign release create_segment drop_segment take_segment_events set_consents set_consent put_consents drop_consents erase anonymize unsuppress reapply_erasures make_next_steps portal_token revoke_portal_tokens
  correct_my_trait withdraw_my_consent ask_for_erasure set_retention grant_access revoke_access feed work note_access spread);
# These tell what time it is, or how many looks were logged: only how many rows there are can be compared
my %by_the_clock = map { ($_ => 1) } qw(handover export_customer my_export privacy_report breaches report waiting_now backlog open_conversations health work_done service_clocks_between customer_360 customer_360_of);

# internals.md names what is inside
my $root = "$FindBin::RealBin/../..";
my $manual = join "\n", map { slurp_file($_) } "$root/README.md", (grep { !m{/internals\.md$} } glob("$root/doc/*.md")), glob("$root/doc/recipes/*.md");
my %calls;
for (split /\n/, sql($node, q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'crm'::regnamespace AND prorettype <> 'trigger'::regtype ORDER BY 1}))
{
	next if !exists $reads{$_} && $manual !~ /(?<!\w)\Q$_\E[(`]/;
	ok(exists $reads{$_} || $writes{$_}, "$_(): it is told here what it is called with, or that it writes");
	$calls{$_} = "crm.$_($reads{$_})" if exists $reads{$_};
}
for (sort keys %reads) { ok($calls{$_}, "$_() is there") }
is(sql($node, q{SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = 'crm'::regnamespace AND prosrc ~* 'create\s+temp'}), '', 'no function makes temporary tables');

# views, too
for (split /\n/, sql($node, q{SELECT relname FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind IN ('v', 'm') ORDER BY 1}))
{
	$calls{"view $_"} = "crm.$_";
}

my @names = sort keys %calls;
sub answers
{
	my ($server) = @_;
	my $script = "SET timezone = 'UTC'; SET pg_journey_session.token = '$token'; SET pg_journey_session.purpose = 'ticket 7';\n";
	for (@names)
	{
		my $digest = $by_the_clock{ s/^view //r } ? '' : q{, md5(string_agg(r::text, chr(10) ORDER BY r::text))};
		$script .= "SELECT '$_', count(*)$digest FROM $calls{$_} r;\n";
	}
	my (undef, $out, $error) = $server->psql('postgres', $script, on_error_stop => 0, on_error_die => 0);
	my %answer = map { my ($name) = /^(.*?)\|/; ($name // $_ => $_) } split /\n/, $out;
	return (\%answer, $error);
}

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my ($here, $error) = answers($node);
is($error, '', 'everything can be called as it is told here');
$node->wait_for_catchup($standby);
my $offset = -s $standby->logfile;
my ($there, $refused) = answers($standby);
is($refused, '', 'nothing is refused on a standby');
is($there->{$_}, $here->{$_}, "the same there: $_") for @names;

# Looks at one customer are logged: on a standby, and in a transaction that only reads, in the server's log
my $log = PostgreSQL::Test::Utils::slurp_file($standby->logfile, $offset);
for (qw(timeline_of visits_of sessions_of handoffs_of conversations_of replies_of customer_360_of customer_profile_of customer_profile_at identifiers_of export_customer handover))
{
	like($log, qr/LOG:  hub crm: role \w+ \(login \w+\) looks at customer $customer by $_, purpose 'ticket 7'/, "$_ is logged there");
}
my $from = -s $node->logfile;
my $rows = sql($node, 'SELECT count(*) FROM crm.access_log');
is($node->safe_psql('postgres', "BEGIN READ ONLY; SELECT count(*) > 0 FROM crm.timeline_of($customer); COMMIT", extra_params => [ '-U', 'looker' ]), 't', 'a reader reads');
is(sql($node, 'SELECT count(*) FROM crm.access_log'), $rows, 'which leaves no row');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile, $from), qr/LOG:  hub crm: role looker \(login looker\) looks at customer $customer by timeline_of, purpose not told/,
	'but a line of the log');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $from), qr/a\.pt/, 'in which there is no identifier');

# and what writes says that it can't
my ($status, undef, $why) = $standby->psql('postgres', q{SELECT crm.record('{email:1@a.pt}', '2026-03-01Z', 'web', 'view')});
isnt($status, 0, 'record() is refused on a standby');
like($why, qr/cannot execute .* (during recovery|in a read-only transaction)|recovery is in progress/, 'as the server does');
is(crashes($standby), '', 'no process crashed');
$standby->stop('fast');
$node->stop('fast');
done_testing();
