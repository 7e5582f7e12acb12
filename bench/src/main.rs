//! The benchmarks behind `cargo dev bench`: starts a stack without rate limits and measures it.
//!
//! Each scenario is a module that adds figures to the report. Programs that must run in a process
//! of their own are the other binaries of this crate, in `src/bin`. docs/explanation/performance.md
//! explains the figures.

mod accounts;
mod authz;
mod download;
mod flood;
mod idle;
mod jobs;
mod listing;
mod load;
mod login;
mod me;
mod memory;
mod program;
mod refresh;
mod report;
mod server;
mod storage;
mod thumbnails;
mod upload;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use plinth_dev::bench::SCENARIOS;
use plinth_dev::console;
use plinth_dev::door::Door;
use plinth_dev::layout::Layout;
use plinth_dev::services::Durability;
use plinth_dev::stack::{Options, Stack};
use plinth_dev::up::{Signals, interrupted};
use plinth_dev::workspace::Workspace;

use report::Report;

/// Settings of the stack. Limits are counted but never reached: all requests come from one address,
/// unless the load generator names another one. No access token expires while a scenario runs.
const SETTINGS: [(&str, &str); 7] = [
    ("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8"),
    ("PLINTH_LIMITS_IP_PER_MINUTE", "60000000"),
    ("PLINTH_LIMITS_USER_PER_MINUTE", "60000000"),
    ("PLINTH_LIMITS_AUTH_PER_MINUTE", "60000000"),
    ("PLINTH_LIMITS_REFRESH_PER_MINUTE", "60000000"),
    ("PLINTH_AUTH_ACCESS_TOKEN_LIFETIME", "1h"),
    ("PLINTH_LOG_FORMAT", "json"),
];

/// Measure a stack of the binaries that were built together with this program
#[derive(Debug, Parser)]
struct Arguments {
    /// The scenarios to measure; all by default
    #[arg(value_name = "SCENARIO", value_parser = SCENARIOS)]
    scenarios: Vec<String>,
}

/// The stack that the scenarios measure.
#[derive(Debug)]
struct Fixture {
    layout: Layout,
    stack: Stack,
    client: Door,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse()).await.unwrap_or_else(|error| {
        console::complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let workspace = Workspace::new(&Layout::of_checkout()?, "bench").await?;
    let Some(stack) = signals.unless_told(start(&workspace)).await? else {
        return Ok(interrupted());
    };
    let mut fixture = Fixture {
        layout: workspace.layout().clone(),
        client: Door::of(&stack.manifest)?,
        stack,
    };
    let mut report = Report::default();
    let work = measure(&mut fixture, &arguments.scenarios, &mut report);
    let measured = signals.unless_told(work).await;
    fixture.stack.stop().await;
    report.print_table();
    if measured.is_err() {
        console::note("the logs are in .dev/logs/bench");
    }
    Ok(measured?.map_or(interrupted(), |()| ExitCode::SUCCESS))
}

async fn start(workspace: &Workspace) -> Result<Stack> {
    let options = Options {
        binaries: program::folder()?,
        replicas: 1,
        clamd: false,
        settings: SETTINGS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    };
    let services = workspace.services(Durability::Full).await?;
    Stack::start(services, &options).await
}

async fn measure(fixture: &mut Fixture, wanted: &[String], report: &mut Report) -> Result<()> {
    for scenario in SCENARIOS {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == scenario) {
            continue;
        }
        console::note(&format!("measuring {scenario}"));
        report.begin(scenario);
        let measured = match scenario {
            "idle" => idle::measure(fixture, report).await,
            "upload" => upload::measure(fixture, report).await,
            "download" => download::measure(fixture, report).await,
            "me" => me::measure(fixture, report).await,
            "refresh" => refresh::measure(fixture, report).await,
            "authz" => authz::measure(report).await,
            "login" => login::measure(fixture, report).await,
            "jobs" => jobs::measure(fixture, report).await,
            "thumbnails" => thumbnails::measure(fixture, report).await,
            "listing" => listing::measure(fixture, report).await,
            "retention" => jobs::measure_retention(fixture, report).await,
            other => bail!("no scenario has the name {other}"),
        };
        measured.with_context(|| format!("scenario {scenario}"))?;
    }
    Ok(())
}
