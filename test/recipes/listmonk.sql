-- Listmonk: subscribers, their lists, campaigns, and what they opened and clicked
CREATE SCHEMA IF NOT EXISTS listmonk;
SET search_path = listmonk;

CREATE TYPE list_type AS ENUM ('public', 'private', 'temporary');
CREATE TYPE list_optin AS ENUM ('single', 'double');
CREATE TYPE subscriber_status AS ENUM ('enabled', 'disabled', 'blocklisted');
CREATE TYPE subscription_status AS ENUM ('unconfirmed', 'confirmed', 'unsubscribed');
CREATE TYPE campaign_status AS ENUM ('draft', 'running', 'scheduled', 'paused', 'cancelled', 'finished');
CREATE TYPE bounce_type AS ENUM ('soft', 'hard', 'complaint');
CREATE TABLE subscribers (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    attribs jsonb NOT NULL DEFAULT '{}',
    status subscriber_status NOT NULL DEFAULT 'enabled',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE UNIQUE INDEX idx_subs_email ON subscribers (lower(email));
CREATE TABLE lists (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    name text NOT NULL,
    type list_type NOT NULL,
    optin list_optin NOT NULL DEFAULT 'single',
    tags varchar(100)[],
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE TABLE subscriber_lists (
    subscriber_id integer REFERENCES subscribers ON DELETE CASCADE ON UPDATE CASCADE,
    list_id integer REFERENCES lists ON DELETE CASCADE ON UPDATE CASCADE,
    meta jsonb NOT NULL DEFAULT '{}',
    status subscription_status NOT NULL DEFAULT 'unconfirmed',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (subscriber_id, list_id)
);
CREATE INDEX ON subscriber_lists (subscriber_id);
CREATE INDEX ON subscriber_lists (list_id);
CREATE INDEX ON subscriber_lists (status);
CREATE TABLE campaigns (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    name text NOT NULL,
    subject text NOT NULL,
    from_email text NOT NULL,
    body text NOT NULL,
    status campaign_status NOT NULL DEFAULT 'draft',
    tags varchar(100)[],
    messenger text NOT NULL,
    to_send integer NOT NULL DEFAULT 0,
    sent integer NOT NULL DEFAULT 0,
    started_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE TABLE campaign_views (
    id bigserial PRIMARY KEY,
    campaign_id integer NOT NULL REFERENCES campaigns ON DELETE CASCADE ON UPDATE CASCADE,
    subscriber_id integer REFERENCES subscribers ON DELETE SET NULL ON UPDATE CASCADE,  -- NULL, too, where nobody is to be followed
    created_at timestamptz DEFAULT now()
);
CREATE INDEX ON campaign_views (campaign_id);
CREATE INDEX ON campaign_views (subscriber_id);
CREATE TABLE links (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    url text NOT NULL UNIQUE,
    created_at timestamptz DEFAULT now()
);
CREATE TABLE link_clicks (
    id bigserial PRIMARY KEY,
    campaign_id integer REFERENCES campaigns ON DELETE CASCADE ON UPDATE CASCADE,
    link_id integer NOT NULL REFERENCES links ON DELETE CASCADE ON UPDATE CASCADE,
    subscriber_id integer REFERENCES subscribers ON DELETE SET NULL ON UPDATE CASCADE,
    created_at timestamptz DEFAULT now()
);
CREATE INDEX ON link_clicks (campaign_id);
CREATE INDEX ON link_clicks (link_id);
CREATE INDEX ON link_clicks (subscriber_id);
CREATE TABLE bounces (
    id serial PRIMARY KEY,
    subscriber_id integer NOT NULL REFERENCES subscribers ON DELETE CASCADE ON UPDATE CASCADE,
    campaign_id integer REFERENCES campaigns ON DELETE SET NULL ON UPDATE CASCADE,
    type bounce_type NOT NULL DEFAULT 'hard',
    source text NOT NULL DEFAULT '',
    meta jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz DEFAULT now()
);

INSERT INTO lists (uuid, name, type, optin, created_at, updated_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'Newsletter', 'public', 'double', '2024-12-01 08:00Z', '2024-12-01 08:00Z');
INSERT INTO campaigns (uuid, name, subject, from_email, body, status, messenger, started_at, created_at, updated_at) VALUES
    ('b0000000-0000-0000-0000-000000000001', 'january', 'New lamps', 'Shop <news@shop.example>', '<p>…</p>', 'finished', 'email',
     '2025-01-10 08:00Z', '2025-01-09 08:00Z', '2025-01-10 09:00Z');
INSERT INTO subscribers (uuid, email, name, attribs, created_at, updated_at) VALUES
    ('c0000000-0000-0000-0000-000000000001', 'Rui@Example.pt', 'Rui Costa', '{"city": "Braga"}', '2024-12-02 08:00Z', '2024-12-02 08:00Z');
INSERT INTO subscriber_lists (subscriber_id, list_id, status, created_at, updated_at)
VALUES (1, 1, 'confirmed', '2024-12-02 08:00Z', '2024-12-02 08:10Z');
INSERT INTO links (uuid, url, created_at) VALUES ('d0000000-0000-0000-0000-000000000001', 'https://shop.example/lamps', '2025-01-10 08:00Z');
INSERT INTO campaign_views (campaign_id, subscriber_id, created_at) VALUES (1, 1, '2025-01-10 08:30Z'), (1, NULL, '2025-01-10 08:40Z');
INSERT INTO link_clicks (campaign_id, link_id, subscriber_id, created_at) VALUES (1, 1, 1, '2025-01-10 08:31Z');
RESET search_path;
