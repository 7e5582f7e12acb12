//! `cargo dev smoke`: runs the main journey against the running product, or against a stack of its
//! own.

mod journey;
mod photo;
mod report;

use std::process::ExitCode;

use anyhow::Result;

use crate::build::{self, Profile};
use crate::console;
use crate::layout::Layout;
use crate::process::ledger;
use crate::services::Durability;
use crate::stack::{Manifest, Options, Stack};
use crate::up::{Signals, interrupted};
use crate::workspace::Workspace;

pub use photo::BYTES as PHOTO;
use report::Report;

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut report = Report::default();
    if let Some(manifest) = running(layout) {
        let journey = journey::run(&manifest, &mut report);
        let ended = signals.unless_told(journey).await?;
        return Ok(ended.map_or(interrupted(), |()| report.close()));
    }
    console::note("nothing runs for this checkout; starting a stack for this run");
    let workspace = Workspace::new(layout, "smoke").await?;
    let Some(stack) = signals.unless_told(start(&workspace, layout)).await? else {
        return Ok(interrupted());
    };
    let journey = journey::run(&stack.manifest, &mut report);
    let ended = signals.unless_told(journey).await;
    stack.stop().await;
    if report.has_failed() {
        console::note("the logs are in .dev/logs/smoke");
    }
    Ok(ended?.map_or(interrupted(), |()| report.close()))
}

/// Returns the stack of this checkout, if its supervisor runs.
fn running(layout: &Layout) -> Option<Manifest> {
    let manifest = Manifest::read(layout).ok()?;
    let supervisor = ledger::running_supervisor(&layout.processes_file())?;
    (u32::try_from(supervisor.pid) == Ok(manifest.supervisor_pid)).then_some(manifest)
}

async fn start(workspace: &Workspace, layout: &Layout) -> Result<Stack> {
    let options = Options {
        binaries: build::binaries(layout, Profile::Debug, &[]).await?,
        replicas: 1,
        clamd: false,
        settings: Vec::new(),
    };
    let services = workspace.services(Durability::None).await?;
    Stack::start(services, &options).await
}
