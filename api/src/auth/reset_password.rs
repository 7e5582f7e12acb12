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

/// The new password, with the proof from the mail.
#[derive(Object)]
struct ResetPasswordRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
    /// The new password: 8 to 128 characters of any kind.
    #[oai(validator(max_length = 1024))]
    password: String,
}

/// The result of a password reset.
#[derive(Object)]
struct PasswordReset {
    /// Send it with the next login from this device, so that failed logins elsewhere do not delay
    /// it. Earlier device tokens are invalid.
    device_token: String,
    /// The second factors that the account still has.
    remaining_factors: Vec<RemainingFactor>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ResetPassword {
    /// Reset a password
    ///
    /// Takes the token that was mailed. The token works once, and only while the account has the
    /// address that it was mailed to. All sessions and API keys of the account end. Second factors
    /// that were added in the last days are removed, or suspended if there is an older one, until
    /// that one is used. The response opens no session: log in with the new password, and with the
    /// second factor if there is one. 422 `password_unchanged` if the new password is the current
    /// one. 409 `email_taken` if the account was never verified and another account can take its
    /// address back.
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
