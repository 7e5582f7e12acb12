//! The server's side of WebAuthn ceremonies: what browsers are asked and whether their answers hold.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plinth_domain::rejection::Rejection;
use plinth_domain::user::User;
use plinth_platform::settings::Settings;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strum::IntoStaticStr;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::{Error, Result};

/// Why a passkey's answer does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Refusal {
    /// Nobody, or somebody else, has such a passkey.
    UnknownPasskey,
    /// It is not of this ceremony: another challenge, origin or domain, no verified user, a wrong signature.
    WrongAnswer,
    /// Its counter did not go up: there may be a copy of it.
    CounterNotHigher,
}

impl Refusal {
    /// As the audit log has it.
    pub(crate) fn reason(self) -> &'static str {
        self.into()
    }
}

impl From<WebauthnError> for Refusal {
    fn from(error: WebauthnError) -> Self {
        tracing::debug!(%error, "a passkey is refused");
        match error {
            WebauthnError::CredentialPossibleCompromise => Self::CounterNotHigher,
            _ => Self::WrongAnswer,
        }
    }
}

/// What is asked of a browser, and what has to be remembered until it answers.
pub(super) struct Asked {
    pub(super) public_key: Value,
    pub(super) state: Value,
}

/// Who asks: a domain, the origins whose pages may ask in its name, and how long they wait for the answer.
pub(super) struct RelyingParty(Webauthn);

impl RelyingParty {
    /// None where the settings name no domain that browsers would take.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        match Self::try_of(settings) {
            Ok(Some(relying_party)) => return Some(relying_party),
            // An address instead of a name is how a computer of a developer is reached.
            Ok(None) => tracing::info!("there are no passkeys: the public URL has no domain"),
            Err(error) => {
                tracing::error!(%error, "there are no passkeys: the settings of them do not fit");
            }
        }
        None
    }

    fn try_of(settings: &Settings) -> Result<Option<Self>, Box<dyn std::error::Error>> {
        let public_url = Url::parse(&settings.general.public_url)?;
        let origins = match settings.auth.passkey_origins.0.as_slice() {
            [] => vec![public_url.clone()],
            given => given
                .iter()
                .map(|origin| Url::parse(origin))
                .collect::<Result<_, _>>()?,
        };
        let domain = settings
            .auth
            .passkey_domain
            .as_deref()
            .or_else(|| public_url.domain());
        let (Some(domain), [first, others @ ..]) = (domain, origins.as_slice()) else {
            return Ok(None);
        };
        let builder = WebauthnBuilder::new(domain, first)?
            .rp_name(&settings.general.product_name)
            .timeout(settings.auth.challenge_lifetime);
        let builder = others
            .iter()
            .fold(builder, WebauthnBuilder::append_allowed_origin);
        Ok(Some(Self(builder.build()?)))
    }

    /// Asks for a new passkey, on an authenticator that has none of these.
    pub(super) fn ask_for_new(&self, user: &User, existing: Vec<CredentialID>) -> Result<Asked> {
        let name = user.display_name.as_deref().unwrap_or(&user.email);
        let (options, state) = self
            .0
            .start_passkey_registration(user.id.0, &user.email, name, Some(existing))
            .map_err(Error::internal)?;
        let mut public_key = to_value(&options.public_key)?;
        // A login without a name of the account needs a key that the authenticator finds by itself. Whether it has made
        // one cannot be checked, so that the state need not know.
        public_key["authenticatorSelection"]["residentKey"] = json!("required");
        public_key["authenticatorSelection"]["requireResidentKey"] = json!(true);
        Ok(Asked {
            public_key,
            state: to_value(&state)?,
        })
    }

    /// The new passkey, if that is what was asked for.
    pub(super) fn new_passkey(
        &self,
        credential: &RegisterPublicKeyCredential,
        state: Value,
    ) -> Result<Passkey, Error> {
        let state: PasskeyRegistration = from_value(state)?;
        self.0
            .finish_passkey_registration(credential, &state)
            .map_err(|error| {
                tracing::debug!(%error, "a new passkey is refused");
                invalid("The passkey was not made for this challenge, here and by a verified user.")
            })
    }

    /// Asks for a proof by one of these; by any passkey of anybody where there are none.
    pub(super) fn ask(&self, allowed: &[Vec<u8>]) -> Result<Asked> {
        // Not the ceremony for known passkeys: its state has copies of them, whose counters may be old by the answer.
        let (options, state) = self
            .0
            .start_discoverable_authentication()
            .map_err(Error::internal)?;
        let mut public_key = to_value(&options.public_key)?;
        public_key["allowCredentials"] = allowed
            .iter()
            .map(|id| json!({ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(id) }))
            .collect();
        Ok(Asked {
            public_key,
            state: to_value(&state)?,
        })
    }

    /// Checks the proof by this passkey, which then knows its counter.
    pub(super) fn check(
        &self,
        credential: &PublicKeyCredential,
        state: &Value,
        passkey: &mut Passkey,
    ) -> Result<Result<(), Refusal>> {
        let state: DiscoverableAuthentication = from_value(state.clone())?;
        match self
            .0
            .finish_discoverable_authentication_v2(credential, state, &*passkey)
        {
            Ok(proved) => {
                passkey.update_credential(&proved);
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }
}

/// Reads what a browser made.
pub(super) fn read<T: DeserializeOwned>(credential: &Value) -> Result<T> {
    T::deserialize(credential)
        .map_err(|_| invalid("A credential as the browser's toJSON() gives it is expected."))
}

fn invalid(detail: &str) -> Error {
    Error::invalid("/credential", Rejection::new("invalid_credential", detail))
}

fn to_value(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(Error::internal)
}
