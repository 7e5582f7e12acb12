// The three scenarios, defined once for every peer, with their clock, percentiles and output.
// A peer's program describes its queue (see README.md) and calls `measure` with it.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker as Thread, isMainThread, parentPort } from 'node:worker_threads';

const CONCURRENCY = 50;
const CLIENTS = 16;
/** Pickups that are not counted: connections, statements and compiled code become warm. */
const WARM_UP = 20;
/** A peer that lost a job would otherwise be waited for without end. */
const DEADLINE_MS = 300_000;

const SCENARIOS = {
  backlog: { run: backlog, amount: 20_000 },
  throughput: { run: throughput, amount: 8 },
  pickup: { run: pickup, amount: 300 },
};

/** Runs the scenario that the command line names, and prints one line of JSON. */
export async function measure(peer, program) {
  // Standard output is for the figures, whatever a library would like to say.
  console.log = console.info = console.debug = console.error;
  if (!isMainThread) {
    await acceptOnDemand(peer);
    return;
  }
  const [name, amount] = process.argv.slice(2);
  const scenario = SCENARIOS[name];
  const size = Number(amount ?? scenario?.amount);
  if (!scenario || !(size > 0)) {
    fail(`usage: node ${peer.name}.js ${Object.keys(SCENARIOS).join('|')} [jobs or seconds]`);
  }
  setTimeout(() => fail(`${name} did not end within ${DEADLINE_MS / 1000} s`), DEADLINE_MS).unref();
  try {
    await peer.open();
    const figures = await scenario.run(peer, size, program);
    await peer.close();
    const line = {
      peer: peer.name,
      version: version(peer.name),
      scenario: name,
      transactional: peer.transactional,
      ...figures,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`, () => process.exit(0));
  } catch (error) {
    fail(error);
  }
}

/** The value of an environment variable that the programs cannot do without. */
export function required(variable) {
  return process.env[variable] || fail(`${variable} is not set`);
}

/** Ends the program; what a thread throws ends it too, where an exit would end the thread alone. */
export function fail(error) {
  if (!isMainThread) {
    throw error;
  }
  console.error(error);
  process.exit(1);
}

/** Jobs that were accepted before, consumed by one worker that has just been started. */
async function backlog(peer, jobs) {
  await peer.acceptAll(jobs);
  const handled = counter();
  const start = now();
  const worker = await peer.work(handled.add, { concurrency: CONCURRENCY, busy: true });
  await handled.reaches(jobs);
  await recorded(peer);
  const seconds = (now() - start) / 1000;
  await worker.stop();
  handled.mustBe(jobs);
  return {
    worker: worker.settings,
    jobs,
    seconds: round(seconds),
    jobs_per_second: Math.round(jobs / seconds),
  };
}

/** Clients that commit one job after the other, while one worker consumes. */
async function throughput(peer, seconds, program) {
  // On a thread of their own: the worker's event loop belongs to the worker.
  const clients = new Thread(new URL(program));
  const gone = once(clients, 'exit');
  await once(clients, 'message');
  const handled = counter();
  const worker = await peer.work(handled.add, { concurrency: CONCURRENCY, busy: true });
  const start = now();
  clients.postMessage(seconds);
  const [accepted] = await once(clients, 'message');
  const acceptance = (now() - start) / 1000;
  await handled.reaches(accepted);
  await recorded(peer);
  const whole = (now() - start) / 1000;
  await worker.stop();
  await gone;
  handled.mustBe(accepted);
  return {
    worker: worker.settings,
    clients: CLIENTS,
    accepted,
    accept_seconds: round(acceptance),
    seconds: round(whole),
    jobs_per_second: Math.round(accepted / whole),
  };
}

/** The thread of the clients: says that it is connected, is told for how long, answers how many. */
async function acceptOnDemand(peer) {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => peer.client()));
  parentPort.postMessage('connected');
  const [seconds] = await once(parentPort, 'message');
  const end = now() + seconds * 1000;
  let accepted = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (now() < end) {
        await client.accept();
        accepted += 1;
      }
    }),
  );
  parentPort.postMessage(accepted);
  await Promise.all(clients.map((client) => client.close()));
  parentPort.close();
}

/** Single jobs on an idle system: from the commit's return to the handler's start. */
async function pickup(peer, jobs) {
  let started;
  const begin = () => started(now());
  const worker = await peer.work(begin, { concurrency: CONCURRENCY, busy: false });
  const client = await peer.client();
  const waits = [];
  for (let job = 0; job < WARM_UP + jobs; job += 1) {
    await pause(20 + Math.random() * 40);
    const start = new Promise((resolve) => {
      started = resolve;
    });
    await client.accept();
    const committed = now();
    const wait = Math.max(0, (await start) - committed);
    if (job >= WARM_UP) {
      waits.push(wait);
    }
  }
  await recorded(peer);
  await client.close();
  await worker.stop();
  waits.sort((a, b) => a - b);
  return {
    worker: worker.settings,
    jobs,
    p50_ms: round(percentile(waits, 50)),
    p99_ms: round(percentile(waits, 99)),
  };
}

/** Asks the peer's own storage until no job is left that is not done. */
async function recorded(peer) {
  while ((await peer.left()) > 0) {
    await pause(1);
  }
}

/** Counts handled jobs, and wakes who waits for a number of them. */
function counter() {
  let count = 0;
  let target = Infinity;
  let reached;
  return {
    add() {
      count += 1;
      if (count === target) {
        reached();
      }
    },
    async reaches(number) {
      target = number;
      if (count < number) {
        await new Promise((resolve) => {
          reached = resolve;
        });
      }
    },
    mustBe(number) {
      if (count !== number) {
        throw new Error(`${number} jobs were accepted, ${count} were handled`);
      }
    },
  };
}

/** The smallest value that `percent` of the sorted values do not exceed. */
function percentile(sorted, percent) {
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1];
}

/** Milliseconds of the monotonic clock that all threads share. */
function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}

function round(value) {
  return Number(value.toFixed(3));
}

function version(name) {
  const manifest = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}
