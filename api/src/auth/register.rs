//! POST /v1/auth/register

use plinth_core::Error;
use plinth_core::auth::{Auth, Registration};
use plinth_core::error::Faults;
use plinth_domain::email::Email;
use plinth_domain::password::Password;
use plinth_domain::text::DisplayName;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct Register {
    pub(super) auth: Auth,
}

/// What a new account needs.
#[derive(Object)]
struct RegisterRequest {
    /// Where the verification mail goes; unique without regard to case.
    #[oai(validator(max_length = 254))]
    email: String,
    /// 8 to 128 characters of any kind.
    #[oai(validator(max_length = 1024))]
    password: String,
    /// How the person wants to be called.
    #[oai(validator(max_length = 200))]
    display_name: Option<String>,
}

impl RegisterRequest {
    fn parse(self) -> std::result::Result<Registration, Error> {
        let mut faults = Faults::default();
        let email = faults.keep("/email", Email::parse(&self.email));
        let password = faults.keep("/password", Password::parse(&self.password));
        let name =
            faults.keep("/display_name", self.display_name.as_deref().map(DisplayName::parse).transpose());
        let whole = (|| Some(Registration { email: email?, password: password?, display_name: name? }))();
        faults.into_result(whole)
    }
}

#[derive(ApiResponse)]
enum Accepted {
    /// The registration was taken; a mail tells how it goes on.
    #[oai(status = 202)]
    Accepted,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Register {
    /// Register an account
    ///
    /// A mail with a link goes to the address; the account can log in once the link's token was presented. The answer
    /// is the same whether or not the address has an account already.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(&self, origin: RequestOrigin, body: Body<RegisterRequest>) -> Result<Accepted> {
        self.auth.register(&origin.0, body.0.parse()?).await?;
        Ok(Accepted::Accepted)
    }
}
