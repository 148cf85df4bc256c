// peers_patterns.mjs: the pattern jobs of patterns.sh for peers.mjs, in ClickHouse's and in DuckDB's SQL.

// What the queries read: the fewest rows that hold the answer.
export const funnel = "label IN ('web.view', 'web.add_to_cart', 'web.checkout', 'web.purchase')";
const sequence = "(label IN ('email.open', 'email.click') OR action IN ('purchase', 'complaint'))";
const contact = "(label = 'whatsapp.message' OR action = 'resolve')";
const running = 'PARTITION BY customer_id ORDER BY occurred_at, channel, action ROWS UNBOUNDED PRECEDING';

const atTies = 'at equal times it takes the steps in the order of the funnel, a journey has them in the order of labels';

// [job, name, how its meaning is another one, query]; a job 'strict' is not timed.
export function clickhouse() {
    const levels = (from) => `
        SELECT format('{} {} {} {}', toString(countIf(r >= 1)), toString(countIf(r >= 2)),
                      toString(countIf(r >= 3)), toString(countIf(r >= 4))) FROM (${from})`;
    const windowFunnel = (mode) => levels(`
        SELECT windowFunnel(604800${mode})(occurred_at, label = 'web.view', label = 'web.add_to_cart',
                                           label = 'web.checkout', label = 'web.purchase') AS r
        FROM touchpoints WHERE ${funnel} GROUP BY customer_id`)
        + ' SETTINGS optimize_aggregation_in_order = 1';
    const who = (from) => `
        SELECT format('{} customers, ids {}', toString(count()), toString(sum(customer_id))) FROM (${from})`;
    const times = (from) => `
        SELECT format('{} matches, by customer {}', toString(sum(n)), toString(sum(n * customer_id))) FROM (${from})`;
    // One array a customer, in the order the table is read. m: 1 a click that counts, 2 a complaint, 0 else, then
    // the last of these that was not 0; 1 at a purchase is a match.
    const arrays = (where, clicked, between) => who(`
        SELECT customer_id, groupArray(toUInt32(occurred_at)) AS at,
               groupArray(multiIf(label = 'email.open', 1, label = 'email.click', 2,
                                  action = 'purchase', 3, action = 'complaint', 4, 0)::UInt8) AS kinds,
               indexOf(kinds, 1) AS opened
        FROM touchpoints WHERE ${where} GROUP BY customer_id
        HAVING opened > 0 AND has(kinds, 2) AND has(kinds, 3)
               AND arrayExists((k, m) -> k = 3 AND m = 1, kinds, arrayFill(m -> m > 0,
                       arrayMap((k, i, t, b) -> multiIf(k = 4, 2, k = 2 AND ${clicked}, 1, 0)::UInt8,
                                kinds, arrayEnumerate(kinds), at, ${between})))`)
        + ' SETTINGS optimize_aggregation_in_order = 1';
    return [
        ['funnel', 'windowFunnel', atTies, windowFunnel('')],
        ['strict', 'windowFunnel', '', windowFunnel(", 'strict_increase'")],
        ['sequence', 'windows', '', who(`
            SELECT DISTINCT customer_id FROM (
                SELECT customer_id, outcomes FROM (
                    SELECT customer_id, occurred_at, label, action, maxIf(occurred_at, label = 'email.open') OVER w AS opened,
                           countIf(action IN ('purchase', 'complaint')) OVER w
                           - (action IN ('purchase', 'complaint')) AS outcomes
                    FROM touchpoints WHERE ${sequence} WINDOW w AS (${running}))
                GROUP BY customer_id, outcomes
                HAVING max(label = 'email.click' AND occurred_at - opened <= 86400) AND max(action = 'purchase'))`)],
        ['sequence', 'arrays', '',
            arrays(sequence, 'i > opened AND t - b <= 86400', 'arrayFill((t, k) -> k = 1, at, kinds)')],
        ['sequence', 'sequenceMatch', 'it has no "no complaint between"', who(`
            SELECT customer_id FROM touchpoints WHERE label IN ('email.open', 'email.click') OR action = 'purchase'
            GROUP BY customer_id
            HAVING sequenceMatch('(?1)(?t<=86400)(?2).*(?3)')(occurred_at, label = 'email.open',
                                                              label = 'email.click', action = 'purchase')`)],
        ['any', 'windows', '', who(`
            SELECT DISTINCT customer_id FROM (
                SELECT customer_id, outcomes FROM (
                    SELECT customer_id, occurred_at, label, action, countIf(label = 'email.open') OVER w AS opens,
                           lagInFrame(label) OVER w AS label_before, lagInFrame(occurred_at) OVER w AS before,
                           countIf(action IN ('purchase', 'complaint')) OVER w
                           - (action IN ('purchase', 'complaint')) AS outcomes
                    FROM touchpoints WINDOW w AS (${running}))
                GROUP BY customer_id, outcomes
                HAVING max(label = 'email.click' AND occurred_at - before <= 86400
                           AND opens > (label_before = 'email.open')) AND max(action = 'purchase'))`)],
        ['any', 'arrays', '', arrays('1', 'i >= opened + 2 AND b <= 86400', 'arrayDifference(at)')],
        ['any', 'sequenceMatch', 'it has no "no complaint between"', who(`
            SELECT customer_id FROM touchpoints GROUP BY customer_id
            HAVING sequenceMatch('(?1).*(?4)(?t<=86400)(?2).*(?3)')(occurred_at, label = 'email.open',
                       label = 'email.click', action = 'purchase', channel != '')`)],
        ['repeat', 'windows', '', times(`
            SELECT customer_id, intDiv(count(), 2) AS n FROM (
                SELECT customer_id, action, sum(NOT joined) OVER (${running}) AS run FROM (
                    SELECT customer_id, occurred_at, channel, action,
                           action = 'message' AND lagInFrame(action) OVER w = 'message'
                           AND occurred_at - lagInFrame(occurred_at) OVER w <= 172800 AS joined
                    FROM touchpoints WHERE ${contact} WINDOW w AS (${running})))
            WHERE action = 'message' GROUP BY customer_id, run`)],
        ['repeat', 'arrays', '', times(`
            SELECT customer_id, groupArray(toUInt32(occurred_at)) AS at, groupArray(action = 'message') AS message,
                   arraySum(run -> intDiv(arraySum(run), 2), arraySplit((m, apart) -> apart, message,
                       arrayMap((m, before, gap) -> NOT m OR NOT before OR gap > 172800,
                                message, arrayPopBack(arrayPushFront(message, 0)), arrayDifference(at)))) AS n
            FROM touchpoints WHERE ${contact} GROUP BY customer_id`)
            + ' SETTINGS optimize_aggregation_in_order = 1'],
        ['repeat', 'sequenceCount', 'it has no "nothing resolved between"', times(`
            SELECT customer_id, sequenceCount('(?1)(?t<=172800)(?2)')(occurred_at, label = 'whatsapp.message',
                                                                     label = 'whatsapp.message') AS n
            FROM touchpoints WHERE label = 'whatsapp.message' GROUP BY customer_id`)],
    ];
}

export const duckdbLevels = (from) => `
    SELECT format('{} {} {} {}', count(*) FILTER (r >= 1), count(*) FILTER (r >= 2),
                  count(*) FILTER (r >= 3), count(*) FILTER (r >= 4)) FROM (${from})`;
// s1, s2, s3: each row's latest start of so many steps, in the order of the window
export const duckdbFunnel = (window) => duckdbLevels(`
    SELECT max(CASE label WHEN 'web.view' THEN 1
                          WHEN 'web.add_to_cart' THEN CASE WHEN occurred_at - s1 <= INTERVAL 7 DAY THEN 2 END
                          WHEN 'web.checkout' THEN CASE WHEN occurred_at - s2 <= INTERVAL 7 DAY THEN 3 END
                          ELSE CASE WHEN occurred_at - s3 <= INTERVAL 7 DAY THEN 4 END END) AS r
    FROM (SELECT *, max(CASE label WHEN 'web.checkout' THEN s2 END) OVER w AS s3
          FROM (SELECT *, max(CASE label WHEN 'web.add_to_cart' THEN s1 END) OVER w AS s2
                FROM (SELECT *, max(CASE label WHEN 'web.view' THEN occurred_at END) OVER w AS s1
                      FROM touchpoints WHERE ${funnel} WINDOW w AS (${window}))
                WINDOW w AS (${window}))
          WINDOW w AS (${window}))
    GROUP BY customer_id`);

export function duckdb() {
    const levels = duckdbLevels;
    const who = (from) => `SELECT format('{} customers, ids {}', count(*), sum(customer_id)) FROM (${from})`;
    const times = (from) => `SELECT format('{} matches, by customer {}', sum(n)::BIGINT, sum(n * customer_id)::BIGINT) FROM (${from})`;
    return [
        ['funnel', 'windows', '', duckdbFunnel(running)],
        // the latest step before each step; of the four, in order of labels, only the view comes behind its successor
        ['funnel', 'ASOF joins', '', `
            WITH carts AS MATERIALIZED (
                     SELECT c.customer_id, c.occurred_at, v.occurred_at AS start
                     FROM (FROM touchpoints WHERE label = 'web.add_to_cart') c
                          ASOF JOIN (FROM touchpoints WHERE label = 'web.view') v
                          ON c.customer_id = v.customer_id AND c.occurred_at > v.occurred_at),
                 checkouts AS MATERIALIZED (
                     SELECT c.customer_id, c.occurred_at, v.start
                     FROM (FROM touchpoints WHERE label = 'web.checkout') c
                          ASOF JOIN carts v ON c.customer_id = v.customer_id AND c.occurred_at >= v.occurred_at),
                 purchases AS (
                     SELECT c.customer_id, c.occurred_at, v.start
                     FROM (FROM touchpoints WHERE label = 'web.purchase') c
                          ASOF JOIN checkouts v ON c.customer_id = v.customer_id AND c.occurred_at >= v.occurred_at)
            SELECT format('{} {} {} {}',
                (SELECT count(DISTINCT customer_id) FROM touchpoints WHERE label = 'web.view'),
                (SELECT count(DISTINCT customer_id) FROM carts WHERE occurred_at - start <= INTERVAL 7 DAY),
                (SELECT count(DISTINCT customer_id) FROM checkouts WHERE occurred_at - start <= INTERVAL 7 DAY),
                (SELECT count(DISTINCT customer_id) FROM purchases WHERE occurred_at - start <= INTERVAL 7 DAY))`],
        ['sequence', 'windows', '', who(`
            SELECT DISTINCT customer_id FROM (
                SELECT customer_id, outcomes FROM (
                    SELECT customer_id, occurred_at, label, action,
                           max(CASE label WHEN 'email.open' THEN occurred_at END) OVER w AS opened,
                           count(CASE WHEN action IN ('purchase', 'complaint') THEN 1 END) OVER w
                           - (action IN ('purchase', 'complaint'))::INT AS outcomes
                    FROM touchpoints WHERE ${sequence} WINDOW w AS (${running}))
                GROUP BY customer_id, outcomes
                HAVING bool_or(label = 'email.click' AND occurred_at - opened <= INTERVAL 1 DAY)
                       AND bool_or(action = 'purchase'))`)],
        ['any', 'windows', '', who(`
            SELECT DISTINCT customer_id FROM (
                SELECT customer_id, outcomes FROM (
                    SELECT customer_id, occurred_at, label, action,
                           count(CASE label WHEN 'email.open' THEN 1 END) OVER w AS opens,
                           lag(label) OVER w AS label_before, lag(occurred_at) OVER w AS before,
                           count(CASE WHEN action IN ('purchase', 'complaint') THEN 1 END) OVER w
                           - (action IN ('purchase', 'complaint'))::INT AS outcomes
                    FROM touchpoints WINDOW w AS (${running}))
                GROUP BY customer_id, outcomes
                HAVING bool_or(label = 'email.click' AND occurred_at - before <= INTERVAL 1 DAY
                               AND opens > (label_before = 'email.open')::INT) AND bool_or(action = 'purchase'))`)],
        ['repeat', 'windows', '', times(`
            SELECT customer_id, count(*) // 2 AS n FROM (
                SELECT customer_id, action, count(CASE WHEN joined THEN NULL ELSE 1 END) OVER (${running}) AS run FROM (
                    SELECT customer_id, occurred_at, channel, action,
                           action = 'message' AND lag(action) OVER w = 'message'
                           AND occurred_at - lag(occurred_at) OVER w <= INTERVAL 2 DAY AS joined
                    FROM touchpoints WHERE ${contact} WINDOW w AS (${running})))
            WHERE action = 'message' GROUP BY customer_id, run`)],
    ];
}
