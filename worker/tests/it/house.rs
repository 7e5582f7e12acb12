//! A database, a Redis prefix and a worker in this process, for one test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plinth_core::Stores;
use plinth_core::jobs::{Claim, Ledger, Note, Transport};
use plinth_domain::id::JobId;
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::settings::WorkerSettings;
use plinth_testkit::{Stage, Wire, until};
use plinth_worker::fleet::Fleet;
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A job that is counted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {}

impl JobPayload for Tally {
    const KIND: &'static str = "test.tally";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// A job that no worker here knows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unheard {}

impl JobPayload for Unheard {
    const KIND: &'static str = "test.unheard";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// What ran, and whether a job ran twice at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    runs: HashMap<JobId, usize>,
    running: HashMap<JobId, usize>,
    overlaps: usize,
}

impl Log {
    /// Handlers that count and take so long.
    pub(crate) fn tallying(&self, takes: Duration) -> Registry {
        let log = self.clone();
        Registry::default().with(move |_: Tally, attempt| {
            let log = log.clone();
            async move {
                log.begin(attempt.job);
                tokio::time::sleep(takes).await;
                log.end(attempt.job);
                Ok(())
            }
        })
    }

    pub(crate) fn begin(&self, job: JobId) {
        let mut entries = self.lock();
        *entries.runs.entry(job).or_default() += 1;
        let running = entries.running.entry(job).or_default();
        *running += 1;
        entries.overlaps += usize::from(*running > 1);
    }

    pub(crate) fn end(&self, job: JobId) {
        *self.lock().running.entry(job).or_default() -= 1;
    }

    pub(crate) fn runs(&self, job: JobId) -> usize {
        self.lock().runs.get(&job).copied().unwrap_or(0)
    }

    pub(crate) fn total(&self) -> usize {
        self.lock().runs.values().sum()
    }

    pub(crate) fn overlaps(&self) -> usize {
        self.lock().overlaps
    }

    pub(crate) async fn until_begun(&self, job: JobId) {
        until("the job begins", async || {
            (self.runs(job) > 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_begun_some(&self, jobs: usize) {
        until("some jobs begin", async || {
            (self.total() >= jobs).then_some(())
        })
        .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().expect("no holder panics")
    }
}

/// A row of the ledger.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) state: String,
    pub(crate) attempt: i16,
    pub(crate) last_error: Option<String>,
}

/// A running worker.
pub(crate) struct Worker {
    stop: CancellationToken,
    fleet: JoinHandle<()>,
}

impl Worker {
    /// As SIGTERM does it.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.fleet.await.expect("the fleet does not panic");
    }
}

pub(crate) struct House {
    pub(crate) stores: Stores,
    pub(crate) ledger: Ledger,
    /// What the stores reach Redis by.
    pub(crate) wire: Wire,
    stage: Stage,
}

impl House {
    pub(crate) async fn open() -> Self {
        let mut stage = Stage::open().await;
        let wire = stage.wire_redis().await;
        let stores = stage.stores();
        let ledger = Ledger::new(&stage.settings().database, "test").expect("the URL is one");
        Self {
            stores,
            ledger,
            wire,
            stage,
        }
    }

    pub(crate) fn settings(&self) -> WorkerSettings {
        self.stage.settings().worker
    }

    /// A job that was committed, by a process that was killed before it could push it.
    pub(crate) async fn enqueue<J: JobPayload>(&self, job: &J) -> JobId {
        let id = JobId::mint(self.stores.clock.now());
        sqlx::query(
            "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, priority, run_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, now(), now())",
        )
        .bind(id.0)
        .bind(J::QUEUE.as_str())
        .bind(J::KIND)
        .bind(serde_json::to_value(job).expect("a payload is JSON"))
        .bind(J::VERSION)
        .bind(J::MAX_ATTEMPTS)
        .bind(J::PRIORITY.rank())
        .execute(&self.stores.db)
        .await
        .expect("inserts");
        id
    }

    pub(crate) fn start(&self, registry: Registry) -> Worker {
        self.start_with(self.settings(), registry)
    }

    pub(crate) fn start_with(&self, settings: WorkerSettings, registry: Registry) -> Worker {
        self.start_on(self.stores.clone(), settings, registry)
    }

    /// The stores of a process whose clock is so much ahead.
    pub(crate) fn stores_at(&self, ahead: time::Duration) -> Stores {
        let stores = self.stage.stores();
        stores.clock.advance(ahead);
        stores
    }

    /// A worker whose clock is so much ahead.
    pub(crate) fn start_at(
        &self,
        ahead: time::Duration,
        settings: WorkerSettings,
        registry: Registry,
    ) -> Worker {
        self.start_on(self.stores_at(ahead), settings, registry)
    }

    fn start_on(&self, stores: Stores, settings: WorkerSettings, registry: Registry) -> Worker {
        let stop = CancellationToken::new();
        let queues = vec![(Queue::Email, settings.concurrency.count())];
        let fleet = Fleet {
            stores,
            ledger: self.ledger.clone(),
            settings,
            queues,
            registry,
        };
        Worker {
            fleet: tokio::spawn(fleet.run(stop.clone())),
            stop,
        }
    }

    /// As many as asked for, in one statement.
    pub(crate) async fn enqueue_many(&self, jobs: i32) -> Vec<JobId> {
        sqlx::query(
            "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at)
             SELECT gen_random_uuid(), 'email', 'test.tally', '{}', 1, 3, now(), now()
             FROM generate_series(1, $1) RETURNING id",
        )
        .bind(jobs)
        .fetch_all(&self.stores.db)
        .await
        .expect("inserts")
        .iter()
        .map(|row| JobId(row.get(0)))
        .collect()
    }

    pub(crate) async fn push(&self, jobs: &[JobId]) {
        let jobs: Vec<_> = jobs.iter().map(|job| email_note(*job)).collect();
        // A wire that was just mended is tried again after a moment.
        until("the push is taken", async || {
            Transport::new(&self.stores.redis).push(&jobs).await.ok()
        })
        .await;
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        let row = sqlx::query("SELECT state, attempt, last_error FROM jobs WHERE id = $1")
            .bind(id.0)
            .fetch_one(&self.stores.db)
            .await
            .expect("the job is in the ledger");
        Job {
            state: row.get(0),
            attempt: row.get(1),
            last_error: row.get(2),
        }
    }

    pub(crate) async fn count(&self, state: &str) -> usize {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = $1")
            .bind(state)
            .fetch_one(&self.stores.db)
            .await
            .expect("counts");
        usize::try_from(count).expect("a count")
    }

    pub(crate) async fn until_all_are(&self, state: &str, jobs: usize) {
        until(&format!("{jobs} jobs are {state}"), async || {
            (self.count(state).await >= jobs).then_some(())
        })
        .await;
    }

    pub(crate) async fn set_version(&self, id: JobId, version: i16) {
        self.update(
            "UPDATE jobs SET payload_version = $2 WHERE id = $1",
            id,
            version,
        )
        .await;
    }

    pub(crate) async fn spoil_payload(&self, id: JobId) {
        self.update(
            "UPDATE jobs SET payload = '{\"unheard\": 1}', payload_version = $2 WHERE id = $1",
            id,
            1,
        )
        .await;
    }

    /// From now on, as PostgreSQL writes an interval.
    pub(crate) async fn set_deadline(&self, id: JobId, interval: &str) {
        let query = sqlx::query("UPDATE jobs SET deadline = now() + $2::interval WHERE id = $1");
        query
            .bind(id.0)
            .bind(interval)
            .execute(&self.stores.db)
            .await
            .expect("updates");
    }

    /// How the attempts ended that did not succeed.
    pub(crate) async fn attempts(&self, id: JobId) -> Vec<String> {
        sqlx::query_scalar("SELECT outcome FROM job_attempts WHERE job_id = $1 ORDER BY claim")
            .bind(id.0)
            .fetch_all(&self.stores.db)
            .await
            .expect("the attempts are read")
    }

    async fn update(&self, sql: &'static str, id: JobId, value: i16) {
        sqlx::query(sql)
            .bind(id.0)
            .bind(value)
            .execute(&self.stores.db)
            .await
            .expect("updates");
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> T {
        let mut connection = self
            .stores
            .redis
            .client()
            .get_multiplexed_async_connection()
            .await
            .expect("Redis answers");
        command
            .query_async(&mut connection)
            .await
            .expect("Redis obeys")
    }

    /// Every key of this test.
    pub(crate) async fn redis_keys(&self) -> Vec<String> {
        self.ask(redis::cmd("KEYS").arg(format!("{}*", self.stores.redis.prefix())))
            .await
    }

    /// As FLUSHALL, for this test only.
    pub(crate) async fn wipe_redis(&self) {
        for key in self.redis_keys().await {
            let _: i64 = self.ask(redis::cmd("UNLINK").arg(key)).await;
        }
    }

    /// What no transport of ours puts into a window.
    pub(crate) async fn raw_note(&self, text: &str) {
        let window = Transport::new(&self.stores.redis).window(Queue::Email);
        let _: i64 = self
            .ask(redis::cmd("ZADD").arg(window).arg(0).arg(text))
            .await;
    }

    /// How many notes wait in Redis.
    pub(crate) async fn notes(&self) -> usize {
        let window = Transport::new(&self.stores.redis).window(Queue::Email);
        self.ask(redis::cmd("ZCARD").arg(window)).await
    }

    /// A claim by a worker that is killed right after it.
    pub(crate) async fn claim_and_die(&self, job: JobId, lease: Duration) -> Option<Claim> {
        let claimed = self
            .ledger
            .claim(&[job], "the dead", lease)
            .await
            .expect("claims");
        claimed.first().map(|job| job.claim)
    }
}

/// A note as whoever commits a job pushes it.
pub(crate) fn email_note(job: JobId) -> Note {
    Note {
        queue: Queue::Email,
        job,
        rank: 1,
        due: plinth_platform::clock::Clock::default().now(),
    }
}
