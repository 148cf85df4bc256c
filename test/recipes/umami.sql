-- Umami: sessions and events of web sites by uuids, and what was told of a session in rows of key and value
CREATE SCHEMA IF NOT EXISTS umami;
SET search_path = umami;

CREATE TABLE website (
    website_id uuid PRIMARY KEY,
    name varchar(100) NOT NULL,
    domain varchar(500),
    created_at timestamptz(6) DEFAULT now(),
    updated_at timestamptz(6),
    deleted_at timestamptz(6)
);
CREATE TABLE session (
    session_id uuid PRIMARY KEY,
    website_id uuid NOT NULL,
    browser varchar(20),
    os varchar(20),
    device varchar(20),
    screen varchar(11),
    language varchar(35),
    country char(2),
    region varchar(20),
    city varchar(50),
    distinct_id varchar(50),           -- what umami.identify() was told
    created_at timestamptz(6) DEFAULT now()
);
CREATE TABLE website_event (
    event_id uuid PRIMARY KEY,
    website_id uuid NOT NULL,
    session_id uuid NOT NULL,
    visit_id uuid NOT NULL,
    created_at timestamptz(6) DEFAULT now(),
    url_path varchar(500) NOT NULL,
    url_query varchar(500),
    utm_source varchar(255),
    utm_campaign varchar(255),
    referrer_path varchar(500),
    referrer_domain varchar(500),
    page_title varchar(500),
    event_type integer NOT NULL DEFAULT 1,   -- 1 page, 2 custom event
    event_name varchar(50),
    tag varchar(50),
    hostname varchar(100)
);
CREATE INDEX ON website_event (website_id, session_id, created_at);
CREATE INDEX ON website_event (session_id);
CREATE TABLE session_data (
    session_data_id uuid PRIMARY KEY,
    website_id uuid NOT NULL,
    session_id uuid NOT NULL,
    data_key varchar(500) NOT NULL,
    string_value varchar(500),
    number_value numeric(19, 4),
    date_value timestamptz(6),
    data_type integer NOT NULL,
    distinct_id varchar(50),
    created_at timestamptz(6) DEFAULT now()
);
CREATE INDEX ON session_data (session_id, created_at);

INSERT INTO website VALUES ('10000000-0000-4000-8000-000000000001', 'Shop', 'shop.example', '2024-12-01 08:00Z', '2024-12-01 08:00Z');
INSERT INTO session (session_id, website_id, browser, os, device, country, created_at)
VALUES ('20000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001', 'firefox', 'Linux', 'desktop', 'PT', '2025-02-01 09:00Z');
INSERT INTO website_event (event_id, website_id, session_id, visit_id, created_at, url_path, page_title)
VALUES ('30000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001',
        '40000000-0000-4000-8000-000000000001', '2025-02-01 09:00Z', '/', 'Shop');
RESET search_path;
