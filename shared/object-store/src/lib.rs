//! A client of S3 for the objects in one bucket: whole, in parts, and in ranges.
//!
//! A separate crate, because the SDK takes longer to compile than all other code.

mod chain;
mod encryption;
mod signed;

use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::Stream;
use tracing::Instrument as _;

use chain::DefaultChain;
pub use encryption::Encryption;
pub use signed::{ResponseHeaders, SignedRequest};

/// The address of the bucket, its credentials and its encryption.
pub struct Connection<'a> {
    /// `None` for Amazon's endpoint of the region.
    pub endpoint: Option<&'a str>,
    /// The endpoint as clients reach it, if it differs.
    pub public_endpoint: Option<&'a str>,
    pub region: &'a str,
    pub bucket: &'a str,
    /// The prefix of every key.
    pub prefix: &'a str,
    /// `None` for the SDK's default chain of credentials.
    pub access_key: Option<AccessKey<'a>>,
    pub path_style: bool,
    pub encryption: Encryption,
    /// Timeout of one attempt of a request.
    pub timeout: Duration,
}

/// An access key that does not expire.
pub struct AccessKey<'a> {
    pub id: &'a str,
    pub secret: &'a str,
}

/// The reason why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("object not found")]
    NotFound,
    /// The store lacks the parts from which an object was to be assembled.
    #[error("the object store lacks parts of the upload")]
    PartsLost,
    /// The object is not the one with the requested tag.
    #[error("the object was replaced")]
    Replaced,
    #[error("the object store failed at {operation}: {message}")]
    Failed {
        operation: &'static str,
        message: String,
    },
    /// The store refused the operation, for example because of its policy. Other operations may
    /// succeed.
    #[error("the object store refused {operation}: {message}")]
    Refused {
        operation: &'static str,
        message: String,
    },
    #[error("failed to read the object's bytes: {0}")]
    Broken(#[source] aws_sdk_s3::primitives::ByteStreamError),
}

/// One bucket. Clones share the connection.
#[derive(Clone)]
pub struct ObjectStore {
    client: Client,
    /// Signs requests that clients send.
    signer: Client,
    bucket: String,
    prefix: String,
    encryption: Encryption,
}

/// A part that S3 has stored.
#[derive(Debug, Clone)]
pub struct Part {
    number: i32,
    etag: String,
}

impl Part {
    /// Creates a part that was stored earlier, perhaps by another process.
    pub fn new(number: i32, etag: String) -> Self {
        Self { number, etag }
    }

    pub fn number(&self) -> i32 {
        self.number
    }

    pub fn etag(&self) -> &str {
        &self.etag
    }
}

/// An inclusive range of bytes, within the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    pub first: u64,
    pub last: u64,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last write, if the store reports it.
    pub modified: Option<SystemTime>,
    /// Changes when the object is replaced. Without quotation marks; `None` if the store does not
    /// report it.
    pub etag: Option<String>,
}

/// A part of an unfinished upload.
#[derive(Debug, Clone)]
pub struct ListedPart {
    pub part: Part,
    /// Size in bytes.
    pub size: u64,
}

/// An unfinished upload in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedParts {
    pub key: String,
    pub upload: String,
    pub begun: Option<SystemTime>,
}

/// A page of objects.
#[derive(Debug, Clone)]
pub struct Listing {
    pub objects: Vec<StoredObject>,
    /// Whether more objects follow the last one.
    pub has_more: bool,
}

impl ObjectStore {
    pub fn new(connection: &Connection<'_>) -> Self {
        let region = Region::new(connection.region.to_owned());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .read_timeout(connection.timeout)
            .build();
        let mut config = aws_sdk_s3::config::Builder::new()
            .behavior_version_latest()
            .region(region.clone())
            .force_path_style(connection.path_style)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        config = match &connection.access_key {
            Some(AccessKey { id, secret }) => {
                config.credentials_provider(Credentials::new(*id, *secret, None, None, "plinth"))
            }
            None => config.credentials_provider(DefaultChain::new(region)),
        };
        let mut public = config.clone();
        if let Some(endpoint) = connection.endpoint {
            config = config.endpoint_url(endpoint);
        }
        if let Some(endpoint) = connection.public_endpoint.or(connection.endpoint) {
            public = public.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(config.build()),
            signer: Client::from_conf(public.build()),
            bucket: connection.bucket.to_owned(),
            prefix: connection.prefix.to_owned(),
            encryption: connection.encryption.clone(),
        }
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Returns the key without the prefix, or `None` if the object has another prefix.
    fn own_key(&self, key: &str) -> Option<String> {
        key.strip_prefix(&self.prefix).map(str::to_owned)
    }

    /// Checks that the bucket answers.
    pub async fn ping(&self) -> Result<(), ObjectError> {
        self.client
            .head_bucket()
            .bucket(&self.bucket)
            .send()
            .await
            .map(drop)
            .map_err(object_error("head_bucket"))
    }

    /// Stores a whole object.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<(), ObjectError> {
        let (algorithm, kms_key) = self.encryption.headers();
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .content_type(content_type)
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(kms_key);
        let sent = request
            .body(ByteStream::from(bytes))
            .send()
            .instrument(span("put_object"));
        sent.await.map(drop).map_err(object_error("put_object"))
    }

    /// Begins an upload in parts, and returns its upload id.
    pub async fn begin_parts(&self, key: &str) -> Result<String, ObjectError> {
        let (algorithm, kms_key) = self.encryption.headers();
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(kms_key);
        let begun = request
            .send()
            .instrument(span("create_multipart_upload"))
            .await
            .map_err(object_error("create_multipart_upload"))?;
        begun.upload_id.ok_or(ObjectError::Failed {
            operation: "create_multipart_upload",
            message: "no upload id".to_owned(),
        })
    }

    /// Stores a part. Numbers begin at 1, and every part except the last has at least 5 MiB.
    pub async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<Part, ObjectError> {
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(upload)
            .part_number(number);
        let sent = request
            .body(ByteStream::from(bytes))
            .send()
            .instrument(span("upload_part"));
        let etag = sent
            .await
            .map_err(object_error("upload_part"))?
            .e_tag
            .unwrap_or_default();
        Ok(Part { number, etag })
    }

    /// Assembles the object from its parts.
    pub async fn finish_parts(
        &self,
        key: &str,
        upload: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectError> {
        let parts = parts
            .into_iter()
            .map(|part| {
                // Some stores list parts without their tags.
                let etag = (!part.etag.is_empty()).then_some(part.etag);
                CompletedPart::builder()
                    .part_number(part.number)
                    .set_e_tag(etag)
                    .build()
            })
            .collect();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(upload)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            );
        let sent = request.send().instrument(span("complete_multipart_upload"));
        sent.await
            .map(drop)
            .map_err(object_error("complete_multipart_upload"))
    }

    /// Aborts an upload in parts and frees its parts. Succeeds if the upload does not exist.
    pub async fn abort_parts(&self, key: &str, upload: &str) -> Result<(), ObjectError> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(upload);
        match request
            .send()
            .instrument(span("abort_multipart_upload"))
            .await
        {
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            other => other
                .map(drop)
                .map_err(object_error("abort_multipart_upload")),
        }
    }

    /// Returns the bytes of an object, or of a range of it.
    pub async fn get(
        &self,
        key: &str,
        range: Option<ByteRange>,
    ) -> Result<impl Stream<Item = Result<Bytes, ObjectError>> + Send + Unpin + use<>, ObjectError>
    {
        self.get_if_match(key, range, None).await
    }

    /// Returns the bytes like [`Self::get`], but only of the object with this tag if one is given.
    pub async fn get_if_match(
        &self,
        key: &str,
        range: Option<ByteRange>,
        etag: Option<&str>,
    ) -> Result<impl Stream<Item = Result<Bytes, ObjectError>> + Send + Unpin + use<>, ObjectError>
    {
        let mut request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full_key(key));
        request = request.set_if_match(etag.map(|etag| format!("\"{etag}\"")));
        if let Some(ByteRange { first, last }) = range {
            request = request.range(format!("bytes={first}-{last}"));
        }
        let sent = request.send().instrument(span("get_object"));
        let object = sent.await.map_err(object_error("get_object"))?;
        // Some stores ignore If-Match.
        if etag.is_some_and(|etag| object.e_tag().map(unquoted) != Some(etag)) {
            return Err(ObjectError::Replaced);
        }
        let mut body = object.body;
        Ok(futures_util::stream::poll_fn(move |context| {
            std::pin::Pin::new(&mut body)
                .poll_next(context)
                .map_err(ObjectError::Broken)
        }))
    }

    /// Returns the unfinished uploads in parts of keys with this prefix, or `None` if the store
    /// cannot list them.
    pub async fn list_unfinished_parts(
        &self,
        prefix: &str,
    ) -> Result<Option<Vec<UnfinishedParts>>, ObjectError> {
        let mut unfinished = Vec::new();
        let (mut key, mut upload) = (None, None);
        loop {
            let request = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(self.full_key(prefix))
                .set_key_marker(key)
                .set_upload_id_marker(upload);
            let page = match request
                .send()
                .instrument(span("list_multipart_uploads"))
                .await
            {
                Err(error) if error.code() == Some("NotImplemented") => return Ok(None),
                other => other.map_err(object_error("list_multipart_uploads"))?,
            };
            unfinished.extend(
                page.uploads
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|upload| {
                        let begun = upload.initiated.and_then(|at| at.try_into().ok());
                        Some(UnfinishedParts {
                            key: self.own_key(&upload.key?)?,
                            upload: upload.upload_id?,
                            begun,
                        })
                    }),
            );
            (key, upload) = (page.next_key_marker, page.next_upload_id_marker);
            // Without a marker, the next page would be the first one again.
            if page.is_truncated != Some(true) || key.is_none() {
                return Ok(Some(unfinished));
            }
        }
    }

    /// Returns the stored parts of an upload, in their order.
    pub async fn list_parts(
        &self,
        key: &str,
        upload: &str,
    ) -> Result<Vec<ListedPart>, ObjectError> {
        let request = self
            .client
            .list_parts()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(upload);
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let sent = request
                .clone()
                .set_part_number_marker(after)
                .send()
                .instrument(span("list_parts"));
            let page = sent.await.map_err(object_error("list_parts"))?;
            parts.extend(
                page.parts
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|part| {
                        let size = u64::try_from(part.size?).ok()?;
                        Some(ListedPart {
                            part: Part::new(part.part_number?, part.e_tag.unwrap_or_default()),
                            size,
                        })
                    }),
            );
            after = page.next_part_number_marker;
            if !page.is_truncated.unwrap_or(false) || after.is_none() {
                break;
            }
        }
        parts.sort_unstable_by_key(|listed| listed.part.number);
        Ok(parts)
    }

    /// Returns the metadata of an object, or `None` if it does not exist.
    pub async fn head(&self, key: &str) -> Result<Option<StoredObject>, ObjectError> {
        let sent = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .send();
        match sent
            .instrument(span("head_object"))
            .await
            .map_err(object_error("head_object"))
        {
            Ok(object) => Ok(Some(StoredObject {
                key: key.to_owned(),
                size: u64::try_from(object.content_length.unwrap_or_default()).unwrap_or_default(),
                modified: object.last_modified.and_then(|at| at.try_into().ok()),
                etag: object.e_tag.as_deref().map(unquoted).map(str::to_owned),
            })),
            Err(ObjectError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the size of an object in bytes, or `None` if it does not exist.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, ObjectError> {
        Ok(self.head(key).await?.map(|object| object.size))
    }

    /// Returns a page of the objects whose keys begin with `prefix` and follow `after`, in the
    /// order of keys.
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, ObjectError> {
        let mut request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.full_key(prefix));
        if let Some(after) = after {
            request = request.start_after(self.full_key(after));
        }
        let sent = request.send().instrument(span("list_objects_v2"));
        let page = sent.await.map_err(object_error("list_objects_v2"))?;
        let has_more = page.is_truncated.unwrap_or(false);
        let objects = page
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                Some(StoredObject {
                    key: self.own_key(&object.key?)?,
                    size: u64::try_from(object.size.unwrap_or_default()).unwrap_or_default(),
                    modified: object.last_modified.and_then(|at| at.try_into().ok()),
                    etag: object.e_tag.as_deref().map(unquoted).map(str::to_owned),
                })
            });
        Ok(Listing {
            objects: objects.collect(),
            has_more,
        })
    }

    /// Removes an object. Succeeds if it does not exist.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let sent = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .send();
        sent.instrument(span("delete_object"))
            .await
            .map(drop)
            .map_err(object_error("delete_object"))
    }
}

/// Returns a tag without its quotation marks, which some stores omit.
fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

fn span(operation: &'static str) -> tracing::Span {
    tracing::debug_span!(
        "s3",
        otel.name = operation,
        otel.kind = "client",
        rpc.system = "aws-api"
    )
}

fn object_error<E>(operation: &'static str) -> impl FnOnce(SdkError<E>) -> ObjectError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    move |error| match error.code() {
        Some("NoSuchKey" | "NotFound") => ObjectError::NotFound,
        Some("InvalidPart" | "InvalidPartOrder" | "NoSuchUpload") => ObjectError::PartsLost,
        Some("PreconditionFailed") => ObjectError::Replaced,
        _ => {
            let message = DisplayErrorContext(&error).to_string();
            let status = error
                .raw_response()
                .map(|response| response.status().as_u16());
            match status {
                Some(400..=499) if !matches!(status, Some(408 | 429)) => {
                    ObjectError::Refused { operation, message }
                }
                _ => ObjectError::Failed { operation, message },
            }
        }
    }
}
