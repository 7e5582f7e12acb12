//! Errors of operations: errors of the core, and errors of HTTP itself.

use plinth_core::Error;
use poem::error::ResponseError;
use poem::http::{HeaderName, StatusCode};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type as _;

use super::problem::{self, Problem};

/// The error of an operation; [`problem`] renders it as a response.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Core(#[from] Error),
    #[error("malformed JSON: {0}")]
    MalformedJson(#[source] serde_json::Error),
    #[error("malformed form: {0}")]
    MalformedForm(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the body is not {expected}")]
    UnsupportedMediaType { expected: &'static str },
    #[error("the body ended early")]
    BrokenBody(#[source] std::io::Error),
    #[error("the header field {name} is given more than once")]
    RepeatedField { name: HeaderName },
    /// The client sends too slowly.
    #[error("the client sent the request too slowly")]
    Timeout,
    /// The service did not answer within the deadline.
    #[error("the deadline of the request passed")]
    DeadlineExceeded,
    /// The client expects other bytes than the current ones.
    #[error("a precondition failed")]
    PreconditionFailed,
    /// The client uses another version of tus, or does not name its version.
    #[error("unsupported version of tus")]
    UnsupportedTusVersion,
    #[error("the range is not within {size} bytes")]
    RangeNotSatisfiable { size: u64 },
    #[error("a handler panicked")]
    Panicked,
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Failure>;

impl ResponseError for Failure {
    fn status(&self) -> StatusCode {
        problem::status(self)
    }
}

impl ApiResponse for Failure {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: problem::CONTENT_TYPE,
            schema: Problem::schema_ref(),
        }];
        let default = MetaResponse {
            description: "An error.",
            status: None,
            status_range: None,
            content,
            headers: vec![],
        };
        MetaResponses {
            responses: vec![default],
        }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}
