//! Pictures a second, of a photograph with 12 million pixels to 256 x 256 in WebP and 1024 in JPEG, beside sharp where
//! `npm ci` was run in bench/peers, and of the same one with colours at a quarter of its pixels, as telephones write it. As
//! many at once as there are processors, the same file, one after the other.

use std::io::Cursor;
use std::path::{Path, PathBuf};

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
    let folder = bed.layout.root.join("bench/peers");
    let node = provision::on_path("node").filter(|_| folder.join("node_modules/sharp").exists());
    let ours = Program {
        program: build::folder(Profile::Release)?.join("examples/thumbnails"),
        script: None,
    };
    let Some(node) = node else {
        console::note("no sharp: run `npm ci` in bench/peers to compare with it");
        let mut runs = Vec::new();
        for _ in 0..ROUNDS {
            runs.push(ours.run(&picture).await?);
        }
        tell(board, Figures::of(&runs));
        return Ok(());
    };
    let sharp = Program {
        program: node.clone(),
        script: Some(folder.join("sharp.js")),
    };
    let (of_ours, of_sharp) = compare(&ours, &sharp, &picture).await?;
    tell(board, of_ours);
    board.note("thumbnails", "the same, sharp", of_sharp.rate, "1/s");
    board.judge(
        "thumbnails",
        "ratio to sharp",
        of_ours.rate / of_sharp.rate,
        "",
        Goal::AtLeast(1.6),
    );
    board.note(
        "thumbnails",
        "memory of sharp's process at most",
        of_sharp.peak,
        "MiB",
    );
    board.judge(
        "thumbnails",
        "memory by sharp's",
        of_ours.peak / of_sharp.peak,
        "",
        Goal::Below(1.0),
    );
    let coarse = bed.layout.dev.join("photograph-420.jpg");
    write_coarse(&node, &folder, &picture, &coarse).await?;
    let (of_ours, of_sharp) = compare(&ours, &sharp, &coarse).await?;
    board.note(
        "thumbnails",
        "the same picture in 4:2:0",
        of_ours.rate,
        "1/s",
    );
    board.note("thumbnails", "the same, sharp", of_sharp.rate, "1/s");
    board.judge(
        "thumbnails",
        "ratio to sharp in 4:2:0",
        of_ours.rate / of_sharp.rate,
        "",
        Goal::AtLeast(1.5),
    );
    Ok(())
}

fn tell(board: &mut Board, figures: Figures) {
    let name = "12 million pixels in 4:4:4 to 256 WebP and 1024 JPEG, median of 3";
    board.note("thumbnails", name, figures.rate, "1/s");
    board.note(
        "thumbnails",
        "memory of the worker and its children at most",
        figures.peak,
        "MiB",
    );
}

/// Both in turns.
async fn compare(ours: &Program, sharp: &Program, picture: &Path) -> Result<(Figures, Figures)> {
    let (mut our_runs, mut sharp_runs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_runs.push(ours.run(picture).await?);
        sharp_runs.push(sharp.run(picture).await?);
    }
    Ok((Figures::of(&our_runs), Figures::of(&sharp_runs)))
}

async fn write_coarse(node: &Path, folder: &Path, picture: &Path, into: &Path) -> Result<()> {
    let mut command = foreground::through_shim(node.as_os_str(), Signal::SIGTERM, None)?;
    command.arg(folder.join("coarse.js")).arg(picture).arg(into);
    let output = foreground::output(&mut command).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "sharp writes no other picture: {said}"
    );
    Ok(())
}

/// What makes pictures when it is run.
struct Program {
    program: PathBuf,
    /// Its first argument.
    script: Option<PathBuf>,
}

impl Program {
    async fn run(&self, picture: &Path) -> Result<Run> {
        let at_once = std::thread::available_parallelism()?.to_string();
        let mut command =
            foreground::through_shim(self.program.as_os_str(), Signal::SIGTERM, None)?;
        command
            .args(&self.script)
            .arg(picture)
            .args([PICTURES, &at_once]);
        let output = foreground::output(&mut command).await?;
        let (name, said) = (
            self.program.display(),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(output.status.success(), "{name}: {said}");
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{name} said something else: {said}"))
    }
}

#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Pictures a second.
    rate: f64,
    /// MiB.
    peak: f64,
}

impl Figures {
    fn of(runs: &[Run]) -> Self {
        let rates: Vec<_> = runs.iter().map(|run| run.images_per_second).collect();
        Self {
            rate: median(&rates),
            peak: runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max),
        }
    }
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
