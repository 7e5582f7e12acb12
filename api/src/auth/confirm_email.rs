//! POST /v1/auth/email/confirm

use plinth_core::access::Purpose;
use plinth_core::auth::{AccountProof, Auth};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::OptionalCaller;

pub(crate) struct ConfirmEmail {
    pub(super) auth: Auth,
}

impl Operation for ConfirmEmail {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::AccountSuspended),
        (401, ErrorCode::AuthenticationRequired),
        (401, ErrorCode::InvalidToken),
        (401, ErrorCode::SessionEnded),
        (401, ErrorCode::TokenExpired),
        (403, ErrorCode::CsrfFailed),
        (403, ErrorCode::ImpersonationForbidden),
        (403, ErrorCode::OtherAccount),
        (403, ErrorCode::SessionRequired),
        (409, ErrorCode::EmailTaken),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The proof that the caller reads the mail of the new address and owns the account.
#[derive(Object)]
struct ConfirmEmailRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
    /// The password of the account. Required without a session of the account.
    #[oai(validator(max_length = 1024))]
    password: Option<String>,
}

#[derive(ApiResponse)]
enum Changed {
    /// The address of the account has changed.
    #[oai(status = 204)]
    Changed,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ConfirmEmail {
    /// Confirm the new address of an account
    ///
    /// Takes the token that was mailed to the new address; the token works once. Because another
    /// person may have requested the mail, the caller also needs a session of the account that
    /// requested the change (403 `other_account` for another account, 401 without a session) or its
    /// password (422 `wrong_password` if it is wrong; the token stays valid). The old address
    /// receives a mail with a link that undoes the change for some days, unless the change returns
    /// to an address that could undo an earlier one.
    #[oai(
        path = "/email/confirm",
        method = "post",
        operation_id = "confirmEmail"
    )]
    async fn confirm(
        &self,
        caller: OptionalCaller,
        origin: RequestOrigin,
        body: Body<ConfirmEmailRequest>,
    ) -> Result<Changed> {
        let proof = match &body.0.password {
            Some(password) => AccountProof::Password(Password::normalise(password)),
            None => AccountProof::Session(caller.in_session()?),
        };
        self.auth
            .confirm_email_change(&origin.0, &body.0.token, proof)
            .await?;
        Ok(Changed::Changed)
    }
}
