//! A folder under .dev/tools with the packages from npm that a committed lock names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::packages::{Folder, quietly};
use super::{Tool, required};
use crate::layout::Layout;

/// The files that say what is installed, and how.
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// Node and the folder of the modules that `source` locks.
pub(crate) async fn modules(
    layout: &Layout,
    name: &str,
    source: &Path,
) -> Result<(PathBuf, PathBuf)> {
    let node = required(Tool::Node, || super::on_path("node"))?;
    let npm = required(Tool::Node, || super::on_path("npm"))?;
    let folder = Folder::of(layout, name)?;
    let mut wish = String::new();
    for file in FILES {
        let file = source.join(file);
        wish +=
            &fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    }
    let modules = folder.path.join("node_modules");
    if !(modules.is_dir() && folder.has(&wish)) {
        folder.announce(
            &source
                .strip_prefix(&layout.root)
                .unwrap_or(source)
                .display()
                .to_string(),
        );
        fs::create_dir_all(&folder.path).context("making a folder of modules")?;
        for file in FILES {
            fs::copy(source.join(file), folder.path.join(file))
                .context("copying what npm reads")?;
        }
        quietly(
            &npm,
            &["ci", "--silent", "--prefix", &folder.path.to_string_lossy()],
        )
        .await?;
        folder.fulfilled(&wish)?;
    }
    Ok((node, modules))
}
