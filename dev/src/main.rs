//! The program behind `cargo dev`.

use std::process::ExitCode;

fn main() -> ExitCode {
    plinth_dev::run()
}
