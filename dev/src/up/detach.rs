//! `cargo dev --detach`: builds in the foreground, then starts the supervisor in a session of its
//! own and waits for its table.

use std::fs::{self, File};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::{Lock, install, profile};
use crate::build;
use crate::cli::Up;
use crate::console;
use crate::layout::Layout;
use crate::stack::Manifest;

/// Runs the foreground half. It releases the lock just before the background half takes it.
pub(super) async fn run(layout: &Layout, args: &Up, lock: Lock) -> Result<ExitCode> {
    install(args)?;
    build::binaries(layout, profile(args), &[]).await?;
    let path = layout.logs.join("dev.log");
    let log = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    let _ = fs::remove_file(layout.stack_file());
    drop(lock);
    // This name is valid even if a build has replaced the file meanwhile.
    let mut supervisor = Command::new("/proc/self/exe")
        .args(["up", "--background", "--replicas"])
        .arg(args.replicas.to_string())
        .args(args.release.then_some("--release"))
        .args(args.clamd.then_some("--clamd"))
        .current_dir(&layout.root)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting the supervisor")?;
    loop {
        if let Ok(manifest) = Manifest::read(layout)
            && manifest.supervisor_pid == supervisor.id()
        {
            console::print(&manifest.table(layout));
            console::note("running in the background; `cargo dev stop` ends it");
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = supervisor.try_wait()? {
            let output = fs::read_to_string(&path).unwrap_or_default();
            console::complain(&format!(
                "the supervisor ended with {status}; from {}:\n{}",
                layout.shown(&path),
                output.trim_end()
            ));
            return Ok(ExitCode::FAILURE);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Makes the background half leave the session of the terminal, so that it survives the terminal.
pub(super) fn leave_terminal() -> Result<()> {
    nix::unistd::setsid()
        .map(drop)
        .context("leaving the session of the terminal")
}
