//! Private data folders under .dev/, each for one run of a verb. A lock that the kernel releases
//! with the process marks a live one: the next run removes those of killed runs.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::console::{self, Logs};
use crate::layout::Layout;
use crate::process::ledger;
use crate::services::{self, Durability, Services, Source};
use crate::up::Lock;

/// The verbs that have such folders.
const VERBS: [&str; 6] = ["bench", "chaos", "check", "smoke", "sqlx", "test"];

/// A folder of one run. Dropped, it is removed; the logs stay in .dev/logs/VERB.
#[derive(Debug)]
pub struct Workspace {
    checkout: Layout,
    layout: Layout,
    _lock: Lock,
}

impl Workspace {
    /// Creates a folder, after it has removed those of killed runs.
    pub async fn new(checkout: &Layout, verb: &str) -> Result<Self> {
        checkout.prepare()?;
        let _turn = turn(checkout)?;
        sweep_in_turn(checkout).await?;
        let layout = Layout {
            root: checkout.root.clone(),
            dev: checkout.dev.join(format!("{verb}-{}", std::process::id())),
            logs: checkout.logs.join(verb),
        };
        layout.prepare()?;
        let lock = Lock::take(&layout)?;
        Ok(Self {
            checkout: checkout.clone(),
            _lock: lock.context("the folder of this run is in use")?,
            layout,
        })
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Starts services that only this run uses. Their logs go to files only.
    pub async fn services(&self, durability: Durability) -> Result<Services> {
        services::install(Source::Private)?;
        let logs = Logs::new(&self.layout.logs, false);
        Services::start(&self.layout, logs, Source::Private, durability).await
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let removed = turn(&self.checkout).and_then(|_turn| remove(&self.layout));
        if let Err(error) = removed {
            console::note(&format!("{error:#}; the next run tries again"));
        }
    }
}

/// Removes the folders of killed runs. Fails if a run is under way.
pub(crate) async fn sweep(checkout: &Layout) -> Result<()> {
    if !checkout.dev.exists() {
        return Ok(());
    }
    let _turn = turn(checkout)?;
    sweep_in_turn(checkout).await?;
    match folders(checkout)?.first() {
        None => Ok(()),
        Some(folder) => bail!("another verb still runs in {}", folder.display()),
    }
}

async fn sweep_in_turn(checkout: &Layout) -> Result<()> {
    for dev in folders(checkout)? {
        let layout = Layout {
            dev,
            ..checkout.clone()
        };
        if let Some(_lock) = Lock::take(&layout)? {
            ledger::end_strays(&layout.processes_file()).await?;
            remove(&layout)?;
        }
    }
    Ok(())
}

fn remove(layout: &Layout) -> Result<()> {
    services::remove_data(layout)?;
    fs::remove_dir_all(&layout.dev).with_context(|| format!("removing {}", layout.dev.display()))
}

fn folders(checkout: &Layout) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(&checkout.dev).context("reading .dev")?;
    let is_workspace = |name: &str| {
        name.split_once('-').is_some_and(|(verb, pid)| {
            VERBS.contains(&verb) && pid.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    Ok(entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_workspace))
        .map(|entry| entry.path())
        .collect())
}

/// Waits for the lock under which folders are created and removed.
fn turn(checkout: &Layout) -> Result<File> {
    let path = checkout.dev.join("workspace.lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    file.lock().context("waiting for another verb")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_folder_of_a_killed_run_is_removed_and_that_of_a_live_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dev = folder.path().join(".dev");
        let checkout = Layout {
            root: folder.path().to_owned(),
            dev: dev.clone(),
            logs: dev.join("logs"),
        };
        fs::create_dir_all(dev.join("test-1")).unwrap();
        fs::create_dir_all(dev.join("tools-1")).unwrap();

        let workspace = Workspace::new(&checkout, "test").await.unwrap();
        assert!(!dev.join("test-1").exists());
        assert!(workspace.layout().dev.is_dir());
        assert!(sweep(&checkout).await.is_err());

        drop(workspace);
        sweep(&checkout).await.unwrap();
        assert!(folders(&checkout).unwrap().is_empty());
        assert!(dev.join("tools-1").is_dir());
        assert!(dev.join("logs/test").is_dir());
    }
}
