//! What the job system can do, as `cargo dev bench jobs` shows it: one process with a worker in it, over the stores that
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
use plinth_worker::fleet::Fleet;
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Jobs that run at once.
const CONCURRENCY: usize = 50;
/// Who accepts jobs at once.
const CLIENTS: usize = 16;
const BACKLOG: usize = 20_000;
/// What a backlog was accepted at: ids are in the order of time, as the product mints them.
const EACH_MILLISECOND: u64 = 10;
/// Rows of a statement that lays them in.
const AT_ONCE: usize = 20_000;
const PICKUPS: usize = 300;
/// Pickups that are not counted: connections and statements become warm.
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

/// Takes about a second, and gives way to the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slow {}

impl JobPayload for Slow {
    const KIND: &'static str = "bench.slow";
    const QUEUE: Queue = Queue::Notifications;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
    const PRIORITY: Priority = Priority::Low;
}

/// What handlers tell.
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
                // Not all alike: the slots shall get free one after the other.
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

    /// When the job began.
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

struct Bed {
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

impl Bed {
    fn start(&self) -> Result<Worker> {
        let stop = CancellationToken::new();
        let fleet = Fleet {
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

    /// One transaction with one job, and when it was committed.
    async fn accept(&self) -> Result<(JobId, Instant)> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let job = unit.enqueue(&Nothing {}).await?;
        // What commits also tells Redis: the clock starts before both.
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

    /// Jobs that are in the ledger and nowhere else, as a steady ten a millisecond would have come until now.
    async fn lay_in<J: JobPayload>(&self, jobs: usize) -> Result<()> {
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
        self.lay_in::<Nothing>(BACKLOG).await?;
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

    /// From the commit to the handler, one job after the other, so many of them.
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

    /// The same while every slot is taken by jobs of a lower priority, and so many more of them wait.
    async fn depth(&self, waiting: usize) -> Result<Value> {
        self.empty().await?;
        self.lay_in::<Slow>(waiting).await?;
        let worker = self.start()?;
        sleep(Duration::from_secs(2)).await;
        let waits = self.waits(PICKUPS).await?;
        let window = self.window().await?;
        worker.stop().await?;
        Ok(json!({ "p50_ms": at(&waits, 50), "p99_ms": at(&waits, 99), "notes": window }))
    }

    /// The same while a clean-up removes one of every ten of so many finished jobs: those that ended long enough ago.
    async fn retention(&self, finished: usize) -> Result<Value> {
        self.empty().await?;
        self.lay_in_finished(finished).await?;
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
            "the removal ended before everybody had looked"
        );
        let (removed, took) = removal.await??;
        worker.stop().await?;
        // Some more came of age while they were laid in.
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

    /// Jobs that have ended, as evenly as they would have come; every tenth of them, the oldest, is kept no longer.
    async fn lay_in_finished(&self, jobs: usize) -> Result<()> {
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
        // As autovacuum and the checkpointer would do in the time in which so many come.
        sqlx::query("VACUUM (ANALYZE) jobs")
            .execute(&mut *connection)
            .await?;
        sqlx::query("CHECKPOINT").execute(&mut *connection).await?;
        Ok(())
    }

    async fn window(&self) -> Result<usize> {
        let mut count = redis::cmd("ZCARD");
        count.arg(Transport::new(&self.stores.redis).window(Queue::Notifications));
        Ok(self.stores.redis.command("bench.window", &count).await?)
    }

    /// What a worker costs that has nothing to do.
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
        // Our own three questions are not the worker's.
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

    /// Transactions: every statement of an idle worker is one.
    async fn statements(&self) -> Result<u64> {
        // The counters of a connection are told at its next idle moment.
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
    let scenario = arguments.next().context("which scenario")?;
    let number = arguments.next().map(|text| text.parse()).transpose()?;
    let settings = Settings::load()?;
    let _telemetry = telemetry::init("bench-jobs", &settings)?;
    let stores = Stores::new(&settings, "bench-jobs")?;
    let bed = Bed {
        settings,
        stores,
        counter: Counter::default(),
    };
    let figures = match scenario.as_str() {
        "backlog" => bed.backlog().await?,
        "throughput" => bed.throughput(number.unwrap_or(8)).await?,
        "pickup" => bed.pickup().await?,
        "depth" => bed.depth(usize::try_from(number.unwrap_or(1_000))?).await?,
        "retention" => {
            bed.retention(usize::try_from(number.unwrap_or(10_000_000))?)
                .await?
        }
        "idle" => bed.idle(number.unwrap_or(20)).await?,
        other => bail!("there is no scenario {other}"),
    };
    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}
