//! Jobs: what can be asked of the workers, and in which queue it waits.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, FromRepr, IntoStaticStr, VariantArray};

use crate::closed_set::UnknownName;
use crate::id::{BlobId, FileId, RegistrationId, UserId};
use crate::notice::SecurityNotice;
use crate::notification::NewNotification;
use crate::preset::PresetName;

/// A line that jobs wait in.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownName, parse_err_fn = unknown_queue)]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename = "QueueName", rename_all = "snake_case")
)]
pub enum Queue {
    Email,
    Files,
    Notifications,
    Cleanup,
}

fn unknown_queue(text: &str) -> UnknownName {
    UnknownName::new::<Queue>("a queue", text)
}

impl Queue {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name, as settings and the ledger have it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Which of the jobs that wait in a queue goes first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromRepr, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[repr(i16)]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename = "JobPriority", rename_all = "snake_case")
)]
pub enum Priority {
    High = 0,
    Normal = 1,
    Low = 2,
}

impl Priority {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the number that the ledger keeps: the lowest goes first.
    pub const fn rank(self) -> i16 {
        self as i16
    }

    /// Returns the priority of a rank.
    pub fn of_rank(rank: i16) -> Option<Self> {
        Self::from_repr(rank)
    }
}

/// How long after a job was asked for an attempt may still begin, unless its kind says otherwise.
pub const DEADLINE: Duration = Duration::from_hours(24 * 7);

/// The kinds that the account which asked for them may know of, with how far they are.
pub const SHOWN_TO_OWNERS: [&str; 2] = [MakeThumbnails::KIND, VerifyDirectUpload::KIND];

/// What a kind of job carries, and how it is run.
pub trait JobPayload: Serialize + DeserializeOwned + Send + Sync {
    const KIND: &'static str;
    const QUEUE: Queue;
    /// Rises when an older worker could no longer read the payload.
    const VERSION: i16;
    const MAX_ATTEMPTS: i16;
    const PRIORITY: Priority = Priority::Normal;
    /// How long one attempt may take, where that is less than the settings allow.
    const TIMEOUT: Option<Duration> = None;
    /// How long after it was asked for an attempt may still begin, also where each was put off by an outage. For mails the
    /// settings say it.
    const DEADLINE: Duration = DEADLINE;
}

/// Send the mail that proves an address. The worker mints the token, so that none rests in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SendVerificationMail {
    Registration {
        registration_id: RegistrationId,
    },
    /// A job of a release that created the account before its address was proved.
    Account {
        user_id: UserId,
    },
}

impl JobPayload for SendVerificationMail {
    const KIND: &'static str = "email.verification";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 2;
    const MAX_ATTEMPTS: i16 = 10;
    /// Somebody sits and waits for it.
    const PRIORITY: Priority = Priority::High;
}

/// Send that mail again to the unverified account of this address. Only releases without registrations ask for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResendVerificationMail {
    pub email: String,
}

impl JobPayload for ResendVerificationMail {
    const KIND: &'static str = "email.verification_again";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 10;
    /// Somebody sits and waits for it.
    const PRIORITY: Priority = Priority::High;
}

/// Send the mail with which whoever has this address, if anybody, chooses another password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendPasswordResetMail {
    pub email: String,
}

impl JobPayload for SendPasswordResetMail {
    const KIND: &'static str = "email.password_reset";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 10;
    /// Somebody sits and waits for it.
    const PRIORITY: Priority = Priority::High;
}

/// Send the mail that proves an account's new address, unless somebody else has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendEmailChangeMail {
    pub user_id: UserId,
    pub email: String,
}

impl JobPayload for SendEmailChangeMail {
    const KIND: &'static str = "email.change";
    const QUEUE: Queue = Queue::Email;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 10;
    /// Somebody sits and waits for it.
    const PRIORITY: Priority = Priority::High;
}

/// Tell the owner of an account what happened to how he logs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendSecurityNotice {
    pub user_id: UserId,
    #[serde(flatten)]
    pub notice: SecurityNotice,
}

impl JobPayload for SendSecurityNotice {
    const KIND: &'static str = "email.security_notice";
    const QUEUE: Queue = Queue::Email;
    /// 2: more notices, which a worker of an earlier release cannot read.
    const VERSION: i16 = 2;
    const MAX_ATTEMPTS: i16 = 10;
}

/// Ask the scanner for viruses about bytes that were stored; until it has answered nobody can download them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScanBlob {
    pub blob_id: BlobId,
}

impl JobPayload for ScanBlob {
    const KIND: &'static str = "files.scan";
    const QUEUE: Queue = Queue::Files;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 10;
    /// The file is of no use to its owner before.
    const PRIORITY: Priority = Priority::High;
}

/// Take the metadata out of a picture that was stored; until that is done nobody can download it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StripMetadata {
    pub blob_id: BlobId,
}

impl JobPayload for StripMetadata {
    const KIND: &'static str = "files.strip";
    const QUEUE: Queue = Queue::Files;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 20;
    /// The file is of no use to its owner before.
    const PRIORITY: Priority = Priority::High;
}

/// Derive the images of every [preset](crate::preset::Preset) from the bytes of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeThumbnails {
    pub file_id: FileId,
    /// The bytes of the version that was current. Absent in a job of before there were versions: they have the file's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_id: Option<BlobId>,
}

impl MakeThumbnails {
    pub fn blob(&self) -> BlobId {
        self.blob_id.unwrap_or(BlobId(self.file_id.0))
    }
}

impl JobPayload for MakeThumbnails {
    const KIND: &'static str = "files.thumbnails";
    const QUEUE: Queue = Queue::Files;
    const VERSION: i16 = 2;
    const MAX_ATTEMPTS: i16 = 5;
}

/// Derive the images of a file that are not there as the settings say, and remove those that the settings do not say any
/// more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemakeVariants {
    pub file_id: FileId,
    /// A preset whose image is made whether or not it is there.
    pub again: Option<PresetName>,
}

impl JobPayload for RemakeVariants {
    const KIND: &'static str = "files.variants";
    const QUEUE: Queue = Queue::Files;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 5;
    /// Nobody waits for it, and there may be a million.
    const PRIORITY: Priority = Priority::Low;
    const DEADLINE: Duration = Duration::from_hours(24 * 90);
}

/// Walk along all pictures, and ask for the images that are not there as the settings say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegenerateVariants {
    /// As in [`RemakeVariants`].
    pub again: Option<PresetName>,
    /// The last file that has been looked at.
    pub after: Option<FileId>,
}

impl JobPayload for RegenerateVariants {
    const KIND: &'static str = "files.regenerate";
    const QUEUE: Queue = Queue::Files;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 10;
    const PRIORITY: Priority = Priority::Low;
}

/// Read back what a client sent to S3 itself, and make it a file where it is what the client said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyDirectUpload {
    /// That of the blob.
    pub upload: BlobId,
}

impl JobPayload for VerifyDirectUpload {
    const KIND: &'static str = "files.verify";
    const QUEUE: Queue = Queue::Files;
    const VERSION: i16 = 1;
    /// One goes on where the one before it ended: a large file takes several.
    const MAX_ATTEMPTS: i16 = 20;
}

/// Make the file of a resumable upload that has all of its bytes, unless the request that brought the last of them has
/// made it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FinishUpload {
    /// That of the blob.
    pub upload: BlobId,
}

impl JobPayload for FinishUpload {
    const KIND: &'static str = "files.finish_upload";
    const QUEUE: Queue = Queue::Files;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 20;
}

/// Remove the objects of bytes that no file has any more from S3, then their row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PurgeBlob {
    /// A job of before there were blobs names the file, whose only bytes have its id.
    #[serde(alias = "file_id")]
    pub blob_id: BlobId,
}

impl JobPayload for PurgeBlob {
    const KIND: &'static str = "files.purge";
    const QUEUE: Queue = Queue::Cleanup;
    const VERSION: i16 = 2;
    const MAX_ATTEMPTS: i16 = 10;
    const PRIORITY: Priority = Priority::Low;
}

/// Compare what S3 has with what PostgreSQL knows, from after a blob on, and mend what can be mended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReconcileFiles {
    #[serde(default)]
    pub after: Option<BlobId>,
}

impl JobPayload for ReconcileFiles {
    const KIND: &'static str = "files.reconcile";
    const QUEUE: Queue = Queue::Cleanup;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
    const PRIORITY: Priority = Priority::Low;
}

/// Put a message into a user's inbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliverNotification {
    pub notification: NewNotification,
}

impl JobPayload for DeliverNotification {
    const KIND: &'static str = "notifications.deliver";
    const QUEUE: Queue = Queue::Notifications;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 10;
}

/// Remove what has expired: sessions, one-time tokens, abandoned uploads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CleanUp {}

impl JobPayload for CleanUp {
    const KIND: &'static str = "cleanup.expired";
    const QUEUE: Queue = Queue::Cleanup;
    const VERSION: i16 = 1;
    const MAX_ATTEMPTS: i16 = 3;
    const PRIORITY: Priority = Priority::Low;
}
