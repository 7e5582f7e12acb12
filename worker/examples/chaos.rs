//! What `cargo dev chaos` kills: workers with handlers that leave traces, and clients that accept jobs.
//!
//! The tests of faults play with them, too. `work` serves queue `notifications`; `accept FILE` commits jobs until it is killed and writes down each one of which it
//! was told that it is committed. The traces are in two tables that whoever plays makes; they are reached by
//! `CHAOS_TRACES_URL` where that is given, so that what measures does not depend on what is measured.

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
use plinth_worker::fleet::Fleet;
use plinth_worker::outcome::{Failure, JobResult};
use plinth_worker::registry::Registry;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Jobs of one worker that run at once.
const CONCURRENCY: usize = 16;
/// Clients of one accepting process.
const CLIENTS: usize = 4;
/// Clients wait while so many jobs are due: what is left at the end does not grow with the time that it all takes.
const ENOUGH: i64 = 2_000;
/// After so many jobs a client looks how many are due.
const LOOK: usize = 50;

/// A job that does something which can be counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deed {
    /// How long it takes.
    ms: u64,
    manner: Manner,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Manner {
    Good,
    /// Fails after the deed, at every other attempt.
    Moody,
    Panics,
    Refuses,
    /// Takes memory until there is none.
    Devours,
    /// Never gives its thread back.
    Blocks,
}

impl JobPayload for Deed {
    const KIND: &'static str = "chaos.deed";
    const QUEUE: Queue = Queue::Notifications;
    const VERSION: i16 = 1;
    /// More than a process can be killed meanwhile.
    const MAX_ATTEMPTS: i16 = 100;
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().context("work or accept")?;
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
                &arguments.next().context("the file to write to")?,
            )
            .await
        }
        other => bail!("there is no role {other}"),
    }
}

async fn work(settings: Settings, stores: Stores, ledger: Ledger) -> Result<()> {
    let traces = std::env::var("CHAOS_TRACES_URL");
    let url = traces.unwrap_or_else(|_| settings.database.url.expose().to_owned());
    let registry =
        Registry::default().with(move |deed: Deed, attempt| perform(url.clone(), deed, attempt));
    let queues = vec![(Queue::Notifications, CONCURRENCY)];
    let stop = CancellationToken::new();
    let fleet = Fleet {
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

/// The deed. A lock that PostgreSQL holds for this connection tells whether another run of the job is under way: it goes
/// with the process that is killed.
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
        Manner::Refuses => return Err(Failure::permanent(anyhow::anyhow!("it never can"))),
        Manner::Devours => devour(),
        Manner::Blocks => loop {
            std::thread::park();
        },
        Manner::Good | Manner::Moody => {}
    }
    let done = "INSERT INTO effects (job_id) VALUES ($1) ON CONFLICT (job_id) DO UPDATE SET runs = effects.runs + 1";
    trace(&mut connection, done, job).await?;
    if matches!(deed.manner, Manner::Moody) && attempt.number % 2 == 1 {
        return Err(anyhow::anyhow!("not in the mood").into());
    }
    Ok(())
}

/// Touched, so that it is had and not only promised.
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

/// Accepts jobs for ever, through whatever happens to the stores.
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
        while accepted.is_multiple_of(LOOK) && are_enough_due(ledger).await {
            sleep(Duration::from_millis(200)).await;
        }
        let deed = Deed {
            ms: fastrand::u64(0..40),
            manner: manner(),
        };
        match commit(stores, &deed).await {
            // One write of one line: whole, or not there.
            Ok(job) => file.write_all(format!("{job}\n").as_bytes())?,
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
        sleep(Duration::from_millis(fastrand::u64(0..10))).await;
    }
    Ok(())
}

/// Nobody knows while the ledger is away.
async fn are_enough_due(ledger: &Ledger) -> bool {
    ledger
        .backlog()
        .await
        .is_ok_and(|backlog| backlog.due.iter().map(|due| due.jobs).sum::<i64>() > ENOUGH)
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
