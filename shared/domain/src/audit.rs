//! The audit log's vocabulary: who did what to what, from where, and how it ended.

use std::fmt;
use std::net::IpAddr;

use crate::id::{
    ApiKeyId, FileId, JobId, PasskeyId, RegistrationId, SessionId, ShareLinkId, TotpFactorId, UserId,
};

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
    RegistrationCreated = "registration.created",
    /// A link was opened with a wrong password, or for an address that has an account.
    RegistrationRefused = "registration.refused",
    /// The owner of the mailbox removed it.
    RegistrationDiscarded = "registration.discarded",
    /// A registration was proved: its account exists.
    AccountRegistered = "account.registered",
    AccountUpdated = "account.updated",
    EmailVerified = "account.email_verified",
    VerificationRequested = "account.verification_requested",
    VerificationSent = "account.verification_sent",
    AdministratorCreated = "account.administrator_created",
    AccountImported = "account.imported",
    AccountSuspended = "account.suspended",
    AccountReactivated = "account.reactivated",
    AccountDeleted = "account.deleted",
    EmailChangeRequested = "account.email_change_requested",
    EmailChangeSent = "account.email_change_sent",
    EmailChanged = "account.email_changed",
    EmailChangeUndone = "account.email_change_undone",
    PasswordChanged = "password.changed",
    PasswordRemoved = "password.removed",
    PasswordResetRequested = "password.reset_requested",
    PasswordResetSent = "password.reset_sent",
    PasswordReset = "password.reset",
    /// The same password under the parameters in force.
    PasswordRehashed = "password.rehashed",
    SecurityNoticeSent = "account.security_notice_sent",
    FactorEnrolled = "factor.enrolled",
    FactorRemoved = "factor.removed",
    /// An administrator has removed every second factor of somebody.
    FactorsReset = "factor.reset",
    RecoveryCodesIssued = "factor.recovery_codes_issued",
    RecoveryCodeUsed = "factor.recovery_code_used",
    PasskeyAdded = "passkey.added",
    PasskeyRenamed = "passkey.renamed",
    PasskeyRemoved = "passkey.removed",
    ApiKeyCreated = "api_key.created",
    ApiKeyRevoked = "api_key.revoked",
    RoleCreated = "role.created",
    RoleChanged = "role.changed",
    RoleRemoved = "role.removed",
    RolesAssigned = "role.assigned",
    ImpersonationStarted = "impersonation.started",
    SigningKeyCreated = "signing_key.created",
    SigningKeyRetired = "signing_key.retired",
    /// What was sealed under another root key was sealed under the present one.
    SecretsResealed = "secrets.resealed",
    SessionCreated = "session.created",
    /// A login that was refused.
    SessionRefused = "session.refused",
    /// The second factor of a login, or its refusal.
    SecondFactorRefused = "session.second_factor_refused",
    SessionRefreshed = "session.refreshed",
    /// The person at a session has proved again who he is.
    SessionSteppedUp = "session.stepped_up",
    SessionRevoked = "session.revoked",
    /// An old refresh token was presented again: somebody else holds a copy.
    RefreshReused = "session.refresh_reused",
    FileUploaded = "file.uploaded",
    FileChanged = "file.changed",
    FileVersionAdded = "file.version_added",
    FileVersionRestored = "file.version_restored",
    FileTrashed = "file.trashed",
    FileRestored = "file.restored",
    FileDeleted = "file.deleted",
    FileProcessed = "file.processed",
    /// A virus was found: nobody can download it.
    FileQuarantined = "file.quarantined",
    /// The metadata of a picture was taken out, or cannot be: then nobody can download it.
    FileStripped = "file.metadata_stripped",
    /// Somebody asked for the metadata of pictures of before the policy to be taken out.
    StrippingRequested = "files.stripping_requested",
    /// Somebody asked for scans of files that nobody has scanned.
    ScansRequested = "files.scans_requested",
    /// Somebody gave up the scans that were waited for.
    ScansWaived = "files.scans_waived",
    /// What a client sent to the object store is not what it said.
    DirectUploadRefused = "file.direct_upload_refused",
    /// Somebody asked for all derived images to be made as the settings say.
    VariantsRegenerated = "file.variants_regenerated",
    ShareLinkCreated = "share_link.created",
    ShareLinkRevoked = "share_link.revoked",
    /// A download by whoever has the link.
    ShareLinkDownloaded = "share_link.downloaded",
    /// A wrong password of a link.
    ShareLinkRefused = "share_link.refused",
    NotificationDelivered = "notification.delivered",
    Reconciled = "files.reconciled",
    /// An operator said that this database and this bucket belong together.
    BucketAdopted = "files.bucket_adopted",
    KeysRewrapped = "files.keys_rewrapped",
    CleanedUp = "cleanup.finished",
    JobRetried = "job.retried",
    JobCancelled = "job.cancelled",
    /// Every dead letter of a filter was made due again.
    JobsRedriven = "job.redriven",
    QueuePaused = "queue.paused",
    QueueResumed = "queue.resumed",
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
    Registration(RegistrationId),
    Session(SessionId),
    TotpFactor(TotpFactorId),
    Passkey(PasskeyId),
    ApiKey(ApiKeyId),
    /// Has a name and no id: it stands in the details.
    Role,
    /// The same.
    SigningKey,
    File(FileId),
    ShareLink(ShareLinkId),
    Job(JobId),
}

impl Target {
    pub const fn kind(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::User(_) => Some("user"),
            Self::Registration(_) => Some("registration"),
            Self::Session(_) => Some("session"),
            Self::TotpFactor(_) => Some("totp_factor"),
            Self::Passkey(_) => Some("passkey"),
            Self::ApiKey(_) => Some("api_key"),
            Self::Role => Some("role"),
            Self::SigningKey => Some("signing_key"),
            Self::File(_) => Some("file"),
            Self::ShareLink(_) => Some("share_link"),
            Self::Job(_) => Some("job"),
        }
    }

    pub const fn id(self) -> Option<uuid::Uuid> {
        match self {
            Self::None | Self::Role | Self::SigningKey => None,
            Self::User(id) => Some(id.0),
            Self::Registration(id) => Some(id.0),
            Self::Session(id) => Some(id.0),
            Self::TotpFactor(id) => Some(id.0),
            Self::Passkey(id) => Some(id.0),
            Self::ApiKey(id) => Some(id.0),
            Self::File(id) => Some(id.0),
            Self::ShareLink(id) => Some(id.0),
            Self::Job(id) => Some(id.0),
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
    /// The administrator who acts in the actor's name.
    pub impersonator: Option<UserId>,
    /// The key with which a program acts for the actor.
    pub api_key: Option<ApiKeyId>,
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
