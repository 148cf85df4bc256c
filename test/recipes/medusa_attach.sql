SELECT crm.attach_source('medusa.customer', '{"makes": ["evidence", "traits"], "references": {"medusa.customer": "id"},
    "identifiers": {"email": "email", "phone": "phone"}, "evidence_where": "deleted_at IS NULL",
    "traits": {"name": "nullif(concat_ws('' '', first_name, last_name), '''')", "company": "company_name"}, "traits_at": "updated_at"}', source => 'medusa', part => 'customers');
SELECT crm.attach_source('medusa.order_summary', '{"occurred_at": "o.created_at", "channel": "''web''", "action": "''purchase''",
    "lookups": {"o": "\"order\"(id = order_id)", "ship": "order_address(id = o.shipping_address_id)"}, "value": "(totals ->> ''current_order_total'')::numeric", "currency": "upper(o.currency_code)",
    "references": {"medusa.customer": "o.customer_id"}, "identifiers": {"email": "o.email", "phone": "ship.phone"}, "traits": {"city": "ship.city"}, "traits_at": "o.created_at",
    "subject": "''Order #'' || o.display_id", "url": "''https://shop.example/app/orders/'' || order_id", "attributes": "jsonb_build_object(''status'', o.status)",
    "where": "version = o.version AND deleted_at IS NULL AND o.deleted_at IS NULL AND NOT o.is_draft_order AND o.status <> ''canceled''"}', source => 'medusa', part => 'orders');
SELECT crm.attach_source('medusa."return"', '{"occurred_at": "received_at", "channel": "''web''", "action": "''return''", "value": "-refund_amount",
    "lookups": {"o": "\"order\"(id = order_id)"}, "currency": "upper(o.currency_code)", "references": {"medusa.customer": "o.customer_id"},
    "subject": "''Return of order #'' || o.display_id", "where": "received_at IS NOT NULL AND deleted_at IS NULL"}', source => 'medusa', part => 'returns');
SELECT crm.attach_source('medusa.cart', '{"occurred_at": "updated_at", "channel": "''web''", "action": "''cart_left''", "references": {"medusa.customer": "customer_id"},
    "identifiers": {"email": "email"}, "where": "email IS NOT NULL AND completed_at IS NULL AND deleted_at IS NULL"}', source => 'medusa', part => 'carts');
