// A backend that sends customers to agents as soon as they write, and acts on who enters or leaves a segment.
//
//   npm install && node backend.js [hub]     the server is named by PGHOST, PGDATABASE and so on; the hub is crm
//
// A notification only wakes it: what there is to do is read from the hub. So nothing is lost while it is down, and any number of it
// may run: what one has locked, the others skip. Its role needs what grant_access gives a reader and a writer.
const { Client } = require('pg');

const hub = process.argv[2] ?? 'crm';
// It looks by itself, too: agents become free, and nobody tells
const every = 1000 * (process.env.EVERY ?? 30);

class Backend {
  constructor() {
    this.db = new Client();
    this.hub = this.db.escapeIdentifier(hub);
  }

  async transaction(work) {
    await this.db.query('BEGIN');
    try {
      const result = await work();
      await this.db.query('COMMIT');
      return result;
    } catch (e) {
      await this.db.query('ROLLBACK');
      throw e;
    }
  }

  // Who entered or left a segment, as far as no other backend has it: taken with the commit, so act before it
  takeSegmentEvents() {
    return this.transaction(async () => {
      const { rows } = await this.db.query(`SELECT segment, customer_id, entered FROM ${this.hub}.take_segment_events(100)`);
      for (const e of rows) console.log(`customer ${e.customer_id} ${e.entered ? 'entered' : 'left'} ${e.segment}`);
      return rows.length > 0;
    });
  }

  // The conversation that waits longest, of those that no agent and no other backend has, to somebody; false: there is none
  assignNext(tried) {
    return this.transaction(async () => {
      const { rows: [waiting] } = await this.db.query(
        `WITH waiting AS MATERIALIZED (
             SELECT w.customer_id, w.channel, w.source, w.conversation, w.waiting_since
             FROM ${this.hub}.waiting_now(now() - interval '7 days') w
             WHERE w.source || ' ' || w.conversation <> ALL ($1)
                   AND NOT EXISTS (SELECT FROM ${this.hub}.assignments a WHERE a.source = w.source
                                   AND a.conversation = w.conversation AND a.released_at IS NULL AND a.agent IS NOT NULL))
         SELECT w.customer_id, w.channel, w.source, w.conversation
         FROM waiting w JOIN ${this.hub}.customers c ON c.customer_id = w.customer_id
         ORDER BY w.waiting_since LIMIT 1 FOR UPDATE OF c SKIP LOCKED`, [[...tried]]);
      if (!waiting) return false;
      const { customer_id: customer, channel, source, conversation } = waiting;
      tried.add(`${source} ${conversation}`);
      // another backend may have been done with it between the look and the lock
      if ((await this.db.query(
        `SELECT FROM ${this.hub}.assignments WHERE source = $1 AND conversation = $2 AND released_at IS NULL AND agent IS NOT NULL`,
        [source, conversation])).rowCount) return true;
      const { rows: [{ id }] } = await this.db.query(
        `SELECT ${this.hub}.assign($1, channel => $2, source => $3, conversation => $4) AS id`, [customer, channel, source, conversation]);
      const { rows: [to] } = await this.db.query(
        `SELECT agent, queue, reasons FROM ${this.hub}.assignments WHERE assignment_id = $1`, [id]);
      console.log(`customer ${customer} ${conversation}: ${to.agent ?? `waits in ${to.queue}`} (${to.reasons?.at(-1)})`);
      return true;
    }).catch(e => {
      if (e.code !== 'P0002') throw e;
      console.log(e.message); // no rule, and nobody free: the next round tries again
      return true;
    });
  }

  async work() {
    while (await this.takeSegmentEvents());
    const tried = new Set();
    while (await this.assignNext(tried));
  }

  async run() {
    let told = false;
    let wake = () => {};
    this.db.on('notification', () => { told = true; wake(); });
    this.db.on('error', fail); // whoever watches over it starts it again
    await this.db.connect();
    await this.db.query(`LISTEN ${this.hub}`);
    for (;;) {
      told = false;
      await this.work();
      if (told) continue; // something came while it worked
      await new Promise(resolve => {
        const timer = setTimeout(resolve, every);
        wake = () => { clearTimeout(timer); resolve(); };
      });
    }
  }
}

function fail(e) {
  console.error(e.message);
  process.exit(1);
}

new Backend().run().catch(fail);
