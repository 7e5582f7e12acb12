//! Waiting until a service answers.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::process::Supervised;

/// Waits until a server answers a request with these bytes. Fails if its process ends, or after
/// `limit`.
pub(super) async fn wait_for_answer(
    name: &str,
    address: &str,
    (request, answer): (&[u8], &[u8]),
    limit: Duration,
    processes: &mut [Supervised],
) -> Result<()> {
    let ping = async || {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(request).await?;
        let mut received = vec![0; answer.len()];
        socket.read_exact(&mut received).await?;
        Ok::<_, std::io::Error>(received == answer)
    };
    let is_ready = async || {
        let pinged = timeout(Duration::from_secs(1), ping()).await;
        matches!(pinged, Ok(Ok(true)))
    };
    wait(name, is_ready, limit, processes).await
}

/// Waits until a service is ready. Fails if its process ends, or after `limit`.
pub(super) async fn wait(
    name: &str,
    mut is_ready: impl AsyncFnMut() -> bool,
    limit: Duration,
    processes: &mut [Supervised],
) -> Result<()> {
    let end = Instant::now() + limit;
    while !is_ready().await {
        let mut own = processes.iter_mut().filter(|process| process.name == name);
        if let Some(status) = own.find_map(Supervised::has_ended) {
            bail!("{name} ended with {status}");
        }
        if Instant::now() >= end {
            bail!("{name} did not become ready in {} s", limit.as_secs());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
