-- Medusa 2, as far as attaching it needs: customers, carts, orders, returns. Keys are texts with a prefix and a ULID;
-- rows are deleted by a date; the same e-mail address is a guest and an account; an order's total is in a table
-- beside it, a row for each version of the order.
CREATE SCHEMA IF NOT EXISTS medusa;
SET search_path = medusa;

CREATE TYPE order_status_enum AS ENUM ('pending', 'completed', 'draft', 'archived', 'canceled', 'requires_action');
CREATE TYPE return_status_enum AS ENUM ('open', 'requested', 'received', 'partially_received', 'canceled');
CREATE TABLE customer (
    id text PRIMARY KEY,
    company_name text,
    first_name text,
    last_name text,
    email text,
    phone text,
    has_account boolean NOT NULL DEFAULT false,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    created_by text
);
CREATE UNIQUE INDEX "IDX_customer_email_has_account_unique" ON customer (email, has_account) WHERE deleted_at IS NULL;
CREATE TABLE order_address (
    id text PRIMARY KEY,
    customer_id text,
    company text,
    first_name text,
    last_name text,
    address_1 text,
    city text,
    country_code text,
    postal_code text,
    phone text,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE TABLE cart (
    id text PRIMARY KEY,
    region_id text,
    customer_id text,
    sales_channel_id text,
    email text,
    currency_code text NOT NULL,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    completed_at timestamptz
);
CREATE TABLE "order" (
    id text PRIMARY KEY,
    region_id text,
    display_id serial,
    customer_id text,
    version integer NOT NULL DEFAULT 1,
    sales_channel_id text,
    status order_status_enum NOT NULL DEFAULT 'pending',
    is_draft_order boolean NOT NULL DEFAULT false,
    email text,
    currency_code text NOT NULL,
    shipping_address_id text REFERENCES order_address,
    billing_address_id text REFERENCES order_address,
    no_notification boolean,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    canceled_at timestamptz
);
CREATE INDEX "IDX_order_customer_id" ON "order" (customer_id) WHERE deleted_at IS NOT NULL;   -- as Medusa has it
CREATE INDEX "IDX_order_billing_address_id" ON "order" (billing_address_id) WHERE deleted_at IS NOT NULL;
CREATE TABLE order_summary (
    id text PRIMARY KEY,
    order_id text NOT NULL REFERENCES "order",
    version integer NOT NULL DEFAULT 1,
    totals jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX "IDX_order_summary_order_id_version" ON order_summary (order_id, version) WHERE deleted_at IS NOT NULL;
CREATE TABLE "return" (
    id text PRIMARY KEY,
    order_id text NOT NULL,
    order_version integer NOT NULL,
    display_id serial,
    status return_status_enum NOT NULL DEFAULT 'open',
    refund_amount numeric,
    raw_refund_amount jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    requested_at timestamptz,
    received_at timestamptz,
    canceled_at timestamptz
);
CREATE INDEX "IDX_return_order_id" ON "return" (order_id) WHERE deleted_at IS NOT NULL;

-- Rui has an account and has bought
INSERT INTO customer (id, first_name, last_name, email, phone, has_account, created_at, updated_at)
VALUES ('cus_01JH0RUI', 'Rui', 'Costa', 'rui@example.pt', '936 111 222', true, '2025-01-02 09:00Z', '2025-01-02 09:00Z');
INSERT INTO order_address (id, first_name, last_name, address_1, city, country_code, postal_code, phone, created_at, updated_at)
VALUES ('ordaddr_01JH1', 'Rui', 'Costa', 'Rua das Flores 3', 'Braga', 'pt', '4700-001', '936111222', '2025-01-04 12:00Z', '2025-01-04 12:00Z');
INSERT INTO "order" (id, customer_id, status, email, currency_code, shipping_address_id, billing_address_id, created_at, updated_at)
VALUES ('order_01JH1', 'cus_01JH0RUI', 'completed', 'rui@example.pt', 'eur', 'ordaddr_01JH1', 'ordaddr_01JH1', '2025-01-04 12:00Z', '2025-01-07 12:00Z');
INSERT INTO order_summary (id, order_id, totals, created_at, updated_at)
VALUES ('ordsum_01JH1', 'order_01JH1', '{"current_order_total": 120, "paid_total": 120}', '2025-01-04 12:00Z', '2025-01-07 12:00Z');
RESET search_path;
