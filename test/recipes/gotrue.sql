-- GoTrue (Supabase Auth): users, their sessions, and the audit log
CREATE SCHEMA IF NOT EXISTS auth;
SET search_path = auth;

CREATE TYPE aal_level AS ENUM ('aal1', 'aal2', 'aal3');
CREATE TABLE users (
    instance_id uuid,
    id uuid PRIMARY KEY,
    aud varchar(255),
    role varchar(255),
    email varchar(255),
    encrypted_password varchar(255),
    email_confirmed_at timestamptz,
    confirmation_sent_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    phone text UNIQUE DEFAULT NULL,          -- digits without a plus
    phone_confirmed_at timestamptz,
    confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
    banned_until timestamptz,
    is_sso_user boolean NOT NULL DEFAULT false,
    deleted_at timestamptz,
    is_anonymous boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX users_email_partial_key ON users (email) WHERE is_sso_user = false;
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz,
    updated_at timestamptz,
    factor_id uuid,
    aal aal_level,
    not_after timestamptz,
    refreshed_at timestamp,                  -- without a zone
    user_agent text,
    ip inet,
    tag text
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id);
CREATE TABLE audit_log_entries (
    instance_id uuid,
    id uuid PRIMARY KEY,
    payload json,
    created_at timestamptz,
    ip_address varchar(64) NOT NULL DEFAULT ''
);
CREATE INDEX audit_logs_instance_id_idx ON audit_log_entries (instance_id);

INSERT INTO users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
VALUES ('70000000-0000-4000-8000-000000000001', 'authenticated', 'authenticated', 'rui@example.pt', '2025-01-02 09:00Z',
        '{"provider": "google", "providers": ["google"]}', '{"full_name": "Rui Costa", "avatar_url": "https://example.pt/rui.png"}', '2025-01-02 09:00Z', '2025-01-02 09:00Z');
INSERT INTO audit_log_entries (id, payload, created_at)
VALUES ('80000000-0000-4000-8000-000000000001', '{"action":"login","actor_id":"70000000-0000-4000-8000-000000000001","actor_username":"rui@example.pt","actor_via_sso":false,"log_type":"account","traits":{"provider":"google"}}',
        '2025-01-02 09:00:01Z');
RESET search_path;
