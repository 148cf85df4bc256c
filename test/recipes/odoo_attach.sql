SELECT crm.attach_source('odoo.res_partner', source => 'odoo', part => 'partners', mapping => $${
    "makes": ["evidence", "traits"], "evidence_where": "partner_share AND is_company IS NOT TRUE",
    "references": {"odoo.partner": "id"}, "identifiers": {"email": "email_normalized", "phone": "phone_sanitized"},
    "traits": {"name": "name", "city": "city"}, "occurred_at": "create_date AT TIME ZONE 'UTC'", "traits_at": "write_date AT TIME ZONE 'UTC'"}$$);
SELECT crm.attach_source('odoo.crm_lead', source => 'odoo', part => 'leads', mapping => $${
    "occurred_at": "create_date AT TIME ZONE 'UTC'", "channel": "'web'", "action": "'lead'", "subject": "name",
    "references": {"odoo.record": "'crm.lead,' || id", "odoo.partner": "partner_id"},
    "identifiers": {"email": "email_normalized", "phone": "phone"}}$$);
SELECT crm.attach_source('odoo.sale_order', source => 'odoo', part => 'orders', mapping => $${
    "occurred_at": "date_order AT TIME ZONE 'UTC'", "channel": "'sales'", "action": "'purchase'", "where": "state = 'sale'",
    "references": {"odoo.record": "'sale.order,' || id", "odoo.partner": "partner_id"}, "subject": "name", "value": "amount_total",
    "lookups": {"cur": {"table": "res_currency(id = currency_id)", "fixed": true}}, "currency": "cur.name",
    "on_change": {"column": "state", "at": "write_date AT TIME ZONE 'UTC'", "actions": {"sent": "quoted", "cancel": "cancelled"}}}$$);
SELECT crm.attach_source('odoo.mail_message', source => 'odoo', part => 'messages', mapping => $${
    "occurred_at": "date AT TIME ZONE 'UTC'", "channel": "'email'", "action": "'message'", "subject": "record_name",
    "conversation": "model || ',' || res_id", "references": {"odoo.record": "model || ',' || res_id"},
    "lookups": {"by": "res_partner(id = author_id)", "kind": "mail_message_subtype(id = subtype_id)"},
    "where": "message_type ~ '^(email|comment)' AND (is_internal OR kind.internal) IS NOT TRUE",
    "direction": {"case": "by.partner_share", "true": "in", "else": "out"}, "agent": "CASE WHEN NOT by.partner_share THEN by.name END"}$$);
