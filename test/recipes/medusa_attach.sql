SELECT crm.attach_source('medusa.customer', source => 'medusa', part => 'customers', mapping => $${
    "makes": ["evidence", "traits"], "references": {"medusa.customer": "id"}, "evidence_where": "deleted_at IS NULL",
    "identifiers": {"email": "email", "phone": "phone"}, "occurred_at": "created_at", "traits_at": "updated_at",
    "traits": {"name": "concat_ws(' ', first_name, last_name)", "company": "company_name"}}$$);
SELECT crm.attach_source('medusa.order_summary', source => 'medusa', part => 'orders', mapping => $${
    "lookups": {"o": "\"order\"(id = order_id)", "bill": "order_address(id = o.billing_address_id)"},
    "where": "version = o.version AND o.deleted_at IS NULL AND NOT o.is_draft_order AND o.status <> 'canceled'",
    "occurred_at": "o.created_at", "channel": "'web'", "action": "'purchase'", "subject": "'order #' || o.display_id",
    "value": "(totals ->> 'current_order_total')::numeric", "currency": "upper(o.currency_code)",
    "references": {"medusa.customer": "o.customer_id"}, "identifiers": {"email": "o.email", "phone": "bill.phone"},
    "traits": {"city": "bill.city"}, "url": "'https://shop.example/app/orders/' || o.id"}$$);
SELECT crm.attach_source('medusa."return"', source => 'medusa', part => 'returns', mapping => $${
    "lookups": {"o": "\"order\"(id = order_id)"}, "references": {"medusa.customer": "o.customer_id"},
    "occurred_at": "received_at", "channel": "'web'", "action": "'return'", "subject": "'order #' || o.display_id",
    "value": "-refund_amount", "currency": "upper(o.currency_code)", "where": "received_at IS NOT NULL"}$$);
