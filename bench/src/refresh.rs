//! Rotations of refresh tokens a second: many sessions, each as fast as it can.

use std::time::{Duration, Instant};

use anyhow::Result;
use plinth_dev::door::{Door, Tokens};
use tokio::task::JoinSet;

use super::report::{Report, median, p99};
use super::{Fixture, accounts};

const SESSIONS: usize = 32;
const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(5);

pub(crate) async fn measure(fixture: &mut Fixture, report: &mut Report) -> Result<()> {
    let client = &fixture.client;
    let mut sessions = Vec::new();
    for account in accounts::import(fixture, SESSIONS).await? {
        sessions.push(client.log_in(&account.email, &account.password).await?);
    }
    rotate(client, &mut sessions, WARM_UP).await?;
    let (mut rates, mut tails) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let waits = rotate(client, &mut sessions, ROUND).await?;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        rates.push(waits.len() as f64 / start.elapsed().as_secs_f64());
        tails.push(p99(&waits));
    }
    let rate = "32 sessions, the load generator on the same cores, median of 3 rounds";
    report.figure(rate, median(&rates), "1/s");
    let tail = "p99 of that, median of 3 rounds";
    report.figure(tail, median(&tails), "ms");
    Ok(())
}

/// Returns the milliseconds of every rotation that began within `time`. Each session continues from
/// its last tokens.
async fn rotate(client: &Door, sessions: &mut Vec<Tokens>, time: Duration) -> Result<Vec<f64>> {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for tokens in sessions.drain(..) {
        tasks.spawn(rotate_one(client.clone(), tokens, end));
    }
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (tokens, waits) = ended??;
        sessions.push(tokens);
        all.extend(waits);
    }
    Ok(all)
}

async fn rotate_one(client: Door, mut tokens: Tokens, end: Instant) -> Result<(Tokens, Vec<f64>)> {
    let mut waits = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        tokens = client.refresh(&tokens.refresh_token).await?;
        waits.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok((tokens, waits))
}
