//! Logins a second against argon2id alone on the same cores, the latency of other requests while
//! logins saturate the hashing pool, and many logins at once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use plinth_dev::door::Account;
use serde_json::json;
use tokio::time::sleep;

use super::load::{Load, Outcome};
use super::report::{Goal, Report, median, p99};
use super::{Fixture, accounts, flood, program};

/// Enough that no account has many logins under way: those count as failures until they have
/// succeeded.
const ACCOUNTS: usize = 512;
const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
/// Tried in this order, until no login is refused.
const CONNECTIONS: [u32; 4] = [32, 16, 8, 4];
/// Seconds for which the pool is saturated and probed.
const SATURATED: u32 = 10;

pub(crate) async fn measure(fixture: &mut Fixture, report: &mut Report) -> Result<()> {
    let (_, tokens) = fixture.client.newcomer().await?;
    let accounts = accounts::import(fixture, ACCOUNTS).await?;
    let script = write_script(&fixture.layout.dev, &accounts)?;
    let url = format!("{}/v1/auth/login", fixture.stack.manifest.api_url);
    let load = Load {
        url: &url,
        connections: 0,
        seconds: SECONDS,
        header: None,
        script: Some(&script),
    };
    let connections = sustainable(load).await?;
    let load = Load {
        connections,
        ..load
    };

    let (mut logins, mut tails) = (Vec::new(), Vec::new());
    let (mut hashes, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let outcome = run(load).await?;
        let of_hashes = hash_rate().await?;
        logins.push(outcome.per_second);
        tails.push(outcome.p99);
        hashes.push(of_hashes);
        ratios.push(outcome.per_second / of_hashes);
    }
    let rate = "logins, argon2id of 19 MiB, 2 passes, 1 lane";
    report.figure(rate, median(&logins), "1/s");
    let alone = "argon2id alone, same parameters and cores";
    report.figure(alone, median(&hashes), "1/s");
    let ratio = "ratio of the two, median of 5 rounds";
    report.goal(ratio, median(&ratios), "", Goal::AtLeast(0.9));
    report.figure("p99 of those logins", median(&tails), "ms");
    report.figure("connections", f64::from(connections), "");

    let saturating = Load {
        seconds: SATURATED,
        ..load
    };
    let probe = probe(fixture, &tokens.access_token);
    let (_, waits) = tokio::try_join!(run(saturating), probe)?;
    report.figure("GET /v1/me meanwhile, median", median(&waits), "ms");
    let tail = "GET /v1/me meanwhile, p99";
    report.goal(tail, p99(&waits), "ms", Goal::Below(50.0));
    flood::measure(fixture, &accounts, report).await
}

/// Returns the largest number of connections with which no login is refused.
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
    bail!("logins are refused even with few connections")
}

async fn run(load: Load<'_>) -> Result<Outcome> {
    let outcome = load.run().await?;
    ensure!(outcome.failures == 0, "{} logins failed", outcome.failures);
    Ok(outcome)
}

/// Returns hashes a second of cores that do nothing else.
async fn hash_rate() -> Result<f64> {
    let mut command = program::sibling("bench-baseline")?;
    program::json(command.args(["hash", &SECONDS.to_string()])).await
}

/// Returns the milliseconds of one request after the other, for most of the time that the logins
/// take.
async fn probe(fixture: &Fixture, access_token: &str) -> Result<Vec<f64>> {
    // The pool fills first.
    sleep(Duration::from_secs(1)).await;
    let end = Instant::now() + Duration::from_secs(u64::from(SATURATED) - 2);
    let mut waits = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        fixture.client.get("/v1/me", access_token).await?;
        waits.push(start.elapsed().as_secs_f64() * 1000.0);
        sleep(Duration::from_millis(5)).await;
    }
    ensure!(waits.len() >= 100, "only {} requests", waits.len());
    Ok(waits)
}

/// Writes a script for wrk that logs in to one account after the other, each time from another
/// address: a login that a round leaves unanswered counts as a failure of its address and account.
fn write_script(folder: &Path, accounts: &[Account]) -> Result<PathBuf> {
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
