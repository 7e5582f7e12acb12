//! `cargo dev --detach`: builds in the foreground, where a person can see it,
//! then starts the supervisor in a session of its own and waits for its table.

use std::fs::{self, File};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::{Lock, provide};
use crate::backing::shown;
use crate::build::{self, Profile};
use crate::cli::Up;
use crate::console;
use crate::layout::Layout;
use crate::process::foreground;
use crate::stack::Manifest;

/// The foreground half. The lock proves that nobody else runs; it is let go just
/// before the background half takes it.
pub(crate) async fn run(layout: &Layout, args: &Up, lock: Lock) -> Result<ExitCode> {
    provide(args)?;
    build::binaries(layout, Profile::of(args.release)).await?;
    let path = layout.logs.join("dev.log");
    let log = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    let _ = fs::remove_file(layout.stack_file());
    drop(lock);
    let mut command = Command::new(foreground::myself()?);
    command
        .args([
            "up",
            "--background",
            "--replicas",
            &args.replicas.to_string(),
        ])
        .args(args.release.then_some("--release"))
        .args(args.clamd.then_some("--clamd"))
        .current_dir(&layout.root)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut supervisor = command.spawn().context("starting the supervisor")?;
    loop {
        if let Ok(manifest) = Manifest::read(layout)
            && manifest.supervisor_pid == supervisor.id()
        {
            console::print(&manifest.table(layout));
            console::note("running in the background; `cargo dev stop` ends it");
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = supervisor.try_wait()? {
            let said = fs::read_to_string(&path).unwrap_or_default();
            console::complain(&format!(
                "the supervisor ended with {status}; from {}:\n{}",
                shown(layout, &path),
                said.trim_end()
            ));
            return Ok(ExitCode::FAILURE);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The background half leaves the terminal's session, so that closing the
/// terminal does not reach it.
pub(crate) fn leave_the_terminal() -> Result<()> {
    nix::unistd::setsid()
        .map(drop)
        .context("leaving the terminal's session")
}
