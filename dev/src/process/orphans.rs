//! Processes that lost their parents while a verb ran, such as a server whose
//! test was killed: the verb takes them in and ends them with itself.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

/// Makes this process the parent of every descendant whose own parent dies.
/// Elsewhere than on Linux such processes go to init.
pub(crate) fn adopt() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Kills every descendant; to be called when all that were started on purpose
/// have ended.
pub(crate) async fn end() {
    for _ in 0..20 {
        let left = descendants(std::process::id());
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Living descendants of a process.
fn descendants(ancestor: u32) -> Vec<i32> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parents: Vec<(i32, i32)> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut family = vec![i32::try_from(ancestor).unwrap_or_default()];
    let mut next = 0;
    while let Some(ancestor) = family.get(next).copied() {
        family.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == ancestor)
                .map(|(pid, _)| pid),
        );
        next += 1;
    }
    family.split_off(1)
}

/// The parent of a process that lives (a zombie does not).
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn children_and_grandchildren_are_found() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let shell = i32::try_from(child.id()).unwrap();
        let grandchildren = loop {
            let found = descendants(child.id());
            if !found.is_empty() {
                break found;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let family = descendants(std::process::id());
        assert!(
            family.contains(&shell) && family.contains(&grandchildren[0]),
            "{family:?}"
        );
        for pid in [shell, grandchildren[0]] {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        child.wait().unwrap();
    }
}
