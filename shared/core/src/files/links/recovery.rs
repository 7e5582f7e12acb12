//! The part of an account's recovery that concerns share links: an intruder keeps no link to the owner's files.

use plinth_domain::audit::{Action, Outcome, Target};
use plinth_domain::id::UserId;
use serde_json::json;
use time::OffsetDateTime;

use super::repository;
use crate::Result;
use crate::unit::Unit;

/// Ends the account's links that were made by sessions or API keys which this change ends, and returns how many.
///
/// Links that were made from `since` on also end if their session or key had ended before: an intruder may have logged
/// out. The caller holds the account and has ended the sessions and keys.
pub(crate) async fn end_made_by_ended(
    unit: &mut Unit,
    owner: UserId,
    since: OffsetDateTime,
) -> Result<usize> {
    let at = unit.at();
    let ended = repository::remove_made_by_ended(unit.connection(), owner, since, at).await?;
    if !ended.is_empty() {
        let details = json!({ "links": ended.len() });
        unit.audit_with(
            Action::ShareLinkRevoked,
            Target::User(owner),
            Outcome::Success,
            details,
        )
        .await?;
    }
    Ok(ended.len())
}
