//! `plinth-image-sandbox`: the child process that reads hostile images. It has no settings, no
//! telemetry, no connections and one thread. A worker starts it and exchanges messages with it.
//!
//! It is a separate program because it starts for each image, so it must be small. It keeps the
//! allocator of the system, whose use of memory matches the memory limit of the process.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match plinth_pictures::serve(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "plinth-image-sandbox: {:#}",
                anyhow::Error::from(error)
            );
            ExitCode::FAILURE
        }
    }
}
