//! POST /v1/me/email

use plinth_core::Error;
use plinth_core::auth::Auth;
use plinth_domain::email::Email;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct ChangeEmail {
    pub(super) auth: Auth,
}

impl Operation for ChangeEmail {}

/// The new e-mail address.
#[derive(Object)]
struct ChangeEmailRequest {
    /// The new e-mail address of the account.
    #[oai(validator(max_length = 254))]
    email: String,
}

#[derive(ApiResponse)]
enum Accepted {
    /// If the address is free, a mail is sent to it.
    #[oai(status = 202)]
    Accepted,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ChangeEmail {
    /// Change your e-mail address
    ///
    /// Sends a mail with a link to the new address. The account keeps its address until the token
    /// of the link is presented. The response is the same whether or not the new address is taken.
    #[oai(path = "/me/email", method = "post", operation_id = "changeEmail")]
    async fn change(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        body: Body<ChangeEmailRequest>,
    ) -> Result<Accepted> {
        let email =
            Email::parse(&body.0.email).map_err(|rejection| Error::invalid("/email", rejection))?;
        self.auth
            .request_email_change(&origin.0, caller.in_session(), &email)
            .await?;
        Ok(Accepted::Accepted)
    }
}
