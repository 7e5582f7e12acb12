//! Maps errors to responses in the format of RFC 9457. Nothing else in this crate does.

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

use super::error_page::ErrorPage;
use super::failure::Failure;
use super::operation::Refusal;
use super::tus;

pub const CONTENT_TYPE: &str = "application/problem+json";

/// The maximum size of the list of faults, in bytes of JSON.
const MAX_LISTED_BYTES: usize = 6 * 1024;

/// The maximum number of characters of a pointer and of a detail, both of which may repeat text of
/// the client.
const MAX_POINTER_CHARS: usize = 200;
const MAX_DETAIL_CHARS: usize = 300;

/// The code of the last fault in the list if some were omitted.
const TOO_MANY_FAULTS: &str = "too_many_faults";

/// A problem (RFC 9457): the body of every error response.
#[derive(Debug, Object)]
pub struct Problem {
    /// The URL of the documentation of this problem.
    #[oai(rename = "type")]
    kind: String,
    /// A short summary of the problem, the same for every problem with this code.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The stable, machine-readable code of the problem.
    code: ErrorCode,
    /// What went wrong in this request, and how to fix it. The text may change.
    #[oai(skip_serializing_if_is_none)]
    detail: Option<String>,
    /// The id of the request, also in the header `X-Request-Id` and in the logs.
    request_id: String,
    /// The invalid parts of the request.
    #[oai(skip_serializing_if_is_none)]
    errors: Option<Vec<FieldProblem>>,
}

/// One invalid part of a request.
#[derive(Debug, Object)]
struct FieldProblem {
    /// A JSON pointer (RFC 6901) to the part: into the body, to a query parameter (`/query/...`) or
    /// to a header field.
    pointer: String,
    /// The stable, machine-readable code of the broken rule.
    code: String,
    /// What was expected. The text may change.
    detail: String,
}

/// The parts of a problem that depend on the error.
struct ProblemParts {
    status: StatusCode,
    code: ErrorCode,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
    headers: Vec<(HeaderName, String)>,
}

impl ProblemParts {
    /// Returns the problem of a code that has one status.
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

    /// Returns the problem of a code that has several statuses.
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

    fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn with_header(mut self, name: HeaderName, value: &(impl ToString + ?Sized)) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn with_fault(mut self, pointer: String, code: &str, detail: String) -> Self {
        self.errors.push(FieldProblem {
            pointer,
            code: code.to_owned(),
            detail,
        });
        self
    }
}

/// Renders the error of a request as a response.
pub(super) fn render(error: &poem::Error, request_id: &str, page: &ErrorPage) -> Response {
    let parts = map_error(error);
    if parts.status.is_server_error() {
        let failure = error.downcast_ref::<Failure>();
        let error = failure.map_or_else(
            || error.to_string(),
            |failure| error_chain::format_error_chain(failure),
        );
        // A reached limit is expected: it is not an error of the service.
        if parts.code == ErrorCode::Busy {
            tracing::warn!(
                error,
                code = parts.code.as_str(),
                "request refused at a limit"
            );
        } else {
            tracing::error!(error, code = parts.code.as_str(), "request failed");
        }
    }
    let problem = Problem {
        kind: page.url(parts.code),
        title: parts.code.title(),
        status: parts.status.as_u16(),
        code: parts.code,
        detail: parts
            .detail
            .map(|detail| truncate(&detail, MAX_DETAIL_CHARS)),
        request_id: request_id.to_owned(),
        errors: (!parts.errors.is_empty()).then(|| limit_faults(parts.errors)),
    };
    let mut response = problem
        .to_json_string()
        .with_content_type(CONTENT_TYPE)
        .into_response();
    response.set_status(parts.status);
    for (name, value) in parts.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Returns the status and the code of an error.
pub(super) fn refusal(error: &poem::Error) -> Refusal {
    let parts = map_error(error);
    (parts.status.as_u16(), parts.code)
}

/// Returns the status of a failure.
pub(super) fn status(failure: &Failure) -> StatusCode {
    map_failure(failure).status
}

fn map_error(error: &poem::Error) -> ProblemParts {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return map_failure(failure);
    }
    if let Some(ParseParamError { name, .. }) = error.downcast_ref() {
        let detail = "The value is not of the documented type.".to_owned();
        return validation_failed().with_fault(
            format!("/query/{name}"),
            "invalid_parameter",
            detail,
        );
    }
    // A malformed id in the path cannot exist.
    if error.is::<ParsePathError>() {
        return ProblemParts::new(ErrorCode::NotFound);
    }
    if error.is::<NotFoundError>() {
        return ProblemParts::new(ErrorCode::NotFound).with_detail("No operation has this path.");
    }
    if error.is::<MethodNotAllowedError>() {
        return ProblemParts::new(ErrorCode::MethodNotAllowed);
    }
    if error.is::<CorsError>() {
        return ProblemParts::new(ErrorCode::OriginNotAllowed)
            .with_detail("This origin may not call the API from a browser.");
    }
    match error.status() {
        status if status.is_client_error() => ProblemParts {
            status,
            ..ProblemParts::new(ErrorCode::BadRequest)
        }
        .with_detail("The request is malformed."),
        _ => ProblemParts::new(ErrorCode::Internal),
    }
}

fn map_failure(failure: &Failure) -> ProblemParts {
    match failure {
        Failure::Core(error) => map_core_error(error),
        Failure::MalformedJson(error) => {
            let what = if error.is_data() {
                "An object has the same member twice"
            } else {
                "The body is not valid JSON"
            };
            ProblemParts::new(ErrorCode::MalformedJson).with_detail(format!(
                "{what}: line {}, column {}.",
                error.line(),
                error.column()
            ))
        }
        Failure::MalformedForm(error) => ProblemParts::new(ErrorCode::MalformedForm)
            .with_detail(format!("The form is malformed: {error}.")),
        Failure::UnsupportedMediaType { expected } => {
            ProblemParts::new(ErrorCode::UnsupportedMediaType)
                .with_detail(format!("Expected a body of type {expected}."))
        }
        Failure::BrokenBody(_) => {
            ProblemParts::new(ErrorCode::BrokenBody).with_detail("The body ended early.")
        }
        Failure::RepeatedField { name } => ProblemParts::new(ErrorCode::RepeatedField)
            .with_detail(format!("Header field {name} given more than once.")),
        Failure::Timeout => {
            ProblemParts::new(ErrorCode::Timeout).with_detail("The body was sent too slowly.")
        }
        Failure::DeadlineExceeded => ProblemParts::new(ErrorCode::DeadlineExceeded)
            .with_detail("The service did not respond in time.")
            .with_header(header::RETRY_AFTER, &1),
        Failure::PreconditionFailed => ProblemParts::new(ErrorCode::PreconditionFailed)
            .with_detail("The content does not match If-Match or If-Unmodified-Since."),
        Failure::UnsupportedTusVersion => ProblemParts::new(ErrorCode::TusVersion)
            .with_detail(format!("Expected Tus-Resumable: {}.", tus::VERSION))
            .with_header(HeaderName::from_static("tus-version"), tus::VERSION),
        Failure::RangeNotSatisfiable { size } => ProblemParts::new(ErrorCode::RangeNotSatisfiable)
            .with_detail(format!("The content has {size} bytes."))
            .with_header(header::CONTENT_RANGE, &format!("bytes */{size}")),
        Failure::Panicked => ProblemParts::new(ErrorCode::Internal),
    }
}

fn map_core_error(error: &Error) -> ProblemParts {
    match error {
        Error::Invalid(faults) => faults.iter().fold(validation_failed(), |parts, fault| {
            let Rejection { code, detail } = &fault.rejection;
            parts.with_fault(
                truncate(&fault.pointer, MAX_POINTER_CHARS),
                code,
                truncate(detail, MAX_DETAIL_CHARS),
            )
        }),
        Error::Unauthenticated { code, detail } => {
            ProblemParts::with_status(StatusCode::UNAUTHORIZED, *code)
                .with_detail(*detail)
                .with_header(header::WWW_AUTHENTICATE, authenticate_challenge(*code))
        }
        Error::Forbidden { code, detail } => {
            ProblemParts::with_status(StatusCode::FORBIDDEN, *code).with_detail(detail)
        }
        Error::Conflict { code, detail } => {
            ProblemParts::with_status(StatusCode::CONFLICT, *code).with_detail(detail)
        }
        Error::UploadOffset { offset, detail } => ProblemParts::new(ErrorCode::UploadOffset)
            .with_detail(*detail)
            .with_header(HeaderName::from_static("upload-offset"), offset),
        Error::NotAvailableYet {
            code,
            detail,
            retry_after,
        } => ProblemParts::with_status(StatusCode::CONFLICT, *code)
            .with_detail(*detail)
            .with_header(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::NotFound => ProblemParts::new(ErrorCode::NotFound),
        Error::TooLarge { limit } => ProblemParts::new(ErrorCode::TooLarge)
            .with_detail(format!("Expected at most {limit} bytes.")),
        Error::TypeNotAllowed {
            media_type,
            allowed,
        } => ProblemParts::new(ErrorCode::TypeNotAllowed).with_detail(format!(
            "The file is of type {media_type}, as its first bytes show. Expected one of {allowed}."
        )),
        Error::ChecksumMismatch => ProblemParts::new(ErrorCode::ChecksumMismatch)
            .with_detail("The bytes do not match Upload-Checksum and were discarded."),
        Error::DigestMismatch => ProblemParts::new(ErrorCode::DigestMismatch)
            .with_detail("The content does not match its digest. Nothing was stored."),
        Error::Interrupted => ProblemParts::new(ErrorCode::Interrupted)
            .with_detail("The content ended before its declared length."),
        Error::RateLimited(limit) => ProblemParts::new(ErrorCode::RateLimited)
            .with_detail("Too many requests. Wait for the seconds in Retry-After.")
            .with_header(
                header::RETRY_AFTER,
                &limit.retry_after_ms.div_ceil(1000).max(1),
            )
            .with_header(HeaderName::from_static("ratelimit-remaining"), &0)
            .with_header(
                HeaderName::from_static("ratelimit-reset"),
                &limit.reset_ms.div_ceil(1000),
            ),
        Error::TooManyAtOnce {
            code,
            detail,
            retry_after,
        } => ProblemParts::with_status(StatusCode::TOO_MANY_REQUESTS, *code)
            .with_detail(detail)
            .with_header(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::Busy { retry_after } => ProblemParts::new(ErrorCode::Busy)
            .with_detail("The service is overloaded. Try again after the seconds in Retry-After.")
            .with_header(header::RETRY_AFTER, &retry_after.as_secs().max(1)),
        Error::Unavailable { .. } => ProblemParts::new(ErrorCode::Unavailable)
            .with_detail("A part of the service is unavailable. Try again later.")
            .with_header(header::RETRY_AFTER, &1),
        Error::Internal(_) => ProblemParts::new(ErrorCode::Internal),
    }
}

/// Limits the list of faults, so that an error response is only a few kilobytes. The last entry
/// counts the omitted faults.
fn limit_faults(mut errors: Vec<FieldProblem>) -> Vec<FieldProblem> {
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

/// Truncates a text to `max` characters.
fn truncate(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn validation_failed() -> ProblemParts {
    ProblemParts::new(ErrorCode::ValidationFailed).with_detail("Parts of the request are invalid.")
}

/// Returns the challenge for a code. A request without credentials gets no error attribute (RFC
/// 6750, section 3).
fn authenticate_challenge(code: ErrorCode) -> &'static str {
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

    /// Records the levels of log events.
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
    fn a_reached_limit_is_logged_as_a_warning() {
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
                render(
                    &Failure::Core(error).into(),
                    "1",
                    &ErrorPage::new("http://localhost"),
                );
            }
        });
        assert_eq!(
            *logged.lock().expect("no holder panics"),
            [Level::WARN, Level::ERROR]
        );
    }
}
