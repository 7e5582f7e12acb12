//! Permissions: named constants `resource:action`, grouped by roles, held as a set.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// Something that a request may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($(#[$doc])* $variant),* }

        impl Permission {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl FromStr for Permission {
            type Err = UnknownPermission;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    other => Err(UnknownPermission(other.to_owned())),
                }
            }
        }
    };
}

permissions! {
    /// Read one's own account.
    ProfileRead = "profile:read",
    /// Change one's own account.
    ProfileWrite = "profile:write",
    /// Read one's own files.
    FilesRead = "files:read",
    /// Store and delete one's own files.
    FilesWrite = "files:write",
    /// Read one's own inbox.
    NotificationsRead = "notifications:read",
    /// Read the audit log of everybody.
    AuditRead = "audit:read",
}

/// A name that no permission of this build has.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a permission")]
pub struct UnknownPermission(pub String);

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What somebody may do.
///
/// Names of a newer build, read from a role's row, are dropped: what this build
/// does not know, it does not allow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    pub fn allow(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }

    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        self.0.iter().copied()
    }
}

impl From<Vec<String>> for Permissions {
    fn from(names: Vec<String>) -> Self {
        Self(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

impl From<Permissions> for Vec<String> {
    fn from(set: Permissions) -> Self {
        set.iter().map(|permission| permission.as_str().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_allow_nothing() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse::<Permission>().ok(), Some(*permission));
        }
        let set = Permissions::from(vec!["files:read".to_owned(), "root:everything".to_owned()]);
        assert!(set.allow(Permission::FilesRead));
        assert!(!set.allow(Permission::FilesWrite));
        assert_eq!(set.iter().count(), 1);
    }
}
