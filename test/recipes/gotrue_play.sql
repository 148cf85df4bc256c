-- What GoTrue writes while the hub is attached
SET search_path = auth;

-- A visitor of the app without a name, who then gives a number and an address, and confirms both
INSERT INTO users (id, aud, role, email, phone, raw_app_meta_data, raw_user_meta_data, is_anonymous, created_at, updated_at)
VALUES ('70000000-0000-4000-8000-000000000002', 'authenticated', 'authenticated', NULL, NULL, '{}', '{}', true, '2025-02-03 10:00Z', '2025-02-03 10:00Z');
INSERT INTO audit_log_entries (id, payload, created_at)
VALUES ('80000000-0000-4000-8000-000000000002', '{"action":"login","actor_id":"70000000-0000-4000-8000-000000000002","actor_username":"","actor_via_sso":false,"log_type":"account"}', '2025-02-03 10:00Z');
INSERT INTO sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)
VALUES ('90000000-0000-4000-8000-000000000001', '70000000-0000-4000-8000-000000000002', '2025-02-03 10:00Z', '2025-02-03 10:00Z', 'aal1', 'shop/2.1 (iOS)', '192.0.2.9');
UPDATE sessions SET refreshed_at = '2025-02-03 11:00', updated_at = '2025-02-03 11:00Z' WHERE id = '90000000-0000-4000-8000-000000000001';
INSERT INTO audit_log_entries (id, payload, created_at)
VALUES ('80000000-0000-4000-8000-000000000003', '{"action":"token_refreshed","actor_id":"70000000-0000-4000-8000-000000000002","actor_username":"","actor_via_sso":false,"log_type":"token"}', '2025-02-03 11:00Z');
UPDATE users SET email = 'ana@example.pt', phone = '351912345678', is_anonymous = false, confirmation_sent_at = '2025-02-03 11:05Z', updated_at = '2025-02-03 11:05Z'
WHERE id = '70000000-0000-4000-8000-000000000002';
UPDATE users SET email_confirmed_at = '2025-02-03 11:06Z', phone_confirmed_at = '2025-02-03 11:07Z', last_sign_in_at = '2025-02-03 11:07Z',
                 raw_user_meta_data = '{"full_name": "Ana Ribeiro"}', updated_at = '2025-02-03 11:07Z' WHERE id = '70000000-0000-4000-8000-000000000002';
INSERT INTO audit_log_entries (id, payload, created_at)
VALUES ('80000000-0000-4000-8000-000000000004', '{"action":"user_signedup","actor_id":"70000000-0000-4000-8000-000000000002","actor_username":"ana@example.pt","actor_via_sso":false,"log_type":"team","traits":{"provider":"email"}}', '2025-02-03 11:07Z');
-- Logging out deletes the session
DELETE FROM sessions WHERE user_id = '70000000-0000-4000-8000-000000000002';
INSERT INTO audit_log_entries (id, payload, created_at)
VALUES ('80000000-0000-4000-8000-000000000005', '{"action":"logout","actor_id":"70000000-0000-4000-8000-000000000002","actor_username":"ana@example.pt","actor_via_sso":false,"log_type":"account"}', '2025-02-03 12:00Z');
-- An administrator invites somebody; the actor is no customer
INSERT INTO audit_log_entries (id, payload, created_at)
VALUES ('80000000-0000-4000-8000-000000000006', '{"action":"user_invited","actor_id":"00000000-0000-0000-0000-000000000000","actor_username":"service_role","actor_via_sso":false,"log_type":"team","traits":{"user_email":"leo@example.pt"}}', '2025-02-04 12:00Z');
-- A user who signs up and never confirms is somebody else with Rui's spare address; the row is deleted softly, its address scrambled
INSERT INTO users (id, aud, role, email, raw_user_meta_data, created_at, updated_at)
VALUES ('70000000-0000-4000-8000-000000000003', 'authenticated', 'authenticated', 'rui.costa@example.pt', '{"full_name": "not Rui"}', '2025-02-05 10:00Z', '2025-02-05 10:00Z');
UPDATE users SET email = 'a1b2c3d4', deleted_at = '2025-02-06 10:00Z', raw_user_meta_data = '{}', updated_at = '2025-02-06 10:00Z'
WHERE id = '70000000-0000-4000-8000-000000000003';
RESET search_path;
