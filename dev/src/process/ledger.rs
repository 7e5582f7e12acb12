//! The list of the processes of a stack, kept in a file: the next start ends those that a killed
//! supervisor left behind, and `cargo dev stop` finds the supervisor. The start time tells a
//! process from a later one with the same id.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::console;
use crate::layout::write_private_json;

/// A process that runs or has run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// In clock ticks since boot.
    started: u64,
}

impl Identity {
    fn of(pid: i32) -> Option<Self> {
        let started = Stat::read(pid)?.started;
        Some(Self { pid, started })
    }

    fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal to the process, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Waits until the process has ended. Returns false if it still runs after `limit`.
    pub(crate) async fn ends_within(&self, limit: Duration) -> bool {
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

/// The running processes of a stack by name.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    entries: BTreeMap<String, Identity>,
}

impl Ledger {
    const SUPERVISOR: &'static str = "supervisor";

    /// Starts a new list with this process as the supervisor.
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        let mut ledger = Self {
            path,
            entries: BTreeMap::new(),
        };
        let pid = i32::try_from(std::process::id()).context("the id of this process")?;
        ledger.enter(Self::SUPERVISOR, pid)?;
        Ok(ledger)
    }

    /// Adds a process that was just started.
    pub(crate) fn enter(&mut self, name: &str, pid: i32) -> Result<()> {
        if let Some(identity) = Identity::of(pid) {
            self.entries.insert(name.to_owned(), identity);
        }
        write_private_json(&self.path, &self.entries)
    }

    /// Returns the id of every process.
    pub(crate) fn pids(&self) -> BTreeMap<String, i32> {
        let entries = self.entries.iter();
        entries
            .map(|(name, identity)| (name.clone(), identity.pid))
            .collect()
    }

    /// Removes the file, because all processes have ended.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(self.path);
    }
}

/// Returns the supervisor in the ledger at `path`, if it runs.
pub(crate) fn running_supervisor(path: &Path) -> Option<Identity> {
    let supervisor = read(path).remove(Ledger::SUPERVISOR);
    supervisor.filter(Identity::is_alive)
}

/// Ends the processes that a dead supervisor left behind.
pub(crate) async fn end_strays(path: &Path) -> Result<()> {
    let mut strays = read(path);
    strays.remove(Ledger::SUPERVISOR);
    strays.retain(|_, identity| identity.is_alive());
    for (name, stray) in &strays {
        let pid = stray.pid;
        console::note(&format!(
            "ending {name} (pid {pid}), left by an earlier run"
        ));
        stray.signal(Signal::SIGINT);
    }
    for stray in strays.values() {
        if !stray.ends_within(Duration::from_secs(2)).await {
            let _ = killpg(Pid::from_raw(stray.pid), Signal::SIGKILL);
            stray.ends_within(Duration::from_secs(2)).await;
        }
    }
    match fs::exists(path) {
        Ok(true) => fs::remove_file(path).with_context(|| format!("removing {}", path.display())),
        _ => Ok(()),
    }
}

/// Returns the entries of a file. A missing or unreadable one has none: no process is killed
/// because of it.
fn read(path: &Path) -> BTreeMap<String, Identity> {
    let bytes = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Makes this process the parent of every descendant whose own parent dies, such as a server whose
/// test was killed.
pub(crate) fn adopt_orphans() {
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Kills the adopted processes. The children that were started on purpose must have ended.
pub(crate) async fn end_orphans() {
    for _ in 0..20 {
        let me = Pid::this().as_raw();
        let children: Vec<i32> = processes()
            .filter(|pid| Stat::read(*pid).is_some_and(|stat| stat.parent == me))
            .collect();
        if children.is_empty() {
            return;
        }
        for pid in children {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The fields of /proc/PID/stat that are used here (proc_pid_stat(5)).
struct Stat {
    parent: i32,
    started: u64,
}

impl Stat {
    /// Returns `None` if the process has ended; a zombie has.
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the command is in parentheses and may have any character.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<_> = after_name.split_whitespace().collect();
        let [state, parent, ..] = fields[..] else {
            return None;
        };
        (!matches!(state, "Z" | "X")).then_some(Self {
            parent: parent.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> (Child, Identity) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        (child, identity)
    }

    #[tokio::test]
    async fn strays_are_ended_and_reused_ids_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("processes.json");
        let (mut stray, identity) = sleeper();
        let (mut innocent, mut reused) = sleeper();
        assert!(reused.is_alive());
        reused.started = 1;
        let mut ledger = Ledger::new(path.clone()).unwrap();
        ledger.entries.insert("reused".to_owned(), reused);
        ledger.enter("stray", identity.pid).unwrap();
        assert!(running_supervisor(&path).is_some());

        end_strays(&path).await.unwrap();

        assert!(!stray.wait().unwrap().success());
        assert!(innocent.try_wait().unwrap().is_none());
        assert!(!path.exists());
        innocent.kill().unwrap();
        innocent.wait().unwrap();
    }
}
