SELECT crm.attach_source('keycloak.user_entity', '{"makes": ["evidence", "traits"], "references": {"keycloak.user": "id"}, "identifiers": {"email": "CASE WHEN email_verified THEN email END"},
    "traits": {"name": "nullif(concat_ws('' '', first_name, last_name), '''')"}, "evidence_where": "realm_id = ''r1'' AND service_account_client_link IS NULL"}', source => 'keycloak', part => 'users');
SELECT crm.attach_source('keycloak.user_attribute', '{"makes": ["evidence", "traits"], "references": {"keycloak.user": "user_id"}, "identifiers": {"phone": "CASE name WHEN ''phone'' THEN value END"},
    "traits": {"language": "CASE name WHEN ''locale'' THEN value END"}}', source => 'keycloak', part => 'attributes');
SELECT crm.attach_source('keycloak.event_entity', '{"occurred_at": "to_timestamp(event_time / 1000.0)", "channel": "''web''", "references": {"keycloak.user": "user_id"},
    "action": {"case": "type", "LOGIN": "login", "LOGOUT": "logout", "REGISTER": "signup", "else": null}, "subject": "client_id",
    "where": "realm_id = ''r1'' AND error IS NULL AND user_id IS NOT NULL"}', source => 'keycloak', part => 'events');
