-- What Zammad writes while the hub is attached
SET search_path = zammad;

-- An e-mail of somebody new: the user, the ticket and the article in one transaction; then the ticket is written again
BEGIN;
INSERT INTO users (login, firstname, email, updated_by_id, created_by_id, created_at, updated_at)
VALUES ('ana@example.pt', 'Ana', 'ana@example.pt', 1, 1, '2025-02-03 09:00', '2025-02-03 09:00');
INSERT INTO roles_users VALUES (4, 3);
INSERT INTO tickets (group_id, priority_id, state_id, number, title, owner_id, customer_id, updated_by_id, created_by_id, created_at, updated_at)
VALUES (1, 2, 1, '31002', 'Lamp', 1, 4, 4, 4, '2025-02-03 09:00', '2025-02-03 09:00');
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, "from", "to", subject, body, updated_by_id, created_by_id, created_at, updated_at)
VALUES (2, 1, 2, 'Ana <ana@example.pt>', 'help@shop.example', 'Lamp', 'It is broken.', 4, 4, '2025-02-03 09:00', '2025-02-03 09:00');
UPDATE tickets SET article_count = 1, last_contact_at = '2025-02-03 09:00', updated_at = '2025-02-03 09:00:01' WHERE id = 2;
COMMIT;
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, "from", subject, body, updated_by_id, created_by_id, created_at, updated_at)
VALUES (2, 1, 3, 'Help', 'Lamp', 'Thank you, we have received your message.', 1, 1, '2025-02-03 09:00:05', '2025-02-03 09:00:05');
UPDATE tickets SET owner_id = 2, state_id = 2, updated_by_id = 2, updated_at = '2025-02-03 09:30' WHERE id = 2;
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, body, internal, updated_by_id, created_by_id, created_at, updated_at)
VALUES (2, 10, 1, 'ask the store', true, 2, 2, '2025-02-03 09:31', '2025-02-03 09:31');
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, "from", "to", subject, body, updated_by_id, created_by_id, created_at, updated_at)
VALUES (2, 1, 1, 'Rita Alves via Help', 'ana@example.pt', 'Re: Lamp', 'We send another.', 2, 2, '2025-02-03 10:00', '2025-02-03 10:00');
UPDATE tickets SET state_id = 4, close_at = '2025-02-03 10:05', last_close_at = '2025-02-03 10:05', article_count = 4, updated_by_id = 2, updated_at = '2025-02-03 10:05' WHERE id = 2;
-- She answers, which opens it
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, "from", "to", subject, body, updated_by_id, created_by_id, created_at, updated_at)
VALUES (2, 1, 2, 'Ana <ana@example.pt>', 'help@shop.example', 'Re: Lamp', 'Nothing came.', 4, 4, '2025-02-07 09:00', '2025-02-07 09:00');
UPDATE tickets SET state_id = 2, updated_at = '2025-02-07 09:00:01' WHERE id = 2;
-- A call, written down by an agent for the customer; its ticket is merged into the other, which is closed once more
INSERT INTO tickets (group_id, priority_id, state_id, number, title, owner_id, customer_id, updated_by_id, created_by_id, created_at, updated_at)
VALUES (1, 2, 2, '31003', 'Lamp again', 2, 4, 2, 2, '2025-02-08 10:00', '2025-02-08 10:00');
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, body, origin_by_id, updated_by_id, created_by_id, created_at, updated_at)
VALUES (3, 5, 2, 'Calls: it came, thanks.', 4, 2, 2, '2025-02-08 10:00', '2025-02-08 10:00');
BEGIN;
UPDATE ticket_articles SET updated_at = '2025-02-08 10:10' WHERE ticket_id = 3;
UPDATE ticket_articles SET ticket_id = 2 WHERE ticket_id = 3;
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, body, updated_by_id, created_by_id, created_at, updated_at)
VALUES (3, 10, 1, 'merged', 2, 2, '2025-02-08 10:10', '2025-02-08 10:10');
UPDATE tickets SET state_id = 5, owner_id = 1, updated_at = '2025-02-08 10:10' WHERE id = 3;
COMMIT;
UPDATE tickets SET state_id = 4, last_close_at = '2025-02-08 10:20', updated_at = '2025-02-08 10:20' WHERE id = 2;
-- She writes again, in a new mail, which makes a ticket; it is merged into the closed one, which stays closed
INSERT INTO tickets (group_id, priority_id, state_id, number, title, owner_id, customer_id, updated_by_id, created_by_id, created_at, updated_at)
VALUES (1, 2, 1, '31004', 'Thank you', 1, 4, 4, 4, '2025-02-08 11:00', '2025-02-08 11:00');
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, "from", "to", subject, body, updated_by_id, created_by_id, created_at, updated_at)
VALUES (4, 1, 2, 'Ana <ana@example.pt>', 'help@shop.example', 'Thank you', 'It shines.', 4, 4, '2025-02-08 11:00', '2025-02-08 11:00');
UPDATE tickets SET owner_id = 2, state_id = 2, updated_by_id = 2, updated_at = '2025-02-08 11:05' WHERE id = 4;
BEGIN;
UPDATE ticket_articles SET updated_at = '2025-02-08 11:10' WHERE ticket_id = 4;
UPDATE ticket_articles SET ticket_id = 2 WHERE ticket_id = 4;
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, body, updated_by_id, created_by_id, created_at, updated_at)
VALUES (4, 10, 1, 'merged', 2, 2, '2025-02-08 11:10', '2025-02-08 11:10');
UPDATE tickets SET state_id = 5, owner_id = 1, updated_by_id = 2, updated_at = '2025-02-08 11:10' WHERE id = 4;
UPDATE tickets SET updated_at = '2025-02-08 11:10' WHERE id = 2;
COMMIT;
-- A ticket was opened for the wrong customer, and closed; then it is given to the right one
INSERT INTO tickets (group_id, priority_id, state_id, number, title, owner_id, customer_id, updated_by_id, created_by_id, created_at, updated_at)
VALUES (1, 2, 2, '31005', 'Refund', 2, 3, 2, 2, '2025-02-09 10:00', '2025-02-09 10:00');
UPDATE tickets SET state_id = 4, close_at = '2025-02-09 10:30', last_close_at = '2025-02-09 10:30', updated_at = '2025-02-09 10:30' WHERE id = 5;
UPDATE tickets SET customer_id = 4, updated_at = '2025-02-09 10:40' WHERE id = 5;
UPDATE users SET lastname = 'Ribeiro', mobile = '912 345 678', city = 'Porto', updated_by_id = 2, updated_at = '2025-02-08 10:15' WHERE id = 4;
RESET search_path;
