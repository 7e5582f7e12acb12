//! Folders under .dev/tools that other package managers fill, once for each list of packages.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::console;
use crate::layout::{Layout, make_dir};

/// A folder of tools. While this value lives, another verb that needs the same folder waits.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    packages: String,
    _turn: File,
}

impl Folder {
    /// Opens the folder for a list of packages. Returns it with whether an earlier run has
    /// installed them.
    pub(super) fn open(
        layout: &Layout,
        name: &str,
        packages: String,
        shown: &str,
    ) -> Result<(Self, bool)> {
        make_dir(&layout.dev, 0o711)?;
        fs::create_dir_all(layout.tools()).context("making the folder of tools")?;
        let lock = layout.tools().join(format!("{name}.lock"));
        let turn = File::options().create(true).append(true).open(&lock);
        let turn = turn.with_context(|| format!("opening {}", lock.display()))?;
        turn.lock().context("waiting for another verb")?;
        let folder = Self {
            path: layout.tools().join(name),
            packages,
            _turn: turn,
        };
        let installed = fs::read_to_string(folder.stamp()).unwrap_or_default();
        let is_complete = installed == folder.packages;
        if !is_complete {
            let path = layout.shown(&folder.path);
            console::note(&format!("installing {shown} into {path}"));
        }
        Ok((folder, is_complete))
    }

    /// Marks the packages as installed.
    pub(super) fn complete(&self) -> Result<()> {
        fs::write(self.stamp(), &self.packages).context("marking the packages as installed")
    }

    fn stamp(&self) -> PathBuf {
        self.path.join("installed.txt")
    }
}
