//! The one shape of every refusal and failure (RFC 9457), and the only place where errors become HTTP.

use plinth_core::Error;
use plinth_core::error::FaultList;
use plinth_domain::rejection::Rejection;
use plinth_platform::causes;
use poem::error::{CorsError, MethodNotAllowedError, NotFoundError};
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use poem_openapi::error::{ParseParamError, ParsePathError};
use poem_openapi::types::ToJSON as _;

use super::failure::Failure;
use super::tus;

pub const CONTENT_TYPE: &str = "application/problem+json";

/// Bytes of the list of faults, as JSON.
const MAX_LISTED_BYTES: usize = 6 * 1024;

/// Characters of a pointer, and of what is said of a fault: parts of both may be the client's.
const MAX_POINTER: usize = 200;
const MAX_DETAIL: usize = 300;

/// The code of a refusal because of a bound, which is expected and no failure.
const BUSY: &str = "busy";

/// A refusal or a failure.
#[derive(Debug, Object)]
pub struct Problem {
    /// A URI that names the kind of problem; it ends in `code`.
    #[oai(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The stable, machine-readable name of the kind.
    code: String,
    /// What happened this time and what would help.
    #[oai(skip_serializing_if_is_none)]
    detail: Option<String>,
    /// Names this request in the logs.
    request_id: String,
    /// What is wrong with which part of the request.
    #[oai(skip_serializing_if_is_none)]
    errors: Option<Vec<FieldProblem>>,
}

/// What is wrong with one part of a request.
#[derive(Debug, Object)]
struct FieldProblem {
    /// Where, as a JSON pointer (RFC 6901) into the body; parameters are under `/query`.
    pointer: String,
    /// The stable, machine-readable name of the broken rule.
    code: String,
    /// What would be accepted.
    detail: String,
}

/// What is said of an error.
struct Verdict {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
    headers: Vec<(HeaderName, String)>,
}

impl Verdict {
    fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, detail: None, errors: Vec::new(), headers: Vec::new() }
    }

    fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn with(mut self, name: HeaderName, value: &(impl ToString + ?Sized)) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn fault(mut self, pointer: String, code: &str, detail: String) -> Self {
        self.errors.push(FieldProblem { pointer, code: code.to_owned(), detail });
        self
    }
}

/// The answer for an error that left the routes.
pub(super) fn answer(error: &poem::Error, request_id: &str) -> Response {
    let verdict = judge(error);
    if verdict.status.is_server_error() {
        let failure = error.downcast_ref::<Failure>();
        let error = failure.map_or_else(|| error.to_string(), |failure| causes::told(failure));
        if verdict.code == BUSY {
            tracing::warn!(error, code = verdict.code, "request refused at a bound");
        } else {
            tracing::error!(error, code = verdict.code, "request failed");
        }
    }
    let problem = Problem {
        kind: format!("urn:plinth:problem:{}", verdict.code),
        title: title(verdict.code, verdict.status),
        status: verdict.status.as_u16(),
        code: verdict.code.to_owned(),
        detail: verdict.detail.map(|detail| shortened(&detail, MAX_DETAIL)),
        request_id: request_id.to_owned(),
        errors: (!verdict.errors.is_empty()).then(|| listed(verdict.errors)),
    };
    let mut response = problem.to_json_string().with_content_type(CONTENT_TYPE).into_response();
    response.set_status(verdict.status);
    for (name, value) in verdict.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The status of a failure.
pub(super) fn status(failure: &Failure) -> StatusCode {
    judge_failure(failure).status
}

fn judge(error: &poem::Error) -> Verdict {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return judge_failure(failure);
    }
    if let Some(ParseParamError { name, .. }) = error.downcast_ref() {
        let detail = "The value is not of the documented type.".to_owned();
        return invalid().fault(format!("/query/{name}"), "invalid_parameter", detail);
    }
    // A path of the right shape with an id that cannot be one names nothing.
    if error.is::<ParsePathError>() {
        return Verdict::new(StatusCode::NOT_FOUND, "not_found");
    }
    if error.is::<NotFoundError>() {
        return Verdict::new(StatusCode::NOT_FOUND, "not_found").because("There is nothing at this path.");
    }
    if error.is::<MethodNotAllowedError>() {
        return Verdict::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    }
    if error.is::<CorsError>() {
        return Verdict::new(StatusCode::FORBIDDEN, "origin_not_allowed")
            .because("Browsers may not call from this origin.");
    }
    match error.status() {
        status if status.is_client_error() => {
            Verdict::new(status, "bad_request").because("The request cannot be understood.")
        }
        _ => Verdict::new(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn judge_failure(failure: &Failure) -> Verdict {
    match failure {
        Failure::Core(error) => judge_core(error),
        Failure::MalformedJson(error) => {
            let what = if error.is_data() { "A name is there twice" } else { "The body is not JSON" };
            Verdict::new(StatusCode::BAD_REQUEST, "malformed_json").because(format!(
                "{what}: line {}, column {}.",
                error.line(),
                error.column()
            ))
        }
        Failure::MalformedForm(error) => Verdict::new(StatusCode::BAD_REQUEST, "malformed_form")
            .because(format!("The form cannot be read: {error}.")),
        Failure::UnsupportedMediaType { expected } => {
            Verdict::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
                .because(format!("The body must be {expected}."))
        }
        Failure::BrokenBody(_) => {
            Verdict::new(StatusCode::BAD_REQUEST, "broken_body").because("The body broke off.")
        }
        Failure::RepeatedField { name } => Verdict::new(StatusCode::BAD_REQUEST, "repeated_field")
            .because(format!("The header field {name} is given more than once.")),
        Failure::Timeout => {
            Verdict::new(StatusCode::REQUEST_TIMEOUT, "timeout").because("The request took too long.")
        }
        Failure::DeadlineExceeded => Verdict::new(StatusCode::SERVICE_UNAVAILABLE, "deadline_exceeded")
            .because("The service did not answer in time.")
            .with(header::RETRY_AFTER, &1),
        Failure::PreconditionFailed => Verdict::new(StatusCode::PRECONDITION_FAILED, "precondition_failed")
            .because("The content is not the one that If-Match or If-Unmodified-Since means."),
        Failure::UnsupportedTusVersion => Verdict::new(StatusCode::PRECONDITION_FAILED, "tus_version")
            .because(format!("Expected Tus-Resumable: {}.", tus::VERSION))
            .with(HeaderName::from_static("tus-version"), tus::VERSION),
        Failure::RangeNotSatisfiable { size } => {
            Verdict::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable")
                .because(format!("The content has {size} bytes."))
                .with(header::CONTENT_RANGE, &format!("bytes */{size}"))
        }
        Failure::Panicked => Verdict::new(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn judge_core(error: &Error) -> Verdict {
    match error {
        Error::Invalid(faults) => faults.iter().fold(invalid(), |verdict, fault| {
            let Rejection { code, detail } = &fault.rejection;
            verdict.fault(shortened(&fault.pointer, MAX_POINTER), code, shortened(detail, MAX_DETAIL))
        }),
        Error::Unauthenticated { code, detail } => Verdict::new(StatusCode::UNAUTHORIZED, code)
            .because(*detail)
            .with(header::WWW_AUTHENTICATE, challenge(code)),
        Error::Forbidden { code, detail } => Verdict::new(StatusCode::FORBIDDEN, code).because(detail),
        Error::Conflict { code, detail } => Verdict::new(StatusCode::CONFLICT, code).because(detail),
        Error::UploadOffset { offset, detail } => Verdict::new(StatusCode::CONFLICT, "upload_offset")
            .because(*detail)
            .with(HeaderName::from_static("upload-offset"), offset),
        Error::NotAvailableYet { code, detail, retry_after } => Verdict::new(StatusCode::CONFLICT, code)
            .because(*detail)
            .with(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::NotFound => Verdict::new(StatusCode::NOT_FOUND, "not_found"),
        Error::TooLarge { limit } => Verdict::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large")
            .because(format!("At most {limit} bytes are taken.")),
        Error::TypeNotAllowed { media_type, allowed } => {
            Verdict::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "type_not_allowed")
                .because(format!("The file is {media_type}, as its first bytes show; taken are {allowed}."))
        }
        // The number is the tus protocol's.
        Error::ChecksumMismatch => {
            Verdict::new(StatusCode::from_u16(460).expect("it has three digits"), "checksum_mismatch")
                .because("The bytes do not have the checksum that came with them; they are not kept.")
        }
        Error::DigestMismatch => Verdict::new(StatusCode::UNPROCESSABLE_ENTITY, "digest_mismatch")
            .because("The bytes that came do not have the digest that came with them; nothing was stored."),
        Error::Interrupted => {
            Verdict::new(StatusCode::BAD_REQUEST, "interrupted").because("The content broke off.")
        }
        Error::RateLimited(verdict) => Verdict::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
            .because("Too many requests; wait as long as Retry-After says.")
            .with(header::RETRY_AFTER, &verdict.retry_after_ms.div_ceil(1000).max(1))
            .with(HeaderName::from_static("ratelimit-remaining"), &0)
            .with(HeaderName::from_static("ratelimit-reset"), &verdict.reset_ms.div_ceil(1000)),
        Error::TooManyAtOnce { code, detail, retry_after } => {
            Verdict::new(StatusCode::TOO_MANY_REQUESTS, code)
                .because(detail)
                .with(header::RETRY_AFTER, &retry_after.as_secs().max(1))
        }
        Error::Busy { retry_after } => Verdict::new(StatusCode::SERVICE_UNAVAILABLE, BUSY)
            .because("There is too much to do just now; try again.")
            .with(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::Unavailable { .. } => Verdict::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            .because("A part of the service does not answer; try again.")
            .with(header::RETRY_AFTER, &1),
        Error::Internal(_) => Verdict::new(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// As many as make no large answer. The rest is counted: whatever a request is, its refusal is a few kilobytes.
fn listed(mut errors: Vec<FieldProblem>) -> Vec<FieldProblem> {
    let mut bytes = 0;
    let fits = errors.iter().take(FaultList::MAX + 1).take_while(|error| {
        bytes += error.to_json_string().len() + 1;
        bytes <= MAX_LISTED_BYTES
    });
    let count = fits.count();
    if count == errors.len() {
        return errors;
    }
    let more = errors.len() - count;
    errors.truncate(count);
    let detail = format!("{more} more parts of the request are invalid.");
    errors.push(FieldProblem { pointer: String::new(), code: "too_many_faults".to_owned(), detail });
    errors
}

/// The beginning of a text that a client may have made long.
fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn invalid() -> Verdict {
    Verdict::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed")
        .because("Parts of the request are invalid.")
}

/// RFC 6750, section 3: a request without credentials is told no error.
fn challenge(code: &str) -> &'static str {
    match code {
        "authentication_required" | "invalid_credentials" | "invalid_refresh_token" => "Bearer",
        _ => "Bearer error=\"invalid_token\"",
    }
}

fn title(code: &str, status: StatusCode) -> String {
    if code == "internal" {
        return "Something went wrong on our side".to_owned();
    }
    let mut words = code.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if words.is_empty() { status.canonical_reason().unwrap_or_default().to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tracing::Level;

    use super::*;

    /// Keeps the levels of events.
    struct Levels(Arc<Mutex<Vec<Level>>>);

    impl tracing::Subscriber for Levels {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
            tracing::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            self.0.lock().expect("no holder panics").push(*event.metadata().level());
        }
        fn enter(&self, _: &tracing::Id) {}
        fn exit(&self, _: &tracing::Id) {}
    }

    #[test]
    fn a_refusal_at_a_bound_is_no_error_in_the_log() {
        let logged = Arc::new(Mutex::default());
        tracing::subscriber::with_default(Levels(logged.clone()), || {
            for error in [
                Error::Busy { retry_after: Duration::from_secs(1) },
                Error::Unavailable { store: "redis", source: "connection refused".into() },
                Error::NotFound,
            ] {
                answer(&Failure::Core(error).into(), "1");
            }
        });
        assert_eq!(*logged.lock().expect("no holder panics"), [Level::WARN, Level::ERROR]);
    }
}
