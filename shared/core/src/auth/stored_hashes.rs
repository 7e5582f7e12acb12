//! What the hashes cost that accounts came with from another system: a wrong password has to cost as much as all of
//! them, before the first of these accounts is guessed at.

use std::time::Duration;

use plinth_domain::audit::Action;
use plinth_platform::crypto::{PasswordHasher, StoredHash};

use crate::{Error, Result, Stores, audit, users};

/// While PostgreSQL is away it is asked again after so long.
const PAUSE: Duration = Duration::from_secs(5);

/// Kinds that are looked for; a system that was moved from has one or two.
const MOST: usize = 16;

/// Tells the hasher of every kind. The table of accounts is read for it only where some were imported.
pub(super) async fn learn(stores: Stores, hasher: PasswordHasher) {
    loop {
        match look(&stores, &hasher).await {
            Ok(()) => return,
            Err(Error::Unavailable { .. }) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, "the kinds of stored hashes are learnt from the logins alone");
                return;
            }
        }
    }
}

async fn look(stores: &Stores, hasher: &PasswordHasher) -> Result<()> {
    if !audit::has_any(stores, Action::AccountImported).await? {
        return Ok(());
    }
    hasher.register_imports();
    let mut known = Vec::new();
    while known.len() < MOST
        && let Some(text) = users::password_hash_unlike(stores, &known).await?
    {
        if let Ok(stored) = StoredHash::parse(&text) {
            hasher.register_cost(&stored);
        }
        known.push(StoredHash::cost_prefix(&text).to_owned());
    }
    Ok(())
}
