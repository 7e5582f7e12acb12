//! The second factors that an account has after its recovery.

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;

/// What a second factor is.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum FactorKind {
    /// An authenticator app.
    Totp,
    Passkey,
    RecoveryCodes,
}

impl From<plinth_domain::notice::FactorKind> for FactorKind {
    fn from(kind: plinth_domain::notice::FactorKind) -> Self {
        match kind {
            plinth_domain::notice::FactorKind::Totp => Self::Totp,
            plinth_domain::notice::FactorKind::Passkey => Self::Passkey,
            plinth_domain::notice::FactorKind::RecoveryCodes => Self::RecoveryCodes,
        }
    }
}

/// A second factor that the account still has.
#[derive(Debug, Object)]
pub(crate) struct RemainingFactor {
    kind: FactorKind,
    /// Null for recovery codes.
    name: Option<String>,
    added_at: OffsetDateTime,
    /// It was added lately: it proves nothing, and is removed when an older one is proved at the next login.
    suspended: bool,
}

impl From<plinth_core::second_factors::RemainingFactor> for RemainingFactor {
    fn from(factor: plinth_core::second_factors::RemainingFactor) -> Self {
        Self {
            kind: factor.kind.into(),
            name: factor.name,
            added_at: factor.added_at,
            suspended: factor.is_suspended,
        }
    }
}

/// An account that was taken back. Its sessions and API keys have ended.
#[derive(Debug, Object)]
pub(crate) struct RecoveredAccount {
    /// The second factors that it still has.
    remaining_factors: Vec<RemainingFactor>,
}

impl RecoveredAccount {
    pub(crate) fn with(factors: Vec<plinth_core::second_factors::RemainingFactor>) -> Self {
        Self {
            remaining_factors: factors.into_iter().map(RemainingFactor::from).collect(),
        }
    }
}
