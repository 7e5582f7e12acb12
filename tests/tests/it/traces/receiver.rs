//! A collector that receives spans by OTLP over gRPC and keeps them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

pub(super) use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;

/// A received span.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) parent: String,
    trace: String,
    attributes: Vec<(String, String)>,
}

impl Span {
    fn of(service: &str, sent: &Sent) -> Self {
        Self {
            service: service.to_owned(),
            name: sent.name.clone(),
            kind: sent.kind(),
            id: hex(&sent.span_id),
            parent: hex(&sent.parent_span_id),
            trace: hex(&sent.trace_id),
            attributes: texts(&sent.attributes),
        }
    }

    pub(super) fn has(&self, attribute: &str, value: &str) -> bool {
        self.attributes
            .iter()
            .any(|(key, text)| key == attribute && text == value)
    }
}

/// Returns the attributes with a string value.
fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some((attribute.key.clone(), text.clone())),
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().expect("no holder panics");
        for sent in request.into_inner().resource_spans {
            let resource = texts(&sent.resource.unwrap_or_default().attributes);
            let service = resource.iter().find(|(key, _)| key == "service.name");
            let service = service.map(|(_, name)| name.as_str()).unwrap_or_default();
            spans.extend(
                sent.scope_spans
                    .iter()
                    .flat_map(|scope| &scope.spans)
                    .map(|span| Span::of(service, span)),
            );
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The collector. It listens until the test ends.
pub(super) struct Receiver {
    pub(super) url: String,
    spans: Spans,
}

impl Receiver {
    pub(super) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let spans = Spans::default();
        let service = TowerToHyperService::new(TraceServiceServer::new(spans.clone()));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
        });
        Self { url, spans }
    }

    /// Returns the spans of one trace.
    pub(super) fn trace(&self, id: &str) -> Vec<Span> {
        self.spans
            .0
            .lock()
            .expect("no holder panics")
            .iter()
            .filter(|span| span.trace == id)
            .cloned()
            .collect()
    }
}
