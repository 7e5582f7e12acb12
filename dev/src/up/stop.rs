//! `cargo dev stop`: asks the supervisor to end, and ends by force what is left.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::console;
use crate::layout::Layout;
use crate::process::ledger;

/// A supervisor stops its parts within five seconds.
const LIMIT: Duration = Duration::from_secs(7);

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    if stop(layout).await? {
        console::note("stopped");
    } else {
        console::note("nothing runs for this checkout");
    }
    Ok(ExitCode::SUCCESS)
}

/// True when something was running.
pub(crate) async fn stop(layout: &Layout) -> Result<bool> {
    let path = layout.processes_file();
    let supervisor = ledger::running_supervisor(&path);
    if let Some(supervisor) = &supervisor {
        supervisor.signal(Signal::SIGTERM);
        if !supervisor.gone_within(LIMIT).await {
            console::note("the supervisor does not answer and is killed");
            supervisor.signal(Signal::SIGKILL);
            supervisor.gone_within(Duration::from_secs(1)).await;
        }
    }
    ledger::end_strays(&path).await?;
    let _ = std::fs::remove_file(layout.stack_file());
    Ok(supervisor.is_some())
}
