//! Errors become answers before CORS sees them: poem's CORS layer would write an error as plain text, without the
//! headers that belong to it.

use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};
use poem_openapi::OperationId;

use super::admission::Record;
use crate::http::error_page::ErrorPage;
use crate::http::origin::RequestContext;
use crate::http::problem;

/// The layer below CORS.
pub struct RenderErrors(pub ErrorPage);

pub struct Rendered<E> {
    inner: E,
    page: ErrorPage,
}

impl<E: Endpoint> Middleware<E> for RenderErrors {
    type Output = Rendered<E>;

    fn transform(&self, inner: E) -> Rendered<E> {
        Rendered {
            inner,
            page: self.0.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for Rendered<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let context = request
            .data::<RequestContext>()
            .expect("Observe gives every request one");
        let request_id = context.request_id.clone();
        let error = match Box::pin(self.inner.call(request)).await {
            Ok(response) => return Ok(response.into_response()),
            Err(error) => error,
        };
        let mut response = problem::answer(&error, &request_id, &self.page);
        // What Observe logs of a request.
        if let Some(operation) = error.data::<OperationId>() {
            response.set_data(*operation);
        }
        if let Some(record) = error.data::<Record>() {
            response.set_data(record.clone());
        }
        Ok(response)
    }
}
