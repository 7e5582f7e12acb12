//! Who plays: some workers, two processes that accept jobs, and what they write down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::layout::make_dir;
use crate::process::{Program, Supervised};
use crate::scratch::Scratch;
use crate::stack::{Foundation, Variables};

pub(super) const DATABASE: &str = "chaos";

const WORKERS: usize = 4;
const CLIENTS: usize = 2;

/// What a process gets to end by itself.
const GRACE: Duration = Duration::from_secs(8);

/// What handlers leave behind.
const TRACES: &str = "CREATE TABLE effects (job_id uuid PRIMARY KEY, runs integer NOT NULL DEFAULT 1);
CREATE TABLE doubles (job_id uuid NOT NULL);
";

/// The processes that may be killed.
pub(super) struct Cast {
    program: PathBuf,
    folder: PathBuf,
    env: Variables,
    /// One line a job that a client was told to be committed.
    pub(super) accepted: PathBuf,
    workers: Vec<Supervised>,
    clients: Vec<Supervised>,
    started: usize,
}

impl Cast {
    /// Makes the database and its tables.
    pub(super) async fn prepare(scratch: &Scratch, foundation: &Foundation, binaries: &Path) -> Result<Self> {
        let url = foundation.backing().create_database(DATABASE)?;
        foundation.migrate(binaries, &url).await?;
        let folder = scratch.layout().dev.join("chaos");
        make_dir(&folder, 0o700)?;
        let traces = folder.join("traces.sql");
        std::fs::write(&traces, TRACES)?;
        foundation.backing().run_sql(DATABASE, &traces)?;
        let mut env = foundation.variables();
        let mut set = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
        set("PLINTH_DATABASE_URL", &url);
        set("PLINTH_LOG_FORMAT", "json");
        set("PLINTH_LOG_LEVEL", "warn,sqlx=error");
        set("PLINTH_WORKER_LEASE", "5s");
        set("PLINTH_WORKER_SHUTDOWN_GRACE", "5s");
        let accepted = folder.join("accepted");
        let program = binaries.join("examples/chaos");
        Ok(Self { program, folder, env, accepted, workers: Vec::new(), clients: Vec::new(), started: 0 })
    }

    /// Starts whoever is missing.
    pub(super) fn enter(&mut self, foundation: &mut Foundation) -> Result<()> {
        self.workers.retain_mut(|process| process.has_ended().is_none());
        self.clients.retain_mut(|process| process.has_ended().is_none());
        while self.workers.len() < WORKERS {
            let worker = self.start(foundation, "worker", &["work".into()])?;
            self.workers.push(worker);
        }
        while self.clients.len() < CLIENTS {
            let client = self.start(foundation, "client", &["accept".into(), self.accepted.clone()])?;
            self.clients.push(client);
        }
        Ok(())
    }

    fn start(&mut self, foundation: &mut Foundation, name: &str, args: &[PathBuf]) -> Result<Supervised> {
        self.started += 1;
        let program = Program::new(&format!("{name}-{}", self.started), &self.program, &self.folder);
        foundation.start_beside(program.args(args).env(self.env.clone()))
    }

    /// A worker, by any number.
    pub(super) fn worker(&mut self, number: usize) -> Supervised {
        self.workers.swap_remove(number % self.workers.len())
    }

    /// A client, by any number.
    pub(super) fn client(&mut self, number: usize) -> Supervised {
        self.clients.swap_remove(number % self.clients.len())
    }

    /// No more jobs are accepted; whole workers do the rest.
    pub(super) async fn leave(&mut self, foundation: &mut Foundation) -> Result<()> {
        for client in self.clients.drain(..) {
            client.stop(Duration::ZERO).await;
        }
        self.workers.retain_mut(|process| process.has_ended().is_none());
        while self.workers.len() < WORKERS {
            let worker = self.start(foundation, "worker", &["work".into()])?;
            self.workers.push(worker);
        }
        Ok(())
    }

    /// Ends a process as SIGTERM does.
    pub(super) async fn dismiss(process: Supervised) {
        process.stop(GRACE).await;
    }
}
