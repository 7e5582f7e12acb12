//! What the closed sets of names have in common.

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
