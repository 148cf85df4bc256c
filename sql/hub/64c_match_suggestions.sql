-- What to compare, and by which blocks, read off the records: to begin with.

-- By the names of fields, where that tells, else by what most of their values look like; of 20,000 records at most.
CREATE OR REPLACE FUNCTION @hub@.match_fields(
    OUT field text, OUT kind text, OUT words double precision, OUT filled double precision,
    OUT agreeing double precision)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 20 SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    WITH sampled AS MATERIALIZED (
        SELECT r.record_id, r.fields FROM match_records r
        ORDER BY hashtextextended(concat(r.source, chr(31), r.source_key), 0), r.source COLLATE "C",
                 r.source_key COLLATE "C" LIMIT 20000
    ), told AS MATERIALIZED (
        SELECT e.field, folded(btrim(e.value)) AS value, count(*)::float8 AS records
        FROM sampled s CROSS JOIN LATERAL jsonb_each_text(s.fields) e(field, value)
        WHERE btrim(e.value) <> '' GROUP BY 1, 2
    ), counted AS (
        SELECT t.field, count(*) AS different, sum(t.records) AS records,
               sum(t.records * (t.records - 1)) / greatest(sum(t.records) * (sum(t.records) - 1), 1) AS agreeing,
               sum(t.records * (t.value ~ '.@.')::integer) / sum(t.records) AS emails,
               sum(t.records * (match_level(t.value, t.value, 'date') = 4
                                OR t.value ~ '^(1[89]|20)\d\d([-./]\d\d?)?$')::integer) / sum(t.records) AS dates,
               sum(t.records * (t.value ~ '^\d\d?[-./](1[3-9]|2\d|3[01])[-./]\d')::integer)
                   > sum(t.records * (t.value ~ '^(1[3-9]|2\d|3[01])[-./]\d\d?[-./]\d')::integer) AS month_first,
               sum(t.records * (t.value ~ '\d.*\d')::integer) / sum(t.records) AS numbers,
               sum(t.records * cardinality(regexp_split_to_array(t.value, '[^[:alnum:]]+'))) / sum(t.records) AS words
        FROM told t GROUP BY t.field
    )
    SELECT c.field,
           CASE WHEN c.emails > 0.5 THEN 'email'
                WHEN c.dates > 0.5 THEN CASE WHEN c.month_first THEN 'date mdy' ELSE 'date' END
                WHEN c.field ~* 'phone|mobile|cell|fax|^tel|fone|telem|m[oó]vil' AND c.numbers > 0.5 THEN 'phone'
                WHEN c.different <= least(12, c.records / 4) OR c.agreeing > 0.2 THEN 'class'
                WHEN c.numbers > 0.7 AND c.words < 2.5 THEN 'number'
                WHEN c.field ~* ('name|^nom[eb]|nombre|apel+ido|^(given|family|forename|first|last|middle)'
                                 '(_|$)') AND c.field !~* 'user|company|city|street|place|org' THEN 'name'
                ELSE 'text' END,
           c.words, c.records / (SELECT count(*) FROM sampled s), c.agreeing
    FROM counted c WHERE c.different > 1 ORDER BY c.field COLLATE "C";
END $$;
COMMENT ON FUNCTION @hub@.match_fields() IS
    'fields of match_records: what they seem to be, how many words they have, what share of records has them, and how '
    'often two records agree that have them';

-- Of blocks that compare a record with two others at most by chance, the coarser first, for they find what finer ones
-- do.
CREATE OR REPLACE FUNCTION @hub@.suggest_matching(OUT call text) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 30 SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    n float8 := (SELECT count(*) FROM match_records r);
    fields text[] := '{}';  -- of expressions,
    expressions text[] := '{}';
    agreeing float8[] := '{}';  -- and how often two records agree in each
    taken text[] := '{}';
    one record;
    share float8;
    whole text := (SELECT f.field FROM match_fields() f WHERE f.kind = 'name' AND f.words >= 1.7
                   ORDER BY f.words DESC, f.field COLLATE "C" LIMIT 1);
    parts text[] := array(SELECT f.field FROM match_fields() f WHERE f.kind = 'name' AND f.words < 1.7);
    in_parts boolean;
BEGIN
    PERFORM begin_matching();
    -- a whole name is compared, and no part of it; of two whole ones the fuller. But if most have parts that say all of
    -- it, these are: then it weighs that given names differ, where families have the rest in common
    in_parts := (SELECT count(*) FILTER (WHERE p.words > 0) > count(*) / 2
                        AND sum(p.words) >= 0.95 * sum(p.words_of_whole) FILTER (WHERE p.words > 0)
                 FROM (SELECT (SELECT count(*) FROM unnest(parts) u(name)
                                      CROSS JOIN regexp_matches(r.fields ->> u.name, '[[:alnum:]]+', 'g')) AS words,
                              (SELECT count(*) FROM regexp_matches(r.fields ->> whole, '[[:alnum:]]+', 'g'))
                                  AS words_of_whole
                       FROM (SELECT o.fields FROM match_records o
                             ORDER BY hashtextextended(o.source_key, 0), o.source_key COLLATE "C", o.source COLLATE "C"
                             LIMIT 20000) r) p);
    FOR one IN
        SELECT f.field, f.kind, f.words FROM match_fields() f
        WHERE f.kind <> 'name' OR whole IS NULL OR CASE WHEN in_parts THEN f.words < 1.7 ELSE f.field = whole END
    LOOP
        call := format('SELECT %I.set_match(%L, %L, %L)', current_schema(), one.field, ARRAY[one.field],
                       CASE WHEN one.kind IN ('email', 'date', 'date mdy', 'phone') THEN one.kind
                            WHEN one.kind = 'name' AND in_parts THEN 'name'
                            WHEN one.kind = 'class' THEN 'exact'
                            WHEN one.kind = 'number' THEN 'document'
                            WHEN one.words < 1.5 THEN 'jaro_winkler 0.92 0.8'
                            WHEN one.kind = 'name' THEN 'name'
                            ELSE 'trigram 0.7 0.4' END);
        RETURN NEXT;
    END LOOP;
    FOR one IN
        SELECT f.field, replace(p.expression, '%s', f.field) AS expression,
               replace(p.code, '%s', format('folded(btrim(r.fields ->> %L))', f.field)) AS code
        FROM match_fields() f
             JOIN (VALUES ('whole', '%s', '%s'), ('part', 'left(%s, 3)', 'left(%s, 3)'),
                          ('text', 'left(%s, 6)', 'left(%s, 6)'),
                          ('email', 'local_part(%s)', 'split_part(%s, ''@'', 1)'),
                          ('date', 'year(%s)', 'substring(%s FROM ''[0-9]{4}'')'),
                          ('phone', 'right(digits(%s), 7)',
                           'right(regexp_replace(%s, ''[^0-9]'', '''', ''g''), 7)'),
                          ('name', 'words(%s)', 'regexp_split_to_table(%s, ''[^[:alnum:]]+'')'))
                  p(kind, expression, code)
                 ON p.kind = CASE WHEN f.kind IN ('name', 'text') AND f.words < 1.5 OR f.kind = 'number' THEN 'part'
                                  ELSE split_part(f.kind, ' ', 1) END
                    OR p.kind = 'whole' AND f.kind <> 'phone'
        WHERE f.field ~ '^[^(),\s]([^(),]*[^(),\s])?$'  -- no other can be in an expression
    LOOP
        EXECUTE format('SELECT sum(s.k * (s.k - 1)) / (max(s.n) * greatest(max(s.n) - 1, 1))
                        FROM (SELECT count(*)::float8 AS k, (SELECT count(*)::float8 FROM match_records) AS n
                              FROM match_records r CROSS JOIN LATERAL (SELECT %s) e(v) WHERE e.v <> %L GROUP BY e.v) s',
                       one.code, '') INTO share;
        fields := fields || one.field;
        expressions := expressions || one.expression;
        agreeing := agreeing || coalesce(share, 0);
    END LOOP;
    FOR one IN
        WITH e AS MATERIALIZED (
            SELECT u.field, u.expression, u.share, u.n
            FROM unnest(fields, expressions, agreeing) WITH ORDINALITY u(field, expression, share, n)
        )
        SELECT b.expressions, b.fields, b.share
        FROM (SELECT ARRAY[e.expression] AS expressions, ARRAY[e.field] AS fields, e.share FROM e
              UNION ALL
              SELECT ARRAY[e.expression, f.expression], ARRAY[e.field, f.field], e.share * f.share
              FROM e JOIN e f ON f.n > e.n AND f.field <> e.field) b
        WHERE b.share > 0 AND b.share * n / 2 <= 2
        ORDER BY b.share DESC, b.expressions COLLATE "C"
    LOOP
        -- a field as a whole finds no more than a part of it
        CONTINUE WHEN EXISTS (
            SELECT FROM unnest(taken) t(block)
            WHERE NOT EXISTS (SELECT FROM jsonb_array_elements_text(t.block::jsonb) k(expression)
                              WHERE k.expression <> ALL (one.expressions)
                                    AND NOT EXISTS (SELECT FROM unnest(fields, expressions) w(field, expression)
                                                    WHERE w.expression = k.expression
                                                          AND w.field = ANY (one.expressions))));
        taken := taken || to_jsonb(one.expressions)::text;
        call := format('SELECT %I.set_block(%L)', current_schema(), one.expressions);
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.suggest_matching() IS
    'calls of set_match and set_block that suit the records there are: look at them, change them, and run them';
