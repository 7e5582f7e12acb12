//! Resume tickets: what a counted download gets, so that only its own client goes on with it without being counted again.
//!
//! A ticket is signed and kept nowhere. It is bound to the link, to the bytes and to a day.

use plinth_domain::id::{BlobId, ShareLinkId};
use plinth_platform::crypto::Signer;
use time::{Duration, OffsetDateTime};

const CONTEXT: &str = "share link resume v1";

/// How long a download that broke off may be resumed.
pub const RESUME_LIFETIME: Duration = Duration::hours(24);

/// Issues resume tickets and checks them.
#[derive(Clone)]
pub(super) struct ResumeTickets(Signer);

impl ResumeTickets {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Signer::new(key))
    }

    /// Returns the ticket of a download of these bytes by the link, which was counted now.
    pub(super) fn issue(&self, link: ShareLinkId, blob: BlobId, now: OffsetDateTime) -> String {
        let end = (now + RESUME_LIFETIME).unix_timestamp();
        self.0.sign(
            CONTEXT,
            &[
                &link.0.as_bytes()[..],
                blob.0.as_bytes(),
                &end.to_be_bytes(),
            ]
            .concat(),
        )
    }

    /// Whether it is the ticket of a download of these bytes by the link that may still be resumed.
    pub(super) fn admits(
        &self,
        ticket: &str,
        link: ShareLinkId,
        blob: BlobId,
        now: OffsetDateTime,
    ) -> bool {
        let Some(payload) = self.0.verify(CONTEXT, ticket) else {
            return false;
        };
        let Some((of_link, rest)) = payload.split_first_chunk::<16>() else {
            return false;
        };
        let Some((of_blob, end)) = rest.split_first_chunk::<16>() else {
            return false;
        };
        let end = <[u8; 8]>::try_from(end).map(i64::from_be_bytes);
        of_link == link.0.as_bytes()
            && of_blob == blob.0.as_bytes()
            && end.is_ok_and(|end| now.unix_timestamp() < end)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_resume_ticket_is_for_its_link_its_bytes_and_a_day() {
        let tickets = ResumeTickets::new(&[1; 32]);
        let (link, blob) = (ShareLinkId(Uuid::from_u128(1)), BlobId(Uuid::from_u128(2)));
        let now = datetime!(2026-11-27 12:00 UTC);
        let ticket = tickets.issue(link, blob, now);
        assert!(tickets.admits(&ticket, link, blob, now));
        assert!(tickets.admits(
            &ticket,
            link,
            blob,
            now + RESUME_LIFETIME - Duration::seconds(1)
        ));
        assert!(!tickets.admits(&ticket, link, blob, now + RESUME_LIFETIME));
        assert!(!tickets.admits(&ticket, ShareLinkId(blob.0), blob, now));
        assert!(!tickets.admits(&ticket, link, BlobId(link.0), now));
        assert!(!ResumeTickets::new(&[2; 32]).admits(&ticket, link, blob, now));
        for bad in ["", "AAAA", &ticket[1..]] {
            assert!(!tickets.admits(bad, link, blob, now), "{bad}");
        }
    }
}
