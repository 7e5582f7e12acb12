//! `cargo dev`: the supervisor. It holds the lock of the checkout, starts the
//! stack, and stays until it is told to stop or a part of the stack ends.

mod detach;
mod lock;
pub(crate) mod reset;
mod signals;
pub(crate) mod stop;

use std::process::ExitCode;

use anyhow::Result;

use crate::backing::{self, Durability, Services};
use crate::build::{self, Profile};
use crate::cli::Up;
use crate::console::{self, Logs};
use crate::layout::Layout;
use crate::process::ledger;
use crate::provision::{self, Tool};
use crate::stack::{Foundation, Manifest, Options, Stack};

pub(crate) use lock::Lock;
pub(crate) use signals::{Signals, interrupted};

/// Runs the stack until a signal (success) or a failure of one of its parts.
pub(crate) async fn run(layout: &Layout, args: Up) -> Result<ExitCode> {
    if args.background {
        detach::leave_the_terminal()?;
    }
    layout.prepare()?;
    let Some(lock) = Lock::take(layout)? else {
        return Ok(already_running(layout));
    };
    if args.detach {
        return detach::run(layout, &args, lock).await;
    }
    let mut signals = Signals::listen()?;
    ledger::end_strays(&layout.processes_file()).await?;
    provide(&args)?;
    let Some(stack) = start(layout, &args, &mut signals).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    console::print(&stack.manifest.table(layout));
    if !args.background {
        console::note("running; Ctrl-C stops everything");
    }
    let code = stay(layout, stack, &mut signals).await;
    drop(lock);
    Ok(code)
}

/// Installs what this stack needs.
fn provide(args: &Up) -> Result<()> {
    backing::provide(Services::AsGiven)?;
    if args.replicas > 1 {
        provision::ensure(&[Tool::Nginx])?;
    }
    if args.clamd {
        provision::ensure(&[Tool::Clamd])?;
    }
    Ok(())
}

/// Starts the services, builds, and starts the product on them. None when a
/// signal came first; everything has been stopped then.
async fn start(layout: &Layout, args: &Up, signals: &mut Signals) -> Result<Option<Stack>> {
    let logs = Logs::new(&layout.logs, !args.background);
    let foundation = Foundation::start(layout, logs, Services::AsGiven, Durability::Full);
    let Some(foundation) = signals.unless_told(foundation).await? else {
        return Ok(None);
    };
    let built = signals
        .unless_told(build::binaries(layout, Profile::of(args.release)))
        .await;
    let binaries = match built {
        Ok(Some(binaries)) => binaries,
        otherwise => {
            foundation.stop().await;
            return otherwise.map(|_| None);
        }
    };
    let options = Options {
        binaries,
        replicas: args.replicas,
        clamd: args.clamd,
        settings: Vec::new(),
    };
    signals.unless_told(foundation.raise(&options)).await
}

/// Waits for the end and brings it about.
async fn stay(layout: &Layout, mut stack: Stack, signals: &mut Signals) -> ExitCode {
    let code = tokio::select! {
        () = signals.next() => {
            console::note("stopping");
            ExitCode::SUCCESS
        }
        failure = stack.failure() => {
            console::complain(&format!("{failure}; stopping the rest"));
            ExitCode::FAILURE
        }
    };
    tokio::select! {
        () = stack.stop(layout) => {}
        // Somebody is in a hurry: the rest is killed as it goes out of scope.
        () = signals.next() => {}
    }
    code
}

/// A second `cargo dev` in the same checkout shows what the first one runs.
fn already_running(layout: &Layout) -> ExitCode {
    if let Ok(manifest) = Manifest::read(layout) {
        console::print(&manifest.table(layout));
    }
    console::complain("it already runs for this checkout; `cargo dev stop` ends it");
    ExitCode::FAILURE
}
