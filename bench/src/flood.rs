//! Hundreds of logins at once, each from an address of its own: all of them succeed, and memory
//! stays bounded.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use plinth_dev::door::Account;
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::report::{Goal, Report, p99};
use super::{Fixture, memory};

const LOGINS: usize = 500;

pub(crate) async fn measure(
    fixture: &Fixture,
    accounts: &[Account],
    report: &mut Report,
) -> Result<()> {
    let manifest = &fixture.stack.manifest;
    let pid = *manifest.pids.get("api").context("the api's process id")?;
    memory::reset_peak(pid)?;
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .build()?;
    let mut logins = JoinSet::new();
    for (number, account) in (0..LOGINS).zip(accounts.iter().cycle()) {
        let address = format!("172.16.{}.{}", number / 250, number % 250 + 1);
        let request = http
            .post(format!("{}/v1/auth/login", manifest.api_url))
            .header("X-Forwarded-For", address)
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
            "a login was answered with {status}"
        );
        waits.push(wait);
    }
    let peak = "500 logins at once (same hashes), peak resident memory of the api";
    report.goal(peak, memory::peak(pid)?, "MiB", Goal::Below(200.0));
    let tail = "500 logins at once (same hashes), p99 of their answers";
    report.figure(tail, p99(&waits), "ms");
    Ok(())
}
