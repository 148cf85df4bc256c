// peers.mjs: the jobs of patterns.sh, rows.sh or blocks.sh in ClickHouse (npm package chdb) or DuckDB
// (@duckdb/node-api), each in this process, with the same rows.
//
//   node peers.mjs clickhouse|duckdb MODULES CSV SCRATCH RUNS SLOW patterns|rows|blocks|flows
//
// MODULES is the folder that has node_modules, CSV the row table: customer_id,
// occurred_at (UTC, whole seconds), channel, action; sorted by all four, which is
// also the order that both engines store and that journeys have.
// Writes lines of fields separated by tabs, which contest.sh reads:
//   version ENGINE
//   result  JOB_THREADS NAME RUN MS
//   answer  JOB NAME WHY ANSWER     (WHY: how its meaning is another one, or empty)
//   failed  JOB NAME MESSAGE
// A query's time is from handing over its text until its one row has arrived. Queries of a job take turns; a
// warm-up, then RUNS timed runs (one, if the warm-up took over SLOW ms), with one thread and with two.

import { createRequire } from 'node:module';

const [engine, modules, csv, scratch, runs, limit, jobs] = process.argv.slice(2);
const require = createRequire(modules + '/');
const module = await import(`./peers_${jobs}.mjs`);
const print = (...fields) => console.log(fields.map((f) => String(f).replace(/\s+/g, ' ').trim()).join('\t'));
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
    return { run, threads: (n) => run(`SET max_threads = ${n}`) };
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
    return { run, threads: (n) => run(`SET threads = ${n}`) };
}

const peer = await (engine === 'clickhouse' ? openClickHouse() : openDuckDB());
// tables of its own that a module may want; what it has to say of them is told
const told = await module[engine + 'Tables']?.(peer.run);
if (told) print('version', told);
const queries = module[engine]();
const prefix = engine === 'clickhouse' ? 'ClickHouse: ' : 'DuckDB: ';
const failed = new Set();
const slow = new Set();
for (const threads of [1, 2]) {
    await peer.threads(threads);
    for (const job of new Set(queries.map(([j]) => j))) {
        for (let run = 0; run <= (job === 'strict' ? 0 : Number(runs)); run++) {
            for (const [j, name, why, sql] of queries) {
                if (j !== job || failed.has(sql) || run > 1 && slow.has(sql)) continue;
                try {
                    const began = process.hrtime.bigint();
                    const answer = await peer.run(sql);
                    const ms = Number(process.hrtime.bigint() - began) / 1e6;
                    if (ms > Number(limit)) slow.add(sql);
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
