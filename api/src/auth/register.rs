//! POST /v1/auth/register

use plinth_core::Error;
use plinth_core::access::Purpose;
use plinth_core::auth::{Auth, Registration};
use plinth_core::error::Faults;
use plinth_domain::email::Email;
use plinth_domain::password::Password;
use plinth_domain::text::DisplayName;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;

pub(crate) struct Register {
    pub(super) auth: Auth,
}

impl Operation for Register {
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The data of a new account.
#[derive(Object)]
struct RegisterRequest {
    /// The e-mail address, which receives the verification mail. Unique without regard to case.
    #[oai(validator(max_length = 254))]
    email: String,
    /// The password: 8 to 128 characters of any kind.
    #[oai(validator(max_length = 1024))]
    password: String,
    /// The name that the user wants to be called by.
    #[oai(validator(max_length = 200))]
    display_name: Option<String>,
}

impl RegisterRequest {
    fn parse(self) -> std::result::Result<Registration, Error> {
        let mut faults = Faults::default();
        let email = faults.keep("/email", Email::parse(&self.email));
        let password = faults.keep("/password", Password::parse(&self.password));
        let name = faults.keep(
            "/display_name",
            self.display_name
                .as_deref()
                .map(DisplayName::parse)
                .transpose(),
        );
        let whole = (|| {
            Some(Registration {
                email: email?,
                password: password?,
                display_name: name?,
            })
        })();
        faults.into_result(whole)
    }
}

/// A registration whose address is not verified yet.
#[derive(Object)]
struct RegistrationView {
    /// The id of the registration, to request its mail again. Present whether or not the address
    /// has an account.
    registration_id: Uuid,
}

#[derive(ApiResponse)]
enum Accepted {
    /// The registration is accepted, and a mail is sent to the address.
    #[oai(status = 202)]
    Accepted(Json<RegistrationView>),
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Register {
    /// Register an account
    ///
    /// Sends a mail with a link to the address. The account is created when the token of the link
    /// and the password are sent to `/v1/auth/verify-email`. Several registrations of one address
    /// do not affect each other. The response is the same whether or not the address has an
    /// account.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        origin: RequestOrigin,
        body: Body<RegisterRequest>,
    ) -> Result<Accepted> {
        let id = self.auth.register(&origin.0, body.0.parse()?).await?;
        Ok(Accepted::Accepted(Json(RegistrationView {
            registration_id: id.0,
        })))
    }
}
