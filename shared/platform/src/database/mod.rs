//! PostgreSQL: connection pools, sessions, migrations, and queries measured by name.

mod availability;
mod connection;
mod deadline;
mod migration;
mod nesting;
mod pool;
mod probe;
mod schema;
mod session;

use std::time::Instant;

use tracing::Instrument as _;

use crate::settings::DatabaseSettings;
use crate::telemetry::metrics;

pub use connection::{Connection, Transaction};
pub use migration::migrate;
pub use pool::PgPool;
pub use probe::Probe;
pub use schema::{MIGRATIONS, OlderSchema, check as check_schema};

/// Maximum connections of [`pool_by_key`].
const KEY_POOL_CONNECTIONS: u32 = 8;

/// Creates a pool that connects on first use, so that a process starts, and reports that it is not
/// ready, while the database is down.
pub fn pool(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    PgPool::lazy(settings, application, settings.max_connections.0, &[])
}

/// Creates a pool of one connection, for a task that must not queue behind requests for a
/// connection.
pub fn single(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    PgPool::lazy(settings, application, 1, &[])
}

/// Creates a small additional pool for statements that find rows by key. It forces generic plans:
/// with a custom plan, PostgreSQL scans a whole table that its statistics report as small.
pub fn pool_by_key(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    PgPool::lazy(
        settings,
        application,
        KEY_POOL_CONNECTIONS,
        &[("plan_cache_mode", "force_generic_plan")],
    )
}

/// Runs a query. Traces and metrics show the name.
///
/// A statement that outlives the server's `statement_timeout` has lost its connection: it fails
/// after that time plus a grace period, and its connection is closed instead of reused.
pub async fn named<T>(
    query: &'static str,
    run: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    let span = tracing::debug_span!(
        "sql",
        otel.name = query,
        otel.kind = "client",
        db.system.name = "postgresql"
    );
    let start = Instant::now();
    let result = deadline::within(run).instrument(span).await;
    metrics::observe_store("postgresql", query, result.is_ok(), start.elapsed());
    result
}

/// Checks that PostgreSQL answers.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    named("database.ping", sqlx::query("SELECT 1").execute(pool))
        .await
        .map(drop)
}
