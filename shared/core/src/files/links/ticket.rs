//! Tickets: what whoever knows the password of a link gets, so that the password is hashed once and not with each range
//! of a download, and stands in no URL.

use plinth_domain::id::ShareLinkId;
use plinth_platform::crypto::Signer;
use time::{Duration, OffsetDateTime};

const CONTEXT: &str = "share link ticket v1";

/// A ticket is taken for so long, if its link lives as long. A download that has begun goes on.
const LIFETIME: Duration = Duration::minutes(15);

/// Shows that its bearer knew the password of a link.
#[derive(Clone)]
pub struct Ticket {
    pub text: String,
    pub expires_at: OffsetDateTime,
}

/// Issues tickets and takes them back.
#[derive(Clone)]
pub(super) struct Tickets(Signer);

impl Tickets {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Signer::new(key))
    }

    pub(super) fn issue(&self, link: ShareLinkId, now: OffsetDateTime) -> Ticket {
        let seconds = (now + LIFETIME).unix_timestamp();
        let payload = [&link.0.as_bytes()[..], &seconds.to_be_bytes()].concat();
        let expires_at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(now);
        Ticket {
            text: self.0.sign(CONTEXT, &payload),
            expires_at,
        }
    }

    /// Whether it is a ticket for this link that has not expired.
    pub(super) fn admits(&self, ticket: &str, link: ShareLinkId, now: OffsetDateTime) -> bool {
        let Some(payload) = self.0.verify(CONTEXT, ticket) else {
            return false;
        };
        let Some((issued_for, seconds)) = payload.split_first_chunk::<16>() else {
            return false;
        };
        let seconds = <[u8; 8]>::try_from(seconds).map(i64::from_be_bytes);
        issued_for == link.0.as_bytes()
            && seconds.is_ok_and(|seconds| now.unix_timestamp() < seconds)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_ticket_is_for_its_link_and_its_quarter_of_an_hour() {
        let tickets = Tickets::new(&[1; 32]);
        let (link, other) = (
            ShareLinkId(Uuid::from_u128(1)),
            ShareLinkId(Uuid::from_u128(2)),
        );
        let now = datetime!(2026-11-27 12:00:00.5 UTC);
        let ticket = tickets.issue(link, now);
        assert_eq!(ticket.expires_at, datetime!(2026-11-27 12:15 UTC));
        assert!(tickets.admits(&ticket.text, link, now));
        assert!(tickets.admits(
            &ticket.text,
            link,
            ticket.expires_at - Duration::milliseconds(1)
        ));
        assert!(!tickets.admits(&ticket.text, link, ticket.expires_at));
        assert!(!tickets.admits(&ticket.text, other, now));
        assert!(!Tickets::new(&[2; 32]).admits(&ticket.text, link, now));
        assert!(!tickets.admits("", link, now) && !tickets.admits("AAAA", link, now));
    }
}
