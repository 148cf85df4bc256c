// peers_blocks.mjs: the jobs of blocks.sh for peers.mjs, in ClickHouse's and in DuckDB's SQL.

import * as patterns from './peers_patterns.mjs';

// Of the row table's formulations those that come near.
const known = (engine, wanted) => patterns[engine]().filter(([job, name]) => wanted[job]?.includes(name));

// ---- ClickHouse ------------------------------------------------------------

// Beside the row table (LowCardinality): the same with enums; in the order of labels; and a row a customer, an array for each
// column, with labels and actions as numbers, since has() of UInt8 is ClickHouse's quickest look-up.
let label, action;
export async function clickhouseTables(run) {
    const names = async (column) => (await run(`SELECT DISTINCT toString(${column}) AS s FROM touchpoints ORDER BY s`)).split('\n');
    const enumeration = (list) => `Enum8(${list.map((s, i) => `'${s}' = ${i - 128}`).join(', ')})`;
    const numbers = (list) => Object.fromEntries(list.map((s, i) => [s, i]));
    const labels = await names('label'), actions = await names('action'), channels = await names('channel');
    label = numbers(labels);
    action = numbers(actions);
    const columns = `customer_id UInt32, occurred_at DateTime('UTC'), channel ${enumeration(channels)},
                     action ${enumeration(actions)}, label ${enumeration(labels)}`;
    for (const [table, order] of [['coded', 'customer_id, occurred_at, channel, action'], ['by_label', 'label, customer_id, occurred_at']]) {
        await run(`CREATE TABLE ${table} (${columns}) ENGINE = MergeTree ORDER BY (${order})`);
        await run(`INSERT INTO ${table} SELECT * FROM touchpoints`);
        await run(`OPTIMIZE TABLE ${table} FINAL`);
    }
    await run(`CREATE TABLE packed (customer_id UInt32, times Array(UInt32), channels Array(${enumeration(channels)}),
                   actions Array(UInt8), labels Array(UInt8)) ENGINE = MergeTree ORDER BY customer_id`);
    await run(`INSERT INTO packed
               SELECT customer_id, groupArray(toUInt32(occurred_at)), groupArray(channel),
                      groupArray(toUInt8(toInt16(action) + 128)), groupArray(toUInt8(toInt16(label) + 128))
               FROM coded GROUP BY customer_id SETTINGS optimize_aggregation_in_order = 1`);
    await run('OPTIMIZE TABLE packed FINAL');
    const sizes = await run(`SELECT arrayStringConcat(groupArray(format('{} {}', table, toString(bytes))), ', ') FROM (
        SELECT table, round(sum(bytes_on_disk) / (SELECT count() FROM touchpoints), 2) AS bytes
        FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table)`);
    return `bytes a touchpoint by table: ${sizes} (by_label: in the order of labels; coded: enums; packed: a row a customer, arrays)`;
}

export function clickhouse() {
    const inOrder = ' SETTINGS optimize_aggregation_in_order = 1';
    const words = (...fields) => `format('${fields.map((f) => f[1] + '{}').join('')}', ${fields.map((f) => `toString(${f[0]})`).join(', ')})`;
    const levels = (from) => `SELECT ${words(...[1, 2, 3, 4].map((n) => [`countIf(r >= ${n})`, n > 1 ? ' ' : '']))} FROM (${from})`;
    const who = (from) => `SELECT format('{} customers, ids {}', toString(count()), toString(sum(customer_id))) FROM (${from})`;
    const times = (from) => `SELECT format('{} matches, by customer {}', toString(sum(n)), toString(sum(n * customer_id))) FROM (${from})`;
    const { 'web.view': view, 'web.add_to_cart': cart, 'web.checkout': checkout, 'web.purchase': bought, 'email.open': open,
            'email.click': click, 'whatsapp.message': message } = label;
    const { purchase, complaint, resolve } = action;
    const steps = [view, cart, checkout, bought];

    // the four steps of a customer's journey: t their times, k which
    const four = `SELECT customer_id, arrayFilter((t, l) -> l IN (${steps}), times, labels) AS t, arrayFilter(l -> l IN (${steps}), labels) AS k
                  FROM packed`;
    const reduced = (first) => `arrayReduce('windowFunnel(604800)', t, ${first},
                                    ${steps.slice(1).map((s) => `arrayMap(l -> l = ${s}, k)`).join(', ')})`;
    const rows = (table) => levels(`
        SELECT windowFunnel(604800)(occurred_at, label = 'web.view', label = 'web.add_to_cart',
                                    label = 'web.checkout', label = 'web.purchase') AS r
        FROM ${table} WHERE ${patterns.funnel} GROUP BY customer_id`);
    // of the customers who have what it takes, kinds: 1 opened, 2 clicked, 3 bought, 4 complained; see peers_patterns.mjs
    const kinds = (keep) => `SELECT customer_id,
               arrayMap((l, a) -> multiIf(l = ${open}, 1, l = ${click}, 2, a = ${purchase}, 3, a = ${complaint}, 4, 0)::UInt8, labels, actions) AS every,
               ${keep ? 'every' : 'arrayFilter(k -> k > 0, every)'} AS kinds,
               ${keep ? 'times' : 'arrayFilter((t, k) -> k > 0, times, every)'} AS at, indexOf(kinds, 1) AS opened
        FROM packed WHERE has(labels, ${open}) AND has(labels, ${click}) AND has(actions, ${purchase})`;
    const banned = (keep, clicked, between) => who(`${kinds(keep)}
        AND arrayExists((k, m) -> k = 3 AND m = 1, kinds, arrayFill(m -> m > 0,
                arrayMap((k, i, t, b) -> multiIf(k = 4, 2, k = 2 AND ${clicked}, 1, 0)::UInt8,
                         kinds, arrayEnumerate(kinds), at, ${between})))`);
    // messages by runs that each come within two days of the one before, nothing resolved in between
    const runs = (at) => `arraySum(run -> intDiv(arraySum(run), 2), arraySplit((m, apart) -> apart, message,
                              arrayMap((m, before, gap) -> NOT m OR NOT before OR gap > 172800,
                                       message, arrayPopBack(arrayPushFront(message, 0)), arrayDifference(${at}))))`;
    const contact = "(label = 'whatsapp.message' OR action = 'resolve')";
    const gaps = 'arrayPopFront(arrayDifference(times))';
    const pairs = 'packed ARRAY JOIN arrayPopBack(channels) AS p, arrayPopFront(channels) AS c, ' + gaps + ' AS g WHERE p != c AND g <= 86400';
    const weight = '(length(toString(p)) * 100 + length(toString(c)))';
    const numbered = 'arrayCumSum(arrayMap(g -> g > 1800, arrayDifference(times)))';
    const byChannel = (sums) => `${words(['count()', ''], ...sums.map(([s, name]) => [`sum(${s} * length(toString(channel)))`, ` channels, ${name} `]))}`
        .replaceAll(' channels, ', ', ').replace("'{}", "'{} channels");
    const touchpoints = 'SELECT channel, count() AS n FROM coded GROUP BY channel';
    const customers = 'SELECT channel, count() AS u FROM (SELECT arrayJoin(arrayDistinct(channels)) AS channel FROM packed) GROUP BY channel';
    const sessions = `SELECT channel, count() AS s
        FROM (SELECT arrayJoin(arrayDistinct(arrayMap((n, c) -> n * 256 + toUInt8(toInt16(c) + 128), ${numbered}, channels))) AS x,
                     CAST(toInt16(x % 256) - 128, toTypeName((SELECT any(channel) FROM coded))) AS channel
              FROM packed) GROUP BY channel`;
    const february = ["toDateTime('2026-02-01', 'UTC')", "toDateTime('2026-03-01', 'UTC')"];
    const cells = `SELECT format('{} cells, {} customers, checksum {}', toString(count()), toString(sum(n)),
                          toString(sum(n * (bracket + 1) * (cohort - toDate('2025-12-01')))))`;
    const cohorts = `arrayMin(active) AS cohort, arrayJoin(arrayMap(w -> intDiv(w - cohort, 7), active)) AS bracket`;
    const months = (from) => `SELECT arrayStringConcat(groupArray(${words(['n1', ''], ['n2', ' '], ['n3', ' '], ['n4', ' '])}), ', ')
        FROM (SELECT m, ${[1, 2, 3, 4].map((n) => `countIf(r >= ${n}) AS n${n}`).join(', ')} FROM (${from}) WHERE r > 0 GROUP BY m ORDER BY m)`;
    const median = "format('{} customers, median {} s', toString(count()), toString(quantileExactLow(0.5)(d)))";

    return [
        ...known('clickhouse', { funnel: ['windowFunnel'], sequence: ['arrays', 'sequenceMatch'], any: ['arrays'],
                                 repeat: ['arrays', 'sequenceCount'] }),
        ['funnel', 'windowFunnel, enums', '', rows('coded') + inOrder],
        ['funnel', 'windowFunnel, order of labels', '', rows('by_label')],
        ['funnel', 'packed, windowFunnel', '', levels(`SELECT ${reduced(`arrayMap(l -> l = ${view}, k)`)} AS r FROM (${four})`)],
        ['funnel', 'packed, windowFunnel where it can be 2', '', levels(`
            SELECT if(has(k, ${cart}), ${reduced(`arrayMap(l -> l = ${view}, k)`)}, has(k, ${view})) AS r FROM (${four})`)],
        ['sequence', 'packed', '', banned(false, 'i > opened AND t - b <= 86400', 'arrayFill((t, k) -> k = 1, at, kinds)')],
        ['any', 'packed', '', banned(true, 'i >= opened + 2 AND b <= 86400', 'arrayDifference(at)')],
        ['repeat', 'order of labels', '', times(`
            SELECT customer_id, arraySort(groupArray((toUInt32(occurred_at), label, action = 'message'))) AS s, s.1 AS at, s.3 AS message,
                   ${runs('at')} AS n
            FROM by_label WHERE ${contact} GROUP BY customer_id`)],
        ['repeat', 'packed', '', times(`
            SELECT customer_id, arrayFilter((t, l, a) -> l = ${message} OR a = ${resolve}, times, labels, actions) AS at,
                   arrayMap(l -> l = ${message}, arrayFilter((l, a) -> l = ${message} OR a = ${resolve}, labels, actions)) AS message,
                   ${runs('at')} AS n
            FROM packed WHERE countEqual(labels, ${message}) >= 2`)],
        ['sessions', 'arrays', '', `SELECT ${words(['sum(n)', ''])} FROM (
            SELECT 1 + arrayCount(gap -> gap > 1800, arrayDifference(groupArray(toUInt32(occurred_at)))) AS n
            FROM coded GROUP BY customer_id)` + inOrder],
        ['sessions', 'packed', '', `SELECT toString(sum(1 + arrayCount(gap -> gap > 1800, arrayDifference(times)))) FROM packed`],
        ['sessions_each', 'packed', '', `SELECT format('{} sessions, by customer {}', toString(sum(n)), toString(sum(n * customer_id)))
            FROM (SELECT customer_id, 1 + arrayCount(gap -> gap > 1800, arrayDifference(times)) AS n FROM packed)`],
        ['transitions', 'packed', '', `
            SELECT ${words(['count()', ''], ['sum(n)', ' pairs, hand-offs '], [`sum(n * ${weight})`, ', checksum '])}
            FROM (SELECT p, c, count() AS n FROM ${pairs} GROUP BY p, c)`],
        ['handoffs', 'packed', '', `
            SELECT ${words(['count()', ''], ['sum(n)', ' pairs, hand-offs '], [`sum(u * ${weight})`, ', customers '], ['toUInt64(sum(m) * 2)', ', medians '])}
            FROM (SELECT p, c, count() AS n, uniqExact(customer_id) AS u, quantileExactInclusive(0.5)(g) AS m FROM ${pairs} GROUP BY p, c)`],
        ['channels', 'rows', '', `SELECT ${byChannel([['n', 'touchpoints']])} FROM (${touchpoints})`],
        ['channels', 'packed', '', `SELECT ${byChannel([['n', 'touchpoints']])}
            FROM (SELECT channel, count() AS n FROM packed ARRAY JOIN channels AS channel GROUP BY channel)`],
        ['reach', 'rows', '', `SELECT ${byChannel([['u', 'customers']])}
            FROM (SELECT channel, count() AS u FROM (SELECT customer_id, channel FROM coded GROUP BY customer_id, channel) GROUP BY channel)`],
        ['reach', 'packed', '', `SELECT ${byChannel([['u', 'customers']])} FROM (${customers})`],
        ['mix', 'rows for touchpoints, packed else', '', `SELECT ${byChannel([['n', 'touchpoints'], ['u', 'customers'], ['s', 'sessions']])}
            FROM (${touchpoints}) AS a JOIN (${customers}) AS b USING (channel) JOIN (${sessions}) AS c USING (channel)`],
        ['days', 'rows', '', `SELECT ${words(['count()', ''], ["sum(n * (day - toDate('2025-12-31')))", ' days, checksum '])}
            FROM (SELECT toDate(occurred_at) AS day, count() AS n FROM coded GROUP BY day)`],
        ['labels', 'rows', '', `SELECT ${words(['count()', ''], ['sum(n * length(toString(label)))', ' labels, touchpoints '])}
            FROM (SELECT label, count() AS n FROM coded GROUP BY label)`],
        ['active', 'rows', '', `SELECT toString(count()) FROM (
            SELECT customer_id FROM coded WHERE occurred_at >= ${february[0]} AND occurred_at < ${february[1]} GROUP BY customer_id)` + inOrder],
        ['active', 'rows, uniqExact', '', `SELECT toString(uniqExact(customer_id)) FROM coded
            WHERE occurred_at >= ${february[0]} AND occurred_at < ${february[1]}`],
        ['active', 'packed', '', `SELECT toString(count()) FROM packed
            WHERE arrayExists(t -> t >= toUInt32(${february[0]}) AND t < toUInt32(${february[1]}), times)`],
        ['retention', 'arrays', '', `${cells} FROM (SELECT cohort, bracket, count() AS n
            FROM (SELECT groupUniqArray(toMonday(occurred_at)) AS active, ${cohorts} FROM coded WHERE action = 'purchase' GROUP BY customer_id)
            GROUP BY cohort, bracket)` + inOrder],
        ['retention', 'packed', '', `${cells} FROM (SELECT cohort, bracket, count() AS n
            FROM (SELECT arrayDistinct(arrayMap(t -> toMonday(toDateTime(t, 'UTC')),
                             arrayFilter((t, a) -> a = ${purchase}, times, actions))) AS active, ${cohorts}
                  FROM packed WHERE has(actions, ${purchase}))
            GROUP BY cohort, bracket)`],
        // an attempt belongs to the month of its view: a month's rows, and the week after for the other steps
        ['months', 'a query a month', '', months([1, 2, 3, 4].map((m) => `
            SELECT ${m} AS m, windowFunnel(604800)(occurred_at, label = 'web.view' AND occurred_at < toDateTime('2026-0${m + 1}-01', 'UTC'),
                       label = 'web.add_to_cart', label = 'web.checkout', label = 'web.purchase') AS r
            FROM coded WHERE ${patterns.funnel} AND occurred_at >= toDateTime('2026-0${m}-01', 'UTC')
                       AND occurred_at <= toDateTime('2026-0${m + 1}-08', 'UTC') GROUP BY customer_id`).join(' UNION ALL ')) + inOrder],
        ['months', 'packed', '', months(`SELECT m, ${reduced(`arrayMap((l, b) -> l = ${view} AND b = m, k, b)`)} AS r
            FROM (SELECT t, k, arrayMap(t -> toMonth(toDateTime(t, 'UTC')), t) AS b FROM (${four}))
            ARRAY JOIN arrayDistinct(arrayFilter((b, l) -> l = ${view}, b, k)) AS m`)],
        ['never', 'rows', '', who(`SELECT customer_id FROM coded WHERE label = 'web.add_to_cart' OR action = 'purchase'
            GROUP BY customer_id HAVING max(action = 'purchase') = 0`) + inOrder],
        ['never', 'order of labels', '', who(`SELECT customer_id FROM by_label WHERE label = 'web.add_to_cart' OR action = 'purchase'
            GROUP BY customer_id HAVING max(action = 'purchase') = 0`)],
        ['never', 'packed', '', who(`SELECT customer_id FROM packed WHERE has(labels, ${cart}) AND NOT has(actions, ${purchase})`)],
        ['first', 'packed', '', `SELECT ${median} FROM (
            SELECT indexOf(labels, ${view}) AS i, indexOf(arraySlice(actions, i + 1), ${purchase}) AS j, times[i + j] - times[i] AS d
            FROM packed WHERE has(labels, ${view}) AND has(actions, ${purchase}) AND j > 0)`],
        ['first', 'packed, one pass', '', `SELECT ${median} FROM (
            SELECT indexOf(labels, ${view}) AS i, arrayFirstIndex((a, n) -> a = ${purchase} AND n > i, actions, arrayEnumerate(actions)) AS j,
                   times[j] - times[i] AS d
            FROM packed WHERE has(labels, ${view}) AND has(actions, ${purchase}) AND j > 0)`],
        ['first_touch', 'packed', '', `SELECT ${byChannel([['n', 'customers']])} FROM (
            SELECT channels[1] AS channel, count() AS n FROM packed WHERE has(arrayPopFront(actions), ${purchase}) GROUP BY channel)`],
        ['paths', 'packed', '', `SELECT ${words(['count()', ''], ['max(n)', ' paths, commonest '], ['sum(n * n)', ', checksum '])}
            FROM (SELECT arraySlice(labels, 1, 3) AS path, count() AS n FROM packed GROUP BY path)`],
        ['paths', 'packed, as a number', '', `SELECT ${words(['count()', ''], ['max(n)', ' paths, commonest '], ['sum(n * n)', ', checksum '])}
            FROM (SELECT least(length(labels), 3) * 16777216 + labels[1] * 65536 + labels[2] * 256 + labels[3] AS path, count() AS n
                  FROM packed GROUP BY path)`],
        ['lengths', 'packed', '', `SELECT ${words(['count()', ''], ['max(n)', ' lengths, customers of the commonest '], ['max(l)', ', longest '])}
            FROM (SELECT length(labels) AS l, count() AS n FROM packed GROUP BY l)`],
    ];
}

// ---- DuckDB ----------------------------------------------------------------

// Beside the row table: a row a customer, a list for each column.
export async function duckdbTables(run) {
    const list = (value, name) => `list(${value} ORDER BY occurred_at, channel, action) AS ${name}`;
    await run(`CREATE TABLE packed AS
               SELECT customer_id, ${list('epoch(occurred_at)::UINTEGER', 'times')}, ${list('channel', 'channels')},
                      ${list('action', 'actions')}, ${list('label', 'labels')}
               FROM touchpoints GROUP BY customer_id ORDER BY customer_id`);
    return 'packed: a row a customer, lists';
}

export function duckdb() {
    // Without PARTITION BY and ORDER BY rows come as they are stored, by customer and time, and DuckDB streams them.
    const streamed = `SELECT customer_id, channel, lag(customer_id) OVER () AS c, lag(channel) OVER () AS p,
                             epoch(occurred_at)::BIGINT - lag(epoch(occurred_at)::BIGINT) OVER () AS g FROM touchpoints`;
    const handoffs = `FROM (${streamed}) WHERE c = customer_id AND p <> channel AND g <= 86400 GROUP BY p, channel`;
    const weight = '(length(p::VARCHAR) * 100 + length(channel::VARCHAR))';
    const gaps = "list_filter(times, lambda t, i: i > 1 AND t - times[i - 1] > 1800)";
    const sessions = `SELECT customer_id, count(*) AS n FROM (
        SELECT customer_id, lag(customer_id) OVER () AS c, occurred_at - lag(occurred_at) OVER () AS g FROM touchpoints)
        WHERE c IS DISTINCT FROM customer_id OR g > INTERVAL 30 MINUTE`;
    const who = (from) => `SELECT format('{} customers, ids {}', count(*), sum(customer_id)) FROM (${from})`;
    const channel = (sums, from) => `SELECT format('{} channels${sums.map(([, name]) => `, ${name} {}`).join('')}', count(*),
        ${sums.map(([s]) => `sum(${s} * length(channel::VARCHAR))::BIGINT`).join(', ')}) FROM (${from})`;
    const cells = `SELECT format('{} cells, {} customers, checksum {}', count(*), sum(n)::BIGINT,
                          sum(n * (bracket + 1) * (cohort - DATE '2025-12-01'))::BIGINT)`;
    const paths = (from) => `SELECT format('{} paths, commonest {}, checksum {}', count(*), max(n), sum(n * n)::BIGINT) FROM (${from})`;
    return [
        ...known('duckdb', { funnel: ['ASOF joins'], sequence: ['windows'], repeat: ['windows'] }),
        ['sessions', 'lag, streamed', '', `SELECT format('{}', sum(n)::BIGINT) FROM (${sessions} GROUP BY customer_id)`],
        ['sessions', 'packed', '', `SELECT format('{}', sum(1 + len(${gaps}))::BIGINT) FROM packed`],
        ['sessions_each', 'lag, streamed', '', `SELECT format('{} sessions, by customer {}', sum(n)::BIGINT, sum(n * customer_id)::BIGINT)
            FROM (${sessions} GROUP BY customer_id)`],
        ['transitions', 'lag, streamed', '', `SELECT format('{} pairs, hand-offs {}, checksum {}', count(*), sum(n)::BIGINT, sum(n * ${weight})::BIGINT)
            FROM (SELECT p, channel, count(*) AS n ${handoffs})`],
        ['handoffs', 'lag, streamed', '', `SELECT format('{} pairs, hand-offs {}, customers {}, medians {}', count(*), sum(n)::BIGINT,
                sum(u * ${weight})::BIGINT, (sum(m) * 2)::BIGINT)
            FROM (SELECT p, channel, count(*) AS n, count(DISTINCT customer_id) AS u, median(g) AS m ${handoffs})`],
        ['channels', 'rows', '', channel([['n', 'touchpoints']], 'SELECT channel, count(*) AS n FROM touchpoints GROUP BY channel')],
        ['reach', 'rows', '', channel([['u', 'customers']], `
            SELECT channel, count(*) AS u FROM (SELECT DISTINCT customer_id, channel FROM touchpoints) GROUP BY channel`)],
        ['reach', 'packed', '', channel([['u', 'customers']], `
            SELECT channel, count(*) AS u FROM (SELECT unnest(list_distinct(channels)) AS channel FROM packed) GROUP BY channel`)],
        ['mix', 'rows', '', channel([['n', 'touchpoints'], ['u', 'customers'], ['s', 'sessions']], `
            SELECT channel, sum(n) AS n, count(DISTINCT customer_id) AS u, count(*) AS s
            FROM (SELECT customer_id, channel, session, count(*) AS n
                  FROM (SELECT customer_id, channel, sum((c IS DISTINCT FROM customer_id OR g > 1800)::INT) OVER (ROWS UNBOUNDED PRECEDING) AS session
                        FROM (${streamed}))
                  GROUP BY ALL)
            GROUP BY channel`)],
        ['days', 'rows', '', `SELECT format('{} days, checksum {}', count(*), sum(n * (day - DATE '2025-12-31'))::BIGINT)
            FROM (SELECT occurred_at::DATE AS day, count(*) AS n FROM touchpoints GROUP BY day)`],
        ['labels', 'rows', '', `SELECT format('{} labels, touchpoints {}', count(*), sum(n * length(label::VARCHAR))::BIGINT)
            FROM (SELECT label, count(*) AS n FROM touchpoints GROUP BY label)`],
        ['active', 'rows', '', `SELECT format('{}', count(DISTINCT customer_id)) FROM touchpoints
            WHERE occurred_at >= '2026-02-01' AND occurred_at < '2026-03-01'`],
        ['retention', 'windows', '', `${cells}
            FROM (SELECT cohort, (week - cohort) // 7 AS bracket, count(*) AS n
                  FROM (SELECT week, min(week) OVER (PARTITION BY customer_id) AS cohort
                        FROM (SELECT DISTINCT customer_id, date_trunc('week', occurred_at)::DATE AS week
                              FROM touchpoints WHERE action = 'purchase'))
                  GROUP BY cohort, bracket)`],
        ['retention', 'lists', '', `${cells}
            FROM (SELECT cohort, (week - cohort) // 7 AS bracket, count(*) AS n
                  FROM (SELECT unnest(weeks) AS week, list_min(weeks) AS cohort
                        FROM (SELECT list(DISTINCT date_trunc('week', occurred_at)::DATE) AS weeks
                              FROM touchpoints WHERE action = 'purchase' GROUP BY customer_id))
                  GROUP BY cohort, bracket)`],
        ['never', 'rows', '', who(`SELECT customer_id FROM touchpoints WHERE label = 'web.add_to_cart' OR action = 'purchase'
            GROUP BY customer_id HAVING NOT bool_or(action = 'purchase')`)],
        ['never', 'packed', '', who(`SELECT customer_id FROM packed
            WHERE list_contains(labels, 'web.add_to_cart') AND NOT list_contains(actions, 'purchase')`)],
        ['first', 'packed', '', `SELECT format('{} customers, median {} s', count(*), quantile_disc(d, 0.5))
            FROM (SELECT times[i + j] - times[i] AS d
                  FROM (SELECT times, i, list_position(actions[i + 1:], 'purchase') AS j
                        FROM (SELECT times, actions, list_position(labels, 'web.view') AS i FROM packed) WHERE i > 0) WHERE j > 0)`],
        ['first_touch', 'packed', '', channel([['n', 'customers']], `
            SELECT channels[1] AS channel, count(*) AS n FROM packed WHERE list_contains(actions[2:], 'purchase') GROUP BY channels[1]`)],
        ['paths', 'packed', '', paths('SELECT labels[1:3] AS path, count(*) AS n FROM packed GROUP BY path')],
        ['paths', 'packed, three columns', '', paths('SELECT labels[1] AS a, labels[2] AS b, labels[3] AS c, count(*) AS n FROM packed GROUP BY a, b, c')],
        ['lengths', 'packed', '', `SELECT format('{} lengths, customers of the commonest {}, longest {}', count(*), max(n), max(l))
            FROM (SELECT len(labels) AS l, count(*) AS n FROM packed GROUP BY l)`],
    ];
}
