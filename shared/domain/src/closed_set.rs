//! What the closed sets of names have in common.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// A text that is no name of a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {noun}; expected one of {names}")]
pub struct UnknownName {
    text: String,
    noun: &'static str,
    names: String,
}

impl UnknownName {
    /// Describes `text`, which was to be a value of `T`. `noun` has its article: "a queue".
    pub fn new<T>(noun: &'static str, text: &str) -> Self
    where
        T: VariantArray + Copy + Into<&'static str>,
    {
        let names: Vec<&str> = T::VARIANTS.iter().map(|value| (*value).into()).collect();
        Self {
            text: text.to_owned(),
            noun,
            names: names.join(", "),
        }
    }
}

/// A name that a row or a job has: one of this release, or one of a newer release that writes to the same rows during an
/// upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "String",
    into = "String",
    bound(serialize = "T: Copy + Into<&'static str>", deserialize = "T: FromStr")
)]
pub enum Recorded<T> {
    Known(T),
    Unknown(String),
}

impl<T> Recorded<T> {
    /// Returns the value; `None` of a name that this release does not know.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

impl<T: Copy + Into<&'static str>> Recorded<T> {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(value) => (*value).into(),
            Self::Unknown(name) => name,
        }
    }
}

impl<T: FromStr> From<String> for Recorded<T> {
    fn from(name: String) -> Self {
        name.parse().map_or(Self::Unknown(name), Self::Known)
    }
}

impl<T: Copy + Into<&'static str>> From<Recorded<T>> for String {
    fn from(name: Recorded<T>) -> Self {
        name.as_str().to_owned()
    }
}

impl<T: Copy + Into<&'static str>> fmt::Display for Recorded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: PartialEq> PartialEq<T> for Recorded<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(value) if value == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Queue;

    #[test]
    fn an_unknown_name_is_refused_with_the_names_that_there_are() {
        let refusal = "mail".parse::<Queue>().expect_err("it is refused");
        assert_eq!(
            refusal.to_string(),
            "\"mail\" is not a queue; expected one of email, files, notifications, cleanup"
        );
    }

    #[test]
    fn a_recorded_name_is_kept_whether_this_release_knows_it_or_not() {
        for (name, known) in [("email", Some(Queue::Email)), ("video", None)] {
            let recorded: Recorded<Queue> =
                serde_json::from_value(name.into()).expect("any name reads");
            assert_eq!(serde_json::to_value(&recorded).expect("writes"), name);
            assert_eq!(recorded.known(), known);
        }
    }
}
