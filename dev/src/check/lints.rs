//! rustfmt and clippy. Clippy compiles everything anyway, so it also makes the
//! query data that .sqlx is compared with.

use anyhow::{Result, bail, ensure};
use tokio::process::Command;

use crate::build;
use crate::layout::Layout;
use crate::process::foreground;
use crate::scratch::Scratch;
use crate::sqlx::Queries;

pub(super) async fn rustfmt(layout: &Layout) -> Result<String> {
    let mut cargo = build::cargo(layout)?;
    cargo.args(["fmt", "--all", "--check", "--", "--color=never"]);
    demand(&mut cargo).await
}

/// Warnings count as errors, but do not stop the compiler: all of them are shown,
/// and with a database `queries` receives the query data in any case.
pub(super) async fn clippy(
    layout: &Layout,
    scratch: &Scratch,
    database_url: Option<&str>,
    queries: &mut Option<Queries>,
) -> Result<String> {
    let mut cargo = build::cargo(layout)?;
    cargo.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--color=never",
    ]);
    let fresh = match database_url {
        Some(url) => Some(Queries::begin(
            layout,
            &scratch.layout().dev.join("queries"),
            url,
        )?),
        None => None,
    };
    if let Some(fresh) = &fresh {
        fresh.check_against_database(&mut cargo);
    }
    let output = foreground::output(&mut cargo).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    *queries = fresh;
    // What dependencies do is not ours to mend.
    let ours =
        |line: &&str| line.starts_with("warning") && !line.contains("future version of Rust");
    ensure!(said.lines().filter(ours).count() == 0, "{said}");
    Ok(String::new())
}

/// Compares .sqlx with what clippy's run made.
pub(super) fn queries(layout: &Layout, queries: &Queries) -> Result<String> {
    let differences = queries.differences(layout)?;
    if differences.is_empty() {
        return Ok(String::new());
    }
    bail!(
        "`cargo dev sqlx` brings it up to date:\n{}",
        differences.join("\n")
    )
}

/// Runs a command that must succeed; what it said is the reason when it does not.
pub(super) async fn demand(command: &mut Command) -> Result<String> {
    let output = foreground::output(command).await?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::new())
}
