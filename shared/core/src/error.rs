//! What a capability can answer instead of what was asked. The API maps it to HTTP in one place.

use std::time::Duration;

use plinth_domain::error_code::ErrorCode;
use plinth_domain::gcra::Verdict;
use plinth_domain::rejection::Rejection;
use plinth_object_store::ObjectError;
use plinth_platform::crypto::HashFailure;
use plinth_platform::redis::RedisFailure;

use crate::files::BrokenContent;

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Parts of the input broke rules of their types.
    #[error("the input is invalid: {0:?}")]
    Invalid(Vec<Fault>),
    /// Nobody is known to be asking; `code` says why.
    #[error("not authenticated: {code}")]
    Unauthenticated {
        code: ErrorCode,
        detail: &'static str,
    },
    /// Somebody known is asking for what he may not have.
    #[error("forbidden: {code}")]
    Forbidden { code: ErrorCode, detail: String },
    /// As things stand it cannot be done; `code` says what is in the way.
    #[error("conflict: {code}")]
    Conflict { code: ErrorCode, detail: String },
    /// The upload is at another place than the client thinks, at `offset`.
    #[error("the upload is at {offset}")]
    UploadOffset { offset: u64, detail: &'static str },
    /// Something is still to be done to the bytes before anybody gets them; `code` says what.
    #[error("not available yet: {code}")]
    NotAvailableYet {
        code: ErrorCode,
        detail: &'static str,
        retry_after: Duration,
    },
    /// It does not exist, or not for who asks.
    #[error("not found")]
    NotFound,
    /// The content is longer than it may be, in bytes.
    #[error("longer than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The content is of a type that is not taken.
    #[error("{media_type} is not among {allowed}")]
    TypeNotAllowed { media_type: String, allowed: String },
    /// The bytes that came do not have the digest that came with them.
    #[error("the content does not have its digest")]
    DigestMismatch,
    /// The bytes of one request do not have the checksum that came with them.
    #[error("the bytes do not have their checksum")]
    ChecksumMismatch,
    /// The client stopped sending before its content was whole.
    #[error("the content broke off")]
    Interrupted,
    #[error("rate limited")]
    RateLimited(Verdict),
    /// The account has as many of something under way as it may; `code` says of what.
    #[error("too many at once: {code}")]
    TooManyAtOnce {
        code: ErrorCode,
        detail: String,
        retry_after: Duration,
    },
    /// There is too much to do just now.
    #[error("busy")]
    Busy { retry_after: Duration },
    /// A store does not answer.
    #[error("{store} is unavailable")]
    Unavailable {
        store: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A fault of ours.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One part of the input that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    pub rejection: Rejection,
}

impl Error {
    /// An input of one wrong part.
    pub fn invalid(pointer: &str, rejection: Rejection) -> Self {
        Self::Invalid(vec![Fault {
            pointer: pointer.to_owned(),
            rejection,
        }])
    }

    /// Whether a store is away or overloaded: then nothing is wrong with what was asked of it, and everything else that
    /// needs this store fails alike.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { source, .. } => !matches!(
                source.downcast_ref::<ObjectError>(),
                Some(ObjectError::Refused { .. })
            ),
            Self::Busy { .. } => true,
            _ => false,
        }
    }

    /// Whether one statement took longer than it may, or waited too long for a lock: the same for fewer rows may succeed.
    pub(crate) fn is_of_statement(&self) -> bool {
        let cause = match self {
            Self::Busy { .. } => return true,
            Self::Unavailable { source, .. } => source.downcast_ref::<sqlx::Error>(),
            _ => None,
        };
        let code = cause
            .and_then(sqlx::Error::as_database_error)
            .and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| code == "57014")
    }

    /// A fault of ours with its cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let state = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .map(String::from);
        let is_away = match error {
            // A server, or a pooler before it, that breaks off in mid-message breaches the protocol.
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_) => true,
            _ => state.as_deref().is_some_and(is_server_away),
        };
        match state.as_deref() {
            _ if is_away => Self::Unavailable {
                store: "postgresql",
                source: error.into(),
            },
            // A lock was not granted in time: another transaction is stuck, or many want the same row.
            Some("55P03") => Self::Busy {
                retry_after: Duration::from_secs(1),
            },
            _ => Self::Internal(error.into()),
        }
    }
}

/// Whether a SQLSTATE says that the server, and not the statement, is the reason: class 08 is a broken connection, 53 want of
/// connections, memory or disk, 57P a server that stops or starts, 58 its operating system; 25006 is a standby, 57014 a
/// statement that took longer than it may, 25P03 a transaction whose client was gone for too long.
fn is_server_away(code: &str) -> bool {
    ["08", "53", "57P", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || ["25006", "57014", "25P03"].contains(&code)
}

impl From<RedisFailure> for Error {
    fn from(error: RedisFailure) -> Self {
        match error {
            RedisFailure::Unavailable => Self::Unavailable {
                store: "redis",
                source: error.into(),
            },
            RedisFailure::Command(_) => Self::Internal(error.into()),
        }
    }
}

impl From<ObjectError> for Error {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotFound | ObjectError::PartsLost | ObjectError::Replaced => {
                Self::Internal(error.into())
            }
            ObjectError::Failed { .. } | ObjectError::Refused { .. } | ObjectError::Broken(_) => {
                Self::Unavailable {
                    store: "object store",
                    source: error.into(),
                }
            }
        }
    }
}

impl From<BrokenContent> for Error {
    fn from(error: BrokenContent) -> Self {
        match error {
            BrokenContent::Object(error) => error.into(),
            BrokenContent::Tampered(_) | BrokenContent::Cut(_) => Self::Internal(error.into()),
        }
    }
}

impl From<HashFailure> for Error {
    fn from(error: HashFailure) -> Self {
        match error {
            HashFailure::Busy => Self::Busy {
                retry_after: Duration::from_secs(2),
            },
            HashFailure::Unreadable | HashFailure::Parameters(_) => Self::Internal(error.into()),
        }
    }
}

/// The faults of an input, of which so many are listed; the rest is counted, so that no refusal grows with its request.
#[derive(Debug, Default)]
pub struct FaultList {
    listed: Vec<Fault>,
    /// As JSON.
    bytes: usize,
    more: usize,
}

impl FaultList {
    /// Faults that are listed at most.
    pub const MAX: usize = 50;

    /// Bytes of their places and details, as JSON: both may have names that the client made long.
    const MAX_BYTES: usize = 4 * 1024;

    /// Adds a fault, which is made only if it is listed.
    pub fn push(&mut self, fault: impl FnOnce() -> Fault) {
        if self.more > 0 || self.listed.len() == Self::MAX {
            self.more += 1;
            return;
        }
        let fault = fault();
        let escaped =
            |text: &str| serde_json::to_string(text).map_or(text.len(), |text| text.len());
        self.bytes += escaped(&fault.pointer) + escaped(&fault.rejection.detail);
        if self.bytes > Self::MAX_BYTES {
            self.more += 1;
        } else {
            self.listed.push(fault);
        }
    }

    /// The listed ones, and a last one that says how many there are beside them.
    pub fn into_vec(mut self) -> Vec<Fault> {
        if self.more > 0 {
            let detail = format!("{} more parts of the request are invalid.", self.more);
            let rejection = Rejection::new("too_many_faults", detail);
            self.listed.push(Fault {
                pointer: String::new(),
                rejection,
            });
        }
        self.listed
    }
}

/// Parses the parts of an input and keeps every fault.
#[derive(Debug, Default)]
pub struct Faults {
    list: FaultList,
    has_any: bool,
}

impl Faults {
    /// Keeps the rejection of the part at `pointer`, if it is one.
    pub fn keep<T>(
        &mut self,
        pointer: &str,
        parsed: std::result::Result<T, Rejection>,
    ) -> Option<T> {
        let keep = |rejection| {
            self.has_any = true;
            self.list.push(|| Fault {
                pointer: pointer.to_owned(),
                rejection,
            });
        };
        parsed.map_err(keep).ok()
    }

    /// The whole input if all of its parts parsed, all faults otherwise.
    pub fn into_result<T>(self, whole: Option<T>) -> Result<T, Error> {
        match whole {
            Some(whole) if !self.has_any => Ok(whole),
            _ => Err(Error::Invalid(self.list.into_vec())),
        }
    }
}
