//! POST /v1/links/{token}/tickets

use plinth_core::access::Purpose;
use plinth_core::files::ShareLinks;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::secret::Secret;

pub(crate) struct CreateTicket {
    pub(super) links: ShareLinks,
}

impl Operation for CreateTicket {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::WrongLinkPassword),
        (409, ErrorCode::NoLinkPassword),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

/// The password of a link.
#[derive(Object)]
struct TicketRequest {
    /// The password of the link.
    #[oai(validator(max_length = 1024))]
    password: String,
}

/// A ticket for a link with a password.
#[derive(Object)]
struct Ticket {
    /// Pass it to the download as `?ticket=`.
    ticket: String,
    /// When the ticket expires.
    expires_at: OffsetDateTime,
}

#[derive(ApiResponse)]
enum Created {
    /// The password is correct.
    #[oai(status = 201)]
    Created(Json<Ticket>),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl CreateTicket {
    /// Get a ticket for a link with a password
    ///
    /// A ticket is valid for 15 minutes. After several wrong passwords, the next attempt has to
    /// wait for the seconds in `Retry-After` (429 `rate_limited`).
    #[oai(
        path = "/links/:token/tickets",
        method = "post",
        operation_id = "createShareLinkTicket"
    )]
    async fn create(
        &self,
        origin: RequestOrigin,
        token: Path<Secret>,
        body: Body<TicketRequest>,
    ) -> Result<Created> {
        let password = Password::normalise(&body.0.password);
        let ticket = self.links.ticket(&origin.0, &token.0.0, password).await?;
        Ok(Created::Created(Json(Ticket {
            ticket: ticket.text,
            expires_at: ticket.expires_at,
        })))
    }
}
