//! What the person at a session has proved is kept with it.

use plinth_domain::authentication::Methods;
use plinth_domain::id::SessionId;

use super::sessions;
use crate::unit::Unit;
use crate::{Error, Result};

/// Adds to the methods of a live session; its next tokens say so. The proof counts as one of this moment.
pub(crate) async fn note_methods(unit: &mut Unit, session: SessionId, proved: &Methods) -> Result<()> {
    let at = unit.at();
    let held = sessions::hold(unit.connection(), session, at).await?.filter(|held| held.live);
    let methods = held.ok_or(Error::NotFound)?.methods.and(proved);
    sessions::reauthenticate(unit.connection(), session, &methods, at).await?;
    Ok(())
}
