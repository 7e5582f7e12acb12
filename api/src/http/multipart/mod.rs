//! A form with files, read as a stream: it is never held in memory or on disk as a whole.

mod body;
mod extract;
mod part;

use futures_util::stream::StreamExt as _;
use multer::{Constraints, Field, Multipart, SizeLimit};
use plinth_core::Error;
use plinth_domain::rejection::Rejection;
use poem::{Request, RequestBody};

use self::body::HashedBody;
use super::digest;
use super::failure::{Failure, Result};
use super::min_rate::{self, MinRateBody};

pub use self::extract::{FileForm, FilesForm, MAX_FILES_PER_FORM};
pub use self::part::FilePart;

pub(crate) const MEDIA_TYPE: &str = "multipart/form-data";

/// The maximum number of bytes of all fields that are not files.
const MAX_IGNORED_BYTES: usize = 1024 * 1024;

/// The minimum number of bytes that each of them counts, so that the number of empty fields is
/// limited too.
const MIN_IGNORED_BYTES: usize = 1024;

/// A form with files. Other fields, which pages and libraries send, are ignored.
///
/// A part with a file name is a file, whatever its field is called: `file[]`, `filepond`. A part of
/// the form's own field without a file name is a file too, unless the form has a file with a name:
/// FilePond sends metadata in the field of the file.
pub struct Form {
    field: &'static str,
    parts: Multipart<'static>,
    /// A part without a file name. It is a file if no part with a file name follows.
    unnamed: Option<FilePart>,
    has_named: bool,
    /// Bytes of ignored fields so far.
    ignored: usize,
    body: HashedBody,
    /// The digest of the body that the client sent.
    digest: Option<[u8; 32]>,
}

impl Form {
    fn open(field: &'static str, request: &Request, body: &mut RequestBody) -> Result<Self> {
        let content_type = request.content_type().unwrap_or_default();
        let unsupported = |_| Failure::UnsupportedMediaType {
            expected: MEDIA_TYPE,
        };
        let boundary = multer::parse_boundary(content_type).map_err(unsupported)?;
        let digest = digest::parse_sha256(request.headers(), &part::DIGESTS)?;
        let bytes = MinRateBody::take(request, body)?;
        let body = HashedBody::new(bytes.boxed(), digest.is_some());
        // The file's size is limited while it is stored; ignored fields have a limit of their own.
        let constraints = Constraints::new().size_limit(SizeLimit::new());
        let parts = Multipart::with_constraints(body.stream(), boundary, constraints);
        Ok(Self {
            field,
            parts,
            unnamed: None,
            has_named: false,
            ignored: 0,
            body,
            digest,
        })
    }

    /// Returns the next file, or `None` at the end of the form.
    ///
    /// # Errors
    /// The form is malformed, or the body does not match its digest.
    pub async fn next_file(&mut self) -> Result<Option<FilePart>> {
        // A file that is too large to buffer must be read before the next part.
        if let Some(part) = self.unnamed.take_if(|part| part.has_more()) {
            return Ok(Some(part));
        }
        while let Some(field) = self.next_field().await? {
            let is_own = field.name() == Some(self.field);
            match field.file_name() {
                Some(name) if is_own || !name.is_empty() => {
                    self.has_named = true;
                    self.unnamed = None;
                    return Ok(Some(FilePart::named(field, self.body.clone())?));
                }
                None if is_own && !self.has_named => {
                    let part = FilePart::unnamed(field, self.body.clone()).await?;
                    let previous = self.unnamed.replace(part);
                    let next = previous.or_else(|| self.unnamed.take_if(|part| part.has_more()));
                    if next.is_some() {
                        return Ok(next);
                    }
                }
                // A text field, or a file input of a page without a chosen file.
                _ => self.ignore(field).await?,
            }
        }
        if self.unnamed.is_some() {
            return Ok(self.unnamed.take());
        }
        self.verify_digest().await.map(|()| None)
    }

    /// Returns the error for a form without a file.
    pub fn missing_file(&self) -> Failure {
        let rejection = Rejection::new("missing", "This field is required.");
        self.invalid_file(rejection)
    }

    /// Returns the error for a form with more than `max` files.
    pub fn too_many_files(&self, max: usize) -> Failure {
        let rejection = Rejection::new("too_many", format!("Expected at most {max} files."));
        self.invalid_file(rejection)
    }

    /// Returns the error for a file that breaks a rule.
    pub fn invalid_file(&self, rejection: Rejection) -> Failure {
        Error::invalid(&format!("/{}", self.field), rejection).into()
    }

    async fn verify_digest(&mut self) -> Result<()> {
        let Some(expected) = self.digest else {
            return Ok(());
        };
        // The digest includes what follows the form.
        self.body.finish().await.map_err(malformed)?;
        if self.body.hash() == Some(expected) {
            Ok(())
        } else {
            Err(Error::DigestMismatch.into())
        }
    }

    async fn ignore(&mut self, mut field: Field<'static>) -> Result<()> {
        self.ignored += MIN_IGNORED_BYTES;
        while let Some(bytes) = self.body.chunk(&mut field).await.map_err(malformed)? {
            self.ignored += bytes.len();
            if self.ignored > MAX_IGNORED_BYTES {
                break;
            }
        }
        if self.ignored > MAX_IGNORED_BYTES {
            let limit = MAX_IGNORED_BYTES as u64;
            return Err(Error::TooLarge { limit }.into());
        }
        Ok(())
    }

    async fn next_field(&mut self) -> Result<Option<Field<'static>>> {
        self.body
            .next_field(&mut self.parts)
            .await
            .map_err(malformed)
    }
}

fn malformed(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast() {
            Ok(error) => min_rate::map_body_error(*error),
            Err(cause) => Failure::MalformedForm(cause),
        },
        other => Failure::MalformedForm(other.into()),
    }
}
