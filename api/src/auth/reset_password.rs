//! POST /v1/auth/password/reset

use plinth_core::Error;
use plinth_core::auth::Auth;
use plinth_domain::password::Password;
use poem_openapi::{Object, OpenApi};

use super::known_device::KnownDevice;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct ResetPassword {
    pub(super) auth: Auth,
}

/// Another password for whoever got the mail.
#[derive(Object)]
struct ResetPasswordRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
    /// 8 to 128 characters of any kind.
    #[oai(validator(max_length = 1024))]
    password: String,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl ResetPassword {
    /// Choose another password
    ///
    /// Takes the token that was mailed; it works once. Every session and API key of the account ends. No session is
    /// opened: log in with the new password, and the second factor if there is one.
    #[oai(path = "/password/reset", method = "post", operation_id = "resetPassword")]
    async fn reset(&self, origin: RequestOrigin, body: Body<ResetPasswordRequest>) -> Result<KnownDevice> {
        let password =
            Password::parse(&body.0.password).map_err(|rejection| Error::invalid("/password", rejection))?;
        let device_token = self.auth.reset_password(&origin.0, &body.0.token, password).await?;
        Ok(KnownDevice::in_body(device_token))
    }
}
