-- Who has looked at whom: see access_log.
--
-- While it is written the functions that show one customer are others: each notes who calls it, and becomes part of no
-- query. So it costs nothing while it is not. What the hub itself looks up, as for segments, it reads from the views.

-- With the owner's rights, since those who read write nothing. The setting role is the caller's, whoever's rights are
-- lent. Where no row can be written, as on a standby, the look is noted in the server's log, so that no transaction
-- that
-- only reads goes unseen.
CREATE OR REPLACE FUNCTION @hub@.note_access(function text, customer_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    caller CONSTANT name := coalesce(nullif(current_setting('role'), 'none'), session_user);
    purpose CONSTANT text := nullif(left(current_setting('pg_journey_session.purpose', true), 255), '');
BEGIN
    IF customer_id IS NULL OR NOT (SELECT s.access_log FROM settings s WHERE s.one_row) THEN
        RETURN true;
    ELSIF current_setting('transaction_read_only') = 'on' THEN
        IF EXISTS (SELECT FROM identities i WHERE i.identity_id = note_access.customer_id) THEN
            RAISE LOG USING MESSAGE = format('hub %I: role %I (login %I) looks at customer %s by %s, purpose %s',
                                             current_schema(), caller, session_user, customer_id, left(function, 63),
                                             coalesce(quote_literal(purpose), 'not told'));
        END IF;
        RETURN true;
    END IF;
    -- whoever has been erased meanwhile, or is forgotten, is looked at no more
    PERFORM journey_pass('suppressions');
    PERFORM FROM identities i WHERE i.identity_id = note_access.customer_id FOR KEY SHARE;
    IF FOUND THEN
        INSERT INTO access_log (role, login, purpose, function, identity_id)
        VALUES (caller, session_user, purpose, left(function, 63), customer_id);
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.note_access(text, bigint) IS
    'note in access_log that the caller looks at a customer, if settings say so; true';
REVOKE EXECUTE ON FUNCTION @hub@.note_access(text, bigint) FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.logged_functions() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{timeline_of,visits_of,sessions_of,handoffs_of,conversations_of,replies_of,customer_360_of,customer_profile_of,'
       'customer_profile_at,identifiers_of}'::name[];
COMMENT ON FUNCTION @hub@.logged_functions() IS
    'functions that show one customer, which access_log of settings makes others. Those that are never part of a query'
    ' call note_access themselves';

CREATE OR REPLACE FUNCTION @hub@.log_access(logs boolean) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found record;
    noting text;
    made text;
BEGIN
    FOR found IN
        SELECT p.proname AS name, pg_get_functiondef(p.oid) AS definition
        FROM pg_proc p
        WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.proname = ANY (logged_functions())
              AND p.proargnames[1] = 'customer_id'
    LOOP
        noting := format('note_access(%L, %I.customer_id)', found.name, found.name);
        CONTINUE WHEN (position('note_access(' IN found.definition) > 0) = logs;
        IF NOT logs THEN
            made := regexp_replace(found.definition, ' AND \( SELECT [^()]*note_access\([^()]*\)[^()]*\)\)', ')');
            made := regexp_replace(made, '\n    PERFORM note_access\([^()]*\);', '');
            made := regexp_replace(made, '(\n LANGUAGE \w+\n)', E'\\1 STABLE PARALLEL SAFE\n');
        ELSE
            made := regexp_replace(found.definition, 'WHERE (\(v\.customer_id = \w+\.customer_id\))',
                                   format('WHERE (\1 AND (SELECT %s))', noting));
            made := regexp_replace(made, '\nBEGIN\n', format(E'\nBEGIN\n    PERFORM %s;\n', noting));
            made := replace(made, ' STABLE PARALLEL SAFE', '');
        END IF;
        EXECUTE made;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.log_access(boolean) IS
    'make the functions that show one customer note who calls them, or not any more';

CREATE OR REPLACE FUNCTION @hub@.access_log_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM log_access(NEW.access_log);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.access_log_changed() IS 'trigger: access_log is to be written, or not any more';
CREATE OR REPLACE TRIGGER access_log_changed AFTER UPDATE ON @hub@.settings FOR EACH ROW
    WHEN (OLD.access_log <> NEW.access_log) EXECUTE FUNCTION @hub@.access_log_changed();
SELECT @hub@.log_access(s.access_log) FROM @hub@.settings s;
