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

use crate::auth::session_tokens::{Keeping, SessionAnswer};
use crate::http::body::Body;
use crate::http::browser::{Pages, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersImpersonate};

pub(crate) struct Impersonate {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for Impersonate {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::CsrfFailed),
        (409, ErrorCode::AccountSuspended),
        (409, ErrorCode::OwnAccount),
    ]];
}

/// Why an administrator acts in somebody's name.
#[derive(Object)]
struct ImpersonateRequest {
    /// For the audit log.
    #[oai(validator(max_length = 500))]
    reason: String,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl Impersonate {
    /// Act in somebody's name
    ///
    /// Gives an access token of a session of the user, for 15 minutes and without a refresh token. It cannot do what needs
    /// a step-up; whatever is done with it stands under both names in the audit log. Logging out with it ends it.
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
    ) -> Result<SessionAnswer> {
        let reason = Reason::parse(&body.0.reason)
            .map_err(|rejection| Error::invalid("/reason", rejection))?;
        let tokens = self
            .auth
            .impersonate(&origin.0, caller.in_session(), UserId(id.0), &reason)
            .await?;
        // A browser's cookies stay those of the administrator.
        Ok(SessionAnswer::new(
            tokens,
            Keeping::Bearer,
            &self.pages.browser(headers),
            self.lifetime,
        ))
    }
}
