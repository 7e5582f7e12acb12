//! A running product: the services, the migrated database, the administrator, one or several API
//! processes, a worker, and nginx in front of several.

mod environment;
mod manifest;
pub(crate) mod nginx;
mod ready;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::{join_all, select_all};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::process::{Program, Supervised};
use crate::services::{DATABASE, Services};

pub use environment::{Environment, Variables};
pub use manifest::{Manifest, Replica};
pub(crate) use ready::client_for;

/// The administrator of every stack.
pub(crate) const ADMIN_EMAIL: &str = "admin@plinth.localhost";
/// Longer than PLINTH_*_SHUTDOWN_GRACE, in which api and worker drain.
const GRACE: Duration = Duration::from_millis(3_200);

/// The kind of a stack.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the built binaries.
    pub binaries: PathBuf,
    pub replicas: u16,
    /// Whether a clamd scans files.
    pub clamd: bool,
    /// Settings of api and worker that differ from the defaults of a stack.
    pub settings: Variables,
}

/// A stack that answers.
#[derive(Debug)]
pub struct Stack {
    pub manifest: Manifest,
    pub environment: Environment,
    services: Services,
    processes: Vec<Supervised>,
}

impl Stack {
    /// Starts the product on these services. If a part fails, stops everything.
    pub async fn start(mut services: Services, options: &Options) -> Result<Self> {
        let mut processes = Vec::new();
        match start_product(&mut services, options, &mut processes).await {
            Ok((manifest, environment)) => {
                manifest.write(&services.layout)?;
                Ok(Self {
                    manifest,
                    environment,
                    services,
                    processes,
                })
            }
            Err(error) => {
                stop_all(processes).await;
                services.stop().await;
                Err(error)
            }
        }
    }

    /// Waits until a process ends unexpectedly, and describes it.
    pub(crate) async fn failure(&mut self) -> String {
        let services = self.services.processes.iter_mut();
        let ends = self.processes.iter_mut().chain(services).map(|process| {
            Box::pin(async move {
                let status = process.ended().await;
                (process.name.clone(), status)
            })
        });
        let ((name, status), ..) = select_all(ends).await;
        match status {
            Ok(status) => format!("{name} ended unexpectedly ({status})"),
            Err(error) => format!("{name} was lost: {error:#}"),
        }
    }

    /// Creates a database beside that of the product. Returns its URL.
    pub fn create_database(&self, name: &str) -> Result<String> {
        self.services.create_database(name)
    }

    /// Queries the database of the product. Returns one line a row.
    pub fn query(&self, query: &str) -> Result<String> {
        self.services.cluster()?.query(DATABASE, query)
    }

    /// Starts one more program. The caller stops it.
    pub fn start_program(&mut self, program: Program) -> Result<Supervised> {
        self.services.start_program(program)
    }

    /// Stops the product, then the services.
    pub async fn stop(self) {
        let _ = std::fs::remove_file(self.services.layout.stack_file());
        stop_all(self.processes).await;
        self.services.stop().await;
    }
}

async fn start_product(
    services: &mut Services,
    options: &Options,
    processes: &mut Vec<Supervised>,
) -> Result<(Manifest, Environment)> {
    let mut settings = options.settings.clone();
    let mut manifest = Manifest::new(services, options)?;
    if options.clamd {
        let address = services.start_clamd().await?;
        settings.push(("PLINTH_CLAMAV_ADDRESS".to_owned(), address.clone()));
        manifest.clamav_address = Some(address);
    }
    services.write_ports()?;
    let environment = services.environment(&settings);
    let root = services.layout.root.clone();
    let api = options.binaries.join("plinth-api");
    let worker = options.binaries.join("plinth-worker");

    let env = environment.shared(&manifest.api_url);
    one_shot(&api, &["migrate"], &env, &root, None).await?;
    let admin = "admin create --password-stdin --email".split(' ');
    let admin: Vec<_> = admin.chain([ADMIN_EMAIL]).collect();
    let password = Some(services.state.admin_password.as_str());
    one_shot(&api, &admin, &env, &root, password).await?;

    for replica in &manifest.replicas {
        services.release_port(&replica.name);
        services.release_port(&format!("{}-internal", replica.name));
        let program = Program::new(&replica.name, &api, &root).args(["serve"]);
        let program = program.env(environment.api(&manifest, replica));
        processes.push(services.start_program(program)?);
    }
    services.release_port("worker-internal");
    let env = environment.worker(&manifest, &manifest.worker_internal_bind);
    let program = Program::new("worker", &worker, &root).args(["run"]);
    processes.push(services.start_program(program.env(env))?);

    ready::wait(&manifest, processes).await?;
    if manifest.replicas.len() > 1 {
        services.release_port("nginx");
        let program = nginx::program(&services.layout, &manifest)?;
        processes.push(services.start_program(program)?);
        ready::wait_for_nginx(&manifest, processes).await?;
    }
    manifest.pids = services.ledger.pids();
    Ok((manifest, environment))
}

/// Stops all processes at the same time: api and worker drain side by side.
async fn stop_all(processes: Vec<Supervised>) {
    let stopped = processes.into_iter().map(|process| process.stop(GRACE));
    join_all(stopped).await;
}

/// Runs a program of the product to its end and returns its stdout. The error has its output.
pub async fn one_shot(
    program: &Path,
    args: &[&str],
    env: &[(String, String)],
    folder: &Path,
    input: Option<&str>,
) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    let mut child = crate::process::without_settings(&mut command)
        .args(args)
        .envs(env.iter().cloned())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that fails before it reads says why on its own.
        let line = input.map(|input| format!("{input}\n")).unwrap_or_default();
        let _ = stdin.write_all(line.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    ensure!(
        output.status.success(),
        "{} {} failed ({}):\n{}{}",
        program.file_name().unwrap_or_default().display(),
        args.first().unwrap_or(&""),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(output.stdout)
}
