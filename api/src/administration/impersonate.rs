//! POST /v1/users/{id}/impersonate

use plinth_core::Error;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::text::Reason;
use poem::http::HeaderMap;
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::auth::session_tokens::{SessionResponse, TokenDelivery};
use crate::http::body::Body;
use crate::http::browser::{CsrfGuard, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersImpersonate};

pub(crate) struct Impersonate {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for Impersonate {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::CsrfFailed),
        (409, ErrorCode::AccountSuspended),
        (409, ErrorCode::OwnAccount),
    ]];
}

/// The reason for an impersonation.
#[derive(Object)]
struct ImpersonateRequest {
    /// The reason, for the audit log.
    #[oai(validator(max_length = 500))]
    reason: String,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl Impersonate {
    /// Impersonate a user
    ///
    /// Returns an access token for a session of the user, valid for 15 minutes, without a refresh
    /// token. It does not allow operations that require a step-up. The audit log has both users in
    /// each event. Log out with the token to end the session.
    #[oai(
        path = "/users/:id/impersonate",
        method = "post",
        operation_id = "impersonateUser"
    )]
    async fn impersonate(
        &self,
        caller: Fresh<UsersImpersonate>,
        origin: RequestOrigin,
        headers: &HeaderMap,
        id: Path<Uuid>,
        body: Body<ImpersonateRequest>,
    ) -> Result<SessionResponse> {
        let reason = Reason::parse(&body.0.reason)
            .map_err(|rejection| Error::invalid("/reason", rejection))?;
        let tokens = self
            .auth
            .impersonate(&origin.0, caller.in_session(), UserId(id.0), &reason)
            .await?;
        // The browser keeps the cookies of the administrator's own session.
        Ok(SessionResponse::new(
            tokens,
            TokenDelivery::Bearer,
            &self.csrf.browser(headers),
            self.lifetime,
        ))
    }
}
