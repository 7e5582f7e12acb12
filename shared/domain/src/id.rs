//! Identifiers: a UUIDv7 each (RFC 9562), distinct types so that none is mistaken for another.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh identifier that sorts by `at`.
            pub fn mint(at: OffsetDateTime) -> Self {
                Self(uuid_v7(at))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A person who can log in.
    UserId,
    /// One login on one device.
    SessionId,
    /// One access token (`jti`).
    TokenId,
    /// An authenticator app that gives codes.
    TotpFactorId,
    /// A passkey.
    PasskeyId,
    /// A key with which a program acts for its owner.
    ApiKeyId,
    /// A stored file.
    FileId,
    /// A unit of background work.
    JobId,
    /// A line of the audit log.
    AuditEventId,
    /// A message in a user's inbox.
    NotificationId,
}

/// A UUIDv7 of the given time; the rest is random.
pub fn uuid_v7(at: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, at.nanosecond()))
}
