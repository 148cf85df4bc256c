// peers_flows.mjs: the job of flows.sh for peers.mjs, in ClickHouse's and in DuckDB's SQL: which channel directly follows which, how
// often, and after what median time.

// ---- ClickHouse ------------------------------------------------------------

// a row a customer, arrays for the columns, beside the row table
export async function clickhouseTables(run) {
    const names = await run('SELECT DISTINCT toString(channel) AS s FROM touchpoints ORDER BY s');
    const channels = `Enum8(${names.split('\n').map((s, i) => `'${s}' = ${i - 128}`).join(', ')})`;
    await run(`CREATE TABLE packed (customer_id UInt32, times Array(UInt32), channels Array(${channels})) ENGINE = MergeTree ORDER BY customer_id`);
    await run(`INSERT INTO packed SELECT customer_id, groupArray(toUInt32(occurred_at)), groupArray(channel)
               FROM touchpoints GROUP BY customer_id SETTINGS optimize_aggregation_in_order = 1`);
    await run('OPTIMIZE TABLE packed FINAL');
}

export function clickhouse() {
    const answer = (pairs, median) => `
        SELECT format('{} pairs, {} times, checksum {}', toString(count()), toString(sum(n)), toString(sum(n * (length(toString(p)) * 100 + length(toString(c))))))
        FROM (SELECT p, c, count() AS n, ${median}(g) AS median FROM (${pairs}) GROUP BY p, c)`;
    const packed = `SELECT p, c, g FROM packed ARRAY JOIN arrayPopBack(channels) AS p, arrayPopFront(channels) AS c, arrayPopFront(arrayDifference(times)) AS g`;
    const rows = `
        SELECT lagInFrame(channel) OVER w AS p, channel AS c, toUInt32(occurred_at) - toUInt32(lagInFrame(occurred_at) OVER w) AS g, row_number() OVER w AS i
        FROM touchpoints WINDOW w AS (PARTITION BY customer_id ORDER BY occurred_at, channel, action ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)`;
    return [
        ['follows', 'packed, exact medians', '', answer(packed, 'quantileExact(0.5)')],
        ['follows', 'packed, medians of a digest', '', answer(packed, 'quantileTDigest(0.5)')],
        ['follows', 'window functions', '', answer(`SELECT p, c, g FROM (${rows}) WHERE i > 1`, 'quantileTDigest(0.5)')],
    ];
}

// ---- DuckDB ----------------------------------------------------------------

export function duckdb() {
    const answer = (median) => `
        SELECT format('{} pairs, {} times, checksum {}', count(*), sum(n)::BIGINT, sum(n * (length(p::VARCHAR) * 100 + length(c::VARCHAR)))::BIGINT)
        FROM (SELECT p, c, count(*) AS n, ${median} AS median
              FROM (SELECT lag(channel) OVER w AS p, channel AS c, epoch(occurred_at) - epoch(lag(occurred_at) OVER w) AS g
                    FROM touchpoints WINDOW w AS (PARTITION BY customer_id ORDER BY occurred_at, channel, action))
              WHERE p IS NOT NULL GROUP BY 1, 2)`;
    return [
        ['follows', 'window functions, exact medians', '', answer('median(g)')],
        ['follows', 'window functions, medians of a digest', '', answer('approx_quantile(g, 0.5)')],
    ];
}
