//! The one door to S3: objects in one bucket, in whole, in parts, in ranges.
//!
//! A crate of its own, because the SDK behind it takes longer to compile than all the rest.

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
pub use signed::{Description, SignedRequest};

/// Where the bucket is, who may use it, and how it encrypts.
pub struct Connection<'a> {
    /// `None` for Amazon's own.
    pub endpoint: Option<&'a str>,
    /// The one that clients reach, where that is another.
    pub public_endpoint: Option<&'a str>,
    pub region: &'a str,
    pub bucket: &'a str,
    /// What every key begins with.
    pub prefix: &'a str,
    /// `None` for what the environment, a profile, the cluster or the machine gives.
    pub access_key: Option<AccessKey<'a>>,
    pub path_style: bool,
    pub encryption: Encryption,
    /// How long one attempt of a request may take.
    pub timeout: Duration,
}

/// A key of access that does not expire.
pub struct AccessKey<'a> {
    pub id: &'a str,
    pub secret: &'a str,
}

/// Why the object store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("there is no such object")]
    NotFound,
    /// The store has not the parts that an object was to be made of.
    #[error("the object store has other parts, or none")]
    PartsLost,
    /// The object is not the one that was asked for.
    #[error("there is another object in its place")]
    Replaced,
    #[error("the object store failed at {operation}: {message}")]
    Failed {
        operation: &'static str,
        message: String,
    },
    /// The store answered that it will not do this, for example because of its policy. Others may go well.
    #[error("the object store refused {operation}: {message}")]
    Refused {
        operation: &'static str,
        message: String,
    },
    #[error("the object's bytes broke off: {0}")]
    Broken(#[source] aws_sdk_s3::primitives::ByteStreamError),
}

/// One bucket. Clones share the connection.
#[derive(Clone)]
pub struct ObjectStore {
    client: Client,
    /// For what clients send themselves.
    signer: Client,
    bucket: String,
    prefix: String,
    encryption: Encryption,
}

/// A part that S3 has taken.
#[derive(Debug, Clone)]
pub struct Part {
    number: i32,
    etag: String,
}

impl Part {
    /// One that was taken before, perhaps by another process.
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

/// An object as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was last written, where the store says so.
    pub modified: Option<SystemTime>,
    /// Another object under the same key has another one; without quotation marks, where the store says so.
    pub etag: Option<String>,
}

/// A part of an object that is not made yet.
#[derive(Debug, Clone)]
pub struct ListedPart {
    pub part: Part,
    /// Bytes.
    pub size: u64,
}

/// An object in parts that is not made yet.
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
    /// Others follow the last one.
    pub is_more: bool,
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

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key as it is known here; `None` for one of somebody else.
    fn own(&self, key: &str) -> Option<String> {
        key.strip_prefix(&self.prefix).map(str::to_owned)
    }

    /// Whether the bucket answers.
    pub async fn ping(&self) -> Result<(), ObjectError> {
        self.client
            .head_bucket()
            .bucket(&self.bucket)
            .send()
            .await
            .map(drop)
            .map_err(failed("head_bucket"))
    }

    /// Stores a whole object.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<(), ObjectError> {
        let (algorithm, kms_key) = self.encryption.asked();
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .content_type(content_type)
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(kms_key);
        let sent = request
            .body(ByteStream::from(bytes))
            .send()
            .instrument(span("put_object"));
        sent.await.map(drop).map_err(failed("put_object"))
    }

    /// Begins an object in parts; its upload id.
    pub async fn begin_parts(&self, key: &str) -> Result<String, ObjectError> {
        let (algorithm, kms_key) = self.encryption.asked();
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(kms_key);
        let begun = request
            .send()
            .instrument(span("create_multipart_upload"))
            .await
            .map_err(failed("create_multipart_upload"))?;
        begun.upload_id.ok_or(ObjectError::Failed {
            operation: "create_multipart_upload",
            message: "no upload id".to_owned(),
        })
    }

    /// Stores a part; numbers begin at 1, and every part but the last has at least 5 MiB.
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
            .key(self.full(key))
            .upload_id(upload)
            .part_number(number);
        let sent = request
            .body(ByteStream::from(bytes))
            .send()
            .instrument(span("upload_part"));
        let etag = sent
            .await
            .map_err(failed("upload_part"))?
            .e_tag
            .unwrap_or_default();
        Ok(Part { number, etag })
    }

    /// Makes the object out of its parts.
    pub async fn finish_parts(
        &self,
        key: &str,
        upload: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectError> {
        let parts = parts
            .into_iter()
            .map(|part| {
                // There are stores that list parts without their tags.
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
            .key(self.full(key))
            .upload_id(upload)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            );
        let sent = request.send().instrument(span("complete_multipart_upload"));
        sent.await
            .map(drop)
            .map_err(failed("complete_multipart_upload"))
    }

    /// Gives up an object in parts and frees them; fine when there is none.
    pub async fn abort_parts(&self, key: &str, upload: &str) -> Result<(), ObjectError> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .upload_id(upload);
        match request
            .send()
            .instrument(span("abort_multipart_upload"))
            .await
        {
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            other => other.map(drop).map_err(failed("abort_multipart_upload")),
        }
    }

    /// The bytes of an object, or of a range of it.
    pub async fn get(
        &self,
        key: &str,
        range: Option<ByteRange>,
    ) -> Result<impl Stream<Item = Result<Bytes, ObjectError>> + Send + Unpin + use<>, ObjectError>
    {
        self.get_tagged(key, range, None).await
    }

    /// The same, where a tag is given of the object that has it and of no other.
    pub async fn get_tagged(
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
            .key(self.full(key));
        request = request.set_if_match(etag.map(|etag| format!("\"{etag}\"")));
        if let Some(ByteRange { first, last }) = range {
            request = request.range(format!("bytes={first}-{last}"));
        }
        let sent = request.send().instrument(span("get_object"));
        let object = sent.await.map_err(failed("get_object"))?;
        // There are stores that pass over If-Match.
        if etag.is_some_and(|etag| object.e_tag().map(bare) != Some(etag)) {
            return Err(ObjectError::Replaced);
        }
        let mut body = object.body;
        Ok(futures_util::stream::poll_fn(move |context| {
            std::pin::Pin::new(&mut body)
                .poll_next(context)
                .map_err(ObjectError::Broken)
        }))
    }

    /// Uploads in parts that were begun and not ended: key and upload id. `None` where the store cannot tell.
    pub async fn list_parts_uploads(
        &self,
        prefix: &str,
    ) -> Result<Option<Vec<UnfinishedParts>>, ObjectError> {
        let mut found = Vec::new();
        let (mut key, mut upload) = (None, None);
        loop {
            let request = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(self.full(prefix))
                .set_key_marker(key)
                .set_upload_id_marker(upload);
            let page = match request
                .send()
                .instrument(span("list_multipart_uploads"))
                .await
            {
                Err(error) if error.code() == Some("NotImplemented") => return Ok(None),
                other => other.map_err(failed("list_multipart_uploads"))?,
            };
            found.extend(
                page.uploads
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|upload| {
                        let begun = upload.initiated.and_then(|at| at.try_into().ok());
                        Some(UnfinishedParts {
                            key: self.own(&upload.key?)?,
                            upload: upload.upload_id?,
                            begun,
                        })
                    }),
            );
            (key, upload) = (page.next_key_marker, page.next_upload_id_marker);
            // Without a marker the next page would be the first again.
            if page.is_truncated != Some(true) || key.is_none() {
                return Ok(Some(found));
            }
        }
    }

    /// The parts that have come of an object, in their order.
    pub async fn list_parts(
        &self,
        key: &str,
        upload: &str,
    ) -> Result<Vec<ListedPart>, ObjectError> {
        let request = self
            .client
            .list_parts()
            .bucket(&self.bucket)
            .key(self.full(key))
            .upload_id(upload);
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let sent = request
                .clone()
                .set_part_number_marker(after)
                .send()
                .instrument(span("list_parts"));
            let page = sent.await.map_err(failed("list_parts"))?;
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

    /// What is known of an object; `None` where there is none.
    pub async fn head(&self, key: &str) -> Result<Option<StoredObject>, ObjectError> {
        let sent = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .send();
        match sent
            .instrument(span("head_object"))
            .await
            .map_err(failed("head_object"))
        {
            Ok(object) => Ok(Some(StoredObject {
                key: key.to_owned(),
                size: u64::try_from(object.content_length.unwrap_or_default()).unwrap_or_default(),
                modified: object.last_modified.and_then(|at| at.try_into().ok()),
                etag: object.e_tag.as_deref().map(bare).map(str::to_owned),
            })),
            Err(ObjectError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The size of an object in bytes; `None` where there is none.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, ObjectError> {
        Ok(self.head(key).await?.map(|object| object.size))
    }

    /// A page of the objects whose keys begin with `prefix`, in the order of their keys, from after `after` on.
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, ObjectError> {
        let mut request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.full(prefix));
        if let Some(after) = after {
            request = request.start_after(self.full(after));
        }
        let sent = request.send().instrument(span("list_objects_v2"));
        let page = sent.await.map_err(failed("list_objects_v2"))?;
        let is_more = page.is_truncated.unwrap_or(false);
        let objects = page
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                Some(StoredObject {
                    key: self.own(&object.key?)?,
                    size: u64::try_from(object.size.unwrap_or_default()).unwrap_or_default(),
                    modified: object.last_modified.and_then(|at| at.try_into().ok()),
                    etag: object.e_tag.as_deref().map(bare).map(str::to_owned),
                })
            });
        Ok(Listing {
            objects: objects.collect(),
            is_more,
        })
    }

    /// Removes an object; fine when there is none.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let sent = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .send();
        sent.instrument(span("delete_object"))
            .await
            .map(drop)
            .map_err(failed("delete_object"))
    }
}

/// A tag without its quotation marks, which some stores leave out.
fn bare(etag: &str) -> &str {
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

fn failed<E>(operation: &'static str) -> impl FnOnce(SdkError<E>) -> ObjectError
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
