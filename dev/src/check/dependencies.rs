//! cargo-deny: licences, sources and banned crates; advisories where a copy of
//! their database is on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::lints::demand;
use crate::build;
use crate::console;
use crate::layout::Layout;
use crate::process::foreground;
use crate::provision;
use crate::scratch::Scratch;

const VERSION: &str = "0.20.2";
/// The folder in which cargo-deny looks for a copy of the RustSec database: a
/// name and a hash of its address.
const DATABASE: &str = "advisory-db-3157b0e258782691";

pub(super) async fn check(layout: &Layout, scratch: &Scratch) -> Result<String> {
    ensure!(
        layout.root.join("deny.toml").exists(),
        "there is no deny.toml"
    );
    let program = cargo_deny(layout).await?;
    let mut command = deny(layout, &program)?;
    demand(command.args([
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
    .await?;
    let Some(database) = advisory_database() else {
        return Ok("advisories not checked: no copy of their database here".to_owned());
    };
    let config = with_database(layout, scratch, &database)?;
    let mut command = deny(layout, &program)?;
    command.args(["--offline", "--config"]).arg(config);
    demand(command.args(["check", "--hide-inclusion-graph", "advisories"])).await?;
    Ok("advisories checked as well".to_owned())
}

fn deny(layout: &Layout, program: &Path) -> Result<Command> {
    let mut command = foreground::through_shim(program.as_os_str(), Signal::SIGTERM, None)?;
    command
        .args(["--color=never", "--log-level=error"])
        .current_dir(&layout.root);
    Ok(command)
}

/// The program; installed under .dev/tools when it is nowhere.
async fn cargo_deny(layout: &Layout) -> Result<PathBuf> {
    let root = layout.tools().join("cargo");
    let ours = root.join("bin/cargo-deny");
    if ours.is_file() {
        return Ok(ours);
    }
    if let Some(found) = provision::on_path("cargo-deny") {
        return Ok(found);
    }
    console::note(
        "installing cargo-deny with cargo into .dev/tools/cargo; this takes some minutes, once",
    );
    let mut cargo = build::cargo(layout)?;
    cargo
        .args([
            "install",
            "cargo-deny",
            "--locked",
            "--quiet",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(root);
    demand(&mut cargo).await.context("installing cargo-deny")?;
    Ok(ours)
}

/// A local copy: where `PLINTH_ADVISORY_DB` says, or where cargo-audit keeps it.
fn advisory_database() -> Option<PathBuf> {
    let given = env::var_os("PLINTH_ADVISORY_DB").map(PathBuf::from);
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    [given, home.map(|home| home.join("advisory-db"))]
        .into_iter()
        .flatten()
        .find(|path| path.is_dir())
}

/// deny.toml with its database replaced by the local copy: cargo-deny takes the
/// folder around it from there and nowhere else.
fn with_database(layout: &Layout, scratch: &Scratch, database: &Path) -> Result<PathBuf> {
    let folder = scratch.layout().dev.join("advisories");
    fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(database.canonicalize()?, folder.join(DATABASE))?;
    let text = fs::read_to_string(layout.root.join("deny.toml"))?;
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("db-path"));
    let lines = lines.flat_map(|line| match line.trim() {
        "[advisories]" => vec![
            line.to_owned(),
            format!("db-path = {:?}", folder.display().to_string()),
        ],
        _ => vec![line.to_owned()],
    });
    let config = folder.join("deny.toml");
    fs::write(&config, lines.collect::<Vec<_>>().join("\n"))?;
    Ok(config)
}
