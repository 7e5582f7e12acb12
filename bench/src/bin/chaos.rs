//! The processes that `cargo dev chaos` kills: workers whose handlers leave traces, and clients
//! that accept jobs. Tests of faults use them, too.
//!
//! `work` serves queue `notifications`. `accept FILE` commits jobs until it is killed, and appends
//! the id of each committed job to the file. The traces are in two tables that the caller creates,
//! in the database that `CHAOS_TRACES_URL` names: the measurement must not depend on the faults.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use plinth_core::Stores;
use plinth_core::jobs::Ledger;
use plinth_core::unit::Unit;
use plinth_domain::audit::Origin;
use plinth_domain::id::JobId;
use plinth_domain::job::{JobPayload, Queue};
use plinth_platform::settings::Settings;
use plinth_platform::{shutdown, telemetry};
use plinth_worker::attempt::Attempt;
use plinth_worker::outcome::{Failure, JobResult};
use plinth_worker::registry::Registry;
use plinth_worker::supervisor::Supervisor;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Jobs of one worker that run at the same time.
const CONCURRENCY: usize = 16;
/// Clients of one accepting process.
const CLIENTS: usize = 4;
/// Clients wait while more jobs than this are due, so that the backlog does not grow with the
/// duration of the run.
const MAX_DUE_JOBS: i64 = 2_000;
/// Jobs that a client accepts between two looks at the backlog.
const JOBS_PER_LOOK: usize = 50;

/// A job with a countable effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deed {
    /// Its duration in milliseconds.
    ms: u64,
    manner: Manner,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Manner {
    Good,
    /// Fails after its effect, at every other attempt.
    Moody,
    Panics,
    Refuses,
    /// Allocates memory until none is left.
    Devours,
    /// Blocks its thread for ever.
    Blocks,
}

impl JobPayload for Deed {
    const KIND: &'static str = "chaos.deed";
    const QUEUE: Queue = Queue::Notifications;
    const VERSION: i16 = 1;
    /// More attempts than processes are killed during a run.
    const MAX_ATTEMPTS: i16 = 100;
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().context("expected work or accept")?;
    let settings = Settings::load()?;
    let _telemetry = telemetry::init("chaos", &settings)?;
    let stores = Stores::new(&settings, "chaos")?;
    let ledger = Ledger::new(&settings.database, "chaos")?;
    match role.as_str() {
        "work" => work(settings, stores, ledger).await,
        "accept" => {
            accept(
                stores,
                ledger,
                &arguments.next().context("expected a file")?,
            )
            .await
        }
        other => bail!("no role has the name {other}"),
    }
}

async fn work(settings: Settings, stores: Stores, ledger: Ledger) -> Result<()> {
    let traces = std::env::var("CHAOS_TRACES_URL");
    let url = traces.unwrap_or_else(|_| settings.database.url.expose().to_owned());
    let registry =
        Registry::default().with(move |deed: Deed, attempt| perform(url.clone(), deed, attempt));
    let queues = vec![(Queue::Notifications, CONCURRENCY)];
    let stop = CancellationToken::new();
    let fleet = Supervisor {
        stores,
        ledger,
        settings: settings.worker,
        queues,
        registry,
    };
    let fleet = tokio::spawn(fleet.run(stop.clone()));
    shutdown::requested().await?;
    stop.cancel();
    Ok(fleet.await?)
}

/// Runs a job. An advisory lock of this connection shows whether another run of the job is under
/// way: PostgreSQL releases it if the process is killed.
async fn perform(url: String, deed: Deed, attempt: Attempt) -> JobResult {
    let mut connection = PgConnection::connect(&url).await?;
    let job = attempt.job;
    let alone: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1::text, 0))")
            .bind(job.to_string())
            .fetch_one(&mut connection)
            .await?;
    if !alone {
        trace(
            &mut connection,
            "INSERT INTO doubles (job_id) VALUES ($1)",
            job,
        )
        .await?;
    }
    sleep(Duration::from_millis(deed.ms)).await;
    match deed.manner {
        Manner::Panics => panic!("as always"),
        Manner::Refuses => return Err(Failure::permanent(anyhow::anyhow!("refused on purpose"))),
        Manner::Devours => devour(),
        Manner::Blocks => loop {
            std::thread::park();
        },
        Manner::Good | Manner::Moody => {}
    }
    let done = "INSERT INTO effects (job_id) VALUES ($1) ON CONFLICT (job_id) DO UPDATE SET runs = effects.runs + 1";
    trace(&mut connection, done, job).await?;
    if matches!(deed.manner, Manner::Moody) && attempt.number % 2 == 1 {
        return Err(anyhow::anyhow!("failed on purpose").into());
    }
    Ok(())
}

/// Writes to the memory, so that the kernel has to provide it.
fn devour() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 16 << 20]));
    }
}

async fn trace(connection: &mut PgConnection, sql: &'static str, job: JobId) -> sqlx::Result<()> {
    sqlx::query(sql)
        .bind(job.0)
        .execute(connection)
        .await
        .map(drop)
}

/// Accepts jobs for ever, whatever happens to the stores.
async fn accept(stores: Stores, ledger: Ledger, file: &str) -> Result<()> {
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)?;
    let clients = (0..CLIENTS).map(|_| accept_as_one(&stores, &ledger, &file));
    futures_util::future::try_join_all(clients).await?;
    Ok(())
}

async fn accept_as_one(stores: &Stores, ledger: &Ledger, mut file: &std::fs::File) -> Result<()> {
    for accepted in 0_usize.. {
        while accepted.is_multiple_of(JOBS_PER_LOOK) && are_enough_due(ledger).await {
            sleep(Duration::from_millis(200)).await;
        }
        let deed = Deed {
            ms: fastrand::u64(0..40),
            manner: manner(),
        };
        match commit(stores, &deed).await {
            // One write, so that a killed process leaves no part of a line.
            Ok(job) => file.write_all(format!("{job}\n").as_bytes())?,
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
        sleep(Duration::from_millis(fastrand::u64(0..10))).await;
    }
    Ok(())
}

/// Returns false if the ledger does not answer.
async fn are_enough_due(ledger: &Ledger) -> bool {
    ledger
        .backlog()
        .await
        .is_ok_and(|backlog| backlog.due.iter().map(|due| due.jobs).sum::<i64>() > MAX_DUE_JOBS)
}

async fn commit(stores: &Stores, deed: &Deed) -> plinth_core::Result<JobId> {
    let mut unit = Unit::begin(stores, &Origin::system()).await?;
    let job = unit.enqueue(deed).await?;
    unit.commit().await?;
    Ok(job)
}

fn manner() -> Manner {
    match fastrand::u32(0..100) {
        0..=1 => Manner::Panics,
        2..=3 => Manner::Refuses,
        4..=13 => Manner::Moody,
        _ => Manner::Good,
    }
}
