//! POST /v1/auth/login

use plinth_core::auth::Auth;
use plinth_domain::email::Email;
use plinth_domain::password::Password;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::SessionTokens;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct Login {
    pub(super) auth: Auth,
}

/// Who logs in.
#[derive(Object)]
struct LoginRequest {
    /// The account's address.
    #[oai(validator(max_length = 254))]
    email: String,
    /// The account's password.
    #[oai(validator(max_length = 1024))]
    password: String,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Login {
    /// Log in
    ///
    /// Opens a session. A wrong password and an unknown address get the same answer.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(&self, origin: RequestOrigin, body: Body<LoginRequest>) -> Result<Json<SessionTokens>> {
        let request = plinth_core::auth::LoginRequest {
            email: Email::parse(&body.0.email).ok(),
            password: Password::normalise(&body.0.password),
        };
        Ok(Json(self.auth.log_in(&origin.0, request).await?.into()))
    }
}
