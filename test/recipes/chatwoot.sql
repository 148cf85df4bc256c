-- Chatwoot, as far as attaching it needs: its tables retyped with the columns that matter and some that don't, and
-- what the application has written before the hub comes. Rails writes times without a zone, in UTC.
CREATE SCHEMA IF NOT EXISTS chatwoot;
SET search_path = chatwoot;

CREATE TABLE users (          -- agents
    id serial PRIMARY KEY,
    provider varchar NOT NULL DEFAULT 'email',
    uid varchar NOT NULL DEFAULT '',
    name varchar NOT NULL,
    display_name varchar,
    email varchar,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL
);
CREATE TABLE agent_bots (
    id bigserial PRIMARY KEY,
    name varchar,
    description varchar,
    outgoing_url varchar,
    created_at timestamp(6) NOT NULL,
    updated_at timestamp(6) NOT NULL
);
CREATE TABLE captain_assistants (   -- the AI that answers
    id bigserial PRIMARY KEY,
    name varchar NOT NULL,
    account_id bigint NOT NULL,
    description varchar,
    config jsonb NOT NULL DEFAULT '{}',
    created_at timestamp(6) NOT NULL,
    updated_at timestamp(6) NOT NULL
);
CREATE TABLE inboxes (
    id serial PRIMARY KEY,
    channel_id integer NOT NULL,
    account_id integer NOT NULL,
    name varchar NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    channel_type varchar,     -- the class of the channel, Channel::WebWidget
    csat_survey_enabled boolean DEFAULT false
);
CREATE TABLE contacts (
    id serial PRIMARY KEY,
    name varchar DEFAULT '',
    email varchar,
    phone_number varchar,
    account_id integer NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    additional_attributes jsonb DEFAULT '{}',
    identifier varchar,
    custom_attributes jsonb DEFAULT '{}',
    last_activity_at timestamp,
    contact_type integer DEFAULT 0,
    middle_name varchar DEFAULT '',
    last_name varchar DEFAULT '',
    location varchar DEFAULT '',
    country_code varchar DEFAULT '',
    blocked boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX uniq_email_per_account_contact ON contacts (email, account_id);
CREATE UNIQUE INDEX uniq_identifier_per_account_contact ON contacts (identifier, account_id);
CREATE TABLE contact_inboxes (
    id bigserial PRIMARY KEY,
    contact_id bigint,
    inbox_id bigint,
    source_id varchar NOT NULL,
    created_at timestamp(6) NOT NULL,
    updated_at timestamp(6) NOT NULL,
    hmac_verified boolean DEFAULT false,
    UNIQUE (inbox_id, source_id)
);
CREATE INDEX ON contact_inboxes (contact_id);
CREATE TABLE conversations (
    id serial PRIMARY KEY,
    account_id integer NOT NULL,
    inbox_id integer NOT NULL,
    status integer NOT NULL DEFAULT 0,    -- 0 open, 1 resolved, 2 pending (with a bot), 3 snoozed: overwritten
    assignee_id integer,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    contact_id bigint,
    display_id integer NOT NULL,          -- the number people see
    contact_inbox_id bigint,
    uuid uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    last_activity_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    team_id bigint,
    snoozed_until timestamp,
    custom_attributes jsonb DEFAULT '{}',
    first_reply_created_at timestamp,
    priority integer,
    waiting_since timestamp(6)
);
CREATE UNIQUE INDEX ON conversations (account_id, display_id);
CREATE INDEX ON conversations (contact_id);
CREATE INDEX ON conversations (inbox_id);
CREATE INDEX ON conversations (assignee_id, account_id);
CREATE TABLE messages (
    id serial PRIMARY KEY,
    content text,
    account_id integer NOT NULL,
    inbox_id integer NOT NULL,
    conversation_id integer NOT NULL,
    message_type integer NOT NULL,        -- 0 incoming, 1 outgoing, 2 activity, 3 template
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    private boolean NOT NULL DEFAULT false,
    status integer DEFAULT 0,             -- 0 sent, 1 delivered, 2 read, 3 failed: overwritten
    source_id varchar,
    content_type integer NOT NULL DEFAULT 0,
    content_attributes json DEFAULT '{}', -- json, not jsonb
    sender_type varchar,                  -- Contact, User, AgentBot, Captain::Assistant
    sender_id bigint
);
CREATE INDEX ON messages (conversation_id);
CREATE INDEX ON messages (inbox_id);
CREATE INDEX ON messages (sender_type, sender_id);
CREATE TABLE csat_survey_responses (
    id bigserial PRIMARY KEY,
    account_id bigint NOT NULL,
    conversation_id bigint NOT NULL,
    message_id bigint NOT NULL UNIQUE,
    rating integer NOT NULL,
    feedback_message text,
    contact_id bigint NOT NULL,
    assigned_agent_id bigint,
    created_at timestamp(6) NOT NULL,
    updated_at timestamp(6) NOT NULL
);

INSERT INTO users (name, email, created_at, updated_at) VALUES
    ('Rita Alves', 'rita@shop.example', '2024-11-01 09:00', '2025-02-03 08:00'),
    ('Marta Silva', 'marta@shop.example', '2024-11-01 09:00', '2025-02-03 08:00');
INSERT INTO agent_bots (name, created_at, updated_at) VALUES ('Sofia', '2024-11-02 09:00', '2024-11-02 09:00');
INSERT INTO captain_assistants (name, account_id, created_at, updated_at) VALUES ('Captain', 1, '2025-02-09 09:00', '2025-02-09 09:00');
INSERT INTO inboxes (channel_id, account_id, name, channel_type, created_at, updated_at) VALUES
    (1, 1, 'Shop', 'Channel::WebWidget', '2024-11-01 09:10', '2024-11-01 09:10'),
    (1, 1, 'WhatsApp', 'Channel::Whatsapp', '2024-11-01 09:20', '2024-11-01 09:20'),
    (1, 1, 'Help', 'Channel::Email', '2024-11-01 09:30', '2024-11-01 09:30');

-- Rui wrote by e-mail, was answered, and is done: of the status there is only the last value
INSERT INTO contacts (name, email, account_id, created_at, updated_at)
VALUES ('Rui Costa', 'rui@example.pt', 1, '2025-01-08 10:00', '2025-01-08 10:00');
INSERT INTO contact_inboxes (contact_id, inbox_id, source_id, created_at, updated_at)
VALUES (1, 3, 'rui@example.pt', '2025-01-08 10:00', '2025-01-08 10:00');
INSERT INTO conversations (account_id, inbox_id, status, assignee_id, contact_id, display_id, contact_inbox_id,
                           created_at, updated_at, last_activity_at)
VALUES (1, 3, 1, 1, 1, 1, 1, '2025-01-08 10:00', '2025-01-08 11:40', '2025-01-08 11:40');
INSERT INTO messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at) VALUES
    ('Where is my parcel?', 1, 3, 1, 0, 'Contact', 1, '2025-01-08 10:00', '2025-01-08 10:00'),
    ('Conversation was assigned to Rita Alves', 1, 3, 1, 2, NULL, NULL, '2025-01-08 10:20', '2025-01-08 10:20'),
    ('On its way: it comes on Friday.', 1, 3, 1, 1, 'User', 1, '2025-01-08 11:30', '2025-01-08 11:30'),
    ('Conversation was marked resolved by Rita Alves', 1, 3, 1, 2, NULL, NULL, '2025-01-08 11:40', '2025-01-08 11:40');
-- A visitor of the web site, nobody knows who: a contact with a made-up name
INSERT INTO contacts (name, account_id, created_at, updated_at) VALUES ('wispy-river-871', 1, '2025-02-03 08:55', '2025-02-03 08:55');
INSERT INTO contact_inboxes (contact_id, inbox_id, source_id, created_at, updated_at)
VALUES (2, 1, '0d2f9c1e-6b5a-4c55-9f5e-2f1f3b7f0a11', '2025-02-03 08:55', '2025-02-03 08:55');
RESET search_path;
