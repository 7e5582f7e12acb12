//! What a process asks before it says that it can serve.
//!
//! Only what makes every request fail counts: taking a replica out of the balancer because of a store that all replicas
//! share takes out all of them. The others are named in the answer.

use std::sync::Arc;
use std::time::Duration;

use plinth_platform::crypto::{RootKey, Sealer};
use plinth_platform::database::{self, PgPool, Probe};
use plinth_platform::error_chain;
use plinth_platform::internal::Readiness;
use plinth_platform::settings::Settings;

use crate::{Error, Result, Stores, access_tokens};

/// How long a pool may give out nothing, while PostgreSQL takes new connections, before a restart is asked for.
pub(crate) const STUCK_AFTER: Duration = Duration::from_mins(1);

/// Returns the checks that every process has: PostgreSQL by a connection of its own, the schema, and the root key. Redis
/// is named without making the process unready.
pub fn of(stores: &Stores, settings: &Settings, application: &str) -> Result<Readiness> {
    let probe = Arc::new(Probe::new(&settings.database, application)?);
    let root = RootKey::parse(&settings.general.secret_key).map_err(Error::internal)?;
    // Keys that are given in the settings are sealed by nothing.
    let sealer = settings
        .auth
        .signing_keys
        .is_none()
        .then(|| access_tokens::sealer(&root));
    let (schema, keys, redis) = (probe.clone(), probe.clone(), stores.redis.clone());
    let readiness = Readiness::default()
        .with_check("postgresql", move || answers(probe.clone()))
        .with_dependent_check("schema", move || has_schema(schema.clone()))
        .with_dependent_check("root_key", move || {
            has_root_key(keys.clone(), sealer.clone())
        })
        .with_informational_check("redis", move || {
            let redis = redis.clone();
            async move { redis.ping().await }
        });
    Ok(watching(readiness, stores, STUCK_AFTER))
}

/// Adds that the process has to be restarted once one of the stores' pools cannot recover.
#[must_use]
pub fn watching(readiness: Readiness, stores: &Stores, stuck_after: Duration) -> Readiness {
    let watch = |readiness, (name, pool)| recovering(readiness, name, pool, stuck_after);
    stores.pools().into_iter().fold(readiness, watch)
}

async fn answers(probe: Arc<Probe>) -> Result<(), String> {
    probe
        .run(|_| Box::pin(async { Ok(()) }))
        .await
        .map_err(|error| error_chain::format_error_chain(&error))
}

async fn has_schema(probe: Arc<Probe>) -> Result<(), String> {
    let checked = probe
        .run(|connection| Box::pin(database::check_schema(connection)))
        .await;
    checked
        .map_err(|error| error_chain::format_error_chain(&error))?
        .map_err(|error| error.to_string())
}

async fn has_root_key(probe: Arc<Probe>, sealer: Option<Sealer>) -> Result<(), String> {
    let Some(sealer) = sealer else { return Ok(()) };
    let newest = probe
        .run(|connection| Box::pin(access_tokens::newest(connection)))
        .await;
    let newest = newest.map_err(|error| error_chain::format_error_chain(&error))?;
    access_tokens::check_newest(&sealer, newest)
        .map_err(|error| error_chain::format_error_chain(&error))
}

/// Adds that S3 is named without making the process unready.
#[must_use]
pub fn asking_objects(readiness: Readiness, stores: &Stores) -> Readiness {
    let objects = stores.objects.clone();
    readiness.with_informational_check("s3", move || {
        let objects = objects.clone();
        async move { objects.ping().await }
    })
}

/// Adds that the process has to be restarted once the pool cannot recover.
#[must_use]
pub(crate) fn recovering(
    readiness: Readiness,
    name: &'static str,
    pool: &PgPool,
    stuck_after: Duration,
) -> Readiness {
    let pool = pool.clone();
    readiness.with_liveness_check(name, move || {
        let pool = pool.clone();
        async move {
            if pool.is_stuck(stuck_after).await {
                Err("PostgreSQL takes new connections, but the pool gives out none")
            } else {
                Ok(())
            }
        }
    })
}
