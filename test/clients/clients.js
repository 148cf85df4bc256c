// What test/t/180_clients.pl asks of Node's pg, as web backends use it: clients.js CONNECTION-STRING
// A line "name: value" for each thing found; the test compares them.
const { Client } = require('pg');
const say = (name, value) => console.log(`${name}: ${value}`);

async function main() {
  const client = new Client({ connectionString: process.argv[2] });
  await client.connect();
  const one = async (text, values) => (await client.query(text, values)).rows[0];

  const rows = (await client.query(
    `SELECT t.*, j.journey, journey_channels(j.journey) AS channels, m.identifiers::text[], m.value_by_currency
     FROM crm.timeline t JOIN crm.current_journeys j USING (customer_id) JOIN crm.customer_360 m USING (customer_id)
     WHERE t.customer_id = $1 ORDER BY t.occurred_at LIMIT 2`, [1])).rows;
  const row = rows[1];
  say('bigint', row.customer_id);
  say('text', row.channel);
  say('null', row.direction);
  say('numeric', row.value);
  say('timestamptz', row.occurred_at.toISOString());
  say('interval', `${row.since_previous.hours} h`);
  say('boolean', row.is_handoff);
  say('jsonb', row.attributes.till);
  say('array', row.channels.join(' '));
  say('identifier', row.identifiers.join(' '));
  say('journey', row.journey);

  // who listens is told with the commit
  const told = new Promise(resolve => client.on('notification', n => resolve(n)));
  await client.query('LISTEN crm');
  const record = 'SELECT crm.record($1, $2, $3, $4, value => $5, source => $6, source_key => $7, attributes => $8) AS id';
  const values = [['node:x', `node:"1" \\ 'ç'`], '2026-03-05T10:00:00.123456+01', 'node', 'click', '12345678.0123456789', 'node', '1',
    { text: "it's" }];
  const first = await one(record, values);
  const again = await one(record, values);
  say('recorded', first.id === again.id);
  const news = await told;
  say('told', `${news.channel} ${JSON.parse(news.payload).touchpoint_id == first.id} ${JSON.parse(news.payload).customer_id > 0}`);
  say('customer', (await one('SELECT crm.customer_of($1) = crm.customer_of($2) AS same', [`node:"1" \\ 'ç'`, 'node:x'])).same);
  say('many', (await one(
    'SELECT crm.record_many(array_agg(e)) AS ids FROM jsonb_populate_recordset(NULL::crm.event, $1) e',
    [JSON.stringify([1, 2].map(n => ({ identifiers: [`node:${n}`], occurred_at: '2026-03-07T10:00:00Z', channel: 'node', action: 'batch', source: 'batch',
      source_key: String(n), value: 0.1, attributes: { n } })))])).ids.length);
  say('ingested', (await one('SELECT touchpoints FROM crm.ingest($1::json, $2)',
    [{ type: 'track', event: 'seen', userId: 'node', messageId: 'm', timestamp: '2026-03-08T10:00:00Z' }, 'segment'])).touchpoints);
  await client.query('SELECT crm.record($1, now(), $2, $2)', ['{no namespace}', 'x']).catch(e => say('error', e.code));

  // once with its own plan, and as often as it takes to have a plan kept on the server
  let index = true;
  for (let n = 1; n <= 12; n++) {
    const plan = await client.query({ name: 'plan', text: 'EXPLAIN SELECT customer_id FROM crm.customer_journeys WHERE journey ~ $1', values: ['rare.thing'] });
    index &&= plan.rows.some(r => r['QUERY PLAN'].includes('customer_journeys_journey_idx'));
  }
  say('index', index);
  say('matches', (await one('SELECT count(*) FROM crm.customer_journeys WHERE journey ~ $1', ['rare.thing'])).count);
  await client.end();
}

main().catch(e => { console.error(e); process.exit(1); });
