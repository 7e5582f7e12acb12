//! Renders pictures as the worker does, for `cargo dev corpus`: reads the path of a file from each
//! line of the input, writes the derived images into a folder, each by the name of its preset, and
//! answers with a line of JSON.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use plinth_domain::preset::{Presets, Recipe};
use plinth_pictures::protocol::MAX_SOURCE_BYTES;
use plinth_pictures::{RenderedPicture, Unreadable};
use plinth_worker::files::{ImageSandbox, SandboxError};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The defaults of the settings.
const PRESETS: &str = "small=256x256 contain webp q75;large=1024x1024 contain jpeg q82";

/// `corpus-renderer FOLDER`
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        bail!("expected a folder for the images");
    };
    let presets: Presets = PRESETS.parse()?;
    let sandbox = ImageSandbox::installed()?;
    for path in std::io::stdin().lock().lines() {
        let answer = answer(&sandbox, &presets, Path::new(&path?), &folder).await?;
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

/// Renders one file. Returns the answer for it.
async fn answer(
    sandbox: &ImageSandbox,
    presets: &Presets,
    path: &Path,
    folder: &Path,
) -> Result<Value> {
    let file = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if file.len() > MAX_SOURCE_BYTES {
        return Ok(json!({ "refused": Unreadable::TooLarge.to_string() }));
    }
    let recipes: Vec<Recipe> = presets.iter().map(|preset| preset.recipe).collect();
    let RenderedPicture { picture, images } = match sandbox.render(&file, &recipes).await {
        Ok(Ok(developed)) => developed,
        Ok(Err(reason)) => return Ok(json!({ "refused": reason.to_string() })),
        Err(SandboxError::Crashed(crash)) => return Ok(json!({ "crashed": crash.to_string() })),
        Err(SandboxError::Killed(signal)) => return Ok(json!({ "crashed": signal.as_str() })),
        Err(breakdown) => return Err(breakdown.into()),
    };
    let mut written = BTreeMap::new();
    for (preset, image) in presets.iter().zip(images) {
        let path = folder.join(preset.name.as_str());
        std::fs::write(&path, image.bytes)
            .with_context(|| format!("writing {}", path.display()))?;
        written.insert(preset.name.as_str(), path);
    }
    Ok(json!({ "shown": { "size": [picture.width, picture.height], "images": written } }))
}
