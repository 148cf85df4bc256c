-- What a query reads: read by tests of hubs by \i. They drop it. It runs the query, and counts its rows, the rows of
-- touchpoints that it reads, by index or not, and the journeys that it walks. flaws: that it reads the customers or
-- journeys of half of all or more, and nodes that should not be in its plan: windows, and walks that are kept for later. All this, unlike a plan, is the same in all versions.
CREATE FUNCTION reads(query text, OUT rows bigint, OUT walked bigint, OUT touchpoints bigint, OUT flaws text)
LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
    read bigint[];
    before bigint[];
BEGIN
    FOR n IN 1..2 LOOP
        SELECT array_agg(s.read ORDER BY s.family COLLATE "C") INTO read
        FROM (SELECT substring(t.relname FROM '^(customers|customer_journeys|touchpoints)(?=_\d|_default|$)') AS family,
                     sum(pg_stat_get_xact_tuples_returned(t.oid)
                         + (SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) FROM pg_index i
                            WHERE i.indrelid = t.oid)) AS read
              FROM pg_class t WHERE t.relnamespace = 'crm'::regnamespace AND t.relkind = 'r' GROUP BY 1) s
        WHERE s.family IS NOT NULL;
        IF n = 1 THEN
            before := read;
            EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT json) ' || query INTO plan;
        END IF;
    END LOOP;
    rows := trunc((plan -> 0 -> 'Plan' ->> 'Actual Rows')::numeric);
    touchpoints := read[3] - before[3];
    walked := (SELECT sum((f ->> 'Actual Loops')::bigint)
               FROM jsonb_path_query(plan, 'strict $.** ? (@."Node Type" == "Function Scan" && @."Function Name" starts with "journey_")') f);
    flaws := concat_ws(', ',
        CASE WHEN greatest(read[1] - before[1], read[2] - before[2]) >= (SELECT count(*) / 2 FROM crm.customers) THEN 'all customers' END,
        (SELECT string_agg(DISTINCT f #>> '{}', ', ')
         FROM jsonb_path_query(plan, 'strict $.** ? (@."Node Type" == "WindowAgg" || @."Node Type" == "Memoize"
                                      && exists(@.** ? (@."Function Name" starts with "journey_")))."Node Type"') f));
END $$;
