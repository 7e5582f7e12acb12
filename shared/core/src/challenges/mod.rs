//! Challenges: proofs that are under way, between a password and a second factor or within a WebAuthn ceremony.
//!
//! Who holds the token goes on with one, within its time, for the purpose that it was made for.

mod repository;

use plinth_domain::authentication::Methods;
use plinth_domain::id::{SessionId, UserId};
use plinth_domain::purpose::ChallengePurpose;
use plinth_platform::crypto::OpaqueToken;
use serde_json::Value;

use crate::unit::Unit;
use crate::{Result, Stores};

pub(crate) use repository::expired;

/// A challenge that is about to be.
#[derive(Debug)]
pub(crate) struct NewChallenge {
    pub(crate) purpose: ChallengePurpose,
    /// None where the passkey itself will say whose it is.
    pub(crate) user: Option<UserId>,
    /// The session that it belongs to.
    pub(crate) session: Option<SessionId>,
    /// What was proved so far.
    pub(crate) methods: Methods,
    /// What has to be remembered of it, e.g. the server's side of a WebAuthn ceremony.
    pub(crate) state: Value,
    pub(crate) lifetime: std::time::Duration,
}

/// A challenge as it stands, of the purpose that was asked for.
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) user: Option<UserId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) methods: Methods,
    pub(crate) state: Value,
    /// Proofs that were wrong.
    pub(crate) failures: i16,
}

/// Begins a challenge; the token that goes on with it.
pub(crate) async fn begin(unit: &mut Unit, challenge: &NewChallenge) -> Result<OpaqueToken> {
    let token = OpaqueToken::generate();
    let at = unit.at();
    repository::insert(unit.connection(), &token.hash(), challenge, at).await?;
    Ok(token)
}

/// The challenge, used up: it is answered once, rightly or not.
pub(crate) async fn take(
    unit: &mut Unit,
    token: &str,
    purpose: ChallengePurpose,
) -> Result<Option<Challenge>> {
    let Some(token) = OpaqueToken::parse(token) else {
        return Ok(None);
    };
    let at = unit.at();
    Ok(repository::take(unit.connection(), &token.hash(), purpose, at).await?)
}

/// The challenge, which stays; locked, so that two answers follow each other.
pub(crate) async fn hold(
    unit: &mut Unit,
    token: &str,
    purpose: ChallengePurpose,
) -> Result<Option<Challenge>> {
    let Some(token) = OpaqueToken::parse(token) else {
        return Ok(None);
    };
    let at = unit.at();
    Ok(repository::hold(unit.connection(), &token.hash(), purpose, at).await?)
}

/// Whose the challenge is; nothing is locked.
pub(crate) async fn owner(
    stores: &Stores,
    token: &str,
    purpose: ChallengePurpose,
) -> Result<Option<UserId>> {
    let Some(token) = OpaqueToken::parse(token) else {
        return Ok(None);
    };
    Ok(repository::owner(&stores.db, &token.hash(), purpose, stores.clock.now()).await?)
}

/// Notes a wrong answer.
pub(crate) async fn fail(unit: &mut Unit, token: &str) -> Result<()> {
    let Some(token) = OpaqueToken::parse(token) else {
        return Ok(());
    };
    Ok(repository::fail(unit.connection(), &token.hash()).await?)
}

/// Ends every challenge of a user.
pub(crate) async fn remove_all_of(
    unit: &mut Unit,
    user: UserId,
    kept: Option<ChallengePurpose>,
) -> Result<()> {
    Ok(repository::remove_all_of(unit.connection(), user, kept).await?)
}
