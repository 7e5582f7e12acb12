//! POST /v1/auth/login/mfa

use plinth_core::Error;
use plinth_core::access::Purpose;
use plinth_core::auth::{Auth, Proof};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::one_time_code::OneTimeCode;
use plinth_domain::rejection::Rejection;
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

pub(crate) struct LoginMfa {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for LoginMfa {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::AccountChanged),
        (401, ErrorCode::InvalidChallenge),
        (401, ErrorCode::InvalidSecondFactor),
        (401, ErrorCode::SessionEnded),
        (403, ErrorCode::AccountSuspended),
        (403, ErrorCode::CsrfFailed),
        (403, ErrorCode::EmailNotVerified),
        (403, ErrorCode::RecoveryPending),
        (409, ErrorCode::PasskeysUnavailable),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// A second factor: exactly one of `code`, `recovery_code` and `credential`.
#[derive(Object)]
struct LoginMfaRequest {
    /// The challenge of the login or the step-up.
    #[oai(validator(max_length = 256))]
    challenge: String,
    /// The code of an authenticator app. Spaces and dashes are ignored.
    #[oai(validator(max_length = 16))]
    code: Option<String>,
    /// One of the recovery codes. Each works once.
    #[oai(validator(max_length = 64))]
    recovery_code: Option<String>,
    /// The result of `navigator.credentials.get` for `passkey_options`.
    credential: Option<JsonObject>,
    /// How the tokens are delivered. `bearer` by default.
    keep: Option<TokenDelivery>,
}

/// Returns the only proof in the request.
pub(super) fn parse_proof(
    code: Option<String>,
    recovery_code: Option<String>,
    credential: Option<JsonObject>,
) -> std::result::Result<Proof, Error> {
    match (code, recovery_code, credential) {
        (Some(code), None, None) => Ok(Proof::Totp(OneTimeCode::normalise(&code))),
        (None, Some(code), None) => Ok(Proof::RecoveryCode(code)),
        (None, None, Some(credential)) => Ok(Proof::Passkey(credential.into_value())),
        _ => {
            let detail = "Expected exactly one of code, recovery_code and credential.";
            Err(Error::invalid("", Rejection::new("one_proof", detail)))
        }
    }
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl LoginMfa {
    /// Complete a login or a step-up with a second factor
    ///
    /// A challenge expires after a few minutes, or after a few wrong attempts. Each code works
    /// once.
    #[oai(path = "/login/mfa", method = "post", operation_id = "loginMfa")]
    async fn login(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<LoginMfaRequest>,
    ) -> Result<LoginResponse> {
        let request = body.0;
        let browser = self.csrf.browser(headers);
        let delivery = request.keep.unwrap_or_default();
        if delivery == TokenDelivery::Cookie {
            browser.require_allowed_origin()?;
        }
        let proof = parse_proof(request.code, request.recovery_code, request.credential)?;
        let answer = self
            .auth
            .prove_second_factor(&origin.0, &request.challenge, proof)
            .await?;
        end_replaced_session(&self.auth, &origin.0, &browser, delivery, &answer).await?;
        Ok(LoginResponse::new(
            answer,
            delivery,
            &browser,
            self.lifetime,
        ))
    }
}
