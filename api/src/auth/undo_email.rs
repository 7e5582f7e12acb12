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

/// The proof that the caller reads the mail of the old address.
#[derive(Object)]
struct UndoEmailRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
}

/// The recovered account, or the challenge for a second factor.
#[derive(Union)]
enum UndoEmailAnswer {
    Undone(RecoveredAccount),
    Challenge(MfaChallenge),
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl UndoEmail {
    /// Undo a change of e-mail address
    ///
    /// Takes the token that was mailed to the old address; the token works once. All sessions and
    /// API keys of the account end, second factors that were added since the change are removed,
    /// and the password no longer works: the old address receives a mail to choose a new one. If
    /// the account has a second factor that is some days older than the change, the response is a
    /// challenge for it, which `/v1/auth/email/undo/mfa` completes.
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
                    UndoEmailAnswer::Undone(RecoveredAccount::new(remaining))
                }
                UndoAnswer::Challenge(challenge) => UndoEmailAnswer::Challenge(challenge.into()),
            },
        ))
    }
}
