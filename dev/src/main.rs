//! `cargo dev`: the one command that runs, tries, tests and checks Plinth from
//! a bare checkout. Each verb is a module; this file only picks one.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "in a test it is an assertion")
)]

mod backing;
mod bench;
mod breached;
mod build;
mod chaos;
mod check;
mod cli;
mod console;
mod corpus;
mod door;
mod layout;
mod mailbox;
mod notices;
mod ports;
mod process;
mod provision;
mod random;
mod scratch;
mod smoke;
mod sqlx;
mod stack;
mod testing;
mod up;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Verb::Child(child)) = &cli.verb {
        // Before any thread exists: the process changes its account and image.
        let error = process::shim::become_child(child);
        console::complain(&format!("{error:#}"));
        return ExitCode::from(127);
    }
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            console::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs one verb on the main thread, which must outlive every child: the kernel
/// ties a child's death signal to the thread that started it.
#[tokio::main]
async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let layout = layout::Layout::of_checkout()?;
    match cli.verb() {
        Verb::Up(args) => up::run(&layout, args).await,
        Verb::Stop => up::stop::run(&layout).await,
        Verb::Reset => up::reset::run(&layout).await,
        Verb::Smoke(args) => smoke::run(&layout, args).await,
        Verb::Test(args) => testing::run(&layout, args).await,
        Verb::Check => check::run(&layout).await,
        Verb::Bench(args) => bench::run(&layout, args).await,
        Verb::Chaos(args) => chaos::run(&layout, args).await,
        Verb::Corpus(args) => corpus::run(&layout, &args).await,
        Verb::Sqlx(args) => sqlx::run(&layout, args).await,
        Verb::Notices => notices::run(&layout).await,
        Verb::Breached(args) => breached::run(&layout, &args),
        Verb::Baseline(args) => bench::baseline::serve(&args.redis_url, args.bind).await,
        Verb::Hash(args) => bench::baseline::hash(args.seconds),
        Verb::Child(_) => unreachable!("handled before the runtime started"),
    }
}
