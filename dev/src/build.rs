//! Builds of the workspace, and the folder of its binaries.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::layout::Layout;
use crate::process::command;

/// A profile of cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// The binaries that every stack needs.
const PRODUCT: [&str; 3] = ["plinth-api", "plinth-worker", "plinth-image-sandbox"];

/// Builds the product and other binaries of the workspace. Returns their folder.
pub(crate) async fn binaries(layout: &Layout, profile: Profile, more: &[&str]) -> Result<PathBuf> {
    let status = command::status(&mut build(layout, profile, more)).await?;
    ensure!(status.success(), "the build failed");
    folder(profile)
}

/// Builds the product and this program. The output of cargo is shown only if the build fails.
pub(crate) async fn quietly(layout: &Layout) -> Result<PathBuf> {
    let mut cargo = build(layout, Profile::Debug, &["plinth-dev"]);
    command::succeed(cargo.arg("--quiet")).await?;
    folder(Profile::Debug)
}

/// Selects the whole workspace, so that dependencies have the same features in every build and are
/// compiled once.
fn build(layout: &Layout, profile: Profile, more: &[&str]) -> Command {
    let mut cargo = cargo(layout);
    cargo.args(["build", "--workspace"]);
    for binary in PRODUCT.iter().chain(more) {
        cargo.args(["--bin", binary]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo
}

/// Returns cargo without the variables that `cargo run` sets: build scripts watch some of them and
/// would run again. sqlx reads .sqlx, never a database that a variable of the developer names.
pub(crate) fn cargo(layout: &Layout) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    cargo_program(layout, cargo)
}

/// Returns a program that runs cargo, with the same environment.
pub(crate) fn cargo_program(layout: &Layout, program: impl AsRef<OsStr>) -> Command {
    let mut command = command::isolated(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let unwanted = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_", "PLINTH_"];
        if unwanted.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
        .env("SQLX_OFFLINE", "true")
        .current_dir(&layout.root);
    command
}

/// Returns the folder of a profile, beside that of this program.
pub(crate) fn folder(profile: Profile) -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    let target = program.parent().and_then(|folder| folder.parent());
    let target = target.context("this program is not in a target folder")?;
    Ok(target.join(match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    }))
}
