//! The scenarios of `cargo dev bench jobs`: one process with a worker in it, over the stores that
//! the environment names. Each scenario prints its figures as one line of JSON.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use plinth_core::Stores;
use plinth_core::cleanup::{self, Kept, Kind, Request};
use plinth_core::jobs::{Ledger, Transport};
use plinth_core::unit::Unit;
use plinth_domain::audit::Origin;
use plinth_domain::id::JobId;
use plinth_domain::job::{JobPayload, Priority, Queue};
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use plinth_worker::registry::Registry;
use plinth_worker::supervisor::Supervisor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Jobs that run at the same time.
const CONCURRENCY: usize = 50;
/// Clients that accept jobs at the same time.
const CLIENTS: usize = 16;
const BACKLOG: usize = 20_000;
/// Jobs of a backlog that were accepted in each millisecond. Ids are in the order of time, as the
/// product makes them.
const EACH_MILLISECOND: u64 = 10;
/// Rows of one INSERT.
const AT_ONCE: usize = 20_000;
const PICKUPS: usize = 300;
/// Pickups that are not counted, until connections and statements are warm.
const WARM_UP: usize = 20;

/// Does nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Nothing {}

impl JobPayload for Nothing {
    const KIND: &'static str = "bench.nothing";
    const QUEUE: Queue = Queue::Notifications;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
}

/// Takes about a second, at low priority.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slow {}

impl JobPayload for Slow {
    const KIND: &'static str = "bench.slow";
    const QUEUE: Queue = Queue::Notifications;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
    const PRIORITY: Priority = Priority::Low;
}

/// Counts the jobs that handlers begin.
#[derive(Clone, Default)]
struct Counter(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    last: Mutex<Option<(JobId, Instant)>>,
    changed: Notify,
}

impl Counter {
    fn registry(&self) -> Registry {
        let counter = self.clone();
        Registry::default()
            .with(move |_: Nothing, attempt| {
                counter.begin(attempt.job);
                async { Ok(()) }
            })
            .with(|_: Slow, _| async {
                // Durations differ, so that permits become free one after the other.
                sleep(Duration::from_millis(fastrand::u64(500..1_500))).await;
                Ok(())
            })
    }

    fn begin(&self, job: JobId) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        *self.0.last.lock().expect("no holder panics") = Some((job, Instant::now()));
        self.0.changed.notify_one();
    }

    fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Returns the time at which the job began.
    async fn until(&self, job: JobId) -> Instant {
        loop {
            let changed = self.0.changed.notified();
            if let Some((last, at)) = *self.0.last.lock().expect("no holder panics")
                && last == job
            {
                return at;
            }
            changed.await;
        }
    }
}

struct Fixture {
    settings: Settings,
    stores: Stores,
    counter: Counter,
}

struct Worker {
    stop: CancellationToken,
    fleet: JoinHandle<()>,
}

impl Worker {
    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.fleet.await.context("the worker")
    }
}

impl Fixture {
    fn start(&self) -> Result<Worker> {
        let stop = CancellationToken::new();
        let fleet = Supervisor {
            stores: self.stores.clone(),
            ledger: Ledger::new(&self.settings.database, "bench-jobs")?,
            settings: self.settings.worker.clone(),
            queues: vec![(Queue::Notifications, CONCURRENCY)],
            registry: self.counter.registry(),
        };
        Ok(Worker {
            fleet: tokio::spawn(fleet.run(stop.clone())),
            stop,
        })
    }

    /// Commits a transaction with one job. Returns the job with the time of the commit.
    async fn accept(&self) -> Result<(JobId, Instant)> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let job = unit.enqueue(&Nothing {}).await?;
        // The commit also notifies Redis: the clock starts before both.
        let start = Instant::now();
        unit.commit().await?;
        Ok((job, start))
    }

    async fn until_none(&self, states: &str) -> Result<()> {
        let query = format!("SELECT EXISTS (SELECT FROM jobs WHERE {states})");
        while sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(query.as_str()))
            .fetch_one(&self.stores.db)
            .await?
        {
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    async fn empty(&self) -> Result<()> {
        sqlx::query("TRUNCATE jobs CASCADE")
            .execute(&self.stores.db)
            .await?;
        sqlx::query("VACUUM jobs").execute(&self.stores.db).await?;
        for key in ["jobs:notifications", "jobs:notifications:deeper"] {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(self.stores.redis.key(key));
            self.stores
                .redis
                .command::<i64>("bench.empty", &unlink)
                .await?;
        }
        Ok(())
    }

    /// Inserts jobs into the ledger only, as if ten each millisecond had arrived until now.
    async fn insert_waiting<J: JobPayload>(&self, jobs: usize) -> Result<()> {
        let now = self.stores.clock.now();
        let times: Vec<_> = (0..jobs)
            .rev()
            .map(|later| Ok(now - Duration::from_millis(u64::try_from(later)? / EACH_MILLISECOND)))
            .collect::<Result<_>>()?;
        for times in times.chunks(AT_ONCE) {
            let ids: Vec<_> = times.iter().map(|at| JobId::mint(*at).0).collect();
            sqlx::query(
                "INSERT INTO jobs
                     (id, queue, kind, payload, payload_version, max_attempts, priority, run_at, created_at)
                 SELECT job.id, $1, $2, '{}', 1, 3, $3, job.at, job.at
                 FROM unnest($4::uuid[], $5::timestamptz[]) AS job (id, at)",
            )
            .bind(J::QUEUE.as_str())
            .bind(J::KIND)
            .bind(J::PRIORITY.rank())
            .bind(ids)
            .bind(times)
            .execute(&self.stores.db)
            .await?;
        }
        sqlx::query("ANALYZE jobs").execute(&self.stores.db).await?;
        Ok(())
    }

    async fn backlog(&self) -> Result<Value> {
        self.empty().await?;
        self.insert_waiting::<Nothing>(BACKLOG).await?;
        let start = Instant::now();
        let worker = self.start()?;
        while self.counter.begun() < BACKLOG {
            sleep(Duration::from_millis(1)).await;
        }
        self.until_none("state = 'running'").await?;
        let took = start.elapsed();
        ensure!(
            self.counter.begun() == BACKLOG,
            "{} runs of {BACKLOG} jobs",
            self.counter.begun()
        );
        worker.stop().await?;
        Ok(json!({ "jobs_per_second": rate(BACKLOG, took) }))
    }

    async fn throughput(&self, seconds: u64) -> Result<Value> {
        self.empty().await?;
        let worker = self.start()?;
        let start = Instant::now();
        let end = start + Duration::from_secs(seconds);
        let accepted = AtomicUsize::new(0);
        let clients = (0..CLIENTS).map(|_| async {
            while Instant::now() < end {
                self.accept().await?;
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, anyhow::Error>(())
        });
        futures_util::future::try_join_all(clients).await?;
        let accepting = start.elapsed();
        let accepted = accepted.load(Ordering::Relaxed);
        while self.counter.begun() < accepted {
            sleep(Duration::from_millis(1)).await;
        }
        self.until_none("state = 'running'").await?;
        let took = start.elapsed();
        worker.stop().await?;
        Ok(json!({
            "jobs_per_second": rate(accepted, took),
            "accepted": accepted,
            "accepted_per_second": rate(accepted, accepting),
        }))
    }

    /// Returns the sorted milliseconds from commit to handler of jobs that are accepted one after
    /// the other.
    async fn waits(&self, pickups: usize) -> Result<Vec<f64>> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut waits = Vec::new();
        for pickup in 0..WARM_UP + pickups {
            sleep(Duration::from_millis(random.u64(20..60))).await;
            let (job, committed) = self.accept().await?;
            let wait = self.counter.until(job).await.duration_since(committed);
            if pickup >= WARM_UP {
                waits.push(wait.as_secs_f64() * 1000.0);
            }
        }
        waits.sort_by(f64::total_cmp);
        Ok(waits)
    }

    async fn pickup(&self) -> Result<Value> {
        self.empty().await?;
        let worker = self.start()?;
        sleep(Duration::from_secs(1)).await;
        let waits = self.waits(PICKUPS).await?;
        worker.stop().await?;
        Ok(json!({ "p50_ms": at(&waits, 50), "p99_ms": at(&waits, 99) }))
    }

    /// Measures pickups while jobs of a lower priority hold every permit and `waiting` of them are
    /// queued.
    async fn depth(&self, waiting: usize) -> Result<Value> {
        self.empty().await?;
        self.insert_waiting::<Slow>(waiting).await?;
        let worker = self.start()?;
        sleep(Duration::from_secs(2)).await;
        let waits = self.waits(PICKUPS).await?;
        let ready = self.ready_jobs().await?;
        worker.stop().await?;
        Ok(json!({ "p50_ms": at(&waits, 50), "p99_ms": at(&waits, 99), "ready": ready }))
    }

    /// Measures pickups while a clean-up removes a tenth of the finished jobs.
    async fn retention(&self, finished: usize) -> Result<Value> {
        self.empty().await?;
        self.insert_finished(finished).await?;
        let worker = self.start()?;
        sleep(Duration::from_secs(2)).await;
        let quiet = self.waits(PICKUPS / 3).await?;
        let (stores, kept) = (self.stores.clone(), Kept::of(&self.settings));
        let removal = tokio::spawn(async move {
            let request = Request {
                only: vec![Kind::FinishedJobs],
                ..Request::default()
            };
            let start = Instant::now();
            let report = cleanup::run(&stores, &kept, &request, &CancellationToken::new()).await?;
            Ok::<_, anyhow::Error>((
                usize::try_from(report.of(Kind::FinishedJobs))?,
                start.elapsed(),
            ))
        });
        let meanwhile = self.waits(PICKUPS / 3).await?;
        ensure!(
            !removal.is_finished(),
            "the removal ended before the pickups"
        );
        let (removed, took) = removal.await??;
        worker.stop().await?;
        // More became due while the rows were inserted.
        ensure!(
            removed >= finished / 10,
            "{removed} jobs were removed of {finished}"
        );
        Ok(json!({
            "removed_per_second": rate(removed, took),
            "quiet_p50_ms": at(&quiet, 50),
            "quiet_p99_ms": at(&quiet, 99),
            "p50_ms": at(&meanwhile, 50),
            "p99_ms": at(&meanwhile, 99),
        }))
    }

    /// Inserts finished jobs, evenly over time. The oldest tenth is due for removal.
    async fn insert_finished(&self, jobs: usize) -> Result<()> {
        let mut connection = self.stores.db.acquire().await?;
        sqlx::query("SET statement_timeout = 0")
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, priority, run_at, created_at,
                 state, attempt, claim, started_at, lease_owner, finished_at)
             SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || left(hash, 3)
                     || '8' || right(hash, 15))::uuid,
                 $1, $2, '{}', 1, 3, 1, at, at, 'done', 1, 1, at, 'bench', at
             FROM (
                 SELECT now() - make_interval(secs => $3) * (10 * (n - 0.5) / (9 * $4)) AS at, md5(n::text) AS hash
                 FROM generate_series($4, 1, -1) AS n) AS old",
        )
        .bind(Nothing::QUEUE.as_str())
        .bind(Nothing::KIND)
        .bind(self.settings.worker.jobs_kept.as_secs_f64())
        .bind(i64::try_from(jobs)?)
        .execute(&mut *connection)
        .await?;
        // Autovacuum and the checkpointer do the same while this many jobs arrive.
        sqlx::query("VACUUM (ANALYZE) jobs")
            .execute(&mut *connection)
            .await?;
        sqlx::query("CHECKPOINT").execute(&mut *connection).await?;
        Ok(())
    }

    /// Counts the jobs in the ready set of Redis.
    async fn ready_jobs(&self) -> Result<usize> {
        let mut count = redis::cmd("ZCARD");
        count.arg(Transport::new(&self.stores.redis).ready_set_key(Queue::Notifications));
        Ok(self.stores.redis.command("bench.ready", &count).await?)
    }

    /// Measures the cost of a worker without jobs.
    async fn idle(&self, seconds: u64) -> Result<Value> {
        self.empty().await?;
        let worker = self.start()?;
        sleep(Duration::from_secs(2)).await;
        let (cpu, commands, statements) = (
            cpu_time()?,
            self.commands().await?,
            self.statements().await?,
        );
        sleep(Duration::from_secs(seconds)).await;
        // The three questions of this process are not the worker's.
        let commands = self.commands().await?.saturating_sub(commands + 1);
        let statements = self.statements().await?.saturating_sub(statements + 1);
        let cpu = cpu_time()?.saturating_sub(cpu);
        worker.stop().await?;
        let each = |count: u64| {
            rate(
                usize::try_from(count).unwrap_or(usize::MAX),
                Duration::from_secs(seconds),
            )
        };
        Ok(json!({
            "redis_commands_per_second": each(commands),
            "sql_statements_per_second": each(statements),
            "core_percent": cpu.as_secs_f64() * 100.0 / Duration::from_secs(seconds).as_secs_f64(),
        }))
    }

    async fn commands(&self) -> Result<u64> {
        let mut info = redis::cmd("INFO");
        info.arg("stats");
        let text: String = self.stores.redis.command("bench.info", &info).await?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("total_commands_processed:"));
        Ok(line.context("Redis counts its commands")?.trim().parse()?)
    }

    /// Counts transactions: every statement of an idle worker is one.
    async fn statements(&self) -> Result<u64> {
        // Statistics of this connection are cached until they are cleared.
        sqlx::query("SELECT pg_stat_clear_snapshot()")
            .execute(&self.stores.db)
            .await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()",
        )
        .fetch_one(&self.stores.db)
        .await?;
        Ok(u64::try_from(count)?)
    }
}

fn cpu_time() -> Result<Duration> {
    let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
    Ok(nix::time::clock_gettime(clock).map(Duration::from)?)
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().context("expected a scenario")?;
    let number = arguments.next().map(|text| text.parse()).transpose()?;
    let settings = Settings::load()?;
    let _telemetry = telemetry::init("bench-jobs", &settings)?;
    let stores = Stores::new(&settings, "bench-jobs")?;
    let fixture = Fixture {
        settings,
        stores,
        counter: Counter::default(),
    };
    let figures = match scenario.as_str() {
        "backlog" => fixture.backlog().await?,
        "throughput" => fixture.throughput(number.unwrap_or(8)).await?,
        "pickup" => fixture.pickup().await?,
        "depth" => {
            fixture
                .depth(usize::try_from(number.unwrap_or(1_000))?)
                .await?
        }
        "retention" => {
            fixture
                .retention(usize::try_from(number.unwrap_or(10_000_000))?)
                .await?
        }
        "idle" => fixture.idle(number.unwrap_or(20)).await?,
        other => bail!("no scenario has the name {other}"),
    };
    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}
