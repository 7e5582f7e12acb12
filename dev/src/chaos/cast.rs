//! Who plays: the API, workers of the product, workers and clients of jobs that leave traces, and the users of the API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::proxy::Proxy;
use super::users::{Uploader, Users};
use crate::layout::make_dir;
use crate::process::{Program, Supervised};
use crate::random;
use crate::scratch::Scratch;
use crate::stack::{Foundation, Variables};

pub(super) const DATABASE: &str = "chaos";

/// What a process gets to end by itself.
const GRACE: Duration = Duration::from_secs(8);

/// What handlers leave behind.
const TRACES: &str =
    "CREATE TABLE effects (job_id uuid PRIMARY KEY, runs integer NOT NULL DEFAULT 1);
CREATE TABLE doubles (job_id uuid NOT NULL);
";

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs jobs that leave traces.
    TraceWorker,
    /// Accepts such jobs and writes down their ids.
    TraceClient,
    /// `plinth-worker`, for mails and files.
    Worker,
    /// `plinth-api`.
    Api,
}

/// How many there are of each.
const COMPANY: [(Role, usize); 4] = [
    (Role::TraceWorker, 4),
    (Role::TraceClient, 2),
    (Role::Worker, 2),
    (Role::Api, 1),
];

struct Actor {
    role: Role,
    /// Of a worker of the product.
    port: Option<u16>,
    process: Supervised,
}

/// The proxies before the services.
pub(super) struct Proxies {
    pub(super) postgres: Proxy,
    pub(super) redis: Proxy,
    pub(super) s3: Proxy,
    pub(super) smtp: Proxy,
}

/// The processes that may be killed.
pub(super) struct Cast {
    binaries: PathBuf,
    folder: PathBuf,
    env: Variables,
    /// One line a job that a client was told to be committed.
    pub(super) accepted: PathBuf,
    pub(super) proxies: Proxies,
    pub(super) users: Users,
    actors: Vec<Actor>,
    api_ports: [u16; 2],
    worker_ports: [u16; 2],
    started: usize,
}

impl Cast {
    /// Makes the database with its tables and an account, and the proxies before the services.
    pub(super) async fn prepare(
        scratch: &Scratch,
        foundation: &mut Foundation,
        binaries: &Path,
    ) -> Result<Self> {
        let url = foundation.backing().create_database(DATABASE)?;
        foundation.migrate(binaries, &url).await?;
        let uploader = Uploader {
            email: "uploader@example.org".to_owned(),
            password: random::token(18)?,
        };
        foundation
            .create_administrator(binaries, &url, &uploader.email, &uploader.password)
            .await?;
        let folder = scratch.layout().dev.join("chaos");
        make_dir(&folder, 0o700)?;
        let traces = folder.join("traces.sql");
        std::fs::write(&traces, TRACES)?;
        foundation.backing().run_sql(DATABASE, &traces)?;
        let addresses = &foundation.backing().addresses;
        let proxies = Proxies {
            postgres: Proxy::before(&url).await?,
            redis: Proxy::before(&addresses.redis_url).await?,
            s3: Proxy::before(&addresses.s3_endpoint).await?,
            smtp: Proxy::before(&addresses.smtp_url).await?,
        };
        let mut env = foundation.variables();
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
        // What measures must not depend on what is measured.
        set("CHAOS_TRACES_URL", &url);
        set("PLINTH_LOG_FORMAT", "json");
        set("PLINTH_LOG_LEVEL", "warn,sqlx=error");
        set("PLINTH_WORKER_LEASE", "5s");
        set("PLINTH_WORKER_SHUTDOWN_GRACE", "5s");
        set("PLINTH_API_SHUTDOWN_GRACE", "3s");
        let mut port = |name: &str| foundation.free_port(name);
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
            actors: Vec::new(),
            api_ports,
            worker_ports,
            started: 0,
        })
    }

    /// Starts whoever is missing.
    pub(super) fn enter(&mut self, foundation: &mut Foundation) -> Result<()> {
        self.fill(foundation, &COMPANY)
    }

    fn fill(&mut self, foundation: &mut Foundation, company: &[(Role, usize)]) -> Result<()> {
        self.actors
            .retain_mut(|actor| actor.process.has_ended().is_none());
        for (role, count) in company {
            while self
                .actors
                .iter()
                .filter(|actor| actor.role == *role)
                .count()
                < *count
            {
                let actor = self.start(foundation, *role)?;
                self.actors.push(actor);
            }
        }
        Ok(())
    }

    fn start(&mut self, foundation: &mut Foundation, role: Role) -> Result<Actor> {
        self.started += 1;
        let is_free = |port: &&u16| self.actors.iter().all(|actor| actor.port != Some(**port));
        let port = (role == Role::Worker)
            .then(|| self.worker_ports.iter().find(is_free).copied())
            .flatten();
        let mut env = self.env.clone();
        let mut bind =
            |name: &str, port: u16| env.push((name.to_owned(), format!("127.0.0.1:{port}")));
        let traces = "examples/chaos";
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
            // The product refuses variables that it does not know.
            env.retain(|(name, _)| name.starts_with("PLINTH_"));
        }
        let name = format!("{name}-{}", self.started);
        let program = Program::new(&name, &self.binaries.join(program), &self.folder);
        let process = foundation.start_beside(program.args(args).env(env))?;
        Ok(Actor {
            role,
            port,
            process,
        })
    }

    /// One of these roles leaves, by any number.
    pub(super) fn leaver(&mut self, roles: &[Role], number: usize) -> Option<Supervised> {
        let places: Vec<_> = (0..self.actors.len())
            .filter(|place| roles.contains(&self.actors[*place].role))
            .collect();
        let place = places.get(number % places.len().max(1))?;
        Some(self.actors.swap_remove(*place).process)
    }

    /// No more is accepted; whole workers do the rest.
    pub(super) async fn leave(&mut self, foundation: &mut Foundation) -> Result<()> {
        self.users.stop().await;
        while let Some(client) = self.leaver(&[Role::TraceClient], 0) {
            client.stop(Duration::ZERO).await;
        }
        let company: Vec<_> = COMPANY
            .into_iter()
            .filter(|(role, _)| *role != Role::TraceClient)
            .collect();
        self.fill(foundation, &company)
    }

    /// Ends a process as SIGTERM does.
    pub(super) async fn dismiss(process: Supervised) {
        process.stop(GRACE).await;
    }
}
