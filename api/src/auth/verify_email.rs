//! POST /v1/auth/verify-email

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct VerifyEmail {
    pub(super) auth: Auth,
}

impl Operation for VerifyEmail {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::EmailTaken)]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The proof of an e-mail address.
#[derive(Object)]
struct VerifyEmailRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
    /// The password of the registration.
    #[oai(validator(max_length = 1024))]
    password: String,
}

#[derive(ApiResponse)]
enum Verified {
    /// The address is verified, and the account exists.
    #[oai(status = 204)]
    Verified,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl VerifyEmail {
    /// Verify an e-mail address
    ///
    /// Creates the account of the registration that the token was mailed for; the token works once.
    /// The password must be that of the registration, because another person may have registered
    /// the address (422 `wrong_password` if it is wrong; the token stays valid). 409 `email_taken`
    /// if the address belongs to an account by now.
    #[oai(path = "/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(
        &self,
        origin: RequestOrigin,
        body: Body<VerifyEmailRequest>,
    ) -> Result<Verified> {
        let password = Password::normalise(&body.0.password);
        self.auth
            .verify_email(&origin.0, &body.0.token, password)
            .await?;
        Ok(Verified::Verified)
    }
}
