//! The crate behind `cargo dev`, which runs, tests and checks Plinth from a checkout. Each verb is
//! a module.
//!
//! The public modules start a stack and talk to it. The benchmarks in bench/ use them, too.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")
)]

pub mod bench;
mod breached;
mod build;
mod chaos;
mod check;
mod cli;
pub mod console;
mod corpus;
pub mod door;
pub mod layout;
mod mailbox;
mod notices;
mod ports;
pub mod process;
pub mod provision;
pub mod random;
pub mod services;
pub mod smoke;
mod source_files;
mod sqlx;
pub mod stack;
mod testing;
pub mod up;
pub mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
use crate::layout::Layout;

/// Runs the verb of the command line.
pub fn run() -> ExitCode {
    run_verb(Cli::parse().verb()).unwrap_or_else(|error| {
        console::complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Runs one verb on the main thread, which must outlive every child: the kernel ties the death
/// signal of a child to the thread that started it.
#[tokio::main]
async fn run_verb(verb: Verb) -> anyhow::Result<ExitCode> {
    let layout = Layout::of_checkout()?;
    match verb {
        Verb::Up(args) => up::run(&layout, args).await,
        Verb::Stop => up::stop::run(&layout).await,
        Verb::Reset => up::stop::reset(&layout).await,
        Verb::Smoke => smoke::run(&layout).await,
        Verb::Test(args) => testing::run(&layout, args).await,
        Verb::Check => check::run(&layout).await,
        Verb::Bench(args) => bench::run(&layout, &args).await,
        Verb::Chaos(args) => chaos::run(&layout, args).await,
        Verb::Corpus(args) => corpus::run(&layout, &args).await,
        Verb::Sqlx => sqlx::run(&layout).await,
        Verb::Notices => notices::run(&layout).await,
        Verb::Breached(args) => breached::run(&layout, &args),
    }
}
