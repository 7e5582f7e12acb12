//! A passkey proves who somebody is: one of a known user, or by itself.

use plinth_domain::id::UserId;
use serde_json::Value;
use time::OffsetDateTime;
use webauthn_rs::prelude::PublicKeyCredential;

use super::Passkeys;
use super::relying_party::{Asked, Refusal, read};
use super::repository::{self, Held};
use crate::Result;
use crate::unit::Unit;

/// What a browser is asked, and what the challenge has to remember of it.
#[derive(Debug)]
pub(crate) struct PasskeyRequest {
    /// The options as `PublicKeyCredential.parseRequestOptionsFromJSON` reads them.
    pub(crate) public_key: Value,
    pub(crate) state: Value,
}

impl From<Asked> for PasskeyRequest {
    fn from(asked: Asked) -> Self {
        Self {
            public_key: asked.public_key,
            state: asked.state,
        }
    }
}

impl Passkeys {
    /// Asks for one of the user's passkeys that was added before `before`, where it is given; none where there is none or
    /// there are no passkeys here.
    pub(crate) async fn request_for(
        &self,
        user: UserId,
        before: Option<OffsetDateTime>,
    ) -> Result<Option<PasskeyRequest>> {
        let Some(relying_party) = self.relying_party.as_deref() else {
            return Ok(None);
        };
        let ids = repository::usable(&self.stores.db, user, before).await?;
        if ids.is_empty() {
            return Ok(None);
        }
        Ok(Some(relying_party.ask(&ids)?.into()))
    }

    /// Whether it is a proof by a passkey of this user; its counter and its last use are then kept.
    pub(crate) async fn verify_for(
        &self,
        unit: &mut Unit,
        user: UserId,
        state: &Value,
        credential: &Value,
        before: Option<OffsetDateTime>,
    ) -> Result<Result<(), Refusal>> {
        let credential: PublicKeyCredential = read(credential)?;
        // An authenticator that was told which passkeys it may use need not say whose they are.
        let is_of_other = credential
            .get_user_unique_id()
            .is_some_and(|handle| handle != user.0.as_bytes());
        let held = repository::hold(unit.connection(), credential.get_credential_id()).await?;
        match held {
            Some(held) if held.user == user && !is_of_other && held.is_usable(before) => {
                self.verify(unit, held, state, &credential).await
            }
            _ => Ok(Err(Refusal::UnknownPasskey)),
        }
    }

    /// Asks for any passkey: it will say whose it is.
    pub(crate) fn request_of_anybody(&self) -> Result<PasskeyRequest> {
        Ok(self.relying_party()?.ask(&[])?.into())
    }

    /// Who has proved by a passkey who he is; its counter and its last use are then kept. A refusal says whose passkey
    /// it seems to be.
    pub(crate) async fn verify_anybody(
        &self,
        unit: &mut Unit,
        state: &Value,
        credential: &Value,
    ) -> Result<Result<UserId, (Refusal, Option<UserId>)>> {
        let credential: PublicKeyCredential = read(credential)?;
        let held = repository::hold(unit.connection(), credential.get_credential_id()).await?;
        let handle = credential.get_user_unique_id();
        let is_of_handle = |held: &Held| handle == Some(held.user.0.as_bytes().as_slice());
        let Some(held) = held.filter(|held| is_of_handle(held) && held.is_usable(None)) else {
            return Ok(Err((Refusal::UnknownPasskey, None)));
        };
        let user = held.user;
        let checked = self.verify(unit, held, state, &credential).await?;
        Ok(checked
            .map(|()| user)
            .map_err(|refusal| (refusal, Some(user))))
    }

    async fn verify(
        &self,
        unit: &mut Unit,
        mut held: Held,
        state: &Value,
        credential: &PublicKeyCredential,
    ) -> Result<Result<(), Refusal>> {
        let checked = self
            .relying_party()?
            .check(credential, state, &mut held.passkey)?;
        if checked.is_ok() {
            let at = unit.at();
            repository::note_use(unit.connection(), held.id, &held.passkey, at).await?;
        }
        Ok(checked)
    }
}

impl Held {
    /// Whether it can prove something; where `before` is given, only if it was added before.
    fn is_usable(&self, before: Option<OffsetDateTime>) -> bool {
        !self.is_suspended && before.is_none_or(|before| self.added_at < before)
    }
}
