//! Permissions: named constants `resource:action`, grouped by roles, held as a set.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_with::SerializeDisplay;
use strum::{Display, EnumMessage, EnumString, IntoStaticStr, VariantArray};

use crate::closed_set::UnknownName;

/// Something that a request may be allowed to do. GET /v1/permissions shows the doc comments.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    EnumMessage,
    EnumString,
    IntoStaticStr,
    VariantArray,
    SerializeDisplay,
)]
#[strum(parse_err_ty = UnknownName, parse_err_fn = unknown_permission)]
pub enum Permission {
    /// Read one's own account.
    #[strum(serialize = "profile:read")]
    ProfileRead,
    /// Change one's own account.
    #[strum(serialize = "profile:write")]
    ProfileWrite,
    /// Read one's own files.
    #[strum(serialize = "files:read")]
    FilesRead,
    /// Store and delete one's own files.
    #[strum(serialize = "files:write")]
    FilesWrite,
    /// Read one's own inbox.
    #[strum(serialize = "notifications:read")]
    NotificationsRead,
    /// See how one logs in: sessions, second factors, passkeys, API keys.
    #[strum(serialize = "credentials:read")]
    CredentialsRead,
    /// Change how one logs in.
    #[strum(serialize = "credentials:write")]
    CredentialsWrite,
    /// Read everybody's accounts.
    #[strum(serialize = "users:read")]
    UsersRead,
    /// Change everybody's accounts: status, roles, sessions, second factors.
    #[strum(serialize = "users:write")]
    UsersWrite,
    /// Act in somebody's name for a while.
    #[strum(serialize = "users:impersonate")]
    UsersImpersonate,
    /// Read the roles.
    #[strum(serialize = "roles:read")]
    RolesRead,
    /// Make, change and remove roles.
    #[strum(serialize = "roles:write")]
    RolesWrite,
    /// Read the audit log of everybody.
    #[strum(serialize = "audit:read")]
    AuditRead,
    /// Read the background jobs of everybody, and the queues.
    #[strum(serialize = "jobs:read")]
    JobsRead,
    /// Retry, cancel and redrive background jobs; pause and resume queues.
    #[strum(serialize = "jobs:write")]
    JobsWrite,
}

fn unknown_permission(text: &str) -> UnknownName {
    UnknownName::new::<Permission>("a permission", text)
}

impl Permission {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name, `resource:action`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns what it allows, in a sentence.
    pub fn description(self) -> &'static str {
        self.get_documentation()
            .expect("a test reads the doc comment of every permission")
    }

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
