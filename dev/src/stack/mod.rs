//! A whole running product: the services, the migrated database, the
//! administrator, api (one or several), worker, and nginx when there are several.

mod environment;
mod manifest;
mod nginx;
mod ready;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::backing::{Backing, Durability, Services};
use crate::console::Logs;
use crate::layout::{Facts, Layout};
use crate::ports::Ports;
use crate::process::{Ledger, Program, Supervised};

use environment::pair;
pub(crate) use environment::{Environment, Variables};
pub(crate) use manifest::{Manifest, Replica};
pub(crate) use ready::client_for;

/// The administrator that every stack has.
pub(crate) const ADMIN_EMAIL: &str = "admin@plinth.localhost";
/// What api and worker get to drain; see PLINTH_*_SHUTDOWN_GRACE below.
const GRACE: Duration = Duration::from_millis(3_200);

/// What kind of stack to start.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The folder of the built binaries.
    pub(crate) binaries: PathBuf,
    pub(crate) replicas: u16,
    /// Whether files are scanned for viruses.
    pub(crate) clamd: bool,
    /// Settings of api and worker that differ from a developer's stack.
    pub(crate) settings: Variables,
}

/// A stack that answers.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) manifest: Manifest,
    pub(crate) environment: Environment,
    backing: Backing,
    /// nginx first, then the apis, then the worker: the order of stopping.
    processes: Vec<Supervised>,
    logs: Logs,
    ledger: Ledger,
}

/// The services are up, the product is not: what runs while cargo builds.
#[derive(Debug)]
pub(crate) struct Foundation {
    layout: Layout,
    services: Services,
    facts: Facts,
    ports: Ports,
    backing: Backing,
    logs: Logs,
    ledger: Ledger,
}

impl Foundation {
    /// Starts the services under the product.
    pub(crate) async fn start(
        layout: &Layout,
        logs: Logs,
        services: Services,
        durability: Durability,
    ) -> Result<Self> {
        layout.prepare()?;
        let mut facts = layout.facts()?;
        let mut ports = Ports::new(&layout.dev, facts.ports.clone());
        let mut ledger = Ledger::new(layout.processes_file());
        let me = i32::try_from(std::process::id()).context("our own process id")?;
        ledger.enter(Ledger::SUPERVISOR, me)?;
        layout.keep(&facts)?;
        let backing = Backing::start(
            layout,
            &mut facts,
            &mut ports,
            services,
            durability,
            &logs,
            &mut ledger,
        )
        .await?;
        Ok(Self {
            layout: layout.clone(),
            services,
            facts,
            ports,
            backing,
            logs,
            ledger,
        })
    }

    pub(crate) fn backing(&self) -> &Backing {
        &self.backing
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Applies the migrations to another database of these services, by the
    /// product's own command, and returns what it said.
    pub(crate) async fn migrate(&self, binaries: &Path, database_url: &str) -> Result<String> {
        let mut env = self.environment(&[]).shared("http://localhost");
        env.push(pair("PLINTH_DATABASE_URL", database_url));
        let api = binaries.join("plinth-api");
        let said = one_shot(&api, &["migrate"], &env, &self.layout.root, None).await?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Makes an account in another database of these services, by the product's own command.
    pub(crate) async fn create_administrator(
        &self,
        binaries: &Path,
        database_url: &str,
        email: &str,
        password: &str,
    ) -> Result<()> {
        let mut env = self.environment(&[]).shared("http://localhost");
        env.push(pair("PLINTH_DATABASE_URL", database_url));
        let create = ["admin", "create", "--email", email, "--password-stdin"];
        let api = binaries.join("plinth-api");
        one_shot(&api, &create, &env, &self.layout.root, Some(password))
            .await
            .map(drop)
    }

    fn environment(&self, settings: &[(String, String)]) -> Environment {
        Environment::new(
            self.services,
            &self.backing.addresses,
            &self.facts,
            settings,
        )
    }

    /// The settings of a program that works with these services alone.
    pub(crate) fn variables(&self) -> Variables {
        self.environment(&[]).shared("http://localhost")
    }

    /// A port for a program that is about to be started beside the services.
    pub(crate) fn free_port(&mut self, name: &str) -> Result<u16> {
        let port = self.ports.reserve(name)?;
        self.ports.release(name);
        Ok(port)
    }

    /// Starts a program, to be stopped by whoever asked for it.
    pub(crate) fn start_beside(&mut self, program: Program) -> Result<Supervised> {
        let log = self.logs.open(program.name())?;
        program.start(&log, &mut self.ledger)
    }

    pub(crate) async fn wipe_redis(&self) -> Result<()> {
        self.backing.wipe_redis().await
    }

    /// Makes Redis refuse every write, or take writes again.
    pub(crate) async fn set_redis_read_only(&self, read_only: bool) -> Result<()> {
        self.backing.set_redis_read_only(read_only).await
    }

    /// How many writes Redis has refused because it was read-only.
    pub(crate) async fn redis_refused_writes(&self) -> Result<u64> {
        self.backing.redis_refused_writes().await
    }

    pub(crate) async fn crash_postgres(&mut self) -> Result<()> {
        self.backing
            .crash_postgres(&self.logs, &mut self.ledger)
            .await
    }

    pub(crate) async fn stop(mut self) {
        self.backing.stop().await;
        self.ledger.clear();
    }

    /// Starts the product on these services. What was started is stopped again
    /// when a part of it fails.
    pub(crate) async fn raise(mut self, options: &Options) -> Result<Stack> {
        let mut processes = Vec::new();
        match self.start_product(options, &mut processes).await {
            Ok((manifest, environment)) => {
                manifest.write(&self.layout)?;
                Ok(Stack {
                    manifest,
                    environment,
                    backing: self.backing,
                    processes,
                    logs: self.logs,
                    ledger: self.ledger,
                })
            }
            Err(error) => {
                stop_in_order(processes).await;
                self.stop().await;
                Err(error)
            }
        }
    }

    async fn start_product(
        &mut self,
        options: &Options,
        processes: &mut Vec<Supervised>,
    ) -> Result<(Manifest, Environment)> {
        let clamav_address = if options.clamd {
            let Self {
                layout,
                ports,
                logs,
                ledger,
                ..
            } = self;
            Some(
                self.backing
                    .start_clamd(layout, ports, logs, ledger)
                    .await?,
            )
        } else {
            None
        };
        let mut settings = options.settings.clone();
        settings.extend(
            clamav_address
                .as_deref()
                .map(|address| pair("PLINTH_CLAMAV_ADDRESS", address)),
        );
        let environment = self.environment(&settings);
        let api = options.binaries.join("plinth-api");
        let worker = options.binaries.join("plinth-worker");
        let mut manifest = Manifest::begin(self, options)?;
        manifest.clamav_address = clamav_address;
        self.facts.ports = self.ports.remembered();
        self.layout.keep(&self.facts)?;

        let env = environment.shared(&manifest.api_url);
        one_shot(&api, &["migrate"], &env, &self.layout.root, None).await?;
        let admin = [
            "admin",
            "create",
            "--email",
            ADMIN_EMAIL,
            "--password-stdin",
        ];
        let password = Some(self.facts.admin_password.as_str());
        one_shot(&api, &admin, &env, &self.layout.root, password).await?;

        for replica in &manifest.replicas {
            let env = environment.api(&manifest, replica);
            self.ports.release(&replica.name);
            self.ports.release(&format!("{}-internal", replica.name));
            let program = Program::new(&replica.name, &api, &self.layout.root);
            let program = program.args(["serve"]).env(env);
            let log = self.logs.open(&replica.name)?;
            processes.push(program.start(&log, &mut self.ledger)?);
        }
        self.ports.release("worker-internal");
        let program = Program::new("worker", &worker, &self.layout.root)
            .args(["run"])
            .env(environment.worker(&manifest, &manifest.worker_internal_bind));
        let log = self.logs.open("worker")?;
        processes.push(program.start(&log, &mut self.ledger)?);

        ready::wait(&manifest, processes).await?;
        if manifest.replicas.len() > 1 {
            self.ports.release("nginx");
            let program = nginx::program(&self.layout, &manifest)?;
            let log = self.logs.open("nginx")?;
            processes.insert(0, program.start(&log, &mut self.ledger)?);
            ready::wait_for_balancer(&manifest, processes).await?;
        }
        manifest.pids = self.ledger.pids();
        Ok((manifest, environment))
    }
}

impl Stack {
    /// Waits until a process ends that should not, and says which.
    pub(crate) async fn failure(&mut self) -> String {
        let all = self
            .processes
            .iter_mut()
            .chain(self.backing.processes.iter_mut());
        let ends = all.map(|process| {
            Box::pin(async move {
                let status = process.ended().await;
                (process.name.clone(), status)
            })
        });
        let ((name, status), _, _) = futures_util::future::select_all(ends).await;
        match status {
            Ok(status) => format!("{name} ended unexpectedly ({status})"),
            Err(error) => format!("{name} was lost: {error:#}"),
        }
    }

    /// Makes another database beside the product's.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        self.backing.create_database(name)
    }

    /// Asks the product's database; one line a row.
    pub(crate) fn ask_sql(&self, query: &str) -> Result<String> {
        self.backing.ask_sql("plinth", query)
    }

    /// Where the product's Redis is.
    pub(crate) fn redis_url(&self) -> &str {
        &self.backing.addresses.redis_url
    }

    /// Starts one more program, to be stopped by whoever asked for it.
    pub(crate) fn start_beside(&mut self, program: Program) -> Result<Supervised> {
        let log = self.logs.open(program.name())?;
        program.start(&log, &mut self.ledger)
    }

    /// Stops the product, then the services under it.
    pub(crate) async fn stop(mut self, layout: &Layout) {
        let _ = std::fs::remove_file(layout.stack_file());
        stop_in_order(self.processes).await;
        self.backing.stop().await;
        self.ledger.clear();
    }
}

/// All at once: api and worker drain side by side, and nginx answers what is
/// under way until its upstreams have gone.
async fn stop_in_order(processes: Vec<Supervised>) {
    futures_util::future::join_all(processes.into_iter().map(|process| process.stop(GRACE))).await;
}

/// Runs a program to its end and shows what it said only when it fails.
pub(crate) async fn one_shot(
    program: &Path,
    args: &[&str],
    env: &[(String, String)],
    folder: &Path,
    input: Option<&str>,
) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLINTH_") {
            command.env_remove(name);
        }
    }
    let mut child = command
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A program that fails before reading says why on its own.
        let _ = stdin.write_all(input.as_bytes()).await;
        let _ = stdin.write_all(b"\n").await;
    }
    let output = child.wait_with_output().await?;
    let name = program.file_name().unwrap_or_default().display();
    ensure!(
        output.status.success(),
        "{name} {} failed ({}):\n{}{}",
        args.first().unwrap_or(&""),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(output.stdout)
}
