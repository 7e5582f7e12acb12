//! POST /v1/auth/restore

use plinth_core::access::Purpose;
use plinth_core::auth::{Auth, LoginAnswer};
use plinth_domain::error_code::ErrorCode;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{Keeping, LoginResponse, end_replaced};
use crate::http::body::Body;
use crate::http::browser::{Pages, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct Restore {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
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
    /// The challenge that a login to the account gave.
    #[oai(validator(max_length = 256))]
    challenge: String,
    /// Where the tokens are to be kept; `bearer` unless given.
    keep: Option<Keeping>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Restore {
    /// Restore the own account
    ///
    /// Takes the deletion of an account back, with the challenge that a login to it gave, and opens a session. API keys and
    /// share links stay ended.
    #[oai(path = "/restore", method = "post", operation_id = "restoreMe")]
    async fn restore(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<RestoreRequest>,
    ) -> Result<LoginResponse> {
        let browser = self.pages.browser(headers);
        let keeping = body.0.keep.unwrap_or_default();
        if keeping == Keeping::Cookie {
            browser.require_page_of_ours()?;
        }
        let tokens = self.auth.restore(&origin.0, &body.0.challenge).await?;
        let answer = LoginAnswer::Tokens(tokens);
        end_replaced(&self.auth, &origin.0, &browser, keeping, &answer).await?;
        Ok(LoginResponse::new(answer, keeping, &browser, self.lifetime))
    }
}
