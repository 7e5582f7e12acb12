//! POST /v1/me/mfa/totp

use plinth_core::Error;
use plinth_core::second_factors::SecondFactors;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::text::DisplayName;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Enrolling};

pub(crate) struct StartTotp {
    pub(super) factors: SecondFactors,
}

impl Operation for StartTotp {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::SecondFactorRequired),
        (409, ErrorCode::TooManyFactors),
    ]];
}

/// A new authenticator app.
#[derive(Object)]
struct StartTotpRequest {
    /// A name by which the user recognizes the app.
    #[oai(validator(max_length = 200))]
    name: String,
}

/// The secret for the app, shown once.
#[derive(Object)]
struct TotpEnrolment {
    id: Uuid,
    /// The secret in base32, for typing.
    secret: String,
    /// The secret as an `otpauth:` URI, for apps that accept a link.
    otpauth_uri: String,
    /// The URI as a QR code in SVG.
    qr_svg: String,
}

#[derive(ApiResponse)]
enum Started {
    /// The app was added and waits for its first code.
    #[oai(status = 201)]
    Started(Json<TotpEnrolment>),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl StartTotp {
    /// Add an authenticator app
    ///
    /// Logins do not ask for its codes until a first code confirms it.
    #[oai(path = "/me/mfa/totp", method = "post", operation_id = "startTotp")]
    async fn start(
        &self,
        caller: Enrolling<CredentialsWrite>,
        origin: RequestOrigin,
        body: Body<StartTotpRequest>,
    ) -> Result<Started> {
        let name = DisplayName::parse(&body.0.name)
            .map_err(|rejection| Error::invalid("/name", rejection))?;
        let enrolment = self
            .factors
            .start_totp(&origin.0, caller.in_session(), &name)
            .await?;
        Ok(Started::Started(Json(TotpEnrolment {
            id: enrolment.id.0,
            secret: enrolment.provisioning.secret,
            otpauth_uri: enrolment.provisioning.otpauth_uri,
            qr_svg: enrolment.provisioning.qr_svg,
        })))
    }
}
