-- Odoo, as far as attaching it needs: partners, leads, quotations and orders, messages of any record. Times have no
-- zone and are in UTC; write_date is of every UPDATE; names may be translated, in jsonb.
CREATE SCHEMA IF NOT EXISTS odoo;
SET search_path = odoo;

CREATE TABLE res_currency (
    id serial PRIMARY KEY,
    name varchar NOT NULL UNIQUE,
    symbol varchar NOT NULL
);
CREATE TABLE res_partner (
    id serial PRIMARY KEY,
    company_id integer,
    parent_id integer REFERENCES res_partner,
    commercial_partner_id integer,
    name varchar,
    email varchar,                 -- as typed
    email_normalized varchar,
    phone varchar,
    mobile varchar,
    phone_sanitized varchar,
    city varchar,
    lang varchar,
    is_company boolean,
    partner_share boolean,         -- true: not one of the company's own users
    active boolean,
    create_uid integer, write_uid integer,
    create_date timestamp, write_date timestamp
);
CREATE TABLE res_users (
    id serial PRIMARY KEY,
    login varchar NOT NULL UNIQUE,
    partner_id integer NOT NULL REFERENCES res_partner,
    active boolean
);
CREATE TABLE crm_stage (
    id serial PRIMARY KEY,
    sequence integer,
    name jsonb NOT NULL,
    is_won boolean
);
CREATE TABLE crm_lead (
    id serial PRIMARY KEY,
    user_id integer REFERENCES res_users,
    stage_id integer REFERENCES crm_stage,
    partner_id integer REFERENCES res_partner,
    type varchar NOT NULL,
    name varchar NOT NULL,
    email_from varchar,
    email_normalized varchar,
    phone varchar,
    expected_revenue numeric,
    probability double precision,
    active boolean,
    date_closed timestamp,
    create_uid integer, write_uid integer,
    create_date timestamp, write_date timestamp
);
CREATE INDEX ON crm_lead (stage_id);
CREATE TABLE sale_order (
    id serial PRIMARY KEY,
    name varchar NOT NULL,
    state varchar,                 -- draft, sent, sale, cancel: overwritten
    partner_id integer NOT NULL REFERENCES res_partner,
    user_id integer REFERENCES res_users,
    currency_id integer REFERENCES res_currency,
    access_token varchar,
    date_order timestamp NOT NULL,
    amount_untaxed numeric, amount_tax numeric, amount_total numeric,
    create_uid integer, write_uid integer,
    create_date timestamp, write_date timestamp
);
CREATE INDEX ON sale_order (partner_id);
CREATE TABLE mail_message_subtype (
    id serial PRIMARY KEY,
    name jsonb NOT NULL,
    internal boolean               -- seen by employees only
);
CREATE TABLE mail_message (
    id serial PRIMARY KEY,
    parent_id integer,
    res_id integer,                -- a record of the model
    model varchar,
    record_name varchar,
    message_type varchar NOT NULL, -- email, comment, email_outgoing, notification, user_notification, ...
    subtype_id integer REFERENCES mail_message_subtype,
    author_id integer REFERENCES res_partner,
    subject varchar,
    email_from varchar,
    is_internal boolean,
    body text,
    date timestamp,
    create_uid integer, write_uid integer,
    create_date timestamp, write_date timestamp
);
CREATE INDEX ON mail_message (model, res_id);
CREATE INDEX ON mail_message (author_id);
CREATE INDEX ON mail_message (subtype_id);

INSERT INTO res_currency (name, symbol) VALUES ('EUR', '€');
INSERT INTO res_partner (name, email, email_normalized, is_company, partner_share, active, create_date, write_date) VALUES
    ('Shop, Lda', 'shop@shop.example', 'shop@shop.example', true, false, true, '2024-10-01 08:00', '2024-10-01 08:00'),
    ('Marta Silva', 'marta@shop.example', 'marta@shop.example', false, false, true, '2024-10-01 08:00', '2024-10-01 08:00');
INSERT INTO res_users (login, partner_id, active) VALUES ('marta@shop.example', 2, true);
INSERT INTO mail_message_subtype (name, internal) VALUES ('{"en_US": "Discussions"}', NULL), ('{"en_US": "Note"}', true);
INSERT INTO crm_stage (sequence, name, is_won) VALUES (0, '{"en_US": "New"}', false), (1, '{"en_US": "Qualified"}', false), (3, '{"en_US": "Won"}', true);
INSERT INTO res_partner (commercial_partner_id, name, email, email_normalized, mobile, phone_sanitized, partner_share, active, create_date, write_date)
VALUES (3, 'Rui Costa', '"Rui" <Rui@Example.pt>', 'rui@example.pt', '936 111 222', '+351936111222', true, true, '2025-01-05 09:00', '2025-01-05 09:00');
INSERT INTO sale_order (name, state, partner_id, user_id, currency_id, date_order, amount_total, create_date, write_date)
VALUES ('S00001', 'sale', 3, 1, 1, '2025-01-05 10:00', 240.00, '2025-01-05 09:30', '2025-01-05 10:00');
RESET search_path;
