//! POST /v1/auth/password/reset

use plinth_core::Error;
use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::remaining_factors::RemainingFactor;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct ResetPassword {
    pub(super) auth: Auth,
}

impl Operation for ResetPassword {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::EmailTaken)]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// Another password for whoever got the mail.
#[derive(Object)]
struct ResetPasswordRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
    /// 8 to 128 characters of any kind.
    #[oai(validator(max_length = 1024))]
    password: String,
}

/// The password was chosen.
#[derive(Object)]
struct PasswordReset {
    /// Present it with the next login, so that guesses of strangers do not slow it down; earlier ones have ended.
    device_token: String,
    /// The second factors that the account still has.
    remaining_factors: Vec<RemainingFactor>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ResetPassword {
    /// Choose another password
    ///
    /// Takes the token that was mailed; it works once, and only while the account has the address that it was mailed to.
    /// Every session and API key of the account ends. Second factors that were added in the last days are removed, or
    /// suspended until an older one is proved if there is one. No session is opened: log in with the new password, and
    /// the second factor if there is one. The password that the account has is refused (`password_unchanged`). 409
    /// `email_taken` if the account was never verified and another one can take its address back.
    #[oai(
        path = "/password/reset",
        method = "post",
        operation_id = "resetPassword"
    )]
    async fn reset(
        &self,
        origin: RequestOrigin,
        body: Body<ResetPasswordRequest>,
    ) -> Result<Json<PasswordReset>> {
        let password = Password::parse(&body.0.password)
            .map_err(|rejection| Error::invalid("/password", rejection))?;
        let reset = self
            .auth
            .reset_password(&origin.0, &body.0.token, password)
            .await?;
        Ok(Json(PasswordReset {
            device_token: reset.device_token,
            remaining_factors: reset
                .remaining_factors
                .into_iter()
                .map(RemainingFactor::from)
                .collect(),
        }))
    }
}
