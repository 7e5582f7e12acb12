//! POST /v1/auth/login

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{Keeping, LoginResponse, end_replaced};
use crate::http::body::Body;
use crate::http::browser::{Pages, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct Login {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
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

/// Who logs in.
#[derive(Object)]
struct LoginRequest {
    /// The account's address.
    #[oai(validator(max_length = 254))]
    email: String,
    /// The account's password.
    #[oai(validator(max_length = 1024))]
    password: String,
    /// Where the tokens are to be kept; `bearer` unless given.
    keep: Option<Keeping>,
    /// What an earlier login on this device was given.
    #[oai(validator(max_length = 512))]
    device_token: Option<String>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Login {
    /// Log in
    ///
    /// Opens a session. A wrong password and an unknown address get the same answer. After several failures the next
    /// attempt has to wait, as long as `Retry-After` says; a device that the account has been used on does not wait
    /// for what others have done. An account with a second factor gets a challenge, which `/v1/auth/login/mfa`
    /// completes; one that is deleted gets one, which `/v1/auth/restore` takes.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<LoginRequest>,
    ) -> Result<LoginResponse> {
        let browser = self.pages.browser(headers);
        let keeping = body.0.keep.unwrap_or_default();
        if keeping == Keeping::Cookie {
            browser.require_page_of_ours()?;
        }
        let request = plinth_core::auth::LoginRequest {
            email: Email::parse_known(&body.0.email).ok(),
            password: Password::normalise(&body.0.password),
            device_token: body.0.device_token.or_else(|| browser.device_token()),
        };
        let answer = self.auth.log_in(&origin.0, request).await?;
        end_replaced(&self.auth, &origin.0, &browser, keeping, &answer).await?;
        Ok(LoginResponse::new(answer, keeping, &browser, self.lifetime))
    }
}
