SELECT crm.attach_source('zammad.users', '{"makes": ["evidence", "traits"], "references": {"zammad.user": "id"}, "identifiers": {"email": "email", "mobile": "mobile", "phone": "phone"},
    "traits": {"name": "nullif(concat_ws('' '', nullif(firstname, ''''), nullif(lastname, '''')), '''')", "city": "nullif(city, '''')", "vip": "vip"},
    "traits_at": "updated_at AT TIME ZONE ''UTC''", "evidence_where": "id > 1 AND email NOT LIKE ''%@shop.example''"}', source => 'zammad', part => 'users');
SELECT crm.attach_source('zammad.tickets', '{"makes": "evidence", "channel": "''support''", "conversation": "id", "references": {"zammad.ticket": "id", "zammad.user": "customer_id"},
    "lookups": {"owner": "users(id = nullif(owner_id, 1))"}, "agent": "concat_ws('' '', owner.firstname, owner.lastname)", "subject": "title",
    "url": "''https://help.shop.example/#ticket/zoom/'' || id", "on_change": {"column": "state_id", "at": "updated_at AT TIME ZONE ''UTC''",
        "initially": {"4": "closed", "5": "closed"}, "actions": {"4": "closed", "5": "closed", "4>2": "reopened"}}}', source => 'zammad', part => 'tickets');
SELECT crm.attach_source('zammad.ticket_articles', '{"occurred_at": "created_at AT TIME ZONE ''UTC''", "action": "''message''", "conversation": "ticket_id", "references": {"zammad.ticket": "ticket_id"},
    "lookups": {"type": {"table": "ticket_article_types(id = type_id)", "fixed": true}, "sender": {"table": "ticket_article_senders(id = sender_id)", "fixed": true},
                "ticket": "tickets(id = ticket_id)", "author": "users(id = created_by_id)"},
    "channel": {"case": "type.name", "email": "email", "phone": "phone", "chat": "chat", "web": "web", "sms": "sms", "else": "support"}, "direction": {"case": "sender.name", "Customer": "in", "else": "out"},
    "agent": "CASE sender.name WHEN ''Agent'' THEN concat_ws('' '', author.firstname, author.lastname) WHEN ''System'' THEN ''bot'' END",
    "subject": "coalesce(subject, ticket.title)", "where": "NOT internal", "url": "''https://help.shop.example/#ticket/zoom/'' || ticket_id"}', source => 'zammad', part => 'articles');
