//! A response whose result is in its headers.

use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};

/// A response with the status `STATUS`, headers and no body.
pub struct HeadersOnly<const STATUS: u16>(pub Response);

impl<const STATUS: u16> IntoResponse for HeadersOnly<STATUS> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<const STATUS: u16> ApiResponse for HeadersOnly<STATUS> {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "No body; the response headers carry the result.",
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
