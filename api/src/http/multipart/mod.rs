//! A form with files, read as it comes: nothing of it is kept in memory or on disk.

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
use super::pace::{self, Paced};

pub use self::extract::{FileForm, FilesForm, MAX_FILES};
pub use self::part::FilePart;

pub(crate) const MEDIA_TYPE: &str = "multipart/form-data";

/// Bytes of the fields of a form that are no files.
const MAX_IGNORED_BYTES: usize = 1024 * 1024;

/// What each of them counts at least, so that empty ones end, too.
const MIN_IGNORED_BYTES: usize = 1024;

/// A form with files and, as pages and libraries send them, other fields, which are ignored.
///
/// A file is a part with a file name, whatever its field is called: `file[]`, `filepond`. A part of the form's own field
/// without a name is one, too, unless the form has one with a name: FilePond sends metadata in the field of the file.
pub struct Form {
    field: &'static str,
    parts: Multipart<'static>,
    /// A part without a name that is a file if none with a name follows.
    unnamed: Option<FilePart>,
    has_named: bool,
    /// Bytes of other fields that have come.
    ignored: usize,
    body: HashedBody,
    /// What the body must hash to.
    digest: Option<[u8; 32]>,
}

impl Form {
    fn open(field: &'static str, request: &Request, body: &mut RequestBody) -> Result<Self> {
        let content_type = request.content_type().unwrap_or_default();
        let unsupported = |_| Failure::UnsupportedMediaType {
            expected: MEDIA_TYPE,
        };
        let boundary = multer::parse_boundary(content_type).map_err(unsupported)?;
        let digest = digest::read(request.headers(), &part::DIGESTS)?;
        let bytes = Paced::take(request, body)?;
        let body = HashedBody::new(bytes.boxed(), digest.is_some());
        // The file's own size is bounded as it is stored; whatever else comes with it is not read.
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

    /// The next file; none at the end of the form, where the body must have its digest.
    pub async fn file(&mut self) -> Result<Option<FilePart>> {
        // The rest of one that was too large to wait must be read first.
        if let Some(part) = self.unnamed.take_if(|part| part.is_open()) {
            return Ok(Some(part));
        }
        while let Some(field) = self.next().await? {
            let is_own = field.name() == Some(self.field);
            match field.file_name() {
                Some(name) if is_own || !name.is_empty() => {
                    self.has_named = true;
                    self.unnamed = None;
                    return Ok(Some(FilePart::named(field, self.body.clone())?));
                }
                None if is_own && !self.has_named => {
                    let part = FilePart::unnamed(field, self.body.clone()).await?;
                    let before = self.unnamed.replace(part);
                    let next = before.or_else(|| self.unnamed.take_if(|part| part.is_open()));
                    if next.is_some() {
                        return Ok(next);
                    }
                }
                // A text, or a page's input for files of which none was chosen.
                _ => self.ignore(field).await?,
            }
        }
        if self.unnamed.is_some() {
            return Ok(self.unnamed.take());
        }
        self.end().await.map(|()| None)
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
        let Some(expected) = self.digest else {
            return Ok(());
        };
        // What follows the form belongs to the body.
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

    async fn next(&mut self) -> Result<Option<Field<'static>>> {
        self.body
            .next_field(&mut self.parts)
            .await
            .map_err(malformed)
    }
}

fn malformed(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast() {
            Ok(error) => pace::failure(*error),
            Err(cause) => Failure::MalformedForm(cause),
        },
        other => Failure::MalformedForm(other.into()),
    }
}
