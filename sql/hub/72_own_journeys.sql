-- Journeys without what the company did, and without what is nobody's doing.

CREATE OR REPLACE VIEW @hub@.own_journeys WITH (security_invoker = true) AS
SELECT j.customer_id, @extschema@.journey_own(j.journey, (SELECT @hub@.not_own_actions())) AS journey
FROM @hub@.home_journeys j;
COMMENT ON VIEW @hub@.own_journeys IS
    'journeys of customers as they are now, of their own touchpoints alone: see own of timeline';
COMMENT ON COLUMN @hub@.own_journeys.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.own_journeys.journey IS 'as in current_journeys; {}: no touchpoint is the customer''s own';
