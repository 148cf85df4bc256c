SELECT crm.attach_source('umami.session', '{"makes": ["evidence", "traits"], "references": {"umami.session": "session_id"}, "identifiers": {"email": "CASE WHEN distinct_id LIKE ''%@%'' THEN distinct_id END"},
    "traits": {"country": "country", "device": "device"}, "occurred_at": "created_at", "traits_at": "created_at"}', source => 'umami', part => 'sessions');
SELECT crm.attach_source('umami.session_data', '{"makes": ["evidence", "traits"], "references": {"umami.session": "session_id"}, "identifiers": {"email": "CASE data_key WHEN ''email'' THEN string_value END"},
    "traits": "jsonb_build_object(data_key, coalesce(to_jsonb(number_value), to_jsonb(date_value), to_jsonb(string_value)))", "traits_at": "created_at"}', source => 'umami', part => 'data');
SELECT crm.attach_source('umami.website_event', '{"occurred_at": "created_at", "channel": "''web''", "action": "coalesce(event_name, ''page'')", "references": {"umami.session": "session_id"},
    "lookups": {"site": "website(website_id = website_id)"}, "campaign": "utm_campaign", "subject": "page_title", "url": "''https://'' || site.domain || url_path"}', source => 'umami', part => 'events');
