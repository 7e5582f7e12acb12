//! What a clean-up removes.

use plinth_domain::closed_set::UnknownName;
use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// One kind of what can be over, in the order in which they are removed: first what is few, last what may be many.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownName, parse_err_fn = unknown_kind)]
pub enum Kind {
    /// Logins that have ended.
    Sessions,
    /// Mailed tokens that have expired.
    OneTimeTokens,
    /// Changes of address that can no longer be undone.
    EmailUndos,
    /// Access tokens that were taken back and would have expired by now.
    RevokedTokens,
    /// API keys that have expired.
    ApiKeys,
    /// Links to files that have expired.
    ShareLinks,
    /// Keys that signed access tokens and have retired.
    SigningKeys,
    /// Proofs under way, of second factors and of passkeys, that have expired.
    Challenges,
    /// Authenticator apps that were never confirmed.
    UnconfirmedFactors,
    /// Registrations that were never proved.
    UnverifiedRegistrations,
    /// Accounts that registered themselves with a release without registrations and were never verified.
    UnverifiedAccounts,
    /// Notes that Redis is to forget a copy: it is told, and they go.
    StaleCopies,
    /// Accounts that were deleted and can be restored no more.
    DeletedAccounts,
    /// Files that were deleted and can be restored no more.
    TrashedFiles,
    /// Uploads that stand still, and removals that broke off, with what S3 has of them.
    AbandonedUploads,
    /// Notifications that were read.
    ReadNotifications,
    /// Notifications that nobody reads.
    UnreadNotifications,
    /// Jobs that are done or cancelled, with their attempts.
    FinishedJobs,
    /// Dead letters, with their attempts.
    DeadJobs,
}

fn unknown_kind(text: &str) -> UnknownName {
    UnknownName::new::<Kind>("a kind of expired data", text)
}

impl Kind {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name, as commands and reports have it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_called_as_the_report_calls_it() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>().expect("a kind"), *kind);
        }
        let refusal = "pigeons"
            .parse::<Kind>()
            .expect_err("is refused")
            .to_string();
        assert!(refusal.contains("sessions, one_time_tokens"), "{refusal}");
    }
}
