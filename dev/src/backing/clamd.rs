//! A private clamd on loopback that knows one virus, which is none: the EICAR test file. No signature is downloaded, and
//! neither the package's service nor freshclam runs.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::postgres::still_running;
use crate::layout::{Layout, make_dir, write_private};
use crate::process::{Program, Supervised};
use crate::provision;

/// In ClamAV's format of signatures by bytes, as hexadecimal: the string itself would make scanners wince at the checkout.
const SIGNATURES: &str = include_str!("eicar.ndb");

/// Writes its files and describes the program.
pub(crate) fn program(layout: &Layout, port: u16) -> Result<Program> {
    let folder = layout.dev.join("clamd");
    let signatures = folder.join("signatures");
    make_dir(&folder, 0o700)?;
    make_dir(&signatures, 0o700)?;
    fs::write(signatures.join("eicar.ndb"), SIGNATURES).context("writing clamd's signatures")?;
    let conf = format!(
        "Foreground yes\nTCPAddr 127.0.0.1\nTCPSocket {port}\nDatabaseDirectory {}\nStreamMaxLength 100M\n\
         MaxFileSize 100M\nMaxScanSize 400M\n",
        signatures.display()
    );
    let file = folder.join("clamd.conf");
    write_private(&file, conf.as_bytes())?;
    Ok(Program::new("clamd", &provision::clamd()?, &folder)
        .args(["--config-file"])
        .args([file]))
}

/// Asks until it answers.
pub(crate) async fn wait_until_ready(address: &str, processes: &mut [Supervised]) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    while timeout(Duration::from_secs(1), ping(address)).await != Ok(true) {
        still_running(processes, "clamd")?;
        ensure!(Instant::now() < end, "clamd did not become ready in 30 s");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn ping(address: &str) -> bool {
    let Ok(mut socket) = TcpStream::connect(address).await else {
        return false;
    };
    let mut answer = [0; 5];
    socket.write_all(b"zPING\0").await.is_ok()
        && socket.read_exact(&mut answer).await.is_ok()
        && &answer == b"PONG\0"
}
