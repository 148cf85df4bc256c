-- What Listmonk writes while the hub is attached
SET search_path = listmonk;

-- Ana subscribes, and confirms: the status is overwritten
WITH sub AS (
    INSERT INTO subscribers (uuid, email, name, attribs, created_at, updated_at)
    VALUES ('c0000000-0000-0000-0000-000000000002', 'ana@example.pt', 'Ana R.', '{"city": "Porto", "likes": ["lamps"]}', '2025-02-01 10:00Z', '2025-02-01 10:00Z')
    RETURNING id
)
INSERT INTO subscriber_lists (subscriber_id, list_id, status, created_at, updated_at)
SELECT id, 1, 'unconfirmed', '2025-02-01 10:00Z', '2025-02-01 10:00Z' FROM sub
ON CONFLICT (subscriber_id, list_id) DO UPDATE SET status = EXCLUDED.status, updated_at = EXCLUDED.updated_at;
UPDATE subscriber_lists SET status = 'confirmed', updated_at = '2025-02-01 10:05Z' WHERE subscriber_id = 2 AND list_id = 1;
INSERT INTO campaigns (uuid, name, subject, from_email, body, status, messenger, started_at, created_at, updated_at) VALUES
    ('b0000000-0000-0000-0000-000000000002', 'february', 'Lamps, 20 % off', 'Shop <news@shop.example>', '<p>…</p>', 'running', 'email',
     '2025-02-02 08:00Z', '2025-02-01 08:00Z', '2025-02-02 08:00Z');
INSERT INTO campaign_views (campaign_id, subscriber_id, created_at) VALUES (2, 2, '2025-02-02 08:15Z');
INSERT INTO link_clicks (campaign_id, link_id, subscriber_id, created_at) VALUES (2, 1, 2, '2025-02-02 08:16Z');
-- the campaign's name is corrected afterwards: a lookup
UPDATE campaigns SET name = 'february sale', sent = 2, updated_at = '2025-02-02 09:00Z' WHERE id = 2;
-- Rui's mailbox is full; he has enough
INSERT INTO bounces (subscriber_id, campaign_id, type, source, created_at) VALUES (1, 2, 'soft', 'pop', '2025-02-02 08:20Z');
UPDATE subscriber_lists SET status = 'unsubscribed', updated_at = '2025-02-03 12:00Z' WHERE subscriber_id = 1 AND list_id = 1;
UPDATE subscribers SET attribs = attribs || '{"city": "Guimarães"}', updated_at = '2025-02-03 12:00Z' WHERE id = 1;
-- A subscriber wants to be forgotten: his lists and bounces go, his views lose him
INSERT INTO subscribers (uuid, email, name, created_at, updated_at)
VALUES ('c0000000-0000-0000-0000-000000000003', 'leo@example.pt', 'Leo', '2025-02-02 08:00Z', '2025-02-02 08:00Z');
INSERT INTO subscriber_lists (subscriber_id, list_id, status, created_at, updated_at) VALUES (3, 1, 'confirmed', '2025-02-02 08:00Z', '2025-02-02 08:00Z');
INSERT INTO campaign_views (campaign_id, subscriber_id, created_at) VALUES (2, 3, '2025-02-02 08:25Z');
DELETE FROM subscribers WHERE id = 3;
RESET search_path;
