//! The schema: its migrations, and the check that a database has them.

use std::collections::HashSet;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;

use super::named;

/// All migrations. Each of them can run while the previous version still serves.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The error of a database that lacks a migration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("The schema lacks migration {0}. Run `plinth-api migrate`.")]
pub struct OlderSchema(pub i64);

/// Checks that every migration of this build is applied. Newer migrations are allowed, because they
/// only expand the schema.
///
/// # Errors
/// The outer error comes from the database; the inner one names the first missing migration.
pub async fn check(connection: &mut PgConnection) -> sqlx::Result<Result<(), OlderSchema>> {
    let query = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success");
    let applied: sqlx::Result<Vec<i64>> =
        named("schema.applied", query.fetch_all(connection)).await;
    let applied: HashSet<i64> = match applied {
        Ok(applied) => applied.into_iter().collect(),
        Err(error) if is_undefined_table(&error) => HashSet::new(),
        Err(error) => return Err(error),
    };
    let missing = MIGRATIONS
        .iter()
        .map(|step| step.version)
        .find(|version| !applied.contains(version));
    Ok(missing.map_or(Ok(()), |version| Err(OlderSchema(version))))
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "42P01")
}
