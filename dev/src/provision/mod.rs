//! The programs that Plinth needs beside Rust: found on this machine, or
//! installed by its package manager without ever starting a system service.

mod find;
mod install;
pub(crate) mod node;
mod packages;
pub(crate) mod python;

use std::path::PathBuf;

use anyhow::{Result, bail};

pub(crate) use find::Postgres;

/// A program that a verb needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Postgres,
    Redis,
    Nginx,
    PythonVenv,
    Node,
    Wrk,
    Nasm,
    Chromium,
    Faketime,
    Clamd,
}

impl Tool {
    /// The tool as people call it, with the version that is needed.
    fn title(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL 14 or newer",
            Self::Redis => "Redis 6.2 or newer",
            Self::Nginx => "nginx",
            Self::PythonVenv => "Python 3 with venv",
            Self::Node => "Node 18 or newer with npm",
            Self::Wrk => "wrk",
            Self::Nasm => "nasm",
            Self::Chromium => "Chromium",
            Self::Faketime => "libfaketime",
            Self::Clamd => "clamd",
        }
    }

    fn apt_package(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Redis => "redis-server",
            Self::Nginx => "nginx-light",
            Self::PythonVenv => "python3-venv",
            // It brings Node along.
            Self::Node => "npm",
            Self::Wrk => "wrk",
            Self::Nasm => "nasm",
            Self::Chromium => "chromium",
            Self::Faketime => "libfaketime",
            Self::Clamd => "clamav-daemon",
        }
    }

    fn brew_formula(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql@17",
            Self::Redis => "redis",
            Self::Nginx => "nginx",
            Self::PythonVenv => "python@3",
            Self::Node => "node",
            Self::Wrk => "wrk",
            Self::Nasm => "nasm",
            Self::Chromium => "chromium",
            Self::Faketime => "libfaketime",
            Self::Clamd => "clamav",
        }
    }

    fn is_present(self) -> bool {
        match self {
            Self::Postgres => find::postgres(None).is_some(),
            Self::Redis => find::redis().is_some(),
            Self::Nginx => find::nginx().is_some(),
            Self::PythonVenv => find::python_with_venv().is_some(),
            Self::Node => on_path("node").is_some() && on_path("npm").is_some(),
            Self::Wrk => on_path("wrk").is_some(),
            Self::Nasm => on_path("nasm").is_some(),
            Self::Chromium => chromium_here().is_some(),
            Self::Faketime => find::faketime().is_some(),
            Self::Clamd => on_path("clamd").is_some(),
        }
    }

    /// What a person can do when we cannot.
    fn advice(self) -> &'static str {
        match self {
            Self::Postgres => ", or set PLINTH_DATABASE_URL to a database of your own",
            Self::Redis => ", or set PLINTH_REDIS_URL to a server of your own",
            Self::Nginx
            | Self::PythonVenv
            | Self::Node
            | Self::Wrk
            | Self::Nasm
            | Self::Chromium
            | Self::Faketime
            | Self::Clamd => "",
        }
    }
}

/// Makes sure that all of these are here, installing what is missing in one go.
/// The error is one line that says what a person has to install.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing = absent(tools);
    if missing.is_empty() {
        return Ok(());
    }
    let outcome = install::install(&missing);
    let missing = absent(tools);
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let names: Vec<_> = missing.iter().map(|tool| tool.title()).collect();
    let why = match outcome {
        Ok(()) => "the package manager has no version that is new enough".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    bail!(
        "{} missing ({why}): please install {}{}",
        names.join(" and "),
        install::packages(&missing).join(" "),
        if missing.len() == 1 {
            first.advice()
        } else {
            ""
        },
    );
}

fn absent(tools: &[Tool]) -> Vec<Tool> {
    tools
        .iter()
        .copied()
        .filter(|tool| !tool.is_present())
        .collect()
}

/// PostgreSQL's programs; `major` asks for the release that made existing data.
pub(crate) fn postgres(major: Option<u32>) -> Result<Postgres> {
    ensure(&[Tool::Postgres])?;
    match find::postgres(major) {
        Some(found) => Ok(found),
        None => bail!(
            "the data in .dev was made by PostgreSQL {}, which is gone: `cargo dev reset` starts anew",
            major.unwrap_or_default()
        ),
    }
}

/// The path of redis-server.
pub(crate) fn redis() -> Result<PathBuf> {
    required(Tool::Redis, find::redis)
}

/// A program that somebody put on PATH or in a usual place.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    find::places(name).into_iter().next()
}

/// The path of nginx.
pub(crate) fn nginx() -> Result<PathBuf> {
    required(Tool::Nginx, find::nginx)
}

/// The path of Chromium; one that is not here is installed in continuous integration, where no test is skipped.
pub(crate) fn chromium() -> Result<Option<PathBuf>> {
    match chromium_here() {
        None if std::env::var_os("CI").is_some() => {
            required(Tool::Chromium, chromium_here).map(Some)
        }
        here => Ok(here),
    }
}

fn chromium_here() -> Option<PathBuf> {
    on_path("chromium").or_else(|| on_path("chromium-browser"))
}

/// The library that gives a process another time of day; installed as Chromium is.
pub(crate) fn faketime() -> Result<Option<PathBuf>> {
    match find::faketime() {
        None if std::env::var_os("CI").is_some() => {
            required(Tool::Faketime, find::faketime).map(Some)
        }
        here => Ok(here),
    }
}

/// The path of clamd, `ClamAV`'s daemon.
pub(crate) fn clamd() -> Result<PathBuf> {
    required(Tool::Clamd, || on_path("clamd"))
}

/// The same for tests; installed as Chromium is.
pub(crate) fn clamd_for_tests() -> Result<Option<PathBuf>> {
    match on_path("clamd") {
        None if std::env::var_os("CI").is_some() => clamd().map(Some),
        here => Ok(here),
    }
}

/// The path of wrk, the load generator of the benchmarks.
pub(crate) fn wrk() -> Result<PathBuf> {
    required(Tool::Wrk, || on_path("wrk"))
}

/// What the decoder of JPEGs needs where it is built to be fast; without it the build goes well all the same.
pub(crate) fn assembler() -> Result<()> {
    if cfg!(target_arch = "x86_64") {
        ensure(&[Tool::Nasm])
    } else {
        Ok(())
    }
}

fn required(tool: Tool, find: impl Fn() -> Option<PathBuf>) -> Result<PathBuf> {
    ensure(&[tool])?;
    match find() {
        Some(path) => Ok(path),
        None => bail!("{} was there a moment ago and is gone", tool.title()),
    }
}
