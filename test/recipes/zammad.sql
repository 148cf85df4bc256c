-- Zammad, as far as attaching it needs: users are customers and agents alike, states and kinds of articles are tables
CREATE SCHEMA IF NOT EXISTS zammad;
SET search_path = zammad;

CREATE TABLE users (
    id serial PRIMARY KEY,
    organization_id integer,
    login varchar(255) NOT NULL UNIQUE,
    firstname varchar(100) DEFAULT '',
    lastname varchar(100) DEFAULT '',
    email varchar(255) DEFAULT '',       -- empty, not NULL
    phone varchar(255) DEFAULT '',
    mobile varchar(255) DEFAULT '',
    city varchar(100) DEFAULT '',
    vip boolean DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    source varchar(200),
    updated_by_id integer NOT NULL,
    created_by_id integer NOT NULL,
    created_at timestamp(3) NOT NULL,
    updated_at timestamp(3) NOT NULL
);
CREATE TABLE roles_users (user_id integer, role_id integer);   -- no key
CREATE INDEX ON roles_users (user_id);
CREATE INDEX ON roles_users (role_id);
CREATE TABLE ticket_states (
    id serial PRIMARY KEY,
    state_type_id integer NOT NULL,
    name varchar(250) NOT NULL UNIQUE
);
CREATE TABLE ticket_article_types (
    id serial PRIMARY KEY,
    name varchar(250) NOT NULL UNIQUE,
    communication boolean NOT NULL DEFAULT false
);
CREATE TABLE ticket_article_senders (
    id serial PRIMARY KEY,
    name varchar(250) NOT NULL UNIQUE
);
CREATE TABLE tickets (
    id serial PRIMARY KEY,
    group_id integer NOT NULL,
    priority_id integer NOT NULL,
    state_id integer NOT NULL REFERENCES ticket_states,   -- overwritten
    organization_id integer,
    number varchar(60) NOT NULL UNIQUE,
    title varchar(250) NOT NULL,
    owner_id integer NOT NULL REFERENCES users,           -- 1 is nobody
    customer_id integer NOT NULL REFERENCES users,
    first_response_at timestamp(3),
    close_at timestamp(3),
    last_close_at timestamp(3),
    last_contact_at timestamp(3),
    article_count integer,
    updated_by_id integer NOT NULL,
    created_by_id integer NOT NULL,
    created_at timestamp(3) NOT NULL,
    updated_at timestamp(3) NOT NULL
);
CREATE INDEX ON tickets (state_id);
CREATE INDEX ON tickets (customer_id);
CREATE INDEX ON tickets (owner_id);
CREATE TABLE ticket_articles (
    id serial PRIMARY KEY,
    ticket_id integer NOT NULL REFERENCES tickets,
    type_id integer NOT NULL REFERENCES ticket_article_types,
    sender_id integer NOT NULL REFERENCES ticket_article_senders,
    "from" varchar(3000),
    "to" varchar(3000),
    subject varchar(3000),
    message_id varchar(3000),
    content_type varchar(20) NOT NULL DEFAULT 'text/plain',
    body text NOT NULL,
    internal boolean NOT NULL DEFAULT false,
    updated_by_id integer NOT NULL,
    created_by_id integer NOT NULL,
    origin_by_id integer,
    created_at timestamp(3) NOT NULL,
    updated_at timestamp(3) NOT NULL
);
CREATE INDEX ON ticket_articles (ticket_id);
CREATE INDEX ON ticket_articles (type_id);
CREATE INDEX ON ticket_articles (sender_id);
CREATE INDEX ON ticket_articles (created_by_id);

INSERT INTO ticket_states (state_type_id, name) VALUES (1, 'new'), (2, 'open'), (3, 'pending reminder'), (5, 'closed'), (6, 'merged'), (4, 'pending close');
INSERT INTO ticket_article_types (name, communication) VALUES ('email', true), ('sms', true), ('chat', true), ('fax', true), ('phone', true),
    ('twitter status', true), ('twitter direct-message', true), ('facebook feed post', true), ('facebook feed comment', true), ('note', false), ('web', true);
INSERT INTO ticket_article_senders (name) VALUES ('Agent'), ('Customer'), ('System');
INSERT INTO users (login, firstname, lastname, email, phone, mobile, updated_by_id, created_by_id, created_at, updated_at) VALUES
    ('-', '-', '', '', '', '', 1, 1, '2024-10-01 08:00', '2024-10-01 08:00'),
    ('rita@shop.example', 'Rita', 'Alves', 'rita@shop.example', '', '', 1, 1, '2024-10-01 08:00', '2024-10-01 08:00'),
    ('rui@example.pt', 'Rui', 'Costa', 'rui@example.pt', '', '+351 936 111 222', 2, 2, '2025-01-03 09:00', '2025-01-03 09:00');
INSERT INTO roles_users VALUES (2, 2), (3, 3);
-- a ticket that is closed already
INSERT INTO tickets (group_id, priority_id, state_id, number, title, owner_id, customer_id, close_at, last_close_at, article_count,
                     updated_by_id, created_by_id, created_at, updated_at)
VALUES (1, 2, 4, '31001', 'Invoice', 2, 3, '2025-01-03 11:00', '2025-01-03 11:00', 2, 2, 3, '2025-01-03 09:00', '2025-01-03 11:00');
INSERT INTO ticket_articles (ticket_id, type_id, sender_id, "from", "to", subject, body, updated_by_id, created_by_id, created_at, updated_at) VALUES
    (1, 1, 2, 'Rui Costa <rui@example.pt>', 'help@shop.example', 'Invoice', 'Where is it?', 3, 3, '2025-01-03 09:00', '2025-01-03 09:00'),
    (1, 1, 1, 'Rita Alves via Help', 'rui@example.pt', 'Invoice', 'Here.', 2, 2, '2025-01-03 10:45', '2025-01-03 10:45');
RESET search_path;
