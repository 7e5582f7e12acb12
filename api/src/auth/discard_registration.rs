//! POST /v1/auth/registrations/discard

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;

pub(crate) struct DiscardRegistration {
    pub(super) auth: Auth,
}

impl Operation for DiscardRegistration {
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The registration to discard.
#[derive(Object)]
struct DiscardRegistrationRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
}

#[derive(ApiResponse)]
enum Discarded {
    /// The registration is deleted, and its links no longer work.
    #[oai(status = 204)]
    Discarded,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl DiscardRegistration {
    /// Discard a registration
    ///
    /// Deletes the registration that the token was mailed for. The owner of a mailbox uses it if
    /// they did not register. Other registrations of the address, and an account with it, are
    /// unaffected.
    #[oai(
        path = "/registrations/discard",
        method = "post",
        operation_id = "discardRegistration"
    )]
    async fn discard(
        &self,
        origin: RequestOrigin,
        body: Body<DiscardRegistrationRequest>,
    ) -> Result<Discarded> {
        self.auth
            .discard_registration(&origin.0, &body.0.token)
            .await?;
        Ok(Discarded::Discarded)
    }
}
