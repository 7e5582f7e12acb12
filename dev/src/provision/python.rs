//! A virtual environment under .dev/tools with pinned tools from PyPI.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use super::{Tool, ensure as ensure_tools, find};
use crate::console;
use crate::layout::{Layout, make_dir};
use crate::process::foreground;

/// The environment's Python, with exactly these packages installed. `name`
/// tells environments apart, so that the tests do not wait for the linters.
pub(crate) async fn environment(layout: &Layout, name: &str, packages: &[&str]) -> Result<PathBuf> {
    make_dir(&layout.dev, 0o711)?;
    fs::create_dir_all(layout.tools()).context("making the folder of tools")?;
    let _turn = turn(layout, name)?;
    let folder = layout.tools().join(name);
    let python = folder.join("bin/python");
    let stamp = folder.join("installed.txt");
    let wanted = packages.join("\n");
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    ensure_tools(&[Tool::PythonVenv])?;
    let Some(system) = find::python_with_venv() else {
        bail!("Python 3 with venv was there a moment ago and is gone");
    };
    console::note(&format!(
        "installing {} into {}",
        packages.join(", "),
        folder.strip_prefix(&layout.root).unwrap_or(&folder).display()
    ));
    quietly(&system, &["-m", "venv", "--clear", &folder.to_string_lossy()]).await?;
    let mut install = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    install.extend(packages);
    quietly(&python, &install).await?;
    fs::write(&stamp, wanted).context("noting what was installed")?;
    Ok(python)
}

/// Two verbs that want the same environment make it one after the other.
fn turn(layout: &Layout, name: &str) -> Result<File> {
    let path = layout.tools().join(format!("{name}.lock"));
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    file.lock().context("waiting for another verb")?;
    Ok(file)
}

async fn quietly(program: &Path, args: &[&str]) -> Result<()> {
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
