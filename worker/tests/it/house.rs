//! A database, a Redis prefix and a worker in this process, for one test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plinth_core::Stores;
use plinth_core::jobs::{Ledger, Transport, namespace};
use plinth_domain::id::JobId;
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::settings::{List, Settings, WorkerSettings};
use plinth_worker::fleet::Fleet;
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::wire::Wire;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A job that is counted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {}

impl JobPayload for Tally {
    const KIND: &'static str = "test.tally";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// A job that no worker here knows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unheard {}

impl JobPayload for Unheard {
    const KIND: &'static str = "test.unheard";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// What ran, and whether a job ran twice at once.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    runs: HashMap<JobId, usize>,
    running: HashMap<JobId, usize>,
    overlaps: usize,
}

impl Log {
    /// Handlers that count and take so long.
    pub fn tallying(&self, takes: Duration) -> Registry {
        let log = self.clone();
        Registry::default().with(move |_: Tally, attempt| {
            let log = log.clone();
            async move {
                log.begin(attempt.job);
                tokio::time::sleep(takes).await;
                *log.lock().running.entry(attempt.job).or_default() -= 1;
                Ok(())
            }
        })
    }

    pub fn begin(&self, job: JobId) {
        let mut entries = self.lock();
        *entries.runs.entry(job).or_default() += 1;
        let running = entries.running.entry(job).or_default();
        *running += 1;
        entries.overlaps += usize::from(*running > 1);
    }

    pub fn runs(&self, job: JobId) -> usize {
        self.lock().runs.get(&job).copied().unwrap_or(0)
    }

    pub fn total(&self) -> usize {
        self.lock().runs.values().sum()
    }

    pub fn overlaps(&self) -> usize {
        self.lock().overlaps
    }

    pub async fn until_begun(&self, job: JobId) {
        until("the job begins", async || self.runs(job) > 0).await;
    }

    pub async fn until_begun_some(&self, jobs: usize) {
        until("some jobs begin", async || self.total() >= jobs).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().expect("no holder panics")
    }
}

/// A row of the ledger.
#[derive(Debug)]
pub struct Job {
    pub state: String,
    pub attempt: i16,
    pub last_error: Option<String>,
}

/// A running worker.
pub struct Worker {
    stop: CancellationToken,
    fleet: JoinHandle<()>,
}

impl Worker {
    /// As SIGTERM does it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.fleet.await.expect("the fleet does not panic");
    }
}

pub struct House {
    pub stores: Stores,
    pub ledger: Ledger,
    /// What the stores reach Redis by.
    pub wire: Wire,
}
//SCRATCH
impl House {
    pub async fn open() -> Self {
        static ONE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let n = ONE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("w{}x{n}", std::process::id());
        let admin = sqlx::PgPool::connect(&std::env::var("SCRATCH_DB").expect("db")).await.expect("connects");
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {name} template t"))).execute(&admin).await.expect("creates");
        let mut settings = Self::all_settings(&name);
        settings.redis.prefix = name;
        let wire = Wire::to(settings.redis.url.expose().trim_start_matches("redis://").to_owned()).await;
        settings.redis.url = plinth_platform::settings::Value::parse(&format!("redis://{}", wire.address)).expect("a URL");
        let stores = Stores::new(&settings, "test").expect("stores");
        Self { ledger: Ledger::new(&stores), stores, wire }
    }
    fn all_settings(name: &str) -> Settings {
        let db = std::env::var("SCRATCH_DB").expect("db").replace("/t", &format!("/{name}"));
        Settings::from_env([("PLINTH_DATABASE_URL", db.as_str()), ("PLINTH_REDIS_URL", &std::env::var("SCRATCH_REDIS").expect("r")), ("PLINTH_SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), ("PLINTH_S3_ACCESS_KEY_ID","x"),("PLINTH_S3_SECRET_ACCESS_KEY","x"),("PLINTH_SMTP_URL","smtp://127.0.0.1:1")].map(|(a,b)|(a.to_owned(),b.to_owned()))).expect("settings")
    }
    pub async fn enqueue<J: JobPayload>(&self, job: &J) -> JobId {
        let id = plinth_core::lite::insert(&self.stores, job).await.expect("inserts");
        // Never pushed
        sqlx::query("UPDATE jobs SET dispatched_at = NULL WHERE id = $1 and false").bind(id.0).execute(&self.stores.db).await.expect("x");
        id
    }
    pub fn settings() -> WorkerSettings { Self::all_settings("x").worker }
//END
    pub fn start(&self, registry: Registry) -> Worker {
        self.start_with(Self::settings(), registry)
    }

    pub fn start_with(&self, settings: WorkerSettings, registry: Registry) -> Worker {
        let stop = CancellationToken::new();
        let fleet = Fleet { stores: self.stores.clone(), settings, queues: vec![Queue::Email], registry };
        Worker { fleet: tokio::spawn(fleet.run(stop.clone())), stop }
    }

    /// As many as asked for, in one statement.
    pub async fn enqueue_many(&self, jobs: i32) -> Vec<JobId> {
        sqlx::query(
            "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, dispatched_at, created_at)
             SELECT gen_random_uuid(), 'email', 'test.tally', '{}', 1, 3, now(), now(), now()
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

    pub async fn push(&self, jobs: &[JobId]) {
        let jobs: Vec<_> = jobs.iter().map(|job| (Queue::Email, *job)).collect();
        Transport::new(&self.stores.redis).push(&jobs).await.expect("pushes");
    }

    pub async fn job(&self, id: JobId) -> Job {
        let row = sqlx::query("SELECT state, attempt, last_error FROM jobs WHERE id = $1")
            .bind(id.0)
            .fetch_one(&self.stores.db)
            .await
            .expect("the job is in the ledger");
        Job { state: row.get(0), attempt: row.get(1), last_error: row.get(2) }
    }

    pub async fn count(&self, state: &str) -> usize {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = $1")
            .bind(state)
            .fetch_one(&self.stores.db)
            .await
            .expect("counts");
        usize::try_from(count).expect("a count")
    }

    pub async fn until_all_are(&self, state: &str, jobs: usize) {
        until(state, async || self.count(state).await >= jobs).await;
    }

    pub async fn set_version(&self, id: JobId, version: i16) {
        self.update("UPDATE jobs SET payload_version = $2 WHERE id = $1", id, version).await;
    }

    pub async fn spoil_payload(&self, id: JobId) {
        self.update("UPDATE jobs SET payload = '{\"unheard\": 1}', payload_version = $2 WHERE id = $1", id, 1).await;
    }

    async fn update(&self, sql: &'static str, id: JobId, value: i16) {
        sqlx::query(sql).bind(id.0).bind(value).execute(&self.stores.db).await.expect("updates");
    }

    fn namespace(&self) -> String {
        namespace(&self.stores.redis, Queue::Email)
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> T {
        let mut connection =
            self.stores.redis.client().get_multiplexed_async_connection().await.expect("Redis answers");
        command.query_async(&mut connection).await.expect("Redis obeys")
    }

    /// Every key of this test.
    pub async fn redis_keys(&self) -> Vec<String> {
        self.ask(redis::cmd("KEYS").arg(format!("{}*", self.stores.redis.prefix()))).await
    }

    /// As FLUSHALL, for this test only.
    pub async fn wipe_redis(&self) {
        for key in self.redis_keys().await {
            let _: i64 = self.ask(redis::cmd("UNLINK").arg(key)).await;
        }
    }

    /// Makes apalis forget a task, so that it can be pushed again.
    pub async fn forget_task(&self, _job: JobId) {
        let _: i64 = self.ask(redis::cmd("DEL").arg(format!("{}:data", self.namespace()))).await;
    }

    /// A task as no transport of ours writes it.
    pub async fn raw_task(&self, id: &str, data: Option<&str>, with_metadata: bool) {
        let namespace = self.namespace();
        if let Some(data) = data {
            let _: i64 = self.ask(redis::cmd("HSET").arg(format!("{namespace}:data")).arg(id).arg(data)).await;
        }
        if with_metadata {
            let metadata = format!("{namespace}:meta:{id}");
            let mut command = redis::cmd("HSET");
            command.arg(metadata).arg(&["attempts", "0", "max_attempts", "25", "status", "Pending"]);
            let _: i64 = self.ask(&mut command).await;
        }
        let _: i64 = self.ask(redis::cmd("RPUSH").arg(format!("{namespace}:active")).arg(id)).await;
    }
}

async fn until(what: &str, reached: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !reached().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain until: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
