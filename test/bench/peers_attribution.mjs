// peers_attribution.mjs: the job of attribution.sh for peers.mjs, in ClickHouse's and in DuckDB's SQL: credit for purchases by four
// rule-based models, to the channels of the touchpoints since the purchase before, within 30 days.

const answer = (sums) => `SELECT format('first {}, last {}, linear {}, position {}', ${sums.join(', ')})`;
const weight = (n, i, pick) => pick(`${n} = 1`, '1', `${n} = 2`, '0.5', `${i} = 1 OR ${i} = ${n}`, '0.4', `0.2 / (${n} - 2)`);

// ---- ClickHouse ------------------------------------------------------------

// a row a customer, arrays for the columns, beside the row table
export async function clickhouseTables(run) {
    const names = await run('SELECT DISTINCT toString(channel) AS s FROM touchpoints ORDER BY s');
    const channels = `Enum8(${names.split('\n').map((s, i) => `'${s}' = ${i - 128}`).join(', ')})`;
    await run(`CREATE TABLE packed (customer_id UInt32, times Array(UInt32), channels Array(${channels}), bought Array(UInt8))
               ENGINE = MergeTree ORDER BY customer_id`);
    await run(`INSERT INTO packed SELECT customer_id, groupArray(toUInt32(occurred_at)), groupArray(channel), groupArray(action = 'purchase')
               FROM touchpoints GROUP BY customer_id SETTINGS optimize_aggregation_in_order = 1`);
    await run('OPTIMIZE TABLE packed FINAL');
}

export function clickhouse() {
    const pick = (...args) => `multiIf(${args.join(', ')})`;
    const round2 = (x) => `toDecimalString(${x}, 2)`;
    const credit = (paths) => answer(['toString(sum(f * len))', 'toString(sum(l * len))', round2('sum(li * len)'), round2('sum(po * len)')]) + `
        FROM (SELECT channel, length(toString(channel)) AS len, countIf(i = 1) AS f, countIf(i = n) AS l, sum(1 / n) AS li, sum(${weight('n', 'i', pick)}) AS po
              FROM (SELECT path, length(path) AS n FROM (${paths})) ARRAY JOIN path AS channel, arrayEnumerate(path) AS i
              GROUP BY channel)`;
    // the places of purchases, and of those before
    const ends = 'arrayFilter((i, b) -> b, arrayEnumerate(bought), bought)';
    const paths = (from) => `
        SELECT arrayFilter((c, t) -> times[place] - t <= 2592000, arraySlice(channels, before + 1, place - before - 1),
                           arraySlice(times, before + 1, place - before - 1)) AS path
        FROM (SELECT times, channels, ${ends} AS ends FROM ${from}) ARRAY JOIN ends AS place, arrayPopBack(arrayPushFront(ends, 0)) AS before`;
    return [
        ['credit', 'packed', '', credit(paths('packed WHERE has(bought, 1)'))],
        ['credit', 'arrays of rows', '', credit(paths(`(
            SELECT groupArray(toUInt32(occurred_at)) AS times, groupArray(channel) AS channels, groupArray(action = 'purchase') AS bought
            FROM touchpoints GROUP BY customer_id SETTINGS optimize_aggregation_in_order = 1)`))],
    ];
}

// ---- DuckDB ----------------------------------------------------------------

export function duckdb() {
    const pick = (a, x, b, y, c, z, rest) => `CASE WHEN ${a} THEN ${x} WHEN ${b} THEN ${y} WHEN ${c} THEN ${z} ELSE ${rest} END`;
    const order = 'ORDER BY occurred_at, channel, action';
    return [
        ['credit', 'window functions', '', answer(['sum(f * len)::BIGINT', 'sum(l * len)::BIGINT', "printf('%.2f', sum(li * len))", "printf('%.2f', sum(po * len))"]) + `
            FROM (SELECT channel, length(channel::VARCHAR) AS len, count(*) FILTER (i = 1) AS f, count(*) FILTER (i = n) AS l, sum(1.0::DOUBLE / n) AS li,
                         sum((${weight('n', 'i', pick)})::DOUBLE) AS po
                  FROM (SELECT channel, row_number() OVER (PARTITION BY customer_id, part ${order}) AS i, count(*) OVER (PARTITION BY customer_id, part) AS n
                        FROM (SELECT *, max(occurred_at) FILTER (action = 'purchase') OVER (PARTITION BY customer_id, part) AS bought
                              FROM (SELECT customer_id, occurred_at, channel, action,
                                           count(*) FILTER (action = 'purchase') OVER (PARTITION BY customer_id ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS part
                                    FROM touchpoints))
                        WHERE action <> 'purchase' AND bought - occurred_at <= INTERVAL 30 DAY)
                  GROUP BY channel)`],
    ];
}
