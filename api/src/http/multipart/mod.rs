//! A form with files, read as it comes: nothing of it is kept in memory or on disk.

mod body;
mod extract;

use bytes::Bytes;
use futures_util::stream::StreamExt as _;
use multer::{Constraints, Field, Multipart, SizeLimit};
use plinth_core::Error;
use plinth_domain::rejection::Rejection;
use poem::http::HeaderName;
use poem::{Request, RequestBody};

use self::body::HashedBody;
use super::digest;
use super::failure::{Failure, Result};
use super::limits::BodyLimits;
use super::pace::{self, Paced};

pub use self::extract::{FileForm, FilesForm, MAX_FILES};

const MEDIA_TYPE: &str = "multipart/form-data";

/// In a request what is sent is what is represented.
const DIGESTS: [HeaderName; 2] = [digest::CONTENT_DIGEST, digest::REPR_DIGEST];

/// A form in which every field of one name is a file, and no other is there.
pub struct Form {
    field: &'static str,
    parts: Multipart<'static>,
    body: HashedBody,
    /// What the body must hash to.
    digest: Option<[u8; 32]>,
}

/// A file in a form.
pub struct FilePart {
    field: Field<'static>,
}

impl Form {
    fn open(field: &'static str, request: &Request, body: &mut RequestBody) -> Result<Self> {
        let content_type = request.content_type().unwrap_or_default();
        let unsupported = |_| Failure::UnsupportedMediaType { expected: MEDIA_TYPE };
        let boundary = multer::parse_boundary(content_type).map_err(unsupported)?;
        let body = body.take().map_err(|error| Error::internal(Box::new(error)))?;
        let digest = digest::read(request.headers(), &DIGESTS)?;
        let idle = request.data::<BodyLimits>().expect("every request carries its limits").idle;
        let bytes = Paced::new(body.into_bytes_stream().boxed(), idle);
        let body = HashedBody::new(bytes.boxed(), digest.is_some());
        // The file's own size is bounded as it is stored; whatever else comes with it is not read.
        let constraints = Constraints::new().size_limit(SizeLimit::new());
        let parts = Multipart::with_constraints(body.stream(), boundary, constraints);
        Ok(Self { field, parts, body, digest })
    }

    /// The next file; none at the end of the form, where the body must have its digest.
    pub async fn file(&mut self) -> Result<Option<FilePart>> {
        match self.next().await? {
            Some(field) if field.name() == Some(self.field) => Ok(Some(FilePart { field })),
            Some(field) => Err(self.unknown(&field)),
            None => self.end().await.map(|()| None),
        }
    }

    /// That there is no file.
    pub fn missing(&self) -> Failure {
        let rejection = Rejection::new("missing", "This field must be given.");
        self.refused(rejection)
    }

    /// That there are more files than there may be.
    pub fn too_many(&self, most: usize) -> Failure {
        let rejection = Rejection::new("too_many", format!("The form has {most} of them at most."));
        self.refused(rejection)
    }

    /// That a file of it breaks a rule.
    pub fn refused(&self, rejection: Rejection) -> Failure {
        Error::invalid(&format!("/{}", self.field), rejection).into()
    }

    async fn end(&mut self) -> Result<()> {
        let Some(expected) = self.digest else { return Ok(()) };
        // What follows the form belongs to the body.
        let mut rest = self.body.stream();
        while let Some(bytes) = rest.next().await {
            bytes.map_err(pace::failure)?;
        }
        if self.body.hash() == Some(expected) { Ok(()) } else { Err(Error::DigestMismatch.into()) }
    }

    fn unknown(&self, field: &Field<'_>) -> Failure {
        let name: String = field.name().unwrap_or_default().chars().take(64).collect();
        let detail = format!("The form has no other field than {}.", self.field);
        Error::invalid(&format!("/{name}"), Rejection::new("unknown_field", detail)).into()
    }

    async fn next(&mut self) -> Result<Option<Field<'static>>> {
        self.parts.next_field().await.map_err(malformed)
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
        self.field.chunk().await.map_err(malformed)
    }
}

fn malformed(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(cause) => {
            let error = cause.downcast().map_or_else(std::io::Error::other, |error| *error);
            pace::failure(error)
        }
        other => Failure::MalformedForm(other),
    }
}
