//! The second factors that an account has after its recovery.

use plinth_domain::notice::FactorKind;
use poem_openapi::Object;
use time::OffsetDateTime;

/// A second factor that the account still has.
#[derive(Debug, Object)]
pub(crate) struct RemainingFactor {
    kind: FactorKind,
    /// The name of the factor; null for recovery codes.
    name: Option<String>,
    added_at: OffsetDateTime,
    /// Whether the factor is suspended because it was added recently. It is not accepted, and is
    /// removed when an older factor is used at the next login.
    suspended: bool,
}

impl From<plinth_core::second_factors::RemainingFactor> for RemainingFactor {
    fn from(factor: plinth_core::second_factors::RemainingFactor) -> Self {
        Self {
            kind: factor.kind,
            name: factor.name,
            added_at: factor.added_at,
            suspended: factor.is_suspended,
        }
    }
}

/// An account that its owner recovered. Its sessions and API keys have ended.
#[derive(Debug, Object)]
pub(crate) struct RecoveredAccount {
    /// The second factors that the account still has.
    remaining_factors: Vec<RemainingFactor>,
}

impl RecoveredAccount {
    pub(crate) fn new(factors: Vec<plinth_core::second_factors::RemainingFactor>) -> Self {
        Self {
            remaining_factors: factors.into_iter().map(RemainingFactor::from).collect(),
        }
    }
}
