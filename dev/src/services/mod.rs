//! The services under api and worker: PostgreSQL, Redis, the S3 endpoint and the mailbox, private
//! to one stack.

mod clamd;
mod faults;
mod postgres;
mod ready;
mod redis;
mod s3;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

use crate::console::Logs;
use crate::layout::{Layout, State};
use crate::mailbox;
use crate::ports::Ports;
use crate::process::{Ledger, Program, Supervised};
use crate::provision::{self, Tool};
use crate::stack::{Environment, Variables, one_shot};

use postgres::Cluster;
pub use postgres::Durability;
pub(crate) use postgres::remove_data;

/// The time that PostgreSQL and Redis get to end before they are killed.
const GRACE: Duration = Duration::from_millis(1_500);

/// The bucket of every stack.
pub(crate) const BUCKET: &str = "plinth";
/// The product's database.
pub(crate) const DATABASE: &str = "plinth";

/// Running services.
#[derive(Debug)]
pub struct Services {
    pub(crate) layout: Layout,
    pub(crate) state: State,
    pub(crate) addresses: Addresses,
    pub(crate) processes: Vec<Supervised>,
    source: Source,
    ports: Ports,
    cluster: Option<Cluster>,
    /// Ends what runs in this process.
    stop: CancellationToken,
    logs: Logs,
    pub(crate) ledger: Ledger,
}

/// The services that a stack uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Those that the environment names, and private ones for the rest.
    Environment,
    /// Private ones only, for verbs that write data of no use to the developer.
    Private,
}

impl Source {
    /// Returns the URL of a service that the environment names.
    fn url(self, name: &str) -> Option<String> {
        let url = std::env::var(name).ok().filter(|url| !url.is_empty());
        url.filter(|_| self == Self::Environment)
    }
}

/// The URLs of the services, with their credentials.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) database_url: String,
    /// A database of the same cluster whose account can create others.
    pub(crate) maintenance_url: String,
    pub(crate) redis_url: String,
    pub(crate) s3_endpoint: String,
    pub(crate) smtp_url: String,
    pub(crate) mailbox_url: String,
}

/// Installs the programs of the services. Separate from their start, because it can ask and take
/// time.
pub(crate) fn install(source: Source) -> Result<()> {
    let needed = [
        ("PLINTH_DATABASE_URL", Tool::Postgres),
        ("PLINTH_REDIS_URL", Tool::Redis),
    ];
    let private = needed.iter().filter(|(name, _)| source.url(name).is_none());
    let tools: Vec<_> = private.map(|(_, tool)| *tool).collect();
    provision::ensure(&tools)
}

impl Services {
    /// Starts the services that the environment does not provide.
    pub(crate) async fn start(
        layout: &Layout,
        logs: Logs,
        source: Source,
        durability: Durability,
    ) -> Result<Self> {
        layout.prepare()?;
        let state = layout.state()?;
        layout.write_state(&state)?;
        let mut services = Self {
            ports: Ports::new(state.ports.clone()),
            addresses: Addresses {
                database_url: source.url("PLINTH_DATABASE_URL").unwrap_or_default(),
                maintenance_url: source.url("PLINTH_DATABASE_URL").unwrap_or_default(),
                redis_url: source.url("PLINTH_REDIS_URL").unwrap_or_default(),
                s3_endpoint: String::new(),
                smtp_url: String::new(),
                mailbox_url: String::new(),
            },
            layout: layout.clone(),
            state,
            processes: Vec::new(),
            source,
            cluster: None,
            stop: CancellationToken::new(),
            logs,
            ledger: Ledger::new(layout.processes_file())?,
        };
        match services.start_all(durability).await {
            Ok(()) => Ok(services),
            Err(error) => {
                let logs = layout.shown(&layout.logs);
                services.stop().await;
                Err(error.context(format!("see {logs}")))
            }
        }
    }

    async fn start_all(&mut self, durability: Durability) -> Result<()> {
        if self.addresses.database_url.is_empty() {
            let port = self.ports.reserve("postgres")?;
            let cluster = Cluster::prepare(&self.layout, &mut self.state, port, durability)?;
            self.start_service("postgres", cluster.program())?;
            self.addresses.database_url = cluster.url(DATABASE);
            self.addresses.maintenance_url = cluster.url("postgres");
            self.cluster = Some(cluster);
        }
        let redis = if self.addresses.redis_url.is_empty() {
            let port = self.ports.reserve("redis")?;
            self.start_service("redis", redis::program(&self.layout, port)?)?;
            self.addresses.redis_url = format!("redis://127.0.0.1:{port}/0");
            Some(format!("127.0.0.1:{port}"))
        } else {
            None
        };
        let (port, listener) = self.ports.listen("s3")?;
        s3::start(
            &self.layout.dev.join("s3"),
            &self.state,
            listener,
            &self.stop,
        )?;
        self.addresses.s3_endpoint = format!("http://127.0.0.1:{port}");
        let (smtp_port, smtp) = self.ports.listen("smtp")?;
        let (http_port, http) = self.ports.listen("mailbox")?;
        mailbox::start(smtp, http, &self.stop);
        self.addresses.smtp_url = format!("smtp://127.0.0.1:{smtp_port}");
        self.addresses.mailbox_url = format!("http://127.0.0.1:{http_port}");
        if let Some(cluster) = &self.cluster {
            cluster.wait_until_ready(&mut self.processes).await?;
        }
        if let Some(address) = redis {
            let ping = (&b"PING\r\n"[..], &b"+PONG\r\n"[..]);
            let limit = Duration::from_secs(20);
            ready::wait_for_answer("redis", &address, ping, limit, &mut self.processes).await?;
        }
        Ok(())
    }

    /// Starts a virus scanner and returns its address.
    pub(crate) async fn start_clamd(&mut self) -> Result<String> {
        let port = self.ports.reserve("clamd")?;
        self.start_service("clamd", clamd::program(&self.layout, port)?)?;
        let address = format!("127.0.0.1:{port}");
        let ping = (&b"zPING\0"[..], &b"PONG\0"[..]);
        let limit = Duration::from_secs(30);
        ready::wait_for_answer("clamd", &address, ping, limit, &mut self.processes).await?;
        Ok(address)
    }

    /// Starts a program on its reserved port.
    fn start_service(&mut self, name: &str, program: Program) -> Result<()> {
        self.ports.release(name);
        let process = self.start_program(program)?;
        self.processes.push(process);
        Ok(())
    }

    /// Starts one more program. The caller stops it.
    pub(crate) fn start_program(&mut self, program: Program) -> Result<Supervised> {
        let log = self.logs.open(program.name())?;
        program.start(&log, &mut self.ledger)
    }

    /// Reserves a port for a program that is started later.
    pub(crate) fn reserve_port(&mut self, name: &str) -> Result<u16> {
        self.ports.reserve(name)
    }

    /// Releases a port that is about to be bound.
    pub(crate) fn release_port(&mut self, name: &str) {
        self.ports.release(name);
    }

    /// Returns a free port for a program that is started at once.
    pub(crate) fn free_port(&mut self, name: &str) -> Result<u16> {
        let port = self.ports.reserve(name)?;
        self.ports.release(name);
        Ok(port)
    }

    /// Keeps the ports for the next start.
    pub(crate) fn write_ports(&mut self) -> Result<()> {
        self.state.ports = self.ports.known();
        self.layout.write_state(&self.state)
    }

    /// Returns the settings of api and worker. `settings` take precedence over the defaults of a
    /// stack.
    pub(crate) fn environment(&self, settings: &[(String, String)]) -> Environment {
        let inherit = self.source == Source::Environment;
        Environment::new(inherit, &self.addresses, &self.state, settings)
    }

    /// Returns the settings of a program that uses another database of these services.
    pub(crate) fn variables(&self, database_url: &str) -> Variables {
        let mut variables = self.environment(&[]).shared("http://localhost");
        variables.push(("PLINTH_DATABASE_URL".to_owned(), database_url.to_owned()));
        variables
    }

    /// Runs a command of plinth-api against another database of these services.
    pub(crate) async fn run_api(
        &self,
        binaries: &Path,
        database_url: &str,
        args: &[&str],
        input: Option<&str>,
    ) -> Result<()> {
        let env = self.variables(database_url);
        let api = binaries.join("plinth-api");
        one_shot(&api, args, &env, &self.layout.root, input)
            .await
            .map(drop)
    }

    /// Creates a database in the private cluster and returns its URL.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        let cluster = self.cluster()?;
        cluster.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(cluster.url(name))
    }

    /// Returns the private cluster.
    pub(crate) fn cluster(&self) -> Result<&Cluster> {
        let cluster = self.cluster.as_ref();
        cluster.context("this needs a private PostgreSQL: unset PLINTH_DATABASE_URL")
    }

    /// Stops everything at the same time.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let processes = self.processes.into_iter();
        futures_util::future::join_all(processes.map(|process| process.stop(GRACE))).await;
        self.ledger.remove();
    }
}
