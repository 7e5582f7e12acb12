//! A command that a verb waits for, such as cargo: in a process group of its own,
//! so that all of it can be ended, and told by the kernel when the verb dies.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Account;
use crate::up::Signals;

/// A test runner may use this long to end its tests after a signal.
const GRACE: Duration = Duration::from_secs(3);

/// The command line of a program that starts through the shim. Must be spawned
/// on the main thread.
pub(crate) fn through_shim(
    program: &OsStr,
    death: Signal,
    account: Option<Account>,
) -> Result<Command> {
    let mut command = Command::new(myself()?);
    command
        .arg("__child")
        .args(["--parent", &std::process::id().to_string()])
        .args(["--death-signal", death.as_str()]);
    if let Some(account) = account {
        command.args(["--uid", &account.uid.to_string()]);
        command.args(["--gid", &account.gid.to_string()]);
    }
    command
        .arg("--")
        .arg(program)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// Runs to the end; the output is the verb's own.
pub(crate) async fn status(command: &mut Command) -> Result<ExitStatus> {
    let mut group = Group::start(command)?;
    group.ended().await
}

/// Runs to the end and collects what it says.
pub(crate) async fn output(command: &mut Command) -> Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::start(command)?;
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let (stdout, stderr, status) = tokio::try_join!(read(stdout), read(stderr), group.ended())?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// Runs to the end, or until a signal comes, which is passed on politely before
/// force is used. None when there was a signal.
pub(crate) async fn until_told(
    command: &mut Command,
    signals: &mut Signals,
) -> Result<Option<ExitStatus>> {
    let mut group = Group::start(command)?;
    if let Some(status) = signals.unless_told(group.ended()).await? {
        return Ok(Some(status));
    }
    // A second SIGTERM is how nextest is asked to hurry.
    for _ in 0..2 {
        let _ = killpg(group.pid, Signal::SIGTERM);
        if timeout(GRACE / 2, group.ended()).await.is_ok() {
            break;
        }
    }
    Ok(None)
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        tokio::io::AsyncReadExt::read_to_end(&mut pipe, &mut bytes)
            .await
            .context("reading what it says")?;
    }
    Ok(bytes)
}

/// A running command. Going out of scope kills its whole group.
#[derive(Debug)]
struct Group {
    child: Child,
    pid: Pid,
    over: bool,
}

impl Group {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().context("starting a command")?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .context("a command ended at once")?;
        Ok(Self {
            child,
            pid: Pid::from_raw(pid),
            over: false,
        })
    }

    async fn ended(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await.context("waiting for a command")?;
        self.over = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.over {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

/// This program's file. On Linux by a name that holds even when a build has
/// replaced the file since.
pub(crate) fn myself() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("finding cargo dev itself")
}
