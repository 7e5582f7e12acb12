//! `cargo dev test`: builds, starts private services with a migrated template
//! database, runs every test against them, and stops them again.

mod moto;
mod runner;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::backing::{BUCKET, Durability};
use crate::build::{self, Profile};
use crate::cli::Test;
use crate::console;
use crate::layout::{Layout, write_private_json};
use crate::process::{Account, foreground, orphans};
use crate::provision::{self, node, python};
use crate::scratch::Scratch;
use crate::stack::Foundation;
use crate::up::{Signals, interrupted};

use moto::Moto;

/// The database that each test's own is copied from.
const TEMPLATE: &str = "plinth_template";

/// What the test of a generated Python client needs: the generator, and what the
/// client that it writes imports.
const CLIENT_TOOLS: [&str; 4] = [
    "openapi-python-client==0.29.1",
    "httpx==0.28.1",
    "attrs==26.1.0",
    "python-dateutil==2.9.0.post0",
];

/// What the test kit learns about this run, as JSON in the file that
/// `PLINTH_TEST_SERVICES` names.
#[derive(Debug, Serialize)]
struct Services<'a> {
    maintenance_url: &'a str,
    template_database: &'a str,
    redis_url: &'a str,
    s3_endpoint: &'a str,
    s3_bucket: &'a str,
    s3_access_key_id: &'a str,
    s3_secret_access_key: &'a str,
    moto_url: &'a str,
    smtp_url: &'a str,
    mailbox_url: &'a str,
    #[serde(flatten)]
    programs: Programs<'a>,
}

/// Where the programs are that tests start.
#[derive(Debug, Serialize)]
struct Programs<'a> {
    /// The folder with plinth-api, plinth-worker and plinth-dev.
    binaries: &'a Path,
    #[serde(flatten)]
    languages: &'a Languages,
    /// A browser, where there is one.
    chromium: Option<&'a Path>,
    /// What gives a process another clock, where it is.
    faketime: Option<PathBuf>,
    /// The scanner for viruses, where it is.
    clamd: Option<PathBuf>,
    /// What a test starts that stops its servers.
    redis_server: PathBuf,
    postgres: Postgres,
}

/// What runs programs in other languages.
#[derive(Debug, Serialize)]
struct Languages {
    /// A Python with the tools of the generated client.
    python: PathBuf,
    /// A Python with what others have written.
    python_clients: PathBuf,
    node: PathBuf,
    /// What others have written in JavaScript.
    node_modules: PathBuf,
}

/// Programs that a developer's machine may be without.
struct Optional {
    chromium: Option<PathBuf>,
    faketime: Option<PathBuf>,
    clamd: Option<PathBuf>,
}

/// PostgreSQL's programs, and who runs them: nobody else than the tests where there is no such account.
#[derive(Debug, Serialize)]
struct Postgres {
    folder: PathBuf,
    /// User and group.
    account: Option<(u32, u32)>,
}

impl Postgres {
    fn here() -> Result<Self> {
        let account =
            Account::for_postgres()?.map(|account| (account.uid.as_raw(), account.gid.as_raw()));
        Ok(Self {
            folder: provision::postgres(None)?.bin,
            account,
        })
    }
}

pub(crate) async fn run(layout: &Layout, args: Test) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    orphans::adopt();
    let scratch = Scratch::new(layout, "test").await?;
    let code = match run_in(&scratch, layout, args, &mut signals).await {
        Ok(Some(status)) => code_of(status),
        Ok(None) => Ok(interrupted()),
        Err(error) => Err(error),
    };
    orphans::end().await;
    code
}

/// None when a signal came first.
async fn run_in(
    scratch: &Scratch,
    layout: &Layout,
    args: Test,
    signals: &mut Signals,
) -> Result<Option<ExitStatus>> {
    let preparations = async {
        let chromium = provision::chromium()?;
        if chromium.is_none() {
            // The test itself passes, and the runner hides what it says.
            console::note(
                "SKIPPED: passkeys and upload clients in a browser; chromium is not installed",
            );
        }
        let faketime = provision::faketime()?;
        if faketime.is_none() {
            console::note(
                "SKIPPED: worker processes with a wrong clock; libfaketime is not installed",
            );
        }
        let clamd = provision::clamd_for_tests()?;
        if clamd.is_none() {
            console::note("SKIPPED: scans for viruses; clamd is not installed");
        }
        let binaries = build::binaries(layout, Profile::Debug).await?;
        let python = python::environment(layout, "client", &CLIENT_TOOLS).await?;
        let tests = layout.root.join("tests/tests");
        let python_clients =
            python::locked(layout, "clients", &tests.join("python/requirements.txt")).await?;
        let (node, node_modules) =
            node::modules(layout, "node-clients", &tests.join("node")).await?;
        let mut foundation = scratch.services(Durability::None).await?;
        let moto = Moto::start(&python_clients, &mut foundation)?;
        let languages = Languages {
            python,
            python_clients,
            node,
            node_modules,
        };
        Ok((
            binaries,
            languages,
            Optional {
                chromium,
                faketime,
                clamd,
            },
            foundation,
            moto,
        ))
    };
    let Some((binaries, languages, optional, foundation, moto)) =
        signals.unless_told(preparations).await?
    else {
        return Ok(None);
    };
    let prepared = async {
        let url = foundation.backing().create_database(TEMPLATE)?;
        foundation.migrate(&binaries, &url).await?;
        let programs = Programs {
            binaries: &binaries,
            languages: &languages,
            chromium: optional.chromium.as_deref(),
            faketime: optional.faketime,
            clamd: optional.clamd,
            redis_server: provision::redis()?,
            postgres: Postgres::here()?,
        };
        describe(scratch, &foundation, &moto.url, programs)
    };
    let outcome = match signals.unless_told(prepared).await {
        Ok(Some(file)) => {
            let mut command = runner::command(layout, &args.args).await?;
            command.env("PLINTH_TEST_SERVICES", file);
            foreground::until_told(&mut command, signals).await
        }
        otherwise => otherwise.map(|_| None),
    };
    moto.stop().await;
    foundation.stop().await;
    if !matches!(&outcome, Ok(Some(status)) if status.success()) {
        console::note("the services' logs are in .dev/logs/test");
    }
    outcome
}

/// Writes the file for the test kit and returns its path.
fn describe(
    scratch: &Scratch,
    foundation: &Foundation,
    moto_url: &str,
    programs: Programs<'_>,
) -> Result<PathBuf> {
    let addresses = &foundation.backing().addresses;
    let facts = foundation.facts();
    let services = Services {
        maintenance_url: &addresses.maintenance_url,
        template_database: TEMPLATE,
        redis_url: &addresses.redis_url,
        s3_endpoint: &addresses.s3_endpoint,
        s3_bucket: BUCKET,
        s3_access_key_id: &facts.s3_access_key_id,
        s3_secret_access_key: &facts.s3_secret_access_key,
        moto_url,
        smtp_url: &addresses.smtp_url,
        mailbox_url: &addresses.mailbox_url,
        programs,
    };
    let path = scratch.layout().dev.join("services.json");
    write_private_json(&path, &services)?;
    Ok(path)
}

/// The runner's own exit status; of one that a signal ended, what a shell says.
fn code_of(status: ExitStatus) -> Result<ExitCode> {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    let code = code.context("the test runner ended without a status")?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
