//! POST /v1/auth/restore

use plinth_core::access::Purpose;
use plinth_core::auth::{Auth, LoginAnswer};
use plinth_domain::error_code::ErrorCode;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{LoginResponse, TokenDelivery, end_replaced_session};
use crate::http::body::Body;
use crate::http::browser::{CsrfGuard, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct Restore {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for Restore {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::AccountChanged),
        (401, ErrorCode::InvalidChallenge),
        (403, ErrorCode::CsrfFailed),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The confirmation that a deleted account is to be restored.
#[derive(Object)]
struct RestoreRequest {
    /// The challenge of a login to the account.
    #[oai(validator(max_length = 256))]
    challenge: String,
    /// How the tokens are delivered. `bearer` by default.
    keep: Option<TokenDelivery>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Restore {
    /// Restore your account
    ///
    /// Reverts the deletion of an account, with the challenge of a login to it, and opens a
    /// session. API keys and share links stay revoked.
    #[oai(path = "/restore", method = "post", operation_id = "restoreMe")]
    async fn restore(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<RestoreRequest>,
    ) -> Result<LoginResponse> {
        let browser = self.csrf.browser(headers);
        let delivery = body.0.keep.unwrap_or_default();
        if delivery == TokenDelivery::Cookie {
            browser.require_allowed_origin()?;
        }
        let tokens = self.auth.restore(&origin.0, &body.0.challenge).await?;
        let answer = LoginAnswer::Tokens(tokens);
        end_replaced_session(&self.auth, &origin.0, &browser, delivery, &answer).await?;
        Ok(LoginResponse::new(
            answer,
            delivery,
            &browser,
            self.lifetime,
        ))
    }
}
