//! Applying migrations without holding up who serves.
//!
//! `ALTER TABLE` waits for every transaction that uses the table, and whatever comes after it waits behind it. So each
//! attempt waits for a lock only briefly, then leaves the queue for a while and tries again.
//!
//! The statements around the migrations have the client's deadline. The migrations have none, whatever the server does:
//! one over a large table takes as long as it takes.

use std::time::{Duration, Instant};

use sqlx::migrate::{Migrate as _, MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::deadline::{self, within};
use super::schema::MIGRATIONS;
use super::session;
use crate::settings::DatabaseSettings;

/// How long an attempt waits for a lock. Statements of others wait as long behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The pauses between attempts grow from the first to the second of these.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How long a migration is tried: longer than a dump of a large database takes.
const PATIENCE: Duration = Duration::from_hours(6);

/// How often a run asks whether another has ended.
const TURN_INTERVAL: Duration = Duration::from_secs(1);

/// What a run reports as it goes.
type Report<'a> = &'a (dyn Fn(&str) + Sync);

/// Applies what is missing of the schema, and returns its version.
///
/// Migrations of a newer build stay: it has only expanded the schema.
///
/// # Errors
/// If the database is away, a migration fails or was changed after it had been applied, or if its locks cannot be had.
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
    let lock = take_turn(connection, report).await?;
    within(connection.ensure_migrations_table(table)).await?;
    if let Some(version) = within(connection.dirty_version(table)).await? {
        return Err(MigrateError::Dirty(version));
    }
    let applied = within(connection.list_applied_migrations(table)).await?;
    for step in migrator
        .iter()
        .filter(|step| step.migration_type.is_up_migration())
    {
        match applied.iter().find(|one| one.version == step.version) {
            Some(one) if one.checksum != step.checksum => {
                return Err(MigrateError::VersionMismatch(step.version));
            }
            Some(_) => {}
            None => apply(connection, table, step, report).await?,
        }
    }
    let newest = |steps: &mut dyn Iterator<Item = i64>| steps.max().unwrap_or(0);
    let (ours, theirs) = (
        newest(&mut migrator.iter().map(|step| step.version)),
        newest(&mut applied.iter().map(|one| one.version)),
    );
    if theirs > ours {
        report(&format!(
            "the database is at version {theirs}, newer than this build's {ours}; nothing is undone"
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
        // Without a deadline.
        match connection.apply(table, step).await {
            Ok(took) => {
                report(&format!("{name}: applied in {} ms", took.as_millis()));
                return Ok(());
            }
            Err(error) if is_lock_timeout(&error) && begun.elapsed() < PATIENCE => {
                report(&format!(
                    "{name}: a lock was not granted within {LOCK_TIMEOUT:?}; trying again in {pause:?}"
                ));
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A step over a large table takes as long as it takes. One that builds an index concurrently waits for old transactions
/// without being in anybody's way, and would have to begin again after a timeout.
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

/// Removes what an earlier attempt of the step has left half-built.
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
        // Without a deadline: it waits for old transactions, as the migration does.
        let drop_index = sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX CONCURRENTLY {name}")));
        drop_index.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Waits for the lock of sqlx's own runner, which earlier releases use, without staying in it: a session that waits has
/// a snapshot, and an index that is built concurrently waits for all of these.
async fn take_turn(connection: &mut PgConnection, report: Report<'_>) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar("SELECT current_database()");
    let database: String = within(query.fetch_one(&mut *connection)).await?;
    let lock = 0x3d32_ad9e * i64::from(crc32fast::hash(database.as_bytes()));
    let mut waits = false;
    loop {
        let try_lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(lock);
        let is_taken: bool = within(try_lock.fetch_one(&mut *connection)).await?;
        if is_taken {
            return Ok(lock);
        }
        if !std::mem::replace(&mut waits, true) {
            report("waiting for another run of the migrations to end");
        }
        tokio::time::sleep(TURN_INTERVAL).await;
    }
}

fn is_lock_timeout(error: &MigrateError) -> bool {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = error else {
        return false;
    };
    // 55P03: lock_not_available; 40P01: deadlock_detected, which another order may not meet again.
    let code = cause
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}
