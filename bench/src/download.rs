//! Downloads of 1 GiB against opening and hashing alone and against a plain stream from the same
//! store, and the memory that the API takes for them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use plinth_dev::door::FileView;

use super::report::Report;
use super::server::FreshApi;
use super::storage::{Names, Rounds, SIZE, Storage, rate};
use super::{Fixture, upload};

const ROUNDS: usize = 3;
const TIMEOUT: Duration = Duration::from_mins(10);
const NAMES: Names = Names {
    product: "1 GiB through the API out of the store, median of 3",
    sealing: "AES-256-GCM and SHA-256 of as much alone, one core",
    plain: "as much out of the same store, plain",
};

pub(crate) async fn measure(fixture: &mut Fixture, report: &mut Report) -> Result<()> {
    let api = FreshApi::start(fixture).await?;
    let measured = gigabytes(fixture, &api, report).await;
    api.stop().await;
    measured
}

async fn gigabytes(fixture: &Fixture, api: &FreshApi, report: &mut Report) -> Result<()> {
    let token = &api.tokens.access_token;
    // Another process takes the upload, so that the memory of this one belongs to the downloads.
    let file = upload::send(&fixture.client, SIZE, 0, token).await?;
    let storage = Storage::of(fixture);
    storage.rate("put").await?;
    let mut rounds = Rounds::default();
    for round in 0..ROUNDS {
        // In turns, so that a machine that warms up or throttles favours neither.
        if round % 2 == 0 {
            let product = one(api, &file).await?;
            let sealing = storage.rate("open").await?;
            rounds.add(product, sealing, storage.rate("get").await?);
        } else {
            let (plain, sealing) = (storage.rate("get").await?, storage.rate("open").await?);
            rounds.add(one(api, &file).await?, sealing, plain);
        }
    }
    storage.delete().await?;
    let peak = api.peak()?;
    fixture.client.remove_file(&file.id, token).await?;
    rounds.report(&NAMES, report);
    upload::report_memory(api, peak, "peak resident memory of these downloads", report);
    Ok(())
}

/// Returns megabytes a second of one download.
async fn one(api: &FreshApi, file: &FileView) -> Result<f64> {
    let start = Instant::now();
    let token = &api.tokens.access_token;
    let size = api.client.drain(file, token, TIMEOUT).await?;
    ensure!(size == SIZE, "received {size} bytes, expected {SIZE}");
    Ok(rate(start.elapsed().as_secs_f64()))
}
