//! `plinth-worker`: the command line, nothing else.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plinth_platform::error_chain;
use plinth_platform::settings::Settings;
use plinth_worker::commands::{jobs, keys, queues};
use plinth_worker::files::command::{self as variants, Variants};
use plinth_worker::files::{scan_command as scan, strip_command as strip};
use plinth_worker::{app, cleanup, periodic, reconcile};

/// Faster than the system's, and gives memory back after a burst.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs Plinth's background jobs.
#[derive(Parser)]
#[command(name = "plinth-worker", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take jobs until SIGTERM or SIGINT, then finish or hand back what runs and exit.
    Run(app::Run),
    /// Remove once what is over, print one line of JSON, and exit: for cron.
    Cleanup(cleanup::command::Arguments),
    /// Compare S3 with PostgreSQL once, mend what can be mended, print one line of JSON, and exit: for cron.
    Reconcile(reconcile::command::Arguments),
    /// Ask for scans that are waited for and that nobody is about to do, print one line of JSON, and exit.
    Scan(scan::Arguments),
    /// Ask for metadata to be taken out of pictures that wait for it and that nobody is about to strip, print one line of
    /// JSON, and exit.
    Strip(strip::Arguments),
    /// The keys of files.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Show the periodic tasks with their last and next ticks.
    Periodic(periodic::command::Arguments),
    /// See and steer background jobs.
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// See, pause and resume queues.
    #[command(subcommand)]
    Queues(queues::Queues),
    /// Have the images that are derived from pictures made anew.
    #[command(subcommand)]
    Variants(Variants),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last word of a process whose log may not have been set up.
            let _ = writeln!(
                std::io::stderr(),
                "plinth-worker: {}",
                error_chain::format_error_chain(error.as_ref())
            );
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    let settings = Settings::load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        match command {
            Command::Run(run) => app::run(settings, run).await,
            Command::Cleanup(arguments) => cleanup::command::run(&settings, arguments).await,
            Command::Reconcile(arguments) => reconcile::command::run(&settings, &arguments).await,
            Command::Scan(arguments) => print(&scan::run(&settings, &arguments).await?),
            Command::Strip(arguments) => print(&strip::run(&settings, &arguments).await?),
            Command::Keys(command) => {
                let (line, is_well) = keys::run(&settings, &command).await?;
                print(&line)?;
                anyhow::ensure!(is_well, "not every key could be wrapped anew");
                Ok(())
            }
            Command::Periodic(arguments) => periodic::command::run(&settings, &arguments).await,
            Command::Jobs(command) => print(&jobs::run(settings, command).await?),
            Command::Queues(command) => print(&queues::run(settings, command).await?),
            Command::Variants(command) => print(&variants::run(settings, command).await?),
        }
    });
    // A handler that blocks its thread does not hold the process.
    runtime.shutdown_background();
    result
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
