//! Passkeys and their ceremonies, as clients see them.

use plinth_core::Error;
use plinth_core::passkeys::{Ceremony, PasskeyView};
use plinth_domain::id::PasskeyId;
use plinth_domain::text::DisplayName;
use poem_openapi::Object;
use time::OffsetDateTime;

use crate::http::json::JsonObject;

/// A key on one of the account's devices.
#[derive(Object)]
pub(crate) struct Passkey {
    id: PasskeyId,
    name: String,
    created_at: OffsetDateTime,
    /// Null until it has proved something.
    last_used_at: Option<OffsetDateTime>,
}

impl From<PasskeyView> for Passkey {
    fn from(passkey: PasskeyView) -> Self {
        Self {
            id: passkey.id,
            name: passkey.name,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
        }
    }
}

/// What a browser is asked.
#[derive(Object)]
pub(crate) struct PasskeyCeremony {
    /// Goes with the answer; good for one, within a few minutes.
    challenge: String,
    /// The options in WebAuthn's JSON: `PublicKeyCredential.parseCreationOptionsFromJSON` reads those of a new passkey,
    /// `parseRequestOptionsFromJSON` those of a proof.
    public_key: JsonObject,
}

impl TryFrom<Ceremony> for PasskeyCeremony {
    type Error = Error;

    fn try_from(ceremony: Ceremony) -> Result<Self, Error> {
        let public_key = JsonObject::of(ceremony.public_key)
            .ok_or_else(|| Error::internal("the options of a ceremony are no object"))?;
        Ok(Self {
            challenge: ceremony.challenge.reveal(),
            public_key,
        })
    }
}

/// Reads what a person calls a passkey.
pub(super) fn parse_name(text: &str) -> Result<DisplayName, Error> {
    DisplayName::parse(text).map_err(|rejection| Error::invalid("/name", rejection))
}
