# Proves what becomes of real payloads: every one of the public examples of Segment, CloudEvents, WhatsApp, Unomi and
# Snowplow goes into a hub, and what is in the hub then was written down here by hand, from reading the payload. The data
# isn't part of the project: PGJ_SHARED_DATA names its folder, ../shared/data beside the repository by default.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use PgJourney;
use POSIX 'strftime';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = ($ENV{PGJ_SHARED_DATA} || "$FindBin::Bin/../../../shared/data") . '/payloads';
plan skip_all => "no payloads in $data (PGJ_SHARED_DATA names the folder above it)" if !-d $data;

my $node = start_server('main');
sql($node, "SELECT journey_create_hub('crm')");

# A payload goes in; then the hub is told in lines: T touchpoints, E evidence, I identifiers, R what is rejected.
# Times of the touchpoints are "now" where the payload has none.
sub outcome
{
    my ($format, $payload) = @_;
    $payload =~ s/'/''/g;
    my $out = sql($node, <<"END");
BEGIN;
SET LOCAL TimeZone = 'UTC';
SELECT FROM crm.ingest('$payload', '$format') \\g /dev/null
SELECT concat_ws(' ', 'T', CASE WHEN occurred_at = now() THEN 'now' ELSE to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS') END,
                 channel || '.' || action || coalesce('=' || value || coalesce(' ' || currency, ''), ''), direction, 'in ' || conversation,
                 'agent ' || agent, 'campaign ' || campaign, 'key ' || source_key)
FROM crm.touchpoints WHERE source = '$format' ORDER BY touchpoint_id;
SELECT 'E ' || cardinality(identities) FROM crm.evidence WHERE source = '$format' ORDER BY source_key;
SELECT 'I ' || string_agg(identifier::text, ' ' ORDER BY identifier::text COLLATE "C") FROM crm.identities HAVING count(*) > 0;
SELECT 'R ' || array_to_string(items, ' ') || ' ' || reason FROM crm.rejected ORDER BY rejected_id;
ROLLBACK;
END
    return $out;
}

# name of the file => lines
my %expected;
sub expects { my ($name, @lines) = @_; $expected{$name} = join "\n", @lines }

# --- Segment: few samples have a time; track calls of the samples say type or action ---

my ($u, $u2) = ('I user_id:019mr8mf4r', 'I user_id:userId');
sub track { my ($name, $what, $who) = @_; expects("segment/$name", "T now $what", $who || $u) }

expects('segment/alias_001', 'E 3', 'I anonymous_id:jen@email.com user_id:507f191e81 user_id:jen@email.com');
track('b2b-saas_003', 'web.Account Created');
track('b2b-saas_005', 'web.Signed Up');
track('b2b-saas_007', 'web.Signed Out');
track('b2b-saas_009', 'web.Account Added User');
track('b2b-saas_011', 'web.Trial Started');
expects('segment/common_013',
    'T 2015-12-10T04:08:31.905 web.Report Submitted campaign TPS Innovation Newsletter key 022bb90c-bbac-11e4-8dfc-aa07a5b093db', 'E 2',
    'I anonymous_id:507f191e810c19729de860ea user_id:97980cfea0067');
track('copilot_015', 'web.Message Sent in in 1238041hdou', 'I user_id:123');
track('copilot_017', 'web.Conversation Ended in 1238041hdou', 'I user_id:123');
track('copilot_019', 'web.Media Generated in 1238041hdou', 'I user_id:123');
track('copilot_021', 'web.Feedback Submitted in 1238041hdou', 'I user_id:123');
for ([ 'email_023', 'Email Bounced', 'pgibbons@example.com' ], [ 'email_025', 'Email Link Clicked', 'joanna@chotchkies.com' ],
    [ 'email_027', 'Email Opened', 'pgibbons@example.com' ])
{
    my ($name, $event, $email) = @$_;
    expects("segment/$name", "T now email.$event campaign New Customer Discount", 'E 2', "I email:$email user_id:019mr8mf4r");
}
expects('segment/group_029', 'R  no identifier of a customer');
expects('segment/identify_031', 'E 2', 'I email:peter@example.com user_id:97980cfea0067');
track('index_071', 'web.Viewed Product Category');
track('index_073', 'web.Added Product');
track('index_075', 'web.Order Completed=25.0 USD');
track('live-chat_034', 'chat.Live Chat Message Sent in in abd627dbecffc');
track('mobile_036', 'app.Application Installed');
track('mobile_038', 'app.Application Backgrounded');
track('mobile_040', 'app.Application Updated');
track('mobile_042', 'app.Application Crashed');
track('mobile_044', 'push.Push Notification Received out campaign Referral Flow');
track('mobile_046', 'push.Push Notification Bounced campaign Referral Flow');
track('mobile_048', 'app.Deep Link Clicked');
expects('segment/page_050', 'T 2015-02-23T22:28:55.111 web.page key 022bb90c-bbac-11e4-8dfc-aa07a5b093db', 'E 2',
    'I anonymous_id:507f191e810c19729de860ea user_id:97980cfea0067');
expects('segment/track_052', 'R  no identifier of a customer');
# receivedAt 01.266 - (sentAt 01.169 - originalTimestamp 01.152)
expects('segment/track_054', 'T 2015-12-12T19:11:01.249 web.Button Clicked key ajs-f8ca1e4de5024d9430b3928bd8ac6b96', 'E 2',
    'I anonymous_id:23adfd82-aa0f-45a7-a756-24f2a7a4c895 user_id:AiUGstSDIg');
track('video_056', 'web.Video Playback Paused', $u2);
track('video_058', 'web.Video Playback Buffer Started', $u2);
track('video_060', 'web.Video Playback Seek Started', $u2);
track('video_062', 'web.Video Playback Resumed', $u2);
track('video_064', 'web.Video Playback Exited', $u2);
track('video_066', 'web.Video Content Playing', $u2);
track('video_068', 'web.Video Ad Started', $u2);
track('video_070', 'web.Video Ad Completed', $u2);

# --- CloudEvents: none of the samples says who the customer is, and one file is a schema ---

expects("cloudevents/$_", 'R  no identifier of a customer')
  for qw(correlation_24 correlation_26 correlation_28 correlation_30 dataref_22 json-format_02 json-format_04 json-format_06 spec_08
  verifiability_10 verifiability_12 verifiability_14 verifiability_16 verifiability_18 verifiability_20);
expects('cloudevents/cloudevents.schema', 'R  no rule of the format fits');

# --- WhatsApp: a file holds several webhooks by name ---

my $ana = 'I phone:+972987654321 whatsapp:US.13491208655302741918 whatsapp_parent:US.ENT.11815799212886844830';
my $thread = 'in whatsapp:1122334455667';
sub at { return strftime('%Y-%m-%dT%H:%M:%S.000', gmtime $_[0]) }
sub message
{
    my ($name, $time, $action, $rest) = @_;
    expects("whatsapp/$name", 'T ' . at($time) . " whatsapp.$action in $thread $rest", 'E 3', $ana);
}

message("message/$_->[0]", $_->[1], 'message', 'key wamid.xyzxyz')
  for [ 'text', 1697043223 ], [ 'image', 1697043379 ], [ 'media_with_url', 1697043379 ], [ 'video', 1697044362 ],
  [ 'document', 1697043666 ], [ 'audio', 1697043509 ], [ 'voice', 1697043473 ], [ 'static_sticker', 1697043760 ],
  [ 'animated_sticker', 1697043785 ], [ 'current_location', 1697044557 ], [ 'chosen_location', 1697044557 ], [ 'contacts', 1697044621 ],
  [ 'unsupported', 1697044706 ], [ 'unsupported_with_type', 1697044706 ], [ 'reply', 1697044746 ], [ 'forwarded', 1697044815 ],
  [ 'forwarded_many_times', 1697044968 ];
message("message/$_", 1697044456, 'reaction', 'key wamid.xyzxyz') for qw(reaction unreaction_empty unreaction_no_emoji);
message('message/order', 1697044668, 'order', 'key wamid.xyzxyz');
message('message/interactive_message_with_err', 1700505494, 'message', 'key wamid.wegrchytvwcggt=');
message('message/referral', 1697045000, 'message', 'campaign ADID key wamid.ID');
message("callback_selection/$_", 1698266905, 'reply', 'key wamid.zyzxyz') for qw(callback description);
message("call_permission_update/$_", 1752582182, 'call_permission', 'key wamid.x') for qw(accept reject);
# the contact of these three is not whom they are of
expects('whatsapp/edited_message/image', 'T ' . at(1749854575) . ' whatsapp.message_edited in in whatsapp:106540352242922 '
      . 'key wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQUFERjg0NDEzNDdFODU3MUMxMAA=', 'I phone:+16505551234');
expects("whatsapp/user_marketing_preferences/$_", 'T ' . at(1731705721)
      . " whatsapp.marketing_messages_$_ key 16505551234 marketing_messages $_ 1731705721", 'I phone:+16505551234') for qw(resume signup);
expects('whatsapp/call_terminate/call_terminate', 'T ' . at(1671644824)
      . ' whatsapp.call_terminate in whatsapp call:wacid.ABGGFjFVU2AfAgo6V-Hc5eCgK5Gh key wacid.ABGGFjFVU2AfAgo6V-Hc5eCgK5Gh terminate',
    'I phone:+16315553601');
# an echo is of whom it is to, whatever the sample may mean
expects('whatsapp/outgoing_message/text', 'T ' . at(1697043223)
      . ' whatsapp.message out in whatsapp:1122334455667 key <WHATSAPP_MESSAGE_ID>', 'E 3',
    'I phone:+<WHATSAPP_USER_PHONE_NUMBER> whatsapp:<BSUID> whatsapp_parent:<PARENT_BSUID>');
my %deed = (delete => 'message_deleted', edit => 'message_edited');
expects("whatsapp/outgoing_message/$_", 'T ' . at(1697044968) . " whatsapp.$deed{$_} out in whatsapp:1122334455667 key wamid.yyyyyy",
    'I phone:+972123456789') for keys %deed;
expects("whatsapp/$_", 'R /entry/0/changes/0 about the business account, not a customer')
  for 'template_category_update/marketing', 'template_quality_update/yellow', map { "account_update/$_" }
  qw(account_deleted account_restriction account_violation ad_account_linked authentication_international_eligibility account_disabled
  mm_api_for_wa_terms_of_service partner_added partner_app_installed partner_app_uninstalled partner_led_business_verification_status
  partner_removed partner_removed_wa_app_disconnection primary_business_location_set pricing_tiering_update account_offboarded
  account_reconnected);

# --- Unomi: events, requests, answers, profiles, and definitions of rules and segments ---

sub unomi { my ($name, @lines) = @_; expects("unomi/$name", @lines) }
unomi('builtin-event-types_01', 'T 2020-01-30T21:18:28.000 web.login key 0b8825a6-efb8-41a6-bea5-d745b33c94cb', 'E 3',
    'I unomi_profile:f7d1f1b9-4415-4ff1-8fee-407b109364f7 unomi_session:7b8a5f17-cdb0-4c14-b676-34c1c0de0825 '
      . 'user_id:13054a95-092d-4d7b-81f5-e4656c2ebc88');
unomi('builtin-event-types_03', 'T 2020-01-30T21:41:22.000 web.form key 44177ffe-b5c8-4575-a8e5-f8aa0d4ee792', 'E 2',
    'I unomi_profile:bc1e1238-a9ac-4b3a-8f63-5eec205cfcd5 unomi_session:be416c08-8b9b-4611-990f-3a8bf3ed4e68');
unomi('builtin-event-types_05', 'E 3',
    'I unomi_profile:temp_023ded50-bb43-4fe2-acbc-13bfa8de16de unomi_session:928d9237-fb3d-4e53-cbee-1aeb1df7f03a user_id:null');
unomi('builtin-event-types_07', 'T 2017-05-29T23:49:16.000 web.goal key 9fa70519-382d-412b-82ea-99b5989fbd0d', 'E 2',
    'I unomi_profile:3ec46b2c-fbaa-42d5-99df-54199c807fc8 unomi_session:42bd3fde-5fe9-4df6-8ae6-8550b8b06a7f');
unomi($_, 'R  a definition, not an event')
  for qw(configuration_09 datamodel_50 request-examples_20 writing-plugins_24 past-event-conditions_28 past-event-conditions_30
  past-event-conditions_32 past-event-conditions_34 past-event-conditions_36 past-event-conditions_38 past-event-conditions_40
  past-event-conditions_42 past-event-conditions_44);
unomi('consent-api_46', 'R /events/0 no identifier of a customer');
unomi('datamodel_48', 'E 3', 'I email:bill@acme.com phone:+1-123-555-12345 unomi_profile:f7d1f1b9-4415-4ff1-8fee-407b109364f7');
unomi('event-flattened-valid', 'R  no identifier of a customer');
unomi('event-view', 'R  invalid JSON: expected a value at byte 545, near "###REFERRING_URL###,..."');
unomi("how-profile-tracking-works_$_->[0]", 'E 2', "I unomi_profile:$_->[1] unomi_session:$_->[2]")
  for [ 11, 'a1b2c3d4-e5f6-7890-abcd-ef1234567890', '1234' ], [ 13, 'a1b2c3d4-e5f6-7890-abcd-ef1234567890', '1234' ],
  [ 15, '7f8e9d0c-1b2a-3456-7890-abcdef123456', 'visitor-123' ];
unomi('request-examples_18', 'T now web.view', 'I unomi_session:1234');
unomi('request-examples_22', 'R  no rule of the format fits');
unomi('updating-events_26', 'R /events/0 no identifier of a customer');

# --- Snowplow ---

expects('snowplow_enriched_event', 'T 2013-11-26T00:03:57.886 web.link_click key c6ef3124-b53a-4b13-a233-0088f79dcbcb', 'E 3',
    'I domain_userid:bc2e92ec6c204a14 network_userid:ecdff4d0-9175-40ac-a8bb-325c49733607 user_id:jon.doe@email.com');

# --- all of them ---

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %given;
for my $path (glob("$data/*.json"), glob("$data/*/*.json"))
{
    my ($name) = $path =~ m{^\Q$data\E/(.*)\.json$};
    my ($format) = $name =~ /^([a-z]+)/;
    my $text = slurp_file($path);
    if ($format eq 'whatsapp')
    {
        my $webhooks = $json->decode($text);
        $given{"$name/$_"} = [ $format, $json->encode($webhooks->{$_}) ] for keys %$webhooks;
    }
    else
    {
        $given{$name} = [ $format, $text ];
    }
}
is_deeply([ sort keys %expected ], [ sort keys %given ], 'every payload there is has an end written down here');
for my $name (sort keys %given)
{
    is(outcome(@{ $given{$name} }), $expected{$name}, $name);
}

# all at once, and again: the same keys are the same events, and what has none comes twice
my %counts;
for my $format (sort { $a cmp $b } keys %{ { map { $_->[0] => 1 } values %given } })
{
    my $payloads = join ', ', map { s/'/''/gr =~ s/^(.*)$/'$1'/sr } map { $_->[1] } grep { $_->[0] eq $format } map { $given{$_} } sort keys %given;
    my ($first, $second) =
      split /\n/, sql($node, "SELECT * FROM crm.ingest_many(ARRAY[$payloads], '$format'); SELECT * FROM crm.ingest_many(ARRAY[$payloads], '$format')");
    $counts{$format} = "$first; $second";
}
is_deeply(
    \%counts,
    {
        cloudevents => '0|0|0|16; 0|0|0|16',
        segment => '33|0|2|3; 31|2|2|3',
        snowplow => '1|0|0|0; 0|1|0|0',
        unomi => '4|0|5|18; 1|3|5|18',
        whatsapp => '11|3|0|39; 0|14|0|39',
    },
    'touchpoints, duplicates, evidence, rejected: of all at once, and of all again');
is(sql($node, 'SELECT count(*) FROM crm.stitch_check()'), 0, 'stitch_check');

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
