-- What Medusa writes while the hub is attached
SET search_path = medusa;

-- A guest fills a cart: the customer is created when she tells her e-mail address
INSERT INTO cart (id, region_id, currency_code, created_at, updated_at)
VALUES ('cart_01JK1', 'reg_01', 'eur', '2025-02-05 20:00Z', '2025-02-05 20:00Z');
INSERT INTO customer (id, email, created_at, updated_at)
VALUES ('cus_01JK1GUEST', 'ana@example.pt', '2025-02-05 20:05Z', '2025-02-05 20:05Z');
UPDATE cart SET customer_id = 'cus_01JK1GUEST', email = 'ana@example.pt', updated_at = '2025-02-05 20:05Z' WHERE id = 'cart_01JK1';
-- The order, a present for Eva, its addresses and its total are written in one transaction, and the cart is completed
BEGIN;
INSERT INTO order_address (id, first_name, last_name, address_1, city, country_code, postal_code, phone, created_at, updated_at)
VALUES ('ordaddr_01JK0', 'Eva', 'Ribeiro', 'Rua da Lua 1', 'Faro', 'pt', '8000-001', '966 333 444', '2025-02-05 20:10Z', '2025-02-05 20:10Z'),
    ('ordaddr_01JK1', 'Ana', 'Ribeiro', 'Rua do Sol 5', 'Porto', 'pt', '4000-002', '912 345 678', '2025-02-05 20:10Z', '2025-02-05 20:10Z');
INSERT INTO "order" (id, customer_id, status, email, currency_code, shipping_address_id, billing_address_id, created_at, updated_at)
VALUES ('order_01JK1', 'cus_01JK1GUEST', 'pending', 'ana@example.pt', 'eur', 'ordaddr_01JK0', 'ordaddr_01JK1', '2025-02-05 20:10Z', '2025-02-05 20:10Z');
INSERT INTO order_summary (id, order_id, totals, created_at, updated_at)
VALUES ('ordsum_01JK1', 'order_01JK1', '{"current_order_total": 49.9, "pending_difference": 49.9}', '2025-02-05 20:10Z', '2025-02-05 20:10Z');
UPDATE cart SET completed_at = '2025-02-05 20:10Z', updated_at = '2025-02-05 20:10Z' WHERE id = 'cart_01JK1';
COMMIT;
UPDATE order_summary SET totals = '{"current_order_total": 49.9, "paid_total": 49.9, "pending_difference": 0}', updated_at = '2025-02-05 20:11Z'
WHERE id = 'ordsum_01JK1';
-- A lamp more: the order gets a second version, with a summary of its own
BEGIN;
UPDATE "order" SET version = 2, updated_at = '2025-02-06 09:00Z' WHERE id = 'order_01JK1';
INSERT INTO order_summary (id, order_id, version, totals, created_at, updated_at)
VALUES ('ordsum_01JK2', 'order_01JK1', 2, '{"current_order_total": 99.8, "paid_total": 99.8}', '2025-02-06 09:00Z', '2025-02-06 09:00Z');
COMMIT;
UPDATE "order" SET status = 'completed', updated_at = '2025-02-08 15:00Z' WHERE id = 'order_01JK1';
-- She opens an account: a second customer of the same e-mail address
INSERT INTO customer (id, first_name, last_name, email, phone, has_account, created_at, updated_at)
VALUES ('cus_01JK2ACC', 'Ana', 'Ribeiro', 'ana@example.pt', '+351 912 345 678', true, '2025-02-09 10:00Z', '2025-02-09 10:00Z');
-- One lamp comes back
INSERT INTO "return" (id, order_id, order_version, status, created_at, updated_at, requested_at)
VALUES ('return_01JK1', 'order_01JK1', 2, 'requested', '2025-02-11 10:00Z', '2025-02-11 10:00Z', '2025-02-11 10:00Z');
UPDATE "return" SET status = 'received', received_at = '2025-02-14 10:00Z', refund_amount = 49.9, updated_at = '2025-02-14 10:00Z' WHERE id = 'return_01JK1';
-- Rui orders and cancels; he leaves a cart behind, and it is deleted by a date
INSERT INTO "order" (id, customer_id, status, email, currency_code, created_at, updated_at)
VALUES ('order_01JK2', 'cus_01JH0RUI', 'pending', 'rui@example.pt', 'eur', '2025-02-12 08:00Z', '2025-02-12 08:00Z');
INSERT INTO order_summary (id, order_id, totals, created_at, updated_at)
VALUES ('ordsum_01JK3', 'order_01JK2', '{"current_order_total": 15}', '2025-02-12 08:00Z', '2025-02-12 08:00Z');
UPDATE "order" SET status = 'canceled', canceled_at = '2025-02-12 08:30Z', updated_at = '2025-02-12 08:30Z' WHERE id = 'order_01JK2';
INSERT INTO cart (id, customer_id, email, currency_code, created_at, updated_at)
VALUES ('cart_01JK2', 'cus_01JH0RUI', 'rui@example.pt', 'eur', '2025-02-13 21:00Z', '2025-02-13 21:00Z');
INSERT INTO cart (id, customer_id, email, currency_code, created_at, updated_at)
VALUES ('cart_01JK3', 'cus_01JH0RUI', 'rui@example.pt', 'eur', '2025-02-13 22:00Z', '2025-02-13 22:00Z');
UPDATE cart SET deleted_at = '2025-02-20 00:00Z', updated_at = '2025-02-20 00:00Z' WHERE id = 'cart_01JK3';
RESET search_path;
