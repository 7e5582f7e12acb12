//! A passkey is added: the browser is asked to make one, and what it made is checked and kept.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::{Method, Methods};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::PasskeyId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::{FactorKind, SecurityNotice};
use plinth_domain::purpose::ChallengePurpose;
use plinth_domain::rejection::Rejection;
use serde_json::json;

use super::relying_party::read;
use super::{AddedPasskey, Ceremony, NewPasskey, PasskeyView, Passkeys, repository};
use crate::auth::SessionCaller;
use crate::challenges::{self, NewChallenge};
use crate::{Error, Result, auth, second_factors};

/// Passkeys of one account.
const MOST: usize = 20;

impl Passkeys {
    /// Asks the person at this session to make a passkey.
    pub async fn start_enrolment(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
    ) -> Result<Ceremony> {
        let (user, session) = (&*caller.user, caller.session());
        let relying_party = self.relying_party()?;
        let existing = repository::credential_ids(&self.stores.db, user.id).await?;
        check_number(existing.len())?;
        let asked = relying_party.ask_for_new(user, existing)?;
        let reason = "a challenge changes nothing; the passkey that answers it is audited";
        let mut unit = caller
            .begin_factor_change(&self.stores, origin)
            .await?
            .exempt(reason);
        let challenge = NewChallenge {
            purpose: ChallengePurpose::PasskeyEnrolment,
            user: Some(user.id),
            session: Some(session),
            methods: Methods::default(),
            state: asked.state,
            lifetime: self.challenge_lifetime,
        };
        let challenge = challenges::begin(&mut unit, &challenge).await?;
        unit.commit().await?;
        Ok(Ceremony {
            challenge,
            public_key: asked.public_key,
        })
    }

    /// Keeps the passkey that was made. The session then counts as proved by it, since making one verifies the user.
    pub async fn finish_enrolment(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        request: NewPasskey,
    ) -> Result<AddedPasskey> {
        let (user, session) = (&*caller.user, caller.session());
        let relying_party = self.relying_party()?;
        let credential = read(&request.credential)?;
        let mut unit = caller.begin_factor_change(&self.stores, origin).await?;
        let challenge = challenges::take(
            &mut unit,
            &request.challenge,
            ChallengePurpose::PasskeyEnrolment,
        )
        .await?
        .filter(|challenge| challenge.user == Some(user.id) && challenge.session == Some(session))
        .ok_or_else(unknown_challenge)?;
        let passkey = match relying_party.new_passkey(&credential, challenge.state) {
            Ok(passkey) => passkey,
            Err(refusal) => {
                // A challenge is answered once, rightly or not.
                let details = json!({ "reason": "wrong_passkey" });
                unit.audit_with(
                    Action::PasskeyAdded,
                    Target::User(user.id),
                    Outcome::Refused,
                    details,
                )
                .await?;
                unit.commit().await?;
                return Err(refusal);
            }
        };
        check_number(
            repository::credential_ids(unit.connection(), user.id)
                .await?
                .len(),
        )?;
        let at = unit.at();
        let view = PasskeyView {
            id: PasskeyId::mint(at),
            name: request.name.as_str().to_owned(),
            created_at: at,
            last_used_at: None,
        };
        unit.changes_user(user.id).await;
        if !repository::insert(unit.connection(), user.id, &view, &passkey).await? {
            let detail = "This passkey has been added already.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::PasskeyKnown,
                detail,
            });
        }
        let proved = Methods::of(&[Method::Passkey, Method::MultiFactor]);
        auth::note_methods(&mut unit, session, &proved).await?;
        unit.audit(
            Action::PasskeyAdded,
            Target::Passkey(view.id),
            Outcome::Success,
        )
        .await?;
        let notice = SecurityNotice::FactorAdded {
            kind: FactorKind::Passkey,
        };
        unit.enqueue(&SendSecurityNotice {
            user_id: user.id,
            notice,
        })
        .await?;
        let recovery_codes = second_factors::first_codes(&mut unit, user.id).await?;
        unit.commit().await?;
        Ok(AddedPasskey {
            passkey: view,
            recovery_codes,
        })
    }
}

fn check_number(passkeys: usize) -> Result<()> {
    if passkeys < MOST {
        return Ok(());
    }
    let detail = format!("An account has at most {MOST} passkeys; remove one first.");
    Err(Error::Conflict {
        code: ErrorCode::TooManyPasskeys,
        detail,
    })
}

fn unknown_challenge() -> Error {
    let detail = "The challenge is unknown, used or expired; start again.";
    Error::invalid("/challenge", Rejection::new("invalid_challenge", detail))
}
