//! `cargo dev bench`: builds the release profile and runs `plinth-bench` of the crate in bench/.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::build::{self, Profile};
use crate::cli::Bench;
use crate::layout::Layout;
use crate::provision;
use crate::up::{Signals, interrupted};

/// The scenarios in the order in which they run: memory before the stack was used, and large tables
/// last.
pub const SCENARIOS: [&str; 11] = [
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

const PROGRAMS: [&str; 6] = [
    "plinth-bench",
    "bench-authz",
    "bench-baseline",
    "bench-jobs",
    "bench-storage",
    "bench-thumbnails",
];

/// Returns only if the program cannot be started.
pub(crate) async fn run(layout: &Layout, args: &Bench) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    provision::wrk()?;
    provision::assembler()?;
    let build = build::binaries(layout, Profile::Release, &PROGRAMS);
    let Some(binaries) = signals.unless_told(build).await? else {
        return Ok(interrupted());
    };
    let mut bench = Command::new(binaries.join("plinth-bench"));
    Err(bench.args(&args.scenarios).exec()).context("starting plinth-bench")
}
