//! POST /v1/auth/email/confirm

use plinth_core::auth::Auth;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct ConfirmEmail {
    pub(super) auth: Auth,
}

/// The proof that whoever asks reads the mail of the address.
#[derive(Object)]
struct ConfirmEmailRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
}

#[derive(ApiResponse)]
enum Changed {
    /// The account has the new address.
    #[oai(status = 204)]
    Changed,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ConfirmEmail {
    /// Confirm the new address of an account
    ///
    /// Takes the token that was mailed to it; it works once. The old address gets a mail with a link that undoes the
    /// change for some days.
    #[oai(path = "/email/confirm", method = "post", operation_id = "confirmEmail")]
    async fn confirm(&self, origin: RequestOrigin, body: Body<ConfirmEmailRequest>) -> Result<Changed> {
        self.auth.confirm_email_change(&origin.0, &body.0.token).await?;
        Ok(Changed::Changed)
    }
}
