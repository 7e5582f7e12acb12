//! The stores that every capability reads and writes, in one cheaply cloned value.

use std::sync::Arc;

use plinth_object_store::{Connection, ObjectStore};
use plinth_platform::clock::Clock;
use plinth_platform::crypto::{KeyService, LocalKeys, RootKey};
use plinth_platform::database::{self, PgPool};
use plinth_platform::internal::Readiness;
use plinth_platform::redis::Redis;
use plinth_platform::settings::Settings;

use crate::{Error, Result};

/// PostgreSQL, Redis, S3, the keys of what is in it, and the clock.
#[derive(Clone)]
pub struct Stores {
    pub db: PgPool,
    pub redis: Redis,
    pub objects: ObjectStore,
    pub keys: Arc<dyn KeyService>,
    pub clock: Clock,
}

impl Stores {
    /// Connects lazily: each store is first asked when it is first needed.
    pub fn new(settings: &Settings, application: &str) -> Result<Self> {
        let root = RootKey::parse(&settings.general.secret_key).map_err(Error::internal)?;
        Ok(Self {
            db: database::pool(&settings.database, application)?,
            redis: Redis::new(&settings.redis)?,
            objects: ObjectStore::new(&Connection {
                endpoint: settings.s3.endpoint.as_deref(),
                public_endpoint: settings.s3.public_endpoint.as_deref(),
                region: &settings.s3.region,
                bucket: &settings.s3.bucket,
                prefix: &settings.s3.prefix,
                access_key_id: &settings.s3.access_key_id,
                secret_access_key: settings.s3.secret_access_key.expose(),
                path_style: settings.s3.path_style,
            }),
            keys: LocalKeys::service(settings.files.master_keys.as_ref(), &root),
            clock: Clock::default(),
        })
    }

    /// What a process that needs every store asks before it calls itself ready.
    pub fn readiness(&self) -> Readiness {
        let (db, redis, objects) = (self.db.clone(), self.redis.clone(), self.objects.clone());
        Readiness::default()
            .with("postgresql", move || {
                let db = db.clone();
                async move { database::ping(&db).await }
            })
            .with("redis", move || {
                let redis = redis.clone();
                async move { redis.ping().await }
            })
            .with("s3", move || {
                let objects = objects.clone();
                async move { objects.ping().await }
            })
    }
}
