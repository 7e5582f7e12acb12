//! The fixture of one test: a database, a Redis prefix and workers in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plinth_core::Stores;
use plinth_core::jobs::{Claim, JobRef, Ledger, Transport};
use plinth_domain::id::JobId;
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::settings::WorkerSettings;
use plinth_testkit::{Stage, Wire, until};
use plinth_worker::registry::Registry;
use plinth_worker::supervisor::Supervisor;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A job whose runs are counted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {}

impl JobPayload for Tally {
    const KIND: &'static str = "test.tally";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// A job of a kind that no worker of the tests knows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnknownKind {}

impl JobPayload for UnknownKind {
    const KIND: &'static str = "test.unheard";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// A record of the jobs that ran, and of those that ran twice at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    runs: HashMap<JobId, usize>,
    running: HashMap<JobId, usize>,
    overlaps: usize,
}

impl Log {
    /// Returns a handler of [`Tally`] that counts its runs and takes `duration`.
    pub(crate) fn counting_handlers(&self, duration: Duration) -> Registry {
        let log = self.clone();
        Registry::default().with(move |_: Tally, attempt| {
            let log = log.clone();
            async move {
                log.begin(attempt.job);
                tokio::time::sleep(duration).await;
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
        until("the job starts", async || {
            (self.runs(job) > 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_begun_some(&self, jobs: usize) {
        until("some jobs start", async || {
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
    supervisor: JoinHandle<()>,
}

impl Worker {
    /// Stops the worker as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.supervisor.await.expect("the worker does not panic");
    }
}

pub(crate) struct House {
    pub(crate) stores: Stores,
    pub(crate) ledger: Ledger,
    /// The connection of the stores to Redis, which tests can break.
    pub(crate) wire: Wire,
    stage: Stage,
}

impl House {
    pub(crate) async fn open() -> Self {
        let mut stage = Stage::open().await;
        let wire = stage.wire_redis().await;
        let stores = stage.stores();
        let ledger = Ledger::new(&stage.settings().database, "test").expect("a valid URL");
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

    /// Inserts a job without pushing it, like a process that is killed after its commit.
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

    /// Returns the stores of a process whose clock is ahead.
    pub(crate) fn stores_at(&self, ahead: time::Duration) -> Stores {
        let stores = self.stage.stores();
        stores.clock.advance(ahead);
        stores
    }

    /// Starts a worker whose clock is ahead.
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
        let supervisor = Supervisor {
            stores,
            ledger: self.ledger.clone(),
            settings,
            queues,
            registry,
        };
        Worker {
            supervisor: tokio::spawn(supervisor.run(stop.clone())),
            stop,
        }
    }

    /// Inserts jobs in one statement, without pushing them.
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
        let jobs: Vec<_> = jobs.iter().map(|job| email_message(*job)).collect();
        // A restored connection is used again after a moment.
        until("the push succeeds", async || {
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

    /// Sets a deadline relative to now; `interval` is PostgreSQL's syntax.
    pub(crate) async fn set_deadline(&self, id: JobId, interval: &str) {
        let query = sqlx::query("UPDATE jobs SET deadline = now() + $2::interval WHERE id = $1");
        query
            .bind(id.0)
            .bind(interval)
            .execute(&self.stores.db)
            .await
            .expect("updates");
    }

    /// Returns the outcomes of the attempts that did not succeed.
    pub(crate) async fn attempts(&self, id: JobId) -> Vec<String> {
        sqlx::query_scalar("SELECT outcome FROM job_attempts WHERE job_id = $1 ORDER BY claim")
            .bind(id.0)
            .fetch_all(&self.stores.db)
            .await
            .expect("reads")
    }

    async fn update(&self, sql: &'static str, id: JobId, value: i16) {
        sqlx::query(sql)
            .bind(id.0)
            .bind(value)
            .execute(&self.stores.db)
            .await
            .expect("updates");
    }

    async fn redis_command<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> T {
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
            .expect("Redis executes it")
    }

    /// Returns every key of this test.
    pub(crate) async fn redis_keys(&self) -> Vec<String> {
        self.redis_command(redis::cmd("KEYS").arg(format!("{}*", self.stores.redis.prefix())))
            .await
    }

    /// Removes every key of this test.
    pub(crate) async fn wipe_redis(&self) {
        for key in self.redis_keys().await {
            let _: i64 = self.redis_command(redis::cmd("UNLINK").arg(key)).await;
        }
    }

    /// Adds any text to the ready set.
    pub(crate) async fn push_raw_message(&self, text: &str) {
        let key = Transport::new(&self.stores.redis).ready_set_key(Queue::Email);
        let _: i64 = self
            .redis_command(redis::cmd("ZADD").arg(key).arg(0).arg(text))
            .await;
    }

    /// Returns the number of messages in the ready set.
    pub(crate) async fn message_count(&self) -> usize {
        let key = Transport::new(&self.stores.redis).ready_set_key(Queue::Email);
        self.redis_command(redis::cmd("ZCARD").arg(key)).await
    }

    /// Claims a job like a worker that is killed right after its claim.
    pub(crate) async fn claim_and_die(&self, job: JobId, lease: Duration) -> Option<Claim> {
        let claimed = self
            .ledger
            .claim(&[job], "dead worker", lease)
            .await
            .expect("claims");
        claimed.first().map(|job| job.claim)
    }
}

/// Returns the queue message of a job of the queue `email`.
pub(crate) fn email_message(job: JobId) -> JobRef {
    JobRef {
        queue: Queue::Email,
        job,
        rank: 1,
        due: plinth_platform::clock::Clock::default().now(),
    }
}
