//! Programs that a scenario runs to their end.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use tokio::process::Command;

/// Returns the folder of this program and of everything that was built together with it.
pub(crate) fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    let folder = program.parent().context("a program is in a folder")?;
    Ok(folder.to_owned())
}

/// Returns a command for another binary of this crate.
pub(crate) fn sibling(name: &str) -> Result<Command> {
    Ok(Command::new(folder()?.join(name)))
}

/// Runs a command and returns what it prints. Dropped, it is killed.
pub(crate) async fn output(command: &mut Command) -> Result<String> {
    let name = command.as_std().get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("starting {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {errors}");
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no text"))
}

/// Runs a command and reads the JSON that it prints.
pub(crate) async fn json<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let text = output(command).await?;
    serde_json::from_str(&text).with_context(|| format!("unexpected output: {text}"))
}
