//! `cargo dev notices`: writes THIRD-PARTY-NOTICES, the licences of every crate that is linked into
//! the binaries.

mod licence;
mod packages;
mod text;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::console;
use crate::layout::Layout;

pub(crate) const FILE: &str = "THIRD-PARTY-NOTICES";

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    let path = layout.root.join(FILE);
    fs::write(&path, generate(layout).await?)
        .with_context(|| format!("writing {}", path.display()))?;
    console::note(&format!("wrote {FILE}"));
    Ok(ExitCode::SUCCESS)
}

/// Returns the text of the file for the committed Cargo.lock.
pub(crate) async fn generate(layout: &Layout) -> Result<String> {
    let packages = packages::linked(layout).await?;
    text::render(&packages)
}
