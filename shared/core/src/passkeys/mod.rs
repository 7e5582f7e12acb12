//! Passkeys (WebAuthn level 3): keys on people's devices that log in alone, or are the second factor of a password.

mod enrolment;
mod proof;
mod relying_party;
mod repository;
mod service;

use std::sync::Arc;
use std::time::Duration;

use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::PasskeyId;
use plinth_domain::text::DisplayName;
use plinth_platform::crypto::OpaqueToken;
use plinth_platform::settings::Settings;
use serde_json::Value;
use time::OffsetDateTime;

use self::relying_party::RelyingParty;
use crate::{Error, Result, Stores};

pub(crate) use proof::PasskeyRequest;
pub(crate) use relying_party::Refusal;
pub(crate) use service::{
    has_any, has_one_before, remaining, remove_added_since, remove_all_of, remove_beside_password,
    remove_suspended, suspend_added_since,
};

/// The door to passkeys.
#[derive(Clone)]
pub struct Passkeys {
    stores: Stores,
    /// None where browsers would refuse: a passkey belongs to a domain.
    relying_party: Option<Arc<RelyingParty>>,
    challenge_lifetime: Duration,
}

/// A ceremony that has begun.
#[derive(Debug)]
pub struct Ceremony {
    /// Goes on with it, once.
    pub challenge: OpaqueToken,
    /// What the browser is asked, as `PublicKeyCredential.parseCreationOptionsFromJSON` or
    /// `parseRequestOptionsFromJSON` reads it.
    pub public_key: Value,
}

/// A passkey that a person wants to add.
#[derive(Debug)]
pub struct NewPasskey {
    /// The challenge of the ceremony.
    pub challenge: String,
    pub name: DisplayName,
    /// What the browser made of it (`RegistrationResponseJSON`).
    pub credential: Value,
}

/// A passkey that was added.
#[derive(Debug)]
pub struct AddedPasskey {
    pub passkey: PasskeyView,
    /// Shown once; none where the user has some already.
    pub recovery_codes: Option<Vec<String>>,
}

/// A passkey as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyView {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

impl Passkeys {
    pub fn new(stores: &Stores, settings: &Settings) -> Self {
        Self {
            stores: stores.clone(),
            relying_party: RelyingParty::of(settings).map(Arc::new),
            challenge_lifetime: settings.auth.challenge_lifetime,
        }
    }

    fn relying_party(&self) -> Result<&RelyingParty> {
        self.relying_party.as_deref().ok_or_else(|| {
            let detail =
                "This installation has no domain that passkeys could belong to.".to_owned();
            Error::Conflict {
                code: ErrorCode::PasskeysUnavailable,
                detail,
            }
        })
    }
}
