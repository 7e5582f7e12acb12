//! cargo-deny: licences, sources and banned crates, and advisories if this machine has a copy of
//! their database.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::linters::Linters;
use crate::process::command::succeed;

/// The folder in which cargo-deny searches its copy of the RustSec database: a name and a hash of
/// the address.
const DATABASE: &str = "advisory-db-3157b0e258782691";

pub(super) async fn check(linters: &Linters<'_>, folder: &Path) -> Result<String> {
    linters.require("deny.toml")?;
    let deny = || {
        let mut command = linters.command("cargo-deny");
        command.args(["--color=never", "--log-level=error"]);
        command
    };
    let checks = ["check", "--hide-inclusion-graph"];
    let mut without_advisories = deny();
    without_advisories.args(checks);
    succeed(without_advisories.args(["bans", "licenses", "sources"])).await?;
    let Some(database) = advisory_database() else {
        return Ok("advisories not checked: no copy of their database".to_owned());
    };
    let mut advisories = deny();
    advisories.args(["--offline", "--config"]);
    advisories.arg(with_database(&linters.layout.root, folder, &database)?);
    succeed(advisories.args(checks).arg("advisories")).await?;
    Ok("with advisories".to_owned())
}

/// Returns the copy that `PLINTH_ADVISORY_DB` names, or that of cargo-audit.
fn advisory_database() -> Option<PathBuf> {
    let named = env::var_os("PLINTH_ADVISORY_DB").map(PathBuf::from);
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let places = [named, home.map(|home| home.join("advisory-db"))];
    places.into_iter().flatten().find(|path| path.is_dir())
}

/// Writes deny.toml with the folder of the copy: cargo-deny has no option for it.
fn with_database(root: &Path, folder: &Path, database: &Path) -> Result<PathBuf> {
    std::os::unix::fs::symlink(database.canonicalize()?, folder.join(DATABASE))?;
    let text = fs::read_to_string(root.join("deny.toml")).context("reading deny.toml")?;
    let section = format!("[advisories]\ndb-path = {:?}", folder.display().to_string());
    let config = folder.join("deny.toml");
    fs::write(&config, text.replace("[advisories]", &section))?;
    Ok(config)
}
