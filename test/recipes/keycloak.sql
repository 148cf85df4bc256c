-- Keycloak: users and its log of events, whose times are milliseconds and whose details are JSON in a text
CREATE SCHEMA IF NOT EXISTS keycloak;
SET search_path = keycloak;

CREATE TABLE realm (
    id varchar(36) PRIMARY KEY,
    name varchar(255) UNIQUE,
    enabled boolean NOT NULL DEFAULT true
);
CREATE TABLE user_entity (
    id varchar(36) PRIMARY KEY,
    email varchar(255),
    email_constraint varchar(255),
    email_verified boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT false,
    federation_link varchar(255),
    first_name varchar(255),
    last_name varchar(255),
    realm_id varchar(255),
    username varchar(255),
    created_timestamp bigint,
    service_account_client_link varchar(255),
    not_before integer NOT NULL DEFAULT 0,
    UNIQUE (realm_id, email_constraint),
    UNIQUE (realm_id, username)
);
CREATE TABLE user_attribute (
    name varchar(255) NOT NULL,
    value varchar(255),
    user_id varchar(36) NOT NULL REFERENCES user_entity,
    id varchar(36) NOT NULL DEFAULT 'sybase-needs-something-here' PRIMARY KEY
);
CREATE INDEX idx_user_attribute ON user_attribute (user_id);
CREATE TABLE event_entity (
    id varchar(36) PRIMARY KEY,
    client_id varchar(255),
    details_json varchar(2550),
    error varchar(255),
    ip_address varchar(255),
    realm_id varchar(255),
    session_id varchar(255),
    event_time bigint,
    type varchar(255),
    user_id varchar(255),
    details_json_long_value text
);
CREATE INDEX idx_event_time ON event_entity (realm_id, event_time);

INSERT INTO realm VALUES ('r1', 'shop', true), ('r0', 'master', true);
INSERT INTO user_entity (id, email, email_constraint, email_verified, enabled, first_name, last_name, realm_id, username, created_timestamp, service_account_client_link) VALUES
    ('6f0c0000-0000-4000-8000-000000000001', 'rui@example.pt', 'rui@example.pt', true, true, 'Rui', 'Costa', 'r1', 'rui', 1735808400000, NULL),
    ('6f0c0000-0000-4000-8000-000000000009', NULL, 'none', false, true, NULL, NULL, 'r1', 'service-account-shop', 1735808400000, 'c1');
INSERT INTO event_entity (id, client_id, details_json, ip_address, realm_id, session_id, event_time, type, user_id)
VALUES ('e0000000-0000-4000-8000-000000000001', 'shop', '{"auth_method":"openid-connect","username":"rui"}', '192.0.2.7', 'r1', 's1', 1736236800000, 'LOGIN',
        '6f0c0000-0000-4000-8000-000000000001');
RESET search_path;
