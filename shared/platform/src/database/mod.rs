//! PostgreSQL: the pool, its sessions, the migrations, and queries that are measured under a name.

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

/// Connections of a [pool_by_key].
const BY_KEY: u32 = 8;

/// A pool that connects when it is first asked: a process starts, and says that it is not ready, without its database.
pub fn pool(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    PgPool::lazy(settings, application, settings.max_connections.0, &[])
}

/// A pool of one connection, for a task that must not wait for a connection behind requests.
pub fn single(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    PgPool::lazy(settings, application, 1, &[])
}

/// A small pool beside the other one, for statements that find rows by their keys and are planned once for all: with a
/// plan for the values at hand PostgreSQL reads a whole table that it believes to be small.
pub fn pool_by_key(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    PgPool::lazy(
        settings,
        application,
        BY_KEY,
        &[("plan_cache_mode", "force_generic_plan")],
    )
}

/// Runs a query under a constant name that traces and metrics show.
///
/// A statement that outlives the server's `statement_timeout` has lost its connection: it fails after that time and a
/// grace, and its connection is closed instead of reused.
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

/// Whether PostgreSQL answers.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    named("database.ping", sqlx::query("SELECT 1").execute(pool))
        .await
        .map(drop)
}
