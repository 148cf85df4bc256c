SELECT crm.attach_source('listmonk.subscribers', '{"makes": ["evidence", "traits"], "references": {"listmonk.subscriber": "id"}, "identifiers": {"email": "email"},
    "traits": "attribs || jsonb_build_object(''name'', name)", "traits_at": "updated_at"}', source => 'listmonk', part => 'subscribers');
SELECT crm.attach_source('listmonk.subscriber_lists', '{"occurred_at": "created_at", "channel": "''email''", "action": "''subscribed''", "references": {"listmonk.subscriber": "subscriber_id"},
    "lookups": {"list": "lists(id = list_id)"}, "subject": "list.name",
    "on_change": {"column": "status", "at": "updated_at", "actions": {"confirmed": "confirmed", "unsubscribed": "unsubscribed"}}}', source => 'listmonk', part => 'lists');
SELECT crm.attach_source('listmonk.campaign_views', '{"occurred_at": "created_at", "channel": "''email''", "action": "''opened''", "references": {"listmonk.subscriber": "subscriber_id"},
    "lookups": {"c": "campaigns(id = campaign_id)"}, "campaign": "c.name", "subject": "c.subject", "where": "subscriber_id IS NOT NULL"}', source => 'listmonk', part => 'views');
SELECT crm.attach_source('listmonk.link_clicks', '{"occurred_at": "created_at", "channel": "''email''", "action": "''clicked''", "references": {"listmonk.subscriber": "subscriber_id"},
    "lookups": {"c": "campaigns(id = campaign_id)", "link": "links(id = link_id)"}, "campaign": "c.name", "subject": "c.subject", "url": "link.url", "where": "subscriber_id IS NOT NULL"}',
    source => 'listmonk', part => 'clicks');
SELECT crm.attach_source('listmonk.bounces', '{"occurred_at": "created_at", "channel": "''email''", "action": "''bounced''", "references": {"listmonk.subscriber": "subscriber_id"},
    "attributes": "jsonb_build_object(''type'', type)"}', source => 'listmonk', part => 'bounces');
