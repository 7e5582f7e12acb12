//! Setting types of the object store, and the checks across its settings.

use strum::{Display, EnumString};

use super::Layers;

/// The server-side encryption that is requested from S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum ServerSideEncryption {
    /// Nothing is requested; the bucket's own settings apply.
    None,
    /// SSE-S3: keys managed by S3.
    #[strum(serialize = "AES256")]
    Aes256,
    /// SSE-KMS: a key in AWS KMS.
    #[strum(serialize = "aws:kms")]
    Kms,
}

impl Layers {
    /// Reports half an access key, which would otherwise mean no key, and a KMS key without KMS
    /// encryption.
    pub(super) fn check_object_store(&mut self) {
        let (id, secret) = ("PLINTH_S3_ACCESS_KEY_ID", "PLINTH_S3_SECRET_ACCESS_KEY");
        match (self.is_set(id), self.is_set(secret)) {
            (true, false) => {
                self.add_problem(format!("{secret}: must be set together with {id}"));
            }
            (false, true) => {
                self.add_problem(format!("{id}: must be set together with {secret}"));
            }
            _ => {}
        }
        let (key, encryption) = ("PLINTH_S3_KMS_KEY_ID", "PLINTH_S3_ENCRYPTION");
        if self.is_set(key) && self.text(encryption) != Some("aws:kms") {
            self.add_problem(format!("{key}: requires {encryption}=aws:kms"));
        }
    }
}
