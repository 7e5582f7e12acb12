//! `cargo dev check`: what CI checks before the tests, cheap things first. Every
//! check runs and prints one line; one that failed says why below it.

mod balancer;
mod compose;
mod dependencies;
mod generated;
mod indexes;
mod kubernetes;
mod lints;
mod migrations;
mod report;
mod security;
mod statements;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::backing::Durability;
use crate::build::{self, Profile};
use crate::layout::Layout;
use crate::notices;
use crate::scratch::Scratch;
use crate::stack::Foundation;
use crate::up::{Signals, interrupted};

use report::Report;
use tools::Tools;

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let scratch = Scratch::new(layout, "check").await?;
    let mut report = Report::default();
    let Some(binaries) = signals
        .unless_told(files(&mut report, &scratch, layout))
        .await?
    else {
        return Ok(interrupted());
    };
    let Some(foundation) = signals
        .unless_told(async { Ok(scratch.services(Durability::None).await) })
        .await?
    else {
        return Ok(interrupted());
    };
    let rest = code(&mut report, &scratch, layout, binaries, foundation.as_ref());
    let outcome = signals.unless_told(rest).await;
    if let Ok(foundation) = foundation {
        foundation.stop().await;
    }
    Ok(if outcome?.is_none() {
        interrupted()
    } else {
        report.close()
    })
}

/// What needs no database; hands on the folder of the built binaries.
async fn files(report: &mut Report, scratch: &Scratch, layout: &Layout) -> Result<Result<PathBuf>> {
    report.check("rustfmt", lints::rustfmt(layout)).await;
    report
        .check("docs/security/asvs.md", async { security::check(layout) })
        .await;
    report
        .check("indexes in migrations/", async {
            indexes::check(&layout.root.join("migrations"))
        })
        .await;
    report
        .check("statement deadlines", async {
            statements::check(&layout.root)
        })
        .await;
    let tools = Tools::new(layout);
    report.check("Dockerfile", tools.hadolint()).await;
    report
        .check("docker-compose.yml", compose::check(&tools))
        .await;
    report.check("k8s/", kubernetes::check(&tools)).await;
    report
        .check("deploy/nginx.conf", balancer::check(layout, scratch))
        .await;
    report
        .check("deployment policies", tools.checkov(scratch))
        .await;
    report
        .check("licences and sources", dependencies::check(layout, scratch))
        .await;
    report
        .check(notices::FILE, generated::notices(layout))
        .await;
    let mut binaries = Err(anyhow!("the build failed"));
    report
        .check("build", async {
            binaries = build::quietly(layout, Profile::Debug).await;
            binaries
                .as_ref()
                .map(|_| String::new())
                .map_err(|error| anyhow!("{error:#}"))
        })
        .await;
    report
        .check("openapi.json", generated::openapi(layout, &binaries))
        .await;
    report
        .check(
            "docs/reference/settings.md",
            generated::configuration(layout, &binaries),
        )
        .await;
    report
        .check(
            "docs/reference/audit.md",
            generated::audit_actions(layout, &binaries),
        )
        .await;
    report
        .check(
            "docs/reference/errors.md",
            generated::error_codes(layout, &binaries),
        )
        .await;
    Ok(binaries)
}

/// What needs a database, or compiles everything once more.
async fn code(
    report: &mut Report,
    scratch: &Scratch,
    layout: &Layout,
    binaries: Result<PathBuf>,
    foundation: Result<&Foundation, &anyhow::Error>,
) -> Result<()> {
    let mut database = None;
    report
        .check("migrations", async {
            let foundation = foundation.map_err(|error| anyhow!("{error:#}"))?;
            let binaries = binaries.as_deref().map_err(|error| anyhow!("{error:#}"))?;
            database = Some(migrations::check(foundation, layout, binaries).await?);
            Ok(String::new())
        })
        .await;
    let mut queries = None;
    report
        .check(
            "clippy",
            lints::clippy(layout, scratch, database.as_deref(), &mut queries),
        )
        .await;
    report
        .check(".sqlx", async {
            match queries {
                Some(queries) => lints::queries(layout, &queries),
                None => Err(anyhow!(
                    "not compared, because no database or clippy failed"
                )),
            }
        })
        .await;
    Ok(())
}
