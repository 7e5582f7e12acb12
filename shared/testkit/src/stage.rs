//! What one test plays on: settings that point at its own database, Redis keys and objects.

use plinth_core::Stores;
use plinth_platform::settings::Settings;
use uuid::Uuid;

use crate::database::Database;
use crate::http::client;
use crate::services::Services;
use crate::until::until;
use crate::wire::Wire;

/// The S3 that a stage's objects are in. Two that others have written: what one alone does is not
/// what S3 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// s3s, which checks signatures.
    S3s,
    /// moto, which tells what was begun in parts and how an object is encrypted.
    Moto,
}

/// A test's own place. Keep it until the end: the database goes with it.
#[derive(Debug)]
pub struct Stage {
    variables: Vec<(String, String)>,
    _database: Database,
}

impl Stage {
    pub async fn open() -> Self {
        let services = Services::get();
        let name = format!("t{}", Uuid::new_v4().simple());
        let database = Database::create(name.clone()).await;
        let prefix = format!("{name}/");
        let variables = [
            (
                "PLINTH_SECRET_KEY",
                "dGVzdHMgaGF2ZSBhIHJvb3Qga2V5IHRoYXQgaXMgbm8gc2VjcmV0",
            ),
            ("PLINTH_DATABASE_URL", &database.url()),
            ("PLINTH_DATABASE_MAX_CONNECTIONS", "5"),
            // Locks that tests hold, on a machine that does other things.
            ("PLINTH_DATABASE_LOCK_TIMEOUT", "1m"),
            ("PLINTH_REDIS_URL", &services.redis_url),
            ("PLINTH_REDIS_PREFIX", &name),
            ("PLINTH_S3_ENDPOINT", &services.s3_endpoint),
            ("PLINTH_S3_BUCKET", &services.s3_bucket),
            ("PLINTH_S3_PREFIX", &prefix),
            ("PLINTH_S3_ACCESS_KEY_ID", &services.s3_access_key_id),
            (
                "PLINTH_S3_SECRET_ACCESS_KEY",
                &services.s3_secret_access_key,
            ),
            ("PLINTH_SMTP_URL", &services.smtp_url),
            ("PLINTH_LIMITS_IP_PER_MINUTE", "0"),
            ("PLINTH_LIMITS_USER_PER_MINUTE", "0"),
            ("PLINTH_LIMITS_API_KEY_PER_MINUTE", "0"),
            ("PLINTH_LIMITS_AUTH_PER_MINUTE", "0"),
            ("PLINTH_LIMITS_REFRESH_PER_MINUTE", "0"),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Self {
            variables,
            _database: database,
        }
    }

    /// One whose objects are in this store.
    pub async fn at(store: Store) -> Self {
        let stage = Self::open().await;
        match store {
            Store::S3s => stage,
            Store::Moto => {
                let services = Services::get();
                let bucket = format!("{}/{}", services.moto_url, services.s3_bucket);
                until("moto answers and has the bucket", async || {
                    client()
                        .put(&bucket)
                        .send()
                        .await
                        .ok()
                        .filter(|made| made.status().is_success())
                })
                .await;
                stage.with("PLINTH_S3_ENDPOINT", &services.moto_url)
            }
        }
    }

    /// The same place with a setting changed.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Switches every rate limit on; tests run without any unless they are about them.
    pub fn set_limits(&mut self, per_minute: &str) {
        for name in [
            "PLINTH_LIMITS_IP_PER_MINUTE",
            "PLINTH_LIMITS_USER_PER_MINUTE",
            "PLINTH_LIMITS_AUTH_PER_MINUTE",
            "PLINTH_LIMITS_REFRESH_PER_MINUTE",
        ] {
            self.set(name, per_minute);
        }
    }

    /// The same place with a setting not given.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Reaches Redis by a wire that can be cut.
    pub async fn wire_redis(&mut self) -> Wire {
        let server = Services::get()
            .redis_url
            .trim_start_matches("redis://")
            .trim_end_matches("/0");
        let wire = Wire::to(server.to_owned()).await;
        self.set("PLINTH_REDIS_URL", &format!("redis://{}", wire.address));
        wire
    }

    /// Reaches PostgreSQL by a wire that can be cut.
    pub async fn wire_database(&mut self) -> Wire {
        let url = self.value("PLINTH_DATABASE_URL");
        let (credentials, rest) = url.split_once('@').expect("the URL has credentials");
        let (server, database) = rest.split_once('/').expect("the URL has a path");
        let wire = Wire::to(server.to_owned()).await;
        self.set(
            "PLINTH_DATABASE_URL",
            &format!("{credentials}@{}/{database}", wire.address),
        );
        wire
    }

    /// Reaches S3 by a wire that can be cut.
    pub async fn wire_s3(&mut self) -> Wire {
        let server = self.value("PLINTH_S3_ENDPOINT");
        let wire = Wire::to(
            server
                .trim_start_matches("http://")
                .trim_end_matches('/')
                .to_owned(),
        )
        .await;
        self.set("PLINTH_S3_ENDPOINT", &format!("http://{}", wire.address));
        wire
    }

    /// Reaches the mail server by a wire that can be cut.
    pub async fn wire_smtp(&mut self) -> Wire {
        let server = self.value("PLINTH_SMTP_URL");
        let wire = Wire::to(
            server
                .trim_start_matches("smtp://")
                .trim_end_matches('/')
                .to_owned(),
        )
        .await;
        self.set("PLINTH_SMTP_URL", &format!("smtp://{}", wire.address));
        wire
    }

    fn value(&self, name: &str) -> String {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone())
            .expect("the stage sets it")
    }

    /// The settings as environment variables.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub fn settings(&self) -> Settings {
        self.settings_with(&[])
    }

    /// The settings with some changed.
    pub fn settings_with(&self, changes: &[(&str, &str)]) -> Settings {
        let kept = self
            .variables
            .iter()
            .filter(|(name, _)| changes.iter().all(|(other, _)| other != name));
        let added = changes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_env(kept.cloned().chain(added)).expect("a stage's settings are valid")
    }

    /// Fresh connections to the stage's stores.
    pub fn stores(&self) -> Stores {
        Stores::new(&self.settings(), "test").expect("a stage's settings name stores")
    }
}
