//! Folders under .dev/tools with the packages of a committed npm lock.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::packages::Folder;
use super::{Tool, path};
use crate::layout::Layout;
use crate::process::command::{isolated, succeed};

/// The files that npm reads.
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// Returns Node and the folder of the modules that `source` locks.
pub(crate) async fn modules(
    layout: &Layout,
    name: &str,
    source: &Path,
) -> Result<(PathBuf, PathBuf)> {
    let (node, npm) = (path(Tool::Node)?, path(Tool::Npm)?);
    let mut list = String::new();
    for file in FILES {
        let file = source.join(file);
        let text = fs::read_to_string(&file);
        list += &text.with_context(|| format!("reading {}", file.display()))?;
    }
    let (folder, is_complete) = Folder::open(layout, name, list, &layout.shown(source))?;
    if !is_complete {
        fs::create_dir_all(&folder.path).context("making a folder of modules")?;
        for file in FILES {
            fs::copy(source.join(file), folder.path.join(file)).context("copying npm's files")?;
        }
        let mut npm = isolated(npm);
        succeed(npm.args(["ci", "--silent", "--prefix"]).arg(&folder.path)).await?;
        folder.complete()?;
    }
    Ok((node, folder.path.join("node_modules")))
}
