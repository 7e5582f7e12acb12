//! Pictures a second: a photograph with 12 million pixels to 256 x 256 in WebP and 1024 in JPEG,
//! against sharp if `npm ci` was run in bench/peers. Then the same photograph in 4:2:0, as phones
//! write it. As many pictures at once as there are processors.

use std::ffi::OsString;
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, Result};
use image::imageops::{FilterType, resize, rotate90};
use image::{ExtendedColorType, RgbImage};
use plinth_dev::smoke::PHOTO;
use plinth_dev::{console, provision};
use serde::Deserialize;
use tokio::process::Command;

use super::report::{Goal, Report, median};
use super::{Fixture, program};

const ROUNDS: usize = 3;
const PICTURES: &str = "60";

#[derive(Debug, Deserialize)]
struct Run {
    images_per_second: f64,
    peak_mib: f64,
}

pub(crate) async fn measure(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let picture = fixture.layout.dev.join("photograph.jpg");
    std::fs::write(&picture, photograph()?).context("writing the photograph")?;
    let peers = fixture.layout.root.join("bench/peers");
    let node = provision::on_path("node").filter(|_| peers.join("node_modules/sharp").exists());
    let ours = Program(vec![program::folder()?.join("bench-thumbnails").into()]);
    let Some(node) = node else {
        console::note("no sharp: run `npm ci` in bench/peers to compare with it");
        let mut runs = Vec::new();
        for _ in 0..ROUNDS {
            runs.push(ours.run(&picture).await?);
        }
        report_ours(report, Figures::of(&runs));
        return Ok(());
    };
    let sharp = Program(vec![node.clone().into(), peers.join("sharp.js").into()]);
    let (of_ours, of_sharp) = compare(&ours, &sharp, &picture).await?;
    report_ours(report, of_ours);
    report.figure("the same, sharp", of_sharp.rate, "1/s");
    let ratio = of_ours.rate / of_sharp.rate;
    report.goal("ratio to sharp", ratio, "", Goal::AtLeast(1.6));
    let peak = "memory of sharp's process at most";
    report.figure(peak, of_sharp.peak, "MiB");
    let ratio = of_ours.peak / of_sharp.peak;
    report.goal("memory by sharp's", ratio, "", Goal::Below(1.0));

    let coarse = fixture.layout.dev.join("photograph-420.jpg");
    let mut convert = Command::new(node);
    convert
        .arg(peers.join("coarse.js"))
        .args([&picture, &coarse]);
    program::output(&mut convert).await?;
    let (of_ours, of_sharp) = compare(&ours, &sharp, &coarse).await?;
    report.figure("the same picture in 4:2:0", of_ours.rate, "1/s");
    report.figure("the same, sharp", of_sharp.rate, "1/s");
    let ratio = of_ours.rate / of_sharp.rate;
    report.goal("ratio to sharp in 4:2:0", ratio, "", Goal::AtLeast(1.5));
    Ok(())
}

fn report_ours(report: &mut Report, figures: Figures) {
    let rate = "12 million pixels in 4:4:4 to 256 WebP and 1024 JPEG, median of 3";
    report.figure(rate, figures.rate, "1/s");
    let peak = "memory of the worker and its children at most";
    report.figure(peak, figures.peak, "MiB");
}

/// Runs both in turns.
async fn compare(ours: &Program, sharp: &Program, picture: &Path) -> Result<(Figures, Figures)> {
    let (mut our_runs, mut sharp_runs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_runs.push(ours.run(picture).await?);
        sharp_runs.push(sharp.run(picture).await?);
    }
    Ok((Figures::of(&our_runs), Figures::of(&sharp_runs)))
}

/// A program that derives images, with its first arguments.
struct Program(Vec<OsString>);

impl Program {
    async fn run(&self, picture: &Path) -> Result<Run> {
        let at_once = std::thread::available_parallelism()?.to_string();
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).arg(picture);
        program::json(command.args([PICTURES, &at_once])).await
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

/// Returns the photograph of the smoke run, enlarged, with the noise of a sensor: a smooth picture
/// would decode too fast.
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
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
    let (width, height) = large.dimensions();
    encoder.encode(&large, width, height, ExtendedColorType::Rgb8)?;
    Ok(bytes.into_inner())
}
