//! What the package managers of other languages install into a folder under .dev/tools, once for each wish.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::console;
use crate::layout::{Layout, make_dir};
use crate::process::foreground;

/// A folder of tools. While it lives, another verb that wants the same one waits.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    shown: PathBuf,
    _turn: File,
}

impl Folder {
    /// `name` tells folders apart, so that the tests do not wait for the linters.
    pub(super) fn of(layout: &Layout, name: &str) -> Result<Self> {
        make_dir(&layout.dev, 0o711)?;
        fs::create_dir_all(layout.tools()).context("making the folder of tools")?;
        let path = layout.tools().join(format!("{name}.lock"));
        let turn = File::options().create(true).append(true).open(&path);
        let turn = turn.with_context(|| format!("opening {}", path.display()))?;
        turn.lock().context("waiting for another verb")?;
        let path = layout.tools().join(name);
        let shown = path.strip_prefix(&layout.root).unwrap_or(&path).to_owned();
        Ok(Self {
            path,
            shown,
            _turn: turn,
        })
    }

    /// Whether this wish was fulfilled by an earlier run.
    pub(super) fn has(&self, wish: &str) -> bool {
        fs::read_to_string(self.stamp()).is_ok_and(|installed| installed == wish)
    }

    pub(super) fn announce(&self, what: &str) {
        console::note(&format!("installing {what} into {}", self.shown.display()));
    }

    /// Notes that the wish is fulfilled, once nothing of it can fail any more.
    pub(super) fn fulfilled(&self, wish: &str) -> Result<()> {
        fs::write(self.stamp(), wish).context("noting what was installed")
    }

    fn stamp(&self) -> PathBuf {
        self.path.join("installed.txt")
    }
}

/// Runs an installer to its end; the error has what it complained of.
pub(super) async fn quietly(program: &Path, args: &[&str]) -> Result<()> {
    let mut command = foreground::through_shim(program.as_os_str(), Signal::SIGTERM, None)?;
    let output = foreground::output(command.args(args)).await?;
    ensure!(
        output.status.success(),
        "{} {} failed: {}",
        program.display(),
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
