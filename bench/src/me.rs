//! An authenticated GET /v1/me against a bare handler with one Redis round trip.

use anyhow::{Result, ensure};
use plinth_dev::process::Program;

use super::load::Load;
use super::report::{Goal, Report, median};
use super::server::{Server, free_address};
use super::{Fixture, program};

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
const CONNECTIONS: u32 = 32;

pub(crate) async fn measure(fixture: &mut Fixture, report: &mut Report) -> Result<()> {
    let (_, tokens) = fixture.client.newcomer().await?;
    let bind = free_address()?;
    let url = format!("http://{bind}/");
    let path = program::folder()?.join("bench-baseline");
    let args = ["serve", &fixture.stack.manifest.redis_url, &bind];
    let bare = Program::new("baseline", &path, &fixture.layout.root).args(args);
    let bare = Server::start(fixture, bare, &url).await?;
    let measured = alternate(fixture, &url, &tokens.access_token, report).await;
    bare.stop().await;
    measured
}

async fn alternate(
    fixture: &Fixture,
    bare: &str,
    access_token: &str,
    report: &mut Report,
) -> Result<()> {
    let header = format!("Authorization: Bearer {access_token}");
    let url = format!("{}/v1/me", fixture.stack.manifest.api_url);
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
        // In turns, so that a machine that warms up or throttles favours neither.
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
    report.figure("GET /v1/me", median(&products), "req/s");
    let bare = "bare handler with one Redis round trip";
    report.figure(bare, median(&bares), "req/s");
    let ratio = "ratio of the two, median of 5 rounds";
    report.goal(ratio, median(&ratios), "", Goal::AtLeast(0.6));
    Ok(())
}

async fn rate(load: Load<'_>) -> Result<f64> {
    let outcome = load.run().await?;
    ensure!(
        outcome.failures == 0,
        "{} requests to {} failed",
        outcome.failures,
        load.url
    );
    Ok(outcome.per_second)
}
