//! Passkeys and their ceremonies in responses.

use plinth_core::Error;
use plinth_core::passkeys::{Ceremony, PasskeyView};
use plinth_domain::id::PasskeyId;
use plinth_domain::text::DisplayName;
use poem_openapi::Object;
use time::OffsetDateTime;

use crate::http::json::JsonObject;

/// A passkey of an account.
#[derive(Object)]
pub(crate) struct Passkey {
    id: PasskeyId,
    name: String,
    created_at: OffsetDateTime,
    /// When the passkey was last used; null if never.
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

/// A WebAuthn ceremony: the options for the browser.
#[derive(Object)]
pub(crate) struct PasskeyCeremony {
    /// Send it with the credential. It works once, within a few minutes.
    challenge: String,
    /// The options in the JSON format of WebAuthn. Parse them with
    /// `PublicKeyCredential.parseCreationOptionsFromJSON` to add a passkey, and with
    /// `parseRequestOptionsFromJSON` to log in.
    public_key: JsonObject,
}

impl TryFrom<Ceremony> for PasskeyCeremony {
    type Error = Error;

    fn try_from(ceremony: Ceremony) -> Result<Self, Error> {
        let public_key = JsonObject::from_value(ceremony.public_key)
            .ok_or_else(|| Error::internal("the options of a ceremony are not an object"))?;
        Ok(Self {
            challenge: ceremony.challenge.reveal(),
            public_key,
        })
    }
}

/// Parses the name of a passkey.
pub(super) fn parse_name(text: &str) -> Result<DisplayName, Error> {
    DisplayName::parse(text).map_err(|rejection| Error::invalid("/name", rejection))
}
