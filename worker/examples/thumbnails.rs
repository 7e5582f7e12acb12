//! How many pictures a second a worker makes, as `cargo dev bench thumbnails` shows it: the files that the command line
//! names, in turn, each by both recipes, some at once. Prints one line of JSON.

use std::io::Write as _;
use std::path::PathBuf;
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

/// `thumbnails PICTURE COUNT AT_ONCE`
#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [picture, count, at_once] = arguments.as_slice() else {
        anyhow::bail!("a picture, how often, and how many at once are expected");
    };
    let (count, at_once): (u32, usize) = (count.parse()?, at_once.parse()?);
    let file = std::fs::read(picture).with_context(|| format!("reading {picture}"))?;
    let recipes: Vec<Recipe> = RECIPES
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let sandbox = ImageSandbox::new(program()?);
    // The first of them finds no page of the program in memory.
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
    let developed = sandbox.develop(file, recipes).await??;
    ensure!(
        developed.images.len() == recipes.len(),
        "a picture is missing"
    );
    Ok(())
}

/// KiB that this program had at most. What `getrusage` tells of a process is at least what the one had that started it.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// What was built together with this program.
fn program() -> Result<PathBuf> {
    let folder = std::env::current_exe()?
        .parent()
        .and_then(|folder| folder.parent())
        .map(PathBuf::from);
    Ok(folder
        .context("this program lies in no target folder")?
        .join("plinth-darkroom"))
}
