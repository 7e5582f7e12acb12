//! Requests that clients send to S3 themselves: made and signed here, good for a while, and only as they are.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use crate::{ObjectError, ObjectStore, failed};

/// A request that whoever has it may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    pub url: String,
    /// Headers that must be sent with it, as they are; beside them `Content-Length`, which every client sends by itself
    /// where there is a body.
    pub headers: Vec<(String, String)>,
}

/// How S3 is to describe the bytes that it gives.
#[derive(Debug, Clone, Copy)]
pub struct Description<'a> {
    pub content_type: &'a str,
    pub content_disposition: &'a str,
    pub cache_control: &'a str,
}

impl ObjectStore {
    /// A PUT of an object that is not there yet, of so many bytes with this SHA-256 in base64.
    pub async fn sign_put(
        &self,
        key: &str,
        size: u64,
        sha256: &str,
        valid: Duration,
    ) -> Result<SignedRequest, ObjectError> {
        let (algorithm, kms_key) = self.encryption.asked();
        let request = self
            .signer
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .content_length(signed(size))
            .checksum_sha256(sha256)
            .if_none_match("*")
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(kms_key);
        let presigned = request
            .presigned(lasting(valid)?)
            .await
            .map_err(failed("sign_put"))?;
        Ok(presigned.into())
    }

    /// A PUT of one part, of so many bytes. How the whole is encrypted was said when its parts were begun.
    pub async fn sign_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        size: u64,
        valid: Duration,
    ) -> Result<SignedRequest, ObjectError> {
        let request = self
            .signer
            .upload_part()
            .bucket(&self.bucket)
            .key(self.full(key))
            .upload_id(upload)
            .part_number(number)
            .content_length(signed(size));
        let presigned = request
            .presigned(lasting(valid)?)
            .await
            .map_err(failed("sign_part"))?;
        Ok(presigned.into())
    }

    /// A GET of an object, of the whole or of any range.
    pub async fn sign_get(
        &self,
        key: &str,
        description: Description<'_>,
        valid: Duration,
    ) -> Result<String, ObjectError> {
        let request = self
            .signer
            .get_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .response_content_type(description.content_type)
            .response_content_disposition(description.content_disposition)
            .response_cache_control(description.cache_control);
        let presigned = request
            .presigned(lasting(valid)?)
            .await
            .map_err(failed("sign_get"))?;
        Ok(presigned.uri().to_owned())
    }
}

impl From<PresignedRequest> for SignedRequest {
    fn from(request: PresignedRequest) -> Self {
        // Of a body that is empty, some clients say no length.
        let is_said =
            |name: &str, value: &str| name != "host" && (name != "content-length" || value == "0");
        let headers = request
            .headers()
            .filter(|(name, value)| is_said(name, value));
        Self {
            url: request.uri().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn lasting(valid: Duration) -> Result<PresigningConfig, ObjectError> {
    PresigningConfig::expires_in(valid).map_err(|error| ObjectError::Failed {
        operation: "presign",
        message: error.to_string(),
    })
}
