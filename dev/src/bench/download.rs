//! Downloads of a gigabyte against opening and hashing alone and against a plain stream from the same store, and how much
//! memory the API takes for them above what it holds when idle.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::board::{Board, Goal};
use super::fresh::FreshApi;
use super::storage::{Names, Rounds, SIZE, Storage, rate};
use super::{Bed, upload};
use crate::door::FileView;

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_mins(10);
const NAMES: Names = Names {
    scenario: "download",
    product: "1 GiB through the API out of the store, median of 3",
    sealing: "AES-256-GCM and SHA-256 of as much alone, one core",
    plain: "as much out of the same store, plain",
};

pub(super) async fn measure(bed: &mut Bed, board: &mut Board) -> Result<()> {
    let api = FreshApi::start(bed).await?;
    let measured = gigabytes(bed, &api, board).await;
    api.stop().await;
    measured
}

async fn gigabytes(bed: &Bed, api: &FreshApi, board: &mut Board) -> Result<()> {
    // Another process takes the upload: this one's memory shall be the download's.
    let file = upload::send(&bed.door, SIZE, 0, &api.tokens.access_token).await?;
    let storage = Storage::of(bed)?;
    storage.rate("put").await?;
    let mut rounds = Rounds::default();
    for round in 0..ROUNDS {
        // Neither always has the warmer machine.
        if round % 2 == 0 {
            let product = one(api, &file).await?;
            rounds.add(
                product,
                storage.rate("open").await?,
                storage.rate("get").await?,
            );
        } else {
            let (plain, sealing) = (storage.rate("get").await?, storage.rate("open").await?);
            rounds.add(one(api, &file).await?, sealing, plain);
        }
    }
    storage.delete().await?;
    let peak = api.peak()?;
    bed.door
        .remove_file(&file.id, &api.tokens.access_token)
        .await?;
    rounds.tell(&NAMES, board);
    board.note(
        "download",
        "resident memory of the idle API, after one login",
        api.idle,
        "MiB",
    );
    board.note(
        "download",
        "peak resident memory of these downloads",
        peak,
        "MiB",
    );
    board.judge(
        "download",
        "peak above idle",
        peak - api.idle,
        "MiB",
        Goal::Below(64.0),
    );
    Ok(())
}

/// Millions of bytes a second of one download.
async fn one(api: &FreshApi, file: &FileView) -> Result<f64> {
    let start = Instant::now();
    let size = api
        .door
        .drain(file, &api.tokens.access_token, LIMIT)
        .await?;
    ensure!(size == SIZE, "{size} bytes came instead of {SIZE}");
    Ok(rate(start.elapsed().as_secs_f64()))
}
