//! File limits of roles, which replace the general ones.

use std::collections::BTreeMap;

use plinth_domain::media_type::MediaTypes;
use plinth_domain::role::RoleName;

use super::value::{ByteSize, Value};

/// The limits of one role. `None` means that the general limit applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleLimits {
    /// Maximum size of a file.
    pub size: Option<ByteSize>,
    /// Maximum size of all files of an account together; 0 for no limit.
    pub quota: Option<ByteSize>,
    /// Maximum number of files of an account; 0 for no limit.
    pub count: Option<u32>,
    /// Media types that a file may have.
    pub types: Option<MediaTypes>,
}

/// The limits of each role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitsByRole(pub BTreeMap<RoleName, RoleLimits>);

const EXPECTED: &str = "expected `role: size=20GiB quota=1TiB count=0 types=image/*,video/*`, each of the four at \
                     most once, several roles separated by semicolons";

impl Value for LimitsByRole {
    const KIND: &'static str = "list of role: limits";

    fn parse(text: &str) -> Result<Self, String> {
        let mut roles = BTreeMap::new();
        for item in text
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (role, limits) = item
                .split_once(':')
                .ok_or_else(|| format!("{item:?}: {EXPECTED}"))?;
            let role =
                RoleName::parse(role.trim()).map_err(|rejection| rejection.detail.clone())?;
            let limits = RoleLimits::parse(limits)?;
            if roles.insert(role.clone(), limits).is_some() {
                return Err(format!("{role} is listed more than once"));
            }
        }
        Ok(Self(roles))
    }

    fn show(&self) -> String {
        let roles: Vec<_> = self
            .0
            .iter()
            .map(|(role, limits)| format!("{role}: {}", limits.show()))
            .collect();
        roles.join("; ")
    }
}

impl RoleLimits {
    fn parse(text: &str) -> Result<Self, String> {
        let mut limits = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("{word:?}: {EXPECTED}"))?;
            let is_new = match name {
                "size" => limits.size.replace(ByteSize::parse(value)?).is_none(),
                "quota" => limits.quota.replace(ByteSize::parse(value)?).is_none(),
                "count" => limits.count.replace(u32::parse(value)?).is_none(),
                "types" => limits.types.replace(MediaTypes::parse(value)?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(format!("{word:?}: {EXPECTED}"));
            }
        }
        if limits == Self::default() {
            Err(EXPECTED.to_owned())
        } else {
            Ok(limits)
        }
    }

    fn show(&self) -> String {
        let size = self.size.map(|size| format!("size={}", size.show()));
        let quota = self.quota.map(|quota| format!("quota={}", quota.show()));
        let count = self.count.map(|count| format!("count={count}"));
        let types = self.types.as_ref().map(|types| format!("types={types}"));
        let words: Vec<_> = [size, quota, count, types].into_iter().flatten().collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_lists_only_the_limits_that_differ() {
        let text = "guest: quota=1GiB types=image/*,text/plain; photographer: size=20GiB count=0";
        let limits = LimitsByRole::parse(text).expect("valid limits");
        assert_eq!(limits.show(), text);
        let guest = RoleName::parse("guest").expect("a name");
        assert_eq!(limits.0[&guest].quota, Some(ByteSize(1 << 30)));
        assert_eq!(limits.0[&guest].size, None);
    }

    #[test]
    fn an_empty_text_has_no_roles() {
        assert_eq!(LimitsByRole::parse(""), Ok(LimitsByRole::default()));
    }

    #[test]
    fn invalid_limits_are_rejected() {
        let wrong = [
            "guest",
            "guest:",
            "Guest: quota=1GiB",
            "guest: quota",
            "guest: quota=much",
            "guest: speed=1",
            "guest: quota=1GiB quota=2GiB",
            "guest: types=",
            "guest: count=1; guest: count=2",
        ];
        for text in wrong {
            assert!(LimitsByRole::parse(text).is_err(), "{text:?}");
        }
    }
}
