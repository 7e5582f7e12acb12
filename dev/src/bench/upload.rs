//! One upload of a gigabyte: how fast it is, and how much memory the API takes
//! for it above what it holds anyway.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use reqwest::multipart::Part;
use tokio::time::sleep;

use super::Bed;
use super::board::{Board, Goal};
use super::memory;

const SIZE: u64 = 1 << 30;
/// The same in millions of bytes.
const MEGABYTES: f64 = 1_073.741_824;
const CHUNK: usize = 64 * 1024;

pub(super) async fn measure(bed: &mut Bed, board: &mut Board) -> Result<()> {
    let (_, tokens) = bed.door.newcomer().await?;
    let pid = *bed.stack.manifest.pids.get("api").context("the api's process id")?;
    // The login's memory is given back after five idle seconds.
    sleep(Duration::from_secs(8)).await;
    memory::reset_peak(pid)?;
    let idle = memory::resident(pid)?;
    let start = Instant::now();
    let part = Part::stream_with_length(pattern(), SIZE).file_name("gigabyte.bin");
    let part = part.mime_str("application/octet-stream")?;
    let file = bed.door.upload(part, &tokens.access_token, Duration::from_mins(10)).await?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = memory::peak(pid)?;
    ensure!(file.size == SIZE, "{} bytes arrived instead of {SIZE}", file.size);
    bed.door.delete_file(&file.id, &tokens.access_token).await?;
    board.note("upload", "1 GiB through the API into the store", MEGABYTES / seconds, "MB/s");
    board.note("upload", "resident memory before", idle, "MiB");
    board.judge("upload", "peak resident memory above that", peak - idle, "MiB", Goal::Below(64.0));
    Ok(())
}

/// A gigabyte that is never in memory: the same few bytes again and again, each
/// time from another place.
fn pattern() -> Body {
    let block: Vec<u8> = (0..4 * CHUNK).map(|place| (place * 31 % 251).to_le_bytes()[0]).collect();
    let block = Bytes::from(block);
    let chunks = (0..SIZE / CHUNK as u64).map(move |number| {
        let from = usize::try_from(number % 1000).unwrap_or_default();
        Ok::<_, std::io::Error>(block.slice(from..from + CHUNK))
    });
    Body::wrap_stream(stream::iter(chunks))
}
