//! POST /v1/me/passkeys/finish

use plinth_core::passkeys::{NewPasskey, Passkeys};
use plinth_domain::error_code::ErrorCode;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::view::{Passkey, parse_name};
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::json::JsonObject;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Enrolling};

pub(crate) struct FinishPasskey {
    pub(super) passkeys: Passkeys,
}

impl Operation for FinishPasskey {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::SecondFactorRequired),
        (409, ErrorCode::PasskeyKnown),
        (409, ErrorCode::PasskeysUnavailable),
        (409, ErrorCode::TooManyPasskeys),
    ]];
}

/// A new passkey.
#[derive(Object)]
struct FinishPasskeyRequest {
    /// The challenge of the ceremony, from `/v1/me/passkeys/start`.
    #[oai(validator(max_length = 128))]
    challenge: String,
    /// A name for the passkey, for example that of its device.
    #[oai(validator(max_length = 200))]
    name: String,
    /// The credential of the browser: `credential.toJSON()`.
    credential: JsonObject,
}

/// A passkey that was added.
#[derive(Object)]
struct AddedPasskey {
    passkey: Passkey,
    /// Codes that replace a lost second factor, shown once. Null if the account has recovery codes
    /// already.
    recovery_codes: Option<Vec<String>>,
}

#[derive(ApiResponse)]
enum Finished {
    /// The passkey was added.
    #[oai(status = 201)]
    Added(Json<AddedPasskey>),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl FinishPasskey {
    /// Add a passkey
    ///
    /// The passkey can log in alone, and is a second factor for the password. The session counts as
    /// verified by it: refresh the tokens to get tokens that say so.
    #[oai(
        path = "/me/passkeys/finish",
        method = "post",
        operation_id = "finishPasskey"
    )]
    async fn finish(
        &self,
        caller: Enrolling<CredentialsWrite>,
        origin: RequestOrigin,
        body: Body<FinishPasskeyRequest>,
    ) -> Result<Finished> {
        let request = NewPasskey {
            challenge: body.0.challenge,
            name: parse_name(&body.0.name)?,
            credential: body.0.credential.into_value(),
        };
        let added = self
            .passkeys
            .finish_enrolment(&origin.0, caller.in_session(), request)
            .await?;
        let recovery_codes = added.recovery_codes;
        Ok(Finished::Added(Json(AddedPasskey {
            passkey: added.passkey.into(),
            recovery_codes,
        })))
    }
}
