//! How S3 itself encrypts what it takes, beside the sealing that it knows nothing of.

use aws_sdk_s3::types::ServerSideEncryption;

/// What S3 is asked for with each new object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing is asked for: the bucket's own settings decide.
    Bucket,
    /// SSE-S3.
    Aes256,
    /// SSE-KMS; without an id, the account's own key for S3.
    Kms { key_id: Option<String> },
}

impl Encryption {
    /// The headers of every request that makes an object, whole or in parts.
    pub(crate) fn asked(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match self {
            Self::Bucket => (None, None),
            Self::Aes256 => (Some(ServerSideEncryption::Aes256), None),
            Self::Kms { key_id } => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
        }
    }
}
