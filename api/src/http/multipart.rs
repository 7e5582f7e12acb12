//! A form with one file, read as it comes: nothing of it is kept in memory or on disk.

use std::time::Duration;

use bytes::Bytes;
use multer::{Constraints, Field, Multipart, SizeLimit};
use plinth_core::Error;
use plinth_domain::rejection::Rejection;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use tokio::time::timeout;

use super::failure::{Failure, Result};
use super::limits::BodyLimits;

const MEDIA_TYPE: &str = "multipart/form-data";

/// The name of the field that holds the file.
const FIELD: &str = "file";

/// A form whose only field is the file.
pub struct FileForm {
    form: Multipart<'static>,
    idle: Duration,
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
        // The file's own size is bounded as it is stored; whatever else comes with it is not read.
        let constraints = Constraints::new().size_limit(SizeLimit::new());
        let form = Multipart::with_constraints(body.into_bytes_stream(), boundary, constraints);
        let idle = request.data::<BodyLimits>().expect("every request carries its limits").idle;
        Ok(Self { form, idle })
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

    /// Reads to the end of the form, at which there must be nothing more.
    pub async fn end(&mut self) -> Result<()> {
        match self.next().await? {
            Some(field) => Err(unknown(&field)),
            None => Ok(()),
        }
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
