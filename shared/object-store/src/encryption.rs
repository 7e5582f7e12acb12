//! Server-side encryption, which S3 applies in addition to the caller's own encryption.

use aws_sdk_s3::types::ServerSideEncryption;

/// The server-side encryption to request for each new object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing is requested; the bucket's own settings apply.
    Bucket,
    /// SSE-S3.
    Aes256,
    /// SSE-KMS. Without an id, the account's default key for S3.
    Kms { key_id: Option<String> },
}

impl Encryption {
    /// Returns the headers of every request that creates an object, as a whole or in parts.
    pub(crate) fn headers(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match self {
            Self::Bucket => (None, None),
            Self::Aes256 => (Some(ServerSideEncryption::Aes256), None),
            Self::Kms { key_id } => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
        }
    }
}
