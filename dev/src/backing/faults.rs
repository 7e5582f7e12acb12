//! What can happen to private services, on purpose.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use super::{Backing, GRACE};
use crate::console::Logs;
use crate::process::{Ledger, Supervised};

impl Backing {
    /// As FLUSHALL.
    pub(crate) async fn wipe_redis(&self) -> Result<()> {
        self.ask_redis("FLUSHALL").await.map(drop)
    }

    /// Makes Redis the replica of nothing, as a primary that was demoted: it reads, and refuses every write. Or makes it
    /// a primary again.
    pub(crate) async fn set_redis_read_only(&self, read_only: bool) -> Result<()> {
        let command = if read_only {
            "REPLICAOF 127.0.0.1 1"
        } else {
            "REPLICAOF NO ONE"
        };
        self.ask_redis(command).await.map(drop)
    }

    /// How many commands Redis has refused with READONLY.
    pub(crate) async fn redis_refused_writes(&self) -> Result<u64> {
        let errors = self.ask_redis("INFO errorstats").await?;
        let count = errors
            .lines()
            .find_map(|line| line.strip_prefix("errorstat_READONLY:count="));
        count.map_or(Ok(0), |count| {
            count.trim().parse().context("the count of refused writes")
        })
    }

    /// Sends an inline command and returns the answer, a line or a text (RESP 2).
    async fn ask_redis(&self, command: &str) -> Result<String> {
        let mut socket =
            BufStream::new(TcpStream::connect(("127.0.0.1", self.redis_port()?)).await?);
        socket
            .write_all(format!("{command}\r\n").as_bytes())
            .await?;
        socket.flush().await?;
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        if let Some(length) = line.strip_prefix('$') {
            let mut text = vec![
                0;
                length
                    .trim()
                    .parse()
                    .context("the length of Redis' answer")?
            ];
            socket.read_exact(&mut text).await?;
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        ensure!(
            line.starts_with('+'),
            "Redis answered {command} with {}",
            line.trim()
        );
        Ok(line)
    }

    /// Ends PostgreSQL without a checkpoint, as a crash of its machine would, and starts it again.
    pub(crate) async fn crash_postgres(&mut self, logs: &Logs, ledger: &mut Ledger) -> Result<()> {
        let cluster = self
            .cluster
            .as_ref()
            .context("a crash needs a private PostgreSQL")?;
        let process = take(&mut self.processes, "postgres").context("PostgreSQL runs")?;
        // SIGKILL would leave its children behind for a moment, and they the shared memory.
        process.stop_by(Signal::SIGQUIT, GRACE).await;
        self.processes
            .push(cluster.program().start(&logs.open("postgres")?, ledger)?);
        cluster.wait_until_ready(&mut self.processes).await
    }

    fn redis_port(&self) -> Result<u16> {
        let port = self
            .addresses
            .redis_url
            .strip_prefix("redis://127.0.0.1:")
            .and_then(|rest| rest.strip_suffix("/0"));
        port.and_then(|port| port.parse().ok())
            .context("this needs a private Redis")
    }
}

fn take(processes: &mut Vec<Supervised>, name: &str) -> Option<Supervised> {
    let place = processes.iter().position(|process| process.name == name)?;
    Some(processes.remove(place))
}
