//! Uploads of a gigabyte against sealing and hashing alone and against a plain stream to the same store, how much memory
//! the API takes for them above what it holds when idle, and how much for fifty at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use reqwest::multipart::Part;
use tokio::task::JoinSet;

use super::Bed;
use super::board::{Board, Goal};
use super::fresh::FreshApi;
use super::storage::{Names, Rounds, SIZE, Storage, rate};
use crate::door::{Door, FileView};

const ROUNDS: usize = 3;
const CHUNK: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_mins(10);
/// How many come at once, and the bytes of each.
const CROWD: usize = 50;
const CROWD_SIZE: u64 = 100 << 20;
const NAMES: Names = Names {
    scenario: "upload",
    product: "1 GiB through the API into the store, median of 3",
    sealing: "AES-256-GCM and SHA-256 of as much alone, one core",
    plain: "as much into the same store, plain, in parts of 8 MiB",
};

pub(super) async fn measure(bed: &mut Bed, board: &mut Board) -> Result<()> {
    let api = FreshApi::start(bed).await?;
    let measured = gigabytes(bed, &api, board).await;
    api.stop().await;
    measured?;
    let api = FreshApi::start(bed).await?;
    let measured = crowd(&api, board).await;
    api.stop().await;
    measured
}

async fn gigabytes(bed: &Bed, api: &FreshApi, board: &mut Board) -> Result<()> {
    let storage = Storage::of(bed)?;
    let mut rounds = Rounds::default();
    for round in 0..ROUNDS {
        // Neither always has the warmer machine.
        if round % 2 == 0 {
            let product = one(api, round).await?;
            rounds.add(
                product,
                storage.rate("seal").await?,
                storage.rate("put").await?,
            );
        } else {
            let (plain, sealing) = (storage.rate("put").await?, storage.rate("seal").await?);
            rounds.add(one(api, round).await?, sealing, plain);
        }
        storage.delete().await?;
    }
    rounds.tell(&NAMES, board);
    let peak = api.peak()?;
    board.note(
        "upload",
        "resident memory of the idle API, after one login",
        api.idle,
        "MiB",
    );
    board.note(
        "upload",
        "peak resident memory of these uploads",
        peak,
        "MiB",
    );
    board.judge(
        "upload",
        "peak above idle",
        peak - api.idle,
        "MiB",
        Goal::Below(64.0),
    );
    Ok(())
}

/// Millions of bytes a second of one upload, whose file is removed again.
async fn one(api: &FreshApi, seed: usize) -> Result<f64> {
    let start = Instant::now();
    let file = send(&api.door, SIZE, seed, &api.tokens.access_token).await?;
    let seconds = start.elapsed().as_secs_f64();
    api.door
        .remove_file(&file.id, &api.tokens.access_token)
        .await?;
    Ok(rate(seconds))
}

async fn crowd(api: &FreshApi, board: &mut Board) -> Result<()> {
    let mut uploads = JoinSet::new();
    let start = Instant::now();
    for seed in 0..CROWD {
        let (door, access_token) = (api.door.clone(), api.tokens.access_token.clone());
        uploads.spawn(async move { send(&door, CROWD_SIZE, seed, &access_token).await });
    }
    let mut files = Vec::new();
    while let Some(ended) = uploads.join_next().await {
        files.push(ended??);
    }
    let seconds = start.elapsed().as_secs_f64();
    let peak = api.peak()?;
    #[expect(clippy::cast_precision_loss, reason = "some gigabytes")]
    let megabytes = (CROWD_SIZE * CROWD as u64) as f64 / 1e6;
    board.note(
        "upload",
        "50 uploads of 100 MiB at once, all together",
        megabytes / seconds,
        "MB/s",
    );
    board.judge(
        "upload",
        "peak resident memory of the API meanwhile",
        peak,
        "MiB",
        Goal::Below(300.0),
    );
    for file in files {
        api.door
            .remove_file(&file.id, &api.tokens.access_token)
            .await?;
    }
    Ok(())
}

/// Uploads so many bytes; another seed gives others.
pub(super) async fn send(
    door: &Door,
    size: u64,
    seed: usize,
    access_token: &str,
) -> Result<FileView> {
    let part = Part::stream_with_length(pattern(size, seed), size).file_name("large.bin");
    let part = part.mime_str("application/octet-stream")?;
    let file = door.upload(part, access_token, LIMIT).await?;
    ensure!(
        file.size == size,
        "{} bytes arrived instead of {size}",
        file.size
    );
    Ok(file)
}

/// Bytes that are never in memory together: the same few again and again, each time from another place.
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
