-- Pairs of records that may be of one person, and what is made of them.
--
-- What a pair scores hangs on its two records and the model alone, so it does not matter which came first, nor how many
-- came at once. What is accepted hangs on the pairs, on facts, and on the thresholds; accept_matches brings evidence in
-- line with it.

-- SQL of the comparisons, in the order of their names, as match_compare takes them. values: c1, c2 ... of a record r.
-- bits: of rows v with those, joined with frequencies, what two add that agree in them, by $2, the model, $3, u of the
-- highest levels, and $4, the number of records; of few rows, without a join. comparators: those of match_compare.
CREATE OR REPLACE FUNCTION @hub@.match_record_code(
    OUT "values" text, OUT names text, OUT frequencies text, OUT bits text, OUT bits_of_few text,
    OUT comparators jsonb)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    "values" := (SELECT c."values" FROM match_code() c);
    SELECT string_agg('v.c' || c.n, ', ' ORDER BY c.n),
           coalesce(string_agg(format(' LEFT JOIN match_terms t%1$s ON t%1$s.model = $2 AND t%1$s.comparison = %2$L '
                                      'AND t%1$s.term = folded(v.c%1$s)', c.n, c.comparison), '' ORDER BY c.n)
                        FILTER (WHERE c.term_frequency), ''),
           string_agg(CASE WHEN c.term_frequency THEN format('term_bits($3[%1$s], t%1$s.records, $4)', c.n)
                           ELSE 'NULL' END, ', ' ORDER BY c.n),
           string_agg(CASE WHEN c.term_frequency
                           THEN format('term_bits($3[%1$s], (SELECT t.records FROM match_terms t WHERE t.model = $2 '
                                       'AND t.comparison = %2$L AND t.term = folded(v.c%1$s)), $4)', c.n, c.comparison)
                           ELSE 'NULL' END, ', ' ORDER BY c.n),
           jsonb_agg(to_jsonb(c.comparator) || to_jsonb(c.thresholds) ORDER BY c.n)
    INTO names, frequencies, bits, bits_of_few, comparators
    FROM (SELECT m.comparison, m.comparator, m.thresholds, m.term_frequency,
                 row_number() OVER (ORDER BY m.comparison) AS n
          FROM match_comparisons m) c;
END $$;
COMMENT ON FUNCTION @hub@.match_record_code() IS 'SQL that packs records to be compared';

-- SQL of records in portions, each with some whole groups: numbers of groups, and records parallel to them. Groups are
-- those of a key that more than one record has, but not too many; of all records, or all of $1. $2 to $4: see
-- match_record_code, if frequencies matter; $5: its comparators; $6: blocks whose places, counted from 2, are the rules
-- of groups; NULL: their own numbers are. Sorts keep it in work_mem.
CREATE OR REPLACE FUNCTION @hub@.match_portions_code(is_all boolean, frequencies boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    code record;
BEGIN
    SELECT c."values", c.names, c.frequencies, c.bits INTO code FROM match_record_code() c;
    RETURN format(
        'WITH fresh AS MATERIALIZED (
             SELECT DISTINCT u.id FROM unnest($1) u(id)
         ), rule AS MATERIALIZED (
             SELECT m.block, m.most, coalesce(array_position($6, m.block) + 1, m.block)::bigint << 32 AS base
             FROM match_blocks m
         ), keyed AS (
             SELECT k.block, k.record_id, count(*) OVER (PARTITION BY k.block, k.key) AS records,
                    rank() OVER (ORDER BY k.block, k.key) AS place
             FROM %1$s
         ), member AS MATERIALIZED (
             SELECT k.record_id, r.base + k.place AS number, k.place / 2000 AS portion
             FROM keyed k JOIN rule r ON r.block = k.block WHERE k.records BETWEEN 2 AND r.most
         ), packed AS MATERIALIZED (
             SELECT v.record_id,
                    match_record(v.record_id, v.normal_id, v.is_new, v.groups, ARRAY[%2$s]::text[], %3$s, $5) AS record
             FROM (SELECT r.record_id, i.normal_id, coalesce(g.groups, ''{}'') AS groups, %4$s AS is_new, %5$s
                   FROM match_records r JOIN identities i ON i.identity_id = r.identity_id
                        %6$s JOIN (SELECT m.record_id, array_agg(m.number ORDER BY m.number) AS groups FROM member m
                              GROUP BY m.record_id) g ON g.record_id = r.record_id
                   OFFSET 0) v %7$s
         ), portion AS (
             SELECT s.portion, array_agg(s.number) AS groups, array_agg(s.record) AS records
             FROM (SELECT m.portion, m.number, p.record FROM member m JOIN packed p ON p.record_id = m.record_id
                   ORDER BY m.portion OFFSET 0) s
             GROUP BY s.portion
         )',
        CASE WHEN is_all THEN 'match_keys k'
             ELSE '(SELECT t.block, t.key, l.record_id
                    FROM (SELECT DISTINCT f.block, f.key FROM fresh s JOIN match_keys f ON f.record_id = s.id) t
                         JOIN rule q ON q.block = t.block
                         CROSS JOIN LATERAL (SELECT o.record_id FROM match_keys o
                                             WHERE o.block = t.block AND o.key = t.key LIMIT q.most + 1) l) k' END,
        code.names,
        CASE WHEN frequencies THEN format('ARRAY[%s]::double precision[]', code.bits)
             ELSE 'array_fill(NULL::double precision, ARRAY[jsonb_array_length($5)])' END,
        CASE WHEN is_all THEN 'true' ELSE 'r.record_id IN (SELECT s.id FROM fresh s)' END,
        code."values",
        -- so that it is known how many there are: those in no group are not looked at
        CASE WHEN is_all THEN 'LEFT' END,
        CASE WHEN frequencies THEN code.frequencies END);
END $$;
COMMENT ON FUNCTION @hub@.match_portions_code(boolean, boolean) IS
    'SQL of records that blocks compare, in portions for match_compare';

CREATE OR REPLACE FUNCTION @hub@.find_matches(
    since timestamptz DEFAULT NULL, model text DEFAULT 'default', keep_above double precision DEFAULT -30)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    comparators jsonb;
    known record;
    due bigint[];
    ids bigint[];  -- records to look at; NULL: all
    scored bigint;
    large bigint;
BEGIN
    PERFORM begin_matching();
    IF keep_above IS NULL OR keep_above = 'NaN' THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'keep_above must be a number';
    END IF;
    PERFORM FROM match_models m WHERE m.model = find_matches.model FOR NO KEY UPDATE;
    SELECT w.weights, w.tops, w.records, w.found_at INTO known FROM match_weights_of(find_matches.model) w;
    comparators := (SELECT c.comparators FROM match_record_code() c);
    -- before all else: what changes from now on is due again
    due := array(SELECT l.record_id
                 FROM (SELECT d.record_id FROM match_due d WHERE d.model = find_matches.model
                       ORDER BY d.record_id FOR UPDATE) l);
    DELETE FROM match_due d WHERE d.model = find_matches.model AND d.record_id = ANY (due);
    IF known.found_at IS NULL OR since = '-infinity' THEN
        DELETE FROM match_pairs p WHERE p.model = find_matches.model;
    ELSE
        ids := array(SELECT u.id FROM unnest(due) u(id)
                     UNION
                     SELECT r.record_id FROM match_records r WHERE r.changed_at >= find_matches.since);
        DELETE FROM match_pairs p WHERE p.model = find_matches.model AND (p.a = ANY (ids) OR p.b = ANY (ids));
        -- pairs that a block compares no longer, for too many agree in it by now; what was too large before had none
        WITH entered AS MATERIALIZED (
            SELECT f.block, f.key, count(*) AS fresh FROM match_keys f WHERE f.record_id = ANY (ids)
            GROUP BY f.block, f.key
        ), grown AS MATERIALIZED (
            SELECT t.block, t.key
            FROM entered t JOIN match_blocks m ON m.block = t.block
                 CROSS JOIN LATERAL (SELECT count(*) AS records
                                     FROM (SELECT FROM match_keys q WHERE q.block = t.block AND q.key = t.key
                                           LIMIT m.most + t.fresh + 1) e) c
            WHERE c.records > m.most AND c.records <= m.most + t.fresh
        ), member AS MATERIALIZED (
            SELECT k.block, k.key, k.record_id FROM grown g JOIN match_keys k ON k.block = g.block AND k.key = g.key
        ), doubtful AS (
            SELECT DISTINCT p.a, p.b
            FROM member x JOIN match_pairs p ON p.model = find_matches.model AND p.a = x.record_id
                 JOIN member y ON y.record_id = p.b AND y.block = x.block AND y.key = x.key
        ), still AS (
            SELECT c.a, c.b FROM match_candidates(array(SELECT d.a FROM doubtful d)) c
        )
        DELETE FROM match_pairs p USING doubtful d
        WHERE p.model = find_matches.model AND p.a = d.a AND p.b = d.b
              AND NOT EXISTS (SELECT FROM still s WHERE s.a = d.a AND s.b = d.b);
    END IF;
    EXECUTE match_portions_code(ids IS NULL, true)
            || ', scored AS MATERIALIZED (
                    SELECT p.a, p.b, p.rule, p.levels, p.score, p.compared
                    FROM portion s CROSS JOIN LATERAL match_compare(s.groups, s.records, $5, $7, $8, $9) p
                ), kept AS (
                    INSERT INTO match_pairs (a, b, model, score, levels, rule)
                    SELECT s.a, s.b, $2, s.score, s.levels, s.rule FROM scored s WHERE s.a IS NOT NULL
                    ORDER BY s.a, s.b
                )
                SELECT coalesce(sum(s.compared), 0) FROM scored s'
    INTO scored
    USING ids, find_matches.model, known.tops, known.records, comparators, NULL::integer[], nicknames_of_matching(),
          known.weights, keep_above;
    UPDATE match_models m SET found_at = now() WHERE m.model = find_matches.model;
    IF ids IS NULL THEN
        large := (SELECT count(*)
                  FROM (SELECT k.block, count(*) AS records FROM match_keys k GROUP BY k.block, k.key
                        HAVING count(*) > 2) t JOIN match_blocks m ON m.block = t.block
                  WHERE t.records > m.most);
    ELSE
        large := (SELECT count(*)
                  FROM (SELECT DISTINCT k.block, k.key, m.most
                        FROM match_keys k JOIN match_blocks m ON m.block = k.block WHERE k.record_id = ANY (ids)) t
                  WHERE (SELECT count(*) FROM (SELECT FROM match_keys q WHERE q.block = t.block AND q.key = t.key
                                               LIMIT t.most + 1) e) > t.most);
    END IF;
    IF large > 0 THEN
        RAISE NOTICE USING MESSAGE = format('%s groups of records are too large for their block', large),
            DETAIL = 'They are compared only where another block has them.',
            HINT = format('TABLE %I.match_large_blocks; tells which.', current_schema());
    END IF;
    RETURN scored;
END $$;
COMMENT ON FUNCTION @hub@.find_matches(timestamptz, text, double precision) IS
    'compare records that are new, or have changed, with all others, and keep the pairs that score keep_above or more; '
    'since a time: those that have changed since then besides; -infinity: all. Returns how many pairs were compared';

-- By F1, the harmonic mean of precision and recall.
CREATE OR REPLACE FUNCTION @hub@.match_threshold(model text DEFAULT 'default') RETURNS double precision
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT f.score
            FROM (SELECT p.score, sum(match_probability(p.score)) OVER (ORDER BY p.score DESC, p.a, p.b) AS right_ones,
                         row_number() OVER (ORDER BY p.score DESC, p.a, p.b) AS taken,
                         m.prior * m.records * (m.records - 1) / 2 AS all_of_them
                  FROM match_pairs p JOIN match_models m ON m.model = p.model
                  WHERE p.model = match_threshold.model) f
            ORDER BY f.right_ones / (f.taken + greatest(f.all_of_them, f.right_ones)) DESC, f.score DESC LIMIT 1);
END $$;
COMMENT ON FUNCTION @hub@.match_threshold(text) IS
    'the score from which on matches are expected to be best, precision and recall weighing the same; NULL: no pair '
    'was found';

-- Each link of match_pairs between two people, by the facts, with the strongest of its pairs; in the order of the law.
-- Where nodes are one by facts, they stand for one: the smallest.
CREATE OR REPLACE FUNCTION @hub@.match_links(
    model text, above double precision, OUT a bigint, OUT b bigint, OUT node_a bigint, OUT node_b bigint,
    OUT identifier_a @extschema@.identifier, OUT identifier_b @extschema@.identifier, OUT strength real,
    OUT conflict integer, OUT bridge bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    nodes bigint[];  -- of records,
    people bigint[]; -- and who they are by facts: parallel arrays
BEGIN
    nodes := array(SELECT DISTINCT i.normal_id FROM match_records r JOIN identities i ON i.identity_id = r.identity_id);
    WITH fact AS MATERIALIZED (
        SELECT l.a, l.b FROM stitch_links(members_of(components_of(nodes, nodes)),
                                          above => (SELECT s.quarantine_above FROM settings s)) l
        WHERE l.strength IS NULL AND l.outcome IS NULL
    ), member AS MATERIALIZED (
        SELECT g.node, g.component
        FROM @extschema@.identity_members((SELECT @extschema@.identity_components(f.a, f.b) FROM fact f)) g
    )
    SELECT array_agg(coalesce(g.component, u.node) ORDER BY u.n) INTO people
    FROM unnest(nodes) WITH ORDINALITY u(node, n) LEFT JOIN member g ON g.node = u.node;
    RETURN QUERY
    WITH person AS MATERIALIZED (
        SELECT u.node, u.person FROM unnest(nodes, people) u(node, person)
    ), of_record AS MATERIALIZED (
        SELECT r.record_id, i.normal_id AS node, i.identifier, x.person
        FROM match_records r JOIN identities i ON i.identity_id = r.identity_id JOIN person x ON x.node = i.normal_id
    ), apart AS MATERIALIZED (
        SELECT c.a, c.b FROM node_pairs('cannot') c
    ), strong AS MATERIALIZED (
        SELECT DISTINCT ON (least(x.node, y.node), greatest(x.node, y.node))
               x.node AS node_a, y.node AS node_b, x.person AS a, y.person AS b,
               x.identifier AS identifier_a, y.identifier AS identifier_b, p.score::real AS strength,
               c.a IS NULL AS taken
        FROM match_pairs p JOIN of_record x ON x.record_id = p.a JOIN of_record y ON y.record_id = p.b
             LEFT JOIN apart c ON c.a = least(x.node, y.node) AND c.b = greatest(x.node, y.node)
        WHERE p.model = match_links.model AND x.node <> y.node AND p.score::real >= match_links.above::real
        ORDER BY least(x.node, y.node), greatest(x.node, y.node), p.score::real DESC,
                 least(x.identifier, y.identifier), greatest(x.identifier, y.identifier)
    ), side AS MATERIALIZED (
        -- only what is between people who may be joined speaks for or against it
        SELECT r.record_id, r.node, r.identifier, r.person, g.component
        FROM @extschema@.identity_members((SELECT @extschema@.identity_components(t.a, t.b)
                                           FROM strong t WHERE t.taken AND t.a <> t.b)) g
             JOIN of_record r ON r.person = g.node
    ), weak AS MATERIALIZED (
        SELECT DISTINCT ON (least(x.node, y.node), greatest(x.node, y.node))
               x.node AS node_a, y.node AS node_b, x.person AS a, y.person AS b,
               x.identifier AS identifier_a, y.identifier AS identifier_b, p.score::real AS strength
        FROM match_pairs p JOIN side x ON x.record_id = p.a
             JOIN side y ON y.record_id = p.b AND y.component = x.component
        WHERE p.model = match_links.model AND x.node <> y.node AND p.score::real < match_links.above::real
        ORDER BY least(x.node, y.node), greatest(x.node, y.node), p.score::real DESC,
                 least(x.identifier, y.identifier), greatest(x.identifier, y.identifier)
    ), link AS (
        SELECT s.node_a, s.node_b, s.a, s.b, s.identifier_a, s.identifier_b, s.strength, s.taken,
               -- what a steward keeps apart no sum outweighs
               CASE WHEN s.taken THEN s.strength::float8 ELSE -1e6 END AS score
        FROM strong s
        UNION ALL
        SELECT w.node_a, w.node_b, w.a, w.b, w.identifier_a, w.identifier_b, w.strength, false,
               CASE WHEN c.a IS NULL THEN w.strength::float8 ELSE -1e6 END
        FROM weak w LEFT JOIN apart c ON c.a = least(w.node_a, w.node_b) AND c.b = greatest(w.node_a, w.node_b)
        WHERE NOT EXISTS (SELECT FROM strong s WHERE least(s.node_a, s.node_b) = least(w.node_a, w.node_b)
                                                     AND greatest(s.node_a, s.node_b) = greatest(w.node_a, w.node_b))
    ), tried AS MATERIALIZED (
        SELECT l.a, l.b, l.node_a, l.node_b, l.identifier_a, l.identifier_b, l.strength, l.score, l.taken,
               row_number() OVER (ORDER BY l.taken DESC, l.strength DESC, least(l.identifier_a, l.identifier_b),
                                           greatest(l.identifier_a, l.identifier_b)) AS number
        FROM link l
    ), told AS MATERIALIZED (
        SELECT x.person, dense_rank() OVER (ORDER BY v.conflict, v.field)::integer AS place, v.value
        FROM conflict_values(NULL) v JOIN person x ON x.node = v.node
    ), choice AS MATERIALIZED (
        SELECT h.conflict, h.number
        FROM unnest(match_choose(
                 (SELECT array_agg(l.a ORDER BY l.number) FROM tried l),
                 (SELECT array_agg(l.b ORDER BY l.number) FROM tried l),
                 (SELECT array_agg(l.score ORDER BY l.number) FROM tried l),
                 (SELECT count(*)::integer FROM tried l WHERE l.taken),
                 (SELECT coalesce(array_agg(w.person ORDER BY w.person, w.place, w.value), '{}') FROM told w),
                 (SELECT coalesce(array_agg(w.place ORDER BY w.person, w.place, w.value), '{}') FROM told w),
                 (SELECT coalesce(array_agg(w.value ORDER BY w.person, w.place, w.value), '{}') FROM told w)))
             WITH ORDINALITY h(conflict, number)
    ), joined AS MATERIALIZED (
        SELECT l.a, l.b, l.number, row_number() OVER (ORDER BY l.number) AS position
        FROM tried l JOIN choice h ON h.number = l.number WHERE l.taken AND h.conflict = 0 AND l.a <> l.b
    ), held AS (
        SELECT t.number, g.smaller
        FROM @extschema@.identity_bridges((SELECT coalesce(array_agg(t.a ORDER BY t.position), '{}') FROM joined t),
                                          (SELECT coalesce(array_agg(t.b ORDER BY t.position), '{}') FROM joined t)) g
             JOIN joined t ON t.position = g.position
    )
    SELECT l.a, l.b, l.node_a, l.node_b, l.identifier_a, l.identifier_b, l.strength, h.conflict, g.smaller
    FROM tried l JOIN choice h ON h.number = l.number LEFT JOIN held g ON g.number = l.number
    WHERE l.taken
    ORDER BY l.number;
END $$;
COMMENT ON FUNCTION @hub@.match_links(text, double precision) IS
    'what accept_matches takes: links in the order of their strength; 0, the attribute that keeps their ends apart, or '
    '-1, where all that was compared between them speaks against it; and how many people are on the smaller side where '
    'one alone holds two sides together';

CREATE OR REPLACE FUNCTION @hub@.accept_matches(
    above double precision DEFAULT NULL, review_above double precision DEFAULT NULL, model text DEFAULT 'default',
    bridge_above double precision DEFAULT NULL,
    OUT accepted bigint, OUT withdrawn bigint, OUT to_review bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    known record;
    evidence_source text := 'match ' || model;
    nodes_a bigint[];
    nodes_b bigint[];
    identifiers_a @extschema@.identifier[];
    identifiers_b @extschema@.identifier[];
    strengths real[];
    outcomes text[];
    change record;
BEGIN
    PERFORM begin_matching();
    PERFORM FROM match_models m WHERE m.model = accept_matches.model FOR NO KEY UPDATE;
    SELECT w.trained_at, w.found_at INTO known FROM match_weights_of(accept_matches.model) w;
    IF known.found_at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('model %L has found no matches yet', accept_matches.model),
            HINT = format('SELECT %I.find_matches(model => %L); does.', current_schema(), accept_matches.model);
    END IF;
    above := coalesce(above, match_threshold(accept_matches.model), 0);
    review_above := coalesce(review_above, least(above, 0) - 3);
    bridge_above := coalesce(bridge_above, above + 3);
    IF above = 'NaN' OR review_above = 'NaN' OR bridge_above = 'NaN' OR review_above > above THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'review_above must be a number, and not greater than above',
            DETAIL = format('Given: above %s, review_above %s, bridge_above %s.', above, review_above, bridge_above);
    END IF;

    SELECT array_agg(l.node_a), array_agg(l.node_b), array_agg(l.identifier_a), array_agg(l.identifier_b),
           array_agg(l.strength), array_agg(CASE WHEN l.conflict <> 0 THEN 'conflict'
                                                 WHEN l.bridge > 1 AND l.strength < bridge_above::real THEN 'bridge'
                                                 ELSE 'accepted' END)
    INTO nodes_a, nodes_b, identifiers_a, identifiers_b, strengths, outcomes
    FROM match_links(accept_matches.model, above) l;

    -- evidence that is no match any more, or of another strength, gives its keys back; all is locked at once
    WITH wanted AS MATERIALIZED (
        SELECT u.a, u.b, u.strength, least(u.a, u.b)::text || ' ' || greatest(u.a, u.b)::text AS key
        FROM unnest(identifiers_a, identifiers_b, strengths, outcomes) u(a, b, strength, outcome)
        WHERE u.outcome = 'accepted'
    ), there AS MATERIALIZED (
        SELECT e.source_key AS key, e.strength, e.identities FROM evidence e
        WHERE e.source = evidence_source AND e.retracted_at IS NULL
    ), gone AS (
        SELECT t.key, t.identities FROM there t
        WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.key = t.key AND w.strength = t.strength)
    ), fresh AS (
        SELECT w.a, w.b, w.strength FROM wanted w
        WHERE NOT EXISTS (SELECT FROM there t WHERE t.key = w.key AND t.strength = w.strength)
    )
    SELECT array(SELECT g.key FROM gone g ORDER BY g.key) AS gone,
           array(SELECT DISTINCT i.id FROM gone g CROSS JOIN LATERAL unnest(g.identities) i(id)) AS ids,
           f.a, f.b, f.strengths
    INTO change
    FROM (SELECT array_agg(r.a ORDER BY r.a, r.b) AS a, array_agg(r.b ORDER BY r.a, r.b) AS b,
                 array_agg(r.strength ORDER BY r.a, r.b) AS strengths FROM fresh r) f;
    IF change.gone <> '{}' OR change.a IS NOT NULL THEN
        PERFORM lock_ahead(change.ids,
                           array(SELECT DISTINCT u.identifier FROM unnest(change.a || change.b) u(identifier)));
    END IF;
    withdrawn := set_aside(evidence_source, change.gone);
    accepted := guess_many(change.a, change.b, change.strengths, source => evidence_source,
                           observed_at => known.trained_at);

    WITH node AS MATERIALIZED (
        SELECT r.record_id, i.normal_id AS node FROM match_records r JOIN identities i ON i.identity_id = r.identity_id
    ), apart AS MATERIALIZED (
        SELECT c.a, c.b FROM node_pairs('cannot') c
    ), pair AS MATERIALIZED (
        SELECT q.ctid AS place, q.score, q.status, least(x.node, y.node) AS a, greatest(x.node, y.node) AS b
        FROM match_pairs q JOIN node x ON x.record_id = q.a JOIN node y ON y.record_id = q.b
        WHERE q.model = accept_matches.model
              AND (q.score::real >= review_above::real OR q.status <> 'found'
                   OR (least(x.node, y.node), greatest(x.node, y.node)) IN (SELECT c.a, c.b FROM apart c))
    ), decided AS MATERIALIZED (
        SELECT k.place, k.status AS before,
               CASE WHEN c.a IS NOT NULL THEN 'cannot'
                    WHEN l.outcome IS NOT NULL THEN l.outcome
                    WHEN k.score::real >= review_above::real THEN 'review' ELSE 'found' END AS status
        FROM pair k
             LEFT JOIN unnest(nodes_a, nodes_b, outcomes) l(a, b, outcome)
                 ON least(l.a, l.b) = k.a AND greatest(l.a, l.b) = k.b AND k.score::real >= above::real
             LEFT JOIN apart c ON c.a = k.a AND c.b = k.b
    )
    UPDATE match_pairs p
    SET status = d.status
    FROM decided d
    WHERE p.ctid = d.place AND p.model = accept_matches.model AND d.status <> d.before;
    UPDATE match_models m
    SET accepted_at = now(), above = accept_matches.above, review_above = accept_matches.review_above
    WHERE m.model = accept_matches.model;
    to_review := (SELECT count(*) FROM match_review v WHERE v.model = accept_matches.model);
END $$;
COMMENT ON FUNCTION @hub@.accept_matches(double precision, double precision, text, double precision) IS
    'make evidence of the pairs that score above or more, weaker than any fact, and take back what is no such pair any '
    'more; those of review_above or more wait in match_review, and so do those below bridge_above that alone join two '
    'groups of people. above NULL: match_threshold(); review_above NULL: 3 below that, and -3 at most; bridge_above '
    'NULL: 3 above it. Returns how many guesses are new, were taken back, and how many pairs wait';

CREATE OR REPLACE VIEW @hub@.match_review WITH (security_invoker = true) AS
SELECT p.model, i.identifier AS a, j.identifier AS b, p.score,
       @hub@.match_probability(p.score) AS probability, p.status AS why,
       least(c.identities, d.identities) AS changes, i.customer_id AS customer_a,
       j.customer_id AS customer_b, p.a AS record_a, p.b AS record_b, x.fields AS fields_a, y.fields AS fields_b
FROM @hub@.match_pairs p JOIN @hub@.match_records x ON x.record_id = p.a JOIN @hub@.match_records y ON y.record_id = p.b
     JOIN @hub@.identities i ON i.identity_id = x.identity_id JOIN @hub@.identities j ON j.identity_id = y.identity_id
     JOIN @hub@.customers c ON c.customer_id = i.customer_id JOIN @hub@.customers d ON d.customer_id = j.customer_id
WHERE p.status IN ('review', 'bridge', 'conflict') AND i.customer_id <> j.customer_id
      AND NOT EXISTS (SELECT FROM @hub@.node_pairs('cannot') n
                      WHERE n.a = least(i.normal_id, j.normal_id) AND n.b = greatest(i.normal_id, j.normal_id))
ORDER BY p.status = 'bridge' DESC, least(c.identities, d.identities) DESC, p.score DESC, 2, 3;
COMMENT ON VIEW @hub@.match_review IS
    'pairs for a steward, what a decision changes most first: must_link(a, b) or cannot_link(a, b) decides';
COMMENT ON COLUMN @hub@.match_review.model IS 'model that found them';
COMMENT ON COLUMN @hub@.match_review.a IS 'an identifier';
COMMENT ON COLUMN @hub@.match_review.b IS 'another one';
COMMENT ON COLUMN @hub@.match_review.score IS 'logarithm, to base 2, of the odds that they are of one person';
COMMENT ON COLUMN @hub@.match_review.probability IS 'the same as a probability';
COMMENT ON COLUMN @hub@.match_review.why IS
    'review: not sure enough; bridge: it alone would join two groups; conflict: something keeps them apart';
COMMENT ON COLUMN @hub@.match_review.changes IS 'identities of the smaller of both customers';
COMMENT ON COLUMN @hub@.match_review.customer_a IS 'customer of a';
COMMENT ON COLUMN @hub@.match_review.customer_b IS 'customer of b';
COMMENT ON COLUMN @hub@.match_review.record_a IS 'record of a';
COMMENT ON COLUMN @hub@.match_review.record_b IS 'record of b';
COMMENT ON COLUMN @hub@.match_review.fields_a IS 'what the record of a says';
COMMENT ON COLUMN @hub@.match_review.fields_b IS 'what the record of b says';

CREATE OR REPLACE FUNCTION @hub@.retract_model(model text DEFAULT 'default') RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    evidence_source text := 'match ' || model;
BEGIN
    PERFORM begin_matching();
    PERFORM FROM match_models m WHERE m.model = retract_model.model FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no model %s of matching', coalesce(quote_literal(model), 'NULL'));
    END IF;
    UPDATE match_pairs p SET status = 'found' WHERE p.model = retract_model.model AND p.status <> 'found';
    UPDATE match_models m SET accepted_at = NULL, above = NULL, review_above = NULL WHERE m.model = retract_model.model;
    RETURN (SELECT set_aside(evidence_source, array_agg(e.source_key ORDER BY e.source_key))
            FROM evidence e WHERE e.source = evidence_source AND e.retracted_at IS NULL);
END $$;
COMMENT ON FUNCTION @hub@.retract_model(text) IS
    'take back all guesses of a model, as if it had never been; what stewards decided stays. Returns how many there '
    'were';

-- Locked together, so that two who decide much at once wait for each other instead of dying.
CREATE OR REPLACE FUNCTION @hub@.cannot_link_many(a @extschema@.identifier[], b @extschema@.identifier[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('identity_pairs', 'INSERT') THEN
        PERFORM check_may('steward');
    END IF;
    IF cardinality(coalesce(a, '{}')) <> cardinality(coalesce(b, '{}')) THEN
        RAISE EXCEPTION USING ERRCODE = 'array_subscript_error', MESSAGE = 'a pair is an identifier and another one',
            DETAIL = format('Given are %s and %s of them.', cardinality(a), cardinality(b));
    ELSIF cardinality(coalesce(a, '{}')) = 0 THEN
        RETURN 0;
    END IF;
    PERFORM lock_ahead('{}', array_remove(a || b, NULL));
    RETURN (SELECT count(*) FILTER (WHERE d.is_new)
            FROM (SELECT set_pair(u.a, u.b, 'cannot') AS is_new
                  FROM (SELECT DISTINCT least(g.a, g.b) AS a, CASE WHEN g.a IS NULL OR g.b IS NULL THEN NULL
                                                                   ELSE greatest(g.a, g.b) END AS b
                        FROM unnest(cannot_link_many.a, cannot_link_many.b) g(a, b) ORDER BY 1, 2) u
                  OFFSET 0) d);
END $$;
COMMENT ON FUNCTION @hub@.cannot_link_many(@extschema@.identifier[], @extschema@.identifier[]) IS
    'decide of pairs of identifiers that they are not one customer; returns how many of that is new';

-- Of the two identities' records the pair that scores best.
CREATE OR REPLACE FUNCTION @hub@.why_match(
    a @extschema@.identifier, b @extschema@.identifier, model text DEFAULT 'default',
    OUT step text, OUT value_a text, OUT value_b text, OUT level smallint, OUT bits double precision,
    OUT score double precision, OUT probability double precision)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    code record;
    known record;
    best record;
    one record;
    ids bigint[];
BEGIN
    PERFORM begin_matching();
    ids := array(SELECT i.normal_id FROM unnest(ARRAY[a, b]) WITH ORDINALITY u(identifier, n)
                 CROSS JOIN LATERAL (SELECT k.normal_id FROM identities k
                                     WHERE k.identity_id = identity_of(u.identifier)) i
                 ORDER BY u.n);
    IF cardinality(ids) < 2 THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('identifier %s is not known', CASE WHEN identity_of(a) IS NULL THEN a ELSE b END);
    END IF;
    SELECT w.weights, w.tops, w.records INTO known FROM match_weights_of(why_match.model) w;
    SELECT c."values", c.terms, c.levels, c.having_it, c.score INTO code FROM match_code() c;
    EXECUTE format('WITH r AS MATERIALIZED (
                        SELECT v.*, %s
                        FROM (SELECT r.record_id, i.normal_id, r.source, r.source_key, %s
                              FROM match_records r JOIN identities i ON i.identity_id = r.identity_id
                              WHERE i.normal_id = ANY ($6)) v
                    ), p AS MATERIALIZED (
                        SELECT x.record_id AS a, y.record_id AS b, x.source AS source_a, x.source_key AS key_a,
                               y.source AS source_b, y.source_key AS key_b, %s AS levels%s
                        FROM r x JOIN r y ON y.record_id <> x.record_id
                        WHERE x.normal_id = $6[1] AND y.normal_id = $6[2]
                    )
                    SELECT p.a, p.b, p.levels, %s AS score FROM p
                    ORDER BY 4 DESC, p.source_a, p.key_a, p.source_b, p.key_b LIMIT 1',
                   code.terms, code."values", code.levels, code.having_it, code.score)
    INTO best USING nicknames_of_matching(), why_match.model, known.weights, known.tops, known.records, ids;
    IF best.a IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no two records are about %s and %s', a, b), HINT = 'match_records has what is compared.';
    END IF;
    step := 'prior';
    bits := known.weights[1];
    score := bits;
    probability := match_probability(score);
    RETURN NEXT;
    FOR one IN
        SELECT c.comparison, c.top, c.n, c.place, v.a AS value_a, v.b AS value_b,
               match_level_at(best.levels, c.n::integer) AS level,
               CASE WHEN c.term_frequency
                    THEN greatest((SELECT max(t.records) FROM match_terms t
                                   WHERE t.model = why_match.model AND t.comparison = c.comparison
                                         AND t.term IN (folded(v.a), folded(v.b))), 2) END AS records
        FROM (SELECT m.comparison, m.columns, m.top, m.term_frequency, row_number() OVER (ORDER BY m.comparison) AS n,
                     2 + coalesce(sum(m.top + 1) OVER (ORDER BY m.comparison ROWS BETWEEN UNBOUNDED PRECEDING
                                                                                      AND 1 PRECEDING), 0) AS place
              FROM match_comparisons m) c
             CROSS JOIN LATERAL (
                 SELECT string_agg(nullif(btrim(x.fields ->> u.name), ''), ' ' ORDER BY u.n) AS a,
                        string_agg(nullif(btrim(y.fields ->> u.name), ''), ' ' ORDER BY u.n) AS b
                 FROM match_records x CROSS JOIN match_records y CROSS JOIN unnest(c.columns) WITH ORDINALITY u(name, n)
                 WHERE x.record_id = best.a AND y.record_id = best.b) v
        ORDER BY c.comparison
    LOOP
        step := one.comparison;
        value_a := one.value_a;
        value_b := one.value_b;
        level := one.level;
        bits := coalesce(known.weights[one.place + one.level], 0);
        score := score + bits;
        probability := match_probability(score);
        RETURN NEXT;
        IF one.level = one.top AND one.records IS NOT NULL THEN
            step := one.comparison || ', how frequent';
            bits := term_bits(known.tops[one.n], one.records, known.records);
            score := score + bits;
            probability := match_probability(score);
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.why_match(@extschema@.identifier, @extschema@.identifier, text) IS
    'what makes a model think that two identifiers are of one person, or not: the chance that any two are, then what '
    'each comparison adds in bits, and what comes of it so far; of their records the two that agree best';

CREATE OR REPLACE FUNCTION @hub@.match_of(
    fields jsonb, model text DEFAULT 'default', above double precision DEFAULT 0,
    OUT customer_id bigint, OUT identifier @extschema@.identifier, OUT source text, OUT source_key text,
    OUT score double precision, OUT probability double precision, OUT levels bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    code record;
    known record;
BEGIN
    PERFORM begin_matching();
    IF jsonb_typeof(fields) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'fields must be a JSON object',
            DETAIL = format('Given: %s.', coalesce(left(fields::text, 100), 'NULL')),
            HINT = 'Such as {"name": "Ana Silva", "email": "ana@example.pt"}.';
    END IF;
    SELECT w.weights, w.tops, w.records INTO known FROM match_weights_of(match_of.model) w;
    SELECT c."values", c.names, c.bits_of_few, c.comparators INTO code FROM match_record_code() c;
    -- one group of all: the new record, of nobody, and those that a block has with it
    RETURN QUERY EXECUTE format(
        'WITH candidate AS MATERIALIZED (
             SELECT DISTINCT l.record_id
             FROM match_block_keys($1, $6) k JOIN match_blocks m ON m.block = k.block
                  CROSS JOIN LATERAL (SELECT array_agg(e.record_id) AS ids
                                      FROM (SELECT q.record_id FROM match_keys q
                                            WHERE q.block = k.block AND q.key = k.key LIMIT m.most + 1) e) g
                  CROSS JOIN LATERAL unnest(g.ids) l(record_id)
             WHERE cardinality(g.ids) <= m.most
         ), packed AS (
             SELECT array_agg(match_record(v.record_id, v.record_id, v.is_new, ''{0}'', ARRAY[%1$s]::text[],
                                           ARRAY[%2$s]::double precision[], $5)) AS records
             FROM (SELECT r.record_id, r.is_new, %3$s
                   FROM (SELECT -9223372036854775808 AS record_id, $1 AS fields, true AS is_new
                         UNION ALL
                         SELECT o.record_id, o.fields, false FROM candidate c
                                JOIN match_records o ON o.record_id = c.record_id) r OFFSET 0) v
         )
         SELECT i.customer_id, i.identifier, r.source, r.source_key, p.score, match_probability(p.score), p.levels
         FROM packed s
              CROSS JOIN LATERAL match_compare(array_fill(0::bigint, ARRAY[cardinality(s.records)]), s.records, $5, $7,
                                               $8, $9) p
              -- one by one: there are few
              CROSS JOIN LATERAL (SELECT o.identity_id, o.source, o.source_key FROM match_records o
                                  WHERE o.record_id = p.b OFFSET 0) r
              CROSS JOIN LATERAL (SELECT o.customer_id, o.identifier FROM identities o
                                  WHERE o.identity_id = r.identity_id OFFSET 0) i
         ORDER BY p.score DESC, r.source COLLATE "C", r.source_key COLLATE "C"',
        code.names, code.bits_of_few, code."values")
    USING fields, match_of.model, known.tops, known.records, code.comparators, blocks_of_matching(),
          nicknames_of_matching(), known.weights, above;
END $$;
COMMENT ON FUNCTION @hub@.match_of(jsonb, text, double precision) IS
    'records that may be of the person whom some fields are of, by a model, likeliest first, with their customers; '
    'nothing is written';

-- By whole bits: what would come of accepting all pairs from there on.
CREATE OR REPLACE VIEW @hub@.match_report WITH (security_invoker = true) AS
SELECT s.model, s.score, s.pairs, s.pairs_above, s.right_above / s.pairs_above AS precision,
       s.right_above / greatest(s.expected, s.right_above) AS recall,
       1 - s.linked::double precision / s.records AS unlinked
FROM (SELECT g.model, g.score, g.pairs, m.prior * m.records * (m.records - 1) / 2 AS expected,
             sum(g.pairs) OVER w AS pairs_above, sum(g.right_ones) OVER w AS right_above,
             sum(g.newly_linked) OVER w AS linked,
             (SELECT greatest(count(*), 1) FROM @hub@.match_records r) AS records
      FROM (SELECT e.model, e.score, count(*) FILTER (WHERE e.side = 1) AS pairs,
                   coalesce(sum(@hub@.match_probability(e.exactly)) FILTER (WHERE e.side = 1), 0) AS right_ones,
                   count(*) FILTER (WHERE e.is_first) AS newly_linked
            FROM (SELECT p.model, floor(p.score)::integer AS score, p.score AS exactly, u.side,
                         row_number() OVER (PARTITION BY p.model, u.record_id
                                            ORDER BY p.score DESC, p.a, p.b) = 1 AS is_first
                  FROM @hub@.match_pairs p CROSS JOIN LATERAL (VALUES (1, p.a), (2, p.b)) u(side, record_id)) e
            GROUP BY e.model, e.score) g
           JOIN @hub@.match_models m ON m.model = g.model
      WINDOW w AS (PARTITION BY g.model ORDER BY g.score DESC)) s
ORDER BY s.model, s.score DESC;
COMMENT ON VIEW @hub@.match_report IS
    'what to choose a threshold by: for each score, in whole bits, what would come of accepting all pairs from there '
    'on, as the model expects it';
COMMENT ON COLUMN @hub@.match_report.model IS 'the model';
COMMENT ON COLUMN @hub@.match_report.score IS 'pairs that score so much, and less than one more';
COMMENT ON COLUMN @hub@.match_report.pairs IS 'how many there are';
COMMENT ON COLUMN @hub@.match_report.pairs_above IS 'these and all that score more';
COMMENT ON COLUMN @hub@.match_report.precision IS 'expected share of right ones among those';
COMMENT ON COLUMN @hub@.match_report.recall IS
    'expected share of those right ones among all pairs of one person there are';
COMMENT ON COLUMN @hub@.match_report.unlinked IS 'share of records that none of those pairs has';
