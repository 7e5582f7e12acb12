//! A Redis of a test's own, which can die and come back empty.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::process::free_address;
use crate::services::Services;
use crate::until::until;

/// The server. Dropped, it is killed.
#[derive(Debug)]
pub struct RedisServer {
    address: String,
    folder: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    /// A server that answers.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut server = Self {
            address: free_address(),
            folder,
            child: None,
        };
        server.start_again().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// As `kill -9`: it forgets everything.
    pub async fn kill(&mut self) {
        self.child
            .take()
            .expect("it runs")
            .kill()
            .await
            .expect("it can be killed");
    }

    /// Stops it without closing a connection (SIGSTOP), until [`RedisServer::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Makes it refuse writes (MISCONF), as if its disk were full, until
    /// [`RedisServer::save_again`]: it cannot put a snapshot where a folder is.
    pub async fn fail_to_save(&self) {
        std::fs::create_dir(self.snapshot()).expect("no snapshot is there");
        self.save("-MISCONF").await;
    }

    /// Ends [`RedisServer::fail_to_save`].
    pub async fn save_again(&self) {
        std::fs::remove_dir(self.snapshot()).expect("the folder is empty");
        self.save("+OK").await;
    }

    fn snapshot(&self) -> std::path::PathBuf {
        self.folder.path().join("dump.rdb")
    }

    /// Saves until a write is answered so.
    async fn save(&self, expected: &str) {
        self.ask("CONFIG SET save \"3600 1000000\"").await;
        until("a snapshot was tried", async || {
            self.ask("BGSAVE").await;
            let answer = self.ask("SET saved 1").await;
            answer
                .is_some_and(|answer| answer.starts_with(expected))
                .then_some(())
        })
        .await;
    }

    /// The first line of the answer to an inline command.
    async fn ask(&self, command: &str) -> Option<String> {
        let mut socket = BufReader::new(TcpStream::connect(&self.address).await.ok()?);
        let mut answer = String::new();
        socket
            .write_all(format!("{command}\r\n").as_bytes())
            .await
            .ok()?;
        socket.read_line(&mut answer).await.ok()?;
        Some(answer)
    }

    fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .as_ref()
            .and_then(Child::id)
            .and_then(|pid| i32::try_from(pid).ok());
        kill(Pid::from_raw(pid.expect("it runs")), signal).expect("it is ours");
    }

    /// Starts an empty one where the last one was.
    pub async fn start_again(&mut self) {
        let (host, port) = self.address.split_once(':').expect("it has a port");
        let mut command = Command::new(&Services::get().redis_server);
        command.args([
            "--bind",
            host,
            "--port",
            port,
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
        ]);
        let child = command
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("Redis starts"));
        until("Redis answers", async || {
            self.ask("PING")
                .await
                .filter(|answer| answer == "+PONG\r\n")
                .map(drop)
        })
        .await;
    }
}
