SELECT crm.attach_source('zammad.users', source => 'zammad', part => 'users', mapping => $${
    "makes": ["evidence", "traits"], "evidence_where": "id > 1 AND email NOT LIKE '%@shop.example'", "occurred_at": "created_at AT TIME ZONE 'UTC'",
    "references": {"zammad.user": "id"}, "identifiers": {"email": "email", "phone": "ARRAY[mobile, phone]"},
    "traits": {"name": "trim(firstname || ' ' || lastname)", "city": "city"}, "traits_at": "updated_at AT TIME ZONE 'UTC'"}$$);
SELECT crm.attach_source('zammad.tickets', source => 'zammad', part => 'tickets', mapping => $${
    "makes": "evidence", "references": {"zammad.ticket": "id", "zammad.user": "customer_id"}, "conversation": "id",
    "occurred_at": "created_at AT TIME ZONE 'UTC'", "channel": "'support'", "agent": "owner.login",
    "lookups": {"owner": "users(id = nullif(owner_id, 1))"}, "on_change": {"column": "state_id", "initially": {"4": "closed"},
        "at": "updated_at AT TIME ZONE 'UTC'", "actions": {"2": "conversation_opened", "4": "closed", "5": "closed"}}}$$);
SELECT crm.attach_source('zammad.ticket_articles', source => 'zammad', part => 'articles', mapping => $${
    "occurred_at": "created_at AT TIME ZONE 'UTC'", "action": "'message'", "conversation": "ticket_id",
    "channel": {"case": "type.name", "email": "email", "phone": "phone", "chat": "chat", "sms": "sms", "else": "support"},
    "references": {"zammad.ticket": "ticket_id"}, "direction": {"case": "sender.name", "Customer": "in", "else": "out"},
    "lookups": {"ticket": "tickets(id = ticket_id)", "type": {"table": "ticket_article_types(id = type_id)", "fixed": true},
                "sender": "ticket_article_senders(id = sender_id)", "author": "users(id = created_by_id)"},
    "agent": "CASE sender.name WHEN 'Agent' THEN author.login WHEN 'System' THEN 'bot' END", "where": "NOT internal AND body <> 'merged'",
    "on_change": {"column": "ticket_id", "at": "updated_at AT TIME ZONE 'UTC'", "direction": "NULL",
                  "action": "CASE WHEN ticket.state_id = 4 AND ticket.last_close_at < updated_at THEN 'closed' END"},
    "subject": "ticket.title", "url": "'https://help.shop.example/#ticket/zoom/' || ticket_id"}$$);
