-- A hub as the recipes want it: which identifiers there are, and in which country numbers without a prefix are
CREATE EXTENSION IF NOT EXISTS pg_journey;
SELECT journey_create_hub('crm');
SELECT crm.set_rule('email', priority => 20, normalizer => 'email');
SELECT crm.set_rule('phone', priority => 10, normalizer => 'phone', default_country => 'PT');
