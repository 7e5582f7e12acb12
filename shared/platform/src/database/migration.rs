//! Applies migrations without blocking the running servers.
//!
//! `ALTER TABLE` waits for every transaction that uses the table, and later statements queue behind
//! it. Therefore each attempt waits for a lock only briefly, then leaves the lock queue and tries
//! again later.
//!
//! The statements around the migrations have the client's deadline. The migrations have none,
//! because a migration of a large table may take long.

use std::time::{Duration, Instant};

use sqlx::migrate::{Migrate as _, MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::deadline::{self, within};
use super::schema::MIGRATIONS;
use super::session;
use crate::settings::DatabaseSettings;

/// How long an attempt waits for a lock, and so delays the statements that queue behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Pauses between attempts double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// How long a migration is retried: longer than a dump of a large database takes.
const RETRY_LIMIT: Duration = Duration::from_hours(6);

/// Interval between attempts to take the lock while another run holds it.
const RUN_LOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Receives each line of progress.
type Report<'a> = &'a (dyn Fn(&str) + Sync);

/// Applies the missing migrations, and returns the schema's version.
///
/// Migrations of a newer build stay applied, because they only expand the schema.
///
/// # Errors
/// Fails if the database is unreachable, if a migration fails or was changed after it had been
/// applied, or if its locks are not granted.
pub async fn migrate(
    settings: &DatabaseSettings,
    application: &str,
    report: Report<'_>,
) -> Result<i64, MigrateError> {
    deadline::set(settings.statement_timeout);
    let options = session::options(settings, application)?;
    let connected = tokio::time::timeout(settings.acquire_timeout, options.connect()).await;
    let mut connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    let version = run(&mut connection, &MIGRATIONS, report).await?;
    within(connection.close()).await?;
    Ok(version)
}

async fn run(
    connection: &mut PgConnection,
    migrator: &Migrator,
    report: Report<'_>,
) -> Result<i64, MigrateError> {
    let table = &migrator.table_name;
    let lock = acquire_run_lock(connection, report).await?;
    within(connection.ensure_migrations_table(table)).await?;
    if let Some(version) = within(connection.dirty_version(table)).await? {
        return Err(MigrateError::Dirty(version));
    }
    let applied = within(connection.list_applied_migrations(table)).await?;
    for step in migrator
        .iter()
        .filter(|step| step.migration_type.is_up_migration())
    {
        match applied.iter().find(|row| row.version == step.version) {
            Some(row) if row.checksum != step.checksum => {
                return Err(MigrateError::VersionMismatch(step.version));
            }
            Some(_) => {}
            None => apply(connection, table, step, report).await?,
        }
    }
    let newest = |steps: &mut dyn Iterator<Item = i64>| steps.max().unwrap_or(0);
    let (ours, theirs) = (
        newest(&mut migrator.iter().map(|step| step.version)),
        newest(&mut applied.iter().map(|row| row.version)),
    );
    if theirs > ours {
        report(&format!(
            "the database is at version {theirs}, newer than version {ours} of this build; no migration is reverted"
        ));
    }
    within(
        sqlx::query("SELECT pg_advisory_unlock($1)")
            .bind(lock)
            .execute(connection),
    )
    .await?;
    Ok(ours.max(theirs))
}

async fn apply(
    connection: &mut PgConnection,
    table: &str,
    step: &Migration,
    report: Report<'_>,
) -> Result<(), MigrateError> {
    let name = format!("migration {} ({})", step.version, step.description);
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    set_timeouts(connection, step).await?;
    loop {
        report(&format!("{name}: applying"));
        if step.no_tx {
            drop_unfinished_indexes(connection, step).await?;
        }
        // No deadline here.
        match connection.apply(table, step).await {
            Ok(took) => {
                report(&format!("{name}: applied in {} ms", took.as_millis()));
                return Ok(());
            }
            Err(error) if is_lock_timeout(&error) && begun.elapsed() < RETRY_LIMIT => {
                report(&format!(
                    "{name}: no lock within {LOCK_TIMEOUT:?}; trying again in {pause:?}"
                ));
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Sets the timeouts for one migration. It has no statement timeout, because a large table takes
/// long. A migration that builds an index concurrently has no lock timeout either: it waits for old
/// transactions without blocking others, and would have to start over after a timeout.
async fn set_timeouts(connection: &mut PgConnection, step: &Migration) -> sqlx::Result<()> {
    let lock_timeout = if step.no_tx {
        0
    } else {
        LOCK_TIMEOUT.as_millis()
    };
    let sql = format!("SET statement_timeout = 0; SET lock_timeout = {lock_timeout}");
    within(sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection))
        .await
        .map(drop)
}

/// Removes invalid indexes that an earlier attempt of the migration left behind.
async fn drop_unfinished_indexes(
    connection: &mut PgConnection,
    step: &Migration,
) -> sqlx::Result<()> {
    let query = sqlx::query_scalar(
        "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
         WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace",
    );
    let unfinished: Vec<String> = within(query.fetch_all(&mut *connection)).await?;
    for name in unfinished
        .iter()
        .filter(|name| step.sql.as_str().contains(name.as_str()))
    {
        // No deadline: like the migration, it waits for old transactions.
        let drop_index = sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX CONCURRENTLY {name}")));
        drop_index.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes the advisory lock of sqlx's own migration runner, which earlier releases use. Polls
/// instead of blocking: a waiting session holds a snapshot, and a concurrent index build would wait
/// for it.
async fn acquire_run_lock(connection: &mut PgConnection, report: Report<'_>) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar("SELECT current_database()");
    let database: String = within(query.fetch_one(&mut *connection)).await?;
    let lock = 0x3d32_ad9e * i64::from(crc32fast::hash(database.as_bytes()));
    let mut has_reported = false;
    loop {
        let try_lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(lock);
        let is_taken: bool = within(try_lock.fetch_one(&mut *connection)).await?;
        if is_taken {
            return Ok(lock);
        }
        if !std::mem::replace(&mut has_reported, true) {
            report("waiting for another run of the migrations to end");
        }
        tokio::time::sleep(RUN_LOCK_INTERVAL).await;
    }
}

fn is_lock_timeout(error: &MigrateError) -> bool {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = error else {
        return false;
    };
    // 55P03: lock_not_available. 40P01: deadlock_detected, which may not happen again in another
    // order.
    let code = cause
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}
