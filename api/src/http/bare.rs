//! An answer of one status whose headers say everything.

use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};

/// An answer with the status `STATUS` and without a body.
pub struct Bare<const STATUS: u16>(pub Response);

impl<const STATUS: u16> IntoResponse for Bare<STATUS> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<const STATUS: u16> ApiResponse for Bare<STATUS> {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "The headers say how it stands.",
            status: Some(STATUS),
            status_range: None,
            content: vec![],
            headers: vec![],
        };
        MetaResponses {
            responses: vec![response],
        }
    }

    fn register(_registry: &mut Registry) {}
}
