//! Presigned requests, which clients send to S3 directly: valid for a limited time and only
//! unchanged.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use crate::{ObjectError, ObjectStore, object_error};

/// A request that any holder may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    pub url: String,
    /// Headers that must be sent unchanged. `Content-Length` is not listed if the request has a
    /// body, because every client sends it then.
    pub headers: Vec<(String, String)>,
}

/// The headers with which S3 responds to a download.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHeaders<'a> {
    pub content_type: &'a str,
    pub content_disposition: &'a str,
    pub cache_control: &'a str,
}

impl ObjectStore {
    /// Signs a PUT of a new object with `size` bytes and this SHA-256 in base64. The PUT fails if
    /// the object exists.
    pub async fn sign_put(
        &self,
        key: &str,
        size: u64,
        sha256: &str,
        valid: Duration,
    ) -> Result<SignedRequest, ObjectError> {
        let (algorithm, kms_key) = self.encryption.headers();
        let request = self
            .signer
            .put_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .content_length(to_i64(size))
            .checksum_sha256(sha256)
            .if_none_match("*")
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(kms_key);
        let presigned = request
            .presigned(presigning_config(valid)?)
            .await
            .map_err(object_error("sign_put"))?;
        Ok(presigned.into())
    }

    /// Signs a PUT of one part with `size` bytes. The encryption was set when the upload was begun.
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
            .key(self.full_key(key))
            .upload_id(upload)
            .part_number(number)
            .content_length(to_i64(size));
        let presigned = request
            .presigned(presigning_config(valid)?)
            .await
            .map_err(object_error("sign_part"))?;
        Ok(presigned.into())
    }

    /// Signs a GET of an object, which also permits any range.
    pub async fn sign_get(
        &self,
        key: &str,
        headers: ResponseHeaders<'_>,
        valid: Duration,
    ) -> Result<String, ObjectError> {
        let request = self
            .signer
            .get_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .response_content_type(headers.content_type)
            .response_content_disposition(headers.content_disposition)
            .response_cache_control(headers.cache_control);
        let presigned = request
            .presigned(presigning_config(valid)?)
            .await
            .map_err(object_error("sign_get"))?;
        Ok(presigned.uri().to_owned())
    }
}

impl From<PresignedRequest> for SignedRequest {
    fn from(request: PresignedRequest) -> Self {
        // Some clients send no length with an empty body.
        let is_listed =
            |name: &str, value: &str| name != "host" && (name != "content-length" || value == "0");
        let headers = request
            .headers()
            .filter(|(name, value)| is_listed(name, value));
        Self {
            url: request.uri().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

fn to_i64(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn presigning_config(valid: Duration) -> Result<PresigningConfig, ObjectError> {
    PresigningConfig::expires_in(valid).map_err(|error| ObjectError::Failed {
        operation: "presign",
        message: error.to_string(),
    })
}
