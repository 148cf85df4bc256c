-- What customers ask for at the portal.

ALTER TABLE @hub@.settings
    ADD COLUMN portal_traits text[] NOT NULL DEFAULT '{name,first_name,last_name,email,phone,street,city,zip,country,'
                                                     'language,time_zone}';
COMMENT ON COLUMN @hub@.settings.portal_traits IS 'traits that a customer may correct at the portal';

CREATE TABLE @hub@.erasure_requests (
    identity_id bigint PRIMARY KEY,
    asked_at timestamptz NOT NULL DEFAULT now(),
    reason text CHECK (length(reason) <= 1000)
);
COMMENT ON TABLE @hub@.erasure_requests IS
    'customers who have asked at the portal to be erased, for erase(); once that is done the row is gone';
COMMENT ON COLUMN @hub@.erasure_requests.identity_id IS 'identity that asked';
COMMENT ON COLUMN @hub@.erasure_requests.asked_at IS 'when it asked first';
COMMENT ON COLUMN @hub@.erasure_requests.reason IS 'why, in the customer''s words';

SELECT @hub@.show_with_identities('erasure_requests', others => NULL);
