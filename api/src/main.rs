//! `plinth-api`: the command line, nothing else.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plinth_api::{app, commands};
use plinth_platform::causes;

/// Faster than the system's, and gives memory back after a burst.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plinth's API server.
#[derive(Parser)]
#[command(name = "plinth-api", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve clients until SIGTERM or SIGINT, then drain and exit.
    Serve,
    /// Bring the database's schema up to date; safe to run twice, and two at once.
    Migrate,
    /// Print the settings in force, secrets redacted.
    Config {
        /// Print the reference page of every setting instead.
        #[arg(long)]
        reference: bool,
        /// Print JSON.
        #[arg(long, conflicts_with = "reference")]
        json: bool,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Administrators.
    #[command(subcommand)]
    Admin(Admin),
}

#[derive(Subcommand)]
enum Keys {
    /// Print a fresh root key for `PLINTH_SECRET_KEY`.
    Generate,
}

#[derive(Subcommand)]
enum Admin {
    /// Make sure that an administrator with this address and password exists.
    Create {
        #[arg(long)]
        email: String,
        /// Read the password from standard input: it never stands in a list of processes.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last word of a process whose log may not have been set up.
            let _ = writeln!(std::io::stderr(), "plinth-api: {}", causes::told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    let answer = match command {
        Command::Serve => {
            run(app::serve(commands::settings()?))?;
            return Ok(());
        }
        Command::Migrate => run(commands::migrate(commands::settings()?))?,
        Command::Config { reference: true, .. } => plinth_platform::settings::markdown(),
        Command::Config { json, .. } => commands::effective_settings(json)?,
        Command::Openapi => plinth_api::http::document::document(),
        Command::Keys(Keys::Generate) => plinth_platform::crypto::RootKey::generate() + "\n",
        Command::Admin(Admin::Create { email, .. }) => {
            run(commands::create_administrator(commands::settings()?, &email))?
        }
    };
    std::io::stdout().write_all(answer.as_bytes())?;
    Ok(())
}

fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
