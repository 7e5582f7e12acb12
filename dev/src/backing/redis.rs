//! A private Redis on loopback. It keeps nothing on disk: what must survive is
//! in PostgreSQL, and a developer's restart proves it every time.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::postgres::still_running;
use crate::layout::{Layout, make_dir};
use crate::process::{Program, Supervised};
use crate::provision;

/// The program with all its settings on the command line; no file is read.
pub(crate) fn program(layout: &Layout, port: u16) -> Result<Program> {
    let folder = layout.dev.join("redis");
    make_dir(&folder, 0o700)?;
    let port = port.to_string();
    let args = [
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
        "--dir",
        ".",
    ];
    Ok(Program::new("redis", &provision::redis()?, &folder).args(args))
}

/// Asks until Redis answers. A server given from outside is asked as well, by
/// connecting only: it may want a password.
pub(crate) async fn wait_until_ready(url: &str, processes: &mut [Supervised]) -> Result<()> {
    let Some(address) = url
        .strip_prefix("redis://127.0.0.1:")
        .and_then(|rest| rest.strip_suffix("/0"))
    else {
        return Ok(());
    };
    let address = format!("127.0.0.1:{address}");
    let end = Instant::now() + Duration::from_secs(20);
    while timeout(Duration::from_secs(1), ping(&address)).await != Ok(true) {
        still_running(processes, "redis")?;
        ensure!(Instant::now() < end, "Redis did not become ready in 20 s");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn ping(address: &str) -> bool {
    let Ok(mut socket) = TcpStream::connect(address).await else {
        return false;
    };
    let mut answer = [0; 7];
    socket.write_all(b"PING\r\n").await.is_ok()
        && socket.read_exact(&mut answer).await.is_ok()
        && &answer == b"+PONG\r\n"
}
