//! What a clean-up tells when it ends.

use std::collections::BTreeMap;

use plinth_platform::error_chain;
use serde::Serialize;

use super::Kind;
use super::batch::Total;
use crate::Error;

/// Why a kind was not gone through to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedEarly {
    /// A store is away.
    Outage,
    Fault,
}

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
    /// How many of each kind could not be removed and were passed over.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub passed_over: BTreeMap<Kind, u64>,
    /// The kinds of which nothing may be removed, with the reason; a later clean-up goes on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held_back: BTreeMap<Kind, &'static str>,
    /// A kind could not be gone through to its end.
    #[serde(skip)]
    pub ended_early: Option<EndedEarly>,
    /// The kinds that could not be removed, or not all of them, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<Kind, String>,
}

impl Report {
    /// Adds what came of a kind, and the error that ended it.
    pub(super) fn add(&mut self, kind: Kind, total: Total, error: Option<&Error>) {
        self.removed.insert(kind, total.rows);
        if let Some(reason) = total.held_back {
            self.held_back.insert(kind, reason);
        }
        let passed_over = total.passed_over;
        if passed_over.rows > 0 {
            self.passed_over.insert(kind, passed_over.rows);
        }
        self.ended_early = match error.map(Error::is_outage) {
            Some(true) => Some(EndedEarly::Outage),
            Some(false) => self.ended_early.or(Some(EndedEarly::Fault)),
            None => self.ended_early,
        };
        if let Some(error) = error.or(passed_over.last_error.as_ref()) {
            self.failed
                .insert(kind, error_chain::format_error_chain(error));
        }
    }

    /// How many of this kind; none of one that was not asked for.
    pub fn of(&self, kind: Kind) -> u64 {
        self.removed.get(&kind).copied().unwrap_or(0)
    }

    /// What failed or may not be removed, in a line; `None` when nothing did.
    pub fn failures(&self) -> Option<String> {
        let failed = self
            .failed
            .iter()
            .map(|(kind, error)| format!("{kind}: {error}"));
        let held_back = self
            .held_back
            .iter()
            .map(|(kind, reason)| format!("{kind}: {reason}"));
        let failures: Vec<_> = failed.chain(held_back).collect();
        (!failures.is_empty()).then(|| failures.join("; "))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_false(value: &bool) -> bool {
    !*value
}
