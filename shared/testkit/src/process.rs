//! The real binaries as processes that a test can kill.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::http::client;
use crate::services::Services;
use crate::stage::Stage;
use crate::until::{PATIENCE, until};

/// A running `plinth-api` or `plinth-worker`. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where clients are served; for a worker as the internal one.
    pub url: String,
    pub internal_url: String,
}

impl Process {
    /// `plinth-api serve`, ready.
    pub async fn api(stage: &Stage) -> Self {
        let (public, internal) = (free_address(), free_address());
        let binds = [
            ("PLINTH_API_BIND", public.as_str()),
            ("PLINTH_API_INTERNAL_BIND", &internal),
        ];
        Self::start("plinth-api", &["serve"], stage, &binds, &public, &internal).await
    }

    /// Starts the process with a limit of file descriptors.
    pub async fn api_with_descriptors(stage: &Stage, descriptors: u32) -> Self {
        let (public, internal) = (free_address(), free_address());
        let binds = [
            ("PLINTH_API_BIND", public.as_str()),
            ("PLINTH_API_INTERNAL_BIND", &internal),
        ];
        let mut command = Self::command("/bin/sh", stage);
        let program = Services::get().binaries.join("plinth-api");
        command
            .args([
                "-c",
                &format!("ulimit -n {descriptors} && exec \"$0\" serve"),
            ])
            .arg(program);
        command.envs(binds);
        Self::spawn("plinth-api", command, &public, &internal).await
    }

    /// `plinth-worker run`, ready.
    pub async fn worker(stage: &Stage) -> Self {
        Self::worker_with(stage, &[]).await
    }

    /// `plinth-worker run` with more arguments, ready.
    pub async fn worker_with(stage: &Stage, arguments: &[&str]) -> Self {
        let internal = free_address();
        let binds = [("PLINTH_WORKER_INTERNAL_BIND", internal.as_str())];
        Self::start(
            "plinth-worker",
            &[&["run"], arguments].concat(),
            stage,
            &binds,
            &internal,
            &internal,
        )
        .await
    }

    async fn start(
        program: &str,
        arguments: &[&str],
        stage: &Stage,
        binds: &[(&str, &str)],
        public: &str,
        internal: &str,
    ) -> Self {
        let mut command = Self::command(program, stage);
        command.args(arguments).envs(binds.iter().copied());
        Self::spawn(program, command, public, internal).await
    }

    async fn spawn(program: &str, mut command: Command, public: &str, internal: &str) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let (url, internal_url) = (format!("http://{public}"), format!("http://{internal}"));
        let ready = format!("{internal_url}/readyz");
        let what = format!("{program} is ready");
        tokio::select! {
            ended = child.wait() => panic!("{program} ended before it was ready: {ended:?}"),
            _ = until(&what, async || client().get(&ready).send().await.ok().filter(|answer| answer.status().is_success())) => {}
        }
        Self {
            child,
            url,
            internal_url,
        }
    }

    /// The program as it is started on this stage, alive but perhaps not ready, with its standard
    /// error as `stderr`.
    pub async fn alive(program: &str, stage: &Stage, stderr: Stdio) -> Self {
        let (public, internal) = (free_address(), free_address());
        let binds = [
            ("PLINTH_API_BIND", public.as_str()),
            ("PLINTH_API_INTERNAL_BIND", &internal),
            ("PLINTH_WORKER_INTERNAL_BIND", &internal),
        ];
        let command = if program == "plinth-api" {
            "serve"
        } else {
            "run"
        };
        let child = Self::command(program, stage)
            .arg(command)
            .envs(binds)
            .stderr(stderr)
            .spawn();
        let process = Self {
            child: child.expect("the binary starts"),
            url: format!("http://{public}"),
            internal_url: format!("http://{internal}"),
        };
        let alive = format!("{}/healthz", process.internal_url);
        until("the process is alive", async || {
            client().get(&alive).send().await.ok()
        })
        .await;
        process
    }

    /// As `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// As SIGTERM; how it ended.
    pub async fn stop(mut self) -> ExitStatus {
        let pid = self
            .child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .expect("it runs");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        )
        .expect("it is ours");
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended
            .expect("it ends in time")
            .expect("it can be waited for")
    }

    /// The largest memory that was resident, in MiB.
    pub fn peak_memory(&self) -> u64 {
        let pid = self.child.id().expect("it runs");
        let status =
            std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it can be read");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("Linux has it");
        let kib: u64 = line
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number");
        kib / 1024
    }

    /// How many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let pid = self.child.id().expect("it runs");
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .expect("it can be read")
            .count()
    }

    /// The processor time that it has used.
    pub fn processor_time(&self) -> Duration {
        let pid = self.child.id().expect("it runs");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it can be read");
        // The name, which may contain spaces, ends with the last parenthesis; the state is the
        // field after it.
        let (_, fields) = stat.rsplit_once(')').expect("Linux has a name");
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        // Linux tells every program a hundred ticks a second (USER_HZ).
        Duration::from_millis(ticks * 10)
    }

    /// The page of its metrics.
    pub async fn metrics(&self) -> String {
        let answer = client()
            .get(format!("{}/metrics", self.internal_url))
            .send()
            .await;
        answer.expect("it answers").text().await.expect("a text")
    }

    /// A program as it is started on this stage, of the folder of the binaries unless its path is a
    /// whole one. Dropped, what it starts is killed.
    pub fn command(program: &str, stage: &Stage) -> Command {
        let mut command = Command::new(Services::get().binaries.join(program));
        // What stands in the environment of the tests is not for the product: it refuses settings
        // that it does not know.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLINTH_"))
        {
            command.env_remove(name);
        }
        command
            .env("PLINTH_LOG_LEVEL", "warn")
            .envs(stage.variables().iter().cloned())
            .kill_on_drop(true);
        command
    }

    /// Runs a binary to its end: a one-shot.
    pub async fn run(program: &str, arguments: &[&str], stage: &Stage) -> Output {
        Self::run_reading(program, arguments, stage, "").await
    }

    /// The same with a text on its standard input.
    pub async fn run_reading(
        program: &str,
        arguments: &[&str],
        stage: &Stage,
        input: &str,
    ) -> Output {
        let mut command = Self::command(program, stage);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        // The reader may have ended.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        output
            .unwrap_or_else(|_| panic!("{program} {arguments:?} does not end"))
            .expect("it can be waited for")
    }
}

/// Returns an address that is free now; the caller binds it at once. The port is below the range of
/// outgoing connections, so that none of them takes it meanwhile, and random, so that two tests
/// rarely get the same.
pub fn free_address() -> String {
    // Two draws before either is listened on may be the same.
    static DRAWN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let draw = u16::try_from(Uuid::new_v4().as_u128() % 9_000).expect("it is small");
        if !DRAWN.lock().expect("no holder panics").insert(draw) {
            continue;
        }
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, 10_000 + draw)) {
            return listener.local_addr().expect("bound").to_string();
        }
    }
}
