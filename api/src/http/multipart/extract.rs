//! The two forms that operations accept, with their schemas.

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::{Form, MEDIA_TYPE};

/// A form with one file, in the field `file`.
pub struct FileForm(pub Form);

/// A form with several files, each in a field `files`.
pub struct FilesForm(pub Form);

const FILE_FIELD: &str = "file";
const FILES_FIELD: &str = "files";

/// The maximum number of files in one form.
pub const MAX_FILES_PER_FORM: usize = 100;

/// Returns the schema of a form with one field.
fn form_request(field: &'static str, schema: MetaSchema) -> MetaRequest {
    let mut form = MetaSchema::new("object");
    form.required = vec![field];
    form.properties = vec![(field, MetaSchemaRef::Inline(Box::new(schema)))];
    let schema = MetaSchemaRef::Inline(Box::new(form));
    let content = vec![MetaMediaType {
        content_type: MEDIA_TYPE,
        schema,
    }];
    MetaRequest {
        description: None,
        content,
        required: true,
    }
}

fn file_schema() -> MetaSchema {
    let mut schema = MetaSchema::new_with_format("string", "binary");
    schema.description = Some(
        "The file. Its name comes from the part's Content-Disposition: the last segment of the path, without invisible characters, cut to 255 bytes of UTF-8.",
    );
    schema
}

impl<'a> ApiExtractor<'a> for FileForm {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(form_request(FILE_FIELD, file_schema()))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(Form::open(FILE_FIELD, request, body)?))
    }
}

impl<'a> ApiExtractor<'a> for FilesForm {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let mut files = MetaSchema::new("array");
        files.max_items = Some(MAX_FILES_PER_FORM);
        files.items = Some(Box::new(MetaSchemaRef::Inline(Box::new(file_schema()))));
        Some(form_request(FILES_FIELD, files))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(Form::open(FILES_FIELD, request, body)?))
    }
}
