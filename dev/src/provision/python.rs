//! A virtual environment under .dev/tools with pinned packages from PyPI.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::packages::{Folder, quietly};
use super::{Tool, ensure, find};
use crate::layout::Layout;

/// The environment's Python, with exactly these packages installed.
pub(crate) async fn environment(layout: &Layout, name: &str, packages: &[&str]) -> Result<PathBuf> {
    made(
        layout,
        name,
        &packages.join("\n"),
        &packages.join(", "),
        packages,
    )
    .await
}

/// The same with what a file of requirements locks, each package by its checksums.
pub(crate) async fn locked(layout: &Layout, name: &str, requirements: &Path) -> Result<PathBuf> {
    let wish = fs::read_to_string(requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let shown = requirements
        .strip_prefix(&layout.root)
        .unwrap_or(requirements)
        .display()
        .to_string();
    let requirements = requirements.to_string_lossy();
    made(
        layout,
        name,
        &wish,
        &shown,
        &["--require-hashes", "-r", &requirements],
    )
    .await
}

async fn made(
    layout: &Layout,
    name: &str,
    wish: &str,
    shown: &str,
    arguments: &[&str],
) -> Result<PathBuf> {
    let folder = Folder::of(layout, name)?;
    let python = folder.path.join("bin/python");
    if python.is_file() && folder.has(wish) {
        return Ok(python);
    }
    ensure(&[Tool::PythonVenv])?;
    let Some(system) = find::python_with_venv() else {
        bail!("Python 3 with venv was there a moment ago and is gone");
    };
    folder.announce(shown);
    quietly(
        &system,
        &["-m", "venv", "--clear", &folder.path.to_string_lossy()],
    )
    .await?;
    let mut install = vec![
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    install.extend(arguments);
    quietly(&python, &install).await?;
    folder.fulfilled(wish)?;
    Ok(python)
}
