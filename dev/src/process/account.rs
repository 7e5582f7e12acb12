//! The unprivileged account that PostgreSQL needs if `cargo dev` runs as root.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Gid, Uid, User, chown};

/// A user and group that programs can run under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

impl Account {
    /// Returns the account for PostgreSQL: `postgres` or `nobody` for root, and none for any other
    /// user.
    pub(crate) fn for_postgres() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name).context("reading the account database")? {
                let (uid, gid) = (user.uid, user.gid);
                return Ok(Some(Self { uid, gid }));
            }
        }
        bail!("PostgreSQL refuses to run as root, and no account is named postgres or nobody")
    }

    /// Makes the account the owner of a file or folder.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("giving {} to PostgreSQL's account", path.display()))
    }

    /// Tries whether the account can reach and write a folder.
    pub(crate) fn can_use(self, folder: &Path) -> bool {
        let mut test = Command::new("test");
        test.arg("-w").arg(folder).current_dir("/");
        self.apply(&mut test);
        test.status().is_ok_and(|status| status.success())
    }

    /// Makes a command run under the account. std drops the supplementary groups of root.
    pub(crate) fn apply(self, command: &mut Command) {
        command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
    }
}
