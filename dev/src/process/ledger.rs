//! The list of processes that a stack started, kept in a file, so that the next
//! start can end what a killed supervisor left behind, and `stop` finds the
//! supervisor. A process id alone may have been given to somebody else since:
//! the start time makes it certain.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::console;
use crate::layout::write_private_json;

/// One process, told apart from a later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    started: String,
}

impl Identity {
    /// The identity of a process that runs now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        start_time(pid).map(|started| Self { pid, started })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        start_time(self.pid).is_some_and(|started| started == self.started)
    }

    /// Sends a signal to this very process, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Waits until the process is gone; false when it is still there at the end.
    pub(crate) async fn gone_within(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= end {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
        true
    }
}

/// The file itself.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    entries: BTreeMap<String, Identity>,
}

impl Ledger {
    /// The name under which the supervisor enters itself.
    pub(crate) const SUPERVISOR: &'static str = "supervisor";

    /// Starts a new list.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            entries: BTreeMap::new(),
        }
    }

    /// Adds a process that was just started.
    pub(crate) fn enter(&mut self, name: &str, pid: i32) -> Result<()> {
        if let Some(identity) = Identity::of(pid) {
            self.entries.insert(name.to_owned(), identity);
        }
        write_private_json(&self.path, &self.entries)
    }

    /// Every process of this list by name.
    pub(crate) fn pids(&self) -> BTreeMap<String, i32> {
        self.entries
            .iter()
            .map(|(name, identity)| (name.clone(), identity.pid))
            .collect()
    }

    /// Forgets everything: all have ended.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        let _ = fs::remove_file(&self.path);
    }
}

/// The supervisor that the file at `path` names, when it runs.
pub(crate) fn running_supervisor(path: &Path) -> Option<Identity> {
    read(path)
        .ok()?
        .remove(Ledger::SUPERVISOR)
        .filter(Identity::is_alive)
}

/// Ends whatever a dead supervisor left behind.
pub(crate) async fn end_strays(path: &Path) -> Result<()> {
    let mut strays = read(path)?;
    strays.remove(Ledger::SUPERVISOR);
    strays.retain(|_, identity| identity.is_alive());
    for (name, stray) in &strays {
        console::note(&format!(
            "ending {name} (pid {}), left by an earlier run",
            stray.pid
        ));
        stray.signal(Signal::SIGINT);
    }
    for stray in strays.values() {
        if !stray.gone_within(Duration::from_secs(2)).await {
            let _ = killpg(Pid::from_raw(stray.pid), Signal::SIGKILL);
            stray.gone_within(Duration::from_secs(2)).await;
        }
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Identity>> {
    match fs::read(path) {
        // A half-written list cannot be (it is replaced in one step), a strange
        // one is not ours: nothing is killed on its word.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// The kernel's start time of a live process (a zombie counts as ended).
#[cfg(target_os = "linux")]
fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in brackets and may hold anything; state is the
    // first field after it, the start time the twentieth.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(not(target_os = "linux"))]
fn start_time(pid: i32) -> Option<String> {
    let ps = std::process::Command::new("ps")
        .args(["-o", "lstart=,stat=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let line = String::from_utf8(ps.stdout).ok()?;
    let (started, state) = line.trim().rsplit_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_nobody_else() {
        let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        let other = Identity {
            started: "0".to_owned(),
            ..me
        };
        assert!(!other.is_alive());
    }

    #[tokio::test]
    async fn strays_are_ended_and_reused_ids_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("processes.json");
        let mut stray = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut innocent = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut ledger = Ledger::new(path.clone());
        ledger
            .enter("stray", i32::try_from(stray.id()).unwrap())
            .unwrap();
        ledger.entries.insert(
            "reused".to_owned(),
            Identity {
                pid: i32::try_from(innocent.id()).unwrap(),
                started: "1".to_owned(),
            },
        );
        ledger
            .enter("stray", i32::try_from(stray.id()).unwrap())
            .unwrap();

        end_strays(&path).await.unwrap();

        assert!(!stray.wait().unwrap().success());
        assert!(innocent.try_wait().unwrap().is_none());
        assert!(!path.exists());
        innocent.kill().unwrap();
        innocent.wait().unwrap();
    }
}
