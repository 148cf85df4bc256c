-- What Odoo writes while the hub is attached: a record is inserted, and its computed fields are updated in the same
-- transaction; times are the transaction's
SET search_path = odoo;

-- A form of the web site: a lead of an address, of nobody yet
BEGIN;
INSERT INTO crm_lead (user_id, stage_id, type, name, email_from, phone, active, create_date, write_date)
VALUES (NULL, 1, 'lead', 'Ten lamps', '"Ana Ribeiro" <ana@example.pt>', '912 345 678', true, '2025-02-03 09:00', '2025-02-03 09:00');
UPDATE crm_lead SET email_normalized = 'ana@example.pt', probability = 20, write_date = '2025-02-03 09:00' WHERE id = 1;
INSERT INTO mail_message (res_id, model, record_name, message_type, author_id, body, date, is_internal, create_date, write_date)
VALUES (1, 'crm.lead', 'Ten lamps', 'notification', 2, '<p>Lead created</p>', '2025-02-03 09:00', true, '2025-02-03 09:00', '2025-02-03 09:00');
COMMIT;
-- It becomes an opportunity, and she a partner
BEGIN;
INSERT INTO res_partner (name, email, phone, partner_share, active, create_date, write_date)
VALUES ('Ana Ribeiro', '"Ana Ribeiro" <ana@example.pt>', '912 345 678', true, true, '2025-02-03 10:00', '2025-02-03 10:00');
UPDATE res_partner SET commercial_partner_id = 4, email_normalized = 'ana@example.pt', phone_sanitized = '+351912345678', write_date = '2025-02-03 10:00' WHERE id = 4;
UPDATE crm_lead SET type = 'opportunity', partner_id = 4, user_id = 1, expected_revenue = 500, stage_id = 2, write_date = '2025-02-03 10:00' WHERE id = 1;
COMMIT;
-- A quotation, sent by e-mail; she answers; it is an order
INSERT INTO sale_order (name, state, partner_id, user_id, currency_id, date_order, amount_total, create_date, write_date)
VALUES ('S00002', 'draft', 4, 1, 1, '2025-02-04 09:00', 0, '2025-02-04 09:00', '2025-02-04 09:00');
UPDATE sale_order SET amount_untaxed = 406.50, amount_tax = 93.50, amount_total = 500.00, write_date = '2025-02-04 09:01' WHERE id = 2;
BEGIN;
INSERT INTO mail_message (res_id, model, record_name, message_type, author_id, subject, email_from, body, date, is_internal, create_date, write_date)
VALUES (2, 'sale.order', 'S00002', 'comment', 2, 'Your quotation S00002', '"Marta Silva" <marta@shop.example>', '<p>Here it is</p>', '2025-02-04 09:05', false,
        '2025-02-04 09:05', '2025-02-04 09:05');
UPDATE sale_order SET state = 'sent', write_date = '2025-02-04 09:05' WHERE id = 2;
COMMIT;
-- a note for colleagues is a comment, too; its subtype says that it is internal
INSERT INTO mail_message (res_id, model, record_name, message_type, subtype_id, author_id, body, date, create_date, write_date)
VALUES (2, 'sale.order', 'S00002', 'comment', 2, 2, '<p>she haggles</p>', '2025-02-04 10:00', '2025-02-04 10:00', '2025-02-04 10:00');
INSERT INTO mail_message (parent_id, res_id, model, record_name, message_type, author_id, subject, email_from, body, date, is_internal, create_date, write_date)
VALUES (2, 2, 'sale.order', 'S00002', 'email', 4, 'Re: Your quotation S00002', '"Ana Ribeiro" <ana@example.pt>', '<p>I take them</p>', '2025-02-05 18:00', false,
        '2025-02-05 18:00', '2025-02-05 18:00');
BEGIN;
UPDATE sale_order SET state = 'sale', date_order = '2025-02-06 09:00', write_date = '2025-02-06 09:00' WHERE id = 2;
UPDATE crm_lead SET stage_id = 3, probability = 100, date_closed = '2025-02-06 09:00', write_date = '2025-02-06 09:00' WHERE id = 1;
COMMIT;
-- A quotation for Rui that comes to nothing, and a partner who was entered twice: Odoo merges the records
INSERT INTO sale_order (name, state, partner_id, user_id, currency_id, date_order, amount_total, create_date, write_date)
VALUES ('S00003', 'draft', 3, 1, 1, '2025-02-07 09:00', 80.00, '2025-02-07 09:00', '2025-02-07 09:00');
UPDATE sale_order SET state = 'cancel', write_date = '2025-02-08 09:00' WHERE id = 3;
INSERT INTO res_partner (name, email, email_normalized, city, partner_share, active, create_date, write_date)
VALUES ('A. Ribeiro', 'ana.ribeiro@work.example', 'ana.ribeiro@work.example', 'Porto', true, true, '2025-02-09 09:00', '2025-02-09 09:00');
BEGIN;
UPDATE sale_order SET partner_id = 4 WHERE partner_id = 5;
UPDATE crm_lead SET partner_id = 4 WHERE partner_id = 5;
UPDATE mail_message SET author_id = 4 WHERE author_id = 5;
UPDATE res_partner SET city = 'Porto', write_date = '2025-02-09 09:30' WHERE id = 4;
DELETE FROM res_partner WHERE id = 5;
COMMIT;
RESET search_path;
