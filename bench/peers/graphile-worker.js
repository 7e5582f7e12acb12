// graphile-worker: jobs in PostgreSQL, woken by LISTEN/NOTIFY, deleted when done.

import { measure } from './measure.js';
import { connect, transactional, url } from './postgres.js';

// Read when the library is loaded: no line a job, not even one that is thrown away.
process.env.NO_LOG_SUCCESS = '1';
const { Logger, makeWorkerUtils, run } = await import('graphile-worker');

const SCHEMA = 'peer_graphile_worker';
const TASK = 'noop';
const JOB = { n: 1 };

/** Its documentation's settings for speed: jobs fetched and completed in batches. */
const BATCHED = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

const logger = new Logger(() => (level, message) => {
  if (level === 'error' || level === 'warning') {
    console.error(message);
  }
});
const shared = { connectionString: url, schema: SCHEMA, logger };

let connection;

await measure(
  {
    name: 'graphile-worker',
    transactional: true,

    async open() {
      connection = await connect();
      await connection.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
      const utils = await makeWorkerUtils(shared);
      await utils.migrate();
      await utils.release();
    },

    async acceptAll(jobs) {
      const utils = await makeWorkerUtils(shared);
      await utils.addJobs(Array.from({ length: jobs }, () => ({ identifier: TASK, payload: JOB })));
      await utils.release();
      await connection.query(`ANALYZE ${SCHEMA}._private_jobs`);
    },

    async work(handled, { concurrency, busy }) {
      const settings = { concurrentJobs: concurrency, ...(busy ? BATCHED : {}) };
      const runner = await run({
        preset: {
          worker: { ...shared, maxPoolSize: concurrency + 1, ...settings },
        },
        taskList: { [TASK]: () => handled() },
        parsedCronItems: [],
        noHandleSignals: true,
      });
      return { settings, stop: () => runner.stop() };
    },

    client: () =>
      transactional((transaction) =>
        transaction.query({
          name: 'add',
          text: `SELECT ${SCHEMA}.add_job($1, $2)`,
          values: [TASK, JOB],
        }),
      ),

    async left() {
      const { rows } = await connection.query(
        `SELECT EXISTS (SELECT FROM ${SCHEMA}._private_jobs)::int AS some`,
      );
      return rows[0].some;
    },

    async close() {
      await connection.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
      await connection.end();
    },
  },
  import.meta.url,
);
