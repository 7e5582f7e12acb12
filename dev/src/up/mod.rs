//! `cargo dev`: the supervisor. It holds the lock of the checkout, starts the stack, and stays
//! until a signal arrives or a part of the stack ends.

mod detach;
mod lock;
mod signals;
pub(crate) mod stop;

use std::process::ExitCode;

use anyhow::Result;

use crate::build::{self, Profile};
use crate::cli::Up;
use crate::console::{self, Logs};
use crate::layout::Layout;
use crate::process::ledger;
use crate::provision::{self, Tool};
use crate::services::{self, Durability, Services, Source};
use crate::stack::{Manifest, Options, Stack};

pub(crate) use lock::Lock;
pub use signals::{Signals, interrupted};

/// Runs the stack until a signal (success) or a failure of one of its parts.
pub(crate) async fn run(layout: &Layout, args: Up) -> Result<ExitCode> {
    if args.background {
        detach::leave_terminal()?;
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
    install(&args)?;
    let Some(stack) = start(layout, &args, &mut signals).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    console::print(&stack.manifest.table(layout));
    if !args.background {
        console::note("running; Ctrl-C stops everything");
    }
    let code = stay(stack, &mut signals).await;
    drop(lock);
    Ok(code)
}

/// Installs the programs that this stack needs.
fn install(args: &Up) -> Result<()> {
    services::install(Source::Environment)?;
    let nginx = (args.replicas > 1).then_some(Tool::Nginx);
    let clamd = args.clamd.then_some(Tool::Clamd);
    let tools: Vec<_> = nginx.into_iter().chain(clamd).collect();
    provision::ensure(&tools)
}

fn profile(args: &Up) -> Profile {
    if args.release {
        Profile::Release
    } else {
        Profile::Debug
    }
}

/// Starts the services, builds, and starts the product on them. Returns `None` after a signal, when
/// everything has stopped.
async fn start(layout: &Layout, args: &Up, signals: &mut Signals) -> Result<Option<Stack>> {
    let logs = Logs::new(&layout.logs, !args.background);
    let services = Services::start(layout, logs, Source::Environment, Durability::Full);
    let Some(services) = signals.unless_told(services).await? else {
        return Ok(None);
    };
    let build = build::binaries(layout, profile(args), &[]);
    let binaries = match signals.unless_told(build).await {
        Ok(Some(binaries)) => binaries,
        otherwise => {
            services.stop().await;
            return otherwise.map(|_| None);
        }
    };
    let options = Options {
        binaries,
        replicas: args.replicas,
        clamd: args.clamd,
        settings: Vec::new(),
    };
    signals.unless_told(Stack::start(services, &options)).await
}

/// Waits for the end of the stack and stops it.
async fn stay(mut stack: Stack, signals: &mut Signals) -> ExitCode {
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
        () = stack.stop() => {}
        // A second signal: the rest is dropped, which kills it.
        () = signals.next() => {}
    }
    code
}

/// Shows the stack that already runs for this checkout.
fn already_running(layout: &Layout) -> ExitCode {
    if let Ok(manifest) = Manifest::read(layout) {
        console::print(&manifest.table(layout));
    }
    console::complain("it already runs for this checkout; `cargo dev stop` ends it");
    ExitCode::FAILURE
}
