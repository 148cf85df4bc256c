-- How records are compared, and what that says: comparisons, conflicts, models.

-- Pairs were scored by other comparisons: models are to be trained anew.
CREATE OR REPLACE FUNCTION @hub@.match_definition() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET extra_float_digits = 1
AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce((SELECT jsonb_agg(jsonb_build_array(c.comparison, c.columns, c.comparator, c.thresholds,
                                                        c.term_frequency) ORDER BY c.comparison)::text
                     FROM match_comparisons c), '[]');
END $$;
COMMENT ON FUNCTION @hub@.match_definition() IS 'the comparisons, as models note them';

CREATE OR REPLACE FUNCTION @hub@.set_match(
    comparison text, columns text[], levels text DEFAULT 'exact', term_frequency boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    parts text[] := regexp_match(coalesce(levels, 'exact'), '^\s*(.*?)((?:[\s,:]+[0-9.]+)*)\s*$');
    thresholds float8[] := array(SELECT DISTINCT m.number[1]::float8
                                 FROM regexp_matches(parts[2], '[0-9.]+', 'g') m(number) ORDER BY 1 DESC);
    kind text := split_part(parts[1], ' ', 1);
    top integer;
BEGIN
    PERFORM begin_matching();
    IF comparison IS NULL OR coalesce(columns, '{}') = '{}' OR array_position(columns, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'a comparison needs a name, and fields that it compares',
            DETAIL = format('Given: %s, %s.', coalesce(comparison, 'NULL'), coalesce(columns::text, 'NULL'));
    END IF;
    PERFORM match_level('a', 'a', parts[1], thresholds);  -- an error, if there is no such comparator
    IF kind IN ('jaro_winkler', 'trigram', 'osa') THEN
        top := cardinality(thresholds) + 1;
    ELSIF thresholds <> '{}' THEN
        top := cardinality(thresholds);
    ELSE
        top := CASE kind WHEN 'exact' THEN 1 WHEN 'phone' THEN 2 WHEN 'document' THEN 3 WHEN 'date' THEN 4
                         WHEN 'email' THEN 4 WHEN 'name' THEN 6 ELSE 2 END;
    END IF;
    IF (SELECT count(*) FROM match_comparisons c WHERE c.comparison <> set_match.comparison) >= 16 THEN
        RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = 'there may be 16 comparisons',
            HINT = 'Compare several fields as one text, or drop_match one.';
    END IF;
    INSERT INTO match_comparisons (comparison, columns, comparator, thresholds, top, term_frequency)
    VALUES (set_match.comparison, set_match.columns, parts[1], thresholds, top,
            coalesce(set_match.term_frequency, true))
    ON CONFLICT ON CONSTRAINT match_comparisons_pkey DO UPDATE
    SET columns = excluded.columns, comparator = excluded.comparator, thresholds = excluded.thresholds,
        top = excluded.top, term_frequency = excluded.term_frequency;
END $$;
COMMENT ON FUNCTION @hub@.set_match(text, text[], text, boolean) IS
    'compare fields of records, as one text, by a comparator of match_level with thresholds behind it, such as '
    '"jaro_winkler 0.92 0.8". Models are to be trained anew then. term_frequency: whether a rare value that both have '
    'says more than a common one';

CREATE OR REPLACE FUNCTION @hub@.drop_match(comparison text) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_matching();
    DELETE FROM match_comparisons c WHERE c.comparison = drop_match.comparison;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @hub@.drop_match(text) IS 'drop a comparison; returns whether there was one';

CREATE OR REPLACE FUNCTION @hub@.set_conflict(columns text[] DEFAULT '{}', source text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_matching();
    IF array_position(columns, NULL) IS NOT NULL OR coalesce(columns, '{}') = '{}' AND source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'a conflict is about fields, or about the records of a source',
            DETAIL = format('Given: %s.', coalesce(columns::text, 'NULL'));
    END IF;
    INSERT INTO match_conflicts (columns, source) VALUES (coalesce(set_conflict.columns, '{}'), set_conflict.source)
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @hub@.set_conflict(text[], text) IS
    'let guesses join no records that differ in one of some fields; with a source: only records of that; and without '
    'fields: no two records of that. What a record does not say differs from nothing, and facts are stronger. Returns '
    'whether that is new';

CREATE OR REPLACE FUNCTION @hub@.drop_conflict(columns text[] DEFAULT '{}', source text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_matching();
    DELETE FROM match_conflicts c
    WHERE c.columns = drop_conflict.columns AND c.source IS NOT DISTINCT FROM drop_conflict.source;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @hub@.drop_conflict(text[], text) IS 'drop a conflict; returns whether there was one';

CREATE OR REPLACE FUNCTION @hub@.nicknames_of_matching() RETURNS bytea
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT match_nicknames(jsonb_object_agg(n.name, n.short))
            FROM (SELECT k.name, jsonb_agg(k.nickname ORDER BY k.nickname) AS short FROM match_nicknames k
                  GROUP BY k.name) n);
END $$;
COMMENT ON FUNCTION @hub@.nicknames_of_matching() IS 'match_nicknames, as match_level reads it; NULL: there are none';

-- A value that only the two have is as frequent as can be told of so many records: the rarer it is on average, the less
-- can be told.
CREATE OR REPLACE FUNCTION @hub@.term_bits(u double precision, having_it bigint, records double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ln(term_bits.u * (term_bits.records + 0.5 / term_bits.u)
          / (coalesce(greatest(term_bits.having_it, 2), 2) - 1.5)::double precision) / ln(2::double precision);
COMMENT ON FUNCTION @hub@.term_bits(double precision, bigint, double precision) IS
    'what is added for a value that so many of all records have, two of which agree in it, where two agree in u of all '
    'pairs; in bits';

CREATE OR REPLACE FUNCTION @hub@.match_probability(score double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 1 / (1 + power(2::double precision, -least(greatest(match_probability.score, -500), 500)));
COMMENT ON FUNCTION @hub@.match_probability(double precision) IS 'the probability of a score, which is in bits';

-- SQL of the comparisons, in the order of their names. values: c1, c2 ... of a record r, what is compared. terms: t1,
-- t2 ... of a row v with those, how many records of $2, the model, have the value. levels: of rows x and y, with $1,
-- nicknames; having_it: terms of both. score: of a row p with levels and those, by $3, weights of match_weights_of, $4,
-- u of the highest level of each comparison, and $5, the number of records.
CREATE OR REPLACE FUNCTION @hub@.match_code(
    OUT "values" text, OUT terms text, OUT levels text, OUT having_it text, OUT score text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET extra_float_digits = 1
AS $$
#variable_conflict use_variable
BEGIN
    SELECT string_agg(format('nullif(concat_ws('' '', %s), '''') AS c%s', f.fields, c.n), ', ' ORDER BY c.n),
           coalesce(string_agg(format('(SELECT t.records FROM match_terms t WHERE t.model = $2 AND t.comparison = %L '
                                      'AND t.term = folded(v.c%s)) AS t%2$s', c.comparison, c.n), ', ' ORDER BY c.n)
                        FILTER (WHERE c.term_frequency), 'NULL AS no_terms'),
           format('match_levels(%s)',
                  string_agg(format('match_level(x.c%1$s, y.c%1$s, %2$L, %3$L%4$s)', c.n, c.comparator, c.thresholds,
                                    CASE WHEN c.comparator ~ '^name\M' THEN ', $1' END), ', ' ORDER BY c.n)),
           string_agg(format(', greatest(x.t%1$s, y.t%1$s) AS t%1$s', c.n), '' ORDER BY c.n)
               FILTER (WHERE c.term_frequency),
           '$3[1]'
           || string_agg(format(' + coalesce($3[%s + match_level_at(p.levels, %s)], 0)', c.place, c.n), '' ORDER BY c.n)
           || coalesce(string_agg(format(' + CASE WHEN match_level_at(p.levels, %1$s) = %2$s '
                                         'THEN term_bits($4[%1$s], p.t%1$s, $5) ELSE 0 END',
                                         c.n, c.top), '' ORDER BY c.n)
                           FILTER (WHERE c.term_frequency), '')
    INTO "values", terms, levels, having_it, score
    FROM (SELECT m.comparison, m.columns, m.comparator, m.thresholds, m.top, m.term_frequency,
                 row_number() OVER (ORDER BY m.comparison) AS n,
                 2 + coalesce(sum(m.top + 1) OVER (ORDER BY m.comparison ROWS BETWEEN UNBOUNDED PRECEDING
                                                                                  AND 1 PRECEDING), 0) AS place
          FROM match_comparisons m) c
         CROSS JOIN LATERAL (SELECT string_agg(format('nullif(btrim(r.fields ->> %L), '''')', u.name), ', '
                                               ORDER BY u.n) AS fields
                             FROM unnest(c.columns) WITH ORDINALITY u(name, n)) f;
    IF "values" IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('hub %s compares nothing', current_schema()),
            HINT = format('SELECT %I.set_match(''name'', ''{name}'', ''name''); compares names.', current_schema());
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.match_code() IS 'SQL that compares and scores records';

-- weights: of no knowledge, then the logarithms of m/u of all levels of all comparisons
CREATE OR REPLACE FUNCTION @hub@.match_weights_of(
    model text, OUT weights float8[], OUT tops float8[], OUT records float8, OUT trained_at timestamptz,
    OUT found_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    known record;
BEGIN
    SELECT m.trained_at, m.found_at, m.definition, m.prior, m.records INTO known
    FROM match_models m WHERE m.model = match_weights_of.model;
    IF known.trained_at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no model %s of matching', coalesce(quote_literal(model), 'NULL')),
            HINT = format('SELECT * FROM %I.train_matches(model => %L); makes one.', current_schema(),
                          coalesce(model, 'default'));
    ELSIF known.definition <> match_definition() THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('model %L of matching was trained for other comparisons', model),
            DETAIL = format('It was trained for %s, and there are %s.', known.definition, match_definition()),
            HINT = format('Train it anew: SELECT * FROM %I.train_matches(model => %L);', current_schema(), model);
    END IF;
    trained_at := known.trained_at;
    found_at := known.found_at;
    records := known.records;
    SELECT ln(known.prior / (1 - known.prior)) / ln(2::float8)
           || array_agg(ln(w.m / w.u) / ln(2::float8) ORDER BY w.comparison, w.level),
           array_agg(w.u ORDER BY w.comparison, w.level) FILTER (WHERE w.level = c.top)
    INTO weights, tops
    FROM match_weights w JOIN match_comparisons c ON c.comparison = w.comparison
    WHERE w.model = match_weights_of.model;
END $$;
COMMENT ON FUNCTION @hub@.match_weights_of(text) IS 'a model, as SQL of match_code reads it';

-- Pairs of records that some block compares: of all records, or with one of some at least. rule: the first block.
CREATE OR REPLACE FUNCTION @hub@.match_candidates(
    ids bigint[], OUT a bigint, OUT b bigint, OUT blocks integer[])
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100000 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    WITH fresh AS MATERIALIZED (
        SELECT DISTINCT u.id FROM unnest(ids) u(id)
    ), keys AS MATERIALIZED (
        SELECT k.block, k.key
        FROM match_keys k JOIN match_blocks m ON m.block = k.block
        WHERE ids IS NULL OR (k.block, k.key) IN (SELECT f.block, f.key FROM match_keys f
                                                  WHERE f.record_id IN (SELECT s.id FROM fresh s))
        GROUP BY k.block, k.key, m.most
        HAVING count(*) BETWEEN 2 AND m.most
    ), member AS MATERIALIZED (
        SELECT k.block, k.key, k.record_id FROM keys y JOIN match_keys k ON k.block = y.block AND k.key = y.key
    ), pair AS (
        SELECT x.record_id AS a, y.record_id AS b, x.block
        FROM member x JOIN member y ON y.block = x.block AND y.key = x.key AND y.record_id > x.record_id
        WHERE ids IS NULL
        UNION ALL
        SELECT least(x.record_id, y.record_id), greatest(x.record_id, y.record_id), x.block
        FROM fresh f JOIN member x ON x.record_id = f.id
             JOIN member y ON y.block = x.block AND y.key = x.key AND y.record_id <> x.record_id
        WHERE ids IS NOT NULL
    )
    SELECT p.a, p.b, array_agg(DISTINCT p.block)
    FROM pair p
         JOIN match_records s ON s.record_id = p.a JOIN match_records t ON t.record_id = p.b
         JOIN identities i ON i.identity_id = s.identity_id JOIN identities j ON j.identity_id = t.identity_id
    WHERE i.normal_id <> j.normal_id
    GROUP BY p.a, p.b;
END $$;
COMMENT ON FUNCTION @hub@.match_candidates(bigint[]) IS 'pairs of records to compare, and the blocks that find them';

-- Dates of birth and documents stay, addresses and numbers change. It weighs where there are few records.
CREATE OR REPLACE FUNCTION @hub@.known_to_disagree(comparator text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE split_part(known_to_disagree.comparator, ' ', 1)
       WHEN 'date' THEN 0.05 WHEN 'document' THEN 0.05 WHEN 'name' THEN 0.1 ELSE 0.2 END;
COMMENT ON FUNCTION @hub@.known_to_disagree(text) IS
    'how often, before anything is seen, two records of one person are taken to disagree in what a comparator compares';

CREATE OR REPLACE FUNCTION @hub@.train_matches(
    recall double precision DEFAULT 0.9, seed bigint DEFAULT 1, model text DEFAULT 'default',
    random_pairs bigint DEFAULT 500000,
    OUT comparison text, OUT level smallint, OUT m double precision, OUT u double precision,
    OUT bits double precision)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    code record;
    nicknames bytea := nicknames_of_matching();
    n bigint;
    near bigint;        -- how many records next to each it is compared with
    numbers integer[];  -- of patterns: of which block,
    levels bigint[];
    counts float8[];    -- and how many pairs have it
    more record;
    ordered integer[];          -- blocks, by their expressions
    left_out bigint[];
    tops integer[];
    disagreeing float8[];  -- how often records of one person do, before anything is seen
    fitted float8[];
    unseen text;
BEGIN
    PERFORM begin_matching();
    IF (recall > 0 AND recall <= 1) IS NOT TRUE OR seed IS NULL OR (random_pairs > 0) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'training needs a recall above 0, to 1, a seed, and a number of random pairs',
            DETAIL = format('Given: %s, %s, %s.', coalesce(recall::text, 'NULL'), coalesce(seed::text, 'NULL'),
                            coalesce(random_pairs::text, 'NULL'));
    END IF;
    SELECT c."values", c.levels, p.names, p.comparators INTO code FROM match_code() c CROSS JOIN match_record_code() p;
    n := (SELECT count(*) FROM match_records r);
    IF n < 3 OR NOT EXISTS (SELECT FROM match_blocks b) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = CASE WHEN n < 3 THEN format('there are %s records, too few to learn from', n)
                           ELSE 'no block says which records to compare' END,
            HINT = format(CASE WHEN n < 3 THEN 'SELECT %I.take_match_records(...); takes records from a table.'
                               ELSE 'SELECT %I.set_block(''{email}''); compares those of one e-mail address.' END,
                          current_schema());
    END IF;
    INSERT INTO match_models (model) VALUES (train_matches.model) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        LOCK TABLE match_records IN SHARE ROW EXCLUSIVE MODE;  -- who writes now does not know it
    END IF;
    PERFORM FROM match_models k WHERE k.model = train_matches.model FOR NO KEY UPDATE;

    -- any two: each with those next to it in an order that hangs on keys and the seed only, the first ones next to the
    -- last; in portions, each with those behind it
    near := least((n - 1) / 2, ceil(random_pairs::numeric / n));
    EXECUTE format('WITH r AS MATERIALIZED (
                        SELECT v.n, v.portion, match_record(v.n, v.n, true, ''{}'', ARRAY[%s]::text[],
                                            array_fill(NULL::double precision, ARRAY[jsonb_array_length($4)]), $4)
                                   AS record
                        FROM (SELECT o.n, least(o.n / $3, greatest($2 / $3 - 1, 0)) AS portion, %s
                              FROM (SELECT r.fields, row_number() OVER (
                                               ORDER BY hashtextextended(concat(r.source, chr(31), r.source_key), $1),
                                                        r.source COLLATE "C", r.source_key COLLATE "C") - 1 AS n
                                    FROM match_records r) r
                                   CROSS JOIN LATERAL (SELECT r.n) o OFFSET 0) v
                    ), portion AS (
                        SELECT o.portion, array_agg(o.place) AS places, array_agg(o.record) AS records
                        FROM (SELECT x.portion, x.n AS place, x.record FROM r x
                              UNION ALL
                              SELECT CASE WHEN x.portion > 0 THEN x.portion - 1 ELSE greatest($2 / $3 - 1, 0) END,
                                     CASE WHEN x.portion > 0 THEN x.n ELSE $2 + x.n END, x.record
                              FROM r x WHERE x.n - x.portion * $3 < $5
                              ORDER BY 1 OFFSET 0) o
                        GROUP BY o.portion
                    )
                    SELECT array_agg(c.rule ORDER BY c.levels) AS numbers,
                           array_agg(c.levels ORDER BY c.levels) AS levels,
                           array_agg(c.pairs ORDER BY c.levels) AS pairs
                    FROM (SELECT p.rule, p.levels, sum(p.pairs)::float8 AS pairs
                          FROM portion s
                               CROSS JOIN LATERAL match_patterns_near(s.places, s.records, $5::integer, $4, $6) p
                          GROUP BY 1, 2) c', code.names, code."values")
    INTO more USING seed, n, greatest(near, 1000), code.comparators, near, nicknames;
    numbers := more.numbers;
    levels := more.levels;
    counts := more.pairs;

    -- those a steward has joined, -1, and kept apart, -2
    EXECUTE format('WITH r AS MATERIALIZED (
                        SELECT r.record_id, r.identity_id, %s FROM match_records r
                        WHERE EXISTS (SELECT FROM identity_pairs)
                    )
                    SELECT array_agg(p.number ORDER BY p.number, p.levels) AS numbers,
                           array_agg(p.levels ORDER BY p.number, p.levels) AS levels,
                           array_agg(p.pairs ORDER BY p.number, p.levels) AS pairs
                    FROM (SELECT d.number, %s AS levels, count(*)::float8 AS pairs
                          FROM (SELECT -1 AS number, m.a, m.b FROM node_pairs(''must'') m
                                UNION ALL SELECT -2, m.a, m.b FROM node_pairs(''cannot'') m) d
                               JOIN identities i ON i.normal_id = d.a JOIN r x ON x.identity_id = i.identity_id
                               JOIN identities j ON j.normal_id = d.b JOIN r y ON y.identity_id = j.identity_id
                          GROUP BY 1, 2) p', code."values", code.levels)
    INTO more USING nicknames;
    numbers := numbers || more.numbers;
    levels := levels || more.levels;
    counts := counts || more.pairs;

    -- pairs of blocks, each as one of all, 1, and of its blocks
    SELECT array_agg(b.block ORDER BY b.expressions COLLATE "C") INTO ordered FROM match_blocks b;
    EXECUTE match_portions_code(true, false)
            || ' SELECT array_agg(c.rule ORDER BY c.rule, c.levels) AS numbers,
                        array_agg(c.levels ORDER BY c.rule, c.levels) AS levels,
                        array_agg(c.pairs ORDER BY c.rule, c.levels) AS pairs
                 FROM (SELECT p.rule, p.levels, sum(p.pairs)::float8 AS pairs
                       FROM portion s CROSS JOIN LATERAL match_patterns(s.groups, s.records, $5, $7) p
                       GROUP BY 1, 2) c'
    INTO more
    USING NULL::bigint[], NULL::text, NULL::float8[], NULL::float8, code.comparators, ordered, nicknames;
    numbers := numbers || more.numbers;
    levels := levels || more.levels;
    counts := counts || more.pairs;

    -- comparisons of what a block is about say nothing in it
    SELECT array_agg(o.bits ORDER BY o.n) INTO left_out
    FROM (SELECT k.n, coalesce(bit_or(1::bigint << (c.n - 1)::integer), 0) AS bits
          FROM unnest(ordered) WITH ORDINALITY k(block, n) JOIN match_blocks b ON b.block = k.block
               LEFT JOIN (SELECT q.columns, row_number() OVER (ORDER BY q.comparison) AS n FROM match_comparisons q) c
                   ON c.columns && array(SELECT block_expression(x.expression)
                                         FROM unnest(b.expressions) x(expression))
          GROUP BY k.n) o;
    SELECT string_agg(c.comparison, ', ' ORDER BY c.n) INTO unseen
    FROM (SELECT q.comparison, row_number() OVER (ORDER BY q.comparison)::integer AS n FROM match_comparisons q) c
    WHERE (SELECT bit_and(o.bits) FROM unnest(left_out) o(bits)) >> (c.n - 1) & 1 = 1;
    IF unseen IS NOT NULL THEN
        RAISE NOTICE USING MESSAGE = format('nothing is learnt of how records of one person compare by: %s', unseen),
            DETAIL = 'All blocks are about fields of it.', HINT = 'Add a block without them.';
    END IF;
    SELECT array_agg(c.top ORDER BY c.comparison),
           array_agg(known_to_disagree(c.comparator) ORDER BY c.comparison)
    INTO tops, disagreeing FROM match_comparisons c;
    fitted := match_fit(numbers, levels, counts, left_out, tops, recall * n * (n - 1) / 2, disagreeing);

    DELETE FROM match_weights w WHERE w.model = train_matches.model;
    INSERT INTO match_weights (model, comparison, level, m, u)
    SELECT train_matches.model, l.comparison, l.level, fitted[1 + l.n], fitted[1 + l.n + sum(1) OVER ()]
    FROM (SELECT c.comparison, g.level, row_number() OVER (ORDER BY c.comparison, g.level) AS n
          FROM match_comparisons c CROSS JOIN LATERAL generate_series(0, c.top) g(level)) l;
    DELETE FROM match_terms t WHERE t.model = train_matches.model;
    FOR more IN SELECT c.comparison, c.n
                FROM (SELECT q.comparison, q.term_frequency, row_number() OVER (ORDER BY q.comparison) AS n
                      FROM match_comparisons q) c
                WHERE c.term_frequency LOOP
        EXECUTE format('INSERT INTO match_terms (model, comparison, term, records)
                        SELECT $1, $2, folded(v.c%s), count(*) FROM (SELECT %s FROM match_records r) v
                        WHERE folded(v.c%1$s) IS NOT NULL
                        GROUP BY 3 HAVING count(*) > 2', more.n, code."values")
            USING train_matches.model, more.comparison;
    END LOOP;
    UPDATE match_models k
    SET trained_at = now(), definition = match_definition(), records = n, recall = train_matches.recall,
        seed = train_matches.seed, prior = fitted[1], found_at = NULL
    WHERE k.model = train_matches.model;
    RETURN QUERY
    SELECT w.comparison, w.level, w.m, w.u, ln(w.m / w.u) / ln(2::float8)
    FROM match_weights w WHERE w.model = train_matches.model ORDER BY w.comparison, w.level DESC;
END $$;
COMMENT ON FUNCTION @hub@.train_matches(double precision, bigint, text, bigint) IS
    'learn, without labels, how often records of one person and of two agree on each level of each comparison. recall '
    'is what share of true pairs the blocks find, about; seed draws random pairs. What stewards have joined counts as '
    'known. Returns m, u, and bits, what a level says for or against';
