//! The states of a job, as the ledger names them.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::closed_set::UnknownName;

/// Where a job is on its way.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownName, parse_err_fn = unknown_state)]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum JobState {
    /// Waits for its first attempt.
    Queued,
    Running,
    /// Waits for another attempt.
    Retrying,
    Done,
    /// A dead letter: no attempt follows unless somebody asks for it.
    Dead,
    Cancelled,
}

fn unknown_state(text: &str) -> UnknownName {
    UnknownName::new::<JobState>("a state of a job", text)
}

impl JobState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How an attempt ended that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum AttemptOutcome {
    /// It failed; the job waits for another attempt.
    Retried,
    /// It failed for good.
    Dead,
    /// The worker shut down; the attempt is not counted.
    HandedBack,
    /// It could not begin or go on, e.g. because of an outage; the attempt is not counted.
    Postponed,
    /// It waits for another job of the same key; the attempt is not counted.
    Parked,
    Cancelled,
    /// Its worker died or lost its lease.
    Lost,
}

impl AttemptOutcome {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
