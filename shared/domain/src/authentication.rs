//! How somebody proved who he is: the methods of a login, by their names in RFC 8176.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

/// One way of proving who one is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    EnumMessage,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
pub enum Method {
    /// A password.
    #[strum(serialize = "pwd")]
    Password,
    /// A code of an authenticator app.
    #[strum(serialize = "otp")]
    OneTimeCode,
    /// A passkey: proof of possession of a key.
    #[strum(serialize = "pop")]
    Passkey,
    /// A recovery code; RFC 8176 has no name for it.
    #[strum(serialize = "recovery")]
    RecoveryCode,
    /// More than one factor.
    #[strum(serialize = "mfa")]
    MultiFactor,
}

impl Method {
    /// Returns the name in the claim `amr`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A way to complete the challenge of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename = "MfaMethod", rename_all = "snake_case")
)]
pub enum Factor {
    Totp,
    RecoveryCode,
    Passkey,
}

/// The methods of a login (`amr`). Names of a newer build are dropped: they prove nothing to this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Methods(BTreeSet<Method>);

impl Methods {
    pub fn of(methods: &[Method]) -> Self {
        Self(methods.iter().copied().collect())
    }

    #[must_use]
    pub fn with(mut self, method: Method) -> Self {
        self.0.insert(method);
        self
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.0.extend(&others.0);
        self
    }

    /// A passkey verifies its user, so that it is two factors at once.
    pub fn are_multi_factor(&self) -> bool {
        self.0.contains(&Method::MultiFactor)
    }

    pub fn contains(&self, method: Method) -> bool {
        self.0.contains(&method)
    }

    pub fn iter(&self) -> impl Iterator<Item = Method> {
        self.0.iter().copied()
    }

    /// The names, as rows and tokens carry them.
    pub fn names(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|method| method.as_str().to_owned())
            .collect()
    }
}

impl From<Vec<String>> for Methods {
    fn from(names: Vec<String>) -> Self {
        Self(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

impl From<Methods> for Vec<String> {
    fn from(methods: Methods) -> Self {
        methods.names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_prove_nothing() {
        let methods = Methods::of(&[Method::Password, Method::OneTimeCode, Method::MultiFactor]);
        assert_eq!(Methods::from(methods.names()), methods);
        let newer = Methods::from(vec!["pwd".to_owned(), "telepathy".to_owned()]);
        assert_eq!(newer, Methods::of(&[Method::Password]));
        assert!(methods.are_multi_factor() && !newer.are_multi_factor());
    }
}
