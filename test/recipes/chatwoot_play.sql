-- What Chatwoot writes while the hub is attached, statement by statement
SET search_path = chatwoot;

-- The visitor writes; a bot answers; she tells her e-mail address and number; the bot hands over
BEGIN;
INSERT INTO conversations (account_id, inbox_id, status, contact_id, display_id, contact_inbox_id, created_at, updated_at, last_activity_at)
VALUES (1, 1, 2, 2, 2, 2, '2025-02-03 09:00', '2025-02-03 09:00', '2025-02-03 09:00');
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
VALUES ('Is the lamp in stock?', 1, 1, 2, 0, 'Contact', 2, '2025-02-03 09:00', '2025-02-03 09:00');
UPDATE conversations SET last_activity_at = '2025-02-03 09:00', updated_at = '2025-02-03 09:00:00.1', waiting_since = '2025-02-03 09:00' WHERE id = 2;
COMMIT;
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
VALUES ('Hello! May I have your e-mail address?', 1, 1, 2, 1, 'AgentBot', 1, '2025-02-03 09:00:02', '2025-02-03 09:00:02');
UPDATE messages SET status = 1, updated_at = '2025-02-03 09:00:03' WHERE id = 6;
UPDATE contacts SET name = 'Ana', email = 'Ana@Example.PT', phone_number = '+351912345678', updated_at = '2025-02-03 09:02',
                    additional_attributes = '{"city": "Porto", "country": "Portugal"}' WHERE id = 2;
UPDATE contacts SET last_activity_at = '2025-02-03 09:02', updated_at = '2025-02-03 09:02:01' WHERE id = 2;
UPDATE conversations SET status = 0, updated_at = '2025-02-03 09:03' WHERE id = 2;
-- An agent takes it, notes something for colleagues, and answers. A delivery report overwrites the message's status
UPDATE conversations SET assignee_id = 2, updated_at = '2025-02-03 09:10' WHERE id = 2;
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, created_at, updated_at)
VALUES ('Conversation was assigned to Marta Silva', 1, 1, 2, 2, '2025-02-03 09:10', '2025-02-03 09:10');
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, private, sender_type, sender_id, created_at, updated_at)
VALUES ('good customer, be nice', 1, 1, 2, 1, true, 'User', 2, '2025-02-03 09:11', '2025-02-03 09:11');
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
VALUES ('It is, two of them.', 1, 1, 2, 1, 'User', 2, '2025-02-03 09:12', '2025-02-03 09:12');
UPDATE messages SET status = 2, updated_at = '2025-02-03 09:13' WHERE id = 9;
UPDATE conversations SET first_reply_created_at = '2025-02-03 09:12', waiting_since = NULL, last_activity_at = '2025-02-03 09:12',
                         updated_at = '2025-02-03 09:12:00.2' WHERE id = 2;
UPDATE conversations SET status = 1, updated_at = '2025-02-03 09:20' WHERE id = 2;
-- She comes back: the status is overwritten twice more
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
VALUES ('And in blue?', 1, 1, 2, 0, 'Contact', 2, '2025-02-04 10:00', '2025-02-04 10:00');
UPDATE conversations SET status = 0, updated_at = '2025-02-04 10:00:00.5' WHERE id = 2;
UPDATE conversations SET status = 1, updated_at = '2025-02-04 12:00' WHERE id = 2;

-- Somebody writes by WhatsApp, from Ana's number: another contact of the same person. An agent merges them
INSERT INTO contacts (name, phone_number, account_id, created_at, updated_at)
VALUES ('Ana R.', NULL, 1, '2025-02-10 18:00', '2025-02-10 18:00');
INSERT INTO contact_inboxes (contact_id, inbox_id, source_id, created_at, updated_at)
VALUES (3, 2, '351912345678', '2025-02-10 18:00', '2025-02-10 18:00');
INSERT INTO conversations (account_id, inbox_id, status, contact_id, display_id, contact_inbox_id, created_at, updated_at, last_activity_at)
VALUES (1, 2, 0, 3, 3, 3, '2025-02-10 18:00', '2025-02-10 18:00', '2025-02-10 18:00');
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
VALUES ('Your courier is late', 1, 2, 3, 0, 'Contact', 3, '2025-02-10 18:00', '2025-02-10 18:00');
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
VALUES ('It comes before eight.', 1, 2, 3, 1, 'Captain::Assistant', 1, '2025-02-10 18:00:10', '2025-02-10 18:00:10');
BEGIN;
UPDATE conversations SET contact_id = 2 WHERE contact_id = 3;
UPDATE messages SET sender_id = 2 WHERE sender_type = 'Contact' AND sender_id = 3;
UPDATE contact_inboxes SET contact_id = 2, updated_at = '2025-02-10 18:30' WHERE contact_id = 3;
DELETE FROM contacts WHERE id = 3;
UPDATE contacts SET name = 'Ana', last_name = 'Ribeiro', custom_attributes = '{"tier": "gold"}', updated_at = '2025-02-10 18:30' WHERE id = 2;
COMMIT;
INSERT INTO csat_survey_responses (account_id, conversation_id, message_id, rating, feedback_message, contact_id, assigned_agent_id, created_at, updated_at)
VALUES (1, 2, 9, 5, 'Quick!', 2, 2, '2025-02-04 12:05', '2025-02-04 12:05');
-- A spammer is deleted, with his conversation
INSERT INTO contacts (name, email, account_id, created_at, updated_at)
VALUES ('Win', 'win@spam.example', 1, '2025-02-11 03:00', '2025-02-11 03:00');
INSERT INTO conversations (account_id, inbox_id, contact_id, display_id, created_at, updated_at, last_activity_at)
VALUES (1, 3, 4, 4, '2025-02-11 03:00', '2025-02-11 03:00', '2025-02-11 03:00');
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
VALUES ('You have won', 1, 3, 4, 0, 'Contact', 4, '2025-02-11 03:00', '2025-02-11 03:00');
DELETE FROM messages WHERE conversation_id = 4;
DELETE FROM conversations WHERE contact_id = 4;
DELETE FROM contacts WHERE id = 4;
RESET search_path;
