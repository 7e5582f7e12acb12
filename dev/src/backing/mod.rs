//! Everything that api and worker stand on: PostgreSQL, Redis, the S3 endpoint
//! and the mailbox, each private to one stack.

mod clamd;
mod faults;
mod postgres;
mod redis;
mod s3;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

use crate::console::Logs;
use crate::layout::{Facts, Layout};
use crate::mailbox;
use crate::ports::Ports;
use crate::process::{Ledger, Supervised};
use crate::provision::{self, Tool};

use postgres::Cluster;
pub(crate) use postgres::{Durability, remove_data};

/// How long PostgreSQL and Redis may take to end before they are killed.
const GRACE: Duration = Duration::from_millis(1_500);

/// The running services and how to reach them.
#[derive(Debug)]
pub(crate) struct Backing {
    pub(crate) addresses: Addresses,
    pub(crate) processes: Vec<Supervised>,
    cluster: Option<Cluster>,
    in_process: CancellationToken,
}

/// Which services a stack stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Services {
    /// Those that the environment names, and private ones for the rest.
    AsGiven,
    /// Private ones only: for verbs that write what nobody should find in a
    /// database of his own.
    Private,
}

impl Services {
    /// A service that the environment brings along.
    fn given(self, name: &str) -> Option<String> {
        match self {
            Self::AsGiven => std::env::var(name).ok().filter(|url| !url.is_empty()),
            Self::Private => None,
        }
    }
}

/// Where the services are, as URLs with their credentials.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// The product's database.
    pub(crate) database_url: String,
    /// The maintenance database of the same cluster; the account may create others.
    pub(crate) maintenance_url: String,
    pub(crate) redis_url: String,
    pub(crate) s3_endpoint: String,
    pub(crate) smtp_url: String,
    pub(crate) mailbox_url: String,
}

/// The bucket that every stack uses; its folder is made beforehand.
pub(crate) const BUCKET: &str = "plinth";

/// Installs what these services need. Separate from starting them, because it
/// may talk and take its time.
pub(crate) fn provide(services: Services) -> Result<()> {
    let mut tools = Vec::new();
    if services.given("PLINTH_DATABASE_URL").is_none() {
        tools.push(Tool::Postgres);
    }
    if services.given("PLINTH_REDIS_URL").is_none() {
        tools.push(Tool::Redis);
    }
    provision::ensure(&tools)
}

impl Backing {
    /// Starts the services that the environment does not bring along.
    pub(crate) async fn start(
        layout: &Layout,
        facts: &mut Facts,
        ports: &mut Ports,
        services: Services,
        durability: Durability,
        logs: &Logs,
        ledger: &mut Ledger,
    ) -> Result<Self> {
        let mut processes = Vec::new();
        let mut cluster = None;
        let (database_url, maintenance_url) =
            if let Some(url) = services.given("PLINTH_DATABASE_URL") {
                (url.clone(), url)
            } else {
                let port = ports.reserve("postgres")?;
                let (made, process) =
                    Cluster::start(layout, facts, port, durability, logs, ledger, || {
                        ports.release("postgres")
                    })?;
                processes.push(process);
                let urls = (made.url("plinth"), made.url("postgres"));
                cluster = Some(made);
                urls
            };
        let redis_url = if let Some(url) = services.given("PLINTH_REDIS_URL") {
            url
        } else {
            let port = ports.reserve("redis")?;
            let program = redis::program(layout, port)?;
            ports.release("redis");
            processes.push(program.start(&logs.open("redis")?, ledger)?);
            format!("redis://127.0.0.1:{port}/0")
        };
        let in_process = CancellationToken::new();
        let s3_endpoint = s3::start(&layout.dev.join("s3"), facts, ports, &in_process)?;
        let (smtp_port, smtp) = ports.listen("smtp")?;
        let (mailbox_port, http) = ports.listen("mailbox")?;
        mailbox::start(smtp, http, &in_process)?;
        let mut backing = Self {
            addresses: Addresses {
                database_url,
                maintenance_url,
                redis_url,
                s3_endpoint,
                smtp_url: format!("smtp://127.0.0.1:{smtp_port}"),
                mailbox_url: format!("http://127.0.0.1:{mailbox_port}"),
            },
            processes,
            cluster,
            in_process,
        };
        if let Err(error) = backing.wait_until_ready().await {
            backing.stop().await;
            return Err(error.context(format!("see {}", shown(layout, &layout.logs))));
        }
        Ok(backing)
    }

    /// Starts a scanner for viruses beside the rest; where it listens.
    pub(crate) async fn start_clamd(
        &mut self,
        layout: &Layout,
        ports: &mut Ports,
        logs: &Logs,
        ledger: &mut Ledger,
    ) -> Result<String> {
        let port = ports.reserve("clamd")?;
        let program = clamd::program(layout, port)?;
        ports.release("clamd");
        self.processes
            .push(program.start(&logs.open("clamd")?, ledger)?);
        let address = format!("127.0.0.1:{port}");
        clamd::wait_until_ready(&address, &mut self.processes).await?;
        Ok(address)
    }

    /// Makes a database in the private cluster; fails when there is none.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        let cluster = self
            .cluster
            .as_ref()
            .context("a new database needs a private PostgreSQL: unset PLINTH_DATABASE_URL")?;
        cluster.create_database(name)?;
        Ok(cluster.url(name))
    }

    /// Runs a file of SQL against a database of the private cluster.
    pub(crate) fn run_sql(&self, database: &str, file: &Path) -> Result<()> {
        let cluster = self
            .cluster
            .as_ref()
            .context("SQL files need a private PostgreSQL")?;
        cluster.run_sql(database, file)
    }

    /// Asks a database of the private cluster; one line a row.
    pub(crate) fn ask_sql(&self, database: &str, query: &str) -> Result<String> {
        let cluster = self
            .cluster
            .as_ref()
            .context("this needs a private PostgreSQL")?;
        cluster.ask_sql(database, query)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        if let Some(cluster) = &self.cluster {
            cluster.wait_until_ready(&mut self.processes).await?;
            cluster.ensure_database("plinth")?;
        }
        redis::wait_until_ready(&self.addresses.redis_url, &mut self.processes).await
    }

    /// Stops what was started, all at once.
    pub(crate) async fn stop(self) {
        self.in_process.cancel();
        futures_util::future::join_all(
            self.processes
                .into_iter()
                .map(|process| process.stop(GRACE)),
        )
        .await;
    }
}

/// A path as it is shown to people: relative to the checkout where it is inside.
pub(crate) fn shown(layout: &Layout, path: &Path) -> String {
    path.strip_prefix(&layout.root)
        .unwrap_or(path)
        .display()
        .to_string()
}
