//! The outermost layer. It gives each request an id, a span, a log line and metrics, renders its
//! error, and adds the headers that all responses have.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use plinth_platform::crypto;
use plinth_platform::telemetry::trace;
use poem::http::{HeaderName, HeaderValue, header};
use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};
use poem_openapi::OperationId;
use tracing::Instrument as _;

use super::admission::AdmissionRecord;
use super::metrics;
use crate::http::error_page::ErrorPage;
use crate::http::failure::Failure;
use crate::http::origin::RequestContext;
use crate::http::route_table::RouteTable;
use crate::http::{method_override, problem, tus};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Default headers of a response; an operation can set others.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The layer.
#[derive(Clone)]
pub struct Observe {
    pub table: RouteTable,
    /// The page that explains problems.
    pub page: ErrorPage,
    /// Whether clients reach the API over TLS only.
    pub hsts: bool,
}

pub struct ObserveEndpoint<E> {
    inner: E,
    layer: Observe,
}

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = ObserveEndpoint<E>;

    fn transform(&self, inner: E) -> ObserveEndpoint<E> {
        ObserveEndpoint {
            inner,
            layer: self.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for ObserveEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let start = Instant::now();
        method_override::apply(&mut request);
        let request_id = request_id(&request);
        let traceparent = request.header(trace::TRACEPARENT).map(str::to_owned);
        let method = request.method().clone();
        let path = self.layer.table.redact(request.uri().path()).into_owned();
        let span = tracing::info_span!(
            "request",
            otel.kind = "server",
            request.id = &*request_id,
            trace_id = tracing::field::Empty,
        );
        trace::continue_from(&span, traceparent.as_deref());
        if let Some(trace_id) = trace::trace_id(&span) {
            span.record("trace_id", trace_id);
        }
        request.set_data(RequestContext {
            request_id: request_id.clone(),
            traceparent,
        });
        async {
            let result = AssertUnwindSafe(Box::pin(self.inner.call(request)))
                .catch_unwind()
                .await;
            let result = result.unwrap_or_else(|_| Err(Failure::Panicked.into()));
            let (mut response, operation, record) = match result {
                Ok(response) => {
                    let response = response.into_response();
                    let (operation, record) = (
                        response.data::<OperationId>().copied(),
                        response.data::<AdmissionRecord>().cloned(),
                    );
                    (response, operation, record)
                }
                Err(error) => {
                    let (operation, record) = (
                        error.data::<OperationId>().copied(),
                        error.data::<AdmissionRecord>().cloned(),
                    );
                    (
                        problem::render(&error, &request_id, &self.layer.page),
                        operation,
                        record,
                    )
                }
            };
            if let Some(record) = &record {
                record.write_headers(response.headers_mut());
            }
            self.add_common_headers(&mut response, &path, &request_id);
            let operation = operation.map_or("none", |id| id.0);
            let status = response.status().as_u16();
            let took = start.elapsed();
            metrics::record_request(operation, status, took);
            trace::record_response(&tracing::Span::current(), operation, status, &method, &path);
            tracing::info!(
                operation,
                method = method.as_str(),
                path,
                status,
                us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                user = record
                    .and_then(|record| record.user())
                    .map(tracing::field::display),
                "request completed"
            );
            Ok(response)
        }
        .instrument(span)
        .await
    }
}

impl<E> ObserveEndpoint<E> {
    fn add_common_headers(&self, response: &mut Response, path: &str, request_id: &str) {
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
        if tus::is_tus_path(path) {
            tus::add_version(headers);
        }
        if self.layer.hsts {
            headers.insert(
                header::STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=31536000; includeSubDomains"),
            );
        }
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, value);
        }
    }
}

/// Returns the client's request id if it is safe to log, otherwise a new one.
fn request_id(request: &Request) -> Arc<str> {
    let plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match request.header(REQUEST_ID).filter(plain) {
        Some(given) => given.into(),
        None => crypto::unique_name().into(),
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make;
    use poem::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_internal_error_without_its_message() {
        let layer = Observe {
            table: RouteTable::new(&[]),
            page: ErrorPage::new("http://localhost"),
            hsts: false,
        }
        .transform(make(|_| async { panic!("secret {}", 7) as &'static str }));
        let response = layer.call(Request::default()).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.content_type(), Some(problem::CONTENT_TYPE));
        let body = response.into_body().into_string().await.expect("a text");
        assert!(
            body.contains("\"code\":\"internal\"") && !body.contains("secret"),
            "{body}"
        );
    }
}
