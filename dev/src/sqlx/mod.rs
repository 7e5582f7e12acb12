//! `cargo dev sqlx`: regenerates .sqlx, the query data that lets the workspace
//! build without a database, by compiling every query against a migrated one.

mod data;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::backing::Durability;
use crate::build;
use crate::cli::Sqlx;
use crate::console;
use crate::layout::{Layout, make_dir};
use crate::process::foreground;
use crate::scratch::Scratch;
use crate::stack::Foundation;
use crate::up::{Signals, interrupted};

pub(crate) async fn run(layout: &Layout, args: Sqlx) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let scratch = Scratch::new(layout, "sqlx").await?;
    let Some(foundation) = signals
        .unless_told(scratch.services(Durability::None))
        .await?
    else {
        return Ok(interrupted());
    };
    let regenerated = signals
        .unless_told(regenerate(&scratch, &foundation, layout))
        .await;
    foundation.stop().await;
    let Some(fresh) = regenerated? else {
        return Ok(interrupted());
    };
    let committed = folder(layout);
    let differences = data::compare(&fresh, &committed)?;
    if differences.is_empty() {
        console::note(".sqlx is up to date");
        return Ok(ExitCode::SUCCESS);
    }
    for difference in &differences {
        console::print(difference);
    }
    if args.check {
        console::complain(".sqlx is not up to date: run `cargo dev sqlx` and commit it");
        return Ok(ExitCode::FAILURE);
    }
    data::replace(&fresh, &committed)?;
    console::note(".sqlx was brought up to date; commit it");
    Ok(ExitCode::SUCCESS)
}

/// Compiles every query against a new database and returns the folder of the
/// query data.
async fn regenerate(
    scratch: &Scratch,
    foundation: &Foundation,
    layout: &Layout,
) -> Result<PathBuf> {
    let url = foundation.backing().create_database("queries")?;
    for file in migrations(&layout.root.join("migrations"))? {
        foundation.backing().run_sql("queries", &file)?;
    }
    let queries = Queries::begin(layout, &scratch.layout().dev.join("queries"), &url)?;
    let mut cargo = build::cargo(layout)?;
    cargo.args(["build", "--workspace", "--bins"]);
    if queries.in_tests() {
        cargo.arg("--tests");
    }
    queries.check_against_database(&mut cargo);
    ensure!(
        foreground::status(&mut cargo).await?.success(),
        "the build failed; .sqlx is as it was"
    );
    Ok(queries.fresh)
}

/// Query data in the making: while this lives, sources with queries look changed,
/// so that cargo compiles them again; then they get their times back.
#[derive(Debug)]
pub(crate) struct Queries {
    fresh: PathBuf,
    url: String,
    touched: sources::Touched,
}

impl Queries {
    /// `fresh` is the folder that receives the data.
    pub(crate) fn begin(layout: &Layout, fresh: &Path, url: &str) -> Result<Self> {
        make_dir(fresh, 0o700)?;
        let touched = sources::touch(&layout.root)?;
        Ok(Self {
            fresh: fresh.to_owned(),
            url: url.to_owned(),
            touched,
        })
    }

    /// Whether tests have queries of their own.
    fn in_tests(&self) -> bool {
        self.touched.in_tests()
    }

    /// Makes this cargo ask the database, and keep what it said.
    pub(crate) fn check_against_database(&self, cargo: &mut Command) {
        cargo
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", &self.fresh)
            .env("DATABASE_URL", &self.url);
    }

    /// How the committed data differs from the fresh, one line a query.
    pub(crate) fn differences(&self, layout: &Layout) -> Result<Vec<String>> {
        data::compare(&self.fresh, &folder(layout))
    }
}

fn folder(layout: &Layout) -> PathBuf {
    layout.root.join(".sqlx")
}

/// The migrations in their order.
fn migrations(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).context("reading the migrations")?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    Ok(files)
}
