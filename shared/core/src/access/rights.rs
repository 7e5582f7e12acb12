//! What a caller may do: the roles of the account, resolved by the table of roles.
//!
//! The table is small and changes seldom, so a process keeps it. Redis says with every request which version is in
//! force; a change of a role therefore acts on the next request of all of its holders.

use std::collections::HashMap;
use std::sync::Arc;

use plinth_domain::permission::Permissions;
use plinth_domain::role::Role;
use plinth_platform::crypto::{hex, sha256};

/// What a caller may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    pub permissions: Permissions,
    /// One of the roles asks for a second factor.
    pub requires_mfa: bool,
}

impl Rights {
    /// What is left of them where a key has these scopes.
    pub(super) fn within(&self, scopes: &Permissions) -> Self {
        Self {
            permissions: self.permissions.and(scopes),
            requires_mfa: self.requires_mfa,
        }
    }
}

/// The roles as they stood at one moment.
#[derive(Debug)]
pub(super) struct RoleTable {
    /// The same content has the same version, whoever read it.
    pub(super) version: String,
    roles: HashMap<String, Rights>,
}

impl RoleTable {
    pub(super) fn of(roles: Vec<Role>) -> Self {
        let mut text = String::new();
        for role in &roles {
            let names: Vec<String> = role.permissions.clone().into();
            text.extend([
                &role.name,
                " ",
                &names.join(","),
                " ",
                &role.requires_mfa.to_string(),
                "\n",
            ]);
        }
        let version = hex(&sha256(text.as_bytes())[..16]);
        let rights = |role: Role| Rights {
            permissions: role.permissions,
            requires_mfa: role.requires_mfa,
        };
        Self {
            version,
            roles: roles
                .into_iter()
                .map(|role| (role.name.clone(), rights(role)))
                .collect(),
        }
    }

    /// What somebody with these roles may do.
    pub(super) fn rights(&self, roles: &[String]) -> Arc<Rights> {
        let mut all = Rights::default();
        for rights in roles.iter().filter_map(|role| self.roles.get(role)) {
            all.permissions.extend(rights.permissions.iter());
            all.requires_mfa |= rights.requires_mfa;
        }
        Arc::new(all)
    }
}

#[cfg(test)]
mod tests {
    use plinth_domain::permission::Permission;

    use super::*;

    fn role(name: &str, permissions: &[Permission], requires_mfa: bool) -> Role {
        Role {
            name: name.to_owned(),
            description: None,
            permissions: permissions.iter().copied().collect(),
            requires_mfa,
            built_in: false,
        }
    }

    #[test]
    fn roles_add_up_and_unknown_ones_give_nothing() {
        let table = RoleTable::of(vec![
            role("reader", &[Permission::FilesRead], false),
            role("auditor", &[Permission::AuditRead], true),
        ]);
        let rights = table.rights(&["reader".to_owned(), "gone".to_owned()]);
        assert!(rights.permissions.allow(Permission::FilesRead) && !rights.requires_mfa);
        let both = table.rights(&["reader".to_owned(), "auditor".to_owned()]);
        assert!(both.permissions.allow(Permission::AuditRead) && both.requires_mfa);
    }

    #[test]
    fn whatever_counts_changes_the_version() {
        let of = |permissions: &[Permission], mfa| {
            RoleTable::of(vec![role("a", permissions, mfa)]).version
        };
        let versions = [
            of(&[], false),
            of(&[], true),
            of(&[Permission::FilesRead], false),
        ];
        assert_eq!(versions[0], of(&[], false));
        assert!(
            versions[0] != versions[1] && versions[0] != versions[2] && versions[1] != versions[2]
        );
    }
}
