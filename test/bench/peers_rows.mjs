// peers_rows.mjs: the jobs of rows.sh for peers.mjs, in ClickHouse's and in DuckDB's SQL.

import { duckdbFunnel, duckdbLevels as levels, funnel } from './peers_patterns.mjs';

// What the queries read: the fewest rows that hold the answer.
const sequence = "(label IN ('email.open', 'email.click') OR action = 'purchase')";
const bought = "action = 'purchase' AND occurred_at < '2026-01-29'";
const weeks = [['2026-01-01', '2026-01-08'], ['2026-01-08', '2026-01-15'], ['2026-01-15', '2026-01-22'], ['2026-01-22', '2026-01-29']]
    .map(([from, to]) => `occurred_at >= '${from}' AND occurred_at < '${to}'`);
const inOrder = ' SETTINGS optimize_aggregation_in_order = 1';

// [job, name, how its meaning is another one, query]
export function clickhouse() {
    const levels = (mode, ...steps) => `
        SELECT format('{} {} {} {}', toString(countIf(r >= 1)), toString(countIf(r >= 2)),
                      toString(countIf(r >= 3)), toString(countIf(r >= 4)))
        FROM (SELECT windowFunnel(604800${mode})(occurred_at, ${steps.map((s) => `label = 'web.${s}'`).join(', ')}) AS r
              FROM touchpoints WHERE ${funnel} GROUP BY customer_id)` + inOrder;
    const pattern = "'(?1).*(?2)(?t<=604800)(?3)'";
    const conditions = "label = 'email.open', label = 'email.click', action = 'purchase'";
    const matching = (time, p = pattern) => `
        SELECT format('{} customers, ids {}', toString(count()), toString(sum(customer_id)))
        FROM (SELECT customer_id FROM touchpoints WHERE ${sequence} GROUP BY customer_id
              HAVING sequenceMatch(${p})(${time}, ${conditions}))` + inOrder;
    const counted = (time, p = pattern) => `
        SELECT format('{} matches, by customer {}', toString(sum(n)), toString(sum(n * customer_id)))
        FROM (SELECT customer_id, sequenceCount(${p})(${time}, ${conditions}) AS n
              FROM touchpoints WHERE ${sequence} GROUP BY customer_id)` + inOrder;
    // the time and, at equal times, the step in one number
    const untied = "toUInt64(toUInt32(occurred_at)) * 4 + multiIf(label = 'email.open', 0, label = 'email.click', 1, 2)";
    const gate = "'(?1).*(?2)(?t<=2419201)(?3)'";
    const unordered = 'it leaves open in which order rows of equal time come';
    const sessions = (from) => `
        SELECT format('{} sessions, by customer {}', toString(sum(n)), toString(sum(n * customer_id))) FROM (${from})`;
    return [
        ['levels', 'windowFunnel', '', levels('', 'view', 'add_to_cart', 'checkout', 'purchase')],
        ['increase', 'windowFunnel', '', levels(", 'strict_increase'", 'view', 'add_to_cart', 'checkout', 'purchase')],
        ['match', 'sequenceMatch', unordered, matching('occurred_at')],
        ['match', 'sequenceMatch, ties broken', '', matching(untied, gate)],
        ['count', 'sequenceCount', unordered, counted('occurred_at')],
        ['count', 'sequenceCount, ties broken', '', counted(untied, gate)],
        ['retention', 'retention', '', `
            SELECT format('{} {} {} {}', toString(sum(r[1])), toString(sum(r[2])), toString(sum(r[3])), toString(sum(r[4])))
            FROM (SELECT retention(${weeks.join(', ')}) AS r FROM touchpoints WHERE ${bought} GROUP BY customer_id)` + inOrder],
        ['sessions', 'lag, then a running sum', '', sessions(`
            SELECT customer_id, max(s) AS n
            FROM (SELECT customer_id, sum(first) OVER (PARTITION BY customer_id ORDER BY occurred_at ROWS UNBOUNDED PRECEDING) AS s
                  FROM (SELECT customer_id, occurred_at,
                               row_number() OVER w = 1 OR occurred_at - lagInFrame(occurred_at) OVER w > 1800 AS first
                        FROM touchpoints WINDOW w AS (PARTITION BY customer_id ORDER BY occurred_at ROWS UNBOUNDED PRECEDING)))
            GROUP BY customer_id`)],
        // counts the gaps and numbers nothing
        ['sessions', 'arrays', '', sessions(`
            SELECT customer_id, 1 + arrayCount(gap -> gap > 1800, arrayDifference(groupArray(toUInt32(occurred_at)))) AS n
            FROM touchpoints GROUP BY customer_id`) + inOrder],
        ['cohorts', 'arrays', '', `
            SELECT format('{} cells, {} customers, checksum {}', toString(count()), toString(sum(n)),
                          toString(sum(n * (bracket + 1) * (cohort - toDate('2025-12-01')))))
            FROM (SELECT cohort, bracket, count() AS n
                  FROM (SELECT groupUniqArray(toMonday(occurred_at)) AS active, arrayMin(active) AS cohort,
                               arrayJoin(arrayMap(w -> intDiv(w - cohort, 7), active)) AS bracket
                        FROM touchpoints WHERE action = 'purchase' GROUP BY customer_id)
                  GROUP BY cohort, bracket)` + inOrder],
        // last, since a customer who doesn't reach the end takes it cubic time
        ['twice', 'windowFunnel', '', levels(", 'strict_once'", 'view', 'view', 'add_to_cart', 'purchase')],
    ];
}

export function duckdb() {
    const window = 'PARTITION BY customer_id ORDER BY occurred_at';
    const sessions = (from) => `
        SELECT format('{} sessions, by customer {}', sum(n)::BIGINT, sum(n * customer_id)::BIGINT) FROM (${from})`;
    const windows = duckdbFunnel(window);
    const before = (from, to, of) => `
        SELECT c.customer_id, c.occurred_at, v.start
        FROM (FROM touchpoints WHERE label = 'web.${to}') c ASOF JOIN ${from} v
             ON c.customer_id = v.customer_id AND c.occurred_at ${of} v.occurred_at`;
    const joins = (of) => `
        WITH views AS (SELECT customer_id, occurred_at, occurred_at AS start FROM touchpoints WHERE label = 'web.view'),
             carts AS MATERIALIZED (${before('views', 'add_to_cart', of)}),
             checkouts AS MATERIALIZED (${before('carts', 'checkout', of)}),
             purchases AS (${before('checkouts', 'purchase', of)})
        SELECT format('{} {} {} {}', (SELECT count(DISTINCT customer_id) FROM views),
            (SELECT count(DISTINCT customer_id) FROM carts WHERE occurred_at - start <= INTERVAL 7 DAY),
            (SELECT count(DISTINCT customer_id) FROM checkouts WHERE occurred_at - start <= INTERVAL 7 DAY),
            (SELECT count(DISTINCT customer_id) FROM purchases WHERE occurred_at - start <= INTERVAL 7 DAY))`;
    return [
        ['levels', 'windows', '', windows],
        ['levels', 'ASOF joins', '', joins('>=')],
        ['twice', 'windows', '', levels(`
            SELECT max(CASE label WHEN 'web.view' THEN CASE WHEN occurred_at - s1 <= INTERVAL 7 DAY THEN 2 ELSE 1 END
                                  WHEN 'web.add_to_cart' THEN CASE WHEN occurred_at - s2 <= INTERVAL 7 DAY THEN 3 END
                                  WHEN 'web.purchase' THEN CASE WHEN occurred_at - s3 <= INTERVAL 7 DAY THEN 4 END END) AS r
            FROM (SELECT *, max(CASE label WHEN 'web.add_to_cart' THEN s2 END) OVER w AS s3
                  FROM (SELECT *, max(CASE label WHEN 'web.view' THEN s1 END) OVER w AS s2
                        FROM (SELECT *, max(CASE label WHEN 'web.view' THEN occurred_at END)
                                        OVER (${window} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS s1
                              FROM touchpoints WHERE ${funnel})
                        WINDOW w AS (${window}))
                  WINDOW w AS (${window}))
            GROUP BY customer_id`)],
        ['increase', 'ASOF joins', '', joins('>')],
        ['match', 'windows', '', `
            SELECT format('{} customers, ids {}', count(*), sum(customer_id)) FROM (
                SELECT DISTINCT customer_id FROM (
                    SELECT customer_id, occurred_at, action, max(CASE label WHEN 'email.click' THEN occurred_at END) OVER w AS clicked,
                           min(CASE label WHEN 'email.open' THEN occurred_at END) OVER w AS opened
                    FROM touchpoints WHERE ${sequence} WINDOW w AS (${window}))
                WHERE action = 'purchase' AND occurred_at - clicked <= INTERVAL 7 DAY AND opened <= clicked)`],
        // each purchase with the open of its latest click; then from match to match
        ['count', 'windows, recursion', '', `
            WITH RECURSIVE c AS MATERIALIZED (
                SELECT customer_id, occurred_at AS bought, opened
                FROM (SELECT *, max(CASE label WHEN 'email.click' THEN opens END) OVER w AS opened
                      FROM (SELECT customer_id, occurred_at, label, action,
                                   max(CASE label WHEN 'email.open' THEN occurred_at END) OVER w AS opens,
                                   max(CASE label WHEN 'email.click' THEN occurred_at END) OVER w AS clicked
                            FROM touchpoints WHERE ${sequence} WINDOW w AS (${window}))
                      WINDOW w AS (${window}))
                WHERE action = 'purchase' AND occurred_at - clicked <= INTERVAL 7 DAY AND opened IS NOT NULL),
            m AS (
                SELECT customer_id, min(bought) AS bought FROM c GROUP BY customer_id
                UNION ALL
                SELECT m.customer_id, min(c.bought) FROM m JOIN c ON c.customer_id = m.customer_id AND c.opened > m.bought
                GROUP BY m.customer_id)
            SELECT format('{} matches, by customer {}', count(*), sum(customer_id)) FROM m`],
        ['retention', 'bool_or', '', `
            SELECT format('{} {} {} {}', count(*) FILTER (a), count(*) FILTER (a AND b), count(*) FILTER (a AND c), count(*) FILTER (a AND d))
            FROM (SELECT bool_or(${weeks[0]}) AS a, bool_or(${weeks[1]}) AS b, bool_or(${weeks[2]}) AS c, bool_or(${weeks[3]}) AS d
                  FROM touchpoints WHERE ${bought} GROUP BY customer_id)`],
        ['sessions', 'lag, then a running sum', '', sessions(`
            SELECT customer_id, max(s) AS n
            FROM (SELECT customer_id, count(CASE WHEN gap <= INTERVAL 30 MINUTE THEN NULL ELSE 1 END)
                                      OVER (${window} ROWS UNBOUNDED PRECEDING) AS s
                  FROM (SELECT customer_id, occurred_at, occurred_at - lag(occurred_at) OVER (${window}) AS gap FROM touchpoints))
            GROUP BY customer_id`)],
        // counts the gaps and numbers nothing
        ['sessions', 'lag', '', sessions(`
            SELECT customer_id, count(CASE WHEN gap <= INTERVAL 30 MINUTE THEN NULL ELSE 1 END) AS n
            FROM (SELECT customer_id, occurred_at - lag(occurred_at) OVER (${window}) AS gap FROM touchpoints)
            GROUP BY customer_id`)],
        ['cohorts', 'windows', '', `
            SELECT format('{} cells, {} customers, checksum {}', count(*), sum(n)::BIGINT,
                          sum(n * (bracket + 1) * (cohort - DATE '2025-12-01'))::BIGINT)
            FROM (SELECT cohort, (week - cohort) // 7 AS bracket, count(*) AS n
                  FROM (SELECT week, min(week) OVER (PARTITION BY customer_id) AS cohort
                        FROM (SELECT DISTINCT customer_id, date_trunc('week', occurred_at)::DATE AS week
                              FROM touchpoints WHERE action = 'purchase'))
                  GROUP BY cohort, bracket)`],
    ];
}
