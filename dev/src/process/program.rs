//! A supervised process: in a process group of its own, with its output in a log, ended by its own
//! signal or by force.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Account, Ledger, command};
use crate::console::{self, Log};

/// A program to start.
#[derive(Debug)]
pub struct Program {
    name: String,
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    folder: PathBuf,
    account: Option<Account>,
    stop_signal: Signal,
}

impl Program {
    /// Returns a program that SIGTERM ends.
    pub fn new(name: &str, path: &Path, folder: &Path) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            folder: folder.to_owned(),
            account: None,
            stop_signal: Signal::SIGTERM,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env(mut self, env: Vec<(String, String)>) -> Self {
        self.env = env;
        self
    }

    pub(crate) fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    pub(crate) fn stop_signal(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    /// Starts the program and enters it in the ledger. Must be called on the main thread.
    pub(crate) fn start(self, log: &Log, ledger: &mut Ledger) -> Result<Supervised> {
        let mut command = command::with_death_signal(&self.path, self.stop_signal, self.account);
        without_settings(&mut command)
            .args(&self.args)
            .envs(self.env)
            .current_dir(&self.folder);
        match log.direct() {
            Some(file) => command.stdout(file.try_clone()?).stderr(file),
            None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        };
        let name = self.name;
        let child = command.spawn();
        let mut child = child.with_context(|| format!("starting {name}"))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.with_context(|| format!("{name} ended at once"))?;
        ledger.enter(&name, pid)?;
        let stdout = child.stdout.take().map(|pipe| copy_lines(pipe, log));
        let stderr = child.stderr.take().map(|pipe| copy_lines(pipe, log));
        Ok(Supervised {
            name,
            pid: Pid::from_raw(pid),
            stop_signal: self.stop_signal,
            child,
            readers: stdout.into_iter().chain(stderr).collect(),
        })
    }
}

/// Removes every PLINTH_* variable from the environment: a program gets exactly those that it is
/// given.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLINTH_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running process.
#[derive(Debug)]
pub struct Supervised {
    pub(crate) name: String,
    pid: Pid,
    stop_signal: Signal,
    child: Child,
    readers: Vec<JoinHandle<()>>,
}

impl Supervised {
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits until the process ends by itself. Can be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await;
        status.with_context(|| format!("waiting for {}", self.name))
    }

    /// Returns the status of a process that has ended.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks the process to end, and kills its whole group after `grace`.
    pub async fn stop(self, grace: Duration) {
        let signal = self.stop_signal;
        self.stop_by(signal, grace).await;
    }

    /// Stops the process by another signal than its own.
    pub(crate) async fn stop_by(mut self, signal: Signal, grace: Duration) {
        if self.has_ended().is_none() {
            let _ = kill(self.pid, signal);
            if timeout(grace, self.child.wait()).await.is_err() {
                console::note(&format!("{} did not end in time; killing it", self.name));
            }
        }
        let _ = killpg(self.pid, Signal::SIGKILL);
        let _ = self.child.wait().await;
        for reader in &mut self.readers {
            let _ = timeout(Duration::from_millis(200), reader).await;
        }
    }
}

impl Drop for Supervised {
    /// Kills the group. Without this only the process itself would be killed.
    fn drop(&mut self) {
        if self.has_ended().is_none() {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

fn copy_lines(pipe: impl AsyncRead + Unpin + Send + 'static, log: &Log) -> JoinHandle<()> {
    let log = log.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            log.line(&line);
        }
    })
}
