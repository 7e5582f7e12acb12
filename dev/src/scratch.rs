//! Private data folders under .dev/, each for one run of a verb and held by a
//! lock that dies with the run: the next run removes what a killed one left.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::backing::{self, Durability, Services};
use crate::console::{self, Logs};
use crate::layout::Layout;
use crate::process::ledger;
use crate::stack::Foundation;
use crate::up::Lock;

/// The verbs that have such folders.
const VERBS: [&str; 6] = ["bench", "chaos", "check", "smoke", "sqlx", "test"];

/// A folder of this run alone. Going out of scope removes it; the logs stay in
/// .dev/logs/VERB, because somebody may want to know what went wrong.
#[derive(Debug)]
pub(crate) struct Scratch {
    checkout: Layout,
    layout: Layout,
    _lock: Lock,
}

impl Scratch {
    pub(crate) async fn new(checkout: &Layout, verb: &str) -> Result<Self> {
        checkout.prepare()?;
        let _turn = turn(checkout)?;
        sweep_in_turn(checkout).await?;
        let dev = checkout.dev.join(format!("{verb}-{}", std::process::id()));
        let layout = checkout.with_data_in(dev, checkout.logs.join(verb));
        layout.prepare()?;
        match Lock::take(&layout)? {
            Some(lock) => Ok(Self {
                checkout: checkout.clone(),
                layout,
                _lock: lock,
            }),
            None => bail!("{} is in use", layout.dev.display()),
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Starts services that nothing else uses; their logs go to files only.
    pub(crate) async fn services(&self, durability: Durability) -> Result<Foundation> {
        backing::provide(Services::Private)?;
        let logs = Logs::new(&self.layout.logs, false);
        Foundation::start(&self.layout, logs, Services::Private, durability).await
    }

    fn remove(&self) -> Result<()> {
        let _turn = turn(&self.checkout)?;
        remove(&self.layout)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            console::note(&format!("{error:#}; the next run tries again"));
        }
    }
}

/// Removes what killed runs left. Fails when a run is under way.
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
    for folder in folders(checkout)? {
        let layout = checkout.with_data_in(folder, checkout.logs.clone());
        if let Some(_lock) = Lock::take(&layout)? {
            ledger::end_strays(&layout.processes_file()).await?;
            remove(&layout)?;
        }
    }
    Ok(())
}

fn remove(layout: &Layout) -> Result<()> {
    backing::remove_data(layout)?;
    fs::remove_dir_all(&layout.dev).with_context(|| format!("removing {}", layout.dev.display()))
}

fn folders(checkout: &Layout) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(&checkout.dev).context("reading .dev")?;
    let ours = |name: &str| {
        let (verb, pid) = name.split_once('-')?;
        (VERBS.contains(&verb) && pid.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
    };
    Ok(entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().and_then(ours).is_some())
        .map(|entry| entry.path())
        .collect())
}

/// Folders come and go one at a time, so that nobody removes one that is being
/// made.
fn turn(checkout: &Layout) -> Result<File> {
    let path = checkout.scratch_lock_file();
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    file.lock().context("waiting for another verb")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_run_is_swept_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let dev = dir.path().join(".dev");
        let logs = dev.join("logs");
        let checkout = Layout {
            root: dir.path().to_owned(),
            dev: dev.clone(),
            logs,
        };
        fs::create_dir_all(dev.join("test-1")).unwrap();
        fs::create_dir_all(dev.join("tools-1")).unwrap();

        let scratch = Scratch::new(&checkout, "test").await.unwrap();
        assert!(!dev.join("test-1").exists());
        assert!(scratch.layout().dev.is_dir());
        assert!(sweep(&checkout).await.is_err());

        drop(scratch);
        sweep(&checkout).await.unwrap();
        assert!(folders(&checkout).unwrap().is_empty());
        assert!(dev.join("tools-1").is_dir());
        assert!(dev.join("logs/test").is_dir());
    }
}
