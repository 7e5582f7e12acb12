//! POST /v1/auth/login

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{LoginResponse, TokenDelivery, end_replaced_session};
use crate::http::body::Body;
use crate::http::browser::{CsrfGuard, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct Login {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for Login {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::AccountChanged),
        (401, ErrorCode::InvalidCredentials),
        (403, ErrorCode::AccountSuspended),
        (403, ErrorCode::CsrfFailed),
        (403, ErrorCode::EmailNotVerified),
        (403, ErrorCode::RecoveryPending),
        (403, ErrorCode::SecondFactorUnavailable),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The credentials of a login.
#[derive(Object)]
struct LoginRequest {
    /// The e-mail address of the account.
    #[oai(validator(max_length = 254))]
    email: String,
    /// The password of the account.
    #[oai(validator(max_length = 1024))]
    password: String,
    /// How the tokens are delivered. `bearer` by default.
    keep: Option<TokenDelivery>,
    /// The device token of an earlier login on this device.
    #[oai(validator(max_length = 512))]
    device_token: Option<String>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Login {
    /// Log in
    ///
    /// Opens a session. A wrong password and an unknown address get the same response. After
    /// several failures, the next attempt has to wait for the seconds in `Retry-After` (429
    /// `rate_limited`); a device that sends its device token does not wait because of failures
    /// elsewhere. If the account has a second factor, the response is a challenge, which
    /// `/v1/auth/login/mfa` completes. If the account is deleted, the response is a challenge for
    /// `/v1/auth/restore`.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<LoginRequest>,
    ) -> Result<LoginResponse> {
        let browser = self.csrf.browser(headers);
        let delivery = body.0.keep.unwrap_or_default();
        if delivery == TokenDelivery::Cookie {
            browser.require_allowed_origin()?;
        }
        let request = plinth_core::auth::LoginRequest {
            email: Email::parse_known(&body.0.email).ok(),
            password: Password::normalise(&body.0.password),
            device_token: body.0.device_token.or_else(|| browser.device_token()),
        };
        let answer = self.auth.log_in(&origin.0, request).await?;
        end_replaced_session(&self.auth, &origin.0, &browser, delivery, &answer).await?;
        Ok(LoginResponse::new(
            answer,
            delivery,
            &browser,
            self.lifetime,
        ))
    }
}
