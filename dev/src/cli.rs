//! The command line of `cargo dev`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::bench::SCENARIOS;

/// Run, try, test and check Plinth from this checkout.
///
/// Without a verb it is `cargo dev up`. PostgreSQL, Redis and (for replicas) nginx are found on
/// this machine or installed with apt-get, and run as private instances on free ports with their
/// data under .dev/. No system service is started or changed. PLINTH_DATABASE_URL and
/// PLINTH_REDIS_URL, if set, are used instead of private instances.
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
    /// Returns the verb; `up` by default.
    pub(crate) fn verb(self) -> Verb {
        self.verb.unwrap_or(Verb::Up(self.up))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Build and run the whole product until Ctrl-C (the default verb)
    ///
    /// Starts PostgreSQL, Redis, an S3 endpoint and a mailbox, applies the migrations, creates an
    /// administrator, starts the API and a worker, and prints a table with every address and
    /// credential. .dev/stack.json has the same for tools; logs are in .dev/logs/.
    Up(Up),
    /// Stop the stack of `cargo dev` or `cargo dev --detach`
    Stop,
    /// Stop, then delete .dev/ with all its data (databases, files, logs, keys)
    ///
    /// Downloaded tools under .dev/tools are deleted as well.
    Reset,
    /// Walk the main journey against the running product, one line a step
    ///
    /// Registers, verifies the address by the mail, logs in, uploads a photograph, waits for its
    /// thumbnails, downloads all of it, reads the notification and the audit log; uploads with tus,
    /// interrupted once, downloads ranges, shares by a link, deletes, restores and deletes for
    /// good; then sessions and second factors. Ends at the first step that fails. If nothing runs,
    /// starts a stack for this run.
    Smoke,
    /// Run every test against private services
    ///
    /// Runs cargo-nextest, which is installed under .dev/tools once. `-p` and `-E` come first; the
    /// rest is passed through, e.g. `cargo dev test -p plinth-api login`.
    Test(Test),
    /// Check what CI checks before the tests: format, lints, spelling, dependencies, the security
    /// table, generated files, migrations, deployment files
    ///
    /// Prints one line for each check and runs all of them. Prebuilt linters are installed under
    /// .dev/tools once. Advisories are checked if `PLINTH_ADVISORY_DB` (or ~/.cargo/advisory-db)
    /// has a copy of their database.
    Check,
    /// Measure the product: release build, one JSON object a figure on stdout
    ///
    /// Starts a stack without rate limits for this run. A table follows on stderr.
    /// docs/explanation/performance.md explains the scenarios.
    Bench(Bench),
    /// Kill processes and take stores away, then check that no job was lost or ran twice at once
    ///
    /// Prints its seed. The same seed draws the same faults again, at other moments of the
    /// programs.
    Chaos(Chaos),
    /// Render the pictures of a folder as a worker does and compare them with libvips
    ///
    /// Renders every file under the folder in the sandboxed process by the default presets, and
    /// compares the means of 8 x 8 pixels with those of libvips (or Pillow). Prints a table by
    /// format, then each file that differs by more than 5 levels of 255 and each that only the
    /// reference shows. Fails if the process crashed on a file, or if there is none.
    Corpus(Corpus),
    /// Regenerate .sqlx, the query data that lets the workspace build offline
    Sqlx,
    /// Write THIRD-PARTY-NOTICES, the licences of every crate in the binaries
    ///
    /// Run it after a change of Cargo.lock. `cargo dev check` compares the file.
    Notices,
    /// Write the list of breached and common passwords that the product refuses
    ///
    /// Reads text files with one password a line, the most common ones first, until the list is
    /// full. docs/explanation/accounts.md names the lists of the committed one.
    Breached(Breached),
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
pub(crate) struct Test {
    /// Run only the tests of this package
    #[arg(short, long = "package", value_name = "PACKAGE")]
    pub(crate) packages: Vec<String>,
    /// Run only the tests that match this filter of nextest
    #[arg(short = 'E', long = "filterset", value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// Passed to `cargo nextest run`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub(crate) args: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The scenarios to measure; all by default
    #[arg(value_name = "SCENARIO", value_parser = SCENARIOS)]
    pub(crate) scenarios: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Chaos {
    /// The duration of the faults; every kind is met from 2 minutes on
    #[arg(long, default_value_t = 5.0)]
    pub(crate) minutes: f64,
    /// The order of the faults
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The binaries are built already
    #[arg(long, hide = true)]
    pub(crate) built: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Corpus {
    /// The folder of the pictures; nothing is downloaded
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Breached {
    /// The lists, the most common passwords first
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
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
    fn packages_and_filters_come_first_and_the_rest_passes_through() {
        let line = ["cargo dev", "test", "-p", "plinth-api", "--", "--nocapture"];
        let Verb::Test(test) = Cli::parse_from(line).verb() else {
            panic!("test was expected");
        };
        assert_eq!(test.packages, ["plinth-api"]);
        assert_eq!(test.args, ["--nocapture"]);
    }
}
