//! POST /v1/auth/verify-email/resend

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::id::RegistrationId;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;

pub(crate) struct ResendVerification {
    pub(super) auth: Auth,
}

impl Operation for ResendVerification {
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The registration whose mail is sent again.
#[derive(Object)]
struct ResendVerificationRequest {
    /// The `registration_id` of the response to the registration.
    registration_id: Uuid,
}

#[derive(ApiResponse)]
enum Accepted {
    /// If the registration is pending, a mail is sent.
    #[oai(status = 202)]
    Accepted,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ResendVerification {
    /// Send the verification mail again
    ///
    /// Sends at most one mail in five minutes. The response is the same whether or not the
    /// registration exists.
    #[oai(
        path = "/verify-email/resend",
        method = "post",
        operation_id = "resendVerification"
    )]
    async fn resend(
        &self,
        origin: RequestOrigin,
        body: Body<ResendVerificationRequest>,
    ) -> Result<Accepted> {
        self.auth
            .resend_verification(&origin.0, RegistrationId(body.0.registration_id))
            .await?;
        Ok(Accepted::Accepted)
    }
}
