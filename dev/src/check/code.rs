//! rustfmt, and clippy with the query data that its build makes.

use anyhow::{Result, bail, ensure};

use crate::build;
use crate::layout::Layout;
use crate::process::command::{output, succeed};
use crate::sqlx::Queries;
use crate::workspace::Workspace;

pub(super) async fn rustfmt(layout: &Layout) -> Result<String> {
    let mut cargo = build::cargo(layout);
    cargo.args(["fmt", "--all", "--check", "--", "--color=never"]);
    succeed(&mut cargo).await?;
    Ok(String::new())
}

/// Fails on warnings, but does not stop the compiler at them: all of them are shown. With a
/// database, `queries` receives the query data.
pub(super) async fn clippy(
    layout: &Layout,
    workspace: &Workspace,
    database_url: Option<&str>,
    queries: &mut Option<Queries>,
) -> Result<String> {
    let mut cargo = build::cargo(layout);
    cargo.args(["clippy", "--workspace", "--all-targets"]);
    cargo.args(["--quiet", "--color=never"]);
    if let Some(url) = database_url {
        let folder = workspace.layout().dev.join("queries");
        let new = Queries::begin(layout, &folder, url)?;
        new.check_against_database(&mut cargo);
        *queries = Some(new);
    }
    let output = output(&mut cargo).await?;
    let warnings = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        *queries = None;
        bail!("{warnings}");
    }
    // Dependencies are not linted, but cargo reports those that a later compiler will reject.
    let is_ours =
        |line: &&str| line.starts_with("warning") && !line.contains("future version of Rust");
    ensure!(!warnings.lines().any(|line| is_ours(&line)), "{warnings}");
    Ok(String::new())
}

/// Compares .sqlx with the query data of clippy's build.
pub(super) fn queries(layout: &Layout, queries: &Queries) -> Result<String> {
    let differences = queries.differences(layout)?;
    ensure!(
        differences.is_empty(),
        "`cargo dev sqlx` updates it:\n{}",
        differences.join("\n")
    );
    Ok(String::new())
}
