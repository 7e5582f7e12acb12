// BullMQ: jobs in Redis, moved by scripts; what was done is removed.

import { Queue, Worker } from 'bullmq';

import { fail, measure, required } from './measure.js';

const PREFIX = 'peer-bullmq';
const NAME = 'noop';
const JOB = { n: 1 };
/** Jobs of one `addBulk`. */
const CHUNK = 1_000;

const connection = { url: required('PEERS_REDIS_URL') };
const options = { connection, prefix: PREFIX };

let queue;

await measure(
  {
    name: 'bullmq',
    transactional: false,

    async open() {
      queue = new Queue(NAME, options);
      queue.on('error', fail);
      await queue.obliterate({ force: true });
    },

    async acceptAll(jobs) {
      for (let added = 0; added < jobs; added += CHUNK) {
        const chunk = Math.min(CHUNK, jobs - added);
        await queue.addBulk(Array.from({ length: chunk }, () => ({ name: NAME, data: JOB })));
      }
    },

    async work(handled, { concurrency }) {
      const settings = { concurrency, removeOnComplete: { count: 0 } };
      const worker = new Worker(NAME, async () => handled(), { ...options, ...settings });
      worker.on('error', fail);
      await worker.waitUntilReady();
      return { settings, stop: () => worker.close() };
    },

    async client() {
      const producer = new Queue(NAME, options);
      producer.on('error', fail);
      await producer.waitUntilReady();
      return { accept: () => producer.add(NAME, JOB), close: () => producer.close() };
    },

    left: () => queue.getJobCountByTypes('wait', 'active', 'delayed', 'prioritized', 'failed'),

    async close() {
      await queue.obliterate({ force: true });
      await queue.close();
    },
  },
  import.meta.url,
);
