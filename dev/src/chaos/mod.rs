//! `cargo dev chaos`: kills processes, and makes PostgreSQL, Redis, S3 and the mail server
//! unreachable or silent. Then every accepted job must be done or dead, done jobs must have had
//! their effect, no two runs of a job may have overlapped, and the mails and files of every
//! accepted request must exist.

mod actors;
mod fault_injector;
mod proxy;
mod users;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::build::{self, Profile};
use crate::cli::Chaos;
use crate::console;
use crate::layout::Layout;
use crate::process::ledger;
use crate::random;
use crate::services::{Durability, Services};
use crate::up::{Signals, interrupted};
use crate::workspace::Workspace;

use actors::Actors;
use fault_injector::FaultInjector;

/// The time in which all jobs must end after the last fault: retries wait for minutes.
const SETTLE_TIMEOUT: Duration = Duration::from_mins(5);

/// A run of this duration meets every kind of fault.
const MINUTES_FOR_ALL_FAULTS: f64 = 2.0;

pub(crate) async fn run(layout: &Layout, args: Chaos) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    ledger::adopt_orphans();
    let seed = match args.seed {
        Some(seed) => seed,
        None => random::bytes(4)?
            .into_iter()
            .fold(0, |seed, byte| seed << 8 | u64::from(byte)),
    };
    console::note(&format!("seed {seed}"));
    let workspace = Workspace::new(layout, "chaos").await?;
    let preparations = async {
        if !args.built {
            build::binaries(layout, Profile::Debug, &["chaos-jobs"]).await?;
        }
        workspace.services(Durability::Full).await
    };
    let Some(mut services) = signals.unless_told(preparations).await? else {
        return Ok(interrupted());
    };
    let outcome = signals
        .unless_told(inject_faults(&workspace, &mut services, &args, seed))
        .await;
    services.stop().await;
    ledger::end_orphans().await;
    match outcome? {
        None => Ok(interrupted()),
        Some(true) => Ok(ExitCode::SUCCESS),
        Some(false) => {
            console::complain(&format!(
                "repeat it with --seed {seed}; the logs are in .dev/logs/chaos"
            ));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Returns whether every promise held.
async fn inject_faults(
    workspace: &Workspace,
    services: &mut Services,
    args: &Chaos,
    seed: u64,
) -> Result<bool> {
    let binaries = build::folder(Profile::Debug)?;
    let mut actors = Actors::prepare(workspace, services, &binaries).await?;
    actors.start_missing(services)?;
    let mut injector = FaultInjector::new(seed);
    let end = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    while Instant::now() < end {
        sleep(injector.pause()).await;
        injector.inject(&mut actors, services).await?;
    }
    actors.finish(services).await?;
    let all_faults = args.minutes >= MINUTES_FOR_ALL_FAULTS;
    verdict::reach(
        &actors,
        &injector,
        services,
        Instant::now() + SETTLE_TIMEOUT,
        all_faults,
    )
    .await
}
