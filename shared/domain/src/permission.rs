//! Permissions: named constants `resource:action`, grouped by roles, held as a set.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal),* $(,)?) => {
        /// Something that a request may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($(#[doc = $doc])+ $variant),* }

        impl Permission {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it allows, in a sentence.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),* }
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
    /// See how one logs in: sessions, second factors, passkeys, API keys.
    CredentialsRead = "credentials:read",
    /// Change how one logs in.
    CredentialsWrite = "credentials:write",
    /// Read everybody's accounts.
    UsersRead = "users:read",
    /// Change everybody's accounts: status, roles, sessions, second factors.
    UsersWrite = "users:write",
    /// Act in somebody's name for a while.
    UsersImpersonate = "users:impersonate",
    /// Read the roles.
    RolesRead = "roles:read",
    /// Make, change and remove roles.
    RolesWrite = "roles:write",
    /// Read the audit log of everybody.
    AuditRead = "audit:read",
    /// Read the background jobs of everybody, and the queues.
    JobsRead = "jobs:read",
    /// Retry, cancel and redrive background jobs; pause and resume queues.
    JobsWrite = "jobs:write",
}

impl Permission {
    /// Whether an API key may carry it: what changes who may do what, or how one logs in, needs a person.
    pub const fn suits_api_keys(self) -> bool {
        !matches!(
            self,
            Self::CredentialsRead
                | Self::CredentialsWrite
                | Self::UsersImpersonate
                | Self::RolesWrite
        )
    }
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

    /// Whether everything in here is in `other` as well.
    pub fn are_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// What is in one of both and not in the other.
    #[must_use]
    pub fn differing_from(&self, other: &Self) -> Self {
        Self(self.0.symmetric_difference(&other.0).copied().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        self.0.iter().copied()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

impl Extend<Permission> for Permissions {
    fn extend<I: IntoIterator<Item = Permission>>(&mut self, permissions: I) {
        self.0.extend(permissions);
    }
}

impl From<Vec<String>> for Permissions {
    fn from(names: Vec<String>) -> Self {
        Self(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

impl From<Permissions> for Vec<String> {
    fn from(set: Permissions) -> Self {
        set.iter()
            .map(|permission| permission.as_str().to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_allow_nothing() {
        for permission in Permission::ALL {
            assert_eq!(
                permission.as_str().parse::<Permission>().ok(),
                Some(*permission)
            );
        }
        let set = Permissions::from(vec!["files:read".to_owned(), "root:everything".to_owned()]);
        assert!(set.allow(Permission::FilesRead));
        assert!(!set.allow(Permission::FilesWrite));
        assert_eq!(set.iter().count(), 1);
    }

    #[test]
    fn a_description_is_a_sentence() {
        assert_eq!(
            Permission::RolesWrite.description(),
            "Make, change and remove roles."
        );
        for permission in Permission::ALL {
            let said = permission.description();
            assert!(said.ends_with('.') && !said.starts_with(' '), "{said:?}");
        }
    }

    #[test]
    fn two_sets_differ_by_what_only_one_of_them_has() {
        let set = |permissions: &[Permission]| permissions.iter().copied().collect::<Permissions>();
        let (old, new) = (
            set(&[Permission::FilesRead, Permission::FilesWrite]),
            set(&[Permission::FilesRead, Permission::AuditRead]),
        );
        assert_eq!(
            old.differing_from(&new),
            set(&[Permission::FilesWrite, Permission::AuditRead])
        );
        assert!(old.differing_from(&old).is_empty());
    }
}
