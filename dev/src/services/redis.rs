//! A private Redis on loopback. It keeps nothing on disk, so that every restart shows that nothing
//! depends on it.

use anyhow::Result;

use crate::layout::{Layout, make_dir};
use crate::process::Program;
use crate::provision::{self, Tool};

/// Returns the program with its settings on the command line. It reads no file.
pub(super) fn program(layout: &Layout, port: u16) -> Result<Program> {
    let folder = layout.dev.join("redis");
    make_dir(&folder, 0o700)?;
    let settings = format!("--port {port} --bind 127.0.0.1 --appendonly no --daemonize no --dir .");
    Ok(
        Program::new("redis", &provision::path(Tool::Redis)?, &folder)
            .args(settings.split(' '))
            .args(["--save", ""]),
    )
}
