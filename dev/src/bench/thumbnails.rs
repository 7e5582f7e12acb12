//! Pictures a second, of a photograph with 12 million pixels to 256 x 256 in WebP and 1024 in JPEG, beside sharp where
//! `npm ci` was run in bench/peers. As many at once as there are processors, the same file, one after the other.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use image::imageops::{FilterType, resize, rotate90};
use image::{ExtendedColorType, RgbImage};
use nix::sys::signal::Signal;
use serde::Deserialize;

use super::Bed;
use super::board::{Board, Goal, median};
use crate::build::{self, Profile};
use crate::console;
use crate::process::foreground;
use crate::provision;
use crate::smoke::PHOTO;

const ROUNDS: usize = 3;
const PICTURES: &str = "60";

#[derive(Debug, Deserialize)]
struct Run {
    images_per_second: f64,
    peak_mib: f64,
}

pub(super) async fn measure(bed: &Bed, board: &mut Board) -> Result<()> {
    let picture = bed.layout.dev.join("photograph.jpg");
    std::fs::write(&picture, photograph()?).context("writing the photograph")?;
    let at_once = std::thread::available_parallelism()?.to_string();
    let ours = build::folder(Profile::Release)?.join("examples/thumbnails");
    let folder = bed.layout.root.join("bench/peers");
    let node = provision::on_path("node").filter(|_| folder.join("node_modules/sharp").exists());
    if node.is_none() {
        console::note("no sharp: run `npm ci` in bench/peers to compare with it");
    }
    let (mut our_runs, mut sharp_runs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_runs.push(run(&ours, &[], &picture, &at_once).await?);
        if let Some(node) = &node {
            sharp_runs.push(run(node, &[&folder.join("sharp.js")], &picture, &at_once).await?);
        }
    }
    let (rate, peak) = figures(&our_runs);
    board.note("thumbnails", "12 million pixels to 256 WebP and 1024 JPEG, median of 3", rate, "1/s");
    board.note("thumbnails", "memory of the worker and its children at most", peak, "MiB");
    if node.is_some() {
        let (sharp_rate, sharp_peak) = figures(&sharp_runs);
        board.note("thumbnails", "the same, sharp", sharp_rate, "1/s");
        board.judge("thumbnails", "ratio to sharp", rate / sharp_rate, "", Goal::AtLeast(1.8));
        board.note("thumbnails", "memory of sharp's process at most", sharp_peak, "MiB");
        board.judge("thumbnails", "memory by sharp's", peak / sharp_peak, "", Goal::Below(1.0));
    }
    Ok(())
}

fn figures(runs: &[Run]) -> (f64, f64) {
    let rates: Vec<_> = runs.iter().map(|run| run.images_per_second).collect();
    (median(&rates), runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max))
}

async fn run(program: &Path, script: &[&Path], picture: &Path, at_once: &str) -> Result<Run> {
    let mut command = foreground::through_shim(program.as_os_str(), Signal::SIGTERM, None)?;
    command.args(script).arg(picture).args([PICTURES, at_once]);
    let output = foreground::output(&mut command).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", program.display());
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} said something else: {said}", program.display()))
}

/// The photograph of the smoke run, enlarged, with the grain of a sensor: without it there would be nothing to read.
fn photograph() -> Result<Vec<u8>> {
    let photo = image::load_from_memory(PHOTO)?.into_rgb8();
    let mut large: RgbImage = rotate90(&resize(&photo, 3_000, 4_000, FilterType::CatmullRom));
    let mut random = 12_345_u32;
    for channel in large.iter_mut() {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let grain = u8::try_from(random % 17).unwrap_or(0);
        *channel = channel.saturating_add(grain).saturating_sub(8);
    }
    let mut bytes = Cursor::new(Vec::new());
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90).encode(
        &large,
        large.width(),
        large.height(),
        ExtendedColorType::Rgb8,
    )?;
    Ok(bytes.into_inner())
}
