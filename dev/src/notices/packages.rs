//! The third-party packages that cargo links into the released binaries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::build;
use crate::layout::Layout;
use crate::process::command::succeed;

/// The targets of the container images.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
/// The packages whose binaries are released.
const RELEASED: [&str; 2] = ["plinth-api", "plinth-worker"];

/// A package as `cargo metadata` describes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) authors: Vec<String>,
    pub(super) manifest_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Returns the linked packages, ordered by name and version.
pub(super) async fn linked(layout: &Layout) -> Result<Vec<Package>> {
    let mut ids = BTreeSet::new();
    for target in TARGETS {
        let tree = cargo(layout, &tree_arguments(target)).await?;
        ids.extend(tree.lines().filter_map(third_party));
    }
    let metadata = cargo(layout, &metadata_arguments()).await?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("reading cargo metadata")?;
    let mut known: BTreeMap<_, _> = metadata
        .packages
        .into_iter()
        .map(|package| ((package.name.clone(), package.version.clone()), package))
        .collect();
    ids.into_iter()
        .map(|id| {
            known
                .remove(&id)
                .with_context(|| format!("cargo metadata lacks {} {}", id.0, id.1))
        })
        .collect()
}

/// Proc macros and build scripts run on the build machine only.
fn tree_arguments(target: &str) -> Vec<&str> {
    let mut args = vec![
        "tree",
        "--locked",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--format={p}",
    ];
    args.extend(["--target", target]);
    args.extend(RELEASED.iter().flat_map(|package| ["--package", package]));
    args
}

fn metadata_arguments() -> Vec<&'static str> {
    let mut args = vec!["metadata", "--locked", "--format-version=1"];
    args.extend(
        TARGETS
            .iter()
            .flat_map(|target| ["--filter-platform", target]),
    );
    args
}

/// Returns the name and version in a line of `cargo tree`, or `None` for a member of this
/// workspace, whose line also has its path.
fn third_party(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let is_member = words.any(|word| word.starts_with("(/"));
    (!is_member).then(|| (name.to_owned(), version.to_owned()))
}

async fn cargo(layout: &Layout, args: &[&str]) -> Result<String> {
    succeed(build::cargo(layout).args(args)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_the_workspace_are_not_third_party() {
        assert_eq!(third_party("plinth-api v0.1.0 (/src/api)"), None);
        assert_eq!(third_party(""), None);
        assert_eq!(
            third_party("bytes v1.11.0"),
            Some(("bytes".to_owned(), "1.11.0".to_owned()))
        );
        assert_eq!(
            third_party("bytes v1.11.0 (*)"),
            Some(("bytes".to_owned(), "1.11.0".to_owned()))
        );
    }
}
