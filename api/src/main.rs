//! `plinth-api`: the command line, nothing else.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use plinth_api::commands::{import, keys};
use plinth_api::{app, commands};
use plinth_platform::error_chain;

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
    /// The audit log.
    Audit {
        /// Print the reference page of every audited action.
        #[arg(long, required = true)]
        reference: bool,
    },
    /// The error codes.
    Errors {
        /// Print the reference page of every error code.
        #[arg(long, required = true)]
        reference: bool,
    },
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
    Generate {
        /// Print a key for `PLINTH_AUTH_SIGNING_KEYS` instead.
        #[arg(long)]
        signing: bool,
    },
    /// List the keys that access tokens are signed and checked with.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a new signing key. It is published now and signs later; what the old one signed stays valid to its end.
    Rotate {
        /// When the new key begins to sign. Whoever keeps a copy of `jwks.json` has to read it again within this time.
        #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
        activate_in: Duration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Seal anew what is sealed under the root key (signing keys, secrets of authenticator apps): the one that was comes
    /// from standard input, the present one is `PLINTH_SECRET_KEY`. Safe to run twice; prints one line of JSON.
    Reseal,
    /// End a signing key at once, as after a leak: every token that it signed is refused. A new one takes its place.
    Retire {
        /// The key's name.
        kid: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
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
    /// Create accounts from standard input, one JSON object a line: `email`, and any of `password_hash` (PHC and crypt
    /// forms, Django, better-auth, phpass), `keycloak_credential`, `firebase_hash` (`hash`, `salt`), `display_name`,
    /// `email_verified`, `created_at`, `roles`, `totp_secret` (base32). An address that is taken is passed over. A line
    /// that is refused is reported with its number; the command goes on, and fails at its end.
    Import {
        /// A JSON file with the password hash parameters of a Firebase project, as its console shows them:
        /// `base64_signer_key`, `base64_salt_separator`, `rounds`, `mem_cost`.
        #[arg(long, value_name = "FILE")]
        firebase_parameters: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last word of a process whose log may not have been set up.
            let _ = writeln!(
                std::io::stderr(),
                "plinth-api: {}",
                error_chain::format_error_chain(error.as_ref())
            );
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
        Command::Config {
            reference: true, ..
        } => plinth_platform::settings::markdown(),
        Command::Config { json, .. } => commands::effective_settings(json)?,
        Command::Openapi => app::document(),
        Command::Audit { reference: _ } => commands::audit_reference::markdown(),
        Command::Errors { reference: _ } => commands::error_reference::markdown(),
        // Both are 32 random bytes in base64.
        Command::Keys(Keys::Generate { signing: _ }) => {
            plinth_platform::crypto::RootKey::generate() + "\n"
        }
        Command::Keys(Keys::List { json }) => run(keys::list(commands::settings()?, json))?,
        Command::Keys(Keys::Rotate { activate_in, json }) => {
            run(keys::rotate(commands::settings()?, activate_in, json))?
        }
        Command::Keys(Keys::Reseal) => {
            let before = std::io::read_to_string(std::io::stdin())?;
            run(keys::reseal(commands::settings()?, &before))?
        }
        Command::Keys(Keys::Retire { kid, json }) => {
            run(keys::retire(commands::settings()?, &kid, json))?
        }
        Command::Admin(Admin::Create { email, .. }) => run(commands::create_administrator(
            commands::settings()?,
            &email,
        ))?,
        Command::Admin(Admin::Import {
            firebase_parameters,
        }) => {
            let lines = std::io::stdin().lock();
            run(import::accounts(
                commands::settings()?,
                firebase_parameters.as_deref(),
                lines,
            ))?
        }
    };
    std::io::stdout().write_all(answer.as_bytes())?;
    Ok(())
}

fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
