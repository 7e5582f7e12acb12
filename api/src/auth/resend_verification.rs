//! POST /v1/auth/verify-email/resend

use plinth_core::Error;
use plinth_core::auth::Auth;
use plinth_domain::email::Email;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct ResendVerification {
    pub(super) auth: Auth,
}

/// Whose mail is to be sent again.
#[derive(Object)]
struct ResendVerificationRequest {
    /// The address that was registered.
    #[oai(validator(max_length = 254))]
    email: String,
}

#[derive(ApiResponse)]
enum Accepted {
    /// If the address waits for its verification, a mail is on its way.
    #[oai(status = 202)]
    Accepted,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ResendVerification {
    /// Send the verification mail again
    ///
    /// The answer is the same whether or not the address has an account.
    #[oai(path = "/verify-email/resend", method = "post", operation_id = "resendVerification")]
    async fn resend(&self, origin: RequestOrigin, body: Body<ResendVerificationRequest>) -> Result<Accepted> {
        let email = Email::parse(&body.0.email).map_err(|rejection| Error::invalid("/email", rejection))?;
        self.auth.resend_verification(&origin.0, &email).await?;
        Ok(Accepted::Accepted)
    }
}
