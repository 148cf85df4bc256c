-- Business hours: whose they are, and how much of a time lies within.

-- The server's own words for a broken constraint don't say what is wrong with it.
CREATE OR REPLACE FUNCTION @hub@.check_hours() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was jsonb := to_jsonb(NEW);
BEGIN
    IF (was ->> 'weekday')::integer NOT BETWEEN 1 AND 7 THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('there is no day %s in a week', was ->> 'weekday'), HINT = 'Monday is 1, and Sunday is 7.';
    ELSIF (was ->> 'day')::date NOT BETWEEN '0001-01-01' AND '9999-12-31' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('day is out of range: %s', was ->> 'day'),
            HINT = 'Days are from 0001-01-01 to 9999-12-31; a row is one of them.';
    ELSIF NEW.opens >= NEW.closes THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('business hours end before they begin: from %s to %s', NEW.opens, NEW.closes),
            HINT = 'Hours over midnight are two rows, to 24:00 and from 00:00 of the day after.';
    ELSIF (NEW.opens IS NULL) <> (NEW.closes IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = CASE WHEN NEW.opens IS NULL THEN 'business hours have no beginning'
                           ELSE 'business hours have no end' END,
            HINT = CASE WHEN TG_TABLE_NAME = 'business_exceptions'
                        THEN 'Give both, or neither for a day that is closed.' ELSE 'Give both.' END;
    ELSIF NOT EXISTS (SELECT FROM business_calendars c WHERE c.calendar = NEW.calendar) THEN
        PERFORM no_calendar(NEW.calendar);
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.check_hours() IS 'trigger: refuse what are no business hours';

CREATE OR REPLACE FUNCTION @hub@.check_calendar_use() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NEW.used_by NOT IN ('source', 'channel') THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('unknown used_by: "%s"', NEW.used_by), HINT = 'Use source or channel.';
    ELSIF NOT EXISTS (SELECT FROM business_calendars c WHERE c.calendar = NEW.calendar) THEN
        PERFORM no_calendar(NEW.calendar);
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.check_calendar_use() IS 'trigger: refuse calendars that there are not';

-- The extension's functions take no abbreviations, because what they mean depends on the server's settings.
CREATE OR REPLACE FUNCTION @hub@.check_time_zone() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM business_time('2000-01-01', '2000-01-01', jsonb_build_object('time_zone', NEW.time_zone));
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.check_time_zone() IS 'trigger: refuse an unknown time zone';

CREATE OR REPLACE FUNCTION @hub@.no_calendar(calendar text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('calendar "%s" does not exist', calendar),
        HINT = format('There are %s. Others are rows of business_calendars.',
                      coalesce((SELECT string_agg(format('"%s"', c.calendar), ', ' ORDER BY c.calendar COLLATE "C")
                                FROM business_calendars c), 'none'));
END $$;
COMMENT ON FUNCTION @hub@.no_calendar(text) IS 'say that a calendar does not exist, and which do';

CREATE OR REPLACE TRIGGER check_hours BEFORE INSERT OR UPDATE ON @hub@.business_hours FOR EACH ROW
    EXECUTE FUNCTION @hub@.check_hours();
CREATE OR REPLACE TRIGGER check_hours BEFORE INSERT OR UPDATE ON @hub@.business_exceptions FOR EACH ROW
    EXECUTE FUNCTION @hub@.check_hours();
CREATE OR REPLACE TRIGGER check_calendar_use BEFORE INSERT OR UPDATE ON @hub@.calendar_uses FOR EACH ROW
    EXECUTE FUNCTION @hub@.check_calendar_use();
CREATE OR REPLACE TRIGGER check_time_zone BEFORE INSERT OR UPDATE ON @hub@.business_calendars FOR EACH ROW
    WHEN (NEW.time_zone IS NOT NULL) EXECUTE FUNCTION @hub@.check_time_zone();
CREATE OR REPLACE TRIGGER check_time_zone BEFORE INSERT OR UPDATE OF time_zone ON @hub@.settings FOR EACH ROW
    WHEN (NEW.time_zone IS NOT NULL) EXECUTE FUNCTION @hub@.check_time_zone();

CREATE OR REPLACE FUNCTION @hub@.calendar_hours(calendar text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    wanted text := coalesce(calendar, 'default');
    zone text := (SELECT c.time_zone FROM business_calendars c WHERE c.calendar = wanted);
BEGIN
    IF wanted <> 'default'
       AND NOT EXISTS (SELECT FROM business_calendars c WHERE c.calendar = wanted) THEN
        PERFORM no_calendar(wanted);
    END IF;
    RETURN jsonb_build_object(
        'time_zone', coalesce(zone, (SELECT s.time_zone FROM settings s), 'UTC'),
        'hours', coalesce((SELECT jsonb_agg(jsonb_build_array(h.weekday, h.opens, h.closes)
                                            ORDER BY h.weekday, h.opens)
                           FROM business_hours h WHERE h.calendar = wanted), '[]'),
        -- as JSON a date is of no time zone; to_char would take it for a midnight of the session's
        'exceptions', coalesce((SELECT jsonb_agg(CASE WHEN e.opens IS NULL THEN jsonb_build_array(e.day)
                                                      ELSE jsonb_build_array(e.day, e.opens, e.closes)
                                                 END ORDER BY e.day, e.opens)
                                FROM business_exceptions e WHERE e.calendar = wanted), '[]'));
END $$;
COMMENT ON FUNCTION @hub@.calendar_hours(text) IS
    'a calendar, default if it is NULL, as the extension''s business_time takes hours; a query for many rows calls it'
    ' once';

CREATE OR REPLACE FUNCTION @hub@.used_hours(used_by text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT jsonb_object_agg(u.name, calendar_hours(u.calendar)) FROM calendar_uses u WHERE u.used_by = used_by);
END $$;
COMMENT ON FUNCTION @hub@.used_hours(text) IS 'hours by the sources or channels that use them; NULL: none does';

-- Becomes part of the query that calls it in FROM, which reads the calendars once.
CREATE OR REPLACE FUNCTION @hub@.hours_of(source text, channel text, OUT hours jsonb) RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT coalesce((SELECT @hub@.used_hours('source')) -> hours_of.source,
                    (SELECT @hub@.used_hours('channel')) -> hours_of.channel,
                    (SELECT @hub@.calendar_hours(NULL)));
END;
COMMENT ON FUNCTION @hub@.hours_of(text, text) IS
    'one row: the hours that count for a source and a channel, as the extension''s business_time takes them';

CREATE OR REPLACE FUNCTION @hub@.business_time("from" timestamptz, "to" timestamptz, calendar text DEFAULT NULL)
RETURNS interval
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN business_time("from", "to", calendar_hours(calendar));
END $$;
COMMENT ON FUNCTION @hub@.business_time(timestamptz, timestamptz, text) IS
    'how much of the time between is within business_hours of a calendar, default if it is NULL; all of it if it has'
    ' neither hours nor exceptions; negative if from is after to';

CREATE OR REPLACE FUNCTION @hub@.business_time_after("from" timestamptz, amount interval, calendar text DEFAULT NULL)
RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN business_time_after("from", amount, calendar_hours(calendar));
END $$;
COMMENT ON FUNCTION @hub@.business_time_after(timestamptz, interval, text) IS
    'the first time by which so much business_time of a calendar, default if it is NULL, has passed since another; of a'
    ' negative amount the last since which it has, up to it. Infinite: there is none';

CREATE OR REPLACE FUNCTION @hub@.queue_hours() RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT jsonb_object_agg(q.queue, calendar_hours(q.calendar)) FROM queues q WHERE q.calendar IS NOT NULL);
END $$;
COMMENT ON FUNCTION @hub@.queue_hours() IS 'hours by the queues that have a calendar of their own; NULL: none has';
