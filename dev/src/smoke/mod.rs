//! `cargo dev smoke`: walks the main journey against the running product, or
//! against one that it starts for itself and stops afterwards.

mod journey;
mod photo;
mod report;

use std::process::ExitCode;

use anyhow::Result;

use crate::backing::Durability;
use crate::build::{self, Profile};
use crate::cli::Smoke;
use crate::console;
use crate::layout::Layout;
use crate::process::ledger;
use crate::scratch::Scratch;
use crate::stack::{Manifest, Options, Stack};
use crate::up::{Signals, interrupted};

pub(crate) use photo::BYTES as PHOTO;
use report::Report;

pub(crate) async fn run(layout: &Layout, args: Smoke) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut report = Report::new(args.json);
    if let Some(manifest) = running(layout) {
        let walk = journey::walk(&manifest, &mut report);
        let walked = signals.unless_told(walk).await?;
        return Ok(walked.map_or(interrupted(), |()| report.close()));
    }
    console::note("nothing runs for this checkout; starting a stack for this run");
    let scratch = Scratch::new(layout, "smoke").await?;
    let Some(stack) = signals.unless_told(start(&scratch, layout)).await? else {
        return Ok(interrupted());
    };
    let walked = signals
        .unless_told(journey::walk(&stack.manifest, &mut report))
        .await;
    stack.stop(scratch.layout()).await;
    if report.has_failures() {
        console::note("the logs are in .dev/logs/smoke");
    }
    Ok(walked?.map_or(interrupted(), |()| report.close()))
}

/// The stack of this checkout, if its supervisor is alive.
fn running(layout: &Layout) -> Option<Manifest> {
    let manifest = Manifest::read(layout).ok()?;
    let supervisor = ledger::running_supervisor(&layout.processes_file())?;
    (u32::try_from(supervisor.pid) == Ok(manifest.supervisor_pid)).then_some(manifest)
}

async fn start(scratch: &Scratch, layout: &Layout) -> Result<Stack> {
    let binaries = build::binaries(layout, Profile::Debug).await?;
    let options = Options {
        binaries,
        replicas: 1,
        clamd: false,
        settings: Vec::new(),
    };
    scratch
        .services(Durability::None)
        .await?
        .raise(&options)
        .await
}
