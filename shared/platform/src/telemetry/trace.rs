//! Traces: the OTLP exporter, and the W3C trace context that crosses processes.

use std::collections::HashMap;

use http::Method;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::TelemetryError;

/// Name of the header, and of the column in the job ledger: <https://www.w3.org/TR/trace-context/>.
pub const TRACEPARENT: &str = "traceparent";

pub(super) fn provider(
    service: &'static str,
    url: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(url)
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(service).build())
        .build())
}

/// Makes `span` a child of the span that `traceparent` names. A malformed `traceparent` is ignored.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent else {
        return;
    };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&carrier);
    if parent.span().span_context().is_valid() {
        // Fails only without an OTLP endpoint, when no trace exists to continue.
        let _ = span.set_parent(parent);
    }
}

/// Returns the current span as a `traceparent`, if traces are collected.
pub fn current_traceparent() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Names the span of a request and records its response by OpenTelemetry's HTTP conventions: a 5xx
/// status is an error, a 4xx status is not.
pub fn record_response(
    span: &Span,
    operation: &'static str,
    status: u16,
    method: &Method,
    path: &str,
) {
    let context = span.context();
    let span = context.span();
    if !span.span_context().is_valid() {
        return;
    }
    span.update_name(operation);
    span.set_attribute(KeyValue::new("http.request.method", method.to_string()));
    span.set_attribute(KeyValue::new("url.path", path.to_owned()));
    span.set_attribute(KeyValue::new(
        "http.response.status_code",
        i64::from(status),
    ));
    if status >= 500 {
        span.set_status(Status::error(""));
    }
}

/// Returns the trace id of `span`, if traces are collected.
pub fn trace_id(span: &Span) -> Option<String> {
    let context: Context = span.context();
    let id = context.span().span_context().trace_id();
    (id != opentelemetry::trace::TraceId::INVALID).then(|| id.to_string())
}
