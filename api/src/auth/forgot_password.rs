//! POST /v1/auth/password/forgot

use plinth_core::Error;
use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::email::Email;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;

pub(crate) struct ForgotPassword {
    pub(super) auth: Auth,
}

impl Operation for ForgotPassword {
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The account whose password was forgotten.
#[derive(Object)]
struct ForgotPasswordRequest {
    /// The e-mail address of the account.
    #[oai(validator(max_length = 254))]
    email: String,
}

#[derive(ApiResponse)]
enum Accepted {
    /// If an account has the address, a mail is sent to it.
    #[oai(status = 202)]
    Accepted,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ForgotPassword {
    /// Request a password reset
    ///
    /// Sends a mail with a link to the address if an account has it. The response is the same
    /// whether or not one has.
    #[oai(
        path = "/password/forgot",
        method = "post",
        operation_id = "forgotPassword"
    )]
    async fn forgot(
        &self,
        origin: RequestOrigin,
        body: Body<ForgotPasswordRequest>,
    ) -> Result<Accepted> {
        let email = Email::parse_known(&body.0.email)
            .map_err(|rejection| Error::invalid("/email", rejection))?;
        self.auth.forget_password(&origin.0, &email).await?;
        Ok(Accepted::Accepted)
    }
}
