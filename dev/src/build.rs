//! Building the workspace with cargo, and where its binaries end up.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::layout::Layout;
use crate::process::foreground;

/// Which of cargo's profiles to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Profile {
    pub(crate) fn of(release: bool) -> Self {
        if release { Self::Release } else { Self::Debug }
    }
}

/// Builds every binary of the workspace and returns the folder they are in. The
/// whole workspace is selected, so that dependencies get the same features here,
/// in `cargo dev` itself and in the tests, and are compiled once.
pub(crate) async fn binaries(layout: &Layout, profile: Profile) -> Result<PathBuf> {
    let status = foreground::status(&mut command(layout, profile)?).await?;
    ensure!(status.success(), "the build failed");
    folder(profile)
}

/// The release build, with the programs that only they run.
pub(crate) async fn for_bench(layout: &Layout) -> Result<PathBuf> {
    let status = foreground::status(command(layout, Profile::Release)?.args([
        "--example",
        "authz",
        "--example",
        "jobs",
        "--example",
        "thumbnails",
        "--example",
        "storage",
    ]))
    .await?;
    ensure!(status.success(), "the build failed");
    folder(Profile::Release)
}

/// The debug build, with a program that only one verb runs. Returns the folder of the binaries.
pub(crate) async fn with_example(layout: &Layout, example: &str) -> Result<PathBuf> {
    let status =
        foreground::status(command(layout, Profile::Debug)?.args(["--example", example])).await?;
    ensure!(status.success(), "the build failed");
    folder(Profile::Debug)
}

/// Builds every binary, and what cargo says is heard only when it fails.
pub(crate) async fn quietly(layout: &Layout, profile: Profile) -> Result<PathBuf> {
    let output = foreground::output(command(layout, profile)?.arg("--quiet")).await?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder(profile)
}

fn command(layout: &Layout, profile: Profile) -> Result<Command> {
    let mut cargo = cargo(layout)?;
    cargo.args(["build", "--workspace", "--bins"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    Ok(cargo)
}

/// Cargo, without the variables that `cargo run` adds for its program: build
/// scripts watch some of them and would run again. Queries are checked against
/// .sqlx, never against a database that a variable of the developer's names.
pub(crate) fn cargo(layout: &Layout) -> Result<Command> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = foreground::through_shim(&program, Signal::SIGTERM, None)?;
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let added = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_"];
        if added.iter().any(|prefix| text.starts_with(prefix)) || text.starts_with("PLINTH_") {
            command.env_remove(&name);
        }
    }
    command
        .env("SQLX_OFFLINE", "true")
        .current_dir(&layout.root);
    Ok(command)
}

/// The folder of this profile, beside the one that this program lies in.
pub(crate) fn folder(profile: Profile) -> Result<PathBuf> {
    let me = std::env::current_exe().context("finding cargo dev itself")?;
    let target = me.parent().and_then(|folder| folder.parent());
    let target = target.context("cargo dev does not lie in a target folder")?;
    Ok(target.join(match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    }))
}
