-- Segments: groups of customers that keep themselves.
--
-- A definition becomes SQL once, when it is written: a trigger does it, so that nobody's SQL but the hub's is ever run.
-- That is about a row e: a customer's journey, traits and open_conversations. $1 is the time it is asked for, $2
-- session_gap and $3 handoff_within of settings, $4 not_own_actions(), $5 the time zone of settings. Each condition is
-- true or false, never NULL; and periods are of fixed length, so that neither clocks that change nor who asks matter.
--
-- Whatever may change who is in a segment leaves a note in its own transaction: touchpoints, merges and splits in
-- journey_changes, all else in segment_changes. refresh() takes the notes it sees, and looks anew at those customers, for
-- all segments at once; and at those whom the clock may have moved, for each has the time at which it does so next. What
-- it sees of transactions whose notes it did not see is looked at again with them. So who is in a segment is what
-- segment_members says, but for customers with notes, or whose time has come.

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
    IF condition ?& '{within,older_than}' AND (condition ->> 'within')::interval <= (condition ->> 'older_than')::interval
    THEN
        PERFORM segment_mistake('older_than of a condition is not shorter than within', condition,
                                'Nothing is within the last day and older than two.');
    ELSIF condition ?& '{since,until}' AND (condition ->> 'since')::timestamptz >= (condition ->> 'until')::timestamptz
    THEN
        PERFORM segment_mistake('until of a condition is not later than since', condition, 'Give the earlier time first.');
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
    EXCEPTION WHEN syntax_error OR data_exception OR program_limit_exceeded OR name_too_long OR feature_not_supported THEN
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
        RAISE EXCEPTION USING ERRCODE = CASE WHEN SQLSTATE LIKE '42601' THEN 'invalid_parameter_value' ELSE SQLSTATE END,
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
                                'There are value, touchpoints, sessions, visits, handoffs, channels, open_conversations, '
                                'first_seen, last_seen and last_own_at.');
    ELSIF of_time AND (limits.words IS NOT NULL OR p.words = '') THEN
        PERFORM segment_mistake(format('a condition on %s needs within, older_than, since or until', measure), condition,
                                format('Such as {"measure": "%s", "older_than": "30 days"}.', measure));
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
                                'Put them into a list: {"and": [{"pattern": "store.purchase"}, {"trait": "$.vip == true"}]}.');
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
                                    format('Such as {"%s": [{"pattern": "web.view"}, {"pattern": "app.view"}]}.', kind));
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
    SELECT tell(ARRAY(SELECT segment_news(l.segment, l.customer_id, l.entered) FROM logged l ORDER BY l.log_id LIMIT 1001))
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

-- Notes. Rows of statements are few or many: they are only read through.
CREATE OR REPLACE FUNCTION @hub@.note_traits() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        INSERT INTO segment_changes (identity_id, cause) SELECT DISTINCT n.identity_id, 'traits' FROM new_rows n;
    END IF;
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        INSERT INTO segment_changes (identity_id, cause) SELECT DISTINCT o.identity_id, 'traits' FROM old_rows o;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_traits() IS 'trigger: something else is said of identities';
CREATE OR REPLACE TRIGGER note_new_traits AFTER INSERT ON @hub@.traits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_traits();
CREATE OR REPLACE TRIGGER note_changed_traits AFTER UPDATE ON @hub@.traits
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_traits();
CREATE OR REPLACE TRIGGER note_removed_traits AFTER DELETE ON @hub@.traits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_traits();

CREATE OR REPLACE FUNCTION @hub@.note_customers() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO segment_changes (identity_id, cause) SELECT n.customer_id, 'identities' FROM new_rows n;
    ELSE
        INSERT INTO segment_changes (identity_id, cause) SELECT o.customer_id, 'identities' FROM old_rows o;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_customers() IS 'trigger: customers are new, or gone';
CREATE OR REPLACE TRIGGER note_new_customers AFTER INSERT ON @hub@.customers
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_customers();
CREATE OR REPLACE TRIGGER note_removed_customers AFTER DELETE ON @hub@.customers
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_customers();

CREATE OR REPLACE FUNCTION @hub@.note_identity() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO segment_changes (identity_id, cause) VALUES (NEW.identity_id, 'identities');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_identity() IS 'trigger: what is said of an identity counts now, or does not any more';
CREATE OR REPLACE TRIGGER note_identity AFTER UPDATE OF blocked, shared ON @hub@.identities FOR EACH ROW
    WHEN (NEW.blocked <> OLD.blocked OR NEW.shared <> OLD.shared) EXECUTE FUNCTION @hub@.note_identity();

CREATE OR REPLACE FUNCTION @hub@.note_input() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO segment_changes (input, cause) VALUES (TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_input() IS 'trigger: what conditions on all customers hang on has changed';
CREATE OR REPLACE TRIGGER note_input AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @hub@.actions
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('actions', 'actions');
CREATE OR REPLACE TRIGGER note_input AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @hub@.trait_rules
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('trait rules', 'trait rules');
CREATE OR REPLACE TRIGGER note_input AFTER TRUNCATE ON @hub@.traits
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('traits', 'traits');
CREATE OR REPLACE TRIGGER note_input AFTER TRUNCATE ON @hub@.customers
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('all', 'identities');
CREATE OR REPLACE TRIGGER note_input AFTER UPDATE ON @hub@.settings FOR EACH ROW
    WHEN (NEW.time_zone <> OLD.time_zone OR NEW.session_gap <> OLD.session_gap
          OR NEW.handoff_within <> OLD.handoff_within)
    EXECUTE FUNCTION @hub@.note_input('settings', 'settings');

-- Open ones as customer_360 has them.
CREATE OR REPLACE VIEW @hub@.open_conversations WITH (security_invoker = true) AS
SELECT u.customer_id, u.source, u.conversation
FROM @hub@.turns u
WHERE u.conversation IS NOT NULL
GROUP BY u.customer_id, u.source, u.conversation
HAVING bool_or(u.own OR coalesce(u.turn = 'reopens', false))
       AND (max(ARRAY[(extract(epoch FROM u.occurred_at) * 1000000)::bigint, u.touchpoint_id, u.step,
                      (u.turn = 'resolves')::integer])
                FILTER (WHERE u.turn IN ('asks', 'resolves', 'reopens')))[4] IS DISTINCT FROM 1;
COMMENT ON VIEW @hub@.open_conversations IS 'conversations that are open: those customer_360 counts';
COMMENT ON COLUMN @hub@.open_conversations.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.open_conversations.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.open_conversations.conversation IS 'its name there';

CREATE OR REPLACE FUNCTION @hub@.open_conversations_of(customer_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT count(*) FROM open_conversations o WHERE o.customer_id = open_conversations_of.customer_id);
END $$;
COMMENT ON FUNCTION @hub@.open_conversations_of(bigint) IS 'how many conversations of a customer are open';

-- Personal traits are hidden from who may not read identifiers, whose answers would be wrong.
CREATE OR REPLACE FUNCTION @hub@.sees_traits() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN has_table_privilege('traits', 'SELECT')
           AND (NOT row_security_active('traits') OR has_column_privilege('identities', 'identifier', 'SELECT'));
END $$;
COMMENT ON FUNCTION @hub@.sees_traits() IS 'whether you may read personal traits too';

CREATE OR REPLACE FUNCTION @hub@.segment_named(name text) RETURNS @hub@.segments
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    named segments;
BEGIN
    IF NOT has_table_privilege('segments', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    SELECT s.segment, s.segment_id, s.definition, s.made_at, s.changed_at, s.condition, s.turns, s.candidates, s.concerns,
           s.inputs, s.parts INTO named
    FROM segments s WHERE s.segment = name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('segment %s does not exist', coalesce('"' || name || '"', 'NULL')),
            DETAIL = format('There are: %s.', coalesce((SELECT string_agg(s.segment, ', ' ORDER BY s.segment)
                                                        FROM (SELECT k.segment FROM segments k ORDER BY k.segment LIMIT 20) s),
                                                       'none')),
            HINT = format('SELECT %I.create_segment(name, definition) makes one.', current_schema());
    END IF;
    RETURN named;
END $$;
COMMENT ON FUNCTION @hub@.segment_named(text) IS 'a segment by its name; an error if there is none';

-- One statement: the customers' journeys are read once, and what is found, kept and logged is of one snapshot. A journey
-- is unpacked once, not by each condition.
--
-- Which segments a customer is looked at for are the bits of looked_at, by segment_id; of the others what was known
-- stays. Where new touchpoints are all that has changed, it is those whose patterns name the labels of these, worked out
-- once for each label. turns_at need not be exact if it is early: so it is not written each time it moves away.
CREATE OR REPLACE FUNCTION @hub@.find_segments(
    at timestamptz, ids integer[], customers bigint[], whys text[], added @extschema@.journey[])
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
#variable_conflict use_variable
DECLARE
    everybody CONSTANT boolean := customers IS NULL;
    highest CONSTANT integer := (SELECT max(s.segment_id) FROM segments s);
    all_bits varbit;
    bits varbit;
    s record;
    made record;
    news text[];
    logged bigint;
BEGIN
    IF highest IS NULL THEN
        RETURN 0;
    END IF;
    all_bits := repeat('1', highest + 1)::varbit;
    bits := (SELECT string_agg(CASE WHEN n.n = ANY (ids) THEN '1' ELSE '0' END, '' ORDER BY n.n)
             FROM generate_series(0, highest) n(n))::varbit;
    IF ids @> ARRAY(SELECT d.segment_id FROM segments d) THEN
        bits := all_bits;
    END IF;
    SELECT g.session_gap, g.handoff_within, g.time_zone, g.notify INTO s FROM settings g WHERE g.one_row;
    SELECT string_agg(format('CASE WHEN CASE WHEN get_bit(e.bits, %1$s) = 1 THEN %2$s ELSE %1$s = ANY (e.former) END '
                             'THEN %1$s END', d.segment_id, d.condition), ', ' ORDER BY d.segment_id) AS conditions,
           (SELECT string_agg(format(CASE WHEN t.segments = 1 THEN 'nullif(greatest(CASE WHEN get_bit(e.bits, %s) = 1 '
                                                                   'THEN %s END, $9), $9)'
                                          ELSE 'nullif(greatest(%2$s, $9), $9)' END, t.segment_id, t.turn), ', ')
            FROM (SELECT count(*) AS segments, min(k.segment_id) AS segment_id, t.turn
                  FROM segments k CROSS JOIN LATERAL unnest(k.turns) t(turn)
                  WHERE k.segment_id = ANY (ids) GROUP BY t.turn) t) AS turns,
           bool_or('traits' = ANY (d.inputs) AND d.segment_id = ANY (ids)) AS traits,
           bool_or(d.condition ~ 'e\.open_conversations' AND d.segment_id = ANY (ids)) AS conversations
    INTO made
    FROM segments d;
    PERFORM set_config('timezone', s.time_zone, true);
    IF cardinality(customers) < 1000 THEN
        PERFORM set_config(g.setting, 'off', true)
        FROM unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin}'::text[]) g(setting);
    END IF;
    EXECUTE format($run$
        WITH %s, compared AS MATERIALIZED (
            SELECT e.customer_id, e.why, e.former,
                   CASE WHEN e.is_there THEN array_remove(ARRAY[%s]::integer[], NULL) ELSE '{}' END AS latter,
                   CASE WHEN NOT e.is_there THEN NULL
                        WHEN e.turns_at >= $1 OR e.bits <> $11 THEN least(%s, e.turns_at)
                        ELSE %3$s END AS turns_at
            FROM (SELECT l.customer_id, l.why, l.bits, c.customer_id IS NOT NULL AS is_there,
                         coalesce(m.segments, '{}') AS former, m.turns_at,
                         CASE WHEN j.journey IS NULL THEN '{}' WHEN pg_column_size(j.journey) < 1000 THEN j.journey
                              ELSE journey_slice(j.journey, '(,)') END AS journey,
                         %s AS traits, %s AS open_conversations
                  FROM looked_at l LEFT JOIN customers c ON c.customer_id = l.customer_id
                       LEFT JOIN segment_members m ON m.customer_id = l.customer_id
                       LEFT JOIN customer_journeys j ON j.customer_id = l.customer_id
                       %s
                  OFFSET 0) e
        ), stored AS (
            INSERT INTO segment_members AS m (customer_id, segments, turns_at)
            SELECT c.customer_id, c.latter, c.turns_at FROM compared c WHERE c.latter <> '{}' OR c.turns_at IS NOT NULL
            ON CONFLICT ON CONSTRAINT segment_members_pkey DO UPDATE
            SET segments = excluded.segments, turns_at = excluded.turns_at
            WHERE (m.segments, m.turns_at) IS DISTINCT FROM (excluded.segments, excluded.turns_at)
        ), gone AS (
            DELETE FROM segment_members m USING compared c
            WHERE m.customer_id = c.customer_id AND c.latter = '{}' AND c.turns_at IS NULL
        ), logged AS (
            INSERT INTO segment_log AS l (segment, customer_id, entered, at, why)
            SELECT s.segment, c.customer_id, x.entered, $1, w.why
            FROM compared c
                 CROSS JOIN LATERAL (SELECT n.id, true AS entered
                                     FROM (SELECT unnest(c.latter) AS id EXCEPT SELECT unnest(c.former)) n
                                     UNION ALL
                                     SELECT o.id, false
                                     FROM (SELECT unnest(c.former) AS id EXCEPT SELECT unnest(c.latter)) o) x
                 JOIN segments s ON s.segment_id = x.id
                 CROSS JOIN LATERAL (SELECT coalesce(array_agg(y.why ORDER BY y.why)
                                                     FILTER (WHERE y.why = ANY (s.inputs || '{identities,definition}')),
                                                     c.why) AS why
                                     FROM unnest(c.why) y(why)) w
            WHERE c.latter <> c.former
            ORDER BY c.customer_id, x.entered, s.segment
            RETURNING l.log_id, l.segment, l.customer_id, l.entered
        )
        SELECT (SELECT count(*) FROM logged l),
               CASE WHEN $8 THEN ARRAY(SELECT segment_news(l.segment, l.customer_id, l.entered) FROM logged l
                                       ORDER BY l.log_id LIMIT 1001) END
        $run$,
        CASE WHEN everybody
             THEN $with$
        looked_at AS MATERIALIZED (
            SELECT c.customer_id, $7 AS why, $10 AS bits FROM customers c
            UNION
            SELECT m.customer_id, $7, $10 FROM segment_members m
        )$with$
             ELSE $with$
        given AS MATERIALIZED (
            SELECT u.customer_id, string_to_array(u.why, ',') AS why, journey_labels(u.added) AS labels
            FROM unnest($6, $7, $12) u(customer_id, why, added)
        ), news AS MATERIALIZED (
            SELECT n.label, (SELECT string_agg(CASE WHEN EXISTS (
                                     SELECT FROM segments s CROSS JOIN LATERAL unnest(s.concerns) c(pattern)
                                     WHERE s.segment_id = b.n
                                           AND journey_pattern_concerns(c.pattern::@extschema@.journey_pattern, n.news))
                                                    THEN '1' ELSE '0' END, '' ORDER BY b.n)::varbit
                             FROM generate_series(0, length($10) - 1) b(n)) AS bits
            FROM (SELECT d.label, format('{%s@2000-01-01T00:00:00Z}', d.label)::@extschema@.journey AS news
                  FROM (SELECT DISTINCT unnest(g.labels) AS label FROM given g) d OFFSET 0) n
        ), looked_at AS MATERIALIZED (
            SELECT g.customer_id, g.why, $10 AS bits FROM given g WHERE g.labels IS NULL
            UNION ALL
            SELECT g.customer_id, min(g.why), bit_or(n.bits)
            FROM given g CROSS JOIN LATERAL unnest(g.labels) l(label) JOIN news n ON n.label = l.label
            GROUP BY g.customer_id
        )$with$ END,
        made.conditions, coalesce('least(' || made.turns || ')', 'NULL::timestamptz'),
        CASE WHEN made.traits THEN 'p.traits' ELSE 'NULL::jsonb' END,
        CASE WHEN NOT made.conversations THEN 'NULL::bigint' WHEN everybody THEN 'coalesce(o.open, 0)'
             ELSE 'open_conversations_of(l.customer_id)' END,
        concat_ws(' ', CASE WHEN made.traits THEN 'LEFT JOIN LATERAL customer_profile_of(l.customer_id) p ON true' END,
                  CASE WHEN made.conversations AND everybody
                       THEN 'LEFT JOIN (SELECT o.customer_id, count(*) AS open FROM open_conversations o GROUP BY 1) o '
                            'ON o.customer_id = l.customer_id' END))
    INTO logged, news
    USING at, s.session_gap, s.handoff_within, not_own_actions(), s.time_zone, customers, whys, s.notify,
          at - interval '1 microsecond', bits, all_bits, added;
    PERFORM tell(news) WHERE news IS NOT NULL;
    RETURN logged;
END $$;
COMMENT ON FUNCTION @hub@.find_segments(timestamptz, integer[], bigint[], text[], @extschema@.journey[]) IS
    'find out as of a time which customers, NULL: all, are in some segments; keep and log it. Returns how many entered '
    'and left. Of each customer: whys: what has changed, with commas between (of all: a list); added: new touchpoints, '
    'if nothing else has changed';

CREATE OR REPLACE FUNCTION @hub@.refresh_segments(
    at timestamptz DEFAULT now(), changed bigint[] DEFAULT '{}', everything boolean DEFAULT false,
    added @extschema@.journey[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    noted record;
    causes text[];
    inputs text[];
    whole integer[];
    customers bigint[];
    whys text[];
    news @extschema@.journey[];
    logged bigint := 0;
BEGIN
    IF NOT has_table_privilege('refresh_lock', 'UPDATE') THEN
        PERFORM check_may('steward');
    END IF;
    at := coalesce(at, now());
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    IF NOT sees_all_journeys() OR NOT sees_traits() THEN  -- somebody will who sees all of them
        INSERT INTO segment_changes (identity_id, cause) SELECT c.id, 'touchpoints' FROM unnest(changed) c(id);
        INSERT INTO segment_changes (input, cause) SELECT 'all', 'touchpoints' WHERE everything;
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM segment_changes c RETURNING c.identity_id, c.segment_id, c.input, c.cause
    )
    SELECT array_agg(t.identity_id) FILTER (WHERE t.identity_id IS NOT NULL) AS ids,
           array_agg(t.cause) FILTER (WHERE t.identity_id IS NOT NULL) AS whys,
           array_agg(DISTINCT t.segment_id) FILTER (WHERE t.segment_id IS NOT NULL) AS segments,
           array_agg(DISTINCT t.input) FILTER (WHERE t.input IS NOT NULL) AS inputs,
           array_agg(DISTINCT t.cause) FILTER (WHERE t.identity_id IS NULL) AS causes
    INTO noted FROM taken t;
    causes := coalesce(noted.causes, '{}') || CASE WHEN everything THEN '{touchpoints}'::text[] END;
    inputs := coalesce(noted.inputs, '{}') || CASE WHEN everything THEN '{all}'::text[] END;
    IF at < (SELECT c.evaluated_at FROM segment_clock c WHERE c.one_row) THEN  -- the clock was put back
        causes := causes || ARRAY['time'];
        inputs := inputs || ARRAY['time'];
    END IF;
    IF NOT EXISTS (SELECT FROM segments s) THEN
        DELETE FROM segment_members;
    ELSE
        whole := ARRAY(SELECT s.segment_id FROM segments s
                       WHERE s.segment_id = ANY (noted.segments) OR s.inputs && inputs OR 'all' = ANY (inputs) ORDER BY 1);
        IF whole <> '{}' THEN
            logged := find_segments(at, whole, NULL, causes, NULL);
        END IF;
        SELECT array_agg(w.customer_id), array_agg(w.why), array_agg(w.added) INTO customers, whys, news
        FROM (SELECT c.customer_id, string_agg(DISTINCT c.why, ',' ORDER BY c.why) AS why,
                     CASE count(*) WHEN 1 THEN (array_agg(c.added))[1] END AS added
              FROM (SELECT u.customer_id, 'touchpoints' AS why, u.added FROM unnest(changed, added) u(customer_id, added)
                    UNION ALL
                    SELECT i.customer_id, n.why, NULL
                    FROM unnest(noted.ids, noted.whys) n(id, why)
                         CROSS JOIN LATERAL (SELECT k.customer_id FROM identities k WHERE k.identity_id = n.id OFFSET 0) i
                    UNION ALL
                    SELECT n.id, n.why, NULL FROM unnest(noted.ids, noted.whys) n(id, why) WHERE n.why <> 'traits'
                    UNION ALL
                    SELECT m.customer_id, 'time', NULL FROM segment_members m WHERE m.turns_at < at) c
              GROUP BY c.customer_id) w;
        IF customers IS NOT NULL THEN
            logged := logged + find_segments(at, ARRAY(SELECT s.segment_id FROM segments s ORDER BY 1), customers, whys,
                                             news);
        END IF;
    END IF;
    UPDATE segment_clock c SET evaluated_at = at WHERE c.one_row AND c.evaluated_at IS DISTINCT FROM at;
    RETURN logged;
END $$;
COMMENT ON FUNCTION @hub@.refresh_segments(timestamptz, bigint[], boolean, @extschema@.journey[]) IS
    'bring segment_members up to date, as of a time, and log who entered and left; returns how many. refresh() does it, '
    'and tells which customers'' journeys have changed, and of each what has been added if that is all; or everything';

-- Live, of one customer: what refresh() would find now.
CREATE OR REPLACE FUNCTION @hub@.evaluate_segments(customer_id bigint, ids integer[], at timestamptz) RETURNS integer[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    made record;
    journey @extschema@.journey;
    traits jsonb;
    conversations bigint;
    those integer[];
BEGIN
    SELECT g.session_gap, g.handoff_within, g.time_zone INTO s FROM settings g WHERE g.one_row;
    SELECT string_agg(format('CASE WHEN %s THEN %s END', d.condition, d.segment_id), ', ' ORDER BY d.segment_id)
               AS conditions,
           bool_or('traits' = ANY (d.inputs)) AS traits,
           bool_or(d.condition ~ 'e\.open_conversations') AS conversations
    INTO made
    FROM segments d WHERE d.segment_id = ANY (ids);
    IF made.conditions IS NULL THEN
        RETURN '{}';
    END IF;
    journey := coalesce((SELECT j.journey FROM journeys_by_customer j WHERE j.customer_id = evaluate_segments.customer_id),
                        '{}');
    IF made.traits THEN
        traits := (SELECT p.traits FROM customer_profile_of(customer_id) p);
    END IF;
    IF made.conversations THEN
        conversations := open_conversations_of(customer_id);
    END IF;
    PERFORM set_config('timezone', s.time_zone, true);
    EXECUTE format('SELECT array_remove(ARRAY[%s]::integer[], NULL) '
                   'FROM (SELECT $6 AS journey, $7 AS traits, $8 AS open_conversations OFFSET 0) e', made.conditions)
    INTO those
    USING at, s.session_gap, s.handoff_within, CASE WHEN made.conditions ~ '\$4' THEN not_own_actions() END, s.time_zone,
          journey, traits, conversations;
    RETURN those;
END $$;
COMMENT ON FUNCTION @hub@.evaluate_segments(bigint, integer[], timestamptz) IS
    'in which of some segments a customer is, as of a time';

CREATE OR REPLACE FUNCTION @hub@.in_segment(name text, customer_id bigint, at timestamptz DEFAULT now()) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    s segments := segment_named(name);
    who bigint := current_customer(customer_id);
BEGIN
    IF NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = who) THEN
        RETURN NULL;
    ELSIF 'traits' = ANY (s.inputs) AND NOT sees_traits() THEN
        RETURN EXISTS (SELECT FROM segment_members m WHERE m.customer_id = who AND s.segment_id = ANY (m.segments));
    END IF;
    RETURN evaluate_segments(who, ARRAY[s.segment_id], coalesce(at, now())) <> '{}';
END $$;
COMMENT ON FUNCTION @hub@.in_segment(text, bigint, timestamptz) IS
    'whether a customer is in a segment, as of now or by the clock of another time; a former number stands for the '
    'customer of now. NULL: there is no such customer. Who may not see personal traits is told what the last refresh() '
    'found, where the segment asks for traits';

CREATE OR REPLACE FUNCTION @hub@.segments_of(customer_id bigint, at timestamptz DEFAULT now()) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 5 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    who bigint;
    all_ids integer[];
    unseen integer[];
    ids integer[];
BEGIN
    IF NOT has_table_privilege('segments', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    who := current_customer(customer_id);
    at := coalesce(at, now());
    IF NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = who) THEN
        RETURN;
    END IF;
    ids := (SELECT m.segments FROM segment_members m WHERE m.customer_id = who);
    -- what refresh() has found holds, unless something has changed
    IF NOT reads_stored() OR (SELECT c.evaluated_at <= at FROM segment_clock c WHERE c.one_row) IS NOT TRUE
       OR EXISTS (SELECT FROM segment_changes c WHERE c.identity_id IS NULL)
       OR EXISTS (SELECT FROM segment_members m WHERE m.customer_id = who AND m.turns_at < at)
       OR EXISTS (SELECT FROM unnest(ARRAY(SELECT i.identity_id FROM identities i WHERE i.customer_id = who) || who) n(id)
                  WHERE EXISTS (SELECT FROM segment_changes c WHERE c.identity_id = n.id)
                        OR EXISTS (SELECT FROM journey_changes c WHERE c.identity_id = n.id)) THEN
        all_ids := ARRAY(SELECT s.segment_id FROM segments s);
        unseen := CASE WHEN sees_traits() THEN '{}'
                       ELSE ARRAY(SELECT s.segment_id FROM segments s WHERE 'traits' = ANY (s.inputs)) END;
        ids := evaluate_segments(who, ARRAY(SELECT unnest(all_ids) EXCEPT SELECT unnest(unseen)), at)
               || ARRAY(SELECT unnest(ids) INTERSECT SELECT unnest(unseen));
    END IF;
    RETURN QUERY SELECT s.segment FROM segments s WHERE s.segment_id = ANY (ids) ORDER BY s.segment;
END $$;
COMMENT ON FUNCTION @hub@.segments_of(bigint, timestamptz) IS
    'the segments a customer is in, by name, as in_segment says';

CREATE OR REPLACE FUNCTION @hub@.segment_members(name text, at timestamptz DEFAULT now()) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    d segments := segment_named(name);
    s record;
BEGIN
    IF 'traits' = ANY (d.inputs) AND NOT sees_traits() THEN
        RETURN QUERY SELECT m.customer_id FROM segment_members m WHERE d.segment_id = ANY (m.segments);
        RETURN;
    END IF;
    SELECT g.session_gap, g.handoff_within, g.time_zone INTO s FROM settings g WHERE g.one_row;
    PERFORM set_config('timezone', s.time_zone, true);
    RETURN QUERY EXECUTE format(
        'SELECT e.customer_id FROM (SELECT j.customer_id, coalesce(j.journey, ''{}'') AS journey, %s AS traits, '
        '%s AS open_conversations FROM (%s) j %s OFFSET 0) e WHERE %s',
        CASE WHEN 'traits' = ANY (d.inputs) THEN 'p.traits' ELSE 'NULL::jsonb' END,
        CASE WHEN d.condition !~ 'e\.open_conversations' THEN 'NULL::bigint'
             WHEN d.candidates IS NULL THEN 'coalesce(o.open, 0)'
             ELSE 'open_conversations_of(j.customer_id)' END,
        coalesce('SELECT j.customer_id, j.journey FROM current_journeys j WHERE ' || d.candidates,
                 'SELECT c.customer_id, j.journey FROM customers c LEFT JOIN journeys_by_customer j '
                 'ON j.customer_id = c.customer_id'),
        concat_ws(' ', CASE WHEN 'traits' = ANY (d.inputs)
                            THEN 'LEFT JOIN LATERAL customer_profile_of(j.customer_id) p ON true' END,
                  CASE WHEN d.condition ~ 'e\.open_conversations' AND d.candidates IS NULL
                       THEN 'LEFT JOIN (SELECT o.customer_id, count(*) AS open FROM open_conversations o GROUP BY 1) o '
                            'ON o.customer_id = j.customer_id' END),
        d.condition)
    USING coalesce(at, now()), s.session_gap, s.handoff_within, not_own_actions(), s.time_zone;
END $$;
COMMENT ON FUNCTION @hub@.segment_members(text, timestamptz) IS
    'the customers who are in a segment, as in_segment says; where its patterns allow, by the index of journeys';

CREATE OR REPLACE FUNCTION @hub@.segment_text(name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    d segments := segment_named(name);
BEGIN
    RETURN (SELECT format('Customers who %s.', c.words) FROM compile_segment(d.definition) c);
END $$;
COMMENT ON FUNCTION @hub@.segment_text(text) IS 'who is in a segment, in English';

CREATE OR REPLACE FUNCTION @hub@.explain_segment(name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    d segments := segment_named(name);
BEGIN
    RETURN concat_ws(E'\n', segment_text(name),
        CASE WHEN d.candidates IS NOT NULL
             THEN format('Found by the index of journeys, among those that match %s.',
                         replace(replace(d.candidates, 'j.journey ~ ', ''), '::@extschema@.journey_pattern', ''))
             ELSE 'Found by reading all customers: there is no pattern that all of them must match.' END,
        format('It may change by %s.', array_to_string(array_replace(d.inputs, 'time', 'time alone'), ', ')));
END $$;
COMMENT ON FUNCTION @hub@.explain_segment(text) IS
    'who is in a segment, in English, how segment_members finds them, and by what they may enter or leave';

CREATE OR REPLACE FUNCTION @hub@.create_segment(name text, definition jsonb, replace boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('segments', 'INSERT') THEN
        PERFORM check_may('steward');
    ELSIF name IS NULL OR octet_length(name) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION USING ERRCODE = CASE WHEN name IS NULL THEN 'null_value_not_allowed'
                                             ELSE 'invalid_parameter_value' END,
            MESSAGE = 'the name of a segment must have 1 to 255 bytes',
            DETAIL = format('Given: %s.', coalesce('"' || left(name, 60) || '"', 'NULL'));
    ELSIF definition IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'definition must not be NULL';
    END IF;
    LOCK TABLE segments IN SHARE ROW EXCLUSIVE MODE;
    IF NOT replace AND EXISTS (SELECT FROM segments s WHERE s.segment = name) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('segment "%s" already exists', name),
            DETAIL = segment_text(name), HINT = 'replace => true defines it otherwise.';
    END IF;
    INSERT INTO segments (segment, definition, condition, turns, concerns, inputs, parts)
    SELECT name, definition, '', '{}', '{}', '{}', '{}' WHERE NOT EXISTS (SELECT FROM segments s WHERE s.segment = name);
    IF NOT FOUND THEN
        UPDATE segments s SET definition = create_segment.definition WHERE s.segment = name;
    END IF;
    RETURN explain_segment(name);
END $$;
COMMENT ON FUNCTION @hub@.create_segment(text, jsonb, boolean) IS
    'make a segment, or define it otherwise; returns what explain_segment says. The next refresh() finds who is in it';

CREATE OR REPLACE FUNCTION @hub@.drop_segment(name text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('segments', 'DELETE') THEN
        PERFORM check_may('steward');
    END IF;
    PERFORM segment_named(name);
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE segments IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM segments s WHERE s.segment = name;
END $$;
COMMENT ON FUNCTION @hub@.drop_segment(text) IS
    'drop a segment; all whom refresh() found in it leave it, as segment_log says';

CREATE OR REPLACE FUNCTION @hub@.take_segment_events(at_most integer DEFAULT 100) RETURNS SETOF @hub@.segment_log
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('segment_log', 'taken_at', 'UPDATE') THEN
        PERFORM check_may('writer');
    ELSIF at_most < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'at_most must not be negative',
            DETAIL = format('Given: %s.', at_most);
    END IF;
    RETURN QUERY
    WITH next AS MATERIALIZED (
        SELECT l.log_id FROM segment_log l WHERE l.taken_at IS NULL ORDER BY l.log_id LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE segment_log l SET taken_at = clock_timestamp() FROM next n WHERE l.log_id = n.log_id
        RETURNING l.log_id, l.segment, l.customer_id, l.entered, l.at, l.why, l.taken_at
    )
    SELECT t.log_id, t.segment, t.customer_id, t.entered, t.at, t.why, t.taken_at FROM taken t ORDER BY t.log_id;
END $$;
COMMENT ON FUNCTION @hub@.take_segment_events(integer) IS
    'the oldest rows of segment_log that nobody has taken, and nobody is taking at the moment; they are taken when the '
    'transaction commits';

CREATE OR REPLACE VIEW @hub@.customer_segments WITH (security_invoker = true) AS
SELECT m.customer_id, s.segment
FROM @hub@.segment_members m JOIN @hub@.segments s ON s.segment_id = ANY (m.segments);
COMMENT ON VIEW @hub@.customer_segments IS 'who is in which segment as of the last refresh(), a row each';
COMMENT ON COLUMN @hub@.customer_segments.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.customer_segments.segment IS 'the segment';

-- What an upgrade makes otherwise of definitions
UPDATE @hub@.segments SET definition = definition;
