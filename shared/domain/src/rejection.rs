//! Why a value was refused: a stable code for programs, a sentence for people.

/// A value that broke a rule of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    /// Stable, machine-readable name of the broken rule, e.g. `too_long`.
    pub code: &'static str,
    /// One sentence that says what would be accepted.
    pub detail: String,
}

impl Rejection {
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
