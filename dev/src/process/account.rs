//! The unprivileged account that PostgreSQL needs when `cargo dev` runs as root.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Gid, Uid, User, chown};

/// A user and group that programs can be started under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

impl Account {
    /// The account for PostgreSQL: none for an ordinary user, who runs it himself;
    /// for root `postgres` where it exists, else `nobody`.
    pub(crate) fn for_postgres() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name).context("reading the account database")? {
                return Ok(Some(Self {
                    uid: user.uid,
                    gid: user.gid,
                }));
            }
        }
        bail!(
            "PostgreSQL refuses to run as root and there is neither a postgres nor a nobody account"
        )
    }

    /// Makes the account the owner of a file or folder.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("giving {} to PostgreSQL's account", path.display()))
    }

    /// Whether the account can reach and write this folder, found by trying.
    pub(crate) fn can_use(self, folder: &Path) -> bool {
        let mut test = Command::new("test");
        test.arg("-w").arg(folder).current_dir("/");
        self.apply(&mut test);
        test.status().is_ok_and(|status| status.success())
    }

    /// Makes a short-lived command run under the account. (std drops the
    /// supplementary groups itself when it changes the user as root.)
    pub(crate) fn apply(self, command: &mut Command) {
        command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
    }
}
