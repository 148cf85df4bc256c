SELECT crm.attach_source('odoo.res_partner', '{"makes": ["evidence", "traits"], "references": {"odoo.partner": "id"}, "identifiers": {"email": "email_normalized", "phone": "phone_sanitized"},
    "traits": {"name": "name", "city": "city", "language": "lang"}, "traits_at": "write_date AT TIME ZONE ''UTC''", "evidence_where": "partner_share AND is_company IS NOT TRUE"}',
    source => 'odoo', part => 'partners');
SELECT crm.attach_source('odoo.crm_lead', '{"occurred_at": "create_date AT TIME ZONE ''UTC''", "channel": "''web''", "action": "''lead''", "direction": "''in''", "conversation": "''crm.lead,'' || id",
    "references": {"odoo.thread": "''crm.lead,'' || id", "odoo.partner": "partner_id"}, "identifiers": {"email": "email_normalized", "phone": "phone"}, "subject": "name",
    "on_change": {"column": "stage_id", "at": "write_date AT TIME ZONE ''UTC''", "initially": {"3": "closed"}, "actions": {"3": "closed"}}}', source => 'odoo', part => 'leads');
SELECT crm.attach_source('odoo.sale_order', '{"occurred_at": "date_order AT TIME ZONE ''UTC''", "channel": "''sales''", "action": "''purchase''", "value": "amount_total", "currency": "cur.name",
    "lookups": {"cur": "res_currency(id = currency_id)", "u": "res_users(id = user_id)", "seller": "res_partner(id = u.partner_id)"}, "agent": "seller.name", "subject": "name",
    "references": {"odoo.thread": "''sale.order,'' || id", "odoo.partner": "partner_id"}, "where": "state = ''sale''", "url": "''https://erp.shop.example/odoo/sales/'' || id",
    "on_change": {"column": "state", "at": "write_date AT TIME ZONE ''UTC''", "actions": {"sent": "quotation", "cancel": "cancelled"}}}', source => 'odoo', part => 'orders');
SELECT crm.attach_source('odoo.mail_message', '{"occurred_at": "date AT TIME ZONE ''UTC''", "channel": "''email''", "action": "''message''", "conversation": "model || '','' || res_id",
    "references": {"odoo.thread": "model || '','' || res_id"}, "lookups": {"author": "res_partner(id = author_id)"}, "direction": "CASE WHEN author.partner_share THEN ''in'' ELSE ''out'' END",
    "agent": "CASE WHEN NOT author.partner_share THEN author.name END", "subject": "coalesce(subject, record_name)",
    "where": "message_type IN (''email'', ''comment'') AND is_internal IS NOT TRUE AND res_id IS NOT NULL"}', source => 'odoo', part => 'messages');
