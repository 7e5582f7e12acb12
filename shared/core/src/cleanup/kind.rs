//! What a clean-up removes.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// One kind of what can be over.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $kind),* }

        impl Kind {
            /// In the order in which they are removed: first what is few, last what may be many.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// As commands and reports name it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }
    };
}

kinds! {
    /// Logins that have ended.
    Sessions = "sessions",
    /// Mailed tokens that have expired.
    OneTimeTokens = "one_time_tokens",
    /// Changes of address that can no longer be undone.
    EmailUndos = "email_undos",
    /// Access tokens that were taken back and would have expired by now.
    RevokedTokens = "revoked_tokens",
    /// API keys that have expired.
    ApiKeys = "api_keys",
    /// Links to files that have expired.
    ShareLinks = "share_links",
    /// Keys that signed access tokens and have retired.
    SigningKeys = "signing_keys",
    /// Proofs under way, of second factors and of passkeys, that have expired.
    Challenges = "challenges",
    /// Authenticator apps that were never confirmed.
    UnconfirmedFactors = "unconfirmed_factors",
    /// Registrations that were never proved.
    UnverifiedRegistrations = "unverified_registrations",
    /// Accounts that registered themselves with a release without registrations and were never verified.
    UnverifiedAccounts = "unverified_accounts",
    /// Notes that Redis is to forget a copy: it is told, and they go.
    StaleCopies = "stale_copies",
    /// Accounts that were deleted and can be restored no more.
    DeletedAccounts = "deleted_accounts",
    /// Files that were deleted and can be restored no more.
    TrashedFiles = "trashed_files",
    /// Uploads that stand still, and removals that broke off, with what S3 has of them.
    AbandonedUploads = "abandoned_uploads",
    /// Notifications that were read.
    ReadNotifications = "read_notifications",
    /// Notifications that nobody reads.
    UnreadNotifications = "unread_notifications",
    /// Jobs that are done or cancelled, with their attempts.
    FinishedJobs = "finished_jobs",
    /// Dead letters, with their attempts.
    DeadJobs = "dead_jobs",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A name that no kind has.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is nothing that is removed; there are {names}", names = names())]
pub struct UnknownKind(String);

fn names() -> String {
    Kind::ALL
        .iter()
        .map(|kind| kind.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == text);
        found.copied().ok_or_else(|| UnknownKind(text.to_owned()))
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
