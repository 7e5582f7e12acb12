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

/// A registration whose address is not proved yet.
#[derive(Object)]
struct RegistrationView {
    /// Names the registration when its mail is asked for again. Present whether or not the address has an account.
    registration_id: Uuid,
}

#[derive(ApiResponse)]
enum Accepted {
    /// The registration was accepted, and a mail goes to the address.
    #[oai(status = 202)]
    Accepted(Json<RegistrationView>),
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Register {
    /// Register an account
    ///
    /// A mail with a link goes to the address. The account is created when the link's token and the password are sent
    /// to `/v1/auth/verify-email`; until then nothing of the registration counts. Several registrations of one address
    /// do not affect each other. The answer is the same whether or not the address has an account already.
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
