//! What only the object store is told, and which of its settings make sense together only.

use super::Layers;
use super::value::Value;

/// What S3 encrypts objects with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerSideEncryption {
    /// What the bucket's own settings say.
    None,
    /// SSE-S3: keys of S3's own.
    Aes256,
    /// SSE-KMS: a key in AWS's key service.
    Kms,
}

impl Value for ServerSideEncryption {
    const KIND: &'static str = "none, AES256 or aws:kms";
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "AES256" => Ok(Self::Aes256),
            "aws:kms" => Ok(Self::Kms),
            _ => Err("none, AES256 or aws:kms is expected".to_owned()),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::None => "none",
            Self::Aes256 => "AES256",
            Self::Kms => "aws:kms",
        }
        .to_owned()
    }
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
