//! What a clean-up tells when it ends.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Kind;

/// How many of each kind were removed; as JSON one flat object.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Of every kind that was asked for and begun.
    #[serde(flatten)]
    pub removed: BTreeMap<Kind, u64>,
    /// They were counted, not removed.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// It was ended before it was through; the next one goes on.
    #[serde(skip_serializing_if = "is_false")]
    pub stopped: bool,
    /// The kinds that could not be removed, or not all of them, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<Kind, String>,
}

impl Report {
    /// How many of this kind; none of one that was not asked for.
    pub fn of(&self, kind: Kind) -> u64 {
        self.removed.get(&kind).copied().unwrap_or(0)
    }

    /// What failed, in a line; `None` when nothing did.
    pub fn failures(&self) -> Option<String> {
        let failures: Vec<_> = self.failed.iter().map(|(kind, error)| format!("{kind}: {error}")).collect();
        (!failures.is_empty()).then(|| failures.join("; "))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_false(value: &bool) -> bool {
    !*value
}
