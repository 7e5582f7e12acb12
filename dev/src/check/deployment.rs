//! The files of the deployment, checked by the tools that read them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::linters::Linters;
use crate::layout::{Layout, make_dir};
use crate::process::command::{isolated, succeed};
use crate::provision::{self, Tool, python};
use crate::stack::nginx;

/// Apart from the other linters: it has a hundred dependencies.
const CHECKOV: [&str; 1] = ["checkov==3.3.30"];

/// Checks the schema of the Compose specification, and with Docker Compose that every name is
/// defined.
pub(super) async fn compose(linters: &Linters<'_>) -> Result<String> {
    const FILE: &str = "docker-compose.yml";
    linters.require(FILE)?;
    let schema = ["--builtin-schema", "vendor.compose-spec", FILE];
    linters.run("check-jsonschema", schema).await?;
    let version = isolated("docker").args(["compose", "version"]).output();
    if !version.await.is_ok_and(|output| output.status.success()) {
        return Ok("names not checked: docker compose is missing".to_owned());
    }
    let mut config = isolated("docker");
    config
        .args(["compose", "--file", FILE, "config", "--quiet"])
        .current_dir(&linters.layout.root);
    succeed(&mut config).await?;
    Ok(String::new())
}

/// Checks each manifest in k8s/ against the schema of its kind, and that the kustomization lists
/// all of them.
pub(super) async fn kubernetes(linters: &Linters<'_>) -> Result<String> {
    linters.require("k8s/kustomization.yaml")?;
    let folder = linters.layout.root.join("k8s");
    let mut manifests = BTreeSet::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "kustomization.yaml" {
            manifests.insert(name);
        }
    }
    let kustomization = fs::read_to_string(folder.join("kustomization.yaml"))?;
    let listed = kustomization.lines().map(str::trim);
    let listed: BTreeSet<_> = listed
        .filter_map(|line| line.strip_prefix("- ")?.strip_suffix(".yaml"))
        .map(|name| format!("{name}.yaml"))
        .collect();
    // An example shows what an operator has to add.
    let is_example = |name: &&String| name.ends_with(".example.yaml");
    let expected: BTreeSet<_> = manifests
        .iter()
        .filter(|name| !is_example(name))
        .cloned()
        .collect();
    let differences: Vec<_> = expected.symmetric_difference(&listed).collect();
    ensure!(
        differences.is_empty(),
        "in k8s/ or in its kustomization, but not in both: {differences:?}"
    );
    let paths: Vec<PathBuf> = manifests.iter().map(|name| folder.join(name)).collect();
    let mut validate = linters.command("kubernetes-validate");
    succeed(validate.args(["--strict", "--quiet"]).args(paths)).await?;
    Ok(format!("{} manifests", manifests.len()))
}

/// Runs `nginx -t` with the certificates and replicas of this machine.
pub(super) async fn nginx(layout: &Layout, folder: &Path) -> Result<String> {
    let text = fs::read_to_string(layout.root.join(nginx::CONFIGURATION));
    let text = text.context("reading deploy/nginx.conf")?;
    let folder = folder.join("nginx");
    make_dir(&folder, 0o700)?;
    nginx::ensure_certificates(&folder)?;
    let file = folder.join("nginx.conf");
    let binds = ["127.0.0.1:8080", "127.0.0.2:8080"];
    fs::write(&file, nginx::adapt(&text, &folder, &folder, "8443", &binds))?;
    let mut nginx = isolated(provision::path(Tool::Nginx)?);
    nginx.args(["-t", "-q", "-e", "stderr", "-p", ".", "-c"]);
    succeed(nginx.arg(file).current_dir(folder)).await?;
    Ok(String::new())
}

/// Checks policies: no root, limits, probes, network policies and others.
pub(super) async fn checkov(layout: &Layout, folder: &Path) -> Result<String> {
    let python = python::environment(layout, "checkov", &CHECKOV).await?;
    let checkov = || -> Command {
        let mut command = isolated(python.with_file_name("checkov"));
        command.args(["--skip-download", "--quiet", "--compact"]);
        command
    };
    let mut manifests = checkov();
    manifests.args(["--framework=kubernetes", "--directory=k8s"]);
    manifests.args(["--config-file", ".checkov.yaml"]);
    succeed(manifests.current_dir(&layout.root)).await?;

    // In another folder: in the checkout it would read .checkov.yaml, which names a folder, and
    // check no file. The image has no HEALTHCHECK on purpose: the orchestrator probes the internal
    // port.
    let mut dockerfile = checkov();
    dockerfile.args(["--framework=dockerfile", "--skip-check=CKV_DOCKER_2"]);
    dockerfile.arg("--file").arg(layout.root.join("Dockerfile"));
    succeed(dockerfile.current_dir(folder)).await?;
    Ok(String::new())
}
