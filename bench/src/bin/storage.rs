//! The bounds of `cargo dev bench upload` and `download`: sealing and hashing alone on one core,
//! and a plain stream to and from the object store that the environment names. Prints megabytes a
//! second.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use plinth_core::Stores;
use plinth_object_store::ObjectStore;
use plinth_platform::crypto::{
    CHUNK_BYTES, ChunkCipher, ChunkPosition, DataKey, Sha256, TAG_BYTES,
};
use plinth_platform::settings::Settings;
use serde_json::json;

/// Bytes of a part of an upload.
const PART: usize = 8 << 20;
/// 1 GiB in total.
const PARTS: u32 = 128;
const SIZE: u64 = PARTS as u64 * PART as u64;
/// Belongs to no file: reconciliation would remove it after an hour.
const KEY: &str = "bench/plain";

#[tokio::main]
async fn main() -> Result<()> {
    let work = std::env::args()
        .nth(1)
        .context("expected seal, open, put, get or delete")?;
    let spent = match work.as_str() {
        "seal" => seal(),
        "open" => open()?,
        "put" => put(&objects()?).await?,
        "get" => get(&objects()?).await?,
        "delete" => return Ok(objects()?.delete(KEY).await?),
        other => bail!("no work has the name {other}"),
    };
    #[expect(clippy::cast_precision_loss, reason = "a gigabyte")]
    let rate = SIZE as f64 / 1e6 / spent.as_secs_f64();
    let answer = json!({ "megabytes_per_second": rate });
    std::io::stdout().write_all(answer.to_string().as_bytes())?;
    Ok(())
}

fn objects() -> Result<ObjectStore> {
    Ok(Stores::new(&Settings::from_env(std::env::vars())?, "storage")?.objects)
}

/// Seals and hashes, which every upload has to do.
fn seal() -> Duration {
    let chunks = ChunkCipher::new(&DataKey::generate(), [7; 16]);
    let mut part = part();
    let mut hash = Sha256::default();
    let start = Instant::now();
    for number in 0..PARTS {
        for (place, chunk) in places(number).zip(part.chunks_mut(CHUNK_BYTES)) {
            hash.update(chunk);
            black_box(chunks.seal(place, chunk));
        }
    }
    black_box(hash.finish());
    start.elapsed()
}

/// Opens and hashes. A download does not hash, but the bound is that of uploads.
fn open() -> Result<Duration> {
    let chunks = ChunkCipher::new(&DataKey::generate(), [7; 16]);
    let mut part = part();
    let mut sealed = vec![0; CHUNK_BYTES + TAG_BYTES];
    let mut hash = Sha256::default();
    let mut spent = Duration::ZERO;
    for number in 0..PARTS {
        for (place, chunk) in places(number).zip(part.chunks_mut(CHUNK_BYTES)) {
            let (text, tag) = sealed.split_at_mut(CHUNK_BYTES);
            text.copy_from_slice(chunk);
            tag.copy_from_slice(&chunks.seal(place, text));
            let start = Instant::now();
            ensure!(
                chunks.open(place, &mut sealed) == Some(CHUNK_BYTES),
                "a chunk does not open"
            );
            hash.update(&sealed[..CHUNK_BYTES]);
            spent += start.elapsed();
        }
    }
    black_box(hash.finish());
    Ok(spent)
}

/// Writes parts one after the other.
async fn put(objects: &ObjectStore) -> Result<Duration> {
    let bytes = Bytes::from(part());
    let start = Instant::now();
    let upload = objects.begin_parts(KEY).await?;
    let mut parts = Vec::new();
    for number in 1..=i32::try_from(PARTS)? {
        parts.push(
            objects
                .put_part(KEY, &upload, number, bytes.clone())
                .await?,
        );
    }
    objects.finish_parts(KEY, &upload, parts).await?;
    Ok(start.elapsed())
}

/// Reads the object that `put` wrote.
async fn get(objects: &ObjectStore) -> Result<Duration> {
    let start = Instant::now();
    let body = objects.get(KEY, None).await?;
    let count = |size, bytes: Bytes| async move { Ok(size + bytes.len() as u64) };
    let size = body.try_fold(0, count).await?;
    ensure!(size == SIZE, "received {size} bytes, expected {SIZE}");
    Ok(start.elapsed())
}

/// Returns the places of the chunks of a part.
fn places(part: u32) -> impl Iterator<Item = ChunkPosition> {
    let of_part = u32::try_from(PART / CHUNK_BYTES).unwrap_or_default();
    (part * of_part..).map(|index| ChunkPosition {
        segment: 1,
        index,
        is_last: false,
    })
}

fn part() -> Vec<u8> {
    (0..PART)
        .map(|place| (place * 31 % 251).to_le_bytes()[0])
        .collect()
}
