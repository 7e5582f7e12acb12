//! Uploads of 1 GiB against sealing and hashing alone and against a plain stream to the same store,
//! and the memory that the API takes for them and for fifty at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use plinth_dev::door::{Door, FileView};
use reqwest::Body;
use reqwest::multipart::Part;
use tokio::task::JoinSet;

use super::Fixture;
use super::report::{Goal, Report};
use super::server::FreshApi;
use super::storage::{Names, Rounds, SIZE, Storage, rate};

const ROUNDS: usize = 3;
const CHUNK: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_mins(10);
const CONCURRENT_UPLOADS: usize = 50;
const CONCURRENT_UPLOAD_SIZE: u64 = 100 << 20;
const NAMES: Names = Names {
    product: "1 GiB through the API into the store, median of 3",
    sealing: "AES-256-GCM and SHA-256 of as much alone, one core",
    plain: "as much into the same store, plain, in parts of 8 MiB",
};

pub(crate) async fn measure(fixture: &mut Fixture, report: &mut Report) -> Result<()> {
    let api = FreshApi::start(fixture).await?;
    let measured = gigabytes(fixture, &api, report).await;
    api.stop().await;
    measured?;
    let api = FreshApi::start(fixture).await?;
    let measured = concurrent(&api, report).await;
    api.stop().await;
    measured
}

async fn gigabytes(fixture: &Fixture, api: &FreshApi, report: &mut Report) -> Result<()> {
    let storage = Storage::of(fixture);
    let mut rounds = Rounds::default();
    for round in 0..ROUNDS {
        // In turns, so that a machine that warms up or throttles favours neither.
        if round % 2 == 0 {
            let product = one(api, round).await?;
            let sealing = storage.rate("seal").await?;
            rounds.add(product, sealing, storage.rate("put").await?);
        } else {
            let (plain, sealing) = (storage.rate("put").await?, storage.rate("seal").await?);
            rounds.add(one(api, round).await?, sealing, plain);
        }
        storage.delete().await?;
    }
    rounds.report(&NAMES, report);
    let peak = api.peak()?;
    report_memory(api, peak, "peak resident memory of these uploads", report);
    Ok(())
}

/// Reports the memory of an API that carried files, in MiB.
pub(crate) fn report_memory(api: &FreshApi, peak: f64, name: &'static str, report: &mut Report) {
    let idle = "resident memory of the idle API, after one login";
    report.figure(idle, api.idle, "MiB");
    report.figure(name, peak, "MiB");
    let above = peak - api.idle;
    report.goal("peak above idle", above, "MiB", Goal::Below(64.0));
}

/// Returns megabytes a second of one upload. Removes the file again.
async fn one(api: &FreshApi, seed: usize) -> Result<f64> {
    let token = &api.tokens.access_token;
    let start = Instant::now();
    let file = send(&api.client, SIZE, seed, token).await?;
    let seconds = start.elapsed().as_secs_f64();
    api.client.remove_file(&file.id, token).await?;
    Ok(rate(seconds))
}

async fn concurrent(api: &FreshApi, report: &mut Report) -> Result<()> {
    let mut uploads = JoinSet::new();
    let start = Instant::now();
    for seed in 0..CONCURRENT_UPLOADS {
        let (client, token) = (api.client.clone(), api.tokens.access_token.clone());
        uploads.spawn(async move { send(&client, CONCURRENT_UPLOAD_SIZE, seed, &token).await });
    }
    let mut files = Vec::new();
    while let Some(ended) = uploads.join_next().await {
        files.push(ended??);
    }
    let seconds = start.elapsed().as_secs_f64();
    let peak = api.peak()?;
    #[expect(clippy::cast_precision_loss, reason = "some gigabytes")]
    let megabytes = (CONCURRENT_UPLOAD_SIZE * CONCURRENT_UPLOADS as u64) as f64 / 1e6;
    let rate = "50 uploads of 100 MiB at once, all together";
    report.figure(rate, megabytes / seconds, "MB/s");
    let memory = "peak resident memory of the API meanwhile";
    report.goal(memory, peak, "MiB", Goal::Below(300.0));
    for file in files {
        let token = &api.tokens.access_token;
        api.client.remove_file(&file.id, token).await?;
    }
    Ok(())
}

/// Uploads `size` bytes, which depend on the seed.
pub(crate) async fn send(
    client: &Door,
    size: u64,
    seed: usize,
    access_token: &str,
) -> Result<FileView> {
    let part = Part::stream_with_length(pattern(size, seed), size).file_name("large.bin");
    let part = part.mime_str("application/octet-stream")?;
    let file = client.upload(part, access_token, TIMEOUT).await?;
    ensure!(file.size == size, "{} of {size} bytes arrived", file.size);
    Ok(file)
}

/// Returns a body that is never in memory as a whole: slices of one block, each from another
/// offset.
fn pattern(size: u64, seed: usize) -> Body {
    let block: Vec<u8> = (0..4 * CHUNK)
        .map(|place| (place * 31 % 251).to_le_bytes()[0])
        .collect();
    let block = Bytes::from(block);
    let chunks = (0..size / CHUNK as u64).map(move |number| {
        let from = usize::try_from(number % 1000).unwrap_or_default() + seed;
        Ok::<_, std::io::Error>(block.slice(from..from + CHUNK))
    });
    Body::wrap_stream(stream::iter(chunks))
}
