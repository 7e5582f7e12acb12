//! `cargo dev stop` and `cargo dev reset`: ask the supervisor to end, and end by force what is
//! left.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::console;
use crate::layout::Layout;
use crate::process::ledger;
use crate::{services, workspace};

/// A supervisor stops its parts within five seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(7);

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    let was_running = stop(layout).await?;
    console::note(if was_running {
        "stopped"
    } else {
        "nothing runs for this checkout"
    });
    Ok(ExitCode::SUCCESS)
}

/// Stops the stack and removes .dev/.
pub(crate) async fn reset(layout: &Layout) -> Result<ExitCode> {
    stop(layout).await?;
    workspace::sweep(layout).await?;
    services::remove_data(layout)?;
    if layout.dev.exists() {
        fs::remove_dir_all(&layout.dev).context("removing .dev")?;
    }
    console::note("removed .dev");
    Ok(ExitCode::SUCCESS)
}

/// Returns whether a supervisor was running.
async fn stop(layout: &Layout) -> Result<bool> {
    let path = layout.processes_file();
    let supervisor = ledger::running_supervisor(&path);
    if let Some(supervisor) = &supervisor {
        supervisor.signal(Signal::SIGTERM);
        if !supervisor.ends_within(STOP_TIMEOUT).await {
            console::note("the supervisor does not end; killing it");
            supervisor.signal(Signal::SIGKILL);
            supervisor.ends_within(Duration::from_secs(1)).await;
        }
    }
    ledger::end_strays(&path).await?;
    let _ = fs::remove_file(layout.stack_file());
    Ok(supervisor.is_some())
}
