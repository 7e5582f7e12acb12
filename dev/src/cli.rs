//! The command line of `cargo dev`: its verbs and what each explains about itself.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Run, try, test and check Plinth from this checkout.
///
/// Without a verb it is `cargo dev up`. PostgreSQL, Redis and (for replicas)
/// nginx are found on this machine or installed by its package manager, and run
/// as private instances on free ports with their data under .dev/; no system
/// service is started or touched. PLINTH_DATABASE_URL and PLINTH_REDIS_URL, when
/// set, are used instead of private instances.
#[derive(Debug, Parser)]
#[command(
    name = "cargo dev",
    bin_name = "cargo dev",
    version,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    #[command(flatten)]
    up: Up,
}

impl Cli {
    /// The verb that was asked for; none means `up`.
    pub(crate) fn verb(self) -> Verb {
        self.verb.unwrap_or(Verb::Up(self.up))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Build and run the whole product until Ctrl-C (the default verb)
    ///
    /// Starts PostgreSQL, Redis, an S3 endpoint and a mailbox, applies the
    /// migrations, creates an administrator, starts the API and a worker, and
    /// prints one table with every address and credential. The same stands in
    /// .dev/stack.json for tools; logs are in .dev/logs/.
    Up(Up),
    /// Stop what `cargo dev` or `cargo dev --detach` started
    Stop,
    /// Stop, then delete .dev/ with all its data (databases, files, logs, keys)
    ///
    /// Downloaded tools under .dev/tools are deleted as well.
    Reset,
    /// Walk the main journey against the running product, one line a step
    ///
    /// Register, receive the mail, verify, log in, upload a photograph, wait for
    /// its thumbnails, download all, read the notification and the audit log;
    /// upload with tus, breaking off once, download ranges, share by a link,
    /// delete, restore and delete for good; sessions and second factors.
    /// When nothing runs, a stack of its own is started and stopped afterwards.
    Smoke(Smoke),
    /// Run every test against private services of their own
    ///
    /// Uses cargo-nextest when it is installed, else cargo test. Arguments are
    /// passed through, e.g. `cargo dev test -p plinth-api login`.
    Test(Test),
    /// Check what CI checks before the tests: format, lints, the security table,
    /// generated files, migrations, deployment files
    ///
    /// One line a check; all of them run. Linters are installed under .dev/tools
    /// once. Advisories are checked when `PLINTH_ADVISORY_DB` (or
    /// ~/.cargo/advisory-db) holds a copy of their database.
    Check,
    /// Measure the product: release build, one JSON object a figure on stdout
    ///
    /// Scenarios: idle (memory, start to ready), upload and download (1 GiB,
    /// against sealing alone and against the plain store; 50 uploads at once), me
    /// (an authenticated read against a bare handler), refresh, authz, login
    /// (against argon2id alone), jobs, thumbnails, listing (a page of 1,000,000
    /// files against one of 1,000).
    /// A stack of its own is started, without rate limits. A readable table
    /// follows on stderr.
    Bench(Bench),
    /// Kill workers and clients and take stores away, then check that no job was lost or ran twice at once
    ///
    /// Prints the seed of what it does; the same seed does the same again, at
    /// other moments of the programs that it does it to.
    Chaos(Chaos),
    /// Render the pictures of a folder as a worker does and compare them with libvips
    ///
    /// Every file under the folder goes through the sandboxed process by the
    /// default presets. The result is compared with what libvips (or Pillow) makes
    /// of it, by the means of 8 x 8 pixels. Prints a table by format, then each file
    /// that differs by more than 5 levels of 255 and each that only the reference
    /// shows. Fails if the process crashed on a file, or if there is none.
    Corpus(Corpus),
    /// Regenerate .sqlx, the query data that lets the workspace build offline
    Sqlx(Sqlx),
    /// Write THIRD-PARTY-NOTICES, the licences of every crate in the binaries
    ///
    /// To be run after Cargo.lock was changed. `cargo dev check` compares the file.
    Notices,
    /// Make the list of breached and common passwords that the product refuses
    ///
    /// Reads plain text lists, one password a line. What comes first is taken
    /// first, until the list is as large as it may be: give the most common ones
    /// first. docs/explanation/accounts.md says which lists the committed one is made of.
    Breached(Breached),
    /// Start a supervised program (used by `cargo dev` itself)
    #[command(name = "__child", hide = true)]
    Child(Child),
    /// Serve what `bench me` compares with (used by `cargo dev` itself)
    #[command(name = "__baseline", hide = true)]
    Baseline(Baseline),
    /// Hash as `bench login` compares with (used by `cargo dev` itself)
    #[command(name = "__hash", hide = true)]
    Hash(Hash),
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// Run in the background; `cargo dev stop` ends it
    #[arg(long)]
    pub(crate) detach: bool,
    /// API processes; two or more stand behind a private nginx with TLS
    #[arg(long, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) replicas: u16,
    /// Build and run the release profile
    #[arg(long)]
    pub(crate) release: bool,
    /// Scan files for viruses with a private clamd, which knows the EICAR test file
    #[arg(long)]
    pub(crate) clamd: bool,
    /// This process is the background half of --detach
    #[arg(long, hide = true)]
    pub(crate) background: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Smoke {
    /// Print one JSON object a line instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Passed to `cargo nextest run` (or `cargo test`) as they are
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub(crate) args: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The scenarios to measure; none means all
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// This process is the release build
    #[arg(long, hide = true)]
    pub(crate) built: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Chaos {
    /// How long things go wrong; from 2 minutes on every kind of fault is met
    #[arg(long, default_value_t = 5.0)]
    pub(crate) minutes: f64,
    /// What goes wrong, and in which order
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Everything is built already
    #[arg(long, hide = true)]
    pub(crate) built: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Corpus {
    /// The folder with the pictures; nothing is downloaded
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// The bare server that `bench me` compares with.
#[derive(Debug, Args)]
pub(crate) struct Baseline {
    #[arg(long)]
    pub(crate) redis_url: String,
    #[arg(long)]
    pub(crate) bind: SocketAddr,
}

/// The bare hashing that `bench login` compares with.
#[derive(Debug, Args)]
pub(crate) struct Hash {
    #[arg(long)]
    pub(crate) seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Sqlx {
    /// Compare with the committed data instead of writing it
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Breached {
    /// The lists, the most common passwords first
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// How a supervised program is to be started; see `process::shim`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Child {
    /// The supervisor's process id
    #[arg(long)]
    pub(crate) parent: i32,
    /// The signal that the kernel sends when the supervisor dies
    #[arg(long)]
    pub(crate) death_signal: String,
    /// Run under this user id
    #[arg(long, requires = "gid")]
    pub(crate) uid: Option<u32>,
    /// Run under this group id
    #[arg(long)]
    pub(crate) gid: Option<u32>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_verb_means_up_with_its_flags() {
        let cli = Cli::parse_from(["cargo dev", "--detach", "--replicas", "2"]);
        let Verb::Up(up) = cli.verb() else {
            panic!("up was expected");
        };
        assert!(up.detach);
        assert_eq!(up.replicas, 2);
    }

    #[test]
    fn test_arguments_pass_through_untouched() {
        let cli = Cli::parse_from(["cargo dev", "test", "-p", "plinth-api", "--", "--nocapture"]);
        let Verb::Test(test) = cli.verb() else {
            panic!("test was expected");
        };
        assert_eq!(test.args, ["-p", "plinth-api", "--", "--nocapture"]);
    }
}
