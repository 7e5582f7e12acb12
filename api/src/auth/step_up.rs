//! POST /v1/auth/step-up

use plinth_core::Error;
use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{LoginResponse, TokenDelivery};
use crate::http::body::Body;
use crate::http::browser::{CsrfGuard, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{InSession, LoggedIn};

pub(crate) struct StepUp {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for StepUp {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::InvalidCredentials),
        (403, ErrorCode::ImpersonationForbidden),
        (403, ErrorCode::SecondFactorUnavailable),
        (409, ErrorCode::NoPasskey),
    ]];
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The proof of a step-up.
#[derive(Object)]
struct StepUpRequest {
    /// The password of the account. Without it, the challenge is for a passkey.
    #[oai(validator(max_length = 1024))]
    password: Option<String>,
    /// How the tokens are delivered. `bearer` by default.
    keep: Option<TokenDelivery>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl StepUp {
    /// Confirm your identity again
    ///
    /// Returns new tokens of the same session, which allow sensitive operations for a few minutes.
    /// The previous tokens become invalid. If the account has a second factor, the response is a
    /// challenge, which `/v1/auth/login/mfa` completes.
    #[oai(path = "/step-up", method = "post", operation_id = "stepUp")]
    async fn step_up(
        &self,
        caller: InSession<LoggedIn>,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<StepUpRequest>,
    ) -> Result<LoginResponse> {
        if caller.login().impersonator.is_some() {
            let detail = "This operation is not allowed during an impersonation.".to_owned();
            return Err(Error::Forbidden {
                code: ErrorCode::ImpersonationForbidden,
                detail,
            }
            .into());
        }
        let password = body.0.password.as_deref().map(Password::normalise);
        let answer = self
            .auth
            .step_up(&origin.0, caller.user.id, caller.login(), password)
            .await?;
        let browser = self.csrf.browser(headers);
        Ok(LoginResponse::new(
            answer,
            body.0.keep.unwrap_or_default(),
            &browser,
            self.lifetime,
        ))
    }
}
