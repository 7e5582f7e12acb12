//! One trace from the request through SQL, Redis, S3 and the queue into the handler of the worker,
//! as a collector receives it.

mod receiver;

use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::json;

use self::receiver::{Kind, Receiver, Span};
use crate::house::{Answer, Door, PASSWORD, count, fresh_email};
use crate::picture::jpeg;

const API: &str = "plinth-api";
const WORKER: &str = "plinth-worker";

/// The span of the caller.
const CALLER: &str = "00f067aa0ba902b7";

/// The spans of one trace.
struct Trace(Vec<Span>);

impl Trace {
    #[track_caller]
    fn only(&self, wanted: impl Fn(&Span) -> bool) -> &Span {
        let found: Vec<_> = self.0.iter().filter(|span| wanted(span)).collect();
        assert_eq!(found.len(), 1, "there are {found:#?} in {:#?}", self.0);
        found[0]
    }

    /// Returns the API's span of the caller's request.
    #[track_caller]
    fn request(&self) -> &Span {
        let request = self.only(|span| span.kind == Kind::Server);
        assert_eq!(
            (request.service.as_str(), request.parent.as_str()),
            (API, CALLER)
        );
        request
    }

    /// Returns the spans of this process for a store.
    fn of_store(&self, service: &str, attribute: &str, value: &str) -> Vec<&Span> {
        self.0
            .iter()
            .filter(|span| span.service == service && span.has(attribute, value))
            .collect()
    }

    fn descends(&self, span: &Span, ancestor: &Span) -> bool {
        let mut at = span;
        while let Some(parent) = self.0.iter().find(|other| other.id == at.parent) {
            if parent.id == ancestor.id {
                return true;
            }
            at = parent;
        }
        false
    }

    /// Asserts that a span of the store descends from this one, and that all are client spans.
    #[track_caller]
    fn assert_store_span(&self, ancestor: &Span, attribute: &str, value: &str) {
        let spans = self.of_store(&ancestor.service, attribute, value);
        assert!(
            spans.iter().any(|span| self.descends(span, ancestor)),
            "{} has no span of {value}: {:#?}",
            ancestor.name,
            self.0
        );
        assert!(
            spans.iter().all(|span| span.kind == Kind::Client),
            "{spans:#?}"
        );
    }

    /// Returns the span of the job, a child of the API's span of `request`.
    #[track_caller]
    fn job(&self, kind: &str, service: &str, request: &Span) -> &Span {
        let job = self.only(|span| span.kind == Kind::Consumer && span.name == kind);
        assert_eq!(job.service, WORKER);
        let parent = self
            .0
            .iter()
            .find(|span| span.id == job.parent)
            .expect("the job's parent is in the trace");
        assert_eq!(parent.service, service);
        assert!(
            parent.id == request.id || self.descends(parent, request),
            "{parent:?} is not for {request:?}"
        );
        job
    }
}

#[tokio::test]
async fn a_registration_is_one_trace_through_both_processes() {
    let receiver = Receiver::listen().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_TELEMETRY_OTLP_ENDPOINT", &receiver.url);
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let door = Door::of(&api);
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let email = fresh_email();
    let request = door
        .request(Method::POST, "/v1/auth/register")
        .header("traceparent", format!("00-{id}-{CALLER}-01"))
        .json(&json!({ "email": email, "password": PASSWORD }));
    Answer::of(request).await.expect(StatusCode::ACCEPTED);
    Mailbox::first_to(&email).await;
    // Both processes send their remaining spans before they end.
    assert!(worker.stop().await.success());
    assert!(api.stop().await.success());

    let trace = Trace(receiver.trace(id));
    let request = trace.request();
    trace.assert_store_span(request, "db.system.name", "postgresql");
    trace.assert_store_span(request, "db.system.name", "redis");
    let job = trace.job("email.verification", API, request);
    trace.assert_store_span(job, "db.system.name", "postgresql");
    assert_eq!(
        request.name, "register",
        "a request is named after its operation"
    );
}

#[tokio::test]
async fn an_upload_is_one_trace_to_the_notification() {
    let receiver = Receiver::listen().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_TELEMETRY_OTLP_ENDPOINT", &receiver.url);
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    let id = "0af7651916cd43dd8448eb211c80319c";
    let upload = person
        .uploading("photo.jpg", jpeg(200, 100))
        .header("traceparent", format!("00-{id}-{CALLER}-01"));
    Answer::of(upload).await.expect(StatusCode::CREATED);
    let (stores, delivered) = (stage.stores(), "SELECT count(*) FROM notifications");
    until("the notification is delivered", async || {
        (count(&stores, delivered).await == 1).then_some(())
    })
    .await;
    assert!(worker.stop().await.success());
    assert!(api.stop().await.success());

    let trace = Trace(receiver.trace(id));
    let request = trace.request();
    trace.assert_store_span(request, "db.system.name", "postgresql");
    trace.assert_store_span(request, "db.system.name", "redis");
    trace.assert_store_span(request, "rpc.system", "aws-api");
    let thumbnails = trace.job("files.thumbnails", API, request);
    trace.assert_store_span(thumbnails, "db.system.name", "postgresql");
    trace.assert_store_span(thumbnails, "rpc.system", "aws-api");
    trace.assert_store_span(thumbnails, "db.system.name", "redis");
    let notification = trace.job("notifications.deliver", WORKER, thumbnails);
    trace.assert_store_span(notification, "db.system.name", "postgresql");
    assert_eq!(
        request.name, "uploadFile",
        "a request is named after its operation"
    );
}
