// pg-boss: jobs in PostgreSQL, fetched by polling, kept as completed rows.

import PgBoss from 'pg-boss';

import { fail, measure } from './measure.js';
import { connect, transactional, url } from './postgres.js';

const SCHEMA = 'peer_pg_boss';
const QUEUE = 'noop';
const JOB = { n: 1 };

/** In place of a concurrency: what one fetch takes and one completion ends. */
const BATCH = 2_000;
/** The shortest that it permits. */
const POLLING_SECONDS = 0.5;

let connection;
let boss;

await measure(
  {
    name: 'pg-boss',
    transactional: true,

    async open() {
      connection = await connect();
      await connection.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
      boss = instance();
      await boss.start();
      await boss.createQueue(QUEUE);
    },

    async acceptAll(jobs) {
      await boss.insert(Array.from({ length: jobs }, () => ({ name: QUEUE, data: JOB })));
      await connection.query(`ANALYZE ${SCHEMA}.job`);
    },

    async work(handled, { busy }) {
      const settings = { batchSize: BATCH, pollingIntervalSeconds: POLLING_SECONDS };
      const id = await boss.work(QUEUE, settings, async (jobs) => {
        jobs.forEach(() => handled());
        // Where there were some there may be more: it does not sleep before the next fetch.
        if (busy) {
          boss.notifyWorker(id);
        }
      });
      return { settings, stop: () => boss.offWork({ id }) };
    },

    client() {
      // Not started: it only words the statement, which runs on the client's connection.
      const sender = instance();
      return transactional((transaction) =>
        sender.send(QUEUE, JOB, {
          db: { executeSql: (text, values) => transaction.query(text, values) },
        }),
      );
    },

    async left() {
      const { rows } = await connection.query(
        `SELECT EXISTS (SELECT FROM ${SCHEMA}.job WHERE name = $1 AND state < 'completed')::int AS some`,
        [QUEUE],
      );
      return rows[0].some;
    },

    async close() {
      await boss.stop({ graceful: false });
      await connection.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
      await connection.end();
    },
  },
  import.meta.url,
);

/** Without its own housekeeping, which would only disturb a run of seconds. */
function instance() {
  const options = { connectionString: url, schema: SCHEMA, supervise: false, schedule: false };
  const created = new PgBoss(options);
  created.on('error', fail);
  return created;
}
