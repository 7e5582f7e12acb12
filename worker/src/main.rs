//! The command line of `plinth-worker`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plinth_platform::error_chain;
use plinth_platform::settings::Settings;
use plinth_worker::commands::{jobs, keys, queues};
use plinth_worker::files::variants_command::Variants;
use plinth_worker::files::{
    scan_command as scan, strip_command as strip, variants_command as variants,
};
use plinth_worker::{app, cleanup, periodic, reconcile};

/// mimalloc is faster than the allocator of the system, and returns memory after a burst.
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
    /// Take jobs until SIGTERM or SIGINT, then finish running jobs or hand them back, and exit.
    Run(app::Run),
    /// Remove expired data once, print one line of JSON, and exit. Meant for cron.
    Cleanup(cleanup::command::Arguments),
    /// Compare S3 with PostgreSQL once, repair differences, print one line of JSON, and exit. Meant
    /// for cron.
    Reconcile(reconcile::command::Arguments),
    /// Enqueue virus scans of files that wait for one without a job, print one line of JSON, and
    /// exit.
    Scan(scan::Arguments),
    /// Enqueue metadata stripping of images that wait for it without a job, print one line of JSON,
    /// and exit.
    Strip(strip::Arguments),
    /// Manage the encryption keys of files.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Show the periodic tasks with their last and next ticks.
    Periodic(periodic::command::Arguments),
    /// Show and manage background jobs.
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Show, pause and resume queues.
    #[command(subcommand)]
    Queues(queues::Queues),
    /// Regenerate the variants of images.
    #[command(subcommand)]
    Variants(Variants),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Written to stderr, because the log may not be set up.
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
                let (line, is_complete) = keys::run(&settings, &command).await?;
                print(&line)?;
                anyhow::ensure!(is_complete, "not every key could be rewrapped");
                Ok(())
            }
            Command::Periodic(arguments) => periodic::command::run(&settings, &arguments).await,
            Command::Jobs(command) => print(&jobs::run(settings, command).await?),
            Command::Queues(command) => print(&queues::run(settings, command).await?),
            Command::Variants(command) => print(&variants::run(settings, command).await?),
        }
    });
    // Do not wait for a handler that blocks its thread.
    runtime.shutdown_background();
    result
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
