-- What Umami writes while the hub is attached
SET search_path = umami;

INSERT INTO website_event (event_id, website_id, session_id, visit_id, created_at, url_path, url_query, utm_campaign, page_title)
VALUES ('30000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001',
        '40000000-0000-4000-8000-000000000001', '2025-02-01 09:02Z', '/lamps', 'utm_campaign=february', 'february', 'Lamps');
INSERT INTO website_event (event_id, website_id, session_id, visit_id, created_at, url_path, page_title, event_type, event_name)
VALUES ('30000000-0000-4000-8000-000000000003', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001',
        '40000000-0000-4000-8000-000000000001', '2025-02-01 09:03Z', '/lamps', 'Lamps', 2, 'add_to_cart');
-- She signs in on her phone: identify() makes a session of her own, and says who she is, key by key; a key that is there is updated
INSERT INTO session (session_id, website_id, browser, os, device, country, distinct_id, created_at)
VALUES ('20000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001', 'ios', 'iOS', 'mobile', 'PT', 'ana@example.pt', '2025-02-02 20:00Z')
ON CONFLICT DO NOTHING;
INSERT INTO session_data (session_data_id, website_id, session_id, data_key, string_value, data_type, distinct_id, created_at) VALUES
    ('50000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000002', 'email', 'ana@example.pt', 1, 'ana@example.pt', '2025-02-02 20:00Z'),
    ('50000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000002', 'plan', 'basic', 1, 'ana@example.pt', '2025-02-02 20:00Z');
UPDATE session_data SET string_value = 'premium', created_at = '2025-02-03 20:00Z' WHERE session_id = '20000000-0000-4000-8000-000000000002' AND data_key = 'plan';
INSERT INTO website_event (event_id, website_id, session_id, visit_id, created_at, url_path, page_title)
VALUES ('30000000-0000-4000-8000-000000000004', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000002',
        '40000000-0000-4000-8000-000000000002', '2025-02-02 20:01Z', '/account', 'Your account');
-- The first session, too, tells who it is in the end, and so all of it is hers
INSERT INTO session_data (session_data_id, website_id, session_id, data_key, string_value, data_type, created_at)
VALUES ('50000000-0000-4000-8000-000000000003', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'email', 'Ana@example.pt', 1, '2025-02-04 08:00Z');
RESET search_path;
