//! `cargo dev bench`: builds the release profile, starts a stack of its own and
//! measures it. One file a scenario; each adds figures to the board.

mod accounts;
mod authz;
pub(crate) mod baseline;
mod board;
mod download;
mod flood;
mod fresh;
mod idle;
mod jobs;
mod listing;
mod load;
mod login;
mod me;
mod memory;
mod refresh;
mod storage;
mod thumbnails;
mod upload;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

use crate::backing::Durability;
use crate::build::{self, Profile};
use crate::cli::Bench;
use crate::console;
use crate::door::Door;
use crate::layout::Layout;
use crate::provision;
use crate::scratch::Scratch;
use crate::stack::{Options, Stack};
use crate::up::{Signals, interrupted};

use board::Board;

/// In the order in which they are measured: memory comes before anything else has
/// been touched, and large tables after everything else.
const SCENARIOS: [&str; 11] = [
    "idle",
    "upload",
    "download",
    "me",
    "refresh",
    "authz",
    "login",
    "jobs",
    "thumbnails",
    "listing",
    "retention",
];

/// A load generator comes from one address, unless it says from which: limits are counted, and never reached. No
/// token comes of age while a scenario lasts.
const SETTINGS: [(&str, &str); 7] = [
    ("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8"),
    ("PLINTH_LIMITS_IP_PER_MINUTE", "60000000"),
    ("PLINTH_LIMITS_USER_PER_MINUTE", "60000000"),
    ("PLINTH_LIMITS_AUTH_PER_MINUTE", "60000000"),
    ("PLINTH_LIMITS_REFRESH_PER_MINUTE", "60000000"),
    ("PLINTH_AUTH_ACCESS_TOKEN_LIFETIME", "1h"),
    ("PLINTH_LOG_FORMAT", "json"),
];

/// What a scenario works with.
#[derive(Debug)]
struct Bed {
    layout: Layout,
    stack: Stack,
    door: Door,
}

pub(crate) async fn run(layout: &Layout, args: Bench) -> Result<ExitCode> {
    for scenario in &args.scenarios {
        let known = SCENARIOS.contains(&scenario.as_str());
        ensure!(
            known,
            "there is no scenario {scenario}; there are {}",
            SCENARIOS.join(", ")
        );
    }
    let mut signals = Signals::listen()?;
    if !args.built {
        provision::wrk()?;
        provision::assembler()?;
        let build = build::for_bench(layout);
        let Some(binaries) = signals.unless_told(build).await? else {
            return Ok(interrupted());
        };
        // The endpoints inside this process shall be as fast as the rest.
        let mut release = Command::new(binaries.join("plinth-dev"));
        let error = release
            .args(["bench", "--built"])
            .args(&args.scenarios)
            .exec();
        return Err(error).context("starting the release build of cargo dev");
    }
    let scratch = Scratch::new(layout, "bench").await?;
    let Some(stack) = signals.unless_told(start(&scratch)).await? else {
        return Ok(interrupted());
    };
    let mut board = Board::default();
    let door = Door::of(&stack.manifest)?;
    let mut bed = Bed {
        layout: scratch.layout().clone(),
        stack,
        door,
    };
    let measured = signals
        .unless_told(measure(&mut bed, &args.scenarios, &mut board))
        .await;
    bed.stack.stop(scratch.layout()).await;
    board.show();
    if measured.is_err() {
        console::note("the logs are in .dev/logs/bench");
    }
    Ok(measured?.map_or(interrupted(), |()| ExitCode::SUCCESS))
}

async fn start(scratch: &Scratch) -> Result<Stack> {
    let options = Options {
        binaries: build::folder(Profile::Release)?,
        replicas: 1,
        clamd: false,
        settings: SETTINGS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    };
    scratch
        .services(Durability::Full)
        .await?
        .raise(&options)
        .await
}

async fn measure(bed: &mut Bed, wanted: &[String], board: &mut Board) -> Result<()> {
    for scenario in SCENARIOS {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == scenario) {
            continue;
        }
        console::note(&format!("measuring {scenario}"));
        let measured = match scenario {
            "idle" => idle::measure(bed, board).await,
            "upload" => upload::measure(bed, board).await,
            "download" => download::measure(bed, board).await,
            "listing" => listing::measure(bed, board).await,
            "me" => me::measure(bed, board).await,
            "refresh" => refresh::measure(bed, board).await,
            "authz" => authz::measure(board).await,
            "jobs" => jobs::measure(bed, board).await,
            "retention" => jobs::retention(bed, board).await,
            "thumbnails" => thumbnails::measure(bed, board).await,
            _ => login::measure(bed, board).await,
        };
        measured.with_context(|| format!("scenario {scenario}"))?;
    }
    Ok(())
}
