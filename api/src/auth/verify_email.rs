//! POST /v1/auth/verify-email

use plinth_core::auth::Auth;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct VerifyEmail {
    pub(super) auth: Auth,
}

/// The proof of an address.
#[derive(Object)]
struct VerifyEmailRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
}

#[derive(ApiResponse)]
enum Verified {
    /// The address is verified.
    #[oai(status = 204)]
    Verified,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl VerifyEmail {
    /// Verify an e-mail address
    ///
    /// Takes the token that was mailed; it works once.
    #[oai(path = "/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(&self, origin: RequestOrigin, body: Body<VerifyEmailRequest>) -> Result<Verified> {
        self.auth.verify_email(&origin.0, &body.0.token).await?;
        Ok(Verified::Verified)
    }
}
