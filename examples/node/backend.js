// A backend that sends customers to agents as soon as they write, and acts on who enters a segment.
//
//   node backend.js [hub]        the server is named by PGHOST, PGDATABASE and so on; the hub is crm
//   node backend.js --once       does what there is to do, and ends
//
// A notification only wakes it: what is to do is read from the hub. So nothing is lost while it is down, and any number of it may
// run: what one has locked, the others skip.
const { Client } = require('pg');

const once = process.argv.includes('--once');
const hub = process.argv.slice(2).find(a => !a.startsWith('-')) ?? 'crm';
const EVERY = 30_000; // looks by itself, too: people wait longer, and come on duty, without anybody telling

// Run f in a transaction
async function transaction(db, f) {
  await db.query('BEGIN');
  try {
    const result = await f();
    await db.query('COMMIT');
    return result;
  } catch (e) {
    await db.query('ROLLBACK');
    throw e;
  }
}

// Send the customer who waits longest to somebody; false if nobody waits whom no other backend has in hand
function routeNext(db, schema, tried) {
  return transaction(db, async () => {
    const waiting = (await db.query(
      `WITH w AS MATERIALIZED (
           SELECT w.customer_id, w.channel, w.source, w.conversation, w.waiting_since
           FROM ${schema}.waiting_now(now() - interval '7 days') w
           WHERE w.source || ' ' || w.conversation <> ALL ($1)
                 AND NOT EXISTS (SELECT FROM ${schema}.assignments a
                                 WHERE a.source = w.source AND a.conversation = w.conversation AND a.released_at IS NULL))
       SELECT w.* FROM w JOIN ${schema}.customers c ON c.customer_id = w.customer_id
       ORDER BY w.waiting_since LIMIT 1 FOR UPDATE OF c SKIP LOCKED`, [[...tried]])).rows[0];
    if (!waiting) return false;
    const { customer_id: customer, channel, source, conversation } = waiting;
    tried.add(`${source} ${conversation}`);
    // while the customer was waited for, another backend may have been done with him
    const { rowCount: done } = await db.query(
      `SELECT FROM ${schema}.assignments WHERE source = $1 AND conversation = $2 AND released_at IS NULL`, [source, conversation]);
    if (done) return true;
    const to = (await db.query(`SELECT queue, agent, channel, reasons FROM ${schema}.route($1, $2)`, [customer, channel])).rows[0];
    if (to.queue ?? to.agent) {
      await db.query(`SELECT ${schema}.assign($1, $2, $3, $4, $5, $6)`, [customer, to.queue, to.agent, to.channel, source, conversation]);
    }
    console.log(`customer ${customer}, ${conversation}: ${to.agent ?? to.queue ?? 'nobody'} (${to.reasons.at(-1)})`);
    return true;
  });
}

// Rows of segment_log that no other backend has taken. They are taken when this transaction commits, so act before.
function takeSegmentEvents(db, schema) {
  return transaction(db, async () => {
    const { rows } = await db.query(`SELECT segment, customer_id, entered FROM ${schema}.take_segment_events(100)`);
    for (const e of rows) console.log(`customer ${e.customer_id} ${e.entered ? 'entered' : 'left'} ${e.segment}`);
    return rows.length > 0;
  });
}

async function main() {
  const db = new Client();
  await db.connect();
  const schema = db.escapeIdentifier(hub);
  let wake = () => {};
  let woken = false;
  db.on('notification', () => { woken = true; wake(); });
  db.on('error', e => { console.error(e.message); process.exit(1); }); // whoever watches over it starts it anew
  await db.query(`LISTEN ${schema}`);
  for (;;) {
    woken = false;
    const tried = new Set();
    while (await takeSegmentEvents(db, schema)) ;
    while (await routeNext(db, schema, tried)) ;
    if (once) break;
    if (!woken) await new Promise(resolve => { wake = resolve; setTimeout(resolve, EVERY); });
  }
  await db.end();
}

main().catch(e => { console.error(e); process.exit(1); });
