//! The migrations apply to an empty database, and applying them again changes
//! nothing.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::layout::Layout;
use crate::stack::Foundation;

const DATABASE: &str = "migrations";
const APPLIED: &str =
    "SELECT version, success, installed_on FROM _sqlx_migrations ORDER BY version";

/// Returns the URL of the migrated database.
pub(super) async fn check(
    foundation: &Foundation,
    layout: &Layout,
    binaries: &Path,
) -> Result<String> {
    let backing = foundation.backing();
    let url = backing.create_database(DATABASE)?;
    foundation.migrate(binaries, &url).await?;
    let first = backing.ask_sql(DATABASE, APPLIED)?;
    foundation
        .migrate(binaries, &url)
        .await
        .context("applied a second time")?;
    let second = backing.ask_sql(DATABASE, APPLIED)?;
    ensure!(
        first == second,
        "applying them a second time changed something:\n{first}\n{second}"
    );
    let files = std::fs::read_dir(layout.root.join("migrations"))?
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "sql")
        })
        .count();
    ensure!(
        first.lines().count() == files,
        "{files} files in migrations/, but {} applied: was plinth-platform built with all of them?",
        first.lines().count()
    );
    Ok(url)
}
