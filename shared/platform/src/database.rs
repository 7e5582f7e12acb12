//! PostgreSQL: the pool, the migrations, and queries that are measured under a name.

use std::str::FromStr as _;
use std::time::Instant;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tracing::Instrument as _;

use crate::settings::DatabaseSettings;
use crate::telemetry::metrics;

pub use sqlx::PgPool;

/// Connections of a [pool_by_key].
const BY_KEY: u32 = 8;

/// The schema, step by step; each step can run while the previous version still serves.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// A pool that connects when it is first asked: a process starts, and says that it is not ready, without its database.
pub fn pool(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    let options = options(settings, application)?;
    Ok(pooling(settings).max_connections(settings.max_connections.0).connect_lazy_with(options))
}

/// A small pool beside the other one, for statements that find rows by their keys and are planned once for all: with a
/// plan for the values at hand PostgreSQL reads a whole table that it believes to be small.
pub fn pool_by_key(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgPool> {
    let options = options(settings, application)?.options([("plan_cache_mode", "force_generic_plan")]);
    Ok(pooling(settings).max_connections(BY_KEY).connect_lazy_with(options))
}

fn options(settings: &DatabaseSettings, application: &str) -> sqlx::Result<PgConnectOptions> {
    let timeout = settings.statement_timeout.as_millis().to_string();
    Ok(PgConnectOptions::from_str(settings.url.expose())?
        .application_name(application)
        .options([("statement_timeout", timeout)]))
}

fn pooling(settings: &DatabaseSettings) -> PgPoolOptions {
    PgPoolOptions::new().acquire_timeout(settings.acquire_timeout)
}

/// Runs a query under a constant name that traces and metrics show.
pub async fn named<T>(query: &'static str, run: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let span =
        tracing::debug_span!("sql", otel.name = query, otel.kind = "client", db.system.name = "postgresql");
    let start = Instant::now();
    let result = run.instrument(span).await;
    metrics::observe_store("postgresql", query, result.is_ok(), start.elapsed());
    result
}

/// Whether PostgreSQL answers.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(pool).await.map(drop)
}
