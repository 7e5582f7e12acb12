//! The one shape of every refusal and failure (RFC 9457), and the only place where errors become HTTP.

use plinth_core::Error;
use plinth_core::error::FaultList;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::rejection::Rejection;
use plinth_platform::error_chain;
use poem::error::{CorsError, MethodNotAllowedError, NotFoundError};
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use poem_openapi::error::{ParseParamError, ParsePathError};
use poem_openapi::types::ToJSON as _;

use super::error_code::DocumentedCode;
use super::error_page::ErrorPage;
use super::failure::Failure;
use super::operation::Refusal;
use super::tus;

pub const CONTENT_TYPE: &str = "application/problem+json";

/// Bytes of the list of faults, as JSON.
const MAX_LISTED_BYTES: usize = 6 * 1024;

/// Characters of a pointer, and of what is said of a fault: parts of both may be the client's.
const MAX_POINTER: usize = 200;
const MAX_DETAIL: usize = 300;

/// The code of the last listed fault if there are more.
const TOO_MANY_FAULTS: &str = "too_many_faults";

/// A refusal or a failure.
#[derive(Debug, Object)]
pub struct Problem {
    /// The URL of a page about this kind of problem.
    #[oai(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The stable, machine-readable name of the kind.
    code: DocumentedCode,
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
    code: ErrorCode,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
    headers: Vec<(HeaderName, String)>,
}

impl Verdict {
    /// The refusal of a code that has one status.
    fn new(code: ErrorCode) -> Self {
        debug_assert_eq!(code.statuses().len(), 1, "{code} has several statuses");
        let status =
            StatusCode::from_u16(code.statuses()[0]).expect("statuses of codes have three digits");
        Self {
            status,
            code,
            detail: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The refusal of a code by a variant of [`Error`] that stands for one status.
    fn with_status(status: StatusCode, code: ErrorCode) -> Self {
        debug_assert!(
            code.statuses().contains(&status.as_u16()),
            "{code} is not documented with {status}"
        );
        Self {
            status,
            code,
            detail: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }
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
        self.errors.push(FieldProblem {
            pointer,
            code: code.to_owned(),
            detail,
        });
        self
    }
}

/// The answer for an error that left the routes.
pub(super) fn answer(error: &poem::Error, request_id: &str, page: &ErrorPage) -> Response {
    let verdict = judge(error);
    if verdict.status.is_server_error() {
        let failure = error.downcast_ref::<Failure>();
        let error = failure.map_or_else(
            || error.to_string(),
            |failure| error_chain::format_error_chain(failure),
        );
        // A refusal because of a bound is expected and no failure.
        if verdict.code == ErrorCode::Busy {
            tracing::warn!(
                error,
                code = verdict.code.as_str(),
                "request refused at a bound"
            );
        } else {
            tracing::error!(error, code = verdict.code.as_str(), "request failed");
        }
    }
    let problem = Problem {
        kind: page.url(verdict.code),
        title: verdict.code.title(),
        status: verdict.status.as_u16(),
        code: DocumentedCode(verdict.code),
        detail: verdict.detail.map(|detail| shortened(&detail, MAX_DETAIL)),
        request_id: request_id.to_owned(),
        errors: (!verdict.errors.is_empty()).then(|| listed(verdict.errors)),
    };
    let mut response = problem
        .to_json_string()
        .with_content_type(CONTENT_TYPE)
        .into_response();
    response.set_status(verdict.status);
    for (name, value) in verdict.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The status and the code that an error is answered with.
pub(super) fn refusal(error: &poem::Error) -> Refusal {
    let verdict = judge(error);
    (verdict.status.as_u16(), verdict.code)
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
        return Verdict::new(ErrorCode::NotFound);
    }
    if error.is::<NotFoundError>() {
        return Verdict::new(ErrorCode::NotFound).because("There is nothing at this path.");
    }
    if error.is::<MethodNotAllowedError>() {
        return Verdict::new(ErrorCode::MethodNotAllowed);
    }
    if error.is::<CorsError>() {
        return Verdict::new(ErrorCode::OriginNotAllowed)
            .because("Browsers may not call from this origin.");
    }
    match error.status() {
        status if status.is_client_error() => Verdict {
            status,
            ..Verdict::new(ErrorCode::BadRequest)
        }
        .because("The request cannot be understood."),
        _ => Verdict::new(ErrorCode::Internal),
    }
}

fn judge_failure(failure: &Failure) -> Verdict {
    match failure {
        Failure::Core(error) => judge_core(error),
        Failure::MalformedJson(error) => {
            let what = if error.is_data() {
                "A name is there twice"
            } else {
                "The body is not JSON"
            };
            Verdict::new(ErrorCode::MalformedJson).because(format!(
                "{what}: line {}, column {}.",
                error.line(),
                error.column()
            ))
        }
        Failure::MalformedForm(error) => Verdict::new(ErrorCode::MalformedForm)
            .because(format!("The form cannot be read: {error}.")),
        Failure::UnsupportedMediaType { expected } => Verdict::new(ErrorCode::UnsupportedMediaType)
            .because(format!("The body must be {expected}.")),
        Failure::BrokenBody(_) => {
            Verdict::new(ErrorCode::BrokenBody).because("The body broke off.")
        }
        Failure::RepeatedField { name } => Verdict::new(ErrorCode::RepeatedField)
            .because(format!("The header field {name} is given more than once.")),
        Failure::Timeout => Verdict::new(ErrorCode::Timeout).because("The request took too long."),
        Failure::DeadlineExceeded => Verdict::new(ErrorCode::DeadlineExceeded)
            .because("The service did not answer in time.")
            .with(header::RETRY_AFTER, &1),
        Failure::PreconditionFailed => Verdict::new(ErrorCode::PreconditionFailed)
            .because("The content is not the one that If-Match or If-Unmodified-Since means."),
        Failure::UnsupportedTusVersion => Verdict::new(ErrorCode::TusVersion)
            .because(format!("Expected Tus-Resumable: {}.", tus::VERSION))
            .with(HeaderName::from_static("tus-version"), tus::VERSION),
        Failure::RangeNotSatisfiable { size } => Verdict::new(ErrorCode::RangeNotSatisfiable)
            .because(format!("The content has {size} bytes."))
            .with(header::CONTENT_RANGE, &format!("bytes */{size}")),
        Failure::Panicked => Verdict::new(ErrorCode::Internal),
    }
}

fn judge_core(error: &Error) -> Verdict {
    match error {
        Error::Invalid(faults) => faults.iter().fold(invalid(), |verdict, fault| {
            let Rejection { code, detail } = &fault.rejection;
            verdict.fault(
                shortened(&fault.pointer, MAX_POINTER),
                code,
                shortened(detail, MAX_DETAIL),
            )
        }),
        Error::Unauthenticated { code, detail } => {
            Verdict::with_status(StatusCode::UNAUTHORIZED, *code)
                .because(*detail)
                .with(header::WWW_AUTHENTICATE, challenge(*code))
        }
        Error::Forbidden { code, detail } => {
            Verdict::with_status(StatusCode::FORBIDDEN, *code).because(detail)
        }
        Error::Conflict { code, detail } => {
            Verdict::with_status(StatusCode::CONFLICT, *code).because(detail)
        }
        Error::UploadOffset { offset, detail } => Verdict::new(ErrorCode::UploadOffset)
            .because(*detail)
            .with(HeaderName::from_static("upload-offset"), offset),
        Error::NotAvailableYet {
            code,
            detail,
            retry_after,
        } => Verdict::with_status(StatusCode::CONFLICT, *code)
            .because(*detail)
            .with(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::NotFound => Verdict::new(ErrorCode::NotFound),
        Error::TooLarge { limit } => {
            Verdict::new(ErrorCode::TooLarge).because(format!("At most {limit} bytes are taken."))
        }
        Error::TypeNotAllowed {
            media_type,
            allowed,
        } => Verdict::new(ErrorCode::TypeNotAllowed).because(format!(
            "The file is {media_type}, as its first bytes show; taken are {allowed}."
        )),
        Error::ChecksumMismatch => Verdict::new(ErrorCode::ChecksumMismatch)
            .because("The bytes do not have the checksum that came with them; they are not kept."),
        Error::DigestMismatch => Verdict::new(ErrorCode::DigestMismatch).because(
            "The bytes that came do not have the digest that came with them; nothing was stored.",
        ),
        Error::Interrupted => {
            Verdict::new(ErrorCode::Interrupted).because("The content broke off.")
        }
        Error::RateLimited(verdict) => Verdict::new(ErrorCode::RateLimited)
            .because("Too many requests; wait as long as Retry-After says.")
            .with(
                header::RETRY_AFTER,
                &verdict.retry_after_ms.div_ceil(1000).max(1),
            )
            .with(HeaderName::from_static("ratelimit-remaining"), &0)
            .with(
                HeaderName::from_static("ratelimit-reset"),
                &verdict.reset_ms.div_ceil(1000),
            ),
        Error::TooManyAtOnce {
            code,
            detail,
            retry_after,
        } => Verdict::with_status(StatusCode::TOO_MANY_REQUESTS, *code)
            .because(detail)
            .with(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::Busy { retry_after } => Verdict::new(ErrorCode::Busy)
            .because("There is too much to do just now; try again.")
            .with(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::Unavailable { .. } => Verdict::new(ErrorCode::Unavailable)
            .because("A part of the service does not answer; try again.")
            .with(header::RETRY_AFTER, &1),
        Error::Internal(_) => Verdict::new(ErrorCode::Internal),
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
    errors.push(FieldProblem {
        pointer: String::new(),
        code: TOO_MANY_FAULTS.to_owned(),
        detail,
    });
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
    Verdict::new(ErrorCode::ValidationFailed).because("Parts of the request are invalid.")
}

/// RFC 6750, section 3: a request without credentials is told no error.
fn challenge(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AuthenticationRequired
        | ErrorCode::InvalidCredentials
        | ErrorCode::InvalidRefreshToken => "Bearer",
        _ => "Bearer error=\"invalid_token\"",
    }
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
            self.0
                .lock()
                .expect("no holder panics")
                .push(*event.metadata().level());
        }
        fn enter(&self, _: &tracing::Id) {}
        fn exit(&self, _: &tracing::Id) {}
    }

    #[test]
    fn a_refusal_at_a_bound_is_no_error_in_the_log() {
        let logged = Arc::new(Mutex::default());
        tracing::subscriber::with_default(Levels(logged.clone()), || {
            for error in [
                Error::Busy {
                    retry_after: Duration::from_secs(1),
                },
                Error::Unavailable {
                    store: "redis",
                    source: "connection refused".into(),
                },
                Error::NotFound,
            ] {
                answer(
                    &Failure::Core(error).into(),
                    "1",
                    &ErrorPage::of("http://localhost"),
                );
            }
        });
        assert_eq!(
            *logged.lock().expect("no holder panics"),
            [Level::WARN, Level::ERROR]
        );
    }
}
