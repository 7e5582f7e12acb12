//! What `cargo dev test` has started, as it says in the file that PLINTH_TEST_SERVICES names.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde::Deserialize;

/// The services that every test shares.
#[derive(Debug, Deserialize)]
pub struct Services {
    /// A database whose account may create others.
    pub maintenance_url: String,
    /// The migrated database that each test's is copied from.
    pub template_database: String,
    pub redis_url: String,
    pub s3_endpoint: String,
    pub s3_bucket: String,
    pub s3_access_key_id: String,
    pub s3_secret_access_key: String,
    /// The second S3, which also gives credentials (STS).
    pub moto_url: String,
    pub smtp_url: String,
    pub mailbox_url: String,
    /// The folder of the built binaries.
    pub binaries: PathBuf,
    /// A Python with the generator of clients.
    pub python: PathBuf,
    /// A Python with clients that others have written.
    pub python_clients: PathBuf,
    pub node: PathBuf,
    /// Clients that others have written in JavaScript.
    pub node_modules: PathBuf,
    /// A browser; none on a developer's machine that has none.
    pub chromium: Option<PathBuf>,
    /// libfaketime; none on a developer's machine that has none.
    pub faketime: Option<PathBuf>,
    /// The scanner for viruses; none on a developer's machine that has none.
    pub clamd: Option<PathBuf>,
    pub redis_server: PathBuf,
    pub postgres: Postgres,
}

/// PostgreSQL's programs.
#[derive(Debug, Deserialize)]
pub struct Postgres {
    pub folder: PathBuf,
    /// The user and group that run them, where the tests' own may not.
    pub account: Option<(u32, u32)>,
}

impl Services {
    pub fn get() -> &'static Self {
        static SERVICES: OnceLock<Services> = OnceLock::new();
        SERVICES.get_or_init(|| {
            let file = std::env::var_os("PLINTH_TEST_SERVICES")
                .expect("run the tests with `cargo dev test`");
            let bytes =
                std::fs::read(&file).expect("the file that PLINTH_TEST_SERVICES names can be read");
            serde_json::from_slice(&bytes)
                .expect("`cargo dev test` and the test kit agree on the services")
        })
    }
}
