//! Limits of files that holders of a role have instead of the general ones.

use std::collections::BTreeMap;

use plinth_domain::media_type::MediaTypes;
use plinth_domain::role::RoleName;

use super::value::{ByteSize, Value};

/// What one role says; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleLimits {
    /// The largest file.
    pub size: Option<ByteSize>,
    /// What all files of an account may take; 0 for no bound.
    pub quota: Option<ByteSize>,
    /// How many files an account may have; 0 for no bound.
    pub count: Option<u32>,
    /// Which types a file may be of.
    pub types: Option<MediaTypes>,
}

/// What each role says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitsByRole(pub BTreeMap<RoleName, RoleLimits>);

const SHAPE: &str = "`role: size=20GiB quota=1TiB count=0 types=image/*,video/*` is expected, each of the four at most \
                     once, several roles separated by semicolons";

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
                .ok_or_else(|| format!("{item:?}: {SHAPE}"))?;
            let role =
                RoleName::parse(role.trim()).map_err(|rejection| rejection.detail.clone())?;
            let limits = RoleLimits::parse(limits)?;
            if roles.insert(role.clone(), limits).is_some() {
                return Err(format!("{role} stands there twice"));
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
                .ok_or_else(|| format!("{word:?}: {SHAPE}"))?;
            let is_new = match name {
                "size" => limits.size.replace(ByteSize::parse(value)?).is_none(),
                "quota" => limits.quota.replace(ByteSize::parse(value)?).is_none(),
                "count" => limits.count.replace(u32::parse(value)?).is_none(),
                "types" => limits.types.replace(MediaTypes::parse(value)?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(format!("{word:?}: {SHAPE}"));
            }
        }
        if limits == Self::default() {
            Err(SHAPE.to_owned())
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
    fn a_role_says_what_differs() {
        let text = "guest: quota=1GiB types=image/*,text/plain; photographer: size=20GiB count=0";
        let limits = LimitsByRole::parse(text).expect("it is right");
        assert_eq!(limits.show(), text);
        let guest = RoleName::parse("guest").expect("a name");
        assert_eq!(limits.0[&guest].quota, Some(ByteSize(1 << 30)));
        assert_eq!(limits.0[&guest].size, None);
    }

    #[test]
    fn nothing_is_no_role() {
        assert_eq!(LimitsByRole::parse(""), Ok(LimitsByRole::default()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
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
