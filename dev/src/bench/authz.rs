//! What it costs to check an access token and a permission, in CPU time alone: a program of the product's own code
//! measures it, without any store.

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde::Deserialize;

use super::board::{Board, Goal};
use crate::build::{self, Profile};
use crate::process::foreground;

/// What `examples/authz.rs` of plinth-core prints: microseconds of CPU.
#[derive(Debug, Deserialize)]
struct Cost {
    first: f64,
    again: f64,
}

pub(super) async fn measure(board: &mut Board) -> Result<()> {
    let program = build::folder(Profile::Release)?.join("examples/authz");
    let mut command = foreground::through_shim(program.as_os_str(), Signal::SIGTERM, None)?;
    let output = foreground::output(&mut command).await?;
    let cost: Cost = serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "the example authz said something else: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let first = "JWT and permission, CPU, token seen first";
    board.judge("authz", first, cost.first, "us", Goal::Below(60.0));
    board.note("authz", "the same, token seen before", cost.again, "us");
    Ok(())
}
