//! Whether the credential of a request that was admitted is still in force.

use plinth_domain::audit::Origin;
use plinth_domain::user::UserStatus;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use super::gate::{ended, key_ended, shut_out};
use crate::{Error, Result, api_keys, auth};

/// What became of a session or an API key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) is_live: bool,
    /// Of the account whose it is.
    pub(crate) status: UserStatus,
}

/// Refuses the request, as the gate would, if its session or API key has ended since it was admitted, or its account may not
/// act any more. A request without either passes.
///
/// A request is admitted when its headers have come. Its body may end hours later.
pub(crate) async fn require_standing(
    db: impl PgExecutor<'_>,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<()> {
    if let Some(session) = origin.session {
        let standing = auth::standing(db, session, now).await?;
        return check(standing, ended);
    }
    if let Some(key) = origin.api_key {
        let standing = api_keys::standing(db, key, now).await?;
        return check(standing, key_ended);
    }
    Ok(())
}

fn check(standing: Option<Standing>, ended: fn() -> Error) -> Result<()> {
    match standing {
        Some(Standing {
            is_live: true,
            status: UserStatus::Active,
        }) => Ok(()),
        Some(Standing {
            is_live: true,
            status,
        }) => Err(shut_out(status)),
        Some(Standing { is_live: false, .. }) | None => Err(ended()),
    }
}
