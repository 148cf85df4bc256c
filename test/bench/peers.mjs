// peers.mjs: the pattern jobs in ClickHouse (npm package chdb) or DuckDB
// (@duckdb/node-api), each in this process, with the same rows.
//
//   node peers.mjs clickhouse|duckdb MODULES CSV SCRATCH RUNS
//
// MODULES is the folder that has node_modules, CSV the row table: customer_id,
// occurred_at (UTC, whole seconds), channel, action; sorted by all four, which is
// also the order that both engines store and that journeys have.
// Writes lines of fields separated by tabs, which patterns.sh reads:
//   version ENGINE
//   result  JOB_THREADS NAME RUN MS
//   answer  JOB NAME WHY ANSWER     (WHY: how its meaning is another one, or empty)
//   failed  JOB NAME MESSAGE
// A query's time is from handing over its text until its one row has arrived. Queries of a job take turns; a
// warm-up, then RUNS timed runs, with one thread and with two.

import { createRequire } from 'node:module';

const [engine, modules, csv, scratch, runs] = process.argv.slice(2);
const require = createRequire(modules + '/');
const print = (...fields) => console.log(fields.map((f) => String(f).replace(/\s+/g, ' ').trim()).join('\t'));

// What the queries read: the fewest rows that hold the answer.
const funnel = "label IN ('web.view', 'web.add_to_cart', 'web.checkout', 'web.purchase')";
const sequence = "(label IN ('email.open', 'email.click') OR action IN ('purchase', 'complaint'))";
const contact = "(label = 'whatsapp.message' OR action = 'resolve')";
const running = 'PARTITION BY customer_id ORDER BY occurred_at, channel, action ROWS UNBOUNDED PRECEDING';

const atTies = 'at equal times it takes the steps in the order of the funnel, a journey has them in the order of labels';

// [job, name, how its meaning is another one, query]; a job 'strict' is not timed.
function clickhouse() {
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

function duckdb() {
    const levels = (from) => `
        SELECT format('{} {} {} {}', count(*) FILTER (r >= 1), count(*) FILTER (r >= 2),
                      count(*) FILTER (r >= 3), count(*) FILTER (r >= 4)) FROM (${from})`;
    const who = (from) => `SELECT format('{} customers, ids {}', count(*), sum(customer_id)) FROM (${from})`;
    const times = (from) => `SELECT format('{} matches, by customer {}', sum(n)::BIGINT, sum(n * customer_id)::BIGINT) FROM (${from})`;
    return [
        ['funnel', 'windows', '', levels(`
            SELECT max(CASE label WHEN 'web.view' THEN 1
                                  WHEN 'web.add_to_cart' THEN CASE WHEN occurred_at - s1 <= INTERVAL 7 DAY THEN 2 END
                                  WHEN 'web.checkout' THEN CASE WHEN occurred_at - s2 <= INTERVAL 7 DAY THEN 3 END
                                  ELSE CASE WHEN occurred_at - s3 <= INTERVAL 7 DAY THEN 4 END END) AS r
            FROM (SELECT *, max(CASE label WHEN 'web.checkout' THEN s2 END) OVER w AS s3
                  FROM (SELECT *, max(CASE label WHEN 'web.add_to_cart' THEN s1 END) OVER w AS s2
                        FROM (SELECT *, max(CASE label WHEN 'web.view' THEN occurred_at END) OVER w AS s1
                              FROM touchpoints WHERE ${funnel} WINDOW w AS (${running}))
                        WINDOW w AS (${running}))
                  WINDOW w AS (${running}))
            GROUP BY customer_id`)],
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

// Each: run(sql) resolves to the first field of the first row; threads(n) sets how many.
async function openClickHouse() {
    const { Session } = require('chdb');
    const session = new Session(scratch + '/clickhouse');
    const run = async (sql) => session.query(sql, 'TSVRaw').trim();
    await run('CREATE DATABASE bench');
    await run('USE bench');
    await run(`CREATE TABLE touchpoints (customer_id UInt32, occurred_at DateTime('UTC'), channel LowCardinality(String),
                   action LowCardinality(String), label LowCardinality(String))
               ENGINE = MergeTree ORDER BY (customer_id, occurred_at, channel, action)`);
    await run(`INSERT INTO touchpoints SELECT *, concat(channel, '.', action)
               FROM file('${csv}', 'CSV', 'customer_id UInt32, occurred_at DateTime(\\'UTC\\'), channel String, action String')`);
    await run('OPTIMIZE TABLE touchpoints FINAL');
    print('version', `ClickHouse ${await run('SELECT version()')} (chdb ${require('chdb/package.json').version}): `
        + 'MergeTree ORDER BY (customer_id, occurred_at, channel, action) of one part, DateTime, LowCardinality labels');
    return { run, threads: (n) => run(`SET max_threads = ${n}`), queries: clickhouse() };
}

async function openDuckDB() {
    const { DuckDBInstance } = require('@duckdb/node-api');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const run = async (sql) => (await connection.runAndReadAll(sql)).getRows()[0]?.[0];
    await run(`CREATE TEMP TABLE raw AS FROM read_csv('${csv}', header = false, columns = {
                   customer_id: 'INTEGER', occurred_at: 'TIMESTAMP', channel: 'VARCHAR', action: 'VARCHAR'})`);
    // enums compare as they are declared
    await run('CREATE TYPE channels AS ENUM (SELECT DISTINCT channel FROM raw ORDER BY 1)');
    await run('CREATE TYPE actions AS ENUM (SELECT DISTINCT action FROM raw ORDER BY 1)');
    await run("CREATE TYPE labels AS ENUM (SELECT DISTINCT channel || '.' || action FROM raw ORDER BY 1)");
    await run(`CREATE TABLE touchpoints AS
               SELECT customer_id, occurred_at, channel::channels AS channel, action::actions AS action,
                      (channel || '.' || action)::labels AS label
               FROM raw ORDER BY customer_id, occurred_at, channel, action`);
    await run('DROP TABLE raw');
    print('version', `DuckDB ${await run('SELECT version()')}: a table in memory, in the order of `
        + 'customer_id, occurred_at, channel, action; TIMESTAMP, labels as ENUM');
    return { run, threads: (n) => run(`SET threads = ${n}`), queries: duckdb() };
}

const peer = await (engine === 'clickhouse' ? openClickHouse() : openDuckDB());
const prefix = engine === 'clickhouse' ? 'ClickHouse: ' : 'DuckDB: ';
const failed = new Set();
for (const threads of [1, 2]) {
    await peer.threads(threads);
    for (const job of new Set(peer.queries.map(([j]) => j))) {
        for (let run = 0; run <= (job === 'strict' ? 0 : Number(runs)); run++) {
            for (const [j, name, why, sql] of peer.queries) {
                if (j !== job || failed.has(sql)) continue;
                try {
                    const began = process.hrtime.bigint();
                    const answer = await peer.run(sql);
                    const ms = Number(process.hrtime.bigint() - began) / 1e6;
                    if (run === 0) print('answer', job, prefix + name, why, answer);
                    else print('result', `${job}_${threads}`, prefix + name, run, ms);
                } catch (e) {
                    failed.add(sql);
                    print('failed', job, prefix + name, e.message.split('\n')[0]);
                }
            }
        }
    }
}
process.exit(0);
