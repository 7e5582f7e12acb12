//! `cargo dev chaos`: processes are killed, PostgreSQL, Redis, S3 and the mail server taken away or made silent, for
//! minutes; then every accepted job has to be done or dead, done jobs have had their effect, no two runs of a job were
//! under way at once, and what the API accepted is there: mails of registrations, and files as they were sent.

mod cast;
mod monkey;
mod proxy;
mod users;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::backing::Durability;
use crate::build::{self, Profile};
use crate::cli::Chaos;
use crate::console;
use crate::layout::Layout;
use crate::process::orphans;
use crate::random;
use crate::scratch::Scratch;
use crate::stack::Foundation;
use crate::up::{Signals, interrupted};

use cast::Cast;
use monkey::Monkey;

/// How long what is left may take when nothing is killed any more: retries wait for minutes.
const SETTLING: Duration = Duration::from_mins(5);

/// A run this long meets every kind of fault.
const MINUTES_FOR_ALL_FAULTS: f64 = 2.0;

pub(crate) async fn run(layout: &Layout, args: Chaos) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    orphans::adopt();
    let seed = match args.seed {
        Some(seed) => seed,
        None => random::bytes(4)?
            .into_iter()
            .fold(0, |seed, byte| seed << 8 | u64::from(byte)),
    };
    console::note(&format!("seed {seed}"));
    let scratch = Scratch::new(layout, "chaos").await?;
    let preparations = async {
        if !args.built {
            build::with_example(layout, "chaos").await?;
        }
        scratch.services(Durability::Full).await
    };
    let Some(mut foundation) = signals.unless_told(preparations).await? else {
        return Ok(interrupted());
    };
    let outcome = signals
        .unless_told(play(&scratch, &mut foundation, &args, seed))
        .await;
    foundation.stop().await;
    orphans::end().await;
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

/// Whether everything held.
async fn play(
    scratch: &Scratch,
    foundation: &mut Foundation,
    args: &Chaos,
    seed: u64,
) -> Result<bool> {
    let binaries = build::folder(Profile::Debug)?;
    let mut cast = Cast::prepare(scratch, foundation, &binaries).await?;
    cast.enter(foundation)?;
    let mut monkey = Monkey::new(seed);
    let end = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    while Instant::now() < end {
        sleep(monkey.pause()).await;
        monkey.act(&mut cast, foundation).await?;
    }
    cast.leave(foundation).await?;
    let all_faults = args.minutes >= MINUTES_FOR_ALL_FAULTS;
    verdict::reach(
        &cast,
        &monkey,
        foundation,
        Instant::now() + SETTLING,
        all_faults,
    )
    .await
}
