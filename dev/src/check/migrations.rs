//! Migrations apply to an empty database, change nothing if they are applied again, and take no
//! long locks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::linters::Linters;
use crate::layout::Layout;
use crate::process::command::succeed;
use crate::services::Services;

const DATABASE: &str = "migrations";
const APPLIED: &str =
    "SELECT version, success, installed_on FROM _sqlx_migrations ORDER BY version";

/// The last migration that was released before the rules on locks.
const LAST_EXEMPT: u32 = 16;

/// Returns the URL of the migrated database.
pub(super) async fn apply(services: &Services, layout: &Layout, binaries: &Path) -> Result<String> {
    let url = services.create_database(DATABASE)?;
    let migrate = async || services.run_api(binaries, &url, &["migrate"], None).await;
    let applied = || services.cluster()?.query(DATABASE, APPLIED);
    migrate().await?;
    let first = applied()?;
    migrate().await.context("applied again")?;
    let second = applied()?;
    ensure!(
        first == second,
        "applied again, they change something:\n{first}\n{second}"
    );
    let (files, rows) = (files(&layout.root)?.len(), first.lines().count());
    ensure!(files == rows, "{rows} of {files} migrations were applied");
    Ok(url)
}

/// Checks the locks by squawk, whose rules are in .squawk.toml, and that no migration changes rows
/// while it locks a table.
pub(super) async fn check_locks(linters: &Linters<'_>) -> Result<String> {
    let mut files = files(&linters.layout.root)?;
    files.retain(|(number, _)| *number > LAST_EXEMPT);
    for (_, file) in &files {
        let sql = fs::read_to_string(file)?;
        ensure!(
            !changes_rows_under_lock(&sql),
            "{} alters a table and changes rows: use two migrations",
            file.display()
        );
    }
    let mut squawk = linters.command("squawk");
    squawk.args(["--config", ".squawk.toml", "--reporter", "gcc"]);
    succeed(squawk.args(files.iter().map(|(_, file)| file))).await?;
    Ok(format!("{} migrations", files.len()))
}

/// An altered table stays locked to the end of the transaction, and changed rows can take as long
/// as the table is large.
fn changes_rows_under_lock(sql: &str) -> bool {
    let begins = |words: &[&str]| {
        let mut lines = sql.lines().map(|line| line.trim_start().to_uppercase());
        lines.any(|line| words.iter().any(|word| line.starts_with(word)))
    };
    begins(&["ALTER TABLE "]) && begins(&["UPDATE ", "DELETE ", "WITH "])
}

/// Returns the migrations in their order.
fn files(root: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join("migrations")).context("reading migrations/")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name
            .split_once('_')
            .and_then(|(number, _)| number.parse().ok());
        let number = number.with_context(|| format!("{name} has no number"))?;
        files.push((number, path));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_alters_a_table_or_changes_rows() {
        let alter = "ALTER TABLE a ADD COLUMN b int;\n";
        assert!(!changes_rows_under_lock(alter));
        assert!(!changes_rows_under_lock(
            "-- ALTER TABLE a\nUPDATE a SET b = 1;"
        ));
        assert!(changes_rows_under_lock(&format!(
            "{alter}  update a SET b = 1;"
        )));
        assert!(changes_rows_under_lock(&format!("{alter}DELETE FROM a;")));
    }
}
