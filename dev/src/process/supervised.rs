//! One supervised process: started through the shim in a process group of its
//! own, its output sent to a log, ended by its own signal or by force.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Account, Ledger, foreground};
use crate::console::Log;

/// A line longer than this is cut into several: no process can fill our memory.
const LONGEST_LINE: usize = 64 * 1024;

/// What to start and how it wants to be ended.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    folder: PathBuf,
    account: Option<Account>,
    stop_signal: Signal,
}

impl Program {
    /// A program that ends politely on SIGTERM.
    pub(crate) fn new(name: &str, path: &Path, folder: &Path) -> Self {
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

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, env: Vec<(String, String)>) -> Self {
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

    /// Starts it and enters it in the ledger. Must be called on the main thread.
    pub(crate) fn start(self, log: &Log, ledger: &mut Ledger) -> Result<Supervised> {
        let mut command = self.command()?;
        match log.direct() {
            Some(file) => command.stdout(file.try_clone()?).stderr(file),
            None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        };
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .ok_or_else(|| anyhow!("{} ended at once", self.name))?;
        ledger.enter(&self.name, pid)?;
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(copy_lines(stdout, log.clone())));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(copy_lines(stderr, log.clone())));
        }
        Ok(Supervised {
            name: self.name,
            pid: Pid::from_raw(pid),
            stop_signal: self.stop_signal,
            child,
            readers,
        })
    }

    /// The shim's command line. The environment is ours less every PLINTH_*
    /// variable: a program gets exactly those that were given to it.
    fn command(&self) -> Result<Command> {
        let mut command =
            foreground::through_shim(self.path.as_os_str(), self.stop_signal, self.account)?;
        command.args(&self.args);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PLINTH_") {
                command.env_remove(name);
            }
        }
        command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder);
        Ok(command)
    }
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Supervised {
    pub(crate) name: String,
    pid: Pid,
    stop_signal: Signal,
    child: Child,
    readers: Vec<JoinHandle<()>>,
}

impl Supervised {
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits until it ends by itself. Can be dropped and asked again.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await;
        status.with_context(|| format!("waiting for {}", self.name))
    }

    /// Whether it has ended already.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end; after `grace` its whole group is killed.
    pub(crate) async fn stop(self, grace: Duration) {
        let signal = self.stop_signal;
        self.stop_by(signal, grace).await;
    }

    /// The same by another signal than its own.
    pub(crate) async fn stop_by(mut self, signal: Signal, grace: Duration) {
        if self.has_ended().is_none() {
            let _ = nix::sys::signal::kill(self.pid, signal);
            if timeout(grace, self.child.wait()).await.is_err() {
                crate::console::note(&format!("{} did not end in time and is killed", self.name));
            }
        }
        // What the process left in its group goes with it; usually nothing.
        let _ = killpg(self.pid, Signal::SIGKILL);
        let _ = self.child.wait().await;
        for reader in &mut self.readers {
            let _ = timeout(Duration::from_millis(200), reader).await;
        }
    }
}

impl Drop for Supervised {
    /// Without this only the process itself would be killed, not what it started.
    fn drop(&mut self) {
        if self.has_ended().is_none() {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

async fn copy_lines(pipe: impl AsyncRead + Unpin, log: Log) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        let Ok(chunk) = pipe.fill_buf().await else {
            return;
        };
        if chunk.is_empty() {
            break;
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let take = end.unwrap_or(chunk.len());
        line.extend_from_slice(&chunk[..take]);
        pipe.consume(end.map_or(take, |end| end + 1));
        if end.is_some() || line.len() >= LONGEST_LINE {
            log.line(&line);
            line.clear();
        }
    }
    if !line.is_empty() {
        log.line(&line);
    }
}
