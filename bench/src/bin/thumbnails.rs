//! Derives images of one picture as a worker does, for `cargo dev bench thumbnails`. Prints
//! pictures a second and memory as one line of JSON.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use nix::sys::resource::{UsageWho, getrusage};
use plinth_domain::preset::Recipe;
use plinth_worker::files::ImageSandbox;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECIPES: [&str; 2] = ["256x256 cover webp q75", "1024x1024 contain jpeg q82"];

/// `bench-thumbnails PICTURE COUNT CONCURRENCY`
#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [picture, count, at_once] = arguments.as_slice() else {
        anyhow::bail!("expected PICTURE COUNT CONCURRENCY");
    };
    let (count, at_once): (u32, usize) = (count.parse()?, at_once.parse()?);
    let file = std::fs::read(picture).with_context(|| format!("reading {picture}"))?;
    let recipes: Vec<Recipe> = RECIPES
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let sandbox = ImageSandbox::installed()?;
    // The first run loads the program into memory.
    develop(&sandbox, &file, &recipes).await?;
    let began = Instant::now();
    let work = (0..count).map(|_| develop(&sandbox, &file, &recipes));
    futures_util::stream::iter(work)
        .buffer_unordered(at_once)
        .try_collect::<()>()
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    let child = u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss())?;
    let (own, children) = (peak()?, u64::try_from(at_once)?.saturating_mul(child));
    let line = json!({
        "images_per_second": f64::from(count) / seconds,
        "peak_mib": (own + children) / 1024,
    });
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

async fn develop(sandbox: &ImageSandbox, file: &[u8], recipes: &[Recipe]) -> Result<()> {
    let developed = sandbox.render(file, recipes).await??;
    ensure!(
        developed.images.len() == recipes.len(),
        "a picture is missing"
    );
    Ok(())
}

/// Returns the peak of this process in KiB. `getrusage` is no alternative: its value includes the
/// parent's at the fork.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
