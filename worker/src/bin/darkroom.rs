//! `plinth-darkroom`: what reads hostile files, and knows nothing of us: no settings, no telemetry, no connections, one
//! thread. A worker starts it, and talks to it.
//!
//! A program of its own, since it is started for each picture: it is small, and keeps the system's allocator, which says
//! how much memory there is as the limit counts it.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match plinth_pictures::serve(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "plinth-darkroom: {:#}",
                anyhow::Error::from(error)
            );
            ExitCode::FAILURE
        }
    }
}
