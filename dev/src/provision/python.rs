//! Virtual environments under .dev/tools with pinned packages from PyPI.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::packages::Folder;
use super::{Tool, path};
use crate::layout::Layout;
use crate::process::command::{isolated, succeed};

/// Returns the Python of an environment with exactly these packages.
pub(crate) async fn environment(layout: &Layout, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let (list, shown) = (packages.join("\n"), packages.join(", "));
    install(layout, name, list, &shown, packages).await
}

/// Returns the Python of an environment with the packages of a requirements file, each checked by
/// its hash.
pub(crate) async fn locked(layout: &Layout, name: &str, requirements: &Path) -> Result<PathBuf> {
    let list = fs::read_to_string(requirements);
    let list = list.with_context(|| format!("reading {}", requirements.display()))?;
    let file = requirements.to_string_lossy();
    let args = ["--require-hashes", "-r", &file];
    install(layout, name, list, &layout.shown(requirements), &args).await
}

async fn install(
    layout: &Layout,
    name: &str,
    list: String,
    shown: &str,
    args: &[&str],
) -> Result<PathBuf> {
    let (folder, is_complete) = Folder::open(layout, name, list, shown)?;
    let python = folder.path.join("bin/python");
    if !is_complete {
        let mut venv = isolated(path(Tool::Python)?);
        succeed(venv.args(["-m", "venv", "--clear"]).arg(&folder.path)).await?;
        let mut pip = isolated(&python);
        pip.args(["-m", "pip", "install", "--quiet"]);
        succeed(pip.arg("--disable-pip-version-check").args(args)).await?;
        folder.complete()?;
    }
    Ok(python)
}
