//! What can happen to private services, on purpose.

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Backing, GRACE, redis};
use crate::console::Logs;
use crate::layout::Layout;
use crate::process::{Ledger, Supervised};

impl Backing {
    /// Ends Redis; it keeps nothing.
    pub(crate) async fn stop_redis(&mut self) {
        if let Some(process) = take(&mut self.processes, "redis") {
            process.stop(GRACE).await;
        }
    }

    /// Starts an empty Redis where the last one was.
    pub(crate) async fn start_redis(
        &mut self,
        layout: &Layout,
        logs: &Logs,
        ledger: &mut Ledger,
    ) -> Result<()> {
        let program = redis::program(layout, self.redis_port()?)?;
        self.processes.push(program.start(&logs.open("redis")?, ledger)?);
        redis::wait_until_ready(&self.addresses.redis_url, &mut self.processes).await
    }

    /// As FLUSHALL.
    pub(crate) async fn wipe_redis(&self) -> Result<()> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.redis_port()?)).await?;
        socket.write_all(b"FLUSHALL\r\n").await?;
        let mut answer = [0; 5];
        socket.read_exact(&mut answer).await.context("the answer to FLUSHALL")?;
        Ok(())
    }

    /// Ends PostgreSQL without a checkpoint, as a crash of its machine would, and starts it again.
    pub(crate) async fn crash_postgres(&mut self, logs: &Logs, ledger: &mut Ledger) -> Result<()> {
        let cluster = self.cluster.as_ref().context("a crash needs a private PostgreSQL")?;
        let process = take(&mut self.processes, "postgres").context("PostgreSQL runs")?;
        // SIGKILL would leave its children behind for a moment, and they the shared memory.
        process.stop_by(Signal::SIGQUIT, GRACE).await;
        self.processes.push(cluster.program().start(&logs.open("postgres")?, ledger)?);
        cluster.wait_until_ready(&mut self.processes).await
    }

    fn redis_port(&self) -> Result<u16> {
        let port = self
            .addresses
            .redis_url
            .strip_prefix("redis://127.0.0.1:")
            .and_then(|rest| rest.strip_suffix("/0"));
        port.and_then(|port| port.parse().ok()).context("this needs a private Redis")
    }
}

fn take(processes: &mut Vec<Supervised>, name: &str) -> Option<Supervised> {
    let place = processes.iter().position(|process| process.name == name)?;
    Some(processes.remove(place))
}
