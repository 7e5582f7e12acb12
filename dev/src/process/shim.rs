//! The first moments of a supervised process: it takes its account, asks the
//! kernel to be told when the supervisor dies, and becomes the real program.
//!
//! This runs in an own process because both steps must happen in the child, and
//! doing them between fork and exec would need unsafe code.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Error};
use nix::unistd::{Gid, Uid, getppid, setgid, setuid};

use crate::cli::Child;

/// Returns only when the program cannot be started.
pub(crate) fn become_child(child: &Child) -> Error {
    if let Err(error) = prepare(child) {
        return error;
    }
    let (program, args) = child
        .command
        .split_first()
        .expect("the command line demands a command");
    let error = Command::new(program).args(args).exec();
    Error::new(error).context(format!("starting {}", program.display()))
}

/// The account comes first: the kernel forgets a death signal at a change of
/// account.
fn prepare(child: &Child) -> anyhow::Result<()> {
    if let (Some(uid), Some(gid)) = (child.uid, child.gid) {
        drop_groups(Gid::from_raw(gid)).context("dropping supplementary groups")?;
        setgid(Gid::from_raw(gid)).context("changing the group")?;
        setuid(Uid::from_raw(uid)).context("changing the account")?;
    }
    ask_for_death_signal(&child.death_signal)?;
    // The supervisor may have died before the kernel knew of our wish.
    anyhow::ensure!(getppid().as_raw() == child.parent, "the supervisor is gone");
    Ok(())
}

#[cfg(target_os = "linux")]
fn ask_for_death_signal(name: &str) -> anyhow::Result<()> {
    let signal: nix::sys::signal::Signal = name.parse().context("unknown signal")?;
    nix::sys::prctl::set_pdeathsig(signal).context("asking for a death signal")
}

/// Elsewhere the next start ends what was left behind; see `process::ledger`.
#[cfg(not(target_os = "linux"))]
fn ask_for_death_signal(_name: &str) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn drop_groups(gid: Gid) -> nix::Result<()> {
    nix::unistd::setgroups(&[gid])
}

#[cfg(not(target_os = "linux"))]
fn drop_groups(_gid: Gid) -> nix::Result<()> {
    Ok(())
}
