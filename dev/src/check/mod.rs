//! `cargo dev check`: what CI checks before the tests, cheap checks first. Every check runs and
//! prints one line; one that fails says why below it.

mod code;
mod dependencies;
mod deployment;
mod generated;
mod linters;
mod migrations;
mod prose;
mod report;
mod security;
mod statements;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::build;
use crate::layout::Layout;
use crate::notices;
use crate::services::{Durability, Services};
use crate::up::{Signals, interrupted};
use crate::workspace::Workspace;

use linters::Linters;
use report::Report;

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let workspace = Workspace::new(layout, "check").await?;
    let mut report = Report::default();
    let work = without_database(&mut report, &workspace, layout);
    let Some(binaries) = signals.unless_told(work).await? else {
        return Ok(interrupted());
    };
    let start = async { Ok(workspace.services(Durability::None).await) };
    let Some(services) = signals.unless_told(start).await? else {
        return Ok(interrupted());
    };
    let work = with_database(&mut report, &workspace, layout, binaries, services.as_ref());
    let outcome = signals.unless_told(work).await;
    if let Ok(services) = services {
        services.stop().await;
    }
    Ok(outcome?.map_or(interrupted(), |()| report.close()))
}

/// Returns the folder of the built binaries.
async fn without_database(
    report: &mut Report,
    workspace: &Workspace,
    layout: &Layout,
) -> Result<Result<PathBuf>> {
    let folder = &workspace.layout().dev;
    report.check("rustfmt", code::rustfmt(layout)).await;
    let security = async { security::check(&layout.root) };
    report.check("docs/security/asvs.md", security).await;
    let statements = async { statements::check(&layout.root) };
    report.check("statement deadlines", statements).await;
    let prose = async { prose::check(&layout.root) };
    report.check("words and widths", prose).await;
    match Linters::install(layout).await {
        Ok(linters) => with_linters(report, &linters, folder).await,
        Err(error) => report.check("linters", async { Err(error) }).await,
    }
    let nginx = deployment::nginx(layout, folder);
    report.check("deploy/nginx.conf", nginx).await;
    let checkov = deployment::checkov(layout, folder);
    report.check("deployment policies", checkov).await;
    let notices = generated::notices(layout);
    report.check(notices::FILE, notices).await;
    let mut binaries = Err(anyhow!("the build failed"));
    let build = async {
        binaries = build::quietly(layout).await;
        let outcome = binaries.as_ref().map(|_| String::new());
        outcome.map_err(|error| anyhow!("{error:#}"))
    };
    report.check("build", build).await;
    for (file, command) in generated::FILES {
        let check = generated::check(layout, &binaries, file, command);
        report.check(file, check).await;
    }
    Ok(binaries)
}

async fn with_linters(report: &mut Report, linters: &Linters<'_>, folder: &std::path::Path) {
    report.check("spelling", linters.typos()).await;
    let unused = linters.unused_dependencies();
    report.check("unused dependencies", unused).await;
    let deny = dependencies::check(linters, folder);
    report.check("licences and sources", deny).await;
    let locks = migrations::check_locks(linters);
    report.check("locks of migrations", locks).await;
    report.check("Dockerfile", linters.hadolint()).await;
    let compose = deployment::compose(linters);
    report.check("docker-compose.yml", compose).await;
    report.check("k8s/", deployment::kubernetes(linters)).await;
}

/// Checks what needs a database, and compiles everything once more.
async fn with_database(
    report: &mut Report,
    workspace: &Workspace,
    layout: &Layout,
    binaries: Result<PathBuf>,
    services: Result<&Services, &anyhow::Error>,
) -> Result<()> {
    let mut database = None;
    let migrations = async {
        let services = services.map_err(|error| anyhow!("{error:#}"))?;
        let binaries = binaries.map_err(|error| anyhow!("{error:#}"))?;
        database = Some(migrations::apply(services, layout, &binaries).await?);
        Ok(String::new())
    };
    report.check("migrations", migrations).await;
    let mut queries = None;
    let clippy = code::clippy(layout, workspace, database.as_deref(), &mut queries);
    report.check("clippy", clippy).await;
    let sqlx = async {
        let queries = queries.ok_or_else(|| anyhow!("needs a database, and clippy to pass"));
        code::queries(layout, &queries?)
    };
    report.check(".sqlx", sqlx).await;
    Ok(())
}
