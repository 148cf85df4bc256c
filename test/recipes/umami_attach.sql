SELECT crm.attach_source('umami.session', source => 'umami', part => 'sessions', mapping => $${
    "makes": ["evidence", "traits"], "references": {"umami.session": "session_id"}, "identifiers": {"user_id": "distinct_id"},
    "occurred_at": "created_at", "traits": {"country": "country"}}$$);
SELECT crm.attach_source('umami.session_data', source => 'umami', part => 'data', mapping => $${
    "makes": ["evidence", "traits"], "references": {"umami.session": "session_id"}, "occurred_at": "created_at",
    "identifiers": {"email": "CASE data_key WHEN 'email' THEN string_value END"},
    "traits": {"plan": "CASE data_key WHEN 'plan' THEN string_value END"}}$$);
SELECT crm.attach_source('umami.website_event', source => 'umami', part => 'events', mapping => $${
    "occurred_at": "created_at", "channel": "'web'", "action": "coalesce(event_name, 'page')", "campaign": "utm_campaign",
    "references": {"umami.session": "session_id"}, "lookups": {"site": "website(website_id = website_id)"},
    "subject": "page_title", "url": "'https://' || site.domain || url_path"}$$);
