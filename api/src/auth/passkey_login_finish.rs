//! POST /v1/auth/passkeys/login/finish

use plinth_core::access::Purpose;
use plinth_core::auth::{Auth, PasskeyLogin};
use plinth_domain::error_code::ErrorCode;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{LoginResponse, TokenDelivery, end_replaced_session};
use crate::http::body::Body;
use crate::http::browser::{CsrfGuard, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::json::JsonObject;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct FinishPasskeyLogin {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for FinishPasskeyLogin {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::AccountChanged),
        (401, ErrorCode::InvalidPasskey),
        (403, ErrorCode::AccountSuspended),
        (403, ErrorCode::CsrfFailed),
        (403, ErrorCode::EmailNotVerified),
        (403, ErrorCode::RecoveryPending),
        (409, ErrorCode::PasskeysUnavailable),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The assertion of a passkey.
#[derive(Object)]
struct PasskeyLoginRequest {
    /// The challenge of the ceremony, from `/v1/auth/passkeys/login/start`.
    #[oai(validator(max_length = 128))]
    challenge: String,
    /// The credential of the browser: `credential.toJSON()`.
    credential: JsonObject,
    /// How the tokens are delivered. `bearer` by default.
    keep: Option<TokenDelivery>,
    /// The device token of an earlier login on this device.
    #[oai(validator(max_length = 512))]
    device_token: Option<String>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl FinishPasskeyLogin {
    /// Log in with a passkey
    ///
    /// Opens a session. A passkey verifies its user, so that it counts as two factors. Every
    /// invalid assertion gets the same response.
    #[oai(
        path = "/passkeys/login/finish",
        method = "post",
        operation_id = "finishPasskeyLogin"
    )]
    async fn finish(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<PasskeyLoginRequest>,
    ) -> Result<LoginResponse> {
        let browser = self.csrf.browser(headers);
        let delivery = body.0.keep.unwrap_or_default();
        if delivery == TokenDelivery::Cookie {
            browser.require_allowed_origin()?;
        }
        let request = PasskeyLogin {
            challenge: body.0.challenge,
            credential: body.0.credential.into_value(),
            device_token: body.0.device_token.or_else(|| browser.device_token()),
        };
        let answer = self.auth.finish_passkey_login(&origin.0, request).await?;
        end_replaced_session(&self.auth, &origin.0, &browser, delivery, &answer).await?;
        Ok(LoginResponse::new(
            answer,
            delivery,
            &browser,
            self.lifetime,
        ))
    }
}
