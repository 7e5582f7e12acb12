//! Known devices: a signed token from an earlier login, by which a device is told from the strangers who guess.
//!
//! It lets nobody in. It only moves its device out of the way of delays that others have caused: of those of passwords,
//! and of those of second factors if a second factor was proved on the device.

use plinth_domain::id::UserId;
use plinth_platform::crypto::{Signer, random};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

const CONTEXT: &str = "device v1";

/// A device that was not seen for so long is a stranger again.
pub const DEVICE_LIFETIME: Duration = Duration::days(180);

/// A device, as its counters name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeviceId([u8; 16]);

impl DeviceId {
    pub(super) fn text(self) -> String {
        uuid::Uuid::from_bytes(self.0).simple().to_string()
    }
}

/// A device that its user has logged in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownDevice {
    pub(super) id: DeviceId,
    /// A second factor was proved at the login. A device without is one of everybody who knows the password.
    pub(super) multi_factor: bool,
}

/// What ends the token of a device on which a second factor was proved.
const MULTI_FACTOR: u8 = 1;

/// Issues and recognises the tokens of devices.
#[derive(Clone)]
pub(super) struct Devices(Signer);

impl Devices {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Signer::new(key))
    }

    /// Returns a token for the device on which `user` has just logged in; a known device keeps its id.
    pub(super) fn issue(
        &self,
        user: UserId,
        known: Option<DeviceId>,
        multi_factor: bool,
        now: OffsetDateTime,
    ) -> String {
        let device = known.unwrap_or_else(|| DeviceId(random()));
        let seconds = now.unix_timestamp().to_be_bytes();
        let end: &[u8] = if multi_factor { &[MULTI_FACTOR] } else { &[] };
        self.0.sign(
            CONTEXT,
            &[&user.0.as_bytes()[..], &device.0, &seconds, end].concat(),
        )
    }

    /// The device, if `user` logged in on it after `since`, his last change of password.
    pub(super) fn recognise(
        &self,
        token: &str,
        user: UserId,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Option<KnownDevice> {
        let payload = self.0.verify(CONTEXT, token)?;
        let (owner, rest) = payload.split_first_chunk::<16>()?;
        let (device, seconds) = rest.split_first_chunk::<16>()?;
        let (seconds, end) = seconds.split_first_chunk::<8>()?;
        let multi_factor = match end {
            [] => false,
            [MULTI_FACTOR] => true,
            _ => return None,
        };
        let issued_at = i64::from_be_bytes(*seconds);
        let issued_at = OffsetDateTime::from_unix_timestamp(issued_at).ok()?;
        // Seconds are all that a token tells: one of the same second as the change may be older than it.
        let is_later = since.is_none_or(|since| issued_at > since);
        (owner == user.0.as_bytes() && is_later && issued_at + DEVICE_LIFETIME > now).then_some(
            KnownDevice {
                id: DeviceId(*device),
                multi_factor,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_device_is_known_to_its_user_for_a_while_and_until_the_password_changes() {
        let devices = Devices::new(&[1; 32]);
        let (ada, bob) = (
            UserId(uuid::Uuid::from_u128(1)),
            UserId(uuid::Uuid::from_u128(2)),
        );
        let now = datetime!(2026-11-25 12:00 UTC);
        let token = devices.issue(ada, None, false, now);
        let known = devices.recognise(&token, ada, None, now).expect("known");
        assert!(!known.multi_factor);
        let again = devices.issue(ada, Some(known.id), true, now);
        let stronger = KnownDevice {
            multi_factor: true,
            ..known
        };
        assert_eq!(devices.recognise(&again, ada, None, now), Some(stronger));
        assert_eq!(devices.recognise(&token, bob, None, now), None);
        assert_eq!(devices.recognise(&token, ada, Some(now), now), None);
        assert!(
            devices
                .recognise(&token, ada, Some(now - Duration::seconds(1)), now)
                .is_some()
        );
        assert_eq!(
            devices.recognise(&token, ada, None, now + DEVICE_LIFETIME),
            None
        );
        assert_eq!(
            Devices::new(&[2; 32]).recognise(&token, ada, None, now),
            None
        );
    }
}
