//! Commands that a verb waits for, such as cargo. Each is in a process group of its own, which ends
//! with it.

use std::ffi::OsStr;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Account;
use crate::up::Signals;

/// The time that a test runner gets to end its tests after a signal.
const GRACE: Duration = Duration::from_secs(3);

/// Returns a command that the kernel ends with SIGTERM if this process dies. Must be spawned on the
/// main thread.
pub(crate) fn isolated(program: impl AsRef<OsStr>) -> Command {
    with_death_signal(program, Signal::SIGTERM, None)
}

/// Returns a command that the kernel sends a signal if this process dies. setpriv (util-linux) sets
/// the signal and the account between fork and exec, which would need unsafe code here. Must be
/// spawned on the main thread.
pub(crate) fn with_death_signal(
    program: impl AsRef<OsStr>,
    signal: Signal,
    account: Option<Account>,
) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal.as_str().trim_start_matches("SIG")]);
    if let Some(account) = account {
        command.args(["--reuid", &account.uid.to_string()]).args([
            "--regid",
            &account.gid.to_string(),
            "--clear-groups",
        ]);
    }
    command
        .arg("--")
        .arg(program)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Runs a command to its end. Its output is that of the verb.
pub(crate) async fn status(command: &mut Command) -> Result<ExitStatus> {
    Group::start(command)?.ended().await
}

/// Runs a command to its end and collects its output.
pub(crate) async fn output(command: &mut Command) -> Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::start(command)?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut out = group.child.stdout.take().context("stdout is piped")?;
    let mut err = group.child.stderr.take().context("stderr is piped")?;
    tokio::try_join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr))
        .context("reading the output of a command")?;
    Ok(Output {
        status: group.ended().await?,
        stdout,
        stderr,
    })
}

/// Runs a command that must succeed and returns its stdout. The error has all of its output.
pub(crate) async fn succeed(command: &mut Command) -> Result<String> {
    let output = output(command).await?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{stdout}{stderr}");
    Ok(stdout)
}

/// Runs a command to its end, or until a signal arrives, which it forwards. Returns `None` after a
/// signal.
pub(crate) async fn until_signal(
    command: &mut Command,
    signals: &mut Signals,
) -> Result<Option<ExitStatus>> {
    let mut group = Group::start(command)?;
    if let Some(status) = signals.unless_told(group.ended()).await? {
        return Ok(Some(status));
    }
    // A second SIGTERM makes nextest stop at once.
    for _ in 0..2 {
        let _ = killpg(group.pid, Signal::SIGTERM);
        if timeout(GRACE / 2, group.ended()).await.is_ok() {
            break;
        }
    }
    Ok(None)
}

/// A running command. Dropped, it kills its whole group.
#[derive(Debug)]
struct Group {
    child: Child,
    pid: Pid,
    is_over: bool,
}

impl Group {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().context("starting a command")?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Self {
            child,
            pid: Pid::from_raw(pid.context("a command ended at once")?),
            is_over: false,
        })
    }

    async fn ended(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await.context("waiting for a command")?;
        self.is_over = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}
