SELECT crm.attach_source('auth.users', source => 'gotrue', part => 'users', mapping => $${
    "makes": ["evidence", "traits"], "references": {"gotrue.user": "id"}, "evidence_where": "deleted_at IS NULL",
    "identifiers": {"email": "CASE WHEN email_confirmed_at IS NOT NULL THEN email END",
                    "phone": "CASE WHEN phone_confirmed_at IS NOT NULL THEN '+' || phone END"},
    "traits": {"name": "raw_user_meta_data ->> 'full_name'"}, "occurred_at": "created_at", "traits_at": "updated_at"}$$);
SELECT crm.attach_source('auth.audit_log_entries', source => 'gotrue', part => 'log', mapping => $${
    "occurred_at": "created_at", "channel": "'app'", "references": {"gotrue.user": "payload ->> 'actor_id'"},
    "action": {"case": "payload ->> 'action'", "login": "login", "logout": "logout", "user_signedup": "signup", "else": null},
    "where": "payload ->> 'actor_username' <> 'service_role'"}$$);
