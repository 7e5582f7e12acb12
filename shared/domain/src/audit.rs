//! The audit log's vocabulary: who did what to what, from where, and how it ended.

use std::fmt;
use std::net::IpAddr;

use crate::id::{FileId, SessionId, UserId};

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// Something that is written to the audit log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($(#[$doc])* $variant),* }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

actions! {
    AccountRegistered = "account.registered",
    AccountUpdated = "account.updated",
    EmailVerified = "account.email_verified",
    VerificationRequested = "account.verification_requested",
    VerificationSent = "account.verification_sent",
    AdministratorCreated = "account.administrator_created",
    SessionCreated = "session.created",
    /// A login that was refused.
    SessionRefused = "session.refused",
    SessionRefreshed = "session.refreshed",
    SessionRevoked = "session.revoked",
    /// An old refresh token was presented again: somebody else holds a copy.
    RefreshReused = "session.refresh_reused",
    FileUploaded = "file.uploaded",
    FileDeleted = "file.deleted",
    FileProcessed = "file.processed",
    NotificationDelivered = "notification.delivered",
    CleanedUp = "cleanup.finished",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an action was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    None,
    User(UserId),
    Session(SessionId),
    File(FileId),
}

impl Target {
    pub const fn kind(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::User(_) => Some("user"),
            Self::Session(_) => Some("session"),
            Self::File(_) => Some("file"),
        }
    }

    pub const fn id(self) -> Option<uuid::Uuid> {
        match self {
            Self::None => None,
            Self::User(id) => Some(id.0),
            Self::Session(id) => Some(id.0),
            Self::File(id) => Some(id.0),
        }
    }
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Refused,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

/// Where an action came from: the request, or nothing but the system itself.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    pub actor: Option<UserId>,
    pub session: Option<SessionId>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    /// W3C trace context of the caller, for the jobs that the action asks for.
    pub traceparent: Option<String>,
}

impl Origin {
    /// The system acting on its own: a worker, a command line.
    pub fn system() -> Self {
        Self::default()
    }

    /// The same place, with the actor known.
    #[must_use]
    pub fn by(&self, actor: UserId) -> Self {
        Self { actor: Some(actor), ..self.clone() }
    }
}
