//! The audit log's vocabulary: who did what to what, from where, and how it ended.

use std::fmt;
use std::net::IpAddr;

use crate::id::{
    ApiKeyId, BlobId, FileId, JobId, PasskeyId, RegistrationId, SessionId, ShareLinkId,
    TotpFactorId, UserId,
};

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal),* $(,)?) => {
        /// Something that is written to the audit log. The doc comments make the page docs/reference/audit.md.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($(#[doc = $doc])* $variant),* }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the doc comment: what happened, by whom where it is not the API, and what the details hold.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*)),* }
            }
        }

        $(const _: () = assert!(
            !concat!($($doc),*).is_empty(),
            concat!("the audit action ", $name, " needs a doc comment, which docs/reference/audit.md is made of")
        );)*
    };
}

actions! {
    /// A registration was created. It is no account until its address is proved.
    RegistrationCreated = "registration.created",
    /// The proof of a registration was refused; `reason`.
    RegistrationRefused = "registration.refused",
    /// The owner of the mailbox discarded a registration by its mailed link.
    RegistrationDiscarded = "registration.discarded",
    /// A registration was proved and the account created; `refused` if the address had an account already.
    AccountRegistered = "account.registered",
    /// The profile was changed; `changed` lists the fields.
    AccountUpdated = "account.updated",
    /// The owner proved the address by a mailed link.
    EmailVerified = "account.email_verified",
    /// The mail with the verification link was asked for again.
    VerificationRequested = "account.verification_requested",
    /// The worker handed the verification mail to the mail server.
    VerificationSent = "account.verification_sent",
    /// `plinth-api admin create` created an administrator or made an account one.
    AdministratorCreated = "account.administrator_created",
    /// `plinth-api admin import` created the account.
    AccountImported = "account.imported",
    /// An administrator suspended the account; `reason`.
    AccountSuspended = "account.suspended",
    /// An administrator lifted the suspension.
    AccountReactivated = "account.reactivated",
    /// The account was put into the grace period after which it is deleted.
    AccountDeletionScheduled = "account.deletion_scheduled",
    /// The deletion was taken back within the grace period.
    AccountRestored = "account.restored",
    /// The account was deleted for good; `files` is their number.
    AccountDeleted = "account.deleted",
    /// The owner asked for another address.
    EmailChangeRequested = "account.email_change_requested",
    /// The worker handed the mail to the new address to the mail server.
    EmailChangeSent = "account.email_change_sent",
    /// The new address was proved and is in force.
    EmailChanged = "account.email_changed",
    /// The change of address was undone by the link mailed to the old address.
    EmailChangeUndone = "account.email_change_undone",
    /// The owner gave up undoing changes of the address.
    EmailUndoWaived = "account.email_undo_waived",
    /// An administrator took the account back for its owner; `reason`.
    AccountReset = "account.reset",
    /// The password was changed in a session; `refused` if the current password was wrong.
    PasswordChanged = "password.changed",
    /// The password was removed; only passkeys log in.
    PasswordRemoved = "password.removed",
    /// A reset was asked for, whether or not the address has an account.
    PasswordResetRequested = "password.reset_requested",
    /// The worker handed the mail with the reset link to the mail server.
    PasswordResetSent = "password.reset_sent",
    /// The password was set by a mailed link.
    PasswordReset = "password.reset",
    /// The same password was hashed again with the parameters in force.
    PasswordRehashed = "password.rehashed",
    /// The worker handed a security notice to the mail server; `notice`.
    SecurityNoticeSent = "account.security_notice_sent",
    /// The enrolment of an authenticator app began; one that waited for its first code is gone.
    FactorEnrolmentStarted = "factor.enrolment_started",
    /// An authenticator app was confirmed by its first code.
    FactorEnrolled = "factor.enrolled",
    /// An authenticator app was removed.
    FactorRemoved = "factor.removed",
    /// An administrator removed every second factor of the account.
    FactorsReset = "factor.reset",
    /// Recovery codes were issued; earlier ones are void.
    RecoveryCodesIssued = "factor.recovery_codes_issued",
    /// A recovery code was used.
    RecoveryCodeUsed = "factor.recovery_code_used",
    /// A passkey was added; `refused` if what the browser made was not accepted.
    PasskeyAdded = "passkey.added",
    /// A passkey was renamed.
    PasskeyRenamed = "passkey.renamed",
    /// A passkey was removed.
    PasskeyRemoved = "passkey.removed",
    /// An API key was created; `scopes`.
    ApiKeyCreated = "api_key.created",
    /// An API key was revoked.
    ApiKeyRevoked = "api_key.revoked",
    /// A role was created; `role`, `permissions`, `requires_mfa`.
    RoleCreated = "role.created",
    /// A role was changed; `role`, `added`, `removed`, `requires_mfa`.
    RoleChanged = "role.changed",
    /// A role was removed; `role`.
    RoleRemoved = "role.removed",
    /// An account got other roles; `added`, `removed`.
    RolesAssigned = "role.assigned",
    /// An administrator began to act in the name of the account; `reason`, `session`.
    ImpersonationStarted = "impersonation.started",
    /// A signing key was created, by a process that found none, by rotation or by `plinth-api keys rotate`.
    SigningKeyCreated = "signing_key.created",
    /// `plinth-api keys retire` ended a signing key.
    SigningKeyRetired = "signing_key.retired",
    /// `plinth-api keys reseal` sealed secrets with the present root key; what, and how many.
    SecretsResealed = "secrets.resealed",
    /// A login succeeded; `amr` lists its methods.
    SessionCreated = "session.created",
    /// A login was refused; `reason`.
    SessionRefused = "session.refused",
    /// A second factor of a login or a step-up was refused.
    SecondFactorRefused = "session.second_factor_refused",
    /// The tokens of a session were rotated.
    SessionRefreshed = "session.refreshed",
    /// The user of a session proved again who they are.
    SessionSteppedUp = "session.stepped_up",
    /// A session ended, or several; `sessions` is their number.
    SessionRevoked = "session.revoked",
    /// An old refresh token was presented again: two clients hold the tokens, and the session ended.
    RefreshReused = "session.refresh_reused",
    /// A file was uploaded.
    FileUploaded = "file.uploaded",
    /// A file got another name or other tags.
    FileChanged = "file.changed",
    /// A version was added to a file.
    FileVersionAdded = "file.version_added",
    /// An earlier version became the current one; `of`, `version`.
    FileVersionRestored = "file.version_restored",
    /// A file was moved to the trash.
    FileTrashed = "file.trashed",
    /// A file was taken out of the trash.
    FileRestored = "file.restored",
    /// A file was deleted for good, or one version of it (`version`).
    FileDeleted = "file.deleted",
    /// The worker made the derived images of a file.
    FileProcessed = "file.processed",
    /// The worker found a virus, whose signature is in the details: the file cannot be downloaded.
    FileQuarantined = "file.quarantined",
    /// The worker removed the metadata of a picture, or could not: then the file cannot be downloaded.
    FileStripped = "file.metadata_stripped",
    /// `plinth-worker strip` asked for the metadata of earlier pictures to be removed.
    StrippingRequested = "files.stripping_requested",
    /// `plinth-worker scan --unscanned` asked for scans of files that have none.
    ScansRequested = "files.scans_requested",
    /// `plinth-worker scan --waive` gave up scans that were waited for.
    ScansWaived = "files.scans_waived",
    /// An upload was begun, whose bytes come later; `kind`, `size`.
    UploadBegun = "upload.begun",
    /// A client said that it has sent all bytes of a direct upload to the object store.
    UploadSent = "upload.sent",
    /// An upload ended before it was a file, by its client or because it made no progress; `kind`, `owner`.
    UploadAbandoned = "upload.abandoned",
    /// What a client sent to the object store is not what it announced; `upload`, `reason`.
    DirectUploadRefused = "file.direct_upload_refused",
    /// `plinth-worker` asked for all derived images to be made by the presets in force.
    VariantsRegenerated = "file.variants_regenerated",
    /// A share link was created; `file_id`, `has_password`, `max_downloads`.
    ShareLinkCreated = "share_link.created",
    /// A share link was revoked; `file_id`.
    ShareLinkRevoked = "share_link.revoked",
    /// A download by a share link began; `file_id`.
    ShareLinkDownloaded = "share_link.downloaded",
    /// A share link was asked for with a wrong password; `file_id`, `reason`.
    ShareLinkRefused = "share_link.refused",
    /// The worker put a notification into the inbox of the account; `kind`, `subject`.
    NotificationDelivered = "notification.delivered",
    /// `plinth-worker reconcile` compared the object store with the database; what it found.
    Reconciled = "files.reconciled",
    /// An operator said that this database and this bucket belong together.
    BucketAdopted = "files.bucket_adopted",
    /// The keys of blobs were wrapped with the newest master key.
    KeysRewrapped = "files.keys_rewrapped",
    /// A clean-up ended; what it removed.
    CleanedUp = "cleanup.finished",
    /// A job was made due again, by the API or `plinth-worker jobs`.
    JobRetried = "job.retried",
    /// A job was cancelled, by the API or `plinth-worker jobs`.
    JobCancelled = "job.cancelled",
    /// Dead letters were made due again, by the API or `plinth-worker jobs`; `filter`, `count`.
    JobsRedriven = "job.redriven",
    /// A queue was paused, by the API or `plinth-worker queues`; `queue`.
    QueuePaused = "queue.paused",
    /// A queue was resumed, by the API or `plinth-worker queues`; `queue`.
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
    Upload(BlobId),
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
            Self::Upload(_) => Some("upload"),
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
            Self::Upload(id) => Some(id.0),
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

    /// Whether a request comes from a caller who is not known.
    pub fn is_anonymous(&self) -> bool {
        self.actor.is_none() && self.session.is_none() && self.api_key.is_none()
    }

    /// Whether no user and no request stands behind the action.
    pub fn is_system(&self) -> bool {
        self.actor.is_none() && self.request_id.is_none() && self.ip.is_none()
    }

    /// The same place, with the actor known.
    #[must_use]
    pub fn by(&self, actor: UserId) -> Self {
        Self {
            actor: Some(actor),
            ..self.clone()
        }
    }
}
