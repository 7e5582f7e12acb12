//! Faults of private services, caused on purpose.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use super::{GRACE, Services};

impl Services {
    /// Removes every key of Redis.
    pub(crate) async fn wipe_redis(&self) -> Result<()> {
        self.ask_redis("FLUSHALL").await.map(drop)
    }

    /// Makes Redis a replica that refuses every write, like a demoted primary, or a primary again.
    pub(crate) async fn set_redis_read_only(&self, read_only: bool) -> Result<()> {
        let primary = if read_only { "127.0.0.1 1" } else { "NO ONE" };
        let command = format!("REPLICAOF {primary}");
        self.ask_redis(&command).await.map(drop)
    }

    /// Counts the commands that Redis has refused with READONLY.
    pub(crate) async fn redis_refused_writes(&self) -> Result<u64> {
        let errors = self.ask_redis("INFO errorstats").await?;
        let count = errors
            .lines()
            .find_map(|line| line.strip_prefix("errorstat_READONLY:count="));
        let count = count.unwrap_or("0").trim().parse();
        count.context("the count of refused writes")
    }

    /// Sends an inline command and returns the answer, a line or a text (RESP 2).
    async fn ask_redis(&self, command: &str) -> Result<String> {
        let port = self.addresses.redis_url.strip_prefix("redis://");
        let address = port.and_then(|rest| rest.strip_suffix("/0"));
        let address = address.context("this needs a private Redis")?;
        let mut socket = BufStream::new(TcpStream::connect(address).await?);
        let line = format!("{command}\r\n");
        socket.write_all(line.as_bytes()).await?;
        socket.flush().await?;
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        if let Some(length) = line.strip_prefix('$') {
            let length = length.trim().parse();
            let mut text = vec![0; length.context("the length of Redis' answer")?];
            socket.read_exact(&mut text).await?;
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        let answer = line.trim();
        ensure!(
            answer.starts_with('+'),
            "Redis answered {command} with {answer}"
        );
        Ok(line)
    }

    /// Ends PostgreSQL without a checkpoint, as a crash of its machine would, and starts it again.
    pub(crate) async fn crash_postgres(&mut self) -> Result<()> {
        let is_postgres = |process: &crate::process::Supervised| process.name == "postgres";
        let place = self.processes.iter().position(is_postgres);
        let process = self.processes.remove(place.context("PostgreSQL runs")?);
        // SIGKILL would leave its children and their shared memory behind for a moment.
        process.stop_by(Signal::SIGQUIT, GRACE).await;
        let program = self.cluster()?.program();
        self.start_service("postgres", program)?;
        let cluster = self.cluster.as_ref().context("PostgreSQL is private")?;
        cluster.wait_until_ready(&mut self.processes).await
    }
}
