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

/// Another address.
#[derive(Object)]
struct ChangeEmailRequest {
    /// Where the account's mail is to go.
    #[oai(validator(max_length = 254))]
    email: String,
}

#[derive(ApiResponse)]
enum Accepted {
    /// If the address is free, a mail is on its way to it.
    #[oai(status = 202)]
    Accepted,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ChangeEmail {
    /// Change the own address
    ///
    /// A mail with a link goes to the new address; the account keeps the old one until the link's token was presented.
    /// The answer is the same whether or not somebody else has the address.
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
