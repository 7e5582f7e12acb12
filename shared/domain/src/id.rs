//! Identifiers: a UUIDv7 each (RFC 9562), distinct types so that none is mistaken for another.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh identifier that sorts by `at`.
            pub fn mint(at: OffsetDateTime) -> Self {
                Self(uuid_v7(at))
            }

            /// When it was minted, to the millisecond.
            pub fn minted_at(self) -> OffsetDateTime {
                moment_of(self.0)
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
    /// A registration that is not proved yet.
    RegistrationId,
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
    /// The bytes of a version of a file.
    BlobId,
    /// A link by which a file is shared.
    ShareLinkId,
    /// A unit of background work.
    JobId,
    /// A line of the audit log.
    AuditEventId,
    /// A message in a user's inbox.
    NotificationId,
}

impl AuditEventId {
    /// The identifier of the `nth` event of the change made at `at`, so that the events of one change sort in the order
    /// in which they were written: the number takes the place of the twelve random bits after the time (RFC 9562,
    /// section 6.2, method 1).
    pub fn of_change(at: OffsetDateTime, nth: u16) -> Self {
        const RANDOM_BITS_AFTER: u32 = 64;
        let random = uuid_v7(at).as_u128() & !(0xfff << RANDOM_BITS_AFTER);
        Self(Uuid::from_u128(
            random | u128::from(nth.min(0xfff)) << RANDOM_BITS_AFTER,
        ))
    }
}

/// A UUIDv7 of the given time; the rest is random.
pub fn uuid_v7(at: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, at.nanosecond()))
}

/// Not above any UUIDv7 of this time, to the millisecond, or later, and above all of before.
pub fn first_uuid_of(at: OffsetDateTime) -> Uuid {
    let milliseconds = u128::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Uuid::from_u128(milliseconds << 80)
}

/// The first 48 bits of a UUIDv7 are milliseconds of Unix time.
fn moment_of(id: Uuid) -> OffsetDateTime {
    let nanoseconds = (id.as_u128() >> 80) * 1_000_000;
    let moment = i128::try_from(nanoseconds)
        .ok()
        .map(OffsetDateTime::from_unix_timestamp_nanos);
    // Only what was not minted here can lie beyond the years that there are.
    moment
        .and_then(Result::ok)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_id_tells_when_it_was_minted() {
        let at = datetime!(2026-11-25 12:34:56.789 UTC);
        assert_eq!(
            JobId::mint(at + time::Duration::microseconds(12)).minted_at(),
            at
        );
        assert_eq!(JobId(Uuid::max()).minted_at(), OffsetDateTime::UNIX_EPOCH);
    }

    #[test]
    fn the_events_of_a_change_sort_in_the_order_of_their_writing() {
        let at = datetime!(2026-11-25 12:34:56.789 UTC);
        let ids: Vec<_> = (0..100)
            .map(|nth| AuditEventId::of_change(at, nth))
            .collect();
        assert!(ids.is_sorted());
        for id in ids {
            assert_eq!((id.minted_at(), id.0.get_version_num()), (at, 7));
            assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn a_time_divides_the_ids_minted_before_it_from_the_others() {
        let at = datetime!(2026-11-25 12:34:56.789 UTC);
        assert!(JobId::mint(at).0 >= first_uuid_of(at));
        assert!(JobId::mint(at - time::Duration::milliseconds(1)).0 < first_uuid_of(at));
        assert_eq!(first_uuid_of(datetime!(1900-01-01 0:00 UTC)), Uuid::nil());
    }
}
