//! Logins a second against what argon2id alone can do on the same cores, how long
//! everybody else waits while logins take all they can, and what many at once take.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::time::sleep;

use super::board::{Board, Goal, median, p99};
use super::load::{Load, Outcome};
use super::{Bed, accounts, flood};
use crate::door::Account;
use crate::process::foreground;

/// Enough that no account has many logins under way: those count as failures until they have succeeded.
const ACCOUNTS: usize = 512;
const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
/// Tried in this order, until none of the logins is refused.
const CONNECTIONS: [u32; 4] = [32, 16, 8, 4];
/// How long the saturated pool is watched from outside.
const SATURATED: u32 = 10;

pub(super) async fn measure(bed: &mut Bed, board: &mut Board) -> Result<()> {
    let (_, tokens) = bed.door.newcomer().await?;
    let accounts = accounts::import(bed, ACCOUNTS).await?;
    let script = script(&bed.layout.dev, &accounts)?;
    let url = format!("{}/v1/auth/login", bed.stack.manifest.api_url);
    let load = Load {
        url: &url,
        connections: 0,
        seconds: SECONDS,
        header: None,
        script: Some(&script),
    };
    let load = Load {
        connections: sustainable(load).await?,
        ..load
    };

    let (mut logins, mut tails, mut hashes, mut ratios) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let outcome = run(load).await?;
        let of_hashes = raw_rate().await?;
        logins.push(outcome.per_second);
        tails.push(outcome.p99);
        hashes.push(of_hashes);
        ratios.push(outcome.per_second / of_hashes);
    }
    board.note(
        "login",
        "logins, argon2id of 19 MiB, 2 passes, 1 lane",
        median(&logins),
        "1/s",
    );
    board.note(
        "login",
        "argon2id alone, same parameters and cores",
        median(&hashes),
        "1/s",
    );
    board.judge(
        "login",
        "ratio of the two, median of 5 rounds",
        median(&ratios),
        "",
        Goal::AtLeast(0.9),
    );
    board.note("login", "p99 of those logins", median(&tails), "ms");
    board.note("login", "connections", f64::from(load.connections), "");

    let probe = probe(bed, &tokens.access_token);
    let (outcome, waits) = tokio::join!(
        run(Load {
            seconds: SATURATED,
            ..load
        }),
        probe
    );
    outcome?;
    let waits = waits?;
    board.note(
        "login",
        "GET /v1/me meanwhile, median",
        median(&waits),
        "ms",
    );
    board.judge(
        "login",
        "GET /v1/me meanwhile, p99",
        p99(&waits),
        "ms",
        Goal::Below(50.0),
    );
    flood::measure(bed, &accounts, board).await
}

/// The most connections with which no login is refused.
async fn sustainable(load: Load<'_>) -> Result<u32> {
    for connections in CONNECTIONS {
        let outcome = Load {
            connections,
            seconds: 2,
            ..load
        }
        .run()
        .await?;
        if outcome.failures == 0 {
            return Ok(connections);
        }
    }
    bail!(
        "logins are refused even with {} connections",
        CONNECTIONS[CONNECTIONS.len() - 1]
    )
}

async fn run(load: Load<'_>) -> Result<Outcome> {
    let outcome = load.run().await?;
    ensure!(outcome.failures == 0, "{} logins failed", outcome.failures);
    Ok(outcome)
}

/// What these cores can do when they do nothing else.
async fn raw_rate() -> Result<f64> {
    let me = std::env::current_exe()?;
    let mut command = foreground::through_shim(me.as_os_str(), Signal::SIGTERM, None)?;
    let output =
        foreground::output(command.args(["__hash", "--seconds", &SECONDS.to_string()])).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("the hash rate came as {text}"))
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
    ensure!(
        waits.len() >= 100,
        "only {} requests got through",
        waits.len()
    );
    Ok(waits)
}

/// One account after the other, each time from another address: what a round leaves behind unanswered counts as a
/// failure of that address and account.
fn script(folder: &Path, accounts: &[Account]) -> Result<PathBuf> {
    let bodies: Vec<_> = accounts
        .iter()
        .map(|account| json!({ "email": account.email, "password": account.password }).to_string())
        .map(|body| format!("  {body:?}"))
        .collect();
    let bodies = bodies.join(",\n");
    let path = folder.join("login.lua");
    let text = format!(
        "local bodies = {{\n{bodies}\n}}\n\
         local headers = {{ [\"Content-Type\"] = \"application/json\" }}\n\
         math.randomseed(os.time())\n\
         local turn = math.random(0, 16777215)\n\
         function request()\n  \
           turn = (turn + 1) % 16777216\n  \
           headers[\"X-Forwarded-For\"] = string.format(\n    \
             \"10.%d.%d.%d\", math.floor(turn / 65536), math.floor(turn / 256) % 256, turn % 256)\n  \
           return wrk.format(\"POST\", nil, headers, bodies[turn % #bodies + 1])\n\
         end\n"
    );
    std::fs::write(&path, text).context("writing the script for wrk")?;
    Ok(path)
}
