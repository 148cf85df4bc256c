SELECT crm.attach_source('listmonk.subscribers', source => 'listmonk', part => 'subscribers', mapping => $${
    "makes": ["evidence", "traits"], "references": {"listmonk.subscriber": "id"}, "identifiers": {"email": "email"},
    "traits": {"name": "name", "city": "attribs ->> 'city'"}, "occurred_at": "created_at", "traits_at": "updated_at"}$$);
SELECT crm.attach_source('listmonk.subscriber_lists', source => 'listmonk', part => 'lists', mapping => $${
    "occurred_at": "created_at", "channel": "'email'", "action": "'subscribed'", "subject": "list.name",
    "references": {"listmonk.subscriber": "subscriber_id"}, "lookups": {"list": "lists(id = list_id)"},
    "on_change": {"column": "status", "at": "updated_at", "actions": {"confirmed": "confirmed", "unsubscribed": "left"}}}$$);
SELECT crm.attach_source('listmonk.campaign_views', source => 'listmonk', part => 'views', mapping => $${
    "occurred_at": "created_at", "channel": "'email'", "action": "'opened'", "where": "subscriber_id IS NOT NULL",
    "references": {"listmonk.subscriber": "subscriber_id"}, "lookups": {"sent": "campaigns(id = campaign_id)"},
    "campaign": "sent.name", "subject": "sent.subject"}$$);
SELECT crm.attach_source('listmonk.link_clicks', source => 'listmonk', part => 'clicks', mapping => $${
    "occurred_at": "created_at", "channel": "'email'", "action": "'clicked'", "where": "subscriber_id IS NOT NULL",
    "references": {"listmonk.subscriber": "subscriber_id"}, "campaign": "sent.name", "subject": "sent.subject",
    "lookups": {"sent": "campaigns(id = campaign_id)", "link": "links(id = link_id)"}, "url": "link.url"}$$);
