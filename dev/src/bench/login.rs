//! Logins a second against what argon2id alone can do on the same cores, and how
//! long everybody else waits while logins take all they can.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::time::sleep;

use super::Bed;
use super::board::{Board, Goal, median, p99};
use super::load::Load;
use crate::door::Account;
use crate::process::foreground;

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
/// Tried in this order, until none of the logins is refused.
const CONNECTIONS: [u32; 4] = [32, 16, 8, 4];
/// How long the saturated pool is watched from outside.
const SATURATED: u32 = 10;

pub(super) async fn measure(bed: &mut Bed, board: &mut Board) -> Result<()> {
    let (account, tokens) = bed.door.newcomer().await?;
    let script = script(&bed.layout.dev, &account)?;
    let url = format!("{}/v1/auth/login", bed.stack.manifest.api_url);
    let load = Load { url: &url, connections: 0, seconds: SECONDS, header: None, script: Some(&script) };
    let load = Load { connections: sustainable(load).await?, ..load };

    let (mut logins, mut hashes, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let of_logins = rate(load).await?;
        let of_hashes = raw_rate().await?;
        logins.push(of_logins);
        hashes.push(of_hashes);
        ratios.push(of_logins / of_hashes);
    }
    board.note("login", "logins", median(&logins), "1/s");
    board.note("login", "argon2id alone, same parameters and cores", median(&hashes), "1/s");
    board.judge("login", "ratio of the two, median of 5 rounds", median(&ratios), "", Goal::AtLeast(0.85));
    board.note("login", "connections", f64::from(load.connections), "");

    let probe = probe(bed, &tokens.access_token);
    let (of_logins, waits) = tokio::join!(rate(Load { seconds: SATURATED, ..load }), probe);
    of_logins?;
    let waits = waits?;
    board.note("login", "GET /v1/me meanwhile, median", median(&waits), "ms");
    board.judge("login", "GET /v1/me meanwhile, p99", p99(&waits), "ms", Goal::Below(50.0));
    Ok(())
}

/// The most connections with which no login is refused.
async fn sustainable(load: Load<'_>) -> Result<u32> {
    for connections in CONNECTIONS {
        let outcome = Load { connections, seconds: 2, ..load }.run().await?;
        if outcome.failures == 0 {
            return Ok(connections);
        }
    }
    bail!("logins are refused even with {} connections", CONNECTIONS[CONNECTIONS.len() - 1])
}

async fn rate(load: Load<'_>) -> Result<f64> {
    let outcome = load.run().await?;
    ensure!(outcome.failures == 0, "{} logins failed", outcome.failures);
    Ok(outcome.per_second)
}

/// What these cores can do when they do nothing else.
async fn raw_rate() -> Result<f64> {
    let me = std::env::current_exe()?;
    let mut command = foreground::through_shim(me.as_os_str(), Signal::SIGTERM, None)?;
    let output = foreground::output(command.args(["__hash", "--seconds", &SECONDS.to_string()])).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("the hash rate came as {text}"))
}

/// Milliseconds of one request after the other, for nearly as long as the logins
/// go on.
async fn probe(bed: &Bed, access_token: &str) -> Result<Vec<f64>> {
    // The pool fills first.
    sleep(Duration::from_secs(1)).await;
    let end = Instant::now() + Duration::from_secs(u64::from(SATURATED) - 2);
    let mut waits = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        bed.door.get("/v1/me", access_token).await?;
        waits.push(start.elapsed().as_secs_f64() * 1000.0);
        sleep(Duration::from_millis(5)).await;
    }
    ensure!(waits.len() >= 100, "only {} requests got through", waits.len());
    Ok(waits)
}

fn script(folder: &Path, account: &Account) -> Result<PathBuf> {
    let body = json!({ "email": account.email, "password": account.password }).to_string();
    let path = folder.join("login.lua");
    let text = format!(
        "wrk.method = \"POST\"\nwrk.body = {body:?}\nwrk.headers[\"Content-Type\"] = \"application/json\"\n"
    );
    std::fs::write(&path, text).context("writing the script for wrk")?;
    Ok(path)
}
