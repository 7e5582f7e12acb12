//! `cargo dev sqlx`: regenerates .sqlx, the query data that lets the workspace build without a
//! database, by compiling every query against a migrated one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::UtimensatFlags::FollowSymlink;
use nix::sys::stat::utimensat;
use nix::sys::time::TimeSpec;
use tokio::process::Command;

use crate::build;
use crate::console;
use crate::layout::{Layout, make_dir};
use crate::process::command;
use crate::services::{Durability, Services};
use crate::source_files;
use crate::up::{Signals, interrupted};
use crate::workspace::Workspace;

/// The database that the queries are compiled against.
const DATABASE: &str = "queries";

/// The macros that need query data.
const MACROS: [&str; 6] = [
    "query!",
    "query_as!",
    "query_scalar!",
    "query_file!",
    "query_file_as!",
    "query_file_scalar!",
];

pub(crate) async fn run(layout: &Layout) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let workspace = Workspace::new(layout, "sqlx").await?;
    let start = workspace.services(Durability::None);
    let Some(services) = signals.unless_told(start).await? else {
        return Ok(interrupted());
    };
    let compile = compile(&workspace, &services, layout);
    let compiled = signals.unless_told(compile).await;
    services.stop().await;
    let Some(queries) = compiled? else {
        return Ok(interrupted());
    };
    let differences = queries.differences(layout)?;
    for difference in &differences {
        console::print(difference);
    }
    queries.write(layout)?;
    console::note(if differences.is_empty() {
        ".sqlx is up to date"
    } else {
        ".sqlx was updated; commit it"
    });
    Ok(ExitCode::SUCCESS)
}

/// Compiles every query, those of tests too, against a new database.
async fn compile(workspace: &Workspace, services: &Services, layout: &Layout) -> Result<Queries> {
    let url = services.create_database(DATABASE)?;
    let entries = fs::read_dir(layout.root.join("migrations")).context("reading migrations/")?;
    let migrations: Result<BTreeSet<_>, _> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    for file in migrations? {
        services.cluster()?.run_migration(DATABASE, &file)?;
    }
    let queries = Queries::begin(layout, &workspace.layout().dev.join("queries"), &url)?;
    let mut cargo = build::cargo(layout);
    cargo.args(["check", "--workspace", "--all-targets"]);
    queries.check_against_database(&mut cargo);
    let status = command::status(&mut cargo).await?;
    ensure!(status.success(), "the build failed; .sqlx is unchanged");
    Ok(queries)
}

/// New query data. While this value lives, the sources with queries look changed, so that cargo
/// compiles them again.
#[derive(Debug)]
pub(crate) struct Queries {
    folder: PathBuf,
    url: String,
    _touched: Touched,
}

impl Queries {
    /// The data is written into `folder`.
    pub(crate) fn begin(layout: &Layout, folder: &Path, url: &str) -> Result<Self> {
        make_dir(folder, 0o700)?;
        Ok(Self {
            folder: folder.to_owned(),
            url: url.to_owned(),
            _touched: Touched::below(&layout.root)?,
        })
    }

    /// Makes a build of cargo query the database and keep the answers.
    pub(crate) fn check_against_database(&self, cargo: &mut Command) {
        cargo
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", &self.folder)
            .env("DATABASE_URL", &self.url);
    }

    /// Returns a line for each query whose committed data is missing, changed or stale.
    pub(crate) fn differences(&self, layout: &Layout) -> Result<Vec<String>> {
        let (new, committed) = (read(&self.folder)?, read(&layout.root.join(".sqlx"))?);
        let names: BTreeSet<_> = new.keys().chain(committed.keys()).collect();
        let compare = |name: &String| match (new.get(name), committed.get(name)) {
            (Some(text), None) => Some(describe("missing", text)),
            (None, Some(text)) => Some(describe("stale", text)),
            (Some(text), Some(old)) if text != old => Some(describe("changed", text)),
            _ => None,
        };
        Ok(names.into_iter().filter_map(compare).collect())
    }

    /// Replaces the committed data.
    fn write(&self, layout: &Layout) -> Result<()> {
        let folder = layout.root.join(".sqlx");
        for name in read(&folder)?.keys() {
            fs::remove_file(folder.join(name)).with_context(|| format!("removing {name}"))?;
        }
        for (name, text) in read(&self.folder)? {
            fs::write(folder.join(&name), text).with_context(|| format!("writing {name}"))?;
        }
        Ok(())
    }
}

/// Returns the files of a folder with query data.
fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            files.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

fn describe(difference: &str, text: &str) -> String {
    let data: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let query = data["query"].as_str().unwrap_or_default();
    let words: Vec<_> = query.split_whitespace().collect();
    let short: String = words.join(" ").chars().take(80).collect();
    format!("{difference}: {short}")
}

/// Sources with a new modification time. Dropped, they get their old one back, so that other builds
/// stay fresh.
#[derive(Debug)]
struct Touched(Vec<Source>);

#[derive(Debug)]
struct Source {
    path: PathBuf,
    before: SystemTime,
    touched: SystemTime,
}

impl Touched {
    fn below(root: &Path) -> Result<Self> {
        let own = root.join("dev");
        let mut touched = Self(Vec::new());
        for path in source_files::rust_below(root)? {
            let text = fs::read_to_string(&path).unwrap_or_default();
            if path.starts_with(&own) || !MACROS.iter().any(|name| text.contains(name)) {
                continue;
            }
            let before = modified(&path)?;
            utimensat(
                AT_FDCWD,
                &path,
                &TimeSpec::UTIME_OMIT,
                &TimeSpec::UTIME_NOW,
                FollowSymlink,
            )
            .with_context(|| format!("touching {}", path.display()))?;
            let touched_at = modified(&path)?;
            touched.0.push(Source {
                path,
                before,
                touched: touched_at,
            });
        }
        Ok(touched)
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        for source in &self.0 {
            // A file that was edited meanwhile keeps its time.
            let is_unchanged = modified(&source.path).is_ok_and(|now| now == source.touched);
            if is_unchanged && let Ok(file) = File::options().append(true).open(&source.path) {
                let _ = file.set_modified(source.before);
            }
        }
    }
}

fn modified(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).and_then(|metadata| metadata.modified());
    metadata.with_context(|| format!("reading the time of {}", path.display()))
}
