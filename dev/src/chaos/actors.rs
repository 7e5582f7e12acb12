//! The actors: the API, workers of the product, workers and clients of jobs that leave traces, and
//! the users of the API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::proxy::Proxy;
use super::users::{Uploader, Users};
use crate::layout::make_dir;
use crate::process::{Program, Supervised};
use crate::random;
use crate::services::Services;
use crate::stack::Variables;
use crate::workspace::Workspace;

pub(super) const DATABASE: &str = "chaos";

/// The time that a process gets to end by itself.
const GRACE: Duration = Duration::from_secs(8);

/// The tables in which the handlers of `chaos-jobs` leave traces.
const TRACES: &str =
    "CREATE TABLE effects (job_id uuid PRIMARY KEY, runs integer NOT NULL DEFAULT 1);
CREATE TABLE doubles (job_id uuid NOT NULL);
";

/// The role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs jobs that leave traces.
    TraceWorker,
    /// Accepts such jobs and writes their ids to a file.
    TraceClient,
    /// `plinth-worker`, for mails and files.
    Worker,
    /// `plinth-api`.
    Api,
}

/// The number of processes of each role.
const COUNTS: [(Role, usize); 4] = [
    (Role::TraceWorker, 4),
    (Role::TraceClient, 2),
    (Role::Worker, 2),
    (Role::Api, 1),
];

struct Actor {
    role: Role,
    /// The port of a worker of the product.
    port: Option<u16>,
    process: Supervised,
}

/// The proxies in front of the services.
pub(super) struct Proxies {
    pub(super) postgres: Proxy,
    pub(super) redis: Proxy,
    pub(super) s3: Proxy,
    pub(super) smtp: Proxy,
}

/// The processes that may be killed.
pub(super) struct Actors {
    binaries: PathBuf,
    folder: PathBuf,
    env: Variables,
    /// A line for each job whose commit a client has seen.
    pub(super) accepted: PathBuf,
    pub(super) proxies: Proxies,
    pub(super) users: Users,
    running: Vec<Actor>,
    api_ports: [u16; 2],
    worker_ports: [u16; 2],
    started: usize,
}

impl Actors {
    /// Creates the database with its tables and an account, and the proxies in front of the
    /// services.
    pub(super) async fn prepare(
        workspace: &Workspace,
        services: &mut Services,
        binaries: &Path,
    ) -> Result<Self> {
        let url = services.create_database(DATABASE)?;
        services.run_api(binaries, &url, &["migrate"], None).await?;
        let uploader = Uploader {
            email: "uploader@example.org".to_owned(),
            password: random::token(18)?,
        };
        let create = [
            "admin",
            "create",
            "--password-stdin",
            "--email",
            &uploader.email,
        ];
        let password = Some(&*uploader.password);
        services.run_api(binaries, &url, &create, password).await?;
        let folder = workspace.layout().dev.join("chaos");
        make_dir(&folder, 0o700)?;
        services.cluster()?.query(DATABASE, TRACES)?;
        let addresses = &services.addresses;
        let proxies = Proxies {
            postgres: Proxy::before(&url).await?,
            redis: Proxy::before(&addresses.redis_url).await?,
            s3: Proxy::before(&addresses.s3_endpoint).await?,
            smtp: Proxy::before(&addresses.smtp_url).await?,
        };
        let mut env = services.variables(&url);
        let mut set = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
        set("PLINTH_DATABASE_URL", &proxies.postgres.through(&url));
        set(
            "PLINTH_REDIS_URL",
            &proxies.redis.through(&addresses.redis_url),
        );
        set(
            "PLINTH_S3_ENDPOINT",
            &proxies.s3.through(&addresses.s3_endpoint),
        );
        set(
            "PLINTH_SMTP_URL",
            &proxies.smtp.through(&addresses.smtp_url),
        );
        // The measurement must not depend on the faults.
        set("CHAOS_TRACES_URL", &url);
        set("PLINTH_LOG_FORMAT", "json");
        set("PLINTH_LOG_LEVEL", "warn,sqlx=error");
        set("PLINTH_WORKER_LEASE", "5s");
        set("PLINTH_WORKER_SHUTDOWN_GRACE", "5s");
        set("PLINTH_API_SHUTDOWN_GRACE", "3s");
        let mut port = |name: &str| services.free_port(name);
        let api_ports = [port("api")?, port("api-internal")?];
        let worker_ports = [port("worker-1")?, port("worker-2")?];
        let users = Users::start(format!("http://127.0.0.1:{}", api_ports[0]), uploader)?;
        Ok(Self {
            binaries: binaries.to_owned(),
            accepted: folder.join("accepted"),
            folder,
            env,
            proxies,
            users,
            running: Vec::new(),
            api_ports,
            worker_ports,
            started: 0,
        })
    }

    /// Starts the missing processes.
    pub(super) fn start_missing(&mut self, services: &mut Services) -> Result<()> {
        self.fill(services, &COUNTS)
    }

    fn fill(&mut self, services: &mut Services, counts: &[(Role, usize)]) -> Result<()> {
        self.running
            .retain_mut(|actor| actor.process.has_ended().is_none());
        for (role, count) in counts {
            while self
                .running
                .iter()
                .filter(|actor| actor.role == *role)
                .count()
                < *count
            {
                let actor = self.start(services, *role)?;
                self.running.push(actor);
            }
        }
        Ok(())
    }

    fn start(&mut self, services: &mut Services, role: Role) -> Result<Actor> {
        self.started += 1;
        let is_free = |port: &&u16| self.running.iter().all(|actor| actor.port != Some(**port));
        let port = (role == Role::Worker)
            .then(|| self.worker_ports.iter().find(is_free).copied())
            .flatten();
        let mut env = self.env.clone();
        let mut bind =
            |name: &str, port: u16| env.push((name.to_owned(), format!("127.0.0.1:{port}")));
        let traces = "chaos-jobs";
        let (program, name, args): (_, _, Vec<PathBuf>) = match role {
            Role::TraceWorker => (traces, "worker", vec!["work".into()]),
            Role::TraceClient => (
                traces,
                "client",
                vec!["accept".into(), self.accepted.clone()],
            ),
            Role::Worker => {
                bind("PLINTH_WORKER_INTERNAL_BIND", port.unwrap_or_default());
                let args = ["run", "--queues", "email,files"];
                (
                    "plinth-worker",
                    "plinth-worker",
                    args.map(PathBuf::from).to_vec(),
                )
            }
            Role::Api => {
                bind("PLINTH_API_BIND", self.api_ports[0]);
                bind("PLINTH_API_INTERNAL_BIND", self.api_ports[1]);
                ("plinth-api", "plinth-api", vec!["serve".into()])
            }
        };
        if role != Role::TraceWorker && role != Role::TraceClient {
            // The product rejects unknown variables.
            env.retain(|(name, _)| name.starts_with("PLINTH_"));
        }
        let name = format!("{name}-{}", self.started);
        let program = Program::new(&name, &self.binaries.join(program), &self.folder);
        let process = services.start_program(program.args(args).env(env))?;
        Ok(Actor {
            role,
            port,
            process,
        })
    }

    /// Removes a process of these roles, chosen by any number.
    pub(super) fn take(&mut self, roles: &[Role], number: usize) -> Option<Supervised> {
        let places: Vec<_> = (0..self.running.len())
            .filter(|place| roles.contains(&self.running[*place].role))
            .collect();
        let place = places.get(number % places.len().max(1))?;
        Some(self.running.swap_remove(*place).process)
    }

    /// Stops all requests. The workers stay, to finish the jobs.
    pub(super) async fn finish(&mut self, services: &mut Services) -> Result<()> {
        self.users.stop().await;
        while let Some(client) = self.take(&[Role::TraceClient], 0) {
            client.stop(Duration::ZERO).await;
        }
        let counts: Vec<_> = COUNTS
            .into_iter()
            .filter(|(role, _)| *role != Role::TraceClient)
            .collect();
        self.fill(services, &counts)
    }

    /// Ends a process by SIGTERM.
    pub(super) async fn stop(process: Supervised) {
        process.stop(GRACE).await;
    }
}
