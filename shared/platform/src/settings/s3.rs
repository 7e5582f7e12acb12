//! What only the object store is told, and which of its settings make sense together only.

use strum::{Display, EnumString};

use super::Layers;

/// What S3 encrypts objects with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum ServerSideEncryption {
    /// What the bucket's own settings say.
    None,
    /// SSE-S3: keys of S3's own.
    #[strum(serialize = "AES256")]
    Aes256,
    /// SSE-KMS: a key in AWS's key service.
    #[strum(serialize = "aws:kms")]
    Kms,
}

impl Layers {
    /// Half a key would silently be no key, and a KMS key that nobody is asked to use is a mistake.
    pub(super) fn check_object_store(&mut self) {
        let (id, secret) = ("PLINTH_S3_ACCESS_KEY_ID", "PLINTH_S3_SECRET_ACCESS_KEY");
        match (self.is_given(id), self.is_given(secret)) {
            (true, false) => {
                self.complain(format!("{secret}: must be given with {id}, or neither"));
            }
            (false, true) => {
                self.complain(format!("{id}: must be given with {secret}, or neither"));
            }
            _ => {}
        }
        let (key, encryption) = ("PLINTH_S3_KMS_KEY_ID", "PLINTH_S3_ENCRYPTION");
        if self.is_given(key) && self.text(encryption) != Some("aws:kms") {
            self.complain(format!("{key}: makes sense with {encryption}=aws:kms only"));
        }
    }
}
