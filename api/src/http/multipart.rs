//! A form with one file, read as it comes: nothing of it is kept in memory or on disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use multer::{Constraints, Field, Multipart, SizeLimit};
use plinth_core::Error;
use plinth_domain::rejection::Rejection;
use plinth_platform::crypto::Sha256;
use poem::http::HeaderName;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use tokio::time::timeout;

use super::digest;
use super::failure::{Failure, Result};
use super::limits::BodyLimits;

const MEDIA_TYPE: &str = "multipart/form-data";

/// In a request what is sent is what is represented.
const DIGESTS: [HeaderName; 2] = [digest::CONTENT_DIGEST, digest::REPR_DIGEST];

/// The name of the field that holds the file.
const FIELD: &str = "file";

/// A form whose only field is the file.
pub struct FileForm {
    form: Multipart<'static>,
    body: HashedBody,
    /// What the body must hash to.
    digest: Option<[u8; 32]>,
    idle: Duration,
}

/// The body on its way to the form, hashed as it passes.
#[derive(Clone)]
struct HashedBody(Arc<Mutex<Passing>>);

struct Passing {
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
    /// `None` where nobody asks for it.
    hash: Option<Sha256>,
}

impl HashedBody {
    fn new(bytes: BoxStream<'static, std::io::Result<Bytes>>, is_wanted: bool) -> Self {
        Self(Arc::new(Mutex::new(Passing { bytes, hash: is_wanted.then(Sha256::default) })))
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        let mut passing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = passing.bytes.poll_next_unpin(context);
        if let (Poll::Ready(Some(Ok(bytes))), Some(hash)) = (&polled, &mut passing.hash) {
            hash.update(bytes);
        }
        polled
    }

    fn stream(&self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static {
        let body = self.clone();
        stream::poll_fn(move |context| body.poll(context))
    }

    fn hash(&self) -> Option<[u8; 32]> {
        let mut passing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passing.hash.take().map(Sha256::finish)
    }
}

/// The file in a form.
pub struct FilePart {
    field: Field<'static>,
    idle: Duration,
}

impl FileForm {
    fn open(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let content_type = request.content_type().unwrap_or_default();
        let unsupported = |_| Failure::UnsupportedMediaType { expected: MEDIA_TYPE };
        let boundary = multer::parse_boundary(content_type).map_err(unsupported)?;
        let body = body.take().map_err(|error| Error::internal(Box::new(error)))?;
        let digest = digest::read(request.headers(), &DIGESTS)?;
        let body = HashedBody::new(body.into_bytes_stream().boxed(), digest.is_some());
        // The file's own size is bounded as it is stored; whatever else comes with it is not read.
        let constraints = Constraints::new().size_limit(SizeLimit::new());
        let form = Multipart::with_constraints(body.stream(), boundary, constraints);
        let idle = request.data::<BodyLimits>().expect("every request carries its limits").idle;
        Ok(Self { form, body, digest, idle })
    }

    /// The file; an error when the first field is another or there is none.
    pub async fn file(&mut self) -> Result<FilePart> {
        match self.next().await? {
            Some(field) if field.name() == Some(FIELD) => Ok(FilePart { field, idle: self.idle }),
            Some(field) => Err(unknown(&field)),
            None => {
                Err(Error::invalid("/file", Rejection::new("missing", "This field must be given.")).into())
            }
        }
    }

    /// Reads to the end of the form, at which there must be nothing more, and the body must have its digest.
    pub async fn end(&mut self) -> Result<()> {
        if let Some(field) = self.next().await? {
            return Err(unknown(&field));
        }
        let Some(expected) = self.digest else { return Ok(()) };
        // What follows the form belongs to the body.
        let mut rest = self.body.stream();
        while let Some(bytes) = timeout(self.idle, rest.next()).await.map_err(|_| Failure::Timeout)? {
            bytes.map_err(Failure::BrokenBody)?;
        }
        if self.body.hash() == Some(expected) { Ok(()) } else { Err(Error::DigestMismatch.into()) }
    }

    async fn next(&mut self) -> Result<Option<Field<'static>>> {
        let next = timeout(self.idle, self.form.next_field()).await;
        next.map_err(|_| Failure::Timeout)?.map_err(malformed)
    }
}

impl FilePart {
    /// The name that the client gave it.
    pub fn name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// The SHA-256 that the part's headers give.
    pub fn digest(&self) -> Result<Option<[u8; 32]>> {
        Ok(digest::read(self.field.headers(), &DIGESTS)?)
    }

    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = timeout(self.idle, self.field.chunk()).await;
        chunk.map_err(|_| Failure::Timeout)?.map_err(malformed)
    }
}

fn malformed(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(cause) => Failure::BrokenBody(std::io::Error::other(cause)),
        other => Failure::MalformedForm(other),
    }
}

fn unknown(field: &Field<'_>) -> Failure {
    let name: String = field.name().unwrap_or_default().chars().take(64).collect();
    let detail = "The form has one field, the file.";
    Error::invalid(&format!("/{name}"), Rejection::new("unknown_field", detail)).into()
}

impl<'a> ApiExtractor<'a> for FileForm {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let mut file = MetaSchema::new_with_format("string", "binary");
        file.description = Some("The file, with its name in the part's Content-Disposition.");
        let mut schema = MetaSchema::new("object");
        schema.required = vec![FIELD];
        schema.properties = vec![(FIELD, MetaSchemaRef::Inline(Box::new(file)))];
        let schema = MetaSchemaRef::Inline(Box::new(schema));
        let content = vec![MetaMediaType { content_type: MEDIA_TYPE, schema }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::open(request, body)?)
    }
}
