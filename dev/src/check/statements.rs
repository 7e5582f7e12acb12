//! Every statement has a deadline on the client's side: a server that stops answering would block
//! its caller for ever.
//!
//! The rule is textual: a call that runs a query is within the parentheses of one of [`DEADLINES`].

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::source_files;

/// Calls that run a query.
const CALLS: [&str; 4] = [
    ".execute(",
    ".fetch_one(",
    ".fetch_all(",
    ".fetch_optional(",
];

/// Functions that give a deadline to a future.
const DEADLINES: [&str; 3] = ["named", "within", "timeout"];

/// The folders of the product; tests and tools can wait.
const SOURCES: [&str; 7] = [
    "api/src",
    "worker/src",
    "shared/core/src",
    "shared/domain/src",
    "shared/object-store/src",
    "shared/pictures/src",
    "shared/platform/src",
];

/// Calls without a deadline: the file, a part of the line, and the reason.
const EXEMPT: [(&str, &str, &str); 3] = [
    (
        "shared/platform/src/database/pool.rs",
        "pool.acquire().await?",
        "the pool runs what its callers bound",
    ),
    (
        "shared/platform/src/database/migration.rs",
        "drop_index.execute(",
        "it waits for old transactions",
    ),
    (
        "worker/src/runner.rs",
        "self.execute(&job",
        "this is a job and no statement",
    ),
];

pub(super) fn check(root: &Path) -> Result<String> {
    let mut faults = Vec::new();
    for folder in SOURCES {
        for path in source_files::rust_below(&root.join(folder))? {
            let name = path.strip_prefix(root)?.to_string_lossy();
            faults.extend(faults_of(&name, &fs::read_to_string(&path)?));
        }
    }
    ensure!(
        faults.is_empty(),
        "run within named(..), which has a deadline:\n{}",
        faults.join("\n")
    );
    Ok(String::new())
}

/// Returns the lines that run a query without a deadline. Unit tests, which come last in a source,
/// are exempt.
fn faults_of(name: &str, source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let calls = CALLS.iter().flat_map(|call| code.match_indices(call));
    let bare = calls.filter(|(at, _)| !has_deadline(&code[..*at]));
    let lines = bare.map(|(at, _)| {
        let number = code[..at].matches('\n').count();
        (
            number + 1,
            code.lines().nth(number).unwrap_or_default().trim(),
        )
    });
    let refused = lines.filter(|(_, line)| {
        !EXEMPT
            .iter()
            .any(|(file, part, _)| *file == name && line.contains(part))
            && !line.starts_with("//")
    });
    refused
        .map(|(number, line)| format!("{name}:{number}: {line}"))
        .collect()
}

/// Returns whether the parenthesis of a deadline is open at the end of a text. Searches back to the
/// beginning of the statement.
fn has_deadline(before: &str) -> bool {
    let mut closed = 0;
    for (at, character) in before.char_indices().rev() {
        match character {
            ')' => closed += 1,
            '(' if closed > 0 => closed -= 1,
            '(' if DEADLINES
                .iter()
                .any(|deadline| before[..at].ends_with(deadline)) =>
            {
                return true;
            }
            ';' | '{' | '}' if closed == 0 => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_without_a_deadline_is_refused() {
        let bare = [
            "sqlx::query(\"SELECT 1\").execute(pool).await?;",
            "let rows = query\n    .fetch_all(&mut *connection)\n    .await?;",
            "named(\"a\", one.execute(db)).await?; other.fetch_one(db).await?;",
            "named(\"a\", one.execute(db)).await.map(|_| other.fetch_optional(db))",
        ];
        for source in bare {
            assert_eq!(faults_of("a.rs", source).len(), 1, "{source}");
        }
    }

    #[test]
    fn one_with_a_deadline_passes() {
        let bounded = [
            "named(\"a\", query.execute(db)).await?;",
            "database::named(\n    \"a\",\n    sqlx::query!(\"SELECT f($1)\", of(x)).fetch_one(db),\n)",
            "deadline::within(connection.execute(\"BEGIN\")).await?;",
            "if open && !matches!(timeout(LIMIT, inner.execute(\"ROLLBACK\")).await, Ok(Ok(_))) {",
            "// query.execute(db)",
            "#[cfg(test)] mod tests { query.execute(db) }",
        ];
        for source in bounded {
            assert_eq!(faults_of("a.rs", source), [""; 0], "{source}");
        }
    }

    #[test]
    fn an_exception_is_one_line_of_one_file() {
        let line = "async move { pool.acquire().await?.execute(query).await }";
        assert!(faults_of("shared/platform/src/database/pool.rs", line).is_empty());
        assert_eq!(faults_of("shared/core/src/stores.rs", line).len(), 1);
    }
}
