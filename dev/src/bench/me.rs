//! An authenticated GET /v1/me against a bare handler with one Redis round trip.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Bed;
use super::board::{Board, Goal, median};
use super::load::Load;
use crate::door::until;
use crate::process::Program;

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
const CONNECTIONS: u32 = 32;

pub(super) async fn measure(bed: &mut Bed, board: &mut Board) -> Result<()> {
    let (_, tokens) = bed.door.newcomer().await?;
    let bind = free_address()?;
    let args = [
        "__baseline",
        "--redis-url",
        &bed.stack.manifest.redis_url,
        "--bind",
        &bind,
    ];
    let program = Program::new("baseline", &std::env::current_exe()?, &bed.layout.root).args(args);
    let baseline = bed.stack.start_beside(program)?;
    let measured = alternate(bed, &format!("http://{bind}/"), &tokens.access_token, board).await;
    baseline.stop(Duration::from_secs(1)).await;
    measured
}

async fn alternate(bed: &Bed, bare: &str, access_token: &str, board: &mut Board) -> Result<()> {
    let limit = Duration::from_secs(10);
    until(
        limit,
        Duration::from_millis(20),
        "the bare handler was not ready",
        async || {
            Ok(reqwest::get(bare)
                .await
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        },
    )
    .await?;
    let header = format!("Authorization: Bearer {access_token}");
    let url = format!("{}/v1/me", bed.stack.manifest.api_url);
    let bare = Load {
        url: bare,
        connections: CONNECTIONS,
        seconds: SECONDS,
        header: None,
        script: None,
    };
    let product = Load {
        url: &url,
        header: Some(&header),
        ..bare
    };
    for load in [bare, product] {
        rate(Load { seconds: 1, ..load }).await?;
    }
    let (mut products, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Neither always has the warmer machine.
        let (of_product, of_bare) = if round % 2 == 0 {
            (rate(product).await?, rate(bare).await?)
        } else {
            let of_bare = rate(bare).await?;
            (rate(product).await?, of_bare)
        };
        products.push(of_product);
        bares.push(of_bare);
        ratios.push(of_product / of_bare);
    }
    board.note("me", "GET /v1/me", median(&products), "req/s");
    board.note(
        "me",
        "bare handler with one Redis round trip",
        median(&bares),
        "req/s",
    );
    board.judge(
        "me",
        "ratio of the two, median of 5 rounds",
        median(&ratios),
        "",
        Goal::AtLeast(0.6),
    );
    Ok(())
}

async fn rate(load: Load<'_>) -> Result<f64> {
    let outcome = load.run().await?;
    ensure!(
        outcome.failures == 0,
        "{} of the requests to {} failed",
        outcome.failures,
        load.url
    );
    Ok(outcome.per_second)
}

/// An address on loopback that nothing listens on.
pub(super) fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.to_string())
}
