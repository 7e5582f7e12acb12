//! POST /v1/auth/email/undo

use plinth_core::access::Purpose;
use plinth_core::auth::{Auth, UndoAnswer};
use plinth_domain::error_code::ErrorCode;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi, Union};

use super::mfa_challenge::MfaChallenge;
use super::remaining_factors::RecoveredAccount;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct UndoEmail {
    pub(super) auth: Auth,
}

impl Operation for UndoEmail {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::SecondFactorUnavailable),
        (409, ErrorCode::EmailTaken),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The proof that whoever asks reads the mail of the address.
#[derive(Object)]
struct UndoEmailRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
}

/// The account as it is now, or the challenge for a second factor.
#[derive(Union)]
enum UndoEmailAnswer {
    Undone(RecoveredAccount),
    Challenge(MfaChallenge),
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl UndoEmail {
    /// Undo a change of address
    ///
    /// Takes the token that was mailed to the old address; it works once. Every session and API key of the account ends, so
    /// do second factors that were added since the change, and the password no longer works: a mail to choose another one is
    /// on its way to the old address. If the account has a second factor that is older than the change by some days, the
    /// answer is a challenge for it, which `/v1/auth/email/undo/mfa` completes.
    #[oai(path = "/email/undo", method = "post", operation_id = "undoEmail")]
    async fn undo(
        &self,
        origin: RequestOrigin,
        body: Body<UndoEmailRequest>,
    ) -> Result<Json<UndoEmailAnswer>> {
        Ok(Json(
            match self
                .auth
                .undo_email_change(&origin.0, &body.0.token)
                .await?
            {
                UndoAnswer::Undone(remaining) => {
                    UndoEmailAnswer::Undone(RecoveredAccount::with(remaining))
                }
                UndoAnswer::Challenge(challenge) => UndoEmailAnswer::Challenge(challenge.into()),
            },
        ))
    }
}
