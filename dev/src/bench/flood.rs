//! Hundreds of logins at once, each from an address of its own: all of them get in, and the memory stays bounded.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::Bed;
use super::board::{Board, Goal, p99};
use super::memory;
use crate::door::Account;

const LOGINS: usize = 500;

pub(super) async fn measure(bed: &Bed, accounts: &[Account], board: &mut Board) -> Result<()> {
    let pid = *bed
        .stack
        .manifest
        .pids
        .get("api")
        .context("the api's process id")?;
    memory::reset_peak(pid)?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .build()?;
    let mut logins = JoinSet::new();
    for (number, account) in (0..LOGINS).zip(accounts.iter().cycle()) {
        let request = client
            .post(format!("{}/v1/auth/login", bed.stack.manifest.api_url))
            .header(
                "X-Forwarded-For",
                format!("172.16.{}.{}", number / 250, number % 250 + 1),
            )
            .json(&json!({ "email": account.email, "password": account.password }));
        logins.spawn(async move {
            let start = Instant::now();
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), start.elapsed().as_secs_f64() * 1000.0))
        });
    }
    let mut waits = Vec::new();
    while let Some(ended) = logins.join_next().await {
        let (status, wait) = ended??;
        ensure!(
            status == StatusCode::OK,
            "one of the {LOGINS} logins got {status}"
        );
        waits.push(wait);
    }
    let figure = "500 logins at once (same hashes), peak resident memory of the api";
    board.judge(
        "login",
        figure,
        memory::peak(pid)?,
        "MiB",
        Goal::Below(200.0),
    );
    board.note(
        "login",
        "500 logins at once (same hashes), p99 of their answers",
        p99(&waits),
        "ms",
    );
    Ok(())
}
