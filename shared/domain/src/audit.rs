//! The audit log's vocabulary: who did what to what, from where, and how it ended.

use std::net::IpAddr;

use strum::{Display, EnumMessage, EnumString, IntoStaticStr, VariantArray};

use crate::id::{
    ApiKeyId, BlobId, FileId, JobId, PasskeyId, RegistrationId, SessionId, ShareLinkId,
    TotpFactorId, UserId,
};

/// Something that is written to the audit log. The doc comments make the page docs/reference/audit.md.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Display, EnumMessage, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Action {
    /// A registration was created. It is no account until its address is proved.
    #[strum(serialize = "registration.created")]
    RegistrationCreated,
    /// The proof of a registration was refused; `reason`.
    #[strum(serialize = "registration.refused")]
    RegistrationRefused,
    /// The owner of the mailbox discarded a registration by its mailed link.
    #[strum(serialize = "registration.discarded")]
    RegistrationDiscarded,
    /// A registration was proved and the account created; `refused` if the address had an account already.
    #[strum(serialize = "account.registered")]
    AccountRegistered,
    /// The profile was changed; `changed` lists the fields.
    #[strum(serialize = "account.updated")]
    AccountUpdated,
    /// The owner proved the address by a mailed link.
    #[strum(serialize = "account.email_verified")]
    EmailVerified,
    /// The mail with the verification link was asked for again.
    #[strum(serialize = "account.verification_requested")]
    VerificationRequested,
    /// The worker handed the verification mail to the mail server.
    #[strum(serialize = "account.verification_sent")]
    VerificationSent,
    /// `plinth-api admin create` created an administrator or made an account one.
    #[strum(serialize = "account.administrator_created")]
    AdministratorCreated,
    /// `plinth-api admin import` created the account.
    #[strum(serialize = "account.imported")]
    AccountImported,
    /// An administrator suspended the account; `reason`.
    #[strum(serialize = "account.suspended")]
    AccountSuspended,
    /// An administrator lifted the suspension.
    #[strum(serialize = "account.reactivated")]
    AccountReactivated,
    /// The account was put into the grace period after which it is deleted.
    #[strum(serialize = "account.deletion_scheduled")]
    AccountDeletionScheduled,
    /// The deletion was taken back within the grace period.
    #[strum(serialize = "account.restored")]
    AccountRestored,
    /// The account was deleted for good; `files` is their number.
    #[strum(serialize = "account.deleted")]
    AccountDeleted,
    /// The owner asked for another address.
    #[strum(serialize = "account.email_change_requested")]
    EmailChangeRequested,
    /// The worker handed the mail to the new address to the mail server.
    #[strum(serialize = "account.email_change_sent")]
    EmailChangeSent,
    /// The new address was proved and is in force.
    #[strum(serialize = "account.email_changed")]
    EmailChanged,
    /// The change of address was undone by the link mailed to the old address.
    #[strum(serialize = "account.email_change_undone")]
    EmailChangeUndone,
    /// The owner gave up undoing changes of the address.
    #[strum(serialize = "account.email_undo_waived")]
    EmailUndoWaived,
    /// An administrator took the account back for its owner; `reason`.
    #[strum(serialize = "account.reset")]
    AccountReset,
    /// The password was changed in a session; `refused` if the current password was wrong.
    #[strum(serialize = "password.changed")]
    PasswordChanged,
    /// The password was removed; only passkeys log in.
    #[strum(serialize = "password.removed")]
    PasswordRemoved,
    /// A reset was asked for, whether or not the address has an account.
    #[strum(serialize = "password.reset_requested")]
    PasswordResetRequested,
    /// The worker handed the mail with the reset link to the mail server.
    #[strum(serialize = "password.reset_sent")]
    PasswordResetSent,
    /// The password was set by a mailed link.
    #[strum(serialize = "password.reset")]
    PasswordReset,
    /// The same password was hashed again with the parameters in force.
    #[strum(serialize = "password.rehashed")]
    PasswordRehashed,
    /// The worker handed a security notice to the mail server; `notice`.
    #[strum(serialize = "account.security_notice_sent")]
    SecurityNoticeSent,
    /// The enrolment of an authenticator app began; one that waited for its first code is gone.
    #[strum(serialize = "factor.enrolment_started")]
    FactorEnrolmentStarted,
    /// An authenticator app was confirmed by its first code.
    #[strum(serialize = "factor.enrolled")]
    FactorEnrolled,
    /// An authenticator app was removed.
    #[strum(serialize = "factor.removed")]
    FactorRemoved,
    /// An administrator removed every second factor of the account.
    #[strum(serialize = "factor.reset")]
    FactorsReset,
    /// Recovery codes were issued; earlier ones are void.
    #[strum(serialize = "factor.recovery_codes_issued")]
    RecoveryCodesIssued,
    /// A recovery code was used.
    #[strum(serialize = "factor.recovery_code_used")]
    RecoveryCodeUsed,
    /// A passkey was added; `refused` if what the browser made was not accepted.
    #[strum(serialize = "passkey.added")]
    PasskeyAdded,
    /// A passkey was renamed.
    #[strum(serialize = "passkey.renamed")]
    PasskeyRenamed,
    /// A passkey was removed.
    #[strum(serialize = "passkey.removed")]
    PasskeyRemoved,
    /// An API key was created; `scopes`.
    #[strum(serialize = "api_key.created")]
    ApiKeyCreated,
    /// An API key was revoked.
    #[strum(serialize = "api_key.revoked")]
    ApiKeyRevoked,
    /// A role was created; `role`, `permissions`, `requires_mfa`.
    #[strum(serialize = "role.created")]
    RoleCreated,
    /// A role was changed; `role`, `added`, `removed`, `requires_mfa`.
    #[strum(serialize = "role.changed")]
    RoleChanged,
    /// A role was removed; `role`.
    #[strum(serialize = "role.removed")]
    RoleRemoved,
    /// An account got other roles; `added`, `removed`.
    #[strum(serialize = "role.assigned")]
    RolesAssigned,
    /// An administrator began to act in the name of the account; `reason`, `session`.
    #[strum(serialize = "impersonation.started")]
    ImpersonationStarted,
    /// A signing key was created, by a process that found none, by rotation or by `plinth-api keys rotate`.
    #[strum(serialize = "signing_key.created")]
    SigningKeyCreated,
    /// `plinth-api keys retire` ended a signing key.
    #[strum(serialize = "signing_key.retired")]
    SigningKeyRetired,
    /// `plinth-api keys reseal` sealed secrets with the present root key; what, and how many.
    #[strum(serialize = "secrets.resealed")]
    SecretsResealed,
    /// A login succeeded; `amr` lists its methods.
    #[strum(serialize = "session.created")]
    SessionCreated,
    /// A login was refused; `reason`.
    #[strum(serialize = "session.refused")]
    SessionRefused,
    /// A second factor of a login or a step-up was refused.
    #[strum(serialize = "session.second_factor_refused")]
    SecondFactorRefused,
    /// The tokens of a session were rotated.
    #[strum(serialize = "session.refreshed")]
    SessionRefreshed,
    /// The user of a session proved again who they are.
    #[strum(serialize = "session.stepped_up")]
    SessionSteppedUp,
    /// A session ended, or several; `sessions` is their number.
    #[strum(serialize = "session.revoked")]
    SessionRevoked,
    /// An old refresh token was presented again: two clients hold the tokens, and the session ended.
    #[strum(serialize = "session.refresh_reused")]
    RefreshReused,
    /// A file was uploaded.
    #[strum(serialize = "file.uploaded")]
    FileUploaded,
    /// A file got another name or other tags.
    #[strum(serialize = "file.changed")]
    FileChanged,
    /// A version was added to a file.
    #[strum(serialize = "file.version_added")]
    FileVersionAdded,
    /// An earlier version became the current one; `of`, `version`.
    #[strum(serialize = "file.version_restored")]
    FileVersionRestored,
    /// A file was moved to the trash.
    #[strum(serialize = "file.trashed")]
    FileTrashed,
    /// A file was taken out of the trash.
    #[strum(serialize = "file.restored")]
    FileRestored,
    /// A file was deleted for good, or one version of it (`version`).
    #[strum(serialize = "file.deleted")]
    FileDeleted,
    /// The worker made the derived images of a file.
    #[strum(serialize = "file.processed")]
    FileProcessed,
    /// The worker found a virus, whose signature is in the details: the file cannot be downloaded.
    #[strum(serialize = "file.quarantined")]
    FileQuarantined,
    /// The worker removed the metadata of a picture, or could not: then the file cannot be downloaded.
    #[strum(serialize = "file.metadata_stripped")]
    FileStripped,
    /// `plinth-worker strip` asked for the metadata of earlier pictures to be removed.
    #[strum(serialize = "files.stripping_requested")]
    StrippingRequested,
    /// `plinth-worker scan --unscanned` asked for scans of files that have none.
    #[strum(serialize = "files.scans_requested")]
    ScansRequested,
    /// `plinth-worker scan --waive` gave up scans that were waited for.
    #[strum(serialize = "files.scans_waived")]
    ScansWaived,
    /// An upload was begun, whose bytes come later; `kind`, `size`.
    #[strum(serialize = "upload.begun")]
    UploadBegun,
    /// A client said that it has sent all bytes of a direct upload to the object store.
    #[strum(serialize = "upload.sent")]
    UploadSent,
    /// An upload ended before it was a file, by its client or because it made no progress; `kind`, `owner`.
    #[strum(serialize = "upload.abandoned")]
    UploadAbandoned,
    /// What a client sent to the object store is not what it announced; `upload`, `reason`.
    #[strum(serialize = "file.direct_upload_refused")]
    DirectUploadRefused,
    /// `plinth-worker` asked for all derived images to be made by the presets in force.
    #[strum(serialize = "file.variants_regenerated")]
    VariantsRegenerated,
    /// A share link was created; `file_id`, `has_password`, `max_downloads`.
    #[strum(serialize = "share_link.created")]
    ShareLinkCreated,
    /// A share link was revoked; `file_id`.
    #[strum(serialize = "share_link.revoked")]
    ShareLinkRevoked,
    /// A download by a share link began; `file_id`.
    #[strum(serialize = "share_link.downloaded")]
    ShareLinkDownloaded,
    /// A share link was asked for with a wrong password; `file_id`, `reason`.
    #[strum(serialize = "share_link.refused")]
    ShareLinkRefused,
    /// The worker put a notification into the inbox of the account; `kind`, `subject`.
    #[strum(serialize = "notification.delivered")]
    NotificationDelivered,
    /// `plinth-worker reconcile` compared the object store with the database; what it found.
    #[strum(serialize = "files.reconciled")]
    Reconciled,
    /// An operator said that this database and this bucket belong together.
    #[strum(serialize = "files.bucket_adopted")]
    BucketAdopted,
    /// The keys of blobs were wrapped with the newest master key.
    #[strum(serialize = "files.keys_rewrapped")]
    KeysRewrapped,
    /// A clean-up ended; what it removed.
    #[strum(serialize = "cleanup.finished")]
    CleanedUp,
    /// A job was made due again, by the API or `plinth-worker jobs`.
    #[strum(serialize = "job.retried")]
    JobRetried,
    /// A job was cancelled, by the API or `plinth-worker jobs`.
    #[strum(serialize = "job.cancelled")]
    JobCancelled,
    /// Dead letters were made due again, by the API or `plinth-worker jobs`; `filter`, `count`.
    #[strum(serialize = "job.redriven")]
    JobsRedriven,
    /// A queue was paused, by the API or `plinth-worker queues`; `queue`.
    #[strum(serialize = "queue.paused")]
    QueuePaused,
    /// A queue was resumed, by the API or `plinth-worker queues`; `queue`.
    #[strum(serialize = "queue.resumed")]
    QueueResumed,
}

impl Action {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name in the audit log.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the doc comment: what happened, by whom where it is not the API, and what the details hold.
    pub fn description(self) -> &'static str {
        self.get_documentation()
            .expect("a test reads the doc comment of every action")
    }
}

/// The kind of what an action was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename = "AuditTargetKind", rename_all = "snake_case")
)]
pub enum TargetKind {
    User,
    Registration,
    Session,
    TotpFactor,
    Passkey,
    ApiKey,
    Role,
    SigningKey,
    File,
    Upload,
    ShareLink,
    Job,
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
    pub const fn kind(self) -> Option<TargetKind> {
        match self {
            Self::None => None,
            Self::User(_) => Some(TargetKind::User),
            Self::Registration(_) => Some(TargetKind::Registration),
            Self::Session(_) => Some(TargetKind::Session),
            Self::TotpFactor(_) => Some(TargetKind::TotpFactor),
            Self::Passkey(_) => Some(TargetKind::Passkey),
            Self::ApiKey(_) => Some(TargetKind::ApiKey),
            Self::Role => Some(TargetKind::Role),
            Self::SigningKey => Some(TargetKind::SigningKey),
            Self::File(_) => Some(TargetKind::File),
            Self::Upload(_) => Some(TargetKind::Upload),
            Self::ShareLink(_) => Some(TargetKind::ShareLink),
            Self::Job(_) => Some(TargetKind::Job),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename = "AuditOutcome", rename_all = "snake_case")
)]
pub enum Outcome {
    Success,
    Refused,
}

impl Outcome {
    /// Returns the name in the audit log.
    pub fn as_str(self) -> &'static str {
        self.into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_name_and_a_doc_comment_of_one_line() {
        for action in Action::ALL {
            let name = action.as_str();
            assert!(name.contains('.'), "{name} is not `subject.verb`");
            assert_eq!(name.parse(), Ok(*action));
            let description = action.description();
            assert!(!description.contains('\n'), "{name}: {description:?}");
        }
    }
}
