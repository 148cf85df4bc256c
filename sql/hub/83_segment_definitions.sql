-- Definitions of segments: conditions on customers, and the SQL that is made of them.
--
-- A definition becomes SQL once, when it is written: a trigger does it, so that nobody's SQL but the hub's is ever run.
-- That is about a row e: a customer's journey, traits and open_conversations. $1 is the time it is asked for, $2
-- session_gap and $3 handoff_within of settings, $4 not_own_actions(), $5 the time zone of settings. Each condition is
-- true or false, never NULL; and periods are of fixed length, so that neither clocks that change nor who asks matter.

CREATE OR REPLACE FUNCTION @hub@.segment_mistake(problem text, given jsonb, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = problem,
        DETAIL = format('Given: %s.', coalesce(left(given::text, 300), 'NULL')), HINT = hint;
END $$;
COMMENT ON FUNCTION @hub@.segment_mistake(text, jsonb, text) IS 'refuse the definition of a segment';

CREATE OR REPLACE FUNCTION @hub@.segment_duration(condition jsonb, key text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp SET intervalstyle = postgres
AS $$
#variable_conflict use_variable
DECLARE
    given text := condition ->> key;
    wrong text := format('%s of a condition must be a period, not %s', key, condition -> key);
    length interval;
BEGIN
    IF given IS NULL AND NOT condition ? key THEN
        RETURN NULL;
    ELSIF jsonb_typeof(condition -> key) <> 'string' THEN
        PERFORM segment_mistake(wrong, condition, 'Periods are texts, such as "30 days".');
    END IF;
    BEGIN
        length := given::interval;
    EXCEPTION WHEN data_exception THEN
        PERFORM segment_mistake(wrong, condition, 'Periods are such as "30 days", "12 hours", "2 weeks".');
    END;
    IF date_part('year', length) <> 0 OR date_part('month', length) <> 0 THEN
        PERFORM segment_mistake(wrong, condition, 'Use days or shorter units: months are not all of one length.');
    ELSIF (extract(epoch FROM length) > 0 AND extract(epoch FROM length) <= 31557600000) IS NOT TRUE THEN
        PERFORM segment_mistake(wrong, condition, 'It must be longer than nothing, and a thousand years at most.');
    END IF;
    RETURN format('interval %L', extract(epoch FROM length) || ' seconds');
END $$;
COMMENT ON FUNCTION @hub@.segment_duration(jsonb, text) IS
    'a period of a condition, in SQL; NULL: it has none; an error if it is not one of fixed length';

CREATE OR REPLACE FUNCTION @hub@.segment_time(condition jsonb, key text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp SET datestyle = ISO SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
DECLARE
    given text := condition ->> key;
    wrong text := format('%s of a condition must be a time, not %s', key, condition -> key);
    shape CONSTANT text := '^\s*\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[-+]\d\d(:?\d\d)?)?)?\s*$';
BEGIN
    IF given IS NULL AND NOT condition ? key THEN
        RETURN NULL;
    ELSIF jsonb_typeof(condition -> key) = 'string' AND given ~ shape THEN
        BEGIN
            RETURN CASE WHEN given ~ '(Z|:\d.*[-+]\d\d(:?\d\d)?)\s*$' THEN format('timestamptz %L', given::timestamptz)
                        ELSE format('(timestamp %L AT TIME ZONE $5)', given::timestamp) END;
        EXCEPTION WHEN data_exception THEN
            NULL;
        END;
    END IF;
    PERFORM segment_mistake(wrong, condition, 'Times are such as "2026-03-01", or "2026-03-01 10:00", in the time zone '
                                              'of settings, or "2026-03-01T10:00:00Z".');
END $$;
COMMENT ON FUNCTION @hub@.segment_time(jsonb, text) IS
    'a time of a condition, in SQL; NULL: it has none; an error if it is not one';

-- Of touchpoints from since on and before until; within and older are the periods that move with the clock.
CREATE OR REPLACE FUNCTION @hub@.segment_period(
    condition jsonb, OUT since text, OUT until text, OUT within text, OUT older text, OUT part text,
    OUT words text)
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF condition ?| '{within,older_than}' AND condition ?| '{since,until}' THEN
        PERFORM segment_mistake('a condition has both a period that ends now and one between fixed times', condition,
                                'Use within and older_than, or since and until, and "and" for both.');
    END IF;
    within := segment_duration(condition, 'within');
    older := segment_duration(condition, 'older_than');
    since := coalesce('$1 - ' || within, segment_time(condition, 'since'));
    until := coalesce('$1 - ' || older, segment_time(condition, 'until'));
    IF condition ?& '{within,older_than}'
       AND (condition ->> 'within')::interval <= (condition ->> 'older_than')::interval THEN
        PERFORM segment_mistake('older_than of a condition is not shorter than within', condition,
                                'Nothing is within the last day and older than two.');
    ELSIF condition ?& '{since,until}' AND (condition ->> 'since')::timestamptz >= (condition ->> 'until')::timestamptz
    THEN
        PERFORM segment_mistake('until of a condition is not later than since', condition,
                                'Give the earlier time first.');
    END IF;
    -- times of different zones may be the other way round
    part := CASE WHEN since IS NULL AND until IS NULL THEN 'e.journey'
                 ELSE format('journey_slice(e.journey, tstzrange(%s, %s))',
                             coalesce(CASE WHEN since IS NULL OR until IS NULL THEN since
                                           ELSE format('least(%s, %s)', since, until) END,
                                      'NULL'), coalesce(until, 'NULL')) END;
    words := concat(' within the last ' || (condition ->> 'within'),
                    CASE WHEN condition ?& '{within,older_than}' THEN ', but' END,
                    ' more than ' || (condition ->> 'older_than') || ' ago',
                    ' since ' || (condition ->> 'since'),
                    CASE WHEN condition ?& '{since,until}' THEN ' and' END, ' before ' || (condition ->> 'until'));
END $$;
COMMENT ON FUNCTION @hub@.segment_period(jsonb) IS
    'the period of a condition, in SQL and in words; part is what of the journey lies in it';

CREATE OR REPLACE FUNCTION @hub@.segment_limits(condition jsonb, limits jsonb, whole boolean, OUT low text,
                                                OUT high text, OUT words text)
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    wrong text;
BEGIN
    SELECT k.key INTO wrong FROM unnest('{min,max}'::text[]) k(key)
    WHERE limits ? k.key AND (jsonb_typeof(limits -> k.key) <> 'number'
                              OR whole AND (limits ->> k.key)::numeric <> trunc((limits ->> k.key)::numeric)
                              OR whole AND (limits ->> k.key)::numeric NOT BETWEEN 0 AND 1000000000)
    LIMIT 1;
    IF wrong IS NOT NULL THEN
        PERFORM segment_mistake(format('%s of a condition must be %s, not %s', wrong,
                                       CASE WHEN whole THEN 'a whole number from 0 on' ELSE 'a number' END,
                                       limits -> wrong), condition, 'Write it without quotes, such as "min": 3.');
    END IF;
    low := limits ->> 'min';
    high := limits ->> 'max';
    IF low::numeric > high::numeric THEN
        PERFORM segment_mistake(format('min of a condition is above max: %s > %s', low, high), condition,
                                'Nothing is both.');
    END IF;
    words := CASE WHEN low = high THEN 'exactly ' || low
                  WHEN low IS NOT NULL AND high IS NOT NULL THEN format('%s to %s', low, high)
                  WHEN low IS NOT NULL THEN 'at least ' || low
                  ELSE 'at most ' || high END;
END $$;
COMMENT ON FUNCTION @hub@.segment_limits(jsonb, jsonb, boolean) IS 'min and max of a condition';

CREATE OR REPLACE FUNCTION @hub@.between_limits(what text, low text, high text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN between_limits.low IS NULL THEN format('%s <= %s', between_limits.what, between_limits.high)
            WHEN between_limits.high IS NULL THEN format('%s >= %s', between_limits.what, between_limits.low)
            ELSE format('%s BETWEEN %s AND %s', between_limits.what, between_limits.low, between_limits.high) END;
COMMENT ON FUNCTION @hub@.between_limits(text, text, text) IS 'whether something is between limits, in SQL';

-- What does not match in all of the journey does not in a part, which is not cut out then; but where the pattern says
-- where the journey begins or ends it might.
CREATE OR REPLACE FUNCTION @hub@.compile_pattern(
    condition jsonb, OUT code text, OUT turns text[], OUT candidates text, OUT concerns text[], OUT inputs text[],
    OUT words text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    p record := segment_period(condition);
    times record := segment_limits(condition, condition -> 'times', true);
    pattern text;
    why text;
    anchored boolean;
    one_step boolean := true;
    part text;
    last text;  -- when its one step was done last
    wrong text;
BEGIN
    IF jsonb_typeof(condition -> 'pattern') <> 'string' THEN
        PERFORM segment_mistake(format('pattern of a condition must be a text, not %s', condition -> 'pattern'),
                                condition, 'Such as {"pattern": "web.view -> store.purchase"}.');
    END IF;
    BEGIN
        pattern := ((condition ->> 'pattern')::@extschema@.journey_pattern)::text;
    EXCEPTION WHEN syntax_error OR data_exception OR program_limit_exceeded OR name_too_long
                   OR feature_not_supported THEN
        GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE,
            MESSAGE = format('pattern of a condition is none: "%s"', condition ->> 'pattern'),
            DETAIL = coalesce(nullif(why, ''), SQLERRM),
            HINT = 'A pattern is such as "web.view -[<= 7 days]-> store.purchase".';
    END;
    IF condition ? 'times' THEN
        wrong := CASE WHEN jsonb_typeof(condition -> 'times') = 'object'
                      THEN (SELECT min(k.key) FROM jsonb_object_keys(condition -> 'times') k(key)
                            WHERE k.key NOT IN ('min', 'max')) END;
        IF jsonb_typeof(condition -> 'times') <> 'object' OR wrong IS NOT NULL OR times.words IS NULL THEN
            PERFORM segment_mistake(coalesce('unknown key in times of a condition: "' || wrong || '"',
                                             'times of a condition must have min or max'), condition,
                                    'Such as {"pattern": "store.purchase", "times": {"min": 2}}.');
        END IF;
    END IF;
    anchored := regexp_replace(pattern, '"([^"\\]|\\.)*"', '', 'g') ~ '[\^$]';
    BEGIN
        PERFORM journey_filter('{}', pattern::@extschema@.journey_pattern);
    EXCEPTION WHEN OTHERS THEN
        one_step := false;
    END;
    concerns := ARRAY[pattern];
    pattern := quote_literal(pattern) || '::@extschema@.journey_pattern';
    part := p.part;
    code := CASE WHEN times.words IS NULL THEN format('journey_matches(%s, %s)', part, pattern)
                 ELSE format('(%s)', between_limits(format('journey_match_count(%s, %s)', part, pattern), times.low,
                                                    times.high)) END;
    IF one_step AND times.words IS NULL THEN
        last := format('journey_last_time(e.journey, %s)', pattern);
    END IF;
    IF last IS NOT NULL AND p.since IS NOT NULL AND p.until IS NULL THEN
        code := format('coalesce(%s >= %s, false)', last, p.since);
    ELSIF part <> 'e.journey' AND NOT anchored AND (times.words IS NULL OR times.low::integer > 0) THEN
        code := format('(journey_matches(e.journey, %s) AND %s)', pattern, code);
    END IF;
    -- The first thing that can change what matches: the first touchpoint of all, or of the first match, leaves within;
    -- or the first that is younger gets older. Of one step done at least once it is the last that leaves.
    IF p.within IS NOT NULL THEN
        turns := ARRAY[CASE WHEN anchored THEN format('journey_next_time(e.journey, %s) + %s', p.since, p.within)
                            WHEN last IS NOT NULL AND p.until IS NULL THEN format('%s + %s', last, p.within)
                            ELSE format('CASE WHEN journey_matches(e.journey, %s) '
                                        'THEN journey_start(journey_match(%s, %s)) + %s END', pattern, part, pattern,
                                        p.within) END];
    END IF;
    IF p.older IS NOT NULL THEN
        turns := turns || format('journey_next_time(e.journey, %s) + %s', p.until, p.older);
    END IF;
    IF (times.words IS NULL OR times.low::integer > 0) AND (part = 'e.journey' OR NOT anchored) THEN
        candidates := format('j.journey ~ %s', pattern);
    END IF;
    inputs := ARRAY['touchpoints'] || CASE WHEN turns IS NOT NULL THEN '{time}'::text[] END
              || CASE WHEN code ~ '\$5' THEN '{settings}'::text[] END;
    words := format('have done %s%s%s', condition ->> 'pattern', ' ' || times.words || ' times', p.words);
END $$;
COMMENT ON FUNCTION @hub@.compile_pattern(jsonb) IS 'a condition on a pattern, in SQL and in words';

-- A path that is no predicate would be met by nobody, and a variable that there is not fails when it is looked at.
CREATE OR REPLACE FUNCTION @hub@.compile_trait(condition jsonb, OUT code text, OUT words text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
DECLARE
    given text := condition ->> 'trait';
    wrong text := format('trait of a condition is no predicate in jsonpath: "%s"', given);
    hint CONSTANT text := 'A path is such as "$.tier == \"gold\"", or "exists($.cards[*] ? (@.kind == \"credit\"))".';
    path jsonpath;
BEGIN
    IF jsonb_typeof(condition -> 'trait') <> 'string' THEN
        PERFORM segment_mistake(format('trait of a condition must be a text, not %s', condition -> 'trait'), condition,
                                hint);
    END IF;
    BEGIN
        path := given::jsonpath;
        IF regexp_replace(path::text, '"(\\.|[^"\\])*"', '""', 'g') LIKE '%$""%' THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_parameter',
                MESSAGE = 'there are no variables', DETAIL = 'Only $, the traits of the profile.';
        END IF;
        IF (SELECT jsonb_typeof(r.value) IN ('boolean', 'null')
            FROM jsonb_path_query_tz('{}', path, '{}', true) r(value) LIMIT 1) IS NOT TRUE THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = 'it is a value, or a filter, not a predicate that is true or false';
        END IF;
    EXCEPTION WHEN OTHERS THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE SQLSTATE WHEN '42601' THEN 'invalid_parameter_value' ELSE SQLSTATE END,
            MESSAGE = wrong, DETAIL = upper(left(SQLERRM, 1)) || substr(SQLERRM, 2) || '.', HINT = hint;
    END;
    code := format('coalesce(jsonb_path_match_tz(e.traits, %L, ''{}'', true), false)', path);
    words := format('have traits that meet %s', given);
END $$;
COMMENT ON FUNCTION @hub@.compile_trait(jsonb) IS 'a condition on traits, in SQL and in words';

CREATE OR REPLACE FUNCTION @hub@.compile_measure(
    condition jsonb, OUT code text, OUT turns text[], OUT inputs text[], OUT words text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    measure text := condition ->> 'measure';
    of_time CONSTANT boolean := coalesce(measure IN ('first_seen', 'last_seen', 'last_own_at'), false);
    p record := segment_period(condition);
    limits record := segment_limits(condition, condition, coalesce(measure <> 'value', false));
    part text;
    summary CONSTANT text := '(SELECT w.%I FROM journey_summary(%s, $2, $3, $4) w)';
    phrase text;
BEGIN
    IF jsonb_typeof(condition -> 'measure') <> 'string'
       OR measure NOT IN ('value', 'touchpoints', 'sessions', 'visits', 'handoffs', 'channels', 'open_conversations',
                          'first_seen', 'last_seen', 'last_own_at') THEN
        PERFORM segment_mistake(format('unknown measure of a condition: %s', condition -> 'measure'), condition,
                                'There are value, touchpoints, sessions, visits, handoffs, channels, '
                                'open_conversations, first_seen, last_seen and last_own_at.');
    ELSIF of_time AND (limits.words IS NOT NULL OR p.words = '') THEN
        PERFORM segment_mistake(format('a condition on %s needs within, older_than, since or until', measure),
                                condition, format('Such as {"measure": "%s", "older_than": "30 days"}.', measure));
    ELSIF NOT of_time AND limits.words IS NULL THEN
        PERFORM segment_mistake(format('a condition on %s needs min or max', measure), condition,
                                format('Such as {"measure": "%s", "min": 3}.', measure));
    ELSIF measure = 'open_conversations' AND p.words <> '' THEN
        PERFORM segment_mistake('a condition on open_conversations has no period', condition,
                                'Conversations are open now, or they are not.');
    END IF;
    part := CASE WHEN of_time THEN 'e.journey' ELSE p.part END;
    code := CASE measure WHEN 'value' THEN format('coalesce(journey_value(%s), 0)', part)
                         WHEN 'touchpoints' THEN CASE WHEN part = 'e.journey' THEN 'journey_length(e.journey)'
                                                      ELSE 'journey_length' || substr(part, 14) END
                         WHEN 'channels' THEN format('cardinality(journey_channels(%s))', part)
                         WHEN 'open_conversations' THEN 'e.open_conversations'
                         WHEN 'first_seen' THEN 'journey_start(e.journey)'
                         WHEN 'last_seen' THEN 'journey_end(e.journey)'
                         WHEN 'last_own_at' THEN format(summary, measure, part)
                         ELSE format('coalesce(%s, 0)', format(summary, measure, part)) END;
    IF of_time THEN
        turns := array_remove(ARRAY[code || ' + ' || p.within, code || ' + ' || p.older], NULL);
        code := format('coalesce(%s, false)', concat_ws(' AND ', code || ' >= ' || p.since, code || ' < ' || p.until));
    ELSE
        code := format('(%s)', between_limits(code, limits.low, limits.high));
        turns := array_remove(ARRAY['journey_next_time(e.journey, ' || p.since || ') + ' || p.within,
                                    'journey_next_time(e.journey, ' || p.until || ') + ' || p.older], NULL);
    END IF;
    phrase := CASE measure WHEN 'first_seen' THEN 'were first seen' WHEN 'last_seen' THEN 'were last seen'
                           WHEN 'last_own_at' THEN 'did last something of their own'
                           WHEN 'value' THEN format('have a value of %s', limits.words)
                           WHEN 'open_conversations' THEN format('have %s open conversations', limits.words)
                           WHEN 'handoffs' THEN format('have %s hand-offs', limits.words)
                           ELSE format('have %s %s', limits.words, measure) END;
    words := phrase || p.words;
    inputs := ARRAY['touchpoints'] || CASE WHEN turns <> '{}' THEN '{time}'::text[] END
              || CASE WHEN measure IN ('sessions', 'visits', 'handoffs', 'last_own_at') OR code ~ '\$5'
                      THEN '{settings}'::text[] END
              || CASE WHEN measure IN ('visits', 'handoffs', 'last_own_at', 'open_conversations')
                      THEN '{actions}'::text[] END;
END $$;
COMMENT ON FUNCTION @hub@.compile_measure(jsonb) IS 'a condition on a measure, in SQL and in words';

CREATE OR REPLACE FUNCTION @hub@.compile_segment(
    condition jsonb, OUT code text, OUT turns text[], OUT candidates text, OUT concerns text[], OUT inputs text[],
    OUT parts text[], OUT words text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    kinds CONSTANT text[] := '{and,or,not,pattern,trait,measure,segment}';
    given text[];
    kind text;
    known text[];
    made record;
    codes text[] := '{}';
    patterns text[] := '{}';
    said text[] := '{}';
BEGIN
    IF jsonb_typeof(condition) IS DISTINCT FROM 'object' THEN
        PERFORM segment_mistake('a condition must be a JSON object', condition,
                                'Such as {"pattern": "web.view -> store.purchase"}.');
    END IF;
    given := ARRAY(SELECT k.key FROM jsonb_object_keys(condition) k(key) WHERE k.key = ANY (kinds)
                   ORDER BY array_position(kinds, k.key));
    kind := given[1];
    known := CASE kind WHEN 'pattern' THEN '{pattern,times,within,older_than,since,until}'::text[]
                       WHEN 'measure' THEN '{measure,min,max,within,older_than,since,until}'
                       ELSE CASE WHEN kind IS NULL THEN kinds ELSE ARRAY[kind] END END;
    IF cardinality(given) > 1 THEN
        PERFORM segment_mistake(format('a condition has both %s and %s', given[1], given[2]), condition,
                                'Put them into a list: {"and": [{"pattern": "store.purchase"}, '
                                '{"trait": "$.vip == true"}]}.');
    ELSIF kind IS NULL AND condition = '{}' THEN
        PERFORM segment_mistake('a condition is empty', condition, format('It has one of %s.',
                                                                          array_to_string(kinds, ', ')));
    ELSIF EXISTS (SELECT FROM jsonb_object_keys(condition) k(key) WHERE k.key <> ALL (known)) OR kind IS NULL THEN
        PERFORM segment_mistake(format('unknown key in a condition: "%s"',
                                       (SELECT min(k.key) FROM jsonb_object_keys(condition) k(key)
                                        WHERE k.key <> ALL (known))), condition,
                                format(CASE WHEN kind IS NULL THEN 'A condition has one of %s.'
                                            ELSE 'There may be %s.' END, array_to_string(known, ', ')));
    END IF;
    turns := '{}';
    concerns := '{}';
    inputs := '{}';
    parts := '{}';
    IF kind IN ('and', 'or') THEN
        IF jsonb_typeof(condition -> kind) <> 'array' OR condition -> kind = '[]' THEN
            PERFORM segment_mistake(format('"%s" of a condition must be a list of conditions', kind), condition,
                                    format('Such as {"%s": [{"pattern": "web.view"}, {"pattern": "app.view"}]}.',
                                           kind));
        END IF;
        FOR made IN SELECT c.code, c.turns, c.candidates, c.concerns, c.inputs, c.parts, c.words, l.listed
                    FROM jsonb_array_elements(condition -> kind) WITH ORDINALITY l(listed, n)
                         CROSS JOIN LATERAL compile_segment(l.listed) c ORDER BY l.n LOOP
            codes := codes || made.code;
            patterns := patterns || made.candidates;
            said := said || CASE WHEN made.listed ?| '{and,or}' THEN format('(%s)', made.words) ELSE made.words END;
            turns := turns || made.turns;
            concerns := concerns || made.concerns;
            inputs := inputs || made.inputs;
            parts := parts || made.parts;
        END LOOP;
        code := format('(%s)', array_to_string(codes, CASE kind WHEN 'and' THEN ' AND ' ELSE ' OR ' END));
        words := array_to_string(said, format(' %s ', kind));
        IF array_remove(patterns, NULL) <> '{}' AND (kind = 'and' OR array_position(patterns, NULL) IS NULL) THEN
            candidates := format('(%s)', array_to_string(array_remove(patterns, NULL),
                                                         CASE kind WHEN 'and' THEN ' AND ' ELSE ' OR ' END));
        END IF;
    ELSIF kind = 'not' THEN
        SELECT c.code, c.turns, c.concerns, c.inputs, c.parts, c.words INTO made
        FROM compile_segment(condition -> 'not') c;
        code := format('(NOT %s)', made.code);
        turns := made.turns;
        concerns := made.concerns;
        inputs := made.inputs;
        parts := made.parts;
        words := CASE WHEN condition -> 'not' ?| '{and,or}' THEN format('are not among those who (%s)', made.words)
                      WHEN made.words LIKE 'were %' THEN 'were not ' || substr(made.words, 6)
                      WHEN made.words LIKE 'are in %' THEN 'are not ' || substr(made.words, 5)
                      WHEN made.words LIKE 'have done %' THEN 'have not done ' || substr(made.words, 11)
                      ELSE 'are not among those who ' || made.words END;
    ELSIF kind = 'pattern' THEN
        SELECT c.code, c.turns, c.candidates, c.concerns, c.inputs, c.words
        INTO code, turns, candidates, concerns, inputs, words
        FROM compile_pattern(condition) c;
    ELSIF kind = 'trait' THEN
        SELECT c.code, c.words INTO code, words FROM compile_trait(condition) c;
        inputs := '{traits,trait rules,settings}';  -- times without a time zone are in that of settings
    ELSIF kind = 'measure' THEN
        SELECT c.code, c.turns, c.inputs, c.words INTO code, turns, inputs, words FROM compile_measure(condition) c;
        concerns := '{%}';
    ELSE
        SELECT s.condition, s.turns, s.candidates, s.concerns, s.inputs INTO code, turns, candidates, concerns, inputs
        FROM segments s
        WHERE s.segment = condition ->> 'segment' AND jsonb_typeof(condition -> 'segment') = 'string';
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_object',
                MESSAGE = format('segment %s does not exist', condition -> 'segment'),
                DETAIL = format('Given: %s.', left(condition::text, 300)),
                HINT = 'Segments that are parts of others are made first.';
        END IF;
        parts := ARRAY[condition ->> 'segment'];
        words := format('are in segment "%s"', condition ->> 'segment');
    END IF;
    turns := coalesce(turns, '{}');
    concerns := ARRAY(SELECT DISTINCT unnest(concerns) ORDER BY 1);
    inputs := ARRAY(SELECT DISTINCT unnest(inputs) ORDER BY 1);
    parts := ARRAY(SELECT DISTINCT unnest(parts) ORDER BY 1);
    IF length(code) > 200000 THEN
        RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = 'the definition of a segment is too long',
            DETAIL = format('With the segments it names it makes %s characters of SQL; the limit is 200000.',
                            length(code));
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.compile_segment(jsonb) IS
    'a condition, in SQL and in words: code is whether it is met, candidates what journeys of all who meet it match';

CREATE OR REPLACE FUNCTION @hub@.check_segment() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    made record;
BEGIN
    LOCK TABLE segments IN SHARE ROW EXCLUSIVE MODE;  -- so that none it names changes meanwhile
    IF TG_OP = 'INSERT' AND pg_relation_size('segments') = 0 THEN  -- see note_new_customers
        PERFORM lock_politely('{segments}', 'EXCLUSIVE');
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.segment, NEW.segment_id) IS DISTINCT FROM (OLD.segment, OLD.segment_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'a segment keeps its name and its number',
            DETAIL = format('This would rename segment "%s".', OLD.segment),
            HINT = 'Make another one, and drop this one.';
    END IF;
    SELECT c.code, c.turns, c.candidates, c.concerns, c.inputs, c.parts INTO made
    FROM compile_segment(NEW.definition) c;
    IF EXISTS (WITH RECURSIVE named AS (SELECT unnest(made.parts) AS segment
                                        UNION
                                        SELECT unnest(s.parts) FROM named n JOIN segments s ON s.segment = n.segment)
               SELECT FROM named n WHERE n.segment = NEW.segment) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_recursion',
            MESSAGE = format('segment "%s" would be defined by itself', NEW.segment),
            DETAIL = format('It names %s.', array_to_string(made.parts, ', ')),
            HINT = 'Segments that it names may not name it, nor those that they name.';
    END IF;
    NEW.condition := made.code;
    NEW.turns := ARRAY(SELECT DISTINCT unnest(made.turns) ORDER BY 1);
    NEW.candidates := made.candidates;
    NEW.concerns := made.concerns;
    NEW.inputs := made.inputs;
    NEW.parts := made.parts;
    IF TG_OP = 'UPDATE' AND NEW.definition <> OLD.definition THEN
        NEW.changed_at := now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.check_segment() IS 'trigger: check a definition, and make SQL of it';
CREATE OR REPLACE TRIGGER check_segment BEFORE INSERT OR UPDATE ON @hub@.segments
    FOR EACH ROW EXECUTE FUNCTION @hub@.check_segment();

CREATE OR REPLACE FUNCTION @hub@.segment_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.condition, NEW.turns) IS NOT DISTINCT FROM (OLD.condition, OLD.turns) THEN
        RETURN NULL;
    END IF;
    INSERT INTO segment_changes (segment_id, cause) VALUES (NEW.segment_id, 'definition');
    UPDATE segments s SET definition = s.definition WHERE NEW.segment = ANY (s.parts);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.segment_changed() IS
    'trigger: look at all customers for a segment that is new or defined otherwise, and those that name it';
CREATE OR REPLACE TRIGGER segment_changed AFTER INSERT OR UPDATE ON @hub@.segments
    FOR EACH ROW EXECUTE FUNCTION @hub@.segment_changed();

-- Its number stays in rows of segment_members until they are written next: it says nothing to anybody.
CREATE OR REPLACE FUNCTION @hub@.segment_dropped() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    other text := (SELECT min(s.segment) FROM segments s WHERE OLD.segment = ANY (s.parts));
BEGIN
    IF other IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('segment "%s" can''t be dropped, because others name it', OLD.segment),
            DETAIL = format('Segment "%s" does.', other), HINT = 'Drop that one first, or define it otherwise.';
    END IF;
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;  -- the log is in the order of commits
    WITH logged AS (
        INSERT INTO segment_log AS l (segment, customer_id, entered, at, why)
        SELECT OLD.segment, m.customer_id, false, now(), '{definition}' FROM segment_members m
        WHERE OLD.segment_id = ANY (m.segments)
        ORDER BY 2
        RETURNING l.log_id, l.segment, l.customer_id, l.entered
    )
    SELECT tell(ARRAY(SELECT segment_news(l.segment, l.customer_id, l.entered) FROM logged l
                      ORDER BY l.log_id LIMIT 1001))
    FROM settings s WHERE s.one_row AND s.notify INTO other;
    DELETE FROM segment_changes c WHERE c.segment_id = OLD.segment_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.segment_dropped() IS 'trigger: all who are in a segment leave it when it is dropped';
CREATE OR REPLACE TRIGGER segment_dropped AFTER DELETE ON @hub@.segments
    FOR EACH ROW EXECUTE FUNCTION @hub@.segment_dropped();

CREATE OR REPLACE FUNCTION @hub@.segment_news(segment text, customer_id bigint, entered boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN format('{"segment": %s, "customer_id": %s, "entered": %s}', to_jsonb(segment_news.segment),
              segment_news.customer_id, segment_news.entered::text);
COMMENT ON FUNCTION @hub@.segment_news(text, bigint, boolean) IS 'what listeners are told of a row of segment_log';
