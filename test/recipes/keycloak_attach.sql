SELECT crm.attach_source('keycloak.user_entity', source => 'keycloak', part => 'users', mapping => $${
    "makes": ["evidence", "traits"], "evidence_where": "realm_id = 'r1' AND service_account_client_link IS NULL",
    "references": {"keycloak.user": "id"}, "identifiers": {"email": "CASE WHEN email_verified THEN email END"},
    "traits": {"name": "concat_ws(' ', first_name, last_name)"}, "occurred_at": "to_timestamp(created_timestamp / 1000.0)"}$$);
SELECT crm.attach_source('keycloak.user_attribute', source => 'keycloak', part => 'attributes', mapping => $${
    "makes": ["evidence", "traits"], "references": {"keycloak.user": "user_id"},
    "lookups": {"u": "user_entity(id = user_id)"}, "occurred_at": "to_timestamp(u.created_timestamp / 1000.0)",
    "identifiers": {"phone": "CASE name WHEN 'phone' THEN value END"},
    "traits": {"language": "CASE name WHEN 'locale' THEN value END"}}$$);
SELECT crm.attach_source('keycloak.event_entity', source => 'keycloak', part => 'events', mapping => $${
    "occurred_at": "to_timestamp(event_time / 1000.0)", "channel": "'web'", "references": {"keycloak.user": "user_id"},
    "action": {"case": "type", "LOGIN": "login", "LOGOUT": "logout", "REGISTER": "signup", "else": null},
    "where": "realm_id = 'r1' AND error IS NULL AND user_id IS NOT NULL", "subject": "client_id"}$$);
