//! `cargo dev reset`: back to a checkout that was never run.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::stop::stop;
use crate::backing;
use crate::console;
use crate::layout::Layout;
use crate::scratch;

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    stop(layout).await?;
    scratch::sweep(layout).await?;
    backing::remove_data(layout)?;
    if layout.dev.exists() {
        fs::remove_dir_all(&layout.dev).context("removing .dev")?;
    }
    console::note("removed .dev; the next start begins anew");
    Ok(ExitCode::SUCCESS)
}
