//! The programs that Plinth needs besides Rust: found on this machine, or installed with apt-get
//! without starting any system service.

mod find;
pub(crate) mod node;
mod packages;
pub(crate) mod python;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use nix::unistd::Uid;

use crate::console;

pub use find::Postgres;
pub(crate) use find::places;

/// Installs Debian packages and leaves the services of the machine as they were.
const APT_SCRIPT: &str = include_str!("apt-install.sh");

/// A program that a verb needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Postgres,
    Redis,
    Nginx,
    Python,
    Node,
    Npm,
    Wrk,
    Nasm,
    Chromium,
    Faketime,
    Clamd,
}

impl Tool {
    /// Returns its name with the version that is needed, and its Debian package.
    fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres => ("PostgreSQL 14 or newer", "postgresql"),
            Self::Redis => ("Redis 6.2 or newer", "redis-server"),
            Self::Nginx => ("nginx", "nginx-light"),
            Self::Python => ("Python 3 with venv", "python3-venv"),
            Self::Node => ("Node 18 or newer", "nodejs"),
            Self::Npm => ("npm", "npm"),
            Self::Wrk => ("wrk", "wrk"),
            Self::Nasm => ("nasm", "nasm"),
            Self::Chromium => ("Chromium", "chromium"),
            Self::Faketime => ("libfaketime", "libfaketime"),
            Self::Clamd => ("clamd", "clamav-daemon"),
        }
    }

    /// Returns its path on this machine.
    fn find(self) -> Option<PathBuf> {
        match self {
            Self::Postgres => find::postgres(None).map(|postgres| postgres.bin),
            Self::Redis => find::redis(),
            Self::Python => find::python_with_venv(),
            Self::Faketime => find::faketime(),
            Self::Chromium => on_path("chromium").or_else(|| on_path("chromium-browser")),
            Self::Nginx => on_path("nginx"),
            Self::Node => on_path("node"),
            Self::Npm => on_path("npm"),
            Self::Wrk => on_path("wrk"),
            Self::Nasm => on_path("nasm"),
            Self::Clamd => on_path("clamd"),
        }
    }
}

/// Installs the missing tools. The error names what has to be installed by hand.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing = || -> Vec<Tool> {
        let tools = tools.iter().copied();
        tools.filter(|tool| tool.find().is_none()).collect()
    };
    let absent = missing();
    if absent.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = absent.iter().map(|tool| tool.package().1).collect();
    let installed = apt_install(&packages);
    let absent: Vec<_> = missing().iter().map(|tool| tool.package().0).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let reason = match installed {
        Ok(()) => "the package manager has no version that is new enough".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    bail!(
        "{} missing ({reason}): please install {}; PLINTH_DATABASE_URL and PLINTH_REDIS_URL can name servers of your own",
        absent.join(" and "),
        packages.join(" "),
    )
}

/// Returns the path of a tool, which is installed if it is missing.
pub(crate) fn path(tool: Tool) -> Result<PathBuf> {
    ensure(&[tool])?;
    let path = tool.find();
    path.with_context(|| format!("{} has disappeared", tool.package().0))
}

/// Returns the path of a tool that a developer's machine may lack. Installs it only if CI is set.
pub(crate) fn optional(tool: Tool) -> Result<Option<PathBuf>> {
    match tool.find() {
        None if std::env::var_os("CI").is_some() => path(tool).map(Some),
        found => Ok(found),
    }
}

/// Returns PostgreSQL's programs, of the release `major` if data of it exist.
pub fn postgres(major: Option<u32>) -> Result<Postgres> {
    ensure(&[Tool::Postgres])?;
    find::postgres(major).with_context(|| {
        let major = major.unwrap_or_default();
        format!("the data in .dev need PostgreSQL {major}, which is missing: `cargo dev reset`")
    })
}

/// Returns a program on PATH or in the usual folders.
pub fn on_path(name: &str) -> Option<PathBuf> {
    places(name).into_iter().next()
}

/// Returns the path of wrk, the load generator of the benchmarks.
pub fn wrk() -> Result<PathBuf> {
    path(Tool::Wrk)
}

/// Installs the assembler of the JPEG decoder. Builds without it are slower at run time.
pub(crate) fn assembler() -> Result<()> {
    if cfg!(target_arch = "x86_64") {
        ensure(&[Tool::Nasm])?;
    }
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    ensure!(on_path("apt-get").is_some(), "there is no apt-get");
    let mut command = if Uid::effective().is_root() {
        Command::new("sh")
    } else {
        let mut sudo = Command::new("sudo");
        // Without a terminal, sudo cannot ask for a password.
        let options = (!std::io::stdin().is_terminal()).then_some("-n");
        sudo.args(options).arg("sh");
        sudo
    };
    let names = packages.join(", ");
    console::note(&format!(
        "installing {names} with apt-get; no service is started"
    ));
    let output = command
        .args(["-c", APT_SCRIPT, "plinth-apt-install"])
        .args(packages)
        .stdin(Stdio::inherit())
        .output()
        .context("starting apt-get")?;
    ensure!(
        output.status.success(),
        "apt-get failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
