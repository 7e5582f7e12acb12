//! Renders errors below the CORS layer. The CORS layer of poem would render an error as plain text,
//! without its headers.

use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};
use poem_openapi::OperationId;

use super::admission::AdmissionRecord;
use crate::http::error_page::ErrorPage;
use crate::http::origin::RequestContext;
use crate::http::problem;

/// The layer.
pub struct RenderErrors(pub ErrorPage);

pub struct RenderErrorsEndpoint<E> {
    inner: E,
    page: ErrorPage,
}

impl<E: Endpoint> Middleware<E> for RenderErrors {
    type Output = RenderErrorsEndpoint<E>;

    fn transform(&self, inner: E) -> RenderErrorsEndpoint<E> {
        RenderErrorsEndpoint {
            inner,
            page: self.0.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for RenderErrorsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let context = request
            .data::<RequestContext>()
            .expect("Observe gives every request a context");
        let request_id = context.request_id.clone();
        let error = match Box::pin(self.inner.call(request)).await {
            Ok(response) => return Ok(response.into_response()),
            Err(error) => error,
        };
        let mut response = problem::render(&error, &request_id, &self.page);
        // Observe logs these.
        if let Some(operation) = error.data::<OperationId>() {
            response.set_data(*operation);
        }
        if let Some(record) = error.data::<AdmissionRecord>() {
            response.set_data(record.clone());
        }
        Ok(response)
    }
}
