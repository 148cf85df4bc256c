-- What Keycloak writes while the hub is attached
SET search_path = keycloak;

-- Ana registers: Hibernate inserts, then updates; the event comes in a transaction of its own. Her address is not verified yet
BEGIN;
INSERT INTO user_entity (id, email_constraint, enabled, realm_id, username, created_timestamp)
VALUES ('6f0c0000-0000-4000-8000-000000000002', '6f0c-unset', false, 'r1', 'ana', 1738573200000);
UPDATE user_entity SET email = 'ana@example.pt', email_constraint = 'ana@example.pt', enabled = true, first_name = 'Ana', last_name = 'Ribeiro'
WHERE id = '6f0c0000-0000-4000-8000-000000000002';
INSERT INTO user_attribute (name, value, user_id, id) VALUES ('phone', '912345678', '6f0c0000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001'),
    ('locale', 'pt', '6f0c0000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002');
COMMIT;
INSERT INTO event_entity (id, client_id, details_json, ip_address, realm_id, event_time, type, user_id)
VALUES ('e0000000-0000-4000-8000-000000000002', 'shop', '{"register_method":"form","email":"ana@example.pt"}', '192.0.2.8', 'r1', 1738573200000, 'REGISTER',
        '6f0c0000-0000-4000-8000-000000000002');
UPDATE user_entity SET email_verified = true WHERE id = '6f0c0000-0000-4000-8000-000000000002';
INSERT INTO event_entity (id, client_id, details_json, ip_address, realm_id, session_id, event_time, type, user_id)
VALUES ('e0000000-0000-4000-8000-000000000003', 'shop', '{"auth_method":"openid-connect","username":"ana"}', '192.0.2.8', 'r1', 's2', 1738573800000, 'LOGIN',
        '6f0c0000-0000-4000-8000-000000000002');
-- noise: a code for a token, a wrong password of a known user and of an unknown one, an administrator in another realm
INSERT INTO event_entity (id, client_id, realm_id, session_id, event_time, type, user_id)
VALUES ('e0000000-0000-4000-8000-000000000004', 'shop', 'r1', 's2', 1738573801000, 'CODE_TO_TOKEN', '6f0c0000-0000-4000-8000-000000000002');
INSERT INTO event_entity (id, client_id, error, realm_id, event_time, type, user_id)
VALUES ('e0000000-0000-4000-8000-000000000005', 'shop', 'invalid_user_credentials', 'r1', 1738660200000, 'LOGIN_ERROR', '6f0c0000-0000-4000-8000-000000000002');
INSERT INTO event_entity (id, client_id, error, details_json, realm_id, event_time, type)
VALUES ('e0000000-0000-4000-8000-000000000006', 'shop', 'user_not_found', '{"username":"nobody"}', 'r1', 1738660201000, 'LOGIN_ERROR');
INSERT INTO event_entity (id, client_id, realm_id, event_time, type, user_id)
VALUES ('e0000000-0000-4000-8000-000000000007', 'admin', 'r0', 1738660202000, 'LOGIN', '6f0c0000-0000-4000-8000-0000000000ff');
-- old events expire
DELETE FROM event_entity WHERE realm_id = 'r1' AND event_time < 1738000000000;
RESET search_path;
