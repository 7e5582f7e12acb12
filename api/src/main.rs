//! `plinth-api`: the command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use plinth_api::commands::{import, keys};
use plinth_api::{app, commands};
use plinth_platform::error_chain;

/// Faster than the allocator of the system, and returns memory after a burst.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The API server of Plinth.
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
    /// Bring the database schema up to date. Safe to run twice, and by several processes at once.
    Migrate,
    /// Print the effective settings, with secrets redacted.
    Config {
        /// Print the reference page of all settings instead.
        #[arg(long)]
        reference: bool,
        /// Print JSON.
        #[arg(long, conflicts_with = "reference")]
        json: bool,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Document the audit log.
    Audit {
        /// Print the reference page of all audited actions.
        #[arg(long, required = true)]
        reference: bool,
    },
    /// Document the error codes.
    Errors {
        /// Print the reference page of all error codes.
        #[arg(long, required = true)]
        reference: bool,
    },
    /// Manage keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Manage administrators.
    #[command(subcommand)]
    Admin(Admin),
}

#[derive(Subcommand)]
enum Keys {
    /// Print a new root key for `PLINTH_SECRET_KEY`.
    Generate {
        /// Print a key for `PLINTH_AUTH_SIGNING_KEYS` instead.
        #[arg(long)]
        signing: bool,
    },
    /// List the keys that sign and verify access tokens.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Create a signing key. It is published now and signs later; tokens of the previous key stay
    /// valid until they expire.
    Rotate {
        /// When the new key starts to sign. Every copy of `jwks.json` has to be refreshed within
        /// this time.
        #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
        activate_in: Duration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Encrypt again what is encrypted under the root key (signing keys, secrets of authenticator
    /// apps). Reads the previous root key from standard input; the current one is
    /// `PLINTH_SECRET_KEY`. Safe to run twice. Prints one line of JSON.
    Reseal,
    /// Retire a signing key at once, for example after a leak. All tokens that it signed are
    /// refused, and a new key replaces it.
    Retire {
        /// The id of the key.
        kid: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum Admin {
    /// Create an administrator with this address and password, unless one exists.
    Create {
        #[arg(long)]
        email: String,
        /// Read the password from standard input, so that it never appears in a list of processes.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Create accounts from standard input, one JSON object per line: `email`, and any of
    /// `password_hash` (PHC and crypt formats, Django, better-auth, phpass), `keycloak_credential`,
    /// `firebase_hash` (`hash`, `salt`), `display_name`, `email_verified`, `created_at`, `roles`,
    /// `totp_secret` (base32). Existing addresses are skipped. An invalid line is reported with its
    /// number; the command continues with the next line and fails at the end.
    Import {
        /// A JSON file with the password hash parameters of a Firebase project, as its console
        /// shows them: `base64_signer_key`, `base64_salt_separator`, `rounds`, `mem_cost`.
        #[arg(long, value_name = "FILE")]
        firebase_parameters: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not be set up yet.
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
