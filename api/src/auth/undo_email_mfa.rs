//! POST /v1/auth/email/undo/mfa

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::login_mfa::parse_proof;
use super::remaining_factors::RecoveredAccount;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::json::JsonObject;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct UndoEmailMfa {
    pub(super) auth: Auth,
}

impl Operation for UndoEmailMfa {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::InvalidChallenge),
        (401, ErrorCode::InvalidSecondFactor),
        (409, ErrorCode::EmailTaken),
        (409, ErrorCode::PasskeysUnavailable),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// A second factor: exactly one of `code`, `recovery_code` and `credential`.
#[derive(Object)]
struct UndoEmailMfaRequest {
    /// The challenge of the undo.
    #[oai(validator(max_length = 256))]
    challenge: String,
    /// The code of an authenticator app.
    #[oai(validator(max_length = 16))]
    code: Option<String>,
    /// One of the recovery codes. Each works once.
    #[oai(validator(max_length = 64))]
    recovery_code: Option<String>,
    /// The result of `navigator.credentials.get` for `passkey_options`.
    credential: Option<JsonObject>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl UndoEmailMfa {
    /// Complete the undo of a change of e-mail address with a second factor
    ///
    /// Takes a factor that the account had before the change. A challenge expires after a few
    /// minutes, or after a few wrong attempts. The mailed token works until a challenge is
    /// completed.
    #[oai(
        path = "/email/undo/mfa",
        method = "post",
        operation_id = "undoEmailMfa"
    )]
    async fn undo(
        &self,
        origin: RequestOrigin,
        body: Body<UndoEmailMfaRequest>,
    ) -> Result<Json<RecoveredAccount>> {
        let request = body.0;
        let proof = parse_proof(request.code, request.recovery_code, request.credential)?;
        let remaining = self
            .auth
            .prove_email_undo(&origin.0, &request.challenge, proof)
            .await?;
        Ok(Json(RecoveredAccount::new(remaining)))
    }
}
