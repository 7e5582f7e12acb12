//! A Redis of a test's own, which can die and come back empty.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
        let mut server = Self { address: free_address(), folder, child: None };
        server.start_again().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// As `kill -9`: it forgets everything.
    pub async fn kill(&mut self) {
        self.child.take().expect("it runs").kill().await.expect("it can be killed");
    }

    /// Stops it without closing a connection (SIGSTOP), until [`RedisServer::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|pid| i32::try_from(pid).ok());
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
        let child = command.current_dir(self.folder.path()).stdout(Stdio::null()).kill_on_drop(true).spawn();
        self.child = Some(child.expect("Redis starts"));
        until("Redis answers", async || self.ping().await.filter(|answer| answer == b"+PONG\r\n").map(drop))
            .await;
    }

    async fn ping(&self) -> Option<[u8; 7]> {
        let mut socket = TcpStream::connect(&self.address).await.ok()?;
        let mut answer = [0; 7];
        socket.write_all(b"PING\r\n").await.ok()?;
        socket.read_exact(&mut answer).await.ok()?;
        Some(answer)
    }
}
