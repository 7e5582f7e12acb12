//! Installing what is missing: apt-get (with sudo when not root) or brew.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use nix::unistd::Uid;

use super::{Tool, find};
use crate::console;

/// Installs Debian packages and leaves the machine's services as they were; the
/// script says how.
const APT_SCRIPT: &str = include_str!("apt-install.sh");

/// Installs these tools with the package manager of this machine.
pub(crate) fn install(tools: &[Tool]) -> Result<()> {
    let packages = packages(tools);
    if has("apt-get") {
        apt(&packages)
    } else if has("brew") {
        brew(&packages)
    } else {
        bail!("neither apt-get nor brew is here")
    }
}

/// The packages by the names of this machine's package manager.
pub(crate) fn packages(tools: &[Tool]) -> Vec<&'static str> {
    let brew = !has("apt-get") && has("brew");
    tools
        .iter()
        .map(|tool| {
            if brew {
                tool.brew_formula()
            } else {
                tool.apt_package()
            }
        })
        .collect()
}

fn apt(packages: &[&str]) -> Result<()> {
    let mut command = if Uid::effective().is_root() {
        Command::new("sh")
    } else if has("sudo") {
        let mut sudo = Command::new("sudo");
        // Without a terminal nobody can answer a question for a password.
        if !std::io::stdin().is_terminal() {
            sudo.arg("-n");
        }
        sudo.arg("sh");
        sudo
    } else {
        bail!("apt-get needs root and there is no sudo");
    };
    console::note(&format!(
        "installing {} with apt-get; no service is started",
        packages.join(", ")
    ));
    command
        .args(["-c", APT_SCRIPT, "plinth-apt-install"])
        .args(packages);
    run(command, "apt-get")
}

fn brew(packages: &[&str]) -> Result<()> {
    console::note(&format!(
        "installing {} with brew; no service is started",
        packages.join(", ")
    ));
    let mut command = Command::new("brew");
    command
        .arg("install")
        .args(packages)
        .env("HOMEBREW_NO_AUTO_UPDATE", "1");
    run(command, "brew")
}

/// Runs quietly, and shows what was said when it fails.
fn run(mut command: Command, name: &str) -> Result<()> {
    let output = command
        .stdin(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(&output.stdout);
        let _ = stderr.write_all(&output.stderr);
    }
    ensure!(output.status.success(), "{name} failed");
    Ok(())
}

fn has(program: &str) -> bool {
    !find::places(program).is_empty()
}
