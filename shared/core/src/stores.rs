//! The stores that every capability reads and writes, in one cheaply cloned value.

use std::sync::Arc;
use std::time::Duration;

use plinth_object_store::{AccessKey, Connection, Encryption, ObjectStore};
use plinth_platform::antivirus::Antivirus;
use plinth_platform::clock::Clock;
use plinth_platform::crypto::{KeyService, LocalKeyService, RootKey};
use plinth_platform::database::{self, PgPool};
use plinth_platform::redis::Redis;
use plinth_platform::settings::{S3Settings, ServerSideEncryption, Settings};

use crate::audit::AnonymousRefusals;
use crate::hot::Trust;
use crate::{Error, Result};

/// PostgreSQL, Redis, S3, the keys of what is in it, what scans it, and the clock.
#[derive(Clone)]
pub struct Stores {
    pub db: PgPool,
    pub redis: Redis,
    pub objects: ObjectStore,
    pub keys: Arc<dyn KeyService>,
    pub antivirus: Antivirus,
    pub clock: Clock,
    /// Whether this process believes copies in Redis.
    pub trust: Trust,
    /// What trust is renewed by, however many connections requests hold.
    pub trust_db: PgPool,
    /// Bounds what unknown callers add to the audit log.
    pub refusals: AnonymousRefusals,
    /// How long a mail is sent again.
    pub mails_retried_for: Duration,
}

impl Stores {
    /// Each pool of connections to PostgreSQL, with the name that the liveness probe has for it.
    pub fn pools(&self) -> [(&'static str, &PgPool); 2] {
        [
            ("database pool", &self.db),
            ("cache trust pool", &self.trust_db),
        ]
    }

    /// Connects lazily: each store is first asked when it is first needed.
    pub fn new(settings: &Settings, application: &str) -> Result<Self> {
        let root = RootKey::parse(&settings.general.secret_key).map_err(Error::internal)?;
        Ok(Self {
            db: database::pool(&settings.database, application)?,
            redis: Redis::new(&settings.redis)?,
            objects: ObjectStore::new(&connection(&settings.s3)),
            keys: LocalKeyService::create(settings.files.master_keys.as_ref(), &root),
            antivirus: Antivirus::new(&settings.clamav),
            clock: Clock::default(),
            trust: Trust::default(),
            trust_db: database::single(&settings.database, application)?,
            refusals: AnonymousRefusals::default(),
            mails_retried_for: settings.smtp.retry_for.0,
        })
    }
}

fn connection(settings: &S3Settings) -> Connection<'_> {
    let key = settings
        .access_key_id
        .as_deref()
        .zip(settings.secret_access_key.as_ref());
    Connection {
        endpoint: settings.endpoint.as_deref(),
        public_endpoint: settings.public_endpoint.as_deref(),
        region: &settings.region,
        bucket: &settings.bucket,
        prefix: &settings.prefix,
        access_key: key.map(|(id, secret)| AccessKey {
            id,
            secret: secret.expose(),
        }),
        path_style: settings.path_style,
        encryption: match settings.encryption {
            ServerSideEncryption::None => Encryption::Bucket,
            ServerSideEncryption::Aes256 => Encryption::Aes256,
            ServerSideEncryption::Kms => Encryption::Kms {
                key_id: settings.kms_key_id.clone(),
            },
        },
        timeout: settings.timeout,
    }
}
