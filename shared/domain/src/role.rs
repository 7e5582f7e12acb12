//! Roles: names under which permissions are grouped.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::permission::Permissions;
use crate::rejection::Rejection;
use crate::text::bounded_line;

/// The built-in role that may do everything.
pub const ADMIN: &str = "admin";
/// The built-in role of everybody who registers.
pub const MEMBER: &str = "member";

/// The name of a role: lower-case letters, digits and dashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleName(String);

impl RoleName {
    pub const MAX_CHARS: usize = 64;

    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let shaped = plain
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-');
        if !shaped || text.len() > Self::MAX_CHARS {
            return Err(Rejection::new(
                "invalid_role_name",
                "A role's name has up to 64 lower-case letters, digits and dashes and begins with a letter.",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a role is for, in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDescription(String);

impl RoleDescription {
    pub const MAX_CHARS: usize = 200;

    pub fn parse(text: &str) -> Result<Self, Rejection> {
        Ok(Self(bounded_line("A description", text, Self::MAX_CHARS)?))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A role as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub description: Option<String>,
    pub permissions: Permissions,
    /// Its holders can do nothing before they have proved a second factor.
    pub requires_mfa: bool,
    /// Comes with the product: what it allows cannot be changed.
    pub built_in: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        assert!(RoleName::parse("support-2").is_ok());
        for bad in [
            "",
            "Support",
            "2nd",
            "-a",
            "a-",
            "a b",
            "ä",
            &"a".repeat(65),
        ] {
            assert!(RoleName::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
